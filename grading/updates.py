"""Compares the weights of a table from row to row.

An update is checked with the gradient that stands in the table's own row, so a wrong
gradient is reported once, as a gradient, in `columns.py`. Where a table shows only some of
the epochs, those between are calculated.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import sympy

import backprop
from backprop import GIVEN, GRADIENT_SYMBOLS, GRADIENTS, WEIGHTS
from grading.causes import Content, not_numbers
from grading.columns import (
    STALE,
    compare,
    describe,
    expected_formula,
    follows_from,
    in_style,
    missing_result,
    stale_rows,
)
from grading.differences import update_differences
from grading.mistakes import (
    ETA,
    RARE_UPDATES,
    UPDATE,
    UPDATE_MISTAKES,
    UPDATE_SYMBOLS,
    update_formulas,
)
from grading.quantities import GIVEN_NAMES
from grading.reading import absolute
from grading.rounding import RELATIVE

_KNOWN = UPDATE_MISTAKES | RARE_UPDATES
_update_values = sympy.lambdify(UPDATE_SYMBOLS, [UPDATE, *_KNOWN.values()], modules="numpy")
LONGEST_STEP = 1000  # epochs between two rows
DEVIATIONS = 8  # how far many roundings may add up: times that of one and √(their number)
MOST_MISSING = 20  # epochs that are looked for between two rows, where none are counted


class Compared(NamedTuple):
    """The updates of one weight, compared with the right ones.

    Attributes:
        result: the column's result. wrong: which updates are wrong, (rows − 1,).
        inherited: which of them go on from an error or a gap above, (rows − 1,).
        tolerance: how far rounding may move the weight, (rows − 1,).
    """

    result: dict
    wrong: np.ndarray
    inherited: np.ndarray
    tolerance: np.ndarray


class Updates:
    """All updates of a table: from each row to the next, by its own gradients.

    Attributes:
        old, new: weight → its number before and after each update, arrays (rows − 1,).
        gradient: weight → its gradient, (rows,).
        moves, slack: weight → how far rounding may move the weight, (rows,), and the
            gradient, (rows − 1,).
        steps: how many epochs lie between a row and the next, (rows − 1,).
        rows: which updates can be checked, (rows − 1,). single: those of one epoch.
    """

    def __init__(self, checked):
        self.checked, table = checked, checked.table
        self.old = {s: table.values[s.name][:-1] for s in WEIGHTS}
        self.new = {s: table.values[s.name][1:] for s in WEIGHTS}
        self.gradient = {s: checked.own[GRADIENT_SYMBOLS[s].name] for s in WEIGHTS}
        self.moves = {s: checked.uncertainty[s.name] for s in WEIGHTS}
        self.slack = {s: checked.uncertainty[GRADIENT_SYMBOLS[s].name][:-1] for s in WEIGHTS}
        self.steps = self._steps()
        possible = (self.steps >= 0) & (self.steps <= LONGEST_STEP) & (self.steps % 1 == 0)
        self.rows = table.checkable[:-1] & possible
        self.single = self.rows & (self.steps == 1)

    def _steps(self):
        """The table's own steps; a gap is one epoch, unless a new run begins below it."""
        table = self.checked.table
        steps = table.steps.copy()
        counted = "epoch" in table.values
        start = np.array([table.values[s.name][0] for s in WEIGHTS])
        for k in np.flatnonzero(np.isnan(steps)):
            again = np.allclose([self.new[s][k] for s in WEIGHTS], start)
            if not again and not counted:
                steps[k] = 1
        return steps

    def note_unchecked(self):
        """Say which updates cannot be checked; that a run begins again is no reason."""
        table = self.checked.table
        epochs = table.values.get("epoch", np.zeros(len(table.rows)))
        left = table.checkable[:-1] & ~self.rows
        again = left & ((epochs[1:] == epochs[0]) | np.isnan(self.steps))
        lost = left & ~again & ~self._jumps
        for k in np.flatnonzero(self._jumps):
            sentences = table.notes if self.rows[k] else table.unchecked
            sentences.append(
                f"An epoch is missing: they go from {epochs[k]:g} to {epochs[k + 1]:g} in "
                f"{table.sheet.line_name(table.rows[k + 1])}."
            )
        if lost.any() or again.sum() > self.rows.sum():
            k = int((lost if lost.any() else again).argmax())
            table.unchecked.append(
                f"{int(left.sum())} updates could not be checked, the first from "
                f"{table.sheet.line_name(table.rows[k])} to "
                f"{table.sheet.line_name(table.rows[k + 1])}: the epochs do not follow one another."
            )

    def leave_out_jumps(self):
        """Leave out epochs between two rows where the table calculates a gradient wrongly."""
        if {s.name for s in GRADIENT_SYMBOLS.values()} & {*self.checked.wrong}:
            self.rows = self.rows & ~self._jumps

    @property
    def _jumps(self):
        """Where epochs are missing, in a table that has most of them, (rows − 1,)."""
        return (self.steps > 1) & ((self.steps == 1).sum() > len(self.steps) / 2)

    def filling(self, weight):
        """What stands in a weight's column."""
        return self.checked.filling(weight.name)

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
            count += bool(good[self.single].all())
        return count

    def estimates(self):
        """η by least squares in each column: a list of (η, how far rounding may move it)."""
        found = []
        for weight in WEIGHTS:
            g, step = self.gradient[weight][:-1], self.old[weight] - self.new[weight]
            use = self.single & np.isfinite(step) & np.isfinite(g)
            g, step = g[use], step[use]
            if not (g**2).sum():
                continue
            eta = (g * step).sum() / (g**2).sum()
            moves = (self.moves[weight][:-1] + self.moves[weight][1:])[use]
            error = (np.abs(g) * moves + np.abs(step) * self.slack[weight][use]).sum()
            found.append((eta, 2 * error / (g**2).sum() + RELATIVE * abs(eta)))
        return found

    def several_epochs(self, eta):
        """What each row's weights are after `steps` epochs: weight → array (rows − 1,)."""
        given = {s: self.checked.table.values[s.name][:-1].copy() for s in GIVEN}
        left = np.where(self.rows, self.steps, 0)
        for epoch in range(int(left.max(initial=0))):
            row, go_on = backprop.spreadsheet_row(given), left > epoch
            for weight, slope in GRADIENT_SYMBOLS.items():
                given[weight] = np.where(go_on, given[weight] - eta * row[slope], given[weight])
        return {weight: given[weight] for weight in WEIGHTS}


def check_updates(updates, rates, reader, recalculate):
    """Check the updates of all weights, from each row to the next.

    Args:
        updates: an `Updates`. rates: what `rates.layer_rates` returns.
        reader: a `references.Reader`. recalculate: a `filling.Recalculation`.

    Returns:
        weight → the result of its column.
    """
    if not len(updates.rows) or any(rate.eta is None for rate in rates.values()):
        return {weight: missing_result() for weight in WEIGHTS}
    compared = {weight: _compare(updates, weight, rate) for weight, rate in rates.items()}
    broken = _interruption(updates, rates, compared)
    results = {}
    for weight, rate in rates.items():
        reader.rate_cell = rate.place or reader.rate_cell
        results[weight] = _check_update(
            updates, weight, rate, compared[weight], reader, recalculate
        )
        if broken:
            results[weight] |= {"cause": broken}
    return results


def _check_update(updates, weight, rate, compared, reader, recalculate):
    """Check the update of one weight; `compared` is what `_compare` returns."""
    table, name = updates.checked.table, weight.name
    result, wrong, inherited, tolerance = compared
    filling = updates.filling(weight)
    recalculated = recalculate(filling)[1:]
    stale = stale_rows(recalculated, updates.new[weight], tolerance) & updates.single
    rows = wrong if wrong.any() else stale
    if not rows.any():
        rows = wrong = _look_at_formula(updates, weight, rate, filling, reader)
        if not rows.any():
            return result
        result |= {"verdict": "wrong", "rows_wrong": int(rows.sum())}
    k = int(rows.argmax())
    result |= describe(table, name, k + 1)
    content = _content(updates, weight, rate, rows, filling, reader)
    result["expected_formula"] = content.mended(k + 1, _cells(updates, rate, k, filling)) or (
        _expected(updates, weight, rate, k, filling, result["formula"])
    )
    if stale.any() and (not wrong.any() or stale[wrong].all()):
        return result | {"verdict": "wrong", "rows_wrong": int(rows.sum()), "cause": STALE}
    unexplained = wrong & ~inherited
    cause = _cause(updates, weight, rate, unexplained, tolerance, filling, reader)
    if not unexplained.any():  # an error of the gradient, or of the weight above, goes on
        cause = cause or follows_from([GRADIENT_SYMBOLS[weight].name])
    return result | {"cause": cause}


def _compare(updates, weight, rate):
    """Compare the updates of one weight with the right ones.

    Returns:
        A `Compared`.
    """
    got, eta = updates.new[weight], rate.eta
    tolerance, gradient = updates.tolerance(weight, eta, rate.error), updates.gradient[weight][:-1]
    want = updates.old[weight] - eta * gradient
    if not updates.single[updates.rows].all():
        want = np.where(updates.steps == 1, want, updates.several_epochs(eta)[weight])
        tolerance = tolerance * np.maximum(1, updates.steps)
    values = updates.checked.table.values
    cells = values.get(GRADIENT_SYMBOLS[weight].name, updates.gradient[weight])[:-1]
    follows = ~np.isfinite(got) & ~np.isfinite(cells + want)  # an error of the gradient goes on
    result, wrong = compare(got, want, tolerance, updates.rows & ~follows)
    drift = _drift(updates, weight, eta, rate.error, wrong)
    if drift.any():
        wrong, result["verdict"] = drift, "wrong"
    if np.isscalar(eta) and eta == 0:  # no training, so no update is right
        wrong = updates.rows & (gradient != 0)
        result["verdict"] = "wrong" if wrong.any() else "right"
    before = np.isfinite(updates.old[weight]) & np.isfinite(cells)
    inherited = ~np.isfinite(got) & ~before
    if inherited.any():
        wrong, result["verdict"] = wrong | inherited, "wrong"
    result["rows_wrong"] = int(wrong.sum())
    return Compared(result, wrong, inherited, tolerance)


def _interruption(updates, rates, compared):
    """Say that rows of typed numbers do not go on from the row above them; None where they do.

    All eight weights are wrong in one row only, and the rows below are typed as well: rows
    are missing above it, or it comes from another training.

    Args:
        rates: weight → its `rates.Rate`. compared: weight → what `_compare` returns.
    """
    table, (wrong, *others) = updates.checked.table, [c.wrong for c in compared.values()]
    k = int(wrong.argmax())
    if wrong.sum() != 1 or any((other != wrong).any() for other in others):
        return None
    live = np.array([updates.filling(weight).form >= 0 for weight in WEIGHTS])
    if live[:, k + 1 :].any() or k + 1 == len(wrong):
        return None
    above, here = (table.sheet.line_name(table.rows[n]) for n in (k, k + 1))
    if missing := _missing_epochs(updates, rates, k):
        are = "epoch is" if missing == 1 else "epochs are"
        return f"{missing} {are} missing between {above} and {here}"
    if live.any():
        return (
            f"from {here} on, the rows are typed numbers of another training: no weight "
            f"follows from {above}"
        )
    return f"no weight follows from {above}: epochs are missing, or another training begins"


def _missing_epochs(updates, rates, k):
    """How many epochs lie between data row k and the next, 0 where none lead to it."""
    given = {s: updates.checked.table.values[s.name][k] for s in GIVEN}
    eta = {w: np.broadcast_to(rate.eta, updates.steps.shape)[k] for w, rate in rates.items()}
    for epoch in range(1, MOST_MISSING + 2):
        row = backprop.spreadsheet_row(given)
        given |= {w: given[w] - eta[w] * row[g] for w, g in GRADIENT_SYMBOLS.items()}
        distance = [abs(given[w] - updates.new[w][k]) for w in WEIGHTS]
        slack = [epoch * updates.tolerance(w, rate.eta, rate.error)[k] for w, rate in rates.items()]
        if epoch > 1 and (np.array(distance) <= slack).all():
            return epoch - 1
    return 0


def _drift(updates, weight, eta, eta_error, wrong):
    """Rows in which the updates so far add up to more than rounding can hide.

    A weight that never moves, rounded to 6 digits, is near enough from row to row.
    """
    none = np.zeros(len(wrong), bool)
    if wrong.any() or not updates.single.all() or not np.isscalar(eta):
        return none
    step = eta * updates.gradient[weight][:-1]
    distance = np.abs(updates.new[weight] - updates.old[weight][0] + np.cumsum(step))
    moves, count = updates.moves[weight][1:], np.arange(1, len(step) + 1)
    slack = np.abs(eta) * updates.slack[weight] + np.abs(updates.gradient[weight][:-1]) * eta_error
    limit = DEVIATIONS * np.sqrt(count) * moves + 2 * np.cumsum(slack + RELATIVE * np.abs(step))
    far = distance > limit + 2 * updates.moves[weight][0]
    return far if far.any() and (updates.new[weight] == updates.old[weight]).all() else none


def _cells(updates, rate, k, filling):
    """The addresses of data row k, as a formula of a weight writes them: name → address."""
    table = updates.checked.table
    cells = {s: table.address(s, k, filling.column) for s in (*table.columns, *table.cells)}
    if rate.in_cell:
        cells[ETA.name] = absolute(rate.source)
    elif "eta" in cells:
        cells[ETA.name] = cells["eta"]
    return cells


def _expected(updates, weight, rate, k, filling, theirs):
    """The right update of the weight in data row k + 1, in the sheet's own addresses."""
    cells = _cells(updates, rate, k, filling)
    symbol = GRADIENT_SYMBOLS[weight].name
    slope = cells.get(symbol) or f"({expected_formula(GRADIENTS[weight], cells)[1:]})"
    factor = cells.get(ETA.name) or (f"{rate.eta:.6g}" if rate.eta and rate.source else "η")
    return in_style(f"={cells[weight.name]}-{factor}*{slope}", theirs)


def _content(updates, weight, rate, wrong, filling, reader):
    """The `causes.Content` of a weight's column."""
    below = np.concatenate([[False], wrong])
    wanted = {s.name for s in GRADIENTS[weight].free_symbols} | GIVEN_NAMES
    typed = rate.eta if np.isscalar(rate.eta) and np.isfinite(rate.eta) else None
    explain = partial(update_differences, weight=weight, typed=typed)
    table, (right, _) = updates.checked.table, update_formulas(weight)
    return Content(table, reader, weight.name, filling, below, explain, wanted, right, above=True)


def _look_at_formula(updates, weight, rate, filling, reader):
    """Updates with a wrong formula that rounding of other columns hides, (rows − 1,).

    Another formula than the right one with the right numbers is noted. See
    `columns._wrong_by_formula`.
    """
    rows = updates.single & (filling.form[1:] >= 0)
    content = _content(updates, weight, rate, rows, filling, reader)
    said = rate.source not in (None, "inferred") and rows.any() and content.causes(lambda rows: "")
    if not said or content.unknown:
        return np.zeros_like(rows)
    step = rate.eta * updates.gradient[weight][:-1]
    off = np.abs(updates.new[weight] - (updates.old[weight] - step))
    hidden = rows & (off > updates.moves[weight][1:] + RELATIVE * np.abs(step))
    if not hidden.any():
        updates.checked.table.notes.append(
            f"update {weight} has the right numbers here, but another formula: {said}."
        )
    return hidden


def _cause(updates, weight, rate, wrong, tolerance, filling, reader):
    """Say why the updates of a weight are wrong, or None."""
    table, name = updates.checked.table, weight.name
    if not wrong.any():
        return None
    below = np.concatenate([[False], wrong])
    content = _content(updates, weight, rate, wrong, filling, reader)
    step = rate.eta * updates.gradient[weight][:-1]
    right = np.concatenate([[np.nan], updates.old[weight] - step])
    said = content.causes(lambda rows: content.without_formula(rows, right))
    if said:
        return said
    if said == "":  # every formula is right in itself
        origin = [c for c in updates.checked.wrong if c in content.used]
        return follows_from(origin or [GRADIENT_SYMBOLS[weight].name])
    if what := not_numbers(table, name, below):
        return what
    by_numbers = _from_numbers(updates, weight, rate, wrong, tolerance)
    return by_numbers or content.typed_over(right)


def _own_rate(updates, weight, fits):
    """The learning rate by which this weight alone is updated, or None."""
    g, step = updates.gradient[weight][:-1], updates.old[weight] - updates.new[weight]
    use = updates.single & np.isfinite(step) & np.isfinite(g) & (g != 0)
    if not use.any():
        return None
    own = float(f"{np.median(step[use] / g[use]):.3g}")  # a number that somebody chose
    return own if own > 0 and own != 1 and fits(updates.old[weight] - own * g) else None


def _from_numbers(updates, weight, rate, wrong, tolerance):
    """The mistaken update of the catalogue that gives the numbers, or None."""
    table, inferred = updates.checked.table, rate.other
    eta, got = np.asarray(rate.eta, float), updates.new[weight]  # an array may overflow

    def fits(values):
        return bool((np.abs(got - values) <= tolerance)[wrong].all())

    ordinary = inferred is not None and inferred > 0 and (inferred != 1 or np.ptp(eta) > 0)
    if ordinary and fits(updates.old[weight] - inferred * updates.gradient[weight][:-1]):
        return f"another learning rate: {inferred:.6g} in place of {np.ravel(eta)[0]:g}"
    if own := _own_rate(updates, weight, fits):
        return f"another learning rate: {own:.6g} in place of {np.ravel(eta)[0]:g}"
    first = np.zeros(len(got), int)
    ours, gradient = table.values[weight.name], updates.gradient[weight]
    for other in (s for s in WEIGHTS if s != weight):
        outcomes = _update_values(
            eta, ours[:-1], gradient[:-1], ours[first], gradient[first],
            table.values[other.name][:-1], updates.gradient[other][:-1],
        )  # fmt: skip
        for text, values in zip(_KNOWN, outcomes[1:]):
            if fits(values):
                return text.format(other=other)
    return None
