"""Finds the learning rate of a table.

It is the cell that the updates refer to, whatever its label looks like; else the one that
the sheet states and that explains the most updates; else the one that the numbers show.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np

from backprop import GRADIENT_SYMBOLS, WEIGHTS
from grading.differences import close, values
from grading.labels import Stated
from grading.mistakes import ETA
from grading.quantities import CONSTANT_NAMES, WEIGHT_NAMES
from grading.reading import number_in
from grading.rounding import STORED

MOST = len(WEIGHTS) // 2 + 1  # weights whose formulas must agree on a rate


class Rate(NamedTuple):
    """A table's learning rate.

    Attributes:
        eta: the number, or an array where each row has its own. None: nothing shows it.
        error: how far it may be off.
        source: where it stands, or "inferred"; None with eta, or where it explains no update.
        in_cell: whether a formula can refer to its source.
        other: the learning rate that the updates show, if that is another one.
        place: (sheet title, row, column) of a cell that holds it.
    """

    eta: float | np.ndarray | None = None
    error: float | np.ndarray = 0.0
    source: str | None = None
    in_cell: bool = False
    other: float | None = None
    place: tuple | None = None


def learning_rate(updates, reader, candidates):
    """The learning rate of a table: a `Rate`.

    Args:
        updates: an `updates.Updates`.
        reader: a `references.Reader`; its `rate_cell` is set.
        candidates: what `labels.stated_rates` returns.
    """
    table = updates.checked.table
    count, inferred, error = _inferred_rate(updates)
    if "eta" in table.columns and len(table.rows) > 1:
        eta = table.values["eta"][:-1]
        other = inferred if count > updates.right(eta, STORED * np.abs(eta)) else None
        source = table.sheet.column_name(table.columns["eta"])
        return Rate(eta, STORED * np.abs(eta), source, False, other)
    read = [(updates.right(one.eta, STORED * one.eta), one) for one in candidates if one.eta >= 0]
    used = referenced_rate(updates, reader, WEIGHTS, MOST)
    if used and not used.in_cell and read:  # typed in the formulas, though the sheet states one
        used = None
    if used:
        most, stated = updates.right(used.eta, STORED * used.eta), used
    elif read:
        most, stated = max(read, key=lambda option: option[0])  # first of the best
    if used or (read and (stated.in_cell or most or count < len(WEIGHTS))):
        reader.rate_cell = stated.place
        other = inferred if count > max(most, 1) else None
        error = STORED * stated.eta
        return Rate(stated.eta, error, stated.source, stated.in_cell, other, stated.place)
    if read:
        table.notes.append(f"η = {stated.eta:g} in {stated.source} is not the η of the updates.")
    if inferred is None:
        return Rate()
    return Rate(abs(inferred), error, "inferred" if count else None)


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


def layer_rates(updates, reader, rate):
    """The learning rate of each weight: weight → `Rate`.

    It is the table's, unless the formulas of each layer refer to a rate of their own. The
    report says so then: whether two rates are meant, nobody can see.
    """
    layers = WEIGHTS[:4], WEIGHTS[4:]
    found = [referenced_rate(updates, reader, layer, len(layer)) for layer in layers]
    places = {one.place for one in found if one and reader.labels.get(one.place) == "eta"}
    if len(places) < len(layers):
        return dict.fromkeys(WEIGHTS, rate)
    table = updates.checked.table
    used = [f"{w[0]} to {w[-1]} with {one.eta:g} ({one.source})" for w, one in zip(layers, found)]
    table.unchecked.append(f"Its weights are updated with two learning rates: {', '.join(used)}.")
    return {
        weight: Rate(one.eta, STORED * one.eta, one.source, True, None, one.place)
        for layer, one in zip(layers, found)
        for weight in layer
    }


def referenced_rate(updates, reader, weights, least):
    """The rate that the formulas of some updates refer to, or hold as a number.

    Args:
        least: how many of these weights must have it.

    Returns:
        A `labels.Stated`, or None where fewer updates have such a formula.
    """
    cells, numbers = Counter(), Counter()
    for weight in weights:
        outside, number = _in_formula(updates, reader, weight)
        cells.update(outside)
        numbers.update([number] if number else [])
    if cells:
        (sheet, row, column), count = cells.most_common(1)[0]
        value = number_in(reader.book.sheet(sheet).value(row, column))
        if count >= least and np.isfinite(value) and value >= 0:
            address = reader.address(reader.book.sheet(sheet), row, column)
            return Stated(value, address, True, (sheet, row, column))
    if numbers:
        value, count = numbers.most_common(1)[0]
        if count >= least:
            return Stated(value, "typed in the formulas")
    return None


def _in_formula(updates, reader, weight):
    """The cells that may hold η in a weight's first formula, and the number typed as η or None."""
    table, filling = updates.checked.table, updates.filling(weight)
    k = next((k for k in range(1, len(table.rows)) if filling.form[k] >= 0), None)
    parsed = None if k is None else filling.parsed(filling.form[k], reader.book.names)
    if parsed is None or not parsed.references:
        return [], None
    place = table.rows[k], filling.column
    cells = [
        _outside(reader, reference.sheet, *reference.cell(*place))
        for reference in parsed.references.values()
    ]
    expression = reader.read(table.sheet.formulas[place], *place, k - 1)
    number = None if expression is None else _typed_rate(expression, weight)
    return [cell for cell in cells if cell], number


def _outside(reader, title, row, column):
    """A cell that may hold η: outside the table, no labelled weight, input or target."""
    sheet = reader.book.sheet(title) if title else reader.table.sheet
    if sheet is None or (
        sheet is reader.table.sheet and column in reader.names and row >= reader.table.header_row
    ):
        return None
    place = (sheet.title, row, column)
    if reader.labels.get(place) in CONSTANT_NAMES | WEIGHT_NAMES:
        return None
    return place if np.isfinite(number_in(sheet.value(row, column))) else None


def _typed_rate(expression, weight):
    """The number c of a formula w − c·∂E/∂w, or None."""
    if ETA in expression.free_symbols:
        return None
    rate = (values(weight) - values(expression)) / values(GRADIENT_SYMBOLS[weight])
    number = float(f"{rate[0]:.12g}")
    return number if number > 0 and number != 1 and close(rate, rate[0]) else None
