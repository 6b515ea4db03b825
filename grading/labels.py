"""Finds the numbers beside labels: inputs, targets and the learning rate around a table.

A number may stand to the right of its label, to the left, below or above. Where more than
one reading is possible, the cells that the table's formulas refer to decide; then the
numbers, which is asked in `constants.py`.
"""

import itertools
import re
from typing import NamedTuple

import numpy as np

from backprop import INPUTS, TARGETS
from grading.cells import Sheet
from grading.filling import parse
from grading.headers import canonical_name
from grading.reading import number_in, on_sheet
from grading.tables import FEWEST_NAMES

DIRECTIONS = {  # where the number stands: (rows down, columns to the right), the likeliest first
    "right": (0, 1), "second to the right": (0, 2), "below": (1, 0), "left": (0, -1),
    "above": (-1, 0),
}  # fmt: skip


class Label(NamedTuple):
    """A label, and the numbers around it: direction → (row, column, value)."""

    name: str
    sheet: Sheet
    numbers: dict


class Labels:
    """The labels of a workbook.

    Args:
        book: a `cells.Book`.
        headers: sheet title → what `tables.find_headers` returns.
    """

    def __init__(self, book, headers):
        self.book, self.headers = book, headers
        self.found = {sheet.title: [*_labels(sheet, headers[sheet.title])] for sheet in book.sheets}

    def around(self, table):
        """The labels that may speak of a table: those of its sheet, and of sheets without one."""
        elsewhere = [s.title for s in self.book.sheets if not self.headers[s.title]]
        titles = [table.sheet.title, *elsewhere]
        labels = [label for title in dict.fromkeys(titles) for label in self.found[title]]
        if len(self.headers[table.sheet.title]) < 2:
            return labels
        first, last = min(table.columns.values()), max(table.columns.values())

        def apart(label):  # of several tables on a sheet, each has its labels near it
            columns = [column for _, column, _ in label.numbers.values()]
            return label.sheet is table.sheet and not any(first <= c <= last for c in columns)

        return sorted(labels, key=apart)

    def directions(self, table):
        """The directions, first those in which the table's formulas refer to the numbers."""
        used = referenced(self.book, table)
        labels = self.around(table)

        def hits(direction):
            places = [_place(label, direction) for label in labels if direction in label.numbers]
            return sum(place in used for place in places)

        return sorted(DIRECTIONS, key=lambda direction: -hits(direction)), max(
            map(hits, DIRECTIONS)
        )

    def meanings(self, table):
        """(sheet title, row, column) → canonical name, as the likeliest direction has it."""
        found, (order, _) = {}, self.directions(table)
        for label in itertools.chain(self.around(table), *self.found.values()):
            direction = next((d for d in order if d in label.numbers), None)
            if direction:
                found.setdefault(_place(label, direction), label.name)
        return found

    def numbers(self, table):
        """The numbers beside each label, in any direction: name → list."""
        found = {}
        for label in self.around(table):
            found.setdefault(label.name, []).extend(v for *_, v in label.numbers.values())
        return found

    def constants(self, table):
        """All readings of the inputs and targets that are no column of a table.

        Returns:
            A list of dicts, name → (address, value), the likeliest first. One empty dict
            where all are columns, or where some are not there at all.
        """
        order, hits = self.directions(table)
        groups = []
        for group in (INPUTS, TARGETS):
            names = [s.name for s in group if s.name not in table.values]
            if names and not hits:
                groups.append(self._readings(table, names, order))
            elif names:
                groups += [self._options(table, name, order) for name in names]
        return [{k: v for one in chosen for k, v in one.items()}
                for chosen in itertools.product(*groups)]  # fmt: skip

    def _options(self, table, name, order):
        """The readings of one name, where formulas show the direction of most.

        It has more than one where no formula refers to any of the numbers around its label.
        """
        used, options = referenced(self.book, table), {}
        for label in self.around(table):
            if label.name == name:
                directions = [d for d in order if d in label.numbers]
                known = [d for d in directions if _place(label, d) in used]
                for direction in known[:1] or directions:
                    address, value = _cell(table, label, direction)
                    options.setdefault(value, (bool(known), {name: (address, value)}))
        if any(known for known, _ in options.values()):
            options = {value: option for value, option in options.items() if option[0]}
        return [reading for _, reading in options.values()] or [{}]

    def _readings(self, table, names, order):
        """The readings of a group of names: one a direction that has a number for each."""
        labels = [label for label in self.around(table) if label.name in names]
        readings = []
        for direction in order:
            reading = {}
            for label in labels:
                if direction in label.numbers and label.name not in reading:
                    reading[label.name] = _cell(table, label, direction)
            if reading.keys() == {*names}:
                readings.append(reading)
        if not readings:  # each beside its label, wherever that is
            reading = {}
            for label in labels:
                direction = next((d for d in DIRECTIONS if d in label.numbers), None)
                if direction and label.name not in reading:
                    reading[label.name] = _cell(table, label, direction)
            readings.append(reading)
        different = {tuple(v for _, v in sorted(r.values())): r for r in reversed(readings)}
        return [*reversed(different.values())]


def _place(label, direction):
    return (label.sheet.title, *label.numbers[direction][:2])


def _cell(table, label, direction):
    row, column, value = label.numbers[direction]
    return address_on(table, label.sheet, row, column), value


def address_on(table, sheet, row, column):
    """The address of a cell as a formula on the table's sheet writes it."""
    address = sheet.address(row, column)
    return address if sheet is table.sheet or "!" in address else on_sheet(sheet.title, address)


def _labels(sheet, headers):
    """The labels of a sheet. A header of a table is none, except η: it may stand in that row."""
    skip = {(n, c) for n, columns in headers for name, c in columns.items() if name != "eta"}
    inside = [(range(n + 1, _end(sheet, n, c)), _headed(sheet, n, c)) for n, c in headers]
    for number, row in sheet.rows.items():
        for column, text in enumerate(row, start=1):
            if (number, column) in skip or not (name := canonical_name(text)):
                continue
            numbers = {}
            for direction, (down, right) in DIRECTIONS.items():
                place = (number + down, column + right)
                value = number_in(sheet.value(*place))
                in_table = any(place[0] in rows and place[1] in span for rows, span in inside)
                if np.isfinite(value) and not in_table:
                    numbers[direction] = (*place, value)
            if "right" in numbers:
                numbers.pop("second to the right", None)
            if numbers:
                yield Label(name, sheet, numbers)


def _headed(sheet, header_row, columns):
    """The columns of a table, and those between them with a text in the header's row."""
    between = range(min(columns.values()), max(columns.values()) + 1)
    texts = {c for c in between if isinstance(sheet.value(header_row, c), str)}
    return texts | {*columns.values()}


def _end(sheet, header_row, columns):
    """The first row below a header that does not belong to its table."""
    row = header_row + 1
    while sum(sheet.value(row, c) is not None for c in columns.values()) >= FEWEST_NAMES:
        row += 1
    return row


def referenced(book, table):
    """The cells that the formulas of a table's first rows refer to: (sheet title, row, column)."""
    cells = set()
    columns = range(min(table.columns.values()), max(table.columns.values()) + 1)
    for row, column in itertools.product(table.rows[:2], columns):
        formula = table.sheet.formulas.get((row, column))
        parsed = parse(formula, book.names) if formula else None
        for reference in parsed.references.values() if parsed else ():
            sheet = book.sheet(reference.sheet) if reference.sheet else table.sheet
            if sheet:
                cells.add((sheet.title, *reference.cell(row, column)))
    return cells


# --- The learning rate -------------------------------------------------------------

_RATE = re.compile(
    r"(?:[ηͷƞɳ]|\beta|\blr|learning[ _-]*rate|(?:α|\balpha)(?=\s*[:=]))\s*(?:[:=]|is)?\s*"
    r"(\d*[.,]?\d+(?:e-?\d+)?)(?!\s*[%/\d.,])",
    re.IGNORECASE,
)
LONGEST_TEXT = 80  # characters of a sentence in which a rate may stand


class Stated(NamedTuple):
    """A learning rate that a sheet states.

    Attributes:
        eta: the number. source: where it stands. in_cell: whether that is a cell of its own.
        place: (sheet title, row, column) of that cell.
    """

    eta: float
    source: str
    in_cell: bool = False
    place: tuple | None = None


def stated_rates(table, labels, alone):
    """The learning rates that a sheet states, the likeliest first: a list of `Stated`.

    Args:
        labels: a `Labels`.
        alone: no other table stands in the sheet.
    """
    span = range(min(table.columns.values()) - 1, max(table.columns.values()) + 1)  # and epoch
    order, _ = labels.directions(table)
    cells = [
        Stated(value, address_on(table, label.sheet, row, column), True,
               (label.sheet.title, row, column))
        for label in labels.around(table) if label.name == "eta"
        for row, column, value in [label.numbers[d] for d in order if d in label.numbers]
    ]  # fmt: skip
    above, beside = [], []
    for number, row in table.sheet.rows.items():
        for column, text in enumerate(row, start=1):
            short = isinstance(text, str) and len(text) < LONGEST_TEXT
            if short and (found := _RATE.search(text)):
                stated = Stated(
                    number_in(found[1]), f"the text in {table.sheet.address(number, column)}"
                )
                (above if column in span else beside).append(stated)
    if found := _RATE.search(table.sheet.title):
        above.append(Stated(number_in(found[1]), "the sheet's name"))
    return cells + above + beside if alone else above + cells
