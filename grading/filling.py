"""How a column is filled: which of its cells have the same formula, copied, and what it gives.

Two cells have the same formula when their texts are the same relative to their own cell: see
`parsing.relative`. A column that somebody filled by dragging has one such form. Each form is
parsed once.
"""

from functools import lru_cache

import numpy as np

from grading import parsing
from grading.reading import number_in


class Filling:
    """What stands in some cells of a column, from top to bottom.

    Attributes:
        rows, column: where they are, counted from 1.
        form: for each cell, the number of its form; −1 where it has no formula.
        forms: the forms, each as the first `Formula` that has it, with the row it stands in.
    """

    def __init__(self, sheet, rows, column):
        self.sheet, self.rows, self.column = sheet, rows, column
        self.forms, self.form = [], np.full(len(rows), -1)
        known, guess, form = {}, None, -1
        for k, row in enumerate(rows):
            formula = sheet.formulas.get((row, column))
            if formula is None:
                continue
            key = formula[1:] if formula.row != row else None  # it shares another cell's formula
            if guess and not key and guess(row) == formula.text:
                self.form[k] = form
                continue
            relative = parsing.relative(*formula)
            if relative not in known:
                known[relative] = len(self.forms)
                self.forms.append(formula)
            self.form[k] = form = known[relative]
            guess = _continuation(formula) if not key else None

    def parsed(self, form, names):
        """A form as a `parsing.Parsed`, or None where it cannot be read."""
        return parse(self.forms[form], names)

    def like(self, form):
        """Which cells have a form, as a boolean array."""
        return self.form == form


def _continuation(formula):
    """A function of a row: the text of a formula when it is copied down its column."""
    pieces, offsets, end = [], [], 0
    for found in parsing.CELL.finditer(formula.text):
        pieces.append(formula.text[end : found.start(4)].replace("{", "{{").replace("}", "}}"))
        fixed, digits = found[3], found[4]
        pieces.append(digits if fixed else f"{{{len(offsets)}}}")
        if not fixed:
            offsets.append(int(digits) - formula.row)
        end = found.end(4)
    pieces.append(formula.text[end:].replace("{", "{{").replace("}", "}}"))
    template = "".join(pieces)
    return lambda row: template.format(*[row + offset for offset in offsets])


_PARSED = {}  # relative form → Parsed or None, kept from file to file
KEPT = 5000


def parse(formula, names):
    """`parsing.parse`, each relative form once; None where a formula cannot be read."""
    key = (
        parsing.relative(*formula),
        *((k, v) for k, v in names.items() if k in formula.text.upper()),
    )
    if key not in _PARSED:
        if len(_PARSED) >= KEPT:
            _PARSED.clear()
        try:
            _PARSED[key] = parsing.parse(formula, names)
        except parsing.Unknown:
            _PARSED[key] = None
    return _PARSED[key]


class Recalculation:
    """Calculates the formulas of a workbook once more, from the numbers stored in other cells."""

    def __init__(self, book):
        self.book, self.read = book, lru_cache(500)(self._cells)

    def __call__(self, filling):
        """What the formulas of a `Filling` give, an array; NaN where that is not known."""
        values = np.full(len(filling.rows), np.nan)
        rows = tuple(filling.rows)
        for form in range(len(filling.forms)):
            parsed = filling.parsed(form, self.book.names)
            if parsed is None:
                continue
            cells = {
                symbol: self.read(reference, filling.sheet, rows, filling.column)
                for symbol, reference in parsed.references.items()
            }
            with np.errstate(all="ignore"):
                outcome = parsing.evaluate(parsed.expression, cells)
            here = filling.like(form)
            values[here] = np.broadcast_to(outcome, here.shape)[here]
        return values

    def _cells(self, reference, sheet, rows, column):
        """The numbers of the cells that a reference means in each of some rows; 0 where empty."""
        if reference.sheet:
            sheet = self.book.sheet(reference.sheet)
        if sheet is None:
            return np.full(len(rows), np.nan)
        found = [sheet.value(*reference.cell(row, column)) for row in rows]
        return np.array([0.0 if value is None else number_in(value) for value in found])
