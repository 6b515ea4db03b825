"""Workbooks as students hand them in, right ones and wrong ones, for the checker's tests."""

import itertools
from functools import cache

import numpy as np
import sympy
import xlsxwriter
from xlsxwriter.utility import xl_rowcol_to_cell

import backprop
import checker
from backprop import INPUTS, TARGETS, WEIGHTS

# Five networks: (η, inputs, targets, weights). Numbers that have nothing to do with each
# other: where i2 = 2·i1, as in the lesson's example, some mistakes give equal numbers.
NETWORKS = [
    (rate, tuple(v[:2]), tuple(v[2:4]), tuple(v[4:]))
    for rate, v in zip(
        (0.1, 0.37, 0.9, 1.3, 2.1), np.random.default_rng(7).uniform(0.05, 0.95, (5, 12)).round(3)
    )
]
GIVEN = [*map(str, (*TARGETS, *INPUTS, *WEIGHTS))]
COLUMNS = backprop.COLUMNS[1:]
SPELLINGS = [
    {},
    {"a_h1": "out_h1", "a_h2": "out_h2", "a_o1": "out_o1", "a_o2": "out_o2", "E_total": "E_tot"},
    {"a_h1": "ah1", "a_h2": "ah2", "a_o1": "ao1", "a_o2": "ao2", "E_total": "Etotal", "E1": "e1"},
    {"a_h1": "A_H1", "h1": "H1", "E_total": "E_Total", "w1": "W1", "t1": "target1", "i1": "x1"},
    {"h1": "net_h1", "o1": "net_o1", "a_h1": "σ(h1)", "E1": "E_o1", "E_total": "Total error"},
]
GRADIENTS = [
    "∂E/∂{}",
    "∂E_total/∂{}",
    "dE/d{}",
    "d{}",
    "dE_d{}",
    "dEtotal / d{}",
    "grad {}",
    "∂E/∂ {}",
]


def numbers(network, epochs, formulas=None, update=None):
    """Every column of a run, with mistaken formulas where given.

    Args:
        formulas: computed column (symbol) → its mistaken formula.
        update: weight (symbol) → function of (row, first row, η, the columns so far)
            that gives the next weight; others are updated rightly.

    Returns:
        A dict column name → list of numbers, one an epoch.
    """
    rate, inputs, targets, weights = network
    formulas = {**checker.FORMULAS, **(formulas or {})}
    functions = [(str(s), *_compiled(f)) for s, f in formulas.items()]
    row = dict(zip(GIVEN, (*targets, *inputs, *weights)))
    rows = []
    for _ in range(epochs):
        for name, symbols, function in functions:
            with np.errstate(all="ignore"):
                (row[name],) = function(*(row[str(s)] for s in symbols))
        rows.append({name: np.float64(value) for name, value in row.items()})
        for weight in WEIGHTS:
            row[str(weight)] = rows[-1][str(weight)] - rate * rows[-1][f"∂E/∂{weight}"]
        for weight, change in (update or {}).items():
            row[str(weight)] = change(rows[-1], rows[0], rate)
    return {name: [r[name] for r in rows] for name in COLUMNS}


@cache
def _compiled(formula):
    return checker._compile([formula])


def write(path, network, columns, formulas=None, order=None, at=(0, 0), header=None, eta="cell",
          live=True, sheet="Sheet1", touch=None):  # fmt: skip
    """Write a table with live formulas and stored values.

    Args:
        columns: what `numbers` returns: the stored values.
        formulas: computed column (symbol) → its mistaken formula; or text, with {w1}.
        order: the columns, in the order wanted; those left out are not written.
        at: the header's row and column, from 0.
        header: column name → its spelling.
        eta: "cell", "title", "column" or None: where η stands.
        live: formulas, or else numbers only.
        touch: a function of the XlsxWriter workbook and sheet, called last.
    """
    rate = network[0]
    formulas = {**checker.FORMULAS, **(formulas or {})}
    templates = {
        str(s): f if isinstance(f, str) else backprop.to_excel(f) for s, f in formulas.items()
    }
    order, header, (top, left) = order or COLUMNS, header or {}, at
    book = xlsxwriter.Workbook(path)
    page = book.add_worksheet(sheet)
    rate_cell = xl_rowcol_to_cell(max(top - 2, 0), left + len(order) + 3, True, True)
    if eta == "cell":
        page.write(rate_cell.replace("$", ""), rate)
        page.write(max(top - 2, 0), left + len(order) + 2, "learning rate")
    elif eta == "title":
        page.write(top - 1, left, f"Training with lr = {rate}")
    for c, name in enumerate(order, start=left):
        page.write(top, c, header.get(name, name))
    for k in range(len(columns["w1"])):
        here = {n: xl_rowcol_to_cell(top + 1 + k, c) for c, n in enumerate(order, start=left)}
        above = {n: xl_rowcol_to_cell(top + k, c) for c, n in enumerate(order, start=left)}
        for c, name in enumerate(order, start=left):
            value = _stored(columns[name][k])
            gradient = f"∂E/∂{name}"
            if name in templates and live and set(_names(templates[name])) <= here.keys():
                formula = templates[name].format(**here)
            elif k and live and name in map(str, WEIGHTS) and gradient in above and eta == "cell":
                formula = f"{above[name]}-{rate_cell}*{above[gradient]}"
            else:
                page.write(top + 1 + k, c, value)
                continue
            page.write_formula(top + 1 + k, c, "=" + formula.lstrip("="), None, value)
    if touch:
        touch(book, page)
    book.close()
    return path


def _stored(value):
    """What a spreadsheet stores: an error where a number overflows."""
    return "#NUM!" if isinstance(value, float) and not np.isfinite(value) else value


def _names(template):
    return [part.split("}")[0] for part in template.split("{")[1:]]


def table(columns):
    """The checker's table of these columns, as if read from a sheet of numbers."""
    places = {name: k for k, name in enumerate(columns, start=1)}
    cells = zip(*(map(_stored, c) for c in columns.values()))
    rows = {1: tuple(columns), **dict(enumerate(cells, start=2))}
    return checker.Table("Sheet1", 1, places, rows, len(rows), {}), rows


def check(columns, rate=None):
    """Check columns without a file; the learning rate is known, or inferred."""
    made, rows = table(columns)
    candidates = [] if rate is None else [(rate, "A1", True)]
    return checker._check_table(made, candidates, lambda: rows)["columns"]


def wrong(result):
    """The wrong columns and why: name → cause."""
    return {name: c["cause"] for name, c in result.items() if c["verdict"] == "wrong"}


def update_mistakes():
    """Every mistaken update: (name, weight, function for `numbers`)."""
    arguments = ("eta", "w", "g", "w_first", "g_first", "w_other", "g_other")
    for text, formula in checker.UPDATE_MISTAKES.items():
        function = sympy.lambdify(arguments, formula)
        for k, weight in enumerate(WEIGHTS):
            others = [s for s in WEIGHTS if s != weight] if "{other}" in text else [WEIGHTS[k - 1]]
            for other in others:

                def change(row, first, rate, weight=weight, other=other, function=function):
                    slope, others_slope = f"∂E/∂{weight}", f"∂E/∂{other}"
                    with np.errstate(all="ignore"):
                        return function(
                            rate, row[weight.name], row[slope], first[weight.name], first[slope],
                            row[other.name], row[others_slope],
                        )  # fmt: skip

                yield text.format(other=other), weight, change


def formula_mistakes():
    """Every mistaken formula of the catalogue: (what happened, column, formula)."""
    return itertools.chain.from_iterable(
        ((what, symbol, formula) for what, formula in checker.catalogue(symbol))
        for symbol in checker.FORMULAS
    )
