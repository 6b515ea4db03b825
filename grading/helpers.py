"""Finds a mistake in a column of the student's own, which the network does not know.

A formula may be put together from such columns: δ_o1, t − a, a sum. Where the formula is
right as soon as one of these cells holds what belongs there, the mistake is in that cell.
What belongs there is known when it is a δ, a new weight, or a part of the right formula.
"""

import itertools
import re
from functools import lru_cache

import numpy as np
import sympy

from backprop import DELTAS, WEIGHTS, delta_row
from grading.differences import NETWORKS, build, close, values
from grading.quantities import FORMULAS
from grading.reading import shown

# A header that names a δ: delta_o1, δh2, d_o1.
_DELTA = re.compile(r"(?:delta|δ|Δ|d|err|error)[\s_]*(?:o|h|out|hidden)[\s_]*[12]", re.IGNORECASE)
_KNOWN = {symbol: value for symbol, value in delta_row(NETWORKS).items() if symbol in DELTAS}
_KNOWN |= {f"the new {w}": NETWORKS[sympy.Symbol(f"the new {w}")] for w in WEIGHTS}
_UNKNOWN = sympy.Symbol("what belongs there")


def in_helper(reader, read, right):
    """Say in which cell of the student's own a formula's mistake is.

    Args:
        reader: a `references.Reader` that has just read the formula.
        read: a function of a dict, place → expression: the formula read again with these
            in place of what the cells hold.
        right: what the formula should be, over the network's quantities.

    Returns:
        (text, whether it says all), or None.
    """
    wanted, inlined = values(right), dict(reader.inlined)
    for place, theirs in sorted(inlined.items(), key=lambda cell: -cell[1].depth):
        with_unknown = read({place: _UNKNOWN})
        if with_unknown is None or _UNKNOWN not in with_unknown.free_symbols:
            continue
        needed, found = _solved(with_unknown, wanted), values(theirs.expression)
        if needed is None or close(needed, found):
            continue
        name, other = _name(needed), _name(found)
        if name and other:  # it is right in itself, but not the one that belongs here
            return f"{other} ({theirs.address}) in place of {name}", True
        header = f", {shown(theirs.header, 30)}" * bool(theirs.header)
        if close(needed, -found):  # who says whether here or there?
            if not other and _DELTA.fullmatch(theirs.header):
                return f" ({theirs.address}{header}, has the other sign)", False
            at_fault = False
        else:  # it is wrong, and what it is calculated from is right
            within = [one for one in inlined.values() if one.depth > theirs.depth]
            at_fault = (name or _is_part(needed, right)) and not _is_right(found)
            at_fault = at_fault and all(_is_right(values(one.expression)) for one in within)
        if at_fault:
            return f" (the mistake is in {theirs.address}{header})", False
    return None


def _is_right(numbers):
    """Whether a cell of the student's own holds what stands in some right formula."""
    return bool(_name(numbers)) or any(_is_part(numbers, f) for f in FORMULAS.values())


def _name(numbers):
    """What has these values: a δ, or the next value of a weight. None for something else."""
    return next((name for name, known in _KNOWN.items() if close(numbers, known)), None)


def _is_part(numbers, formula):
    """Whether a part of a formula has these values, or these with the other sign."""
    return any(close(numbers, sign * part) for part in _parts(formula) for sign in (1, -1))


def _solved(expression, wanted):
    """The values of the unknown for which an expression has the values wanted, or None.

    The expression must be linear in the unknown.
    """
    at = [values(expression.xreplace({_UNKNOWN: sympy.Integer(k)})) for k in (0, 1, 3)]
    slope = at[1] - at[0]
    if not np.isfinite(at).all() or not (slope != 0).all() or not close(at[2] - at[0], 3 * slope):
        return None
    return (wanted - at[0]) / slope


@lru_cache(100)
def _parts(right):
    """The values of all parts of the right formula, and of some factors or terms of each."""
    found, wanted = [], [build(right)]
    while wanted:
        node = wanted.pop()
        if node.kind != "number":
            found.append(node.value)
        wanted += node.parts
        if node.kind in ("sum", "product"):
            ufunc = np.add if node.kind == "sum" else np.multiply
            for count in range(2, len(node.parts)):
                for group in itertools.combinations(node.parts, count):
                    found.append(ufunc.reduce([part.value for part in group]))
    return found
