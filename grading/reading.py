"""Reads the cells of a workbook that may be hostile: nothing in it is run.

What is not a workbook, or too large, is refused with a sentence that says what to do. How
much time and memory the reading may take is limited elsewhere, in `workbooks.py`.
"""

import os
import re
import zipfile

import numpy as np
from openpyxl.utils import get_column_letter

from grading.cells import Damaged, Entities, read_book

# What one file may hold. Our own workbook with 1,000 epochs has 260,000 cells, 22 MB of XML.
UNPACKED_BYTES = 40 * 2**20
CELLS = 500_000
PARTS = 2000

RESAVE = "open it in Excel or LibreOffice, save it as .xlsx, and check it again"


class Unreadable(Exception):
    """A file that could not be checked; the message says why and what to do."""


def look_at_container(path):
    """Refuse what is not a workbook, or too large, before anything in it is parsed.

    Returns:
        Notes, a list of sentences: what the file holds that was left alone.

    Raises:
        Unreadable: what is wrong with it.
    """
    _look_at_start(path)
    if not zipfile.is_zipfile(path):
        raise Unreadable(f"It is not an .xlsx workbook, whatever its name says: {RESAVE}.")
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        names = {part.filename for part in parts}
        size = sum(part.file_size for part in parts)
    if "xl/workbook.bin" in names:
        raise Unreadable(f"It is a binary workbook (.xlsb): {RESAVE}.")
    if not {"[Content_Types].xml", "_rels/.rels"} <= names:
        raise Unreadable(f"It is a zip file, but not an .xlsx workbook: {RESAVE}.")
    if size > UNPACKED_BYTES or len(parts) > PARTS:
        raise Unreadable(
            f"It is too large: {size / 2**20:,.0f} MB unpacked in {len(parts):,} parts; at most "
            f"{UNPACKED_BYTES // 2**20} MB are read. Keep the sheets with the table only."
        )
    if len({name.casefold() for name in names}) < len(parts):
        raise Unreadable(f"It holds two parts of one name, of which one is hidden: {RESAVE}.")
    notes = []
    if any(name.endswith("vbaProject.bin") for name in names):
        notes.append("it holds macros; they were not run")
    if any(name.startswith("xl/externalLinks/") for name in names):
        notes.append("it links to other files; they were not opened")
    return notes


def _look_at_start(path):
    """Refuse what cannot be opened, what is empty, and the two kinds of OLE containers."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise Unreadable("It cannot be opened: it is no file.")
    try:
        with open(path, "rb") as file:
            start = file.read(8)
            if start == bytes.fromhex("D0CF11E0A1B11AE1"):  # an OLE container
                if "EncryptedPackage".encode("utf-16-le") in start + file.read(UNPACKED_BYTES):
                    raise Unreadable(
                        "It is encrypted: open it with its password, save it without, "
                        "and check again."
                    )
                raise Unreadable(f"It is an old .xls file: {RESAVE}.")
    except OSError as error:
        raise Unreadable(f"It cannot be opened: {error.strerror}.") from None
    if not start:
        raise Unreadable("The file is empty.")


def read_workbook(path):
    """Read all cells of a workbook: a `cells.Book`.

    Raises:
        Unreadable: more than `CELLS` cells, or what no spreadsheet program writes. A damaged
            file raises other exceptions.
    """
    left = CELLS

    def take(count):
        nonlocal left
        left -= count
        if left < 0:
            raise Unreadable(
                f"It is too large: more than {CELLS:,} cells. Keep the sheets with the table only."
            )

    try:
        with zipfile.ZipFile(path) as archive:
            return read_book(archive, take)
    except Entities:
        what = "It declares XML entities, which no spreadsheet program does"
    except Damaged as error:
        what = f"It is damaged: {error}"
    raise Unreadable(f"{what}: {RESAVE}.")


def address_of(row, column):
    """(3, 2) → B3."""
    return f"{get_column_letter(column)}{row}"


def absolute(address):
    """B3 → $B$3, also behind a sheet's name."""
    return re.sub(r"([A-Z]+)(\d+)$", r"$\1$\2", address)


# A sheet's name that Excel writes without quotes: a word that is no cell address, no R1C1.
_BARE_NAME = re.compile(r"(?!\d|[A-Za-z]{1,3}\d+$|[RrCc]\d*$|[Rr]\d*[Cc]\d*$)[\w.]+")


def on_sheet(title, address):
    """An address on another sheet, its name quoted as Excel quotes it: 'My data'!B3."""
    if not _BARE_NAME.fullmatch(title):
        title = "'" + title.replace("'", "''") + "'"
    return f"{title}!{address}"


# Digits with a point or a comma, also 1e-5.
_NUMBER = re.compile(r"\s*[-+]?(\d+[.,]?\d*|[.,]\d+)(e[-+]?\d+)?\s*", re.IGNORECASE)


def number_in(value):
    """A cell's value as a float. Text of a number counts.

    NaN for empty, text, errors, dates, and numbers too large for a spreadsheet (1e999).
    """
    if isinstance(value, str) and len(value) < 40 and _NUMBER.fullmatch(value):
        value = float(value.replace(",", "."))
    if isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value):
        return float(value)
    return np.nan


def shown(text, length=300):
    """What a file says, on one line, without control characters, and not too long."""
    text = "".join(c if c.isprintable() else " " for c in str(text)[: length + 1])
    return text if len(text) <= length else text[: length - 1] + "…"
