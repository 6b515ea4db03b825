"""Sheets as the checker reads them: a table an epoch a row, in one piece.

Students let the epochs run across the columns, put the gradients on a second sheet, or below
the weights. Here such cells are arranged anew, and the references in all formulas follow
them. Every address that a person reads is still the one in the file: a view knows where its
cells come from.
"""

import re
from typing import NamedTuple

import numpy as np
from openpyxl.utils import column_index_from_string, get_column_letter

from grading.cells import LAST_ROW, Book, Formula, Sheet
from grading.headers import canonical_name
from grading.parsing import CELL
from grading.quantities import COMPUTED_NAMES, CONSTANT_NAMES, WEIGHT_NAMES
from grading.reading import number_in, on_sheet
from grading.tables import FEWEST_NAMES, find_headers

MOST_ROWS = 400  # of a sheet whose epochs may run across: it has a row a quantity
MOST_CELLS = 2_000_000  # of two sheets side by side
LAST_COLUMN = 18_278  # ZZZ
FEWEST_JOINED = 3  # names in the header of a second sheet that the first one lacks


class Part(NamedTuple):
    """A sheet of the file in a view, or some rows: its cell (row, column) stands at `place`."""

    sheet: Sheet
    down: int = 0
    right: int = 0
    across: bool = False
    rows: range = range(1, LAST_ROW + 1)

    def place(self, row, column):
        """Where a cell of the sheet stands in the view."""
        if self.across:
            row, column = column, row
        return row + self.down, column + self.right

    def origin(self, row, column):
        """Where a cell of the view stands in the sheet."""
        row, column = row - self.down, column - self.right
        return (column, row) if self.across else (row, column)


class View(Sheet):
    """Some sheets, arranged anew, as one. The first gives its title.

    Args:
        parts: the `Part`s, from left to right.
    """

    def __init__(self, parts):
        self.parts = parts
        hidden = any(part.sheet.hidden for part in parts)
        super().__init__(parts[0].sheet.title, self._arranged(), hidden=hidden)
        self.across, self.as_in_file = parts[0].across, False

    def _arranged(self):
        """The rows: row number → tuple of values."""
        rows = {}
        for part in self.parts:
            for number in part.sheet.rows:
                if number not in part.rows:
                    continue
                for k, value in enumerate(part.sheet.rows[number], start=1):
                    if value is None:
                        continue
                    row, column = part.place(number, k)
                    line = rows.setdefault(row, [])
                    line += [None] * (column - len(line))
                    line[column - 1] = value
        return {number: tuple(rows[number]) for number in sorted(rows)}

    def take_formulas(self, rewritten):
        """Take over the formulas of the parts.

        Args:
            rewritten: a function of (text, title of the sheet it stands on) → text.
        """
        known = {}
        for part in self.parts:
            for place, formula in part.sheet.formulas.items():
                if place[0] not in part.rows:
                    continue
                key = (part.sheet.title, formula)
                if key not in known:
                    text = rewritten(formula.text, part.sheet.title)
                    known[key] = Formula(text, *part.place(formula.row, formula.column))
                self.formulas[part.place(*place)] = known[key]

    def part_of(self, column):
        """The part to which a column of the view belongs."""
        return next(part for part in reversed(self.parts) if column > part.right)

    def formula_text(self, row, column):
        part = self.part_of(column)
        return part.sheet.formula_text(*part.origin(row, column))

    def address(self, row, column, seen_from=None):
        part = self.part_of(column)
        here = self.parts[0] if seen_from is None else self.part_of(seen_from)
        address = part.sheet.address(*part.origin(row, column))
        return address if part.sheet is here.sheet else on_sheet(part.sheet.title, address)

    def line(self, row):
        number = row - self.parts[0].down
        return get_column_letter(number) if self.across else number

    def column_name(self, column):
        return f"row {column}" if self.across else super().column_name(column)


# --- References --------------------------------------------------------------------

_REFERENCE = re.compile(
    r"(?:(?P<sheet>'(?:[^']|'')+'|[\w.]+)!)?(?<![\w.$])"
    r"(?P<first>\$?[A-Z]{1,3}\$?[1-9]\d{0,6})(?::(?P<last>\$?[A-Z]{1,3}\$?[1-9]\d{0,6}))?(?![\w(.!])"
)


class _Rewriter:
    """Rewrites references to sheets that are arranged anew.

    Args:
        views: a list of `View`.
    """

    def __init__(self, views):
        self.views, self.parts = {}, {}
        for view in views:
            for part in view.parts:
                title = part.sheet.title.casefold()
                self.views[title] = view
                self.parts.setdefault(title, []).append(part)

    def __call__(self, text, title):
        """A formula of the sheet with this title, its references to cells in their views."""
        home = self.views.get(title.casefold())

        def moved(found):
            named = found["sheet"]
            target = named.strip("'").replace("''", "'") if named else title
            view, parts = (known.get(target.casefold()) for known in (self.views, self.parts))
            if view is None:
                return found[0]
            ends = [self._moved(parts, end) for end in (found["first"], found["last"]) if end]
            address = ":".join(ends)
            return address if view is home else on_sheet(view.title, address)

        return _REFERENCE.sub(moved, text)

    @staticmethod
    def _moved(parts, address):
        column_fixed, letters, row_fixed, digits = CELL.fullmatch(address).groups()
        part = next((part for part in parts if int(digits) in part.rows), None)
        if part is None:  # no sheet has as many rows
            return "#REF!"
        row, column = part.place(int(digits), column_index_from_string(letters))
        if part.across:
            row_fixed, column_fixed = column_fixed, row_fixed
        if column > LAST_COLUMN:
            return "#REF!"
        return f"{column_fixed}{get_column_letter(column)}{row_fixed}{row}"


def with_views(book, views):
    """A workbook with views in place of their sheets."""
    rewritten = _Rewriter(views)
    first = {view.parts[0].sheet.title: view for view in views}
    taken = {part.sheet.title for view in views for part in view.parts}
    sheets = []
    for sheet in book.sheets:
        if sheet.title in first:
            first[sheet.title].take_formulas(rewritten)
            sheets.append(first[sheet.title])
        elif sheet.title not in taken:
            formulas = {
                place: formula._replace(text=rewritten(formula.text, sheet.title))
                if "!" in formula.text else formula
                for place, formula in sheet.formulas.items()
            }  # fmt: skip
            sheets.append(sheet.with_formulas(formulas))
    names = {name: rewritten(text, "") for name, text in book.names.items()}
    return Book(sheets, names)


# --- Which sheets are arranged anew ------------------------------------------------


def arranged(book):
    """A workbook in which every table has an epoch a row, and all its columns on one sheet."""
    across = [view for sheet in book.sheets if (view := _across(sheet))]
    headed = any(find_headers(sheet) for sheet in book.sheets)
    if headed:  # beside a table, it may be something else: an example, a check of gradients
        across = [view for view in across if _epochs(view) > 1]
    if across:
        book = with_views(book, across)
    joined = _joined(book)
    return with_views(book, [joined]) if joined else book


def _across(sheet):
    """A sheet with rows and columns exchanged, where that shows a table; else None."""
    if not sheet.rows or max(sheet.rows) > MOST_ROWS or find_headers(sheet):
        return None
    named = {}
    for cells in sheet.rows.values():
        for column, text in enumerate(cells):
            if canonical_name(text):
                named[column] = named.get(column, 0) + 1
    if max(named.values(), default=0) < FEWEST_NAMES:
        return None
    view = View([Part(sheet, across=True)])
    complete = any(columns.keys() >= WEIGHT_NAMES for _, columns in find_headers(view))
    return view if complete else None


def _epochs(view):
    """How many epochs are counted in a view's first table."""
    row, columns = find_headers(view)[0]
    below = [n for n in view.rows if n > row and "epoch" in columns]
    return sum(np.isfinite(number_in(view.value(n, columns["epoch"]))) for n in below)


def _joined(book):
    """A view of the first table and the sheets that go on with its columns; else None."""
    tables = [(s, h) for s in book.sheets for h in find_headers(s) if h[1].keys() >= WEIGHT_NAMES]
    if not tables:
        if blocks := next(filter(None, map(_blocks, book.sheets)), None):
            return blocks
        tables = [(s, h) for s in book.sheets if (h := _second_header(s))[1] >= WEIGHT_NAMES]
    if len(tables) != 1:
        return None
    (main, (header, columns)), *_ = tables
    known, others = {*columns}, []
    for sheet in book.sheets:
        row, names = _second_header(sheet) if sheet is not main else (None, set())
        more = (names & (COMPUTED_NAMES | CONSTANT_NAMES)) - known
        if len(more) >= FEWEST_JOINED and more & COMPUTED_NAMES and not names >= WEIGHT_NAMES:
            others.append((sheet, row))
            known |= names
    widths = [max(map(len, sheet.rows.values())) for sheet in (main, *(s for s, _ in others))]
    lengths = [len(sheet.rows) for sheet in (main, *(s for s, _ in others))]
    if not others or sum(widths) * sum(lengths) > MOST_CELLS or isinstance(main, View):
        return None
    top = max(header, *(row for _, row in others))
    parts, right = [Part(main, top - header)], widths[0]
    for (sheet, row), width in zip(others, widths[1:]):
        parts.append(Part(sheet, top - row, right))
        right += width
    return View(parts)


def _blocks(sheet):
    """A view of blocks that stand one below another, each with other columns; else None."""
    headers = [(n, {*map(canonical_name, cells)} - {None}) for n, cells in sheet.rows.items()]
    headers = [(n, names) for n, names in headers if len(names) >= FEWEST_JOINED]
    headers = [(n, names) for n, names in headers if names & (COMPUTED_NAMES | WEIGHT_NAMES)]
    headers = [(n, names) for n, names in headers if _has_epochs(sheet, n)]
    known = [name for _, names in headers for name in names - {"epoch", "eta"}]
    if len(headers) < 2 or len({*known}) < len(known) or not {*known} >= WEIGHT_NAMES:
        return None
    width = max(map(len, sheet.rows.values()))
    if width * len(headers) * len(sheet.rows) > MOST_CELLS:
        return None
    starts = [1, *(n for n, _ in headers[1:]), LAST_ROW + 1]
    top = headers[0][0]
    return View([
        Part(sheet, top - number, k * width, rows=range(starts[k], starts[k + 1]))
        for k, (number, _) in enumerate(headers)
    ])  # fmt: skip


def _has_epochs(sheet, number):
    """Whether two of the three rows below a header have numbers: one row is no training."""
    rows = [sheet.rows.get(number + k, ()) for k in (1, 2, 3)]
    counts = [np.isfinite([number_in(value) for value in row]).sum() for row in rows]
    return sum(count >= FEWEST_JOINED for count in counts) > 1


def _second_header(sheet):
    """The row with the most names on a sheet, and these: (row number, set)."""
    found = [(n, {*map(canonical_name, cells)} - {None}) for n, cells in sheet.rows.items()]
    return max(found, key=lambda line: len(line[1]), default=(None, set()))
