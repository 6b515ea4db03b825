"""The quantities of lesson 1's network as the checker names and computes them.

All modules of this package share these names. The equations and gradients stand in
`backprop.py`; no file is read here, and nothing is compared.
"""

from functools import cache

import sympy

from backprop import EQUATIONS, GIVEN, GRADIENT_SYMBOLS, GRADIENTS, INPUTS, TARGETS, WEIGHTS

FORMULAS = {  # computed column → its right-hand side
    **EQUATIONS,
    **{GRADIENT_SYMBOLS[weight]: formula for weight, formula in GRADIENTS.items()},
}
UPDATES = {weight: sympy.Symbol(f"update {weight}") for weight in WEIGHTS}


def column_name(symbol):
    """The name of a column in results: h1, E_total, dE/dw1, update w1."""
    return str(symbol).replace("∂", "d")


COLUMN_NAMES = [column_name(symbol) for symbol in (*FORMULAS, *UPDATES.values())]

# The headers of a table, in the spelling of `backprop.COLUMNS`.
COMPUTED_NAMES = {symbol.name for symbol in FORMULAS}
GIVEN_NAMES = {symbol.name for symbol in GIVEN}
CONSTANT_NAMES = {symbol.name for symbol in (*INPUTS, *TARGETS)}
WEIGHT_NAMES = {weight.name for weight in WEIGHTS}


def compile_formulas(formulas):
    """Make a numeric function of some formulas.

    Returns:
        (symbols, function): the function takes a number or an array for each of the
        symbols, in their order, and returns a list with the value of each formula.
    """
    symbols = sorted(set().union(*(formula.free_symbols for formula in formulas)), key=str)
    return symbols, sympy.lambdify(symbols, formulas, modules="numpy")


@cache
def compile_formula(formula):
    """`compile_formulas` for one formula; its function returns a list of one value."""
    return compile_formulas([formula])
