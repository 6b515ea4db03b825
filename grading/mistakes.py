"""The catalogue of mistakes that people make, derived from the network's equations.

Every rule changes one node of a right formula's tree into what people write there. A
new mistake is one more line in `RULES`, or in `UPDATE_MISTAKES`. Which mistake explains
a student's numbers is found out in `columns.py` and `updates.py`.
"""

import itertools
import re
from functools import cache

import numpy as np
import sympy

import backprop
from backprop import GIVEN, GRADIENT_SYMBOLS, INPUTS, SIGMOIDS, TARGETS, WEIGHTS
from grading.quantities import FORMULAS, compile_formulas

# --- In the formula of a column ----------------------------------------------------

# Symbols that are alike: one of them is taken for another.
ALIKE = (TARGETS, INPUTS, WEIGHTS, tuple(SIGMOIDS), tuple(SIGMOIDS.values()))


def alike(symbol):
    """The symbols that are taken for this one: those alike, h1 for a_h1, a_h1 for h1."""
    for group in ALIKE:
        if symbol in group:
            yield from (other for other in group if other != symbol)
    for pair in SIGMOIDS.items():
        if symbol in pair:
            yield from (other for other in pair if other != symbol)


def _mix_up(node):
    """Another symbol in every place of one of the formula's symbols."""
    for symbol in sorted(node.free_symbols, key=str):
        for other in alike(symbol):
            yield (other, symbol), node.xreplace({symbol: other})


def _exchange(node):
    """Two symbols that are alike, each in the other's places."""
    for one, other in itertools.combinations(sorted(node.free_symbols, key=str), 2):
        if any({one, other} <= set(group) for group in ALIKE):
            yield (one, other), node.xreplace({one: other, other: one})


def _leave_out(node):
    """A sum or product without one of its parts."""
    for part in node.args:
        rest = list(node.args)
        rest.remove(part)
        if part != -1 and rest != [-1]:
            yield _unsigned(part), node.func(*rest)


def _open_product(node):
    """A product as a spreadsheet takes it without the parentheses around a sum in it."""
    for factor in node.args:
        rest = list(node.args)
        rest.remove(factor)
        total, power = factor.as_base_exp()
        if total.is_Add:
            for first, *middle, last in itertools.permutations(total.args):
                for flags in itertools.product((True, False), repeat=len(rest)):
                    before = sympy.Mul(*itertools.compress(rest, flags))
                    after = sympy.Mul(*itertools.compress(rest, (not f for f in flags)))
                    sign = sympy.sign(last.as_coeff_Mul()[0]) ** (power + 1)  # −a^2 is −(a²)
                    yield total, sympy.Add(before * first, *middle, sign * last**power * after)


def _open_power(node):
    """A square, or a reciprocal, without the parentheses around the sum under it."""
    for first, last in itertools.permutations(node.base.args):
        yield node.base, 1 / first + last if node.exp == -1 else first + last**node.exp


def _square_inside(node):
    """t² − a² for (t − a)²."""
    squares = [sympy.sign(a.as_coeff_Mul()[0]) * a**2 for a in node.base.args]
    return [(node.base, sympy.Add(*squares))]


def _square_one(node):
    """t − a² or a − t² for (t − a)²: only one term is squared, whatever the order."""
    for term in node.base.args:
        rest = sympy.Add(*(other for other in node.base.args if other is not term))
        size = _unsigned(term)
        yield size, _unsigned(rest) - size**2


def _products_exchanged(node):
    """(i1 + i2)·(w1 + w2) for i1·w1 + i2·w2."""
    if all(term.is_Mul and len(term.args) == 2 for term in node.args) and len(node.args) == 2:
        (a, b), (c, d) = (sorted(term.args, key=str) for term in node.args)
        yield ((a + c) * (b + d), node), (a + c) * (b + d)


def _unsigned(term):
    """−x → x."""
    return -term if term.as_coeff_Mul()[0] < 0 else term


def _tanh_slope(node):
    """1 − a², the slope of tanh, where a·(1 − a), the slope of the sigmoid, belongs."""
    for a in SIGMOIDS:
        if {a, 1 - a} <= set(node.args):
            yield a, node / (1 - a) / a * (1 - a**2)


NODES = {  # where a rule applies
    "whole": lambda n: False,  # the whole formula only
    "symbol": lambda n: n.is_Symbol,
    "sum": lambda n: n.is_Add,
    "sum of products": lambda n: n.is_Add and all(a.is_Mul for a in n.args),
    "product": lambda n: n.is_Mul,
    "product of two": lambda n: n.is_Mul and len(n.args) == 2 and all(a.is_Symbol for a in n.args),
    "half": lambda n: (
        n.is_Mul and any(a.is_number and a.doit() == sympy.Rational(1, 2) for a in n.args)
    ),
    "square": lambda n: n.is_Pow and n.exp == 2,
    "square of a sum": lambda n: n.is_Pow and n.exp == 2 and n.base.is_Add,
    "power of a sum": lambda n: n.is_Pow and n.base.is_Add,
    "sigmoid": lambda n: n.is_Pow and n.exp == -1 and n.has(sympy.exp),
    "exponential": lambda n: n.func == sympy.exp,
}
RULES = (  # where, what happened, node → what it happened to and the mistaken node
    ("whole", "{} in place of {}", _mix_up),
    ("whole", "{} and {} are exchanged", _exchange),
    ("symbol", "{} in place of {}, once", lambda n: [((s, n), s) for s in alike(n)]),
    ("whole", "the sign is flipped", lambda n: [(n, -n)]),
    ("product", "the factor {} is forgotten", _leave_out),
    ("product", "the parentheses around {} are missing", _open_product),
    ("power of a sum", "the parentheses around {} are missing", _open_power),
    ("sum", "the sign of {} is flipped", lambda n: [(_unsigned(a), n - 2 * a) for a in n.args]),
    ("sum", "the term {} is forgotten", _leave_out),
    ("sum", "a product in place of {}", lambda n: [(n, sympy.Mul(*map(_unsigned, n.args)))]),
    ("product of two", "a sum in place of {}", lambda n: [(n, sympy.Add(*n.args))]),
    ("product", "1 − {}², the slope of tanh, in place of the sigmoid's", _tanh_slope),
    ("square", "the square is forgotten", lambda n: [(n, n.base)]),
    ("square", "doubled in place of squared", lambda n: [(n, 2 * n.base)]),
    ("square of a sum", "the squares of the terms in place of the square of {}", _square_inside),
    ("square of a sum", "only {} is squared", _square_one),
    ("sum of products", "{} in place of {}", _products_exchanged),
    ("half", "multiplied by 2 in place of ½", lambda n: [(n, 4 * n)]),
    ("exponential", "the minus in the exponent is forgotten", lambda n: [(n, 1 / n)]),
    ("exponential", "the exponential is forgotten", lambda n: [(n, n.args[0])]),
    ("sigmoid", "the reciprocal is forgotten", lambda n: [(n, 1 / n)]),
    ("sigmoid", "tanh in place of the sigmoid", lambda n: [(n, sympy.tanh(*n.free_symbols))]),
    ("sigmoid", "no sigmoid: {} itself", lambda n: [(s, s) for s in n.free_symbols]),
    ("whole", "twice the right value", lambda n: [(n, 2 * n)]),
    ("whole", "half of the right value", lambda n: [(n, n / 2)]),
)


def mistaken(node, rule, whole=True):
    """Yield (what happened, mistaken formula) for one rule at every node of a formula."""
    where, what, change = rule
    if NODES[where](node) or (whole and where == "whole"):
        for detail, changed in change(node):
            yield _said(what, detail), changed
    for k, argument in enumerate(node.args):
        for text, changed in mistaken(argument, rule, whole=False):
            yield text, node.func(*node.args[:k], changed, *node.args[k + 1 :])


def _said(what, detail):
    """What happened, in words."""
    details = detail if isinstance(detail, tuple) else (detail,)
    text = what.format(*map(backprop.to_text, details))
    return re.sub(r"^a product in place of 1 − (\w+)$", r"\1 in place of 1 − \1", text)


def rules_at(node):
    """What the rules make of one part of a formula: a list of (what happened, mistaken part)."""
    found = []
    for where, what, change in RULES:
        if NODES[where](node):
            for detail, changed in change(node):
                found.append((_said(what, detail), changed))
    return found


@cache
def catalogue(symbol):
    """The mistaken formulas of a computed column: a list of (what happened, formula).

    Formulas that give equal numbers are one mistake and stand there once, the likelier
    description first; those that give the right numbers are left out.
    """
    found = [("", FORMULAS[symbol])]
    for rule in RULES:
        found += mistaken(FORMULAS[symbol], rule)
    known = {*GIVEN, *itertools.takewhile(lambda other: other != symbol, FORMULAS)}
    found = [(what, formula) for what, formula in found if formula.free_symbols <= known]
    symbols, function = compile_formulas([formula for _, formula in found])
    # Any two sets of numbers that have nothing to do with each other.
    probe = (
        np.sqrt([[2, 3], [5, 7]]) % 1 + 0.1 * np.sqrt(1 + np.arange(len(symbols)))[:, None, None]
    )
    with np.errstate(all="ignore"):
        values = function(*probe)
    seen, kept = set(), []
    for (what, formula), value in zip(found, values):
        key = tuple(f"{v:.9e}" for v in np.broadcast_to(value, (2, 2)).flat)
        if key not in seen and np.isfinite(value).all():
            seen.add(key)
            kept.append((what, formula))
    return kept[1:]


# What few people write, tried last, where there are only numbers.
RARE_RULES = (
    ("symbol", "{} in place of {}", lambda n: [((1 - n, n), 1 - n)] if n in SIGMOIDS else []),
)


@cache
def rare(symbol):
    """The rare mistakes of a computed column: a list of (what happened, formula)."""
    return [found for rule in RARE_RULES for found in mistaken(FORMULAS[symbol], rule)]


# --- In the update of a weight -----------------------------------------------------

ETA = sympy.Symbol("η")
w, g, w_first, g_first, w_other, g_other = sympy.symbols("w g w_first g_first w_other g_other")
UPDATE = w - ETA * g
UPDATE_MISTAKES = {  # g is ∂E/∂w; w_other is another weight, and {other} its name
    "not updated: the weight above is repeated": w,
    "η times the gradient is added, not subtracted": w + ETA * g,
    "the learning rate is forgotten": w - g,
    "the learning rate is forgotten, and the gradient added": w + g,
    "the old weight is forgotten": -ETA * g,
    "divided by the learning rate": w - g / ETA,
    "the learning rate is squared": w - ETA**2 * g,
    "parentheses around w − η": (w - ETA) * g,
    "multiplied by the old weight": w * ETA * g,
    "η is subtracted, without the gradient": w - ETA,
    "w is taken from the first row, as with an absolute reference": w_first - ETA * g,
    "the gradient is taken from the first row, as with an absolute reference": w - ETA * g_first,
    "the gradient is taken by {other}": w - ETA * g_other,
    "{other} in place of the old weight": w_other - ETA * g,
    "{other} in place of the old weight, with its own gradient": w_other - ETA * g_other,
}
RARE_UPDATES = {"the step is multiplied by the old weight": w - ETA * g * w}
UPDATE_SYMBOLS = (ETA, w, g, w_first, g_first, w_other, g_other)


@cache
def update_formulas(weight):
    """The right update of a weight, and every mistaken one, over the quantities' own symbols.

    Returns:
        (formula, list of (what happened, formula)).
    """
    own = {w: weight, g: GRADIENT_SYMBOLS[weight]}
    own |= {w_first: of_row(weight, "first row"), g_first: of_row(own[g], "first row")}
    mistaken = []
    for text, formula in UPDATE_MISTAKES.items():
        for other in [s for s in WEIGHTS if s != weight] if "{other}" in text else [weight]:
            others = {w_other: other, g_other: GRADIENT_SYMBOLS[other]}
            mistaken.append((text.format(other=other), formula.xreplace(own | others)))
    return UPDATE.xreplace(own), mistaken


def of_row(symbol, where):
    """The symbol of a quantity in another row: w1 of the row above."""
    return sympy.Symbol(f"{symbol} of the {where}")
