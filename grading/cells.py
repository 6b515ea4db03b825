"""Reads the XML of a workbook: the value and the formula of every cell, in one pass.

A file may be hostile. It is read as a stream, a document type (and with it every entity) is
refused, and what spreadsheet programs would repair or ignore (a cell that stands twice,
rows out of order, elements of another namespace) is refused or ignored here too. How
large a file may be is asked in `reading.py`.
"""

import datetime
import posixpath
import re
from typing import NamedTuple
from xml.parsers import expat

from openpyxl.formula.translate import Translator
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format
from openpyxl.utils import column_index_from_string, get_column_letter
from openpyxl.utils.datetime import from_excel

MAIN = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",  # "strict" workbooks
)
ROW = 4  # a row takes as long to read as these many cells more
LAST_ROW = 1_048_576  # a sheet has no more


class Damaged(Exception):
    """The XML is not that of a workbook; the message names what is wrong."""


class Entities(Exception):
    """The XML declares a document type, which no spreadsheet program does."""


class Formula(NamedTuple):
    """A formula as the file has it: its text without "=", and the cell for which it is written.

    Cells that share a formula have the text of the first of them.
    """

    text: str
    row: int
    column: int


class Sheet:
    """The cells of one sheet.

    Attributes:
        title: its name. hidden: whether a reader of the workbook does not see it.
        across: whether a row of it is a column in the file, see `views.py`.
        as_in_file: whether every cell stands where it stands in the file.
        rows: row number → tuple of values, both counted from 1; None for an empty cell.
        formulas: (row, column) → `Formula`.
    """

    across, as_in_file = False, True

    def __init__(self, title, rows, formulas=None, hidden=False):
        self.title, self.rows, self.hidden = title, rows, hidden
        self.formulas = formulas or {}

    @property
    def name(self):
        """The title, and whether the sheet is hidden."""
        return self.title + (" (hidden)" if self.hidden else "")

    def value(self, row, column):
        """What stands in a cell, both counted from 1; None where nothing does."""
        cells = self.rows.get(row, ())
        return cells[column - 1] if 0 < column <= len(cells) else None

    def address(self, row, column, seen_from=None):
        """(3, 2) → B3, as a formula writes it.

        Args:
            seen_from: the column in which the formula stands, where that matters.
        """
        return f"{get_column_letter(column)}{row}"

    def line(self, row):
        """The number of a row in the file; the letter of its column where it runs across."""
        return row

    def line_name(self, row):
        """What a person calls a row: row 3."""
        return f"{'column' if self.across else 'row'} {self.line(row)}"

    def column_name(self, column):
        """What a person calls a column: column B."""
        return f"column {get_column_letter(column)}"

    def with_formulas(self, formulas):
        """The same sheet with other formulas."""
        return Sheet(self.title, self.rows, formulas, self.hidden)

    def formula_text(self, row, column):
        """A cell's formula with "=", in its own addresses; None where it has none."""
        formula = self.formulas.get((row, column))
        if formula is None:
            return None
        text, here = "=" + formula.text, f"{get_column_letter(column)}{row}"
        origin = f"{get_column_letter(formula.column)}{formula.row}"
        return text if here == origin else Translator(text, origin).translate_formula(here)

    def content(self, row, column):
        """What somebody who clicks on the cell sees: its formula, or else its value."""
        text = self.formula_text(row, column)
        return self.value(row, column) if text is None else text


class Book:
    """A workbook: its sheets in order, and its names for cells, a dict NAME → text."""

    def __init__(self, sheets, names=None):
        self.sheets, self.names = sheets, names or {}
        self._by_title = {sheet.title.casefold(): sheet for sheet in sheets}

    def sheet(self, title):
        """The sheet of that title, or None; capitals do not matter."""
        return self._by_title.get(title.casefold())


# --- XML ---------------------------------------------------------------------------


def parse_xml(stream, start, end=None, text=None):
    """Parse XML by calls of start(tag, attributes), end(tag) and text(characters).

    Tags of the main namespace come without it; those of others as "namespace tag".

    Raises:
        Entities, expat.ExpatError: see the module's docstring.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    known = {}

    def refuse(*_):
        raise Entities

    def plain(name):
        if name not in known:
            space, _, tag = name.rpartition(" ")
            known[name] = tag if space in MAIN else name
        return known[name]

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = lambda name, attributes: start(plain(name), attributes)
    if end:
        parser.EndElementHandler = lambda name: end(plain(name))
    if text:
        parser.CharacterDataHandler = text
    parser.ParseFile(stream)


def _elements(archive, part):
    """All start tags of a small part: a list of (tag, attributes)."""
    found = []
    with archive.open(part) as stream:
        parse_xml(stream, lambda tag, attributes: found.append((tag, attributes)))
    return found


def _relations(archive, part):
    """What a part refers to: id → (kind, target part)."""
    folder, name = posixpath.split(part)
    relations = {}
    for tag, attributes in _elements(archive, posixpath.join(folder, "_rels", f"{name}.rels")):
        if tag.endswith(" Relationship") and attributes.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", folder, attributes["Target"]))
            kind = attributes["Type"].rpartition("/")[2]
            relations[attributes["Id"]] = (kind, target.lstrip("/"))
    return relations


# --- The parts of a workbook -------------------------------------------------------


class _Strings:
    """The strings that cells share: a list, in the order of the file."""

    def __init__(self):
        self.found, self.parts, self.path = [], [], []

    def start(self, tag, attributes):
        self.path.append(tag)

    def text(self, characters):
        if self.path[-1] == "t" and "rPh" not in self.path:  # rPh: how Japanese is pronounced
            self.parts.append(characters)

    def end(self, tag):
        self.path.pop()
        if tag == "si":
            self.found.append("".join(self.parts))
            self.parts = []


def _date_styles(archive, part):
    """The numbers of the cell styles that show a number as a date."""
    custom, styles, inside = {}, [], False
    for tag, attributes in _elements(archive, part):
        if tag == "numFmt":
            custom[attributes["numFmtId"]] = attributes["formatCode"]
        elif tag in ("cellXfs", "cellStyles"):
            inside = tag == "cellXfs"
        elif tag == "xf" and inside:
            number = attributes.get("numFmtId", "0")
            styles.append(custom.get(number) or BUILTIN_FORMATS.get(int(number), "General"))
    return {str(k) for k, code in enumerate(styles) if is_date_format(code)}


class _Cells:
    """The handlers of a sheet's XML: worksheet > sheetData > row > c > f, v, is."""

    def __init__(self, strings, dates, take):
        self.strings, self.dates, self.take = strings, dates, take
        self.rows, self.formulas, self.shared = {}, {}, {}
        self.path, self.columns = [], {}
        self.number, self.row = 0, []

    def start(self, tag, attributes):
        self.path.append(tag)
        parent = self.path[-2] if len(self.path) > 1 else None
        if tag == "row" and parent == "sheetData":
            number = int(attributes.get("r", self.number + 1))
            if not self.number < number <= LAST_ROW:
                raise Damaged("a row stands twice or out of order")
            self.number, self.row = number, []
        elif tag == "c" and parent == "row":
            self._open_cell(attributes)
        elif parent == "c" and tag in ("f", "v"):
            if tag in self.texts:
                raise Damaged("a cell has two values")
            self.texts[tag] = ""
            if tag == "f":
                self.sharing = attributes.get("si") if attributes.get("t") == "shared" else None
        elif tag == "t" and "is" in self.path:
            self.texts.setdefault("is", "")

    def _open_cell(self, attributes):
        """Begin a cell: its column is that of its address, or the next one."""
        self.texts, self.attributes, self.sharing = {}, attributes, None
        address = attributes.get("r")
        if address is None:
            column = len(self.row) + 1
        else:
            letters = address.rstrip("0123456789")
            if letters not in self.columns:
                self.columns[letters] = column_index_from_string(letters)
            column = self.columns[letters]
            if address[len(letters) :] != str(self.number):
                raise Damaged("a cell stands in a row that is not its own")
        if column <= len(self.row):
            raise Damaged("a cell stands twice or out of order")
        self.row += [None] * (column - 1 - len(self.row))
        self.column = column

    def text(self, characters):
        tag, parent = self.path[-1], self.path[-2] if len(self.path) > 1 else None
        if parent == "c" and tag in ("f", "v"):
            self.texts[tag] += characters
        elif tag == "t" and "is" in self.path and "rPh" not in self.path:
            self.texts["is"] += characters

    def end(self, tag):
        self.path.pop()
        parent = self.path[-1] if self.path else None
        if tag == "c" and parent == "row":
            self.row.append(self._value())
            self._keep_formula()
        elif tag == "row" and parent == "sheetData" and self.row:
            self.take(len(self.row) + ROW)
            self.rows[self.number] = tuple(self.row)

    def _keep_formula(self):
        """Keep the formula of the cell that ends here; cells that share one have the first's."""
        if "f" not in self.texts:
            return
        text, place = self.texts["f"], (self.number, self.column)
        if text:
            formula = Formula(text, *place)
            if self.sharing is not None:
                self.shared[self.sharing] = formula
        else:
            formula = self.shared.get(self.sharing, Formula("", *place))
        self.formulas[place] = formula

    def _value(self):
        """The value of the cell that ends here, by the type that the file says."""
        kind, text = self.attributes.get("t", "n"), self.texts.get("v")
        if kind == "inlineStr":
            return self.texts.get("is")
        if text is None or (text == "" and kind != "str"):
            return None
        if kind == "n":
            number = int(text) if re.fullmatch(r"-?\d{1,15}", text) else float(text)
            return _date(number) if self.attributes.get("s") in self.dates else number
        if kind == "s":
            return self.strings[int(text)]
        if kind == "b":
            return text == "1"
        if kind == "d":
            return datetime.datetime.fromisoformat(text.rstrip("Z"))
        return text  # str, e


def _date(number):
    """The date that a number is shown as; the number where it is none."""
    try:
        return from_excel(number)
    except (OverflowError, ValueError):
        return number


def read_book(archive, take):
    """Read all sheets of a workbook, hidden ones included.

    Args:
        archive: an open `zipfile.ZipFile`.
        take: called with the width of every row and a little more; it may raise where there
            are too many.

    Returns:
        A `Book`.

    Raises:
        Damaged, Entities, and whatever broken XML or a missing part raises.
    """
    ((_, book),) = [r for r in _relations(archive, "").values() if r[0] == "officeDocument"]
    relations = _relations(archive, book)
    parts = {kind: part for kind, part in relations.values() if kind in ("sharedStrings", "styles")}
    strings = _Strings()
    if "sharedStrings" in parts:
        with archive.open(parts["sharedStrings"]) as stream:
            parse_xml(stream, strings.start, strings.end, strings.text)
    dates = _date_styles(archive, parts["styles"]) if "styles" in parts else set()
    sheets, titles = [], set()
    for title, state, identity in _sheet_list(archive, book):
        kind, part = relations[identity]
        if title.casefold() in titles:
            raise Damaged("two sheets have one name")
        titles.add(title.casefold())
        if kind != "worksheet":  # a chart
            continue
        cells = _Cells(strings.found, dates, take)
        with archive.open(part) as stream:
            parse_xml(stream, cells.start, cells.end, cells.text)
        sheets.append(Sheet(title, cells.rows, cells.formulas, state != "visible"))
    return Book(sheets, _defined_names(archive, book))


def _sheet_list(archive, book):
    """(title, state, relation) of every sheet, in order."""
    for tag, attributes in _elements(archive, book):
        if tag == "sheet":
            (identity,) = [v for k, v in attributes.items() if k.endswith(" id")]
            yield attributes["name"], attributes.get("state", "visible"), identity


def _defined_names(archive, book):
    """The workbook's names for cells: NAME → text, such as Sheet1!$B$3."""
    names, open_names = {}, []

    def start(tag, attributes):
        whole_book = tag == "definedName" and "localSheetId" not in attributes
        open_names.append(attributes["name"].upper() if whole_book else None)

    def text(characters):
        if open_names[-1]:
            names[open_names[-1]] = names.get(open_names[-1], "") + characters

    with archive.open(book) as stream:
        parse_xml(stream, start, lambda tag: open_names.pop(), text)
    return names
