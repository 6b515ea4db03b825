"""Lesson 1: the derivation, step by step, and a table of all quantities.

Both are put together by code from the equations of `backprop.py`. The notebook shows the
derivation in LaTeX and the table as text; the sheet Equations has both as text.
"""

import pandas as pd
import sympy

from backprop import (
    DELTAS,
    E1,
    E2,
    EQUATIONS,
    INPUT_VALUES,
    INPUTS,
    SHORT_GRADIENTS,
    SIGMOIDS,
    TARGET_VALUES,
    WEIGHT_VALUES,
    WEIGHTS,
    E_total,
    a_h1,
    a_h2,
    chain_rule,
    delta,
    gradient,
    h1,
    h2,
    local_derivative,
    named_values,
    o1,
    o2,
    partial,
    paths,
    product,
    spreadsheet_row,
    to_text,
    w5,
    with_deltas,
)


def steps():
    """The seven steps from the forward pass to the eight gradients, and to their short form.

    Returns:
        A dict: title of the step → list of equalities. An equality is a list of SymPy
        expressions, to be joined by equals signs.
    """

    def whole(variable):
        return partial(E_total, variable)

    def factor(quantity, variable):
        return [partial(quantity, variable), local_derivative(quantity, variable)]

    def first_steps(weight):  # (w1, h1, a_h1): where both of the weight's paths run together
        return paths(weight)[0][:3]

    def chain(weight):
        _, h, a_h = first_steps(weight)
        return [whole(weight), product([whole(a_h), partial(a_h, h), partial(h, weight)])]

    path = paths(w5)[0]
    return {
        "Forward": [[quantity, equation] for quantity, equation in EQUATIONS.items()],
        "∂E/∂w5, factor by factor": [
            [whole(w5), chain_rule(w5)],
            *[factor(after, before) for before, after in zip(path, path[1:])][-2::-1],
            [whole(w5), gradient(w5)],
        ],
        "∂E/∂w5 … ∂E/∂w8": [[whole(w), gradient(w)] for w in WEIGHTS[4:]],
        "∂E/∂a_h1 and ∂E/∂a_h2": [[whole(a), chain_rule(a), gradient(a)] for a in (a_h1, a_h2)],
        "The chain for w1 … w4": [
            *[chain(w) for w in WEIGHTS[:4]],
            *[factor(a_h, h) for h, a_h in ((h1, a_h1), (h2, a_h2))],
            *[factor(first_steps(w)[1], w) for w in WEIGHTS[:4]],
        ],
        "∂E/∂w1 … ∂E/∂w4, written out": [[whole(w), gradient(w)] for w in WEIGHTS[:4]],
        "The same with deltas": [
            *[[delta(n), partial(E_total, n), DELTAS[delta(n)]] for n in (o1, o2, h1, h2)],
            *[[whole(w), SHORT_GRADIENTS[w]] for w in WEIGHTS],
        ],
    }


def equations_table(inputs=INPUT_VALUES, targets=TARGET_VALUES, weights=WEIGHT_VALUES):
    """Every quantity: its chain rule, its formula in two forms, why, and its value at epoch 0.

    Returns:
        A DataFrame with an index of symbols and the columns quantity, chain rule,
        written out, with deltas, why and value.
    """
    given = named_values(inputs, targets, weights, one=True)
    values = given | spreadsheet_row(given)
    rows = {}
    for quantity, equation in EQUATIONS.items():
        rows[quantity] = {
            "quantity": str(quantity),
            "chain rule": "",
            "written out": to_text(equation),
            "with deltas": "",
            "why": _why_forward(quantity),
        }
    for variable in (o1, o2, *WEIGHTS[4:], a_h1, a_h2, h1, h2, *WEIGHTS[:4]):
        is_sum = variable in SIGMOIDS.values()
        symbol = delta(variable) if is_sum else partial(E_total, variable)
        rows[symbol] = {
            "quantity": str(symbol),
            "chain rule": to_text(chain_rule(variable)),
            "written out": to_text(gradient(variable)),
            "with deltas": to_text(with_deltas(variable)),
            "why": _why_backward(variable),
        }
        values[symbol] = float(gradient(variable).xreplace(values))
    table = pd.DataFrame.from_dict(rows, orient="index")
    table["value"] = [float(values[symbol]) for symbol in table.index]
    return table


def _why_forward(quantity):
    equation = EQUATIONS[quantity]
    if quantity == E_total:
        return "the whole loss: both outputs count the same"
    if quantity in (E1, E2):
        return "half the squared error; the half cancels the 2 of the derivative"
    if equation.has(sympy.exp):
        (argument,) = equation.free_symbols
        return f"the sigmoid of {argument}: between 0 and 1"
    sources = [str(s) for s in (*INPUTS, a_h1, a_h2) if equation.has(s)]
    return f"{sources[0]} and {sources[1]}, each times its weight"


def _why_backward(variable):
    ways = [" → ".join(map(str, path)).replace("E_total", "E") for path in paths(variable)]
    why = f"one path: {ways[0]}" if len(ways) == 1 else "two paths, added: " + "; ".join(ways)
    return f"∂E/∂{variable}, used again; {why}" if variable in SIGMOIDS.values() else why
