"""Finds the tables of lesson 1's network in the sheets of a workbook, by their headers.

Also what stands around them: the numbers beside a label, and the learning rates that a
sheet states. Whether the numbers are right is not asked here.
"""

import re
import unicodedata
from functools import lru_cache

import numpy as np

from backprop import GIVEN
from grading.quantities import COMPUTED_NAMES, CONSTANT_NAMES, GIVEN_NAMES, WEIGHT_NAMES
from grading.reading import absolute, address_of, cell_at, number_in

# --- What a header says ------------------------------------------------------------

# What a header may say, once it has only small letters and digits: see `_plain`.
_LOSS = "e|err|error|loss|cost|j"
_GRADIENT = "grad(?:ient)?|nabla|g"
HEADERS = [
    ("epoch", "epochs?|iteration|iter|step"),
    ("eta", "eta|lr|learningrate|alpha"),
    (r"t\1", r"(?:t|y|target|targeto|targ)([12])"),
    (r"i\1", r"(?:i|x|in|input|inp)([12])"),
    (r"w\1", r"w(?:eight)?([1-8])"),
    (r"h\1", r"(?:neth|inh|zh|h)([12])"),
    (r"a_h\1", r"(?:a|out|act|activation|sigma|sigmoid|sig|s)h([12])"),
    (r"o\1", r"(?:neto|ino|zo|o)([12])"),
    (r"a_o\1", r"(?:a|out|act|activation|sigma|sigmoid|sig|s)o([12])"),
    (r"E\1", rf"(?:{_LOSS})o?([12])"),
    ("E_total", rf"(?:{_LOSS})(?:t|tot|total)?|(?:total|tot|sum)(?:{_LOSS})"),
    (r"∂E/∂w\1", rf"(?:d(?:(?:{_LOSS})(?:t|tot|total)?d?)?|(?:{_GRADIENT})(?:of)?)w([1-8])"),
    (r"∂E/∂w\1", rf"w([1-8])(?:{_GRADIENT})"),
]
SIGNS = {"∂": "d", "Δ": "delta", "δ": "d", "∇": "nabla", "σ": "sigma", "η": "eta", "α": "alpha"}


def _plain(text):
    """A header in small letters and digits: "∂E_total / ∂w₁" → "detotaldw1"."""
    text = unicodedata.normalize("NFKC", text)  # also turns ₁ into 1
    for sign, name in SIGNS.items():
        text = text.replace(sign, name)
    return re.sub(r"[^a-z0-9]", "", text.lower())


def canonical_name(text):
    """The column that a header names, in the spelling of `backprop.COLUMNS`, or None."""
    return _canonical_name(text) if isinstance(text, str) and len(text) <= 40 else None


@lru_cache(1000)
def _canonical_name(text):
    for plain in (_plain(text), _plain(re.sub(r"[(\[].*", "", text))):  # t1 (target)
        for name, pattern in HEADERS:
            if found := re.fullmatch(pattern, plain):
                return found.expand(name)
    return None


def forget_headers():
    """Forget the headers seen so far, so that no file's texts stay in memory."""
    _canonical_name.cache_clear()


# --- Tables ------------------------------------------------------------------------


def _find_headers(rows):
    """Yield (row number, {canonical name: column}) for every header row of a table.

    Where a whole second set of names follows in a row, another table begins. A name that
    only comes again is a copy, and the first column counts.
    """
    for number, row in rows.items():
        named = [(c, canonical_name(text)) for c, text in enumerate(row, start=1)]
        named = [(c, name) for c, name in named if name]
        if len(named) < 8:
            continue
        found = {}
        for k, (column, name) in enumerate(named):
            if name in found:
                rest = {later for _, later in named[k:]}
                if not (
                    rest >= WEIGHT_NAMES and rest & COMPUTED_NAMES and found.keys() >= WEIGHT_NAMES
                ):
                    continue
                yield number, found
                found = {}
            found[name] = column
        if len(found) >= 8 and found.keys() & COMPUTED_NAMES and found.keys() & GIVEN_NAMES:
            yield number, found


_SUMMARY = re.compile(r"\b(average|avg|mean|sum|total|min|max|median|std|stdev)\b", re.IGNORECASE)


class Table:
    """One table: where its columns are, and its numbers, an array for each column.

    Attributes:
        sheet, header_row: where it stands.
        columns: canonical name → column number. A canonical name is that of
            `backprop.COLUMNS`, or "eta".
        rows: the row numbers that hold data.
        values: canonical name → float array (rows,); NaN where there is no number.
        cells: canonical name → the single cell that gives it for all rows.
        raw: canonical name → the cells as they were read.
        notes: sentences about what was left out.
        checkable: which rows have all that is needed to calculate them.
        consecutive: which rows are followed by their next epoch.
    """

    def __init__(self, sheet, header_row, columns, rows, last_row, labels):
        self.sheet, self.header_row, self.columns = sheet, header_row, dict(columns)
        self.cells, self.notes = {}, []
        self.rows = self._data_rows(rows, last_row)
        self.raw = {name: [cell_at(rows, n, c) for n in self.rows] for name, c in columns.items()}
        self.values = {
            name: np.array([*map(number_in, raw)], float) for name, raw in self.raw.items()
        }
        if "eta" in columns and not np.isfinite(self.values["eta"]).all():  # a label in that row
            del self.columns["eta"]
        for name in sorted(CONSTANT_NAMES):
            if name in columns and all(cell is None for cell in self.raw[name][1:]) and self.rows:
                self._set_in_all_rows(
                    name, address_of(self.rows[0], self.columns.pop(name)), self.values[name][0]
                )
            elif name not in columns and name in labels:  # it stands once, beside a label
                self._set_in_all_rows(name, *labels[name])
        given = [
            self.values.get(name, np.full(len(self.rows), np.nan)) for name in sorted(GIVEN_NAMES)
        ]
        self.checkable = np.isfinite(given).all(0)
        steps = np.diff(self.values.get("epoch", np.full(len(self.rows), np.nan)))
        adjacent = np.diff(self.rows) == 1
        self.consecutive = np.where(np.isfinite(steps), steps == 1, adjacent)
        if (left := np.flatnonzero(~self.checkable)).size and self.checkable.any():
            self.notes.append(
                f"{left.size} of {len(self.rows)} rows could not be checked, the first is row "
                f"{self.rows[left[0]]}: a weight, input or target in it is not a number."
            )

    def _data_rows(self, rows, last_row):
        """The rows with numbers under the header, without averages and lone rows far below."""
        given = [column for name, column in self.columns.items() if name in GIVEN_NAMES]
        span = range(min(self.columns.values()) - 1, max(self.columns.values()) + 1)
        found = []
        for n in range(self.header_row + 1, last_row + 1) if len(rows) > 1 else ():
            if n not in rows or 2 * sum(cell_at(rows, n, c) is not None for c in given) <= len(
                given
            ):
                continue
            texts = [text for c in span if isinstance(text := cell_at(rows, n, c), str)]
            epoch = self.columns.get("epoch")
            counted = epoch is None or not found or np.isfinite(number_in(cell_at(rows, n, epoch)))
            alone = found and n - found[-1] > 1 and n + 1 not in rows and epoch is None
            if any(map(_SUMMARY.search, texts)) or not counted or alone:
                self.notes.append(f"Row {n} was taken for a summary and left out.")
            else:
                found.append(n)
        return found

    def _set_in_all_rows(self, name, address, value):
        self.cells[name] = address
        self.values[name] = np.full(len(self.rows), value)

    def address(self, name, k):
        """The address of a column's cell in data row k; a single cell is absolute."""
        if name in self.cells:
            return absolute(self.cells[name])
        return address_of(self.rows[k], self.columns[name])


def _labelled(rows, headers):
    """Yield (canonical name, address, value) of numbers to the right of a label, or else below.

    A header of a table is not a label, except η: it may stand in the same row.
    """
    skip = {(n, c) for n, columns in headers for name, c in columns.items() if name != "eta"}
    for number, row in rows.items():
        for column, text in enumerate(row, start=1):
            if (number, column) not in skip and (name := canonical_name(text)):
                for place in ((number, column + 1), (number, column + 2), (number + 1, column)):
                    value = number_in(cell_at(rows, *place))
                    if np.isfinite(value):
                        yield name, address_of(*place), value
                        break


def find_tables(sheets):
    """Find all tables that can be checked, and say why others cannot.

    Args:
        sheets: what `reading.read_sheets` returns.

    Returns:
        (tables, sentences, labels): labels is a dict sheet name → [(name, address, value)],
        the numbers beside a label, first those of the sheet, then those of sheets without
        a table.
    """
    headers = {sheet: [*_find_headers(rows)] for sheet, rows in sheets.items()}
    labels = {sheet: [*_labelled(rows, headers[sheet])] for sheet, rows in sheets.items()}
    elsewhere = [
        (name, f"'{sheet}'!{address}", value)
        for sheet, found in labels.items()
        if not headers[sheet]
        for name, address, value in found
    ]
    tables, problems = [], []
    for sheet, rows in sheets.items():
        labels[sheet] += elsewhere
        first = {name: (address, value) for name, address, value in reversed(labels[sheet])}
        for number, columns in headers[sheet]:
            span = range(min(columns.values()), max(columns.values()) + 1)
            later = [n for n, c in headers[sheet] if n > number and {*span} & {*c.values()}]
            last_row = min(later, default=max(rows) + 1) - 1
            table = Table(sheet, number, columns, rows, last_row, first)
            where = f"{sheet}, row {number}"
            if missing := [s.name for s in GIVEN if s.name not in table.values]:
                problems.append(
                    f"The table in {where} has no column, and no labelled cell, for "
                    f"{', '.join(missing)}: without them its rows cannot be computed."
                )
            elif table.checkable.any():
                tables.append(table)
            else:
                problems.append(
                    f"The table in {where} has a header, but no row under it has numbers for all "
                    "weights, inputs and targets."
                )
    return tables, problems, labels


# --- The learning rate -------------------------------------------------------------

_RATE = re.compile(
    r"(?:η|\beta|\blr|learning[ _-]*rate|(?:α|\balpha)(?=\s*[:=]))\s*(?:[:=]|is)?\s*"
    r"(\d*[.,]?\d+(?:e-?\d+)?)(?!\s*[%/\d.,])",
    re.IGNORECASE,
)


def stated_rates(table, rows, labels, alone):
    """The learning rates that a sheet states, the likeliest first.

    Args:
        rows: the cells of the table's sheet.
        labels: the numbers beside a label, as `find_tables` gives them.
        alone: no other table stands in the sheet.

    Returns:
        A list of (η, where it stands, whether that is a cell).
    """
    span = range(min(table.columns.values()) - 1, max(table.columns.values()) + 1)  # and epoch
    cells = [(value, address, True) for name, address, value in labels if name == "eta"]
    above, beside = [], []
    for number, row in rows.items():
        for column, text in enumerate(row, start=1):
            if isinstance(text, str) and len(text) < 80 and (found := _RATE.search(text)):
                place = (number_in(found[1]), f"the text in {address_of(number, column)}", False)
                (above if column in span else beside).append(place)
    if found := _RATE.search(table.sheet):
        above.append((number_in(found[1]), "the sheet's name", False))
    return cells + above + beside if alone else above + cells
