"""Checks what a table starts from: its inputs and targets, in every row, and first weights."""

import numpy as np

from backprop import GIVEN, WEIGHTS
from grading.causes import Content, not_numbers
from grading.columns import describe, missing_result
from grading.differences import constant_differences
from grading.quantities import COMPUTED_NAMES
from grading.reading import shown
from grading.rounding import RELATIVE

FIRST_ROW = np.array([True])


def check_constants(checked, reader):
    """Check that inputs and targets stay what they are: name → result of those that do not."""
    table, results = checked.table, {}
    for name, stated in table.stated.items():
        wrong = ~np.isclose(stated, table.constants[name], rtol=RELATIVE, atol=0)
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
        right = table.constants[name][first]
        cause = said or not_numbers(table, name, wrong) or _text(table, name, first)
        cause = cause or _other_numbers(content, stated, right)
        results[name] = _wrong(table, name, wrong, f"{right:g}", cause)
        checked.wrong.append(name)
    return results


def _wrong(table, name, wrong, right, cause):
    """The result of a column that is wrong in some of the rows that are checked, (rows,)."""
    return missing_result() | {
        "verdict": "wrong",
        "rows_checked": len(wrong),
        "rows_wrong": int(wrong.sum()),
        **describe(table, name, int(wrong.argmax())),
        "expected_formula": right,
        "cause": cause,
    }


def _texts_that_spoil(table, name):
    """Rows in which an input or target is a text, and what is calculated an error, (rows,)."""
    columns = [table.raw[n] for n in COMPUTED_NAMES & table.raw.keys()]
    error = [any(column[k] == "#VALUE!" for column in columns) for k in range(len(table.rows))]
    return np.array([isinstance(value, str) for value in table.raw[name]]) & np.array(error, bool)


def _text(table, name, k):
    """Say that a cell holds a text; None where it does not."""
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
            cause = f"it starts with {name} of the input block"
            results[weight.name] = _wrong(
                table, weight.name, FIRST_ROW, f"the cell of {weight}", cause
            )
    return results


def _typed_wrong(checked, stated):
    """First weights that are not the number beside their label, though the others are."""
    table = checked.table
    first = {w.name: table.values[w.name][0] for w in WEIGHTS if stated.get(w.name)}
    other = [name for name, value in first.items() if value not in stated[name]]
    if len(first) <= 2 * len(other) or len(first) < len(WEIGHTS) / 2:
        return {}
    results = {}
    for name in other:
        if len(set(stated[name])) == 1:
            right = f"{stated[name][0]:g}"
            cause = f"it starts with {first[name]:g}; beside its label is {right}"
            results[name] = _wrong(table, name, FIRST_ROW, right, cause)
    return results
