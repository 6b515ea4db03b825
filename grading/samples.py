"""Writes workbooks such as students hand in, right ones and wrong ones.

For the tests of the checker, and for the notebook `grade.ipynb`, which makes a small
class with known mistakes. A mistake is a formula by the symbol of its column, so the
order in which mistakes are given changes nothing.
"""

from typing import NamedTuple

import numpy as np
import xlsxwriter
from xlsxwriter.utility import xl_rowcol_to_cell

import backprop
from backprop import GRADIENT_SYMBOLS, INPUTS, TARGETS, WEIGHTS
from grading.quantities import FORMULAS, compile_formula

COLUMNS = [name for name in backprop.COLUMNS if name != "epoch"]


class Network(NamedTuple):
    """A network before training, and its learning rate η. The lesson's example is `Network()`."""

    learning_rate: float = 1.0
    inputs: tuple = backprop.INPUT_VALUES
    targets: tuple = backprop.TARGET_VALUES
    weights: tuple = backprop.WEIGHT_VALUES


def hand_in(path, formulas=None):
    """Write the lesson's example, 100 epochs: η in B1, the header in row 3, live formulas.

    The numbers are those that the mistaken formulas give.

    Args:
        formulas: what is mistaken, see `numbers`.

    Returns:
        The path. A file that was there is replaced.
    """
    network = Network()
    columns = {"epoch": range(backprop.EPOCHS), **numbers(network, backprop.EPOCHS, formulas)}
    return write(path, network, columns, formulas, order=backprop.COLUMNS, at=(2, 0), eta="above")


def numbers(network, epochs, formulas=None, update=None):
    """Every column of a run, with mistaken formulas where given.

    Args:
        network: a `Network`.
        formulas: a dict, symbol → its mistaken formula (SymPy): a computed column such
            as o2 or ∂E/∂w3, or a weight, w3, for its gradient. The others are right.
        update: a dict, weight (symbol) → function of (row, first row, η) that gives the
            next weight. A row is a dict, column name → number. The others are right.

    Returns:
        A dict, column name → list of numbers, one an epoch. "epoch" is not among them.
    """
    functions = {s.name: compile_formula(f) for s, f in _with_mistakes(formulas).items()}
    given = {TARGETS: network.targets, INPUTS: network.inputs, WEIGHTS: network.weights}
    row = {s.name: v for symbols, values in given.items() for s, v in zip(symbols, values)}
    rows = []
    for _ in range(epochs):
        for name, (symbols, function) in functions.items():
            with np.errstate(all="ignore"):
                (row[name],) = function(*(row[s.name] for s in symbols))
        rows.append({name: np.float64(value) for name, value in row.items()})
        for weight in WEIGHTS:
            slope = rows[-1][GRADIENT_SYMBOLS[weight].name]
            row[weight.name] = rows[-1][weight.name] - network.learning_rate * slope
        for weight, next_weight in (update or {}).items():
            row[weight.name] = next_weight(rows[-1], rows[0], network.learning_rate)
    return {name: [r[name] for r in rows] for name in COLUMNS}


def _with_mistakes(formulas):
    """All computed columns in the order of calculation: symbol → formula, right or mistaken."""
    mistaken = {GRADIENT_SYMBOLS.get(s, s): formula for s, formula in (formulas or {}).items()}
    if unknown := mistaken.keys() - FORMULAS.keys():
        raise ValueError(f"no formula computes {', '.join(sorted(map(str, unknown)))}")
    return FORMULAS | mistaken


def write(path, network, columns, formulas=None, order=COLUMNS, at=(0, 0), header=None,
          eta="beside", live=True, touch=None):  # fmt: skip
    """Write a table with live formulas and stored values.

    Args:
        network: a `Network`, for its η.
        columns: the stored values: what `numbers` returns.
        formulas: as in `numbers`; also text, with names in braces: "={w1}*{i1}".
        order: the names of the columns, in the order wanted; the others are not written.
        at: the header's row and column, from 0.
        header: a dict, column name → its spelling.
        eta: where η stands. "beside": in a cell to the right of the table. "above": in
            a cell two rows above the header, which must have them. "title": in a line of
            text above the header. None: nowhere.
        live: write formulas, or else numbers only.
        touch: a function of the XlsxWriter workbook and sheet, called last.

    Returns:
        The path.
    """
    top, left = at
    book = xlsxwriter.Workbook(path)
    page = book.add_worksheet()
    rate_cell = _write_rate(page, network.learning_rate, eta, at, len(order))
    for column, name in enumerate(order, start=left):
        page.write(top, column, (header or {}).get(name, name))
    cells = [
        {name: xl_rowcol_to_cell(row, column) for column, name in enumerate(order, start=left)}
        for row in range(top, top + 1 + len(columns["w1"]))
    ]
    _write_rows(page, columns, cells, *((_templates(formulas), rate_cell) if live else ({}, None)))
    if touch:
        touch(book, page)
    book.close()
    return path


def _templates(formulas):
    """The formula of every computed column, right or mistaken, with names in braces."""
    return {
        symbol.name: formula if isinstance(formula, str) else backprop.to_excel(formula)
        for symbol, formula in _with_mistakes(formulas).items()
    }


def _write_rate(page, rate, eta, at, width):
    """Write η where `write` says: the absolute address of its cell, or None without one."""
    top, left = at
    if eta is None:
        return None
    if eta == "title":
        page.write(top - 1, left, f"Training with lr = {rate}")
        return None
    label, row, column = {
        "beside": ("learning rate", max(top - 2, 0), left + width + 2),
        "above": ("η", top - 2, left),
    }[eta]
    page.write_row(row, column, (label, rate))
    return xl_rowcol_to_cell(row, column + 1, True, True)


def _write_rows(page, columns, cells, templates, rate_cell):
    """Write the rows below the header: a formula where there is one, else the number.

    Args:
        cells: for the header's row and each below it, a dict, column name → address.
    """
    for k, (above, here) in enumerate(zip(cells, cells[1:])):
        updates = _update_formulas(above, rate_cell) if k else {}
        for name, cell in here.items():
            value, formula = stored(columns[name][k]), updates.get(name)
            if name in templates and _names(templates[name]) <= here.keys():
                formula = templates[name].format(**here)
            if formula:
                page.write_formula(cell, "=" + formula.lstrip("="), None, value)
            else:
                page.write(cell, value)


def _update_formulas(above, rate_cell):
    """The formulas of a row's weights, name → text, over the addresses of the row above."""
    if not rate_cell:
        return {}
    return {
        weight.name: f"{above[weight.name]}-{rate_cell}*{above[slope.name]}"
        for weight, slope in GRADIENT_SYMBOLS.items()
        if weight.name in above and slope.name in above
    }


def stored(value):
    """What a spreadsheet stores for a computed number: an error where it overflows."""
    return "#NUM!" if isinstance(value, float) and not np.isfinite(value) else value


def _names(template):
    """The names in braces in a formula: "{w1}*{i1}" → {"w1", "i1"}."""
    return {part.split("}")[0] for part in template.split("{")[1:]}
