"""Finds out whether a table numbers its weights in another way than the lesson.

Some write w2 for the weight from i1 to h2 and w3 for that from i2 to h1, or exchange w6 and
w7 alike. Where all columns agree with such a numbering, that is no mistake of each of them.
"""

import numpy as np

from backprop import EQUATIONS, GRADIENT_SYMBOLS, WEIGHTS, h1, h2, o1, o2
from grading.columns import right_columns
from grading.quantities import COMPUTED_NAMES, compile_formula

# Weights that are exchanged, and the sums that show it.
EXCHANGED = (((WEIGHTS[1], WEIGHTS[2]), (h1, h2)), ((WEIGHTS[5], WEIGHTS[6]), (o1, o2)))
SAME = 1e-5  # relative: also where numbers are rounded to 6 digits
MOST_WRONG = 1  # columns of a table that agrees with another numbering


@np.errstate(all="ignore")
def settle_numbering(table):
    """Give a table's weights the lesson's names, where all its columns show other ones.

    Args:
        table: a `tables.Table`, its inputs and targets known. Its columns are renamed, and
            the report will say so.
    """
    pairs = [pair for pair, sums in EXCHANGED if _shows(table, pair, sums)]
    for pair in pairs:
        _exchange(table, pair)
    computed = len(COMPUTED_NAMES & table.columns.keys())
    if pairs and right_columns(table) < computed - MOST_WRONG:
        for pair in pairs:
            _exchange(table, pair)
        return
    if pairs:
        table.renumbered = True
        exchanged = "; ".join(f"{one} and {other}" for one, other in pairs)
        table.unchecked.append(
            "Its weights are numbered in another way than in the lesson; exchanged are "
            f"{exchanged}. Here they have the lesson's names."
        )


def _shows(table, pair, sums):
    """Whether two sums are wrong in most rows as the weights are named, and right exchanged."""
    values = table.values
    if not {s.name for s in sums} <= values.keys():
        return False
    one, other = (weight.name for weight in pair)
    exchanged = values | {one: values[other], other: values[one]}

    def fits(named):
        rows = []
        for symbol in sums:
            symbols, function = compile_formula(EQUATIONS[symbol])
            if not {s.name for s in symbols} <= named.keys():
                return 0.0
            (right,) = function(*(named[s.name] for s in symbols))
            rows.append(np.isclose(right, named[symbol.name], rtol=SAME, atol=0))
        return np.mean(rows)

    return fits(values) < 0.5 < fits(exchanged)


def _exchange(table, pair):
    """Exchange the names of two weights and of their gradients in a table."""
    for one, other in (pair, [GRADIENT_SYMBOLS[weight] for weight in pair]):
        for cells in (table.columns, table.cells, table.values, table.raw):
            found = [cells.pop(symbol.name, None) for symbol in (other, one)]
            cells |= {s.name: v for s, v in zip((one, other), found) if v is not None}
