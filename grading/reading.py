"""Reads the cells of a workbook that may be hostile: nothing in it is run.

What is not a workbook, or too large, is refused with a sentence that says what to do. How
much time and memory the reading may take is limited elsewhere, in `workbooks.py`.
"""

import os
import re
import warnings
import zipfile

import numpy as np
import openpyxl
from openpyxl.utils import get_column_letter

# What one file may hold. Our own workbook with 1,000 epochs has 240,000 cells, 18 MB of XML.
UNPACKED_BYTES = 40 * 2**20
CELLS = 250_000

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
    if os.path.exists(path) and not os.path.isfile(path):
        raise Unreadable("It cannot be opened: it is no file.")
    try:
        with open(path, "rb") as file:
            start = file.read(8)
            if start == bytes.fromhex("D0CF11E0A1B11AE1"):  # an OLE container
                locked = "EncryptedPackage".encode("utf-16-le") in start + file.read(UNPACKED_BYTES)
                if locked:
                    raise Unreadable(
                        "It is encrypted: open it with its password, save it without, "
                        "and check again."
                    )
                raise Unreadable(f"It is an old .xls file: {RESAVE}.")
    except OSError as error:
        raise Unreadable(f"It cannot be opened: {error.strerror}.") from None
    if not start:
        raise Unreadable("The file is empty.")
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
    if size > UNPACKED_BYTES or len(parts) > 2000:
        raise Unreadable(
            f"It is too large: {size / 2**20:,.0f} MB unpacked in {len(parts):,} parts; at most "
            f"{UNPACKED_BYTES // 2**20} MB are read. Keep the sheets with the table only."
        )
    notes = []
    if any(name.endswith("vbaProject.bin") for name in names):
        notes.append("it holds macros; they were not run")
    if any(name.startswith("xl/externalLinks/") for name in names):
        notes.append("it links to other files; they were not opened")
    return notes


def read_sheets(path, values):
    """Read the cells: a dict sheet name → {row number: tuple of cells}, both from 1.

    Args:
        values: True for the values stored when the file was saved, False for the formulas.

    Raises:
        Unreadable: more than `CELLS` cells. A damaged file raises other exceptions.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about styles and extensions that are not read
        book = openpyxl.load_workbook(path, read_only=True, data_only=values, keep_links=False)
        sheets, count = {}, 0
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # a file may claim any size
            rows = {}
            for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
                if not row:
                    continue
                count += len(row)
                if count > CELLS:
                    raise Unreadable(
                        f"It is too large: more than {CELLS:,} cells. "
                        "Keep the sheets with the table only."
                    )
                rows[number] = row
            name = sheet.title + (" (hidden)" if sheet.sheet_state != "visible" else "")
            sheets[name] = rows
        book.close()
    return sheets


def cell_at(rows, number, column):
    """What stands in a row and a column, both counted from 1; None where nothing does."""
    row = rows.get(number, ())
    return row[column - 1] if 0 < column <= len(row) else None


def address_of(row, column):
    """(3, 2) → B3."""
    return f"{get_column_letter(column)}{row}"


def absolute(address):
    """B3 → $B$3, also behind a sheet's name."""
    return re.sub(r"([A-Z]+)(\d+)$", r"$\1$\2", address)


# Digits with a point or a comma, also 1e-5.
_NUMBER = re.compile(r"\s*[-+]?(\d+[.,]?\d*|[.,]\d+)(e[-+]?\d+)?\s*", re.IGNORECASE)


def number_in(value):
    """A cell's value as a float; NaN for empty, text, errors, dates. Text of a number counts."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and len(value) < 40 and _NUMBER.fullmatch(value):
        return float(value.replace(",", "."))
    return np.nan


def is_formula(content):
    """Whether a cell of `read_sheets(values=False)` holds a formula, an array formula included."""
    return hasattr(content, "text") or str(content).startswith("=")


def shown(text, length=300):
    """What a file says, on one line, without control characters, and not too long."""
    text = "".join(c if c.isprintable() else " " for c in str(text)[: length + 1])
    return text if len(text) <= length else text[: length - 1] + "…"
