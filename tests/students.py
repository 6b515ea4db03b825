"""For the tests of grading/: networks, spellings, and every mistake of the catalogue to plant.

The files are written by `grading.samples`.
"""

import itertools

import numpy as np
import sympy

from backprop import GRADIENT_SYMBOLS, WEIGHTS
from grading import mistakes, verdicts
from grading.cells import Book, Formula, Sheet
from grading.labels import Stated
from grading.quantities import FORMULAS
from grading.samples import Network, stored
from grading.tables import Table

# Five networks of numbers that have nothing to do with each other: where i2 = 2·i1, as in
# the lesson's example, some mistakes give equal numbers.
NETWORKS = [
    Network(rate, inputs=tuple(v[:2]), targets=tuple(v[2:4]), weights=tuple(v[4:]))
    for rate, v in zip(
        (0.1, 0.37, 0.9, 1.3, 2.1), np.random.default_rng(7).uniform(0.05, 0.95, (5, 12)).round(3)
    )
]
# What students call columns: those that differ from ours, and the gradients.
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


def sheet_of(columns, live=()):
    """A sheet of these columns. `live` holds the cells (row, column) that have some formula."""
    rows = zip(*(map(stored, column) for column in columns.values()))
    rows = {1: tuple(columns), **dict(enumerate(rows, start=2))}
    return Sheet("Sheet1", rows, {place: Formula("NOW()", *place) for place in live})


def check(columns, rate=None, live=()):
    """Check columns without a file; the learning rate is known, or inferred."""
    sheet = sheet_of(columns, live)
    positions = {name: k for k, name in enumerate(columns, start=1)}
    table = Table(sheet, 1, positions, len(sheet.rows))
    candidates = [] if rate is None else [Stated(rate, "A1", True)]
    return verdicts.check_table(table, candidates, Book([sheet]), {})["columns"]


def wrong(result):
    """The wrong columns and why: name → cause."""
    return {name: c["cause"] for name, c in result.items() if c["verdict"] == "wrong"}


def update_mistakes():
    """Every mistaken update: (name, weight, function for `numbers`)."""
    for text, formula in mistakes.UPDATE_MISTAKES.items():
        function = sympy.lambdify(mistakes.UPDATE_SYMBOLS, formula)
        for k, weight in enumerate(WEIGHTS):
            others = [s for s in WEIGHTS if s != weight] if "{other}" in text else [WEIGHTS[k - 1]]
            for other in others:

                def change(row, first, rate, weight=weight, other=other, function=function):
                    slope, others_slope = (
                        GRADIENT_SYMBOLS[weight].name,
                        GRADIENT_SYMBOLS[other].name,
                    )
                    with np.errstate(all="ignore"):
                        return function(
                            rate, row[weight.name], row[slope], first[weight.name], first[slope],
                            row[other.name], row[others_slope],
                        )  # fmt: skip

                yield text.format(other=other), weight, change


def formula_mistakes():
    """Every mistaken formula in the catalogue: (what happened, column, formula)."""
    return itertools.chain.from_iterable(
        ((what, symbol, formula) for what, formula in mistakes.catalogue(symbol))
        for symbol in FORMULAS
    )
