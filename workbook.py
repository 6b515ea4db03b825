"""Lesson 1: writes backprop.xlsx, a spreadsheet whose cells are live formulas.

The formulas are those of `backprop.py`, rendered for Excel; none is typed here. Every
formula cell also carries its computed value, so that a preview, protected view, a
phone and `pandas.read_excel` show numbers without calculating.

    python workbook.py write [FILE]
    python workbook.py check FILE… [--json] [--csv OUT]

Checking is done by `grading/`, which is loaded only then.
"""

import argparse
import datetime
import io
import re
import sys
import warnings
import zipfile
from pathlib import Path

import xlsxwriter

import backprop
import sheets
from files import replacing

ROOT = Path(__file__).parent
MAX_EPOCHS = 5000  # seven tables of that length: about a million formulas
CREATED = datetime.datetime(2026, 1, 1)  # fixed, so that equal content gives equal bytes


# --- Writing a file without losing one ---------------------------------------------


def write_workbook(
    path,
    inputs=backprop.INPUT_VALUES,
    targets=backprop.TARGET_VALUES,
    weights=backprop.WEIGHT_VALUES,
    learning_rate=1.0,
    epochs=backprop.EPOCHS,
):
    """Write the six-sheet workbook; the arguments are those of `gradient_descent`.

    The same arguments give the same bytes. A crash leaves the old file whole. A workbook
    that somebody has saved since we wrote it (with answers in it, perhaps), and any other
    file of that name, is kept under the next free name, backprop.1.xlsx, and a warning
    says so.

    Returns:
        The path written.

    Raises:
        ValueError: the numbers make no sense, more than `MAX_EPOCHS` epochs, or a name
            that does not end in .xlsx.
        PermissionError: the workbook is open in Excel or LibreOffice.
        FileNotFoundError: no such folder, or the picture in images/ is missing.
    """
    path = Path(path)
    if path.suffix.lower() != ".xlsx":
        raise ValueError(f"a workbook's name ends in .xlsx: {path}")
    if not path.resolve().parent.is_dir():
        raise FileNotFoundError(f"no such folder: {path.resolve().parent}")
    network = {"inputs": inputs, "targets": targets, "weights": weights}
    _replace(path, _workbook_bytes(network, learning_rate, epochs))
    return path


def _replace(path, data):
    """Put `data` at `path`: all of it or nothing, and never over somebody's work."""
    target = path.resolve()  # through a symbolic link
    for lock in (target.with_name(f".~lock.{target.name}#"), target.with_name(f"~${target.name}")):
        if lock.exists():
            raise PermissionError(
                f"{path.name} seems to be open: close it, then write again. "
                f"Nothing was changed. (If it is not open, delete {lock.name}.)"
            )
    kept = None
    try:
        old = target.read_bytes() if target.exists() else None
        if old == data:
            return
        with replacing(target) as file:
            file.write(data)
            if old and not _untouched(old):
                numbered = (target.with_suffix(f".{n}.xlsx") for n in range(1, 10**6))
                kept = next(name for name in numbered if not name.exists())
                with replacing(kept) as copy:
                    copy.write(old)
    except OSError as error:
        if kept is not None:
            kept.unlink(missing_ok=True)
        if not isinstance(error, PermissionError):
            raise
        raise PermissionError(
            f"{path.name} cannot be replaced ({error.strerror}): close it if it is open, "
            "or choose another folder. Nothing was changed."
        ) from error
    if kept is not None:
        warnings.warn(f"the {path.name} that was here is kept as {kept.name}", stacklevel=3)


def _untouched(data):
    """Say whether a workbook still is as we wrote it: a spreadsheet program dates its own."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            core = archive.read("docProps/core.xml").decode()
            return archive.testzip() is None and _modified(core) == CREATED.isoformat() + "Z"
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError):
        return False


def _modified(core):
    found = re.search(r"<dcterms:modified[^>]*>([^<]*)<", core)
    return found and found.group(1)


class Formats:
    """The cell formats of all sheets, each made on first use."""

    BASE = {"font_name": "Calibri", "font_size": 11, "valign": "vcenter"}
    BORDER = {"border": 1, "border_color": "#BFBFBF"}
    YELLOW = {"bg_color": "#FFEB3B", "border": 2, "border_color": "#BF9000"}
    STYLES = {
        "title": {"bold": True, "font_size": 16},
        "note": {"font_color": "#595959", "italic": True},
        "step": {"bold": True},
        "text": {"text_wrap": True, **BORDER},
        "formula text": {"text_wrap": True, "font_name": "Cambria", **BORDER},
        "difference": {"align": "center", "font_color": "#595959", **BORDER},
        "header": {"bold": True, "align": "center", "bg_color": "#404040", "font_color": "#FFFFFF"},
        "change me": {**YELLOW, "align": "center"},
        "answer": YELLOW,
        "verdict": {"bold": True, "align": "center", **BORDER},
        "good": {"bg_color": "#C6EFCE", "font_color": "#006100"},
        "bad": {"bg_color": "#FFC7CE", "font_color": "#9C0006"},
        "open": {"bg_color": "#E7E6E6", "font_color": "#595959"},
    }
    NUMBERS = {"epoch": "0", "loss": "0.0000E+00", "gradient": "0.0000E+00"}
    NUMBERS |= {role: "0.000000" for role in ("target", "input", "weight", "forward")}

    def __init__(self, book, role_colours):
        self.book, self.role_colours, self.made = book, role_colours, {}

    def __call__(self, style, number=None):
        key = (style, number)
        if key not in self.made:
            settings = {**self.BASE, **self.STYLES[style]}
            self.made[key] = self.book.add_format({**settings, **self._number(number)})
        return self.made[key]

    def role(self, role, kind="cell"):
        """The format of a column or row by its role. kind: band, header, label or cell."""
        key = (role, kind)
        if key not in self.made:
            colour = {"bg_color": self.role_colours[role]}
            heading = {"bold": True, "align": "center", **colour}
            settings = {
                "band": {**heading, "border": 1},
                "header": {**heading, "bottom": 2},
                "label": {**heading, **self.BORDER},
                "cell": {**colour, **self.BORDER, **self._number(self.NUMBERS[role])},
            }[kind]
            self.made[key] = self.book.add_format({**self.BASE, **settings})
        return self.made[key]

    @staticmethod
    def _number(number):
        return {"num_format": number} if number else {}


def _workbook_bytes(network, learning_rate, epochs):
    """Build the workbook in memory."""
    import figures  # here, and not above: `check` needs no matplotlib

    learning_rate, epochs = backprop.check_training(learning_rate, epochs)
    if epochs > MAX_EPOCHS:
        raise ValueError(f"a workbook holds at most {MAX_EPOCHS} epochs, not {epochs}")
    sheets.refuse_overflow(**network)
    if not sheets.PICTURE.exists():
        raise FileNotFoundError(f"{sheets.PICTURE} is missing: `python figures.py` draws it")
    run = backprop.gradient_descent(**network, learning_rate=learning_rate, epochs=epochs)
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    book.set_properties({"title": "Backpropagation, step by step", "created": CREATED})
    formats = Formats(book, figures.ROLE_COLOURS)
    for name in sheets.SHEETS:
        sheet = book.add_worksheet(name)
        sheet.hide_gridlines(2)
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        sheet.fit_to_pages(1, 0)
    sheets.write_equations(book, formats, network)
    sheets.write_backpropagation(book, formats, run, learning_rate)
    sheets.write_with_deltas(book, formats, run)
    curve_styles = zip(figures.CURVE_COLOURS, figures.CURVE_DASHES)
    sheets.write_loss_curves(book, formats, network, epochs, curve_styles)
    sheets.write_gradient_check(book, formats, run)
    sheets.write_your_turn(book, formats, network)
    book.get_worksheet_by_name("Backpropagation").activate()
    book.close()
    return buffer.getvalue()


# --- The command line --------------------------------------------------------------


def main(arguments=None):
    """The command line. Exit status of check: 0 all right, 1 something wrong, 2 unreadable."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("write", help="write the workbook")
    write.add_argument(
        "file", nargs="?", default=str(ROOT / "backprop.xlsx"), help="default: backprop.xlsx"
    )
    check = commands.add_parser("check", help="check students' workbooks")
    check.add_argument("files", nargs="+", metavar="FILE", help="an .xlsx file")
    check.add_argument("--json", action="store_true", help="one JSON object a line")
    check.add_argument("--csv", metavar="OUT", help="write all verdicts to a CSV file too")
    arguments = parser.parse_args(arguments)
    try:
        if arguments.command == "write":
            print(f"wrote {write_workbook(arguments.file)}")
            return 0
        from grading import workbooks

        return workbooks.check_command(arguments.files, arguments.json, arguments.csv)
    except (OSError, RuntimeError, ValueError) as error:
        parser.exit(2, f"workbook.py: {error}\n")


if __name__ == "__main__":
    sys.exit(main())
