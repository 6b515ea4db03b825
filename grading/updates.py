"""Compares the weights of a table from row to row, and finds the learning rate behind them.

An update is checked with the gradient that stands in the table's own row, so a wrong
gradient is reported once, as a gradient, in `columns.py`.
"""

from typing import NamedTuple

import numpy as np
import sympy
from openpyxl.utils import get_column_letter

from backprop import GRADIENT_SYMBOLS, GRADIENTS, WEIGHTS
from grading.columns import (
    cell_text,
    compare,
    expected_formula,
    missing_result,
    not_numbers,
    typed_over,
)
from grading.mistakes import UPDATE, UPDATE_MISTAKES, UPDATE_SYMBOLS
from grading.reading import absolute
from grading.rounding import RELATIVE, STORED

_update_values = sympy.lambdify(
    UPDATE_SYMBOLS, [UPDATE, *UPDATE_MISTAKES.values()], modules="numpy"
)


class Updates:
    """All updates of a table: from each row to the next, by its own gradients.

    Attributes:
        old, new: weight → its number before and after each update, arrays (rows − 1,).
        gradient: weight → its gradient, (rows,).
        moves, slack: weight → how far rounding may move the weight, (rows,), and the
            gradient, (rows − 1,).
        rows: which updates can be checked, (rows − 1,).
    """

    def __init__(self, checked):
        self.checked, table = checked, checked.table
        self.old = {s: table.values[s.name][:-1] for s in WEIGHTS}
        self.new = {s: table.values[s.name][1:] for s in WEIGHTS}
        self.gradient = {s: checked.own[GRADIENT_SYMBOLS[s].name] for s in WEIGHTS}
        self.moves = {s: checked.uncertainty[s.name] for s in WEIGHTS}
        self.slack = {s: checked.uncertainty[GRADIENT_SYMBOLS[s].name][:-1] for s in WEIGHTS}
        self.rows = table.checkable[:-1] & table.consecutive

    def tolerance(self, weight, eta, eta_error):
        """How far rounding may move the new weight, an array (rows − 1,)."""
        g = self.gradient[weight][:-1]
        before, after = self.moves[weight][:-1], self.moves[weight][1:]
        step = np.abs(eta * g)
        slack = before + after + np.abs(eta) * self.slack[weight] + np.abs(g) * eta_error
        return 2 * slack + RELATIVE * step

    def right(self, eta, eta_error):
        """How many of the eight columns this learning rate explains in every row."""
        count = 0
        for weight in WEIGHTS:
            distance = self.new[weight] - self.old[weight] + eta * self.gradient[weight][:-1]
            good = np.abs(distance) <= self.tolerance(weight, eta, eta_error)
            count += bool(good[self.rows].all())
        return count

    def estimates(self):
        """η by least squares in each column: a list of (η, how far rounding may move it)."""
        found = []
        for weight in WEIGHTS:
            g, step = self.gradient[weight][:-1], self.old[weight] - self.new[weight]
            use = self.rows & np.isfinite(step) & np.isfinite(g)
            g, step = g[use], step[use]
            if not (g**2).sum():
                continue
            eta = (g * step).sum() / (g**2).sum()
            moves = (self.moves[weight][:-1] + self.moves[weight][1:])[use]
            error = (np.abs(g) * moves + np.abs(step) * self.slack[weight][use]).sum()
            found.append((eta, 2 * error / (g**2).sum() + RELATIVE * abs(eta)))
        return found


class Rate(NamedTuple):
    """A table's learning rate.

    Attributes:
        eta: the number, or an array where each row has its own. None: nothing shows it.
        error: how far it may be off.
        source: where it stands, or "inferred"; None with eta.
        in_cell: whether a formula can refer to its source.
        other: the learning rate that the updates show, if that is another one.
    """

    eta: float | np.ndarray | None = None
    error: float | np.ndarray = 0.0
    source: str | None = None
    in_cell: bool = False
    other: float | None = None


def _inferred_rate(updates):
    """The η that explains the most updates.

    Returns:
        (how many, η, its error); (0, None, 0) where no update can be checked.
    """
    options = [(0, None, 0)]
    for eta, error in updates.estimates():
        for short in (float(f"{eta:.{digits}g}") for digits in range(1, 5)):
            if abs(short - eta) <= error + 1e-6 * abs(eta):
                eta = short  # a number that somebody chose
                break
        options.append((updates.right(eta, error), eta, error))
    if len(options) > 1:
        del options[0]
    return max(options, key=lambda option: (option[0], option[1] or 0, -option[2]))


def learning_rate(updates, candidates):
    """η as the sheet states it, else as the updates show it: a `Rate`.

    Args:
        candidates: what `tables.stated_rates` returns.
    """
    table = updates.checked.table
    count, inferred, error = _inferred_rate(updates)
    if "eta" in table.columns and len(table.rows) > 1:
        eta = table.values["eta"][:-1]
        other = inferred if count > updates.right(eta, STORED * eta) else None
        return Rate(
            eta,
            STORED * np.abs(eta),
            f"column {get_column_letter(table.columns['eta'])}",
            False,
            other,
        )
    read = [
        (updates.right(eta, STORED * eta), eta, *place) for eta, *place in candidates if eta > 0
    ]
    if read:
        most, eta, source, in_cell = max(read, key=lambda option: option[0])  # first of the best
        if in_cell or most or count < len(WEIGHTS):
            return Rate(
                eta, STORED * eta, source, in_cell, inferred if count > max(most, 1) else None
            )
        table.notes.append(f"η = {eta:g} in {source} is not the η of the updates.")
    if inferred is None:
        return Rate()
    return Rate(abs(inferred), error, "inferred")


def check_update(updates, weight, rate, formulas):
    """Check the update of one weight, from each row to the next.

    Args:
        rate: what `learning_rate` returns.
        formulas: a function that returns the sheet's formulas, called when needed.
    """
    table, name, eta, inferred = updates.checked.table, weight.name, rate.eta, rate.other
    if eta is None or not updates.rows.any():
        return missing_result()
    got, tolerance = updates.new[weight], updates.tolerance(weight, eta, rate.error)
    gradient = updates.gradient[weight]

    def outcomes(other):
        ours, others = table.values[name], table.values[other.name]
        first = np.zeros(len(got), int)
        return _update_values(
            eta, ours[:-1], gradient[:-1], ours[first], gradient[first],
            others[:-1], updates.gradient[other][:-1],
        )  # fmt: skip

    want = outcomes(weight)[0]
    cells = table.values.get(GRADIENT_SYMBOLS[weight].name, gradient)[:-1]
    follows = ~np.isfinite(got) & ~np.isfinite(cells + want)  # an error of the gradient goes on
    result, wrong = compare(got, want, tolerance, updates.rows & ~follows)
    if np.isscalar(eta) and eta == 0:  # no training, so no update is right
        wrong = updates.rows & (gradient[:-1] != 0)
        result |= {"verdict": "wrong" if wrong.any() else "right", "rows_wrong": int(wrong.sum())}
    if not wrong.any():
        return result
    k = int(wrong.argmax())
    result["first_wrong"] = table.address(name, k + 1)
    result["formula"] = cell_text(formulas(), table, name, k + 1)
    cells = {s: table.address(s, k) for s in (*table.columns, *table.cells)}
    symbol = GRADIENT_SYMBOLS[weight].name
    slope = cells.get(symbol) or f"({expected_formula(GRADIENTS[weight], cells)[1:]})"
    if rate.in_cell:
        factor = absolute(rate.source)
    else:
        factor = cells.get("eta") or (f"{eta:.6g}" if eta else "η")
    result["expected_formula"] = f"={cells[name]}-{factor}*{slope}"

    def fits(values):
        return bool((np.abs(got - values) <= tolerance)[wrong].all())

    def named():
        """The causes that give the student's numbers, the likeliest first."""
        below = np.concatenate([[False], wrong])
        yield not_numbers(table, name, below)
        other_rate = f"another learning rate: {inferred or 0:.6g} in place of {np.ravel(eta)[0]:g}"
        ordinary = inferred is not None and inferred > 0 and (inferred != 1 or np.ptp(eta) > 0)
        if ordinary and fits(updates.old[weight] - inferred * gradient[:-1]):
            yield other_rate
        for other in (s for s in WEIGHTS if s != weight):
            for text, values in zip(UPDATE_MISTAKES, outcomes(other)[1:]):
                if fits(values):
                    yield text.format(other=other)
        yield typed_over(table, name, below, formulas())

    result["cause"] = next((cause for cause in named() if cause), None)
    return result
