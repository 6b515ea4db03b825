"""Finds the inputs and targets of a table: in its columns, beside labels, in a table above.

Where more than one reading is possible, the one under which most columns are right is
taken. Where none fits, no column is blamed for it: the numbers that the table's own columns
show are used, and the report says so.
"""

import numpy as np

from backprop import GIVEN
from grading.columns import right_columns
from grading.quantities import CONSTANT_NAMES

SAME = 1e-6  # relative: a number that all rows show


@np.errstate(all="ignore")
def place_constants(table, tables, labels):
    """Find a table's inputs and targets.

    Args:
        table: a `tables.Table`. tables: those above it. labels: a `labels.Labels`.

    Returns:
        None, or a sentence where the table cannot be checked.
    """
    _take_from_earlier(table, tables, labels)
    where = f"The table in {table.where}"
    readings, scores = labels.constants(table), []
    for reading in readings:
        _take(table, reading)
        if missing := [s.name for s in GIVEN if s.name not in table.values]:
            return (
                f"{where} has no column, and no labelled cell, for {', '.join(missing)}: "
                "without them its rows cannot be computed."
            )
        if len(readings) > 1:
            scores.append(right_columns(table) if table.checkable.any() else 0)
    table.settle_constants(labels.numbers(table))
    if not table.checkable.any():
        return _nothing_to_check(table, where)
    return _choose(table, where, readings, scores) if scores else None


def _take(table, reading):
    for name, (address, value) in reading.items():
        table.set_in_all_rows(name, address, value)


def _take_from_earlier(table, tables, labels):
    """Take inputs and targets from the tables above, where a table that goes on has none.

    It has no number and no label for them, and they are the same in all tables above.
    """
    labelled = {label.name for label in labels.around(table)}
    for name in CONSTANT_NAMES - labelled:
        if name in table.columns and np.isfinite(table.values[name]).any():
            continue
        values = {value for other in tables for value in other.values[name]}
        if len(values) == 1:
            table.columns.pop(name, None)
            table.set_in_all_rows(name, tables[0].first_address(name, table.sheet), *values)


def _choose(table, where, readings, scores):
    """Take the best of several readings; a sentence where none fits."""
    best = max(scores)
    _take(table, readings[scores.index(best)])
    options = {name: sorted({reading[name] for reading in readings}) for name in readings[0]}
    shown, unclear = _shown_by_columns(table), []
    for name, cells in options.items():
        values = [value for _, value in cells]
        if len(cells) > 1 and not any(_same(shown.get(name, np.nan), v) for v in values):
            stated = " or ".join(f"{value:g} ({address})" for address, value in cells)
            unclear.append((name, stated, cells[0][0]))
    if not unclear:
        return None
    if all(name in shown for name, *_ in unclear):
        for name, stated, address in unclear:
            table.set_in_all_rows(name, address, shown[name])
            table.unchecked.append(
                f"{name} is {shown[name]:g} in the calculation, and {stated} beside its label."
            )
        return None
    if scores.count(best) < len(scores):
        return None
    either = "; ".join(f"{name} is {stated}" for name, stated, _ in unclear)
    return (
        f"{where} was not checked: its inputs and targets can be read in more than one "
        f"way, and no way fits the table ({either}). Put each label left of its number."
    )


def _same(one, other):
    return abs(one - other) <= SAME * max(1, abs(other))


def _shown_by_columns(table):
    """The inputs and targets with which a table's columns are calculated: name → number.

    Inputs follow from h1 and h2, targets from ∂E/∂w5 and ∂E/∂w7. One that is not the same in
    all rows is left out.
    """
    empty = np.full(len(table.rows), np.nan)
    v = {s: table.values.get(s, empty) for s in ("h1", "h2", "a_h1", "a_o1", "a_o2", "∂E/∂w5",
         "∂E/∂w7", "w1", "w2", "w3", "w4")}  # fmt: skip
    determinant = v["w1"] * v["w4"] - v["w2"] * v["w3"]
    shown = {
        "i1": (v["h1"] * v["w4"] - v["h2"] * v["w2"]) / determinant,
        "i2": (v["h2"] * v["w1"] - v["h1"] * v["w3"]) / determinant,
        "t1": v["a_o1"] - v["∂E/∂w5"] / (v["a_o1"] * (1 - v["a_o1"]) * v["a_h1"]),
        "t2": v["a_o2"] - v["∂E/∂w7"] / (v["a_o2"] * (1 - v["a_o2"]) * v["a_h1"]),
    }
    return {
        name: float(f"{values[0]:.6g}")
        for name, values in shown.items()
        if np.isfinite(values).all() and all(_same(value, values[0]) for value in values)
    }


def _nothing_to_check(table, where):
    """Which weights, inputs and targets have no number in any row."""
    empty = [s.name for s in GIVEN if not np.isfinite(table.values[s.name]).any()]
    which = f": {', '.join(empty)} have none" if empty and len(empty) < len(GIVEN) else ""
    return (
        f"{where} has a header, but no row under it has numbers for all weights, inputs and "
        f"targets{which}."
    )
