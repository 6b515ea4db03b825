"""Says why numbers of lesson 1's network are wrong: which mistake gives just these numbers.

The mistakes are those of `mistakes.py`, tried in every formula of the forward pass, of the
deltas and of the gradients, and some that only code has. A mistake explains an answer
when it gives the numbers found on all networks that were tried.
"""

from collections import defaultdict
from functools import cache

import numpy as np
import sympy

from backprop import (
    DELTAS,
    EQUATIONS,
    GIVEN,
    GRADIENT_SYMBOLS,
    INPUTS,
    SHORT_GRADIENTS,
    SIGMOIDS,
    partial,
    to_text,
)
from grading.mistakes import RULES, catalogue, mistaken
from grading.quantities import FORMULAS, compile_formula, compile_formulas

# A number is right when it is this close. Float32 has seven digits; a right answer loses
# three of them at most. The mistakes of the catalogue are further off.
RELATIVE, ABSOLUTE = 1e-4, 1e-7

# Every quantity in the order in which backpropagation computes it, with a bias in each
# weighted sum: h1 + b_h1. Without biases they are zero.
BIAS = {neuron: sympy.Symbol(f"b_{neuron}") for neuron in SIGMOIDS.values()}
STEPS = {s: f + BIAS[s] if s in BIAS else f for s, f in EQUATIONS.items()} | DELTAS
STEPS |= {GRADIENT_SYMBOLS[weight]: formula for weight, formula in SHORT_GRADIENTS.items()}
STEPS |= {partial("E", bias): sympy.Symbol(f"δ_{neuron}") for neuron, bias in BIAS.items()}


def near(found, right):
    """Which numbers are right, within the tolerance."""
    with np.errstate(invalid="ignore"):
        return np.abs(np.subtract(found, right)) <= ABSOLUTE + RELATIVE * np.abs(right)


def fits(found, right):
    """Whether all numbers are right."""
    return bool(near(found, right).all())


def recalculate(values, changed):
    """Calculate networks with mistaken formulas, and everything that follows from them.

    Args:
        values: a dict, name → array (networks,): at least inputs, targets, weights, biases.
        changed: a dict, symbol of `STEPS` → its mistaken formula.

    Returns:
        A dict, name → array (networks,), with all quantities of `STEPS`.
    """
    values = {symbol.name: values[symbol.name] for symbol in (*GIVEN, *BIAS.values())}
    with np.errstate(all="ignore"):
        for symbol, formula in (STEPS | changed).items():
            symbols, function = compile_formula(formula)
            (numbers,) = function(*(values[s.name] for s in symbols))
            values[symbol.name] = np.broadcast_to(numbers, values[GIVEN[0].name].shape)
    return values


# --- One quantity -------------------------------------------------------------------


def causes(name, found, values):
    """The mistakes in one formula that give these numbers.

    Args:
        name: of the quantity, such as "o2" or "∂E/∂w3".
        found: array (networks,). values: name → the right numbers, arrays alike.

    Returns:
        A list of texts, the likeliest first.
    """
    texts, symbols, function = _compiled_mistakes(sympy.Symbol(name))
    with np.errstate(all="ignore"):
        outcomes = function(*(values[s.name] for s in symbols))
    return [what for what, numbers in zip(texts, outcomes) if fits(found, numbers)]


@cache
def _compiled_mistakes(symbol):
    mistakes = [*_mistaken_formulas(symbol), *_mistaken_products(symbol)]
    return [what for what, _ in mistakes], *compile_formulas([f for _, f in mistakes])


def _mistaken_formulas(symbol):
    """The catalogue's mistakes in a formula, and one in the weighted sums of the outputs."""
    yield from catalogue(symbol) if symbol in FORMULAS else ()
    if symbol in BIAS and (hidden := FORMULAS[symbol].free_symbols & SIGMOIDS.keys()):
        activations = sorted(hidden, key=str)
        sums = [SIGMOIDS[a] for a in activations]
        text = f"{listed(sums)} in place of {listed(activations)}"
        yield text, FORMULAS[symbol].xreplace(SIGMOIDS)


def _mistaken_products(symbol):
    """A gradient is a δ times something: yield another δ, or something else in its place."""
    used = STEPS[symbol].free_symbols
    for delta in used & DELTAS.keys():
        for other in DELTAS.keys() - used:
            yield f"{other} in place of {delta}", STEPS[symbol].xreplace({delta: other})
        variable = sympy.Symbol(symbol.name.partition("/∂")[2])
        for wrong in (variable, *INPUTS, *SIGMOIDS, *SIGMOIDS.values()):
            for factor in used - {delta, wrong}:
                yield f"{wrong} in place of {factor}", delta * wrong
            if used == {delta}:
                yield f"multiplied with {wrong}", delta * wrong
        if used == {delta}:
            yield f"1 in place of {delta}", sympy.Integer(1)


def which_is(found, values):
    """The name of the quantity that has these numbers, or None."""
    return next((name for name, numbers in values.items() if fits(found, numbers)), None)


# --- Several quantities -------------------------------------------------------------


def order(names, found, values):
    """Say how right numbers stand in a wrong order, or None.

    Args:
        names: what was asked for, in order.
        found: array (networks, len(names)). values: name → the right numbers.
    """
    yours = [which_is(column, {n: values[n] for n in names}) for column in found.T]
    if sorted(map(str, yours)) != sorted(names):
        return None
    moved = [name for name, other in zip(names, yours) if name != other]
    if len(moved) == 2:
        return f"{moved[0]} and {moved[1]} are exchanged"
    return f"right numbers in another order: yours are {', '.join(yours)}"


def rounded(found, right):
    """Say to how many decimals right numbers were rounded, or None."""
    for decimals in range(6):
        close = np.abs(found - right) <= 0.500001 * 10**-decimals
        if close.all() and np.allclose(found, np.round(found, decimals), 0, 1e-12):
            return f"rounded to {decimals} decimals"
    return None


def explain_gradients(names, found, values):
    """Say why some gradients are wrong.

    Args:
        names: such as "∂E/∂w3" and "∂E/∂b_h1".
        found: array (networks, len(names)).
        values: name → the right numbers, arrays (networks,), of the whole network.

    Returns:
        A text such as "∂E/∂w3: a_h1 in place of a_h2", or None.
    """
    columns = dict(zip(names, found.T))
    wrong = [name for name in names if not fits(columns[name], values[name])]
    by_name = {name: causes(name, columns[name], values) for name in wrong}
    common = [what for what in by_name[wrong[0]] if all(what in by_name[n] for n in wrong)]
    if common and len(wrong) == len(names):
        return f"all {len(names)} gradients: {common[0]}"
    if common and len(wrong) <= 2:
        return f"{listed(wrong)}: {common[0]}"
    for what, changed in _mistakes_in_steps():
        numbers = recalculate(values, changed)
        if all(fits(columns[name], numbers[name]) for name in names):
            return what
    grouped = defaultdict(list)
    for name in wrong:
        grouped[(common or by_name[name] or [None])[0]].append(name)
    return "; ".join(f"{listed(group)}: {what}" for what, group in grouped.items() if what) or None


def listed(names):
    """a, b and c."""
    *first, last = map(str, names)
    return f"{', '.join(first)} and {last}" if first else last


# --- Mistakes in one step of the algorithm, with all that follows from it -----------


def _twins(*pairs):
    """A replacement of symbols by those of the other neuron in the layer, and back."""
    symbols = [sympy.symbols(pair) for pair in pairs]
    return {**dict(symbols), **{other: one for one, other in symbols}}


_SUMS = ("w1 w3", "w2 w4", "w5 w7", "w6 w8")  # the weights that enter the two neurons
_LAYERS = [  # the same quantity of two neurons, and how the formula of one becomes the other's
    (*sympy.symbols("h1 h2"), _twins(*_SUMS)),
    (*sympy.symbols("a_h1 a_h2"), _twins("h1 h2")),
    (*sympy.symbols("o1 o2"), _twins(*_SUMS)),
    (*sympy.symbols("a_o1 a_o2"), _twins("o1 o2")),
    (*sympy.symbols("δ_o1 δ_o2"), _twins("t1 t2", "o1 o2", "a_o1 a_o2")),
    (*sympy.symbols("δ_h1 δ_h2"), _twins("h1 h2", "a_h1 a_h2", "w1 w3", "w2 w4", "w5 w6", "w7 w8")),
]


@cache
def _mistakes_in_steps():
    """A list of (what happened, changed formulas): one mistake, in a neuron or in a layer."""
    found = []
    for first, second, twins in _LAYERS:
        mistaken_step = _mistaken_delta if first in DELTAS else _mistaken_formulas
        biases = {symbol: BIAS.get(symbol, 0) for symbol in (first, second)}
        for what, formula in mistaken_step(first):
            other = formula.xreplace(twins) + biases[second]
            found.append((f"{first}: {what}", {first: formula + biases[first]}))
            both = {first: formula + biases[first], second: other}
            found.append((f"{first}: {what}; and likewise in {second}", both))
        for what, formula in mistaken_step(second):
            found.append((f"{second}: {what}", {second: formula + biases[second]}))
    exchange = dict(zip(sympy.symbols("w6 w7"), sympy.symbols("w7 w6")))
    transposed = {delta: DELTAS[delta].xreplace(exchange) for delta in _LAYERS[-1][:2]}
    found.append(("δ_h1 and δ_h2: w6 and w7 are exchanged", transposed))
    without = {delta: _without_slope(formula)[0] for delta, formula in DELTAS.items()}
    found.append(("the slopes of all sigmoids are forgotten", without))
    sums = {delta: _slope_of_sum(formula) for delta, formula in DELTAS.items()}
    found.append(("the weighted sums in place of the activations in all slopes", sums))
    return found + _mistaken_biases()


def _mistaken_delta(delta):
    """Yield (what happened, mistaken formula) of a delta."""
    rest, slope = _without_slope(DELTAS[delta])
    yield f"the slope {to_text(slope)} is forgotten", rest
    wrong = slope.xreplace(SIGMOIDS)
    yield f"{to_text(wrong)} in place of {to_text(slope)}", _slope_of_sum(DELTAS[delta])
    for rule in RULES:
        yield from mistaken(DELTAS[delta], rule)
    deltas = [*DELTAS]
    for used in DELTAS[delta].free_symbols & DELTAS.keys():
        for other in deltas[:2]:
            if other != used:
                yield f"{other} in place of {used}", DELTAS[delta].xreplace({used: other})


def _without_slope(formula):
    """A delta's formula without the slope of its sigmoid, and that slope."""
    (a,) = (a for a in SIGMOIDS if 1 - a in formula.args)
    return sympy.Mul(*(part for part in formula.args if part not in (a, 1 - a))), a * (1 - a)


def _slope_of_sum(formula):
    """A delta's formula with the weighted sum in the slope: o1·(1 − o1)."""
    rest, slope = _without_slope(formula)
    return rest * slope.xreplace(SIGMOIDS)


def _mistaken_biases():
    """What goes wrong with biases in the forward pass, and in their own gradients."""
    layers = {"hidden": list(BIAS)[:2], "output": list(BIAS)[2:]}
    found = [(f"{BIAS[n]} is not added", {n: EQUATIONS[n]}) for n in BIAS]
    for layer, neurons in layers.items():
        without = {neuron: EQUATIONS[neuron] for neuron in neurons}
        found.append((f"the biases of the {layer} neurons are not added", without))
        one, other = (BIAS[neuron] for neuron in neurons)
        swapped = dict(zip(neurons, (EQUATIONS[n] + b for n, b in zip(neurons, (other, one)))))
        found.append((f"{one} and {other} are exchanged in the forward pass", swapped))
        shared = {neuron: EQUATIONS[neuron] + one for neuron in neurons}
        found.append((f"{one} is added in both {layer} neurons", shared))
        total = sum(sympy.Symbol(f"δ_{neuron}") for neuron in neurons)
        both = listed([partial("E", one), partial("E", other)])
        sums = {partial("E", BIAS[neuron]): total for neuron in neurons}
        found.append((f"{both}: the sum of the two, as for a shared bias", sums))
    without = {neuron: EQUATIONS[neuron] for neuron in BIAS}
    found.append(("the biases are not added", without))
    found.append(("the biases are subtracted", {n: EQUATIONS[n] - BIAS[n] for n in BIAS}))
    after = {a: EQUATIONS[a] + BIAS[SIGMOIDS[a]] for a in SIGMOIDS}
    found.append(("the biases are added after the sigmoid", without | after))
    products = {partial("E", b): sympy.Symbol(f"δ_{n}") * b for n, b in BIAS.items()}
    found.append(("∂E/∂b: δ is multiplied with the bias, where it should stay alone", products))
    ones = {partial("E", bias): sympy.Integer(1) for bias in BIAS.values()}
    found.append(("∂E/∂b: 1 in place of δ", ones))
    return found
