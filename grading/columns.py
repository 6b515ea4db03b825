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
from grading.causes import Content, not_numbers, typed_over
from grading.differences import constant_differences, differences
from grading.filling import Filling
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
from grading.reading import shown
from grading.rounding import (
    ACCEPTED_DIGITS,
    COARSEST,
    RELATIVE,
    STORED,
    most_decimals,
    propagate,
    uncertainty,
)


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
        self.table = table
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
        """What stands in a column of the table."""
        return Filling(self.table.sheet, self.table.rows, self.table.columns[name])


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
    """How many computed columns of a table are right, to compare readings of its constants."""
    checked = CheckedTable(table)
    names = [s.name for s in FORMULAS if s.name in table.columns]
    tolerance = {n: checked.tolerance[n] + checked.uncertainty[n] for n in names}
    return sum(
        compare(table.values[n], checked.right[n], tolerance[n], table.checkable)[0]["verdict"]
        == "right"
        for n in names
    )


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
    rows = wrong if wrong.any() else stale
    first = int(rows.argmax())
    result |= describe(table, name, first)
    here = table.columns[name]
    cells = {s: table.address(s, first, here) for s in (*table.columns, *table.cells)}
    lessons = in_style(expected_formula(FORMULAS[symbol], cells), result["formula"])
    result["expected_formula"] = lessons
    if stale.any() and (not wrong.any() or stale[wrong].all()):
        result |= {"verdict": "wrong", "rows_wrong": int(rows.sum()), "cause": STALE}
    else:
        result["cause"] = _cause(checked, symbol, got, wrong, filling, reader)
        content = content_of(checked, symbol, filling, wrong, reader)
        result["expected_formula"] = content.mended(first, cells) or lessons
    checked.wrong.append(name)
    return result


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


def check_constants(checked, reader):
    """Check that inputs and targets stay what they are: name → result of those that do not."""
    table, results = checked.table, {}
    for name, stated in table.stated.items():
        wrong = ~np.isclose(stated, table.constants[name], rtol=1e-9, atol=0)
        wrong |= _texts_that_spoil(table, name)
        if not wrong.any():
            continue
        first, filling = int(wrong.argmax()), checked.filling(name)
        symbol = next(s for s in GIVEN if s.name == name)
        content = Content(
            table, reader, name, filling, wrong, lambda e, s=symbol: constant_differences(e, s),
            {name},
        )  # fmt: skip
        said = content.causes(
            lambda rows, n=name: (
                not_numbers(table, n, rows)
                or _text(table, n, int(rows.argmax()))
                or "typed numbers"
            )
        )
        results[name] = missing_result() | {
            "verdict": "wrong",
            "rows_checked": len(wrong),
            "rows_wrong": int(wrong.sum()),
            **describe(table, name, first),
            "expected_formula": f"{table.constants[name][first]:g}",
            "cause": said or not_numbers(table, name, wrong) or _text(table, name, first)
            or _other_numbers(content, table.stated[name], table.constants[name][first]),
        }  # fmt: skip
        checked.wrong.append(name)
    return results


def _texts_that_spoil(table, name):
    """Rows in which an input or target is a text, and what is calculated an error, (rows,)."""
    columns = [table.raw[n] for n in COMPUTED_NAMES & table.raw.keys()]
    error = [any(column[k] == "#VALUE!" for column in columns) for k in range(len(table.rows))]
    return np.array([isinstance(value, str) for value in table.raw[name]]) & np.array(error, bool)


def _text(table, name, k):
    value = table.raw[name][k]
    return f"text in place of a number: '{shown(value, 20)}'" if isinstance(value, str) else None


def _other_numbers(content, stated, right):
    """Say which other numbers stand in the place of an input or target."""
    others = stated[content.wrong]
    steps = np.diff(stated[np.flatnonzero(content.wrong)[0] - 1 :])
    if len(steps) > 1 and content.wrong[-1] and np.allclose(steps, steps[0]) and steps[0]:
        return f"filled down as a series, {steps[0]:+g} a row".replace("-", "−")
    if (others == others[0]).all():
        return f"{content.where(content.wrong)}: {others[0]:g} in place of {right:g}"
    return f"it changes from row to row: it is {right:g} in the others"


def check_start(checked, reader, stated):
    """Check the first weights: name → result of those that are not the stated ones.

    Args:
        stated: name → the numbers beside its labels. Where most first weights are there, the
            others are mistakes.
    """
    table, results = checked.table, _typed_wrong(checked, stated)
    for weight in WEIGHTS:
        filling = checked.filling(weight.name)
        if filling.form[0] < 0:
            continue
        place = (table.rows[0], filling.column)
        said = reader.read(table.sheet.formulas[place], *place, 0)
        name, _, where = str(said).partition(" of the ")
        if where == "input block" and name != weight.name:
            results[weight.name] = missing_result() | {
                "verdict": "wrong",
                "rows_checked": 1,
                "rows_wrong": 1,
                **describe(table, weight.name, 0),
                "expected_formula": f"the cell of {weight}",
                "cause": f"it starts with {name} of the input block",
            }
    return results


def _typed_wrong(checked, stated):
    """First weights that are not the number beside their label, though the others are."""
    table = checked.table
    first = {w.name: table.values[w.name][0] for w in WEIGHTS if stated.get(w.name)}
    other = [name for name, value in first.items() if value not in stated[name]]
    if len(first) <= 2 * len(other) or len(first) < len(WEIGHTS) / 2:
        return {}
    return {
        name: missing_result() | {
            "verdict": "wrong",
            "rows_checked": 1,
            "rows_wrong": 1,
            **describe(table, name, 0),
            "expected_formula": f"{stated[name][0]:g}",
            "cause": f"it starts with {first[name]:g}; beside its label is {stated[name][0]:g}",
        }
        for name in other if len(set(stated[name])) == 1
    }  # fmt: skip


STALE = (
    "the numbers are not those that the formulas give: open the file, let it be calculated "
    "again (Ctrl+Alt+F9), and save it"
)


def stale_rows(calculated, got, tolerance):
    """Rows whose stored number is not what the cell's own formula gives."""
    with np.errstate(all="ignore"):
        return np.isfinite(calculated) & np.isfinite(got) & ~(
            np.abs(calculated - got) <= 3 * tolerance + 1e-6 * np.abs(calculated)
        )  # fmt: skip


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


def _cause(checked, symbol, got, wrong, filling, reader):
    """Say why a column is wrong, or None."""
    table, name = checked.table, symbol.name
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
    content = content_of(checked, symbol, filling, wrong, reader)
    said = content.causes(
        lambda rows: not_numbers(table, name, rows) or typed_over(table, name, filling, rows, right)
    )
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


def follows_from(columns):
    """Say that a column inherits what is wrong in others; None where there are none."""
    if not columns:
        return None
    return f"right in itself: it follows from {' and '.join(map(column_name, columns))}"


def _from_numbers(checked, symbol, fits):
    """The mistake of the catalogue that gives a column's numbers, or None."""
    if misplaced := _misplaced(checked, symbol, fits):
        return misplaced
    outcomes = checked.calculate(*_compiled_mistakes(symbol))
    for (what, _), *outcome in zip(catalogue(symbol), *outcomes):
        if fits(*outcome):
            return what
    for decimals in range(1, ACCEPTED_DIGITS):
        if fits(np.round(checked.right[symbol.name], decimals), 1e-12):
            return _rounded(checked, symbol, decimals)
    return None


def _rounded(checked, symbol, decimals):
    """Say that a column is rounded, and whether numbers or texts stand there for formulas."""
    rounded = f"rounded to {decimals} decimals"
    if all(isinstance(value, str) for value in checked.table.raw[symbol.name]):
        return f"text in place of numbers, {rounded}"
    typed = checked.live and (checked.filling(symbol.name).form < 0).all()
    return f"typed numbers in place of formulas, {rounded}" if typed else rounded


@cache
def _compiled_mistakes(symbol):
    return compile_formulas([formula for _, formula in catalogue(symbol)])


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
