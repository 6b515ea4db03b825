"""Compares the computed columns of a table with what its rows give, and says why one is wrong.

A row is compared with what its own inputs, targets and weights give, within rounding. For a
column that is wrong, the mistakes of `mistakes.py` are tried: the one that gives the
same numbers in every wrong row is its cause. Whether each row's weights follow from the
row above is asked in `updates.py`.
"""

import datetime
from functools import cache

import numpy as np

import backprop
from backprop import GIVEN, WEIGHTS
from grading.mistakes import catalogue
from grading.quantities import (
    COMPUTED_NAMES,
    CONSTANT_NAMES,
    FORMULAS,
    GIVEN_NAMES,
    WEIGHT_NAMES,
    column_name,
    compile_formula,
    compile_formulas,
)
from grading.reading import cell_at, is_formula, shown
from grading.rounding import ACCEPTED_DIGITS, STORED, propagate, uncertainty


class CheckedTable:
    """A table, what its rows give, and the verdicts so far.

    Attributes:
        right, tolerance: column → what the row's inputs, targets and weights give, and how
            far rounding of these may move it; float arrays (rows,).
        own: column → the table's own number, or, where it has none, the number that its
            other columns give.
        uncertainty: column → how far the numbers of `own` may be off.
        wrong: the names of wrong columns, in the order of calculation.
    """

    def __init__(self, table):
        self.table = table
        self.uncertainty = {name: STORED * np.abs(values) for name, values in table.values.items()}
        rounded = False
        for name in COMPUTED_NAMES & table.values.keys():
            stored, self.uncertainty[name] = (
                self.uncertainty[name],
                uncertainty(table.values[name]),
            )
            rounded |= bool((self.uncertainty[name] > stored).any())
        for name in WEIGHT_NAMES:
            self.uncertainty[name] = uncertainty(table.values[name], typed=1)
        if rounded:
            for name in CONSTANT_NAMES:
                values = table.values[name]
                self.uncertainty[name] = uncertainty(values, typed=len(values))
        given = [table.values[s.name] for s in GIVEN]
        right, tolerance = propagate(_whole_row, given, [self.uncertainty[s.name] for s in GIVEN])
        self.right = dict(zip([s.name for s in FORMULAS], right))
        self.tolerance = dict(zip([s.name for s in FORMULAS], tolerance))
        # What a cell is calculated from: the table's own cells, where they are numbers.
        self.own = {name: table.values[name] for name in GIVEN_NAMES}
        for symbol, formula in FORMULAS.items():
            name = symbol.name
            (derived,), (distance,) = self.calculate(*compile_formula(formula))
            cells = table.values.get(name, np.full(len(derived), np.nan))
            self.own[name] = np.where(np.isfinite(cells), cells, derived)
            self.uncertainty[name] = np.where(
                np.isfinite(cells), self.uncertainty.get(name, 0), distance
            )
        self.wrong = []

    def calculate(self, symbols, function, values=None):
        """Evaluate a function of some quantities by the table's own cells, or by `values`."""
        values = values or [self.own[s.name] for s in symbols]
        return propagate(function, values, [self.uncertainty[s.name] for s in symbols])


def _whole_row(*given):
    """The values of `FORMULAS`, in order, from those of `GIVEN`, in order."""
    row = backprop.spreadsheet_row(dict(zip(GIVEN, given)))
    return [row[symbol] for symbol in FORMULAS]


def missing_result():
    """The result of a column that is not there."""
    return {
        "verdict": "missing",
        "rows_checked": 0,
        "rows_wrong": 0,
        "first_wrong": None,
        "formula": None,
        "expected_formula": None,
        "max_relative_error": None,
        "cause": None,
    }


def compare(got, want, tolerance, rows):
    """Compare a column's numbers with what they should be.

    Args:
        got, want, tolerance: float arrays (rows,).
        rows: which rows can be checked.

    Returns:
        (the column's result, which rows are wrong).
    """
    wrong = rows & ~(np.abs(got - want) <= tolerance)
    error = np.abs(got - want) / np.abs(want)
    result = missing_result() | {"verdict": "wrong" if wrong.any() else "right"}
    result |= {"rows_checked": int(rows.sum()), "rows_wrong": int(wrong.sum())}
    error = error[(wrong if wrong.any() else rows) & np.isfinite(error)]
    result["max_relative_error"] = float(error.max()) if len(error) else None
    return result, wrong


def check_column(checked, symbol, formulas):
    """Check one computed column. `formulas()` gives the sheet's formulas, read when needed."""
    table, name = checked.table, symbol.name
    if name not in table.columns:
        return missing_result()
    got, want = table.values[name], checked.right[name]
    tolerance = checked.tolerance[name] + checked.uncertainty[name]
    result, wrong = compare(got, want, tolerance, table.checkable)
    if wrong.any():
        first = int(wrong.argmax())
        cells = {s: table.address(s, first) for s in (*table.columns, *table.cells)}
        result["first_wrong"] = table.address(name, first)
        result["formula"] = cell_text(formulas(), table, name, first)
        result["expected_formula"] = expected_formula(FORMULAS[symbol], cells)
        result["cause"] = _cause(checked, symbol, got, wrong, formulas())
        checked.wrong.append(name)
    return result


def cell_text(formulas, table, name, k):
    """What stands in a column's cell in data row k: its formula, else its value, as text."""
    content = cell_at(formulas, table.rows[k], table.columns[name])
    content = getattr(content, "text", content)  # an array formula
    return None if content is None else shown(content)


def expected_formula(formula, cells):
    """The right formula in the sheet's own addresses.

    The formula of a quantity takes the place of a quantity that has no column.
    """
    while absent := [s for s in formula.free_symbols if s.name not in cells]:
        formula = formula.xreplace({s: FORMULAS[s] for s in absent})
    return "=" + backprop.to_excel(formula).format(**cells)


# --- Why a column is wrong ---------------------------------------------------------


def _cause(checked, symbol, got, wrong, formulas):
    """Say why a column is wrong: what gives its numbers in every wrong row, or None."""
    table, name = checked.table, symbol.name
    used = [s.name for s in FORMULAS[symbol].free_symbols if s.name in table.columns]
    earlier = _and([column for column in checked.wrong if column in used])
    follows = f"right in itself: it follows from {earlier}" if earlier else None
    (right,), (tolerance,) = checked.calculate(*compile_formula(FORMULAS[symbol]))
    broken = ~np.isfinite([right, *(table.values[u] for u in used)]).all(0)
    unexplained = wrong & ~(broken & ~np.isfinite(got))  # an error goes on to its users
    if not unexplained.any():
        return follows
    if what := not_numbers(table, name, unexplained):
        return what
    slack = checked.uncertainty[name]

    def fits(values, tolerance):
        return bool((np.abs(got - values) <= tolerance + slack)[unexplained].all())

    if fits(right, tolerance):
        return follows
    if typed := typed_over(table, name, wrong, formulas):
        return typed
    if misplaced := _misplaced(checked, symbol, fits):
        return misplaced
    outcomes = checked.calculate(*_compiled_mistakes(symbol))
    for (what, _), *outcome in zip(catalogue(symbol), *outcomes):
        if fits(*outcome):
            return what
    for decimals in range(1, ACCEPTED_DIGITS):
        if fits(np.round(checked.right[name], decimals), 1e-12):
            return f"rounded to {decimals} decimals"
    return None


@cache
def _compiled_mistakes(symbol):
    return compile_formulas([formula for _, formula in catalogue(symbol)])


def _and(names):
    return " and ".join(map(column_name, names))


def not_numbers(table, name, wrong):
    """Empty cells, text, errors and dates in place of numbers, if all wrong rows have them."""
    raw = [table.raw[name][k] for k in np.flatnonzero(wrong)]
    if np.isfinite(table.values[name][wrong]).any():
        return None
    first = table.address(name, int(wrong.argmax()))
    if all(value is None for value in raw):
        below = wrong[wrong.argmax() :].all() and not wrong[0]
        return f"not copied down: empty from {first} on" if below else "cells are empty"
    value = next(value for value in raw if value is not None)
    if isinstance(value, (datetime.date, datetime.time)):
        return "a date in place of a number"
    if isinstance(value, str) and value.startswith("#"):
        return f"the error {shown(value, 20)} in place of a number"
    return f"text in place of a number: '{shown(value, 20)}'"


def typed_over(table, name, wrong, formulas):
    """Numbers in the wrong rows where other rows of the column have formulas."""
    column = table.columns[name]
    live = np.array([is_formula(cell_at(formulas, n, column)) for n in table.rows])
    if not live.any() or live[wrong].any():
        return None
    got, first = table.values[name], int(wrong.argmax())
    if first and wrong[first:].all() and (got[first:] == got[first - 1]).all():
        return f"not copied down: {table.address(name, first - 1)} is repeated as a number"
    return "numbers typed over the formulas"


def _misplaced(checked, symbol, fits):
    """References that do not move down with the row, or point to another row."""
    symbols, function = compile_formula(FORMULAS[symbol])
    own = {s: checked.own[s.name] for s in symbols}
    weights = [s for s in symbols if s in WEIGHTS]
    groups = [(symbols, "every quantity is"), (weights, "every weight is")]
    groups += [([s], f"{s} is") for s in symbols]
    row = np.arange(len(checked.table.rows))
    for taken, where in (
        (0 * row, "the first row, as with an absolute reference"),
        (np.maximum(row - 1, 0), "the row above"),
    ):
        for group, who in groups:
            moved = [v[taken] if s in group else v for s, v in own.items()]
            (values,), (tolerance,) = checked.calculate(symbols, function, moved)
            if fits(values, tolerance):
                return f"{who} taken from {where}"
    return None
