"""Finds a mistake in a column of the student's own, which the network does not know.

A formula may be put together from such columns: δ_o1, t − a, a sum. What a column should
hold is known where its header names a δ or is a small formula. Else it is known when the
formula is right as soon as the cell holds a δ, a new weight, or a part of the right formula.
"""

import itertools
import re
import unicodedata
from functools import lru_cache

import numpy as np
import sympy

from backprop import DELTAS, GRADIENT_SYMBOLS, SIGMOIDS, TARGETS, WEIGHTS, a_h1, delta_row, i1
from grading.differences import NETWORKS, build, close, part_differences, values
from grading.quantities import FORMULAS
from grading.reading import shown

_KNOWN = {symbol: value for symbol, value in delta_row(NETWORKS).items() if symbol in DELTAS}
_KNOWN |= {slope: NETWORKS[slope] for slope in GRADIENT_SYMBOLS.values()}
_KNOWN |= {f"the new {w}": NETWORKS[sympy.Symbol(f"the new {w}")] for w in WEIGHTS}
_UNKNOWN = sympy.Symbol("what belongs there")


def in_helper(reader, read, right, explain):
    """Say in which cell of the student's own a formula's mistake is.

    Args:
        reader: a `references.Reader` that has just read the formula.
        read: a function of a dict, place → expression: the formula read again with these
            in place of what the cells hold.
        right: what the formula should be, over the network's quantities.
        explain: an expression → its differences from the right one, a tuple of texts.

    Returns:
        (text, whether it says all), or None.
    """
    inlined = dict(reader.inlined)
    if said := _by_headers(reader, inlined, read, right, explain):
        return said, True
    return _in_one_cell(inlined, read, right)


# --- What a column should hold, by its header --------------------------------------

# A header that names a δ: delta_o1, δh2, d_o1.
_DELTA = re.compile(r"(?:delta|δ|d|err|error)(o|h|out|hidden)([12])")
_NOT_SAID = str.maketrans("", "", " _{}$·*")


def _formulas_in_headers():
    """Small formulas as headers have them, without signs of multiplication → expression."""
    outputs, found = [*SIGMOIDS][2:], {}
    for a, neuron in SIGMOIDS.items():
        for name in (a.name.replace("_", ""), f"a{neuron.name[1]}")[: 1 + (a in outputs)]:
            found[f"1-{name}"] = 1 - a
            found[f"∂{name}/∂{neuron}"] = found[f"{name}(1-{name})"] = a * (1 - a)
    for t, a in zip(TARGETS, outputs):
        for name in (a.name.replace("_", ""), f"a{a.name[-1]}"):
            found |= {f"{t}-{name}": t - a, f"{name}-{t}": a - t, f"∂e/∂{name}": a - t}
            found |= {f"({t}-{name})2": (t - a) ** 2, f"({name}-{t})2": (t - a) ** 2}
    return found


_IN_HEADERS = _formulas_in_headers()
_DELTAS = {  # neuron → its δ over the network's quantities
    neuron: FORMULAS[GRADIENT_SYMBOLS[WEIGHTS[k]]] / factor
    for neuron, k, factor in (("o1", 4, a_h1), ("o2", 6, a_h1), ("h1", 0, i1), ("h2", 2, i1))
}


@lru_cache(1000)
def meant(header):
    """What a column should hold by its header: an expression, or None."""
    text = unicodedata.normalize("NFKC", header.lower()).replace("−", "-").translate(_NOT_SAID)
    if found := _DELTA.fullmatch(text):
        return _DELTAS[found[1][0] + found[2]]
    return _IN_HEADERS.get(text)


def _by_headers(reader, inlined, read, right, explain):
    """Compare each cell with what its header says, and the formula with these in it."""
    expected, texts, faults, signs = {}, [], [], set()
    for place, cell in sorted(inlined.items(), key=lambda one: -one[1].depth):
        wanted = meant(cell.header)
        if wanted is None:
            continue
        own = reader.read_cell(place, expected)
        if own is None:
            return None
        sign = 1
        if wanted in _DELTAS.values():  # with t − a or a − t: both are used
            sign = -1 if close(values(own), -values(wanted)) else 1
            signs.add(sign)
        expected[place] = sign * wanted
        if where := reader.other_row(place):
            texts.append(f"{shown(cell.header, 30)} is taken from {where}")
        if not close(values(own), sign * values(wanted)):
            faults.append((cell, part_differences(own, wanted)))
    if len(signs) > 1 or not faults and not texts:
        return None
    formula = read(expected)
    if not close(values(formula), values(right)):
        one = _in_one_cell(inlined, lambda instead: read(expected | instead), right, expected)
        texts.append(one[0] if one and one[1] else "; ".join(explain(formula)))
    for cell, differences in faults:
        header = shown(cell.header, 30)
        texts.append(f"{'; '.join(differences)} (the mistake is in {cell.address}, {header})")
    return "; ".join(texts)


# --- In one cell -------------------------------------------------------------------


def _in_one_cell(inlined, read, right, expected=None):
    """Say which cell makes the formula right as soon as it holds what belongs there.

    Args:
        expected: place → what some cells hold, if not what is in them.

    Returns:
        (text, whether it says all), or None.
    """
    wanted = values(right)
    for place, theirs in sorted(inlined.items(), key=lambda cell: -cell[1].depth):
        with_unknown = read({place: _UNKNOWN})
        if with_unknown is None or _UNKNOWN not in with_unknown.free_symbols:
            continue
        theirs_now = (expected or {}).get(place, theirs.expression)
        needed, found = _solved(with_unknown, wanted), values(theirs_now)
        if needed is None or close(needed, found):
            continue
        name, other = _name(needed), _name(found)
        if name and other:  # it is right in itself, but not the one that belongs here
            return f"{other} ({theirs.address}) in place of {name}", True
        header = f", {shown(theirs.header, 30)}" * bool(theirs.header)
        if close(needed, -found):  # who says whether here or there?
            if not other and meant(theirs.header) in _DELTAS.values():
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
