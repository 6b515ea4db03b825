"""Compares the computed columns of a table with what its rows give, and says why one is wrong.

A row is compared with what its own inputs, targets and weights give, within rounding: the
numbers decide. Why a column is wrong is read in its formulas, see `causes.py`. Where there
are none, the mistakes of `mistakes.py` are tried: the one that gives the same numbers in
every wrong row is its cause. Whether each row's weights follow from the row above is asked
in `updates.py`.
"""

from functools import cache, cached_property, partial

import numpy as np

import backprop
from backprop import GIVEN, GRADIENT_SYMBOLS, WEIGHTS
from grading.causes import Content, not_numbers
from grading.differences import differences
from grading.filling import Filling
from grading.mistakes import catalogue, rare
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
from grading.reading import number_in, shown
from grading.rounding import (
    ACCEPTED_DIGITS,
    COARSEST,
    RELATIVE,
    STORED,
    most_decimals,
    propagate,
    uncertainty,
)

EXACT = 1e-12  # where two numbers must be the same decimal fraction


class CheckedTable:
    """A table, what its rows give, and the verdicts so far.

    Attributes:
        right, tolerance: column → what the row's inputs, targets and weights give, and how
            far rounding of these may move it; float arrays (rows,).
        own: column → the table's own number, or, where it has none, the number that its
            other columns give.
        uncertainty: column → how far the numbers of `own` may be off.
        wrong: the names of wrong columns, in the order of calculation.
        empty: the names of gradients that are zero within rounding and have no right formula.
        typed: the names of right columns that have no formula.
        decimals: to how many decimals rounding is allowed.
    """

    def __init__(self, table):
        self.table, self._fillings = table, {}
        self.decimals = accepted = self._accepted_decimals()
        self.uncertainty = {name: STORED * np.abs(values) for name, values in table.values.items()}
        rounded = False
        for name in COMPUTED_NAMES & table.values.keys():
            stored, self.uncertainty[name] = (
                self.uncertainty[name],
                uncertainty(table.values[name], accepted=accepted),
            )
            rounded |= bool((self.uncertainty[name] > stored).any())
        for name in WEIGHT_NAMES:
            self.uncertainty[name] = uncertainty(table.values[name], 1, accepted)
        if rounded:
            for name in CONSTANT_NAMES:
                values = table.values[name]
                self.uncertainty[name] = uncertainty(values, typed=len(values))
        given = [table.values[s.name] for s in GIVEN]
        right, tolerance = propagate(_whole_row, given, [self.uncertainty[s.name] for s in GIVEN])
        self.right = dict(zip([s.name for s in FORMULAS], right))
        self.tolerance = dict(zip([s.name for s in FORMULAS], tolerance))
        # What a cell is calculated from: the table's own cells, where they are numbers.
        self.own = {name: table.stated.get(name, table.values[name]) for name in GIVEN_NAMES}
        for symbol, formula in FORMULAS.items():
            name = symbol.name
            (derived,), (distance,) = self.calculate(*compile_formula(formula))
            cells = table.values.get(name, np.full(len(derived), np.nan))
            self.own[name] = np.where(np.isfinite(cells), cells, derived)
            self.uncertainty[name] = np.where(
                np.isfinite(cells), self.uncertainty.get(name, 0), distance
            )
        self.wrong, self.empty, self.typed = [], [], []
        if rounded:
            self._allow_for_rounding()

    def _accepted_decimals(self):
        """To how many decimals rounding is allowed: fewer where all numbers are rounded alike.

        Such a table was copied as it is shown, without its formulas. What its decimals hide
        cannot be checked.
        """
        table = self.table
        names = (COMPUTED_NAMES | WEIGHT_NAMES) & table.columns.keys()
        decimals = most_decimals([table.values[name] for name in names])
        return ACCEPTED_DIGITS if decimals == 0 or self.live else min(decimals, ACCEPTED_DIGITS)

    @cached_property
    def live(self):
        """Whether any computed column or weight has a formula."""
        names = (COMPUTED_NAMES | WEIGHT_NAMES) & self.table.columns.keys()
        return any((self.filling(name).form >= 0).any() for name in names)

    def _allow_for_rounding(self):
        """Widen the tolerance of what is calculated from the table's own rounded cells."""
        reach = {name: self.uncertainty[name] for name in GIVEN_NAMES}
        for symbol, formula in FORMULAS.items():
            symbols, function = compile_formula(formula)
            own = [self.own[s.name] for s in symbols]
            _, (distance,) = propagate(function, own, [reach[s.name] for s in symbols])
            reach[symbol.name] = np.maximum(distance, self.uncertainty[symbol.name])
            self.tolerance[symbol.name] = np.fmax(self.tolerance[symbol.name], distance)

    def calculate(self, symbols, function, values=None):
        """Evaluate a function of some quantities by the table's own cells, or by `values`."""
        values = values or [self.own[s.name] for s in symbols]
        return propagate(function, values, [self.uncertainty[s.name] for s in symbols])

    def own_given(self, symbol):
        """The weights, inputs and targets that a quantity is calculated from, (names, rows)."""
        return np.array([self.own[s.name] for s in _given(symbol)])

    def filling(self, name):
        """What stands in a column of the table: a `Filling`."""
        if name not in self._fillings:
            column = self.table.columns[name]
            self._fillings[name] = Filling(self.table.sheet, self.table.rows, column)
        return self._fillings[name]


@cache
def _given(symbol):
    """The symbols of weights, inputs and targets that a quantity is calculated from."""
    used = FORMULAS[symbol].free_symbols
    return set().union(*({s} if s in GIVEN else _given(s) for s in used))


def _whole_row(*given):
    """The values of `FORMULAS`, in order, from those of `GIVEN`, in order."""
    row = backprop.spreadsheet_row(dict(zip(GIVEN, given)))
    return [row[symbol] for symbol in FORMULAS]


def right_columns(table):
    """How many columns of a table are right, each calculated from the table's own cells.

    To compare readings of the table's inputs and targets.
    """
    checked, count = CheckedTable(table), 0
    for symbol, formula in FORMULAS.items():
        if symbol.name in table.columns:
            (right,), (distance,) = checked.calculate(*compile_formula(formula))
            tolerance = distance + checked.uncertainty[symbol.name]
            result, _ = compare(table.values[symbol.name], right, tolerance, table.checkable)
            count += result["verdict"] == "right"
    return count


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
        (the column's result, which rows are wrong). Rows in which nothing follows, or in
        which rounding leaves nothing to compare, are not checked.
    """
    fine = (tolerance <= COARSEST * np.maximum(1, np.abs(want))) | ~np.isfinite(got)
    rows = rows & np.isfinite(want) & fine
    wrong = rows & ~(np.abs(got - want) <= tolerance)
    error = np.abs(got - want) / np.abs(want)
    verdict = "wrong" if wrong.any() else "right" if rows.any() else "unchecked"
    result = missing_result() | {"verdict": verdict}
    result |= {"rows_checked": int(rows.sum()), "rows_wrong": int(wrong.sum())}
    error = error[(wrong if wrong.any() else rows) & np.isfinite(error)]
    result["max_relative_error"] = float(error.max()) if len(error) else None
    return result, wrong


def check_column(checked, symbol, reader, recalculate):
    """Check one computed column.

    Args:
        checked: a `CheckedTable`. reader: its `references.Reader`.
        recalculate: a `filling.Recalculation` of its workbook.
    """
    table, name = checked.table, symbol.name
    if name not in table.columns:
        return missing_result()
    got, want = table.values[name], checked.right[name]
    tolerance = checked.tolerance[name] + checked.uncertainty[name]
    result, wrong = _with_inherited(
        checked, symbol, *compare(got, want, tolerance, table.checkable)
    )
    filling = checked.filling(name)
    stale = stale_rows(recalculate(filling), got, tolerance)
    if not wrong.any() and not stale.any():
        wrong = _wrong_by_formula(checked, symbol, filling, reader)
        if not wrong.any():
            _note_formula(checked, symbol, filling, reader, tolerance)
            return result
        result |= {"verdict": "wrong", "rows_wrong": int(wrong.sum())}
    result |= _explained(checked, symbol, wrong, stale, reader)
    checked.wrong.append(name)
    return result


def _explained(checked, symbol, wrong, stale, reader):
    """The keys of a wrong column's result that say where and why it is, and what is right.

    Args:
        wrong, stale: which rows are, (rows,). reader: see `check_column`.
    """
    table, name, filling = checked.table, symbol.name, checked.filling(symbol.name)
    rows = wrong if wrong.any() else stale
    first, here = int(rows.argmax()), table.columns[name]
    found = describe(table, name, first)
    cells = {s: table.address(s, first, here) for s in (*table.columns, *table.cells)}
    lessons = in_style(expected_formula(FORMULAS[symbol], cells), found["formula"])
    if stale.any() and (not wrong.any() or stale[wrong].all()):
        found |= {"verdict": "wrong", "rows_wrong": int(rows.sum()), "cause": STALE}
        return found | {"expected_formula": lessons}
    content = content_of(checked, symbol, filling, wrong, reader)
    cause = _cause(checked, symbol, content)
    if cause:
        cause += _text_in_row(checked, symbol, wrong)
    return found | {"cause": cause, "expected_formula": content.mended(first, cells) or lessons}


def _with_inherited(checked, symbol, result, wrong):
    """Add the rows of a column that are errors because an input, target or weight is none."""
    broken = ~np.isfinite(checked.own_given(symbol)).all(0)
    inherited = ~checked.table.checkable & ~np.isfinite(checked.table.values[symbol.name]) & broken
    if inherited.any():
        wrong = wrong | inherited
        count = int(wrong.sum())
        rows = max(result["rows_checked"], count)
        result |= {"verdict": "wrong", "rows_wrong": count, "rows_checked": rows}
    return result, wrong


def _wrong_by_formula(checked, symbol, filling, reader):
    """Rows with a wrong formula that rounding of other columns hides, (rows,).

    A formula calculates with the cells as they are, rounded or not. So another number than
    the right formula gives from the same cells is no rounding.
    """
    table, name = checked.table, symbol.name
    (right,), _ = checked.calculate(*compile_formula(FORMULAS[symbol]))
    allowed = checked.uncertainty[name] + RELATIVE * np.abs(right)
    rows = table.checkable & (filling.form >= 0) & (np.abs(table.values[name] - right) > allowed)
    content = content_of(checked, symbol, filling, rows, reader)
    if rows.any() and content.causes(lambda rows: "") and not content.unknown:
        return rows
    return np.zeros_like(rows)


def _note_formula(checked, symbol, filling, reader, tolerance):
    """Note a formula that is not the right one, though its numbers are; and typed numbers."""
    table, name = checked.table, symbol.name
    everywhere, live = np.ones(len(table.rows), bool), filling.form >= 0
    content = content_of(checked, symbol, filling, everywhere, reader)
    said = content.causes(lambda rows: "")
    if live.any() and not live.all():
        table.notes.append(
            f"{column_name(name)} has the right numbers, but typed ones in place of formulas: "
            f"{content.where(~live)}."
        )
    checked.typed += [name] * (not live.any())
    if said:
        table.notes.append(
            f"{column_name(name)} has the right numbers here, but another formula: {said}."
        )
    zero = (np.abs(checked.right[name]) <= tolerance).all()
    if zero and said != "" and symbol in GRADIENT_SYMBOLS.values():
        checked.empty.append(name)
        if said:
            table.unchecked.append(f"{column_name(name)} is 0 in every row, whatever the formula.")
    if any("[" in formula.text for formula in filling.forms):
        table.unchecked.append(f"{column_name(name)} is taken from another workbook.")


def content_of(checked, symbol, filling, wrong, reader):
    """The `causes.Content` of a computed column."""
    wanted = {s.name for s in FORMULAS[symbol].free_symbols} | GIVEN_NAMES
    explain = partial(differences, symbol=symbol)
    return Content(
        checked.table, reader, symbol.name, filling, wrong, explain, wanted, FORMULAS[symbol]
    )


STALE = (
    "the numbers are not those that the formulas give: open the file, let it be calculated "
    "again (Ctrl+Alt+F9), and save it"
)


# A stored number that is further from what its formula gives is of an earlier calculation.
STALE_TOLERANCES, STALE_RELATIVE = 3, 1e-6


def stale_rows(calculated, got, tolerance):
    """Rows whose stored number is not what the cell's own formula gives."""
    with np.errstate(all="ignore"):
        allowed = STALE_TOLERANCES * tolerance + STALE_RELATIVE * np.abs(calculated)
        return np.isfinite(calculated) & np.isfinite(got) & ~(np.abs(calculated - got) <= allowed)


def describe(table, name, k):
    """The keys of a result that say where a column is wrong first, and what stands there."""
    content = table.sheet.content(table.rows[k], table.columns[name])
    return {
        "first_wrong": table.address(name, k),
        "formula": None if content is None else shown(content),
    }


def expected_formula(formula, cells):
    """The right formula in the sheet's own addresses.

    The formula of a quantity takes the place of a quantity that has no column.
    """
    while absent := [s for s in formula.free_symbols if s.name not in cells]:
        formula = formula.xreplace({s: FORMULAS[s] for s in absent})
    return "=" + backprop.to_excel(formula).format(**cells)


def in_style(formula, theirs):
    """A formula without spaces, where the student writes none. Names of sheets keep theirs."""
    if not theirs or not theirs.startswith("=") or " " in theirs.strip():
        return formula
    pieces = formula.split("'")
    return "'".join(p if k % 2 else p.replace(" ", "") for k, p in enumerate(pieces))


# --- Why a column is wrong ---------------------------------------------------------


def _cause(checked, symbol, content):
    """Say why a column is wrong, or None; `content` holds what stands in it."""
    table, name, wrong = checked.table, symbol.name, content.wrong
    got = table.values[name]
    used = [s.name for s in FORMULAS[symbol].free_symbols if s.name in table.columns]
    broken_given = [
        n for n in GIVEN_NAMES & {*used} if not np.isfinite(checked.own[n][wrong]).all()
    ]
    follows = follows_from(
        dict.fromkeys([*(c for c in checked.wrong if c in used), *sorted(broken_given)])
    )
    (right,), (tolerance,) = checked.calculate(*compile_formula(FORMULAS[symbol]))
    broken = ~np.isfinite([right, *(table.values[u] for u in used)]).all(0)
    unexplained = wrong & ~(broken & ~np.isfinite(got))  # an error goes on to its users
    said = content.causes(lambda rows: content.without_formula(rows, right))
    if said:
        return said
    if said == "":  # every formula is right in itself
        origin = [column for column in checked.wrong if column in content.used]
        return follows_from(origin) or follows
    if not unexplained.any():
        return follows
    if what := not_numbers(table, name, unexplained):
        return what
    slack = checked.uncertainty[name]

    def fits(values, tolerance):
        return bool((np.abs(got - values) <= tolerance + slack)[unexplained].all())

    if fits(right, tolerance):
        return follows
    return content.typed_over(right) or _from_numbers(checked, symbol, fits)


def _text_in_row(checked, symbol, wrong):
    """Say that a number from which the wrong rows are calculated is a text there."""
    table = checked.table
    for name in sorted(s.name for s in FORMULAS[symbol].free_symbols):
        cells = table.raw.get(name, ())
        texts = np.array([isinstance(v, str) and np.isfinite(number_in(v)) for v in cells])
        if name in GIVEN_NAMES and 0 < 2 * texts.sum() < len(texts) and texts[wrong].all():
            return f" ({name} in {table.address(name, int(wrong.argmax()))} is a text)"
    return ""


def follows_from(columns):
    """Say that a column inherits what is wrong in others; None where there are none."""
    if not columns:
        return None
    return f"right in itself: it follows from {' and '.join(map(column_name, columns))}"


def _from_numbers(checked, symbol, fits):
    """The mistake of the catalogue that gives a column's numbers, or None."""
    if misplaced := _misplaced(checked, symbol, fits):
        return misplaced
    for mistakes in (catalogue, rare):
        if known := mistakes(symbol):
            outcomes = checked.calculate(*_compiled_mistakes(symbol, mistakes))
            for (what, _), *outcome in zip(known, *outcomes):
                if fits(*outcome):
                    return what
    for decimals in range(1, ACCEPTED_DIGITS):
        if fits(np.round(checked.right[symbol.name], decimals), EXACT):
            return _rounded(checked, symbol, decimals)
    typed = checked.live and (checked.filling(symbol.name).form < 0).all()
    return "typed numbers in place of formulas" if typed else None


def _rounded(checked, symbol, decimals):
    """Say that a column is rounded, and whether numbers or texts stand there for formulas."""
    rounded = f"rounded to {decimals} decimals"
    if all(isinstance(value, str) for value in checked.table.raw[symbol.name]):
        return f"text in place of numbers, {rounded}"
    typed = checked.live and (checked.filling(symbol.name).form < 0).all()
    return f"typed numbers in place of formulas, {rounded}" if typed else rounded


@cache
def _compiled_mistakes(symbol, mistakes):
    return compile_formulas([formula for _, formula in mistakes(symbol)])


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
