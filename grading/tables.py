"""Finds the tables of lesson 1's network in the sheets of a workbook, by their headers.

Whether the numbers are right is not asked here. What stands around a table, the numbers
beside a label, is found in `labels.py`.
"""

import re

import numpy as np

from backprop import SIGMOIDS
from grading.families import more_names
from grading.headers import canonical_name, group_names
from grading.quantities import (
    COMPUTED_NAMES,
    CONSTANT_NAMES,
    GIVEN_NAMES,
    WEIGHT_NAMES,
)
from grading.reading import absolute, number_in, on_sheet, shown

FEWEST_NAMES = 8  # in a header row
FEWEST_KNOWN = 4  # names in it; the others may be in unknown words, see `families.py`
FEWEST_NUMBERS = 3  # in a row below a table's header that may belong to it
MOST_NUMBERS = 0.6  # of the cells in a row of labels, each with a number beside it
BLOCK = 3  # rows in which a block of labels has the next one
LARGEST = 1e100  # a weight or input beyond it is no number to calculate with


def find_headers(sheet):
    """List (row number, {canonical name: column}) for every header row of a table.

    Where a whole second set of names follows in a row, another table begins. A name that
    only comes again is a copy, and the first column counts.
    """
    headers = []
    for number, row in sheet.rows.items():
        named = [(c, canonical_name(text)) for c, text in enumerate(row, start=1)]
        named = [(c, name) for c, name in named if name]
        if len(named) < FEWEST_KNOWN:
            continue
        named += _grouped(sheet, number, {name for _, name in named})
        named = sorted(named + more_names(sheet, number, named))
        if len(named) < FEWEST_NAMES:
            continue
        named = [(c, name) for c, name in named if not _is_label(sheet, number, c)]
        named = _told_apart(row, named)
        found = {}
        for k, (column, name) in enumerate(named):
            if name in found:
                rest = {later for _, later in named[k:]}
                if not (
                    rest >= WEIGHT_NAMES and rest & COMPUTED_NAMES and found.keys() >= WEIGHT_NAMES
                ):
                    continue
                headers.append((number, found))
                found = {}
            found[name] = column
        if (
            len(found) >= FEWEST_NAMES
            and found.keys() & COMPUTED_NAMES
            and found.keys() & GIVEN_NAMES
        ):
            headers.append((number, found))
    return headers


def _grouped(sheet, number, known):
    """The columns under headers such as "targets", merged over two: a list of (column, name).

    Args:
        number: the header's row. known: names that stand in it.
    """
    row, found = sheet.rows[number], []
    for column, text in enumerate(row, start=1):
        names = group_names(text)
        span = range(column, column + len(names))
        empty = all(sheet.value(number, c) is None for c in span[1:])
        below = [number_in(sheet.value(number + 1, c)) for c in span]
        if names and empty and np.isfinite(below).all() and not known & {*names}:
            found += zip(span, names)
    return found


def _told_apart(row, named):
    """Columns that share a name for want of a longer one: net h1 and h1; E, E and E.

    Args:
        row: the header's texts. named: a list of (column, canonical name).
    """
    columns = {name: [c for c, other in named if other == name] for _, name in named}
    told = {}
    for neuron in SIGMOIDS.values():
        pair = columns.get(neuron.name, [])
        bare = [c for c in pair if row[c - 1].strip().lower() == neuron.name]
        if len(pair) == 2 and len(bare) == 1 and f"a_{neuron}" not in columns:
            told[bare[0]] = f"a_{neuron}"
    losses = columns.get("E_total", [])
    if len(losses) == 3 and not {"E1", "E2"} & columns.keys():
        told |= dict(zip(losses, ("E1", "E2", "E_total")))
    return [(c, told.get(c, name)) for c, name in named]


def _is_label(sheet, row, column):
    """Whether a name in a header row is the label of a number, in a block of labels."""
    name = canonical_name(sheet.value(row, column))
    further = {canonical_name(sheet.value(row + k, column)) for k in range(1, BLOCK + 1)}
    if name in CONSTANT_NAMES and further - {None, name}:  # below it, other labels go on
        return True
    beside = (sheet.value(row, column + 1), sheet.value(row, column - 1))
    below = sheet.value(row + 1, column)
    return any(np.isfinite(number_in(v)) for v in beside) and not np.isfinite(number_in(below))


_SUMMARY = re.compile(r"\b(average|avg|mean|sum|total|min|max|median|std|stdev)\b", re.IGNORECASE)


class Table:
    """One table: where its columns are, and its numbers, an array for each column.

    Attributes:
        sheet: the `cells.Sheet`. header_row: where it stands.
        columns: canonical name → column number. A canonical name is that of
            `backprop.COLUMNS`, or "eta".
        rows: the row numbers that hold data.
        values: canonical name → float array (rows,); NaN where there is no number.
        cells: canonical name → the single cell that gives it for all rows.
        raw: canonical name → the cells as they were read.
        notes: sentences about what was left out.
        stated, constants: input or target → the numbers of its column, and what they should
            be, see `settle_constants`.
        unchecked: sentences about what could not be checked; with one, a table is not right.
        renumbered: whether its weights have other names in the file, see `numbering.py`.
        checkable: which rows have all that is needed to calculate them.
    """

    def __init__(self, sheet, header_row, columns, last_row):
        self.sheet, self.header_row, self.columns = sheet, header_row, dict(columns)
        self.cells, self.stated, self.constants = {}, {}, {}
        self.renumbered = False
        self.notes, self.unchecked = [], []
        self.rows = self._data_rows(last_row)
        self.raw = {n: [sheet.value(row, c) for row in self.rows] for n, c in columns.items()}
        self.values = {
            name: np.array([*map(number_in, raw)], float) for name, raw in self.raw.items()
        }
        if "eta" in columns and not np.isfinite(self.values["eta"]).all():  # a label in that row
            del self.columns["eta"]
        for name in sorted(CONSTANT_NAMES):
            if name in columns and all(cell is None for cell in self.raw[name][1:]) and self.rows:
                address = self.sheet.address(self.rows[0], self.columns.pop(name))
                self.set_in_all_rows(name, address, self.values[name][0])

    def _data_rows(self, last_row):
        """The rows with numbers under the header, without averages."""
        given = [column for name, column in self.columns.items() if name in GIVEN_NAMES]
        others = [c for name, c in self.columns.items() if name not in ("epoch", "eta")]
        found, left_out, only_counted = [], [], []
        for row in sorted(n for n in self.sheet.rows if self.header_row < n <= last_row):
            cells = [self.sheet.value(row, c) for c in given]
            if not found and self._is_second_header(row):
                continue
            if 2 * sum(cell is not None for cell in cells) <= len(given):
                numbers = [number_in(self.sheet.value(row, c)) for c in others]
                if np.isfinite(numbers).sum() >= FEWEST_NUMBERS and not self._looks_apart(
                    row, found
                ):
                    left_out.append(row)
                elif self._is_counted(row):
                    only_counted.append(row)
            elif self._is_block_of_labels(row):
                self.notes.append(f"{self._lines([row])} was taken for labels and left out.")
            elif found and self._looks_apart(row, found) and self._is_summary(row, found):
                self.notes.append(f"{self._lines([row])} was taken for a summary and left out.")
            else:
                found.append(row)
        if only_counted:
            sentences = self.unchecked if len(only_counted) > len(found) else self.notes
            sentences.append(f"{self._lines(only_counted)}: an epoch number and nothing else.")
        if left_out:
            self.unchecked.append(
                f"{self._lines(left_out)} could not be checked: "
                "most weights and inputs are missing."
            )
        return found

    def _is_counted(self, row):
        """Whether a row has a number in the column of epochs."""
        epoch = self.columns.get("epoch")
        return epoch is not None and np.isfinite(number_in(self.sheet.value(row, epoch)))

    def _is_second_header(self, row):
        """Whether a row below the header only has texts: units, or other names."""
        cells = [self.sheet.value(row, column) for column in self.columns.values()]
        texts = [c for c in cells if isinstance(c, str) and not c.startswith("#")]
        numbers = np.isfinite([number_in(cell) for cell in cells])
        return bool(texts) and not numbers.any() and len(texts) == sum(c is not None for c in cells)

    def _looks_apart(self, row, found):
        """Whether a row may be something else than the next epoch: a label in it, or none near."""
        span = range(min(self.columns.values()) - 1, max(self.columns.values()) + 1)
        texts = [text for c in span if isinstance(text := self.sheet.value(row, c), str)]
        if any(map(_SUMMARY.search, texts)):
            return True
        if "epoch" in self.columns:
            return not self._is_counted(row)
        return bool(found) and row - found[-1] > 1

    def _is_block_of_labels(self, row):
        """Whether a row holds labels with their numbers, below a table: i1, 0.05, i2, 0.1."""
        texts = [self.sheet.value(row, column) for column in self.columns.values()]
        labels = sum(canonical_name(text) is not None for text in texts)
        numbers = np.isfinite([number_in(text) for text in texts]).sum()
        return labels > self._is_counted(row) and numbers <= MOST_NUMBERS * len(texts)

    def _is_summary(self, row, found):
        """Whether a row's weights are the averages, sums and so on of those above."""
        right = checked = 0
        for name in WEIGHT_NAMES & self.columns.keys():
            column = self.columns[name]
            value = number_in(self.sheet.value(row, column))
            above = np.array([number_in(self.sheet.value(n, column)) for n in found])
            above = above[np.isfinite(above)]
            if np.isfinite(value) and len(above):
                options = [above.mean(), above.sum(), above.min(), above.max(), np.median(above)]
                options += [above.std(), above.std(ddof=1) if len(above) > 1 else 0, len(above)]
                checked += 1
                right += np.isclose(value, options, rtol=1e-4, atol=1e-9).any()
        return checked == right

    def set_in_all_rows(self, name, address, value):
        """Take a constant from a single cell."""
        self.cells[name] = address
        self.values[name] = np.full(len(self.rows), value)

    @property
    def checkable(self):
        absent = np.full(len(self.rows), np.nan)
        given = np.array([self.values.get(name, absent) for name in sorted(GIVEN_NAMES)])
        return (np.isfinite(given) & (np.abs(given) < LARGEST)).all(0)

    @property
    def steps(self):
        """How many epochs follow from each row to the next, (rows − 1,); NaN: another run."""
        counted = self.values.get("epoch", np.full(len(self.rows), np.nan))
        steps, adjacent = np.diff(counted), np.diff(self.rows) == 1
        return np.where(np.isfinite(steps), steps, np.where(adjacent, 1, np.nan))

    def settle_constants(self, labelled):
        """Find what each input and target should be in all rows of a run: `constants`.

        It is the one beside a label, where some row has it, else that of the run's first row.
        It takes the place of cells without a number; `stated` keeps what stands in the cells.

        Args:
            labelled: name → the numbers beside its labels.
        """
        starts = np.concatenate([[0], np.flatnonzero(~(self.steps >= 0)) + 1, [len(self.rows)]])
        self.stated = {n: self.values[n] for n in sorted(CONSTANT_NAMES & self.columns.keys())}
        for name, stated in self.stated.items():
            self.constants[name] = stated.copy()
            known = {value for value in labelled.get(name, ()) if value in stated}
            for start, end in zip(starts[:-1], starts[1:]):
                finite = stated[start:end][np.isfinite(stated[start:end])]
                if len(known) == 1 and known & {*finite}:
                    finite = [*known]
                self.constants[name][start:end] = finite[0] if len(finite) else np.nan
            self.values[name] = np.where(np.isfinite(stated), stated, self.constants[name])

    def address(self, name, k, seen_from=None):
        """The address of a column's cell in data row k; a single cell is absolute.

        Args:
            seen_from: the column of the formula that refers to it, for `cells.Sheet.address`.
        """
        if name in self.cells:
            return absolute(self.cells[name])
        return self.sheet.address(self.rows[k], self.columns[name], seen_from)

    def first_address(self, name, sheet):
        """The address of a column's first cell as a formula on another sheet writes it."""
        address = self.cells.get(name) or self.sheet.address(self.rows[0], self.columns[name])
        outside = sheet is not self.sheet and "!" not in address
        return on_sheet(self.sheet.title, address) if outside else address

    @property
    def first_row(self):
        """The row of the file in which the names stand; the first of them in a column."""
        if self.sheet.across:
            return min(self.columns.values())
        return self.sheet.line(self.header_row)

    @property
    def where(self):
        """Where a table is, in words: Sheet1, row 3."""
        return f"{shown(self.sheet.name)}, {self.sheet.line_name(self.header_row)}"

    def note_what_is_left(self):
        """Say which rows cannot be checked, once the constants are known."""
        left = np.flatnonzero(~self.checkable)
        if left.size and self.checkable.any():
            self.unchecked.append(
                f"{left.size} of {len(self.rows)} rows could not be checked, the first is "
                f"{self.sheet.line_name(self.rows[left[0]])}: a weight, input or target in it is "
                "not a number."
            )

    def _lines(self, numbers):
        """Row 5, or 5 rows from row 5 to row 9."""
        first, last = (self.sheet.line_name(numbers[k]) for k in (0, -1))
        if len(numbers) == 1:
            return first.capitalize()
        return f"{len(numbers)} rows from {first} to {last}"
