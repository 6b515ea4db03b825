"""Lesson 1: a 2-2-2 sigmoid network, defined once, as equations.

The network has two inputs, two hidden neurons, two outputs, eight weights and no
biases. Its eleven equations are written down once, in `EQUATIONS`. From them the code
derives the rest of the lesson: the local derivatives, the chain rule, the gradients,
their LaTeX, plain-text and Excel forms, and the float64 numbers. No gradient is typed
by hand.

`figures.py` draws the network, `workbook.py` writes it as a spreadsheet.
"""

from functools import cache
from operator import index

import numpy as np
import pandas as pd
import sympy
from sympy.printing.str import StrPrinter

# --- The network -------------------------------------------------------------------

i1, i2 = INPUTS = sympy.symbols("i1 i2")
t1, t2 = TARGETS = sympy.symbols("t1 t2")
w1, w2, w3, w4, w5, w6, w7, w8 = WEIGHTS = sympy.symbols("w1:9")
h1, a_h1, h2, a_h2, o1, a_o1, o2, a_o2 = sympy.symbols("h1 a_h1 h2 a_h2 o1 a_o1 o2 a_o2")
E1, E2, E_total = sympy.symbols("E1 E2 E_total")

with sympy.evaluate(False):  # keep each equation as it is written here
    EQUATIONS = {
        h1: w1 * i1 + w2 * i2,
        a_h1: 1 / (1 + sympy.exp(-h1)),
        h2: w3 * i1 + w4 * i2,
        a_h2: 1 / (1 + sympy.exp(-h2)),
        o1: w5 * a_h1 + w6 * a_h2,
        a_o1: 1 / (1 + sympy.exp(-o1)),
        o2: w7 * a_h1 + w8 * a_h2,
        a_o2: 1 / (1 + sympy.exp(-o2)),
        E1: (t1 - a_o1) ** 2 / 2,
        E2: (t2 - a_o2) ** 2 / 2,
        E_total: E1 + E2,
    }

SIGMOIDS = {  # a_h1 → h1, and so on: an activation and the weighted sum that it squeezes
    activation: weighted_sum
    for activation, equation in EQUATIONS.items()
    if equation.has(sympy.exp)
    for weighted_sum in equation.free_symbols
}

# The example that the whole lesson uses, and the six learning rates that it compares.
INPUT_VALUES = (0.05, 0.10)
TARGET_VALUES = (0.5, 0.5)
WEIGHT_VALUES = (0.15, 0.20, 0.25, 0.30, 0.40, 0.45, 0.50, 0.55)
LEARNING_RATES = (0.1, 0.2, 0.5, 0.8, 1.0, 2.0)
EPOCHS = 100

# exp(x) overflows float64, and so does Excel's EXP, for x above this: 709.78.
LARGEST_EXPONENT = float(np.log(np.finfo(np.float64).max))


# --- Derivatives, by code ----------------------------------------------------------


@cache
def local_derivative(quantity, variable):
    """Differentiate one equation with respect to a symbol on its right-hand side.

    The slope of a sigmoid is given in terms of the sigmoid's own output:
    ∂a_h1/∂h1 = a_h1·(1 − a_h1). To get there, its equation is solved for h1.
    """
    equation = EQUATIONS[quantity].doit()
    derivative = equation.diff(variable)
    if equation.has(sympy.exp):
        (inverse,) = sympy.solve(sympy.Eq(quantity, equation), variable)
        derivative = sympy.simplify(derivative.subs(variable, inverse))
    return derivative


def partial(quantity, variable):
    """The symbol ∂quantity/∂variable, with E for E_total, as everybody writes it."""
    return sympy.Symbol(f"∂{quantity}/∂{variable}".replace("E_total", "E"))


GRADIENT_SYMBOLS = {weight: partial(E_total, weight) for weight in WEIGHTS}  # w1 → ∂E/∂w1


def _users(variable):
    """The quantities whose equations use a variable."""
    return [quantity for quantity, equation in EQUATIONS.items() if equation.has(variable)]


def paths(variable):
    """Every way from a variable to E_total, each as a tuple of symbols."""
    if variable == E_total:
        return [(E_total,)]
    return [(variable, *path) for user in _users(variable) for path in paths(user)]


def _backward(variable, factor, known=()):
    """List the factors of ∂E/∂variable in the order in which they are met going back.

    `factor(quantity, variable)` gives the factor of one step. Where several paths
    meet, the products that come along them are added before the walk goes on. At a
    quantity in `known` the walk stops: there ∂E/∂quantity is known, by its name.
    """
    if variable == E_total:
        return []
    products = [
        [
            *([delta(user)] if user in known else _backward(user, factor, known)),
            factor(user, variable),
        ]
        for user in _users(variable)
    ]
    if len(products) == 1:
        return products[0]
    return [sympy.Add(*map(product, products), evaluate=False)]


def product(factors):
    """Multiply in the given order, leaving out factors of 1 and expanding nothing."""
    factors = [part for factor in factors for part in sympy.Mul.make_args(factor) if part != 1]
    return sympy.Mul(*factors, evaluate=False) if len(factors) > 1 else sympy.Mul(*factors)


def chain_rule(variable):
    """∂E/∂variable as a product of local derivatives by name (a SymPy expression).

    ∂E/∂E1 and ∂E/∂E2 are 1 and are left out.
    """

    def name(quantity, by):
        return 1 if local_derivative(quantity, by) == 1 else partial(quantity, by)

    return product(_backward(variable, name))


def gradient(variable):
    """∂E/∂variable, each local derivative put in, factored as it was met (SymPy)."""
    return product(_backward(variable, local_derivative))


def delta(weighted_sum):
    """The symbol δ of a neuron: ∂E/∂h1 is called δ_h1."""
    return sympy.Symbol(f"δ_{weighted_sum}")


def with_deltas(variable):
    """∂E/∂variable, with the δ of every neuron that comes after it by its name (SymPy)."""
    return product(_backward(variable, local_derivative, known=tuple(SIGMOIDS.values())))


# The gradients written out, as the columns of the spreadsheet hold them. And the same in
# two steps, as backpropagation computes them: each neuron's δ once, from the outputs to
# the inputs; then ∂E/∂w, the δ of the neuron that w enters times what w was multiplied with.
GRADIENTS = {weight: gradient(weight) for weight in WEIGHTS}
DELTAS = {delta(neuron): with_deltas(neuron) for neuron in (o1, o2, h1, h2)}
SHORT_GRADIENTS = {weight: with_deltas(weight) for weight in WEIGHTS}


def multiplications(expressions):
    """How many multiplications it takes to calculate these formulas as they are written."""
    products = (
        node for formula in expressions for node in sympy.preorder_traversal(formula) if node.is_Mul
    )
    return sum(len([part for part in node.args if part != -1]) - 1 for node in products)


# The columns of the spreadsheet, each with its role in the calculation.
COLUMN_GROUPS = [
    ("epoch", ["epoch"]),
    ("target", [str(s) for s in TARGETS]),
    ("input", [str(s) for s in INPUTS]),
    ("weight", [str(s) for s in WEIGHTS[:4]]),
    ("forward", [str(s) for s in (h1, a_h1, h2, a_h2)]),
    ("weight", [str(s) for s in WEIGHTS[4:]]),
    ("forward", [str(s) for s in (o1, a_o1, o2, a_o2)]),
    ("loss", [str(s) for s in (E1, E2, E_total)]),
    ("gradient", [str(s) for s in GRADIENT_SYMBOLS.values()]),
]
COLUMNS = [name for _, names in COLUMN_GROUPS for name in names]
ROLES = {name: role for role, names in COLUMN_GROUPS for name in names}


# --- Renderings --------------------------------------------------------------------


class _PlainText(StrPrinter):
    """SymPy's text, with square brackets around a sum that holds round ones."""

    def parenthesize(self, item, level, strict=False):
        text = super().parenthesize(item, level, strict)
        return f"[{text[1:-1]}]" if text.startswith("((") else text


class _Excel(StrPrinter):
    """Excel's operators and functions; a symbol becomes a name in braces."""

    def _print_Symbol(self, expr):
        return "{" + expr.name + "}"

    def _print_exp(self, expr):
        return f"EXP({self._print(expr.args[0])})"


def to_text(expression):
    """Write a SymPy expression as plain text: (a_o1 − t1)·a_o1·(1 − a_o1)·a_h1."""
    text = _PlainText({"order": "none"}).doprint(expression)
    dot = " · " if "∂" in text else "·"
    return text.replace("**2", "²").replace("*", dot).replace("-", "−")


def to_latex(expression):
    """Write a SymPy expression in LaTeX."""
    names = {}
    for symbol in expression.free_symbols:
        if symbol.name.startswith("∂"):
            above, below = (latex_name(part[1:]) for part in symbol.name.split("/"))
            names[symbol] = rf"\frac{{\partial {above}}}{{\partial {below}}}"
        else:
            names[symbol] = latex_name(symbol.name)
    return sympy.latex(expression, order="none", symbol_names=names, mul_symbol="dot")


def aligned(equalities, width=100):
    """Write the equalities of a step of `derivation.steps` in LaTeX, one a line.

    An equality with more than `width` characters as plain text goes over several lines.
    """
    lines = []
    for first, *others in equalities:
        long = sum(len(to_text(side)) for side in (first, *others)) > width
        between = r" \\[4pt] &= " if long else " = "
        lines.append(to_latex(first) + " &= " + between.join(map(to_latex, others)))
    return r"\begin{aligned}" + r" \\[4pt] ".join(lines) + r"\end{aligned}"


def latex_name(name):
    r"""a_h1 → a_{h1}, w5 → w_{5}, δ_h1 → \delta_{h1}, E_total → E."""
    if name == "E_total":
        return "E"
    return sympy.latex(sympy.Symbol(name)).replace("δ", r"\delta")


def to_excel(expression):
    """Write a SymPy expression as an Excel formula without its equals sign.

    Returns a template with the symbols in braces, `{w1}*{i1} + {w2}*{i2}`: a caller
    puts cell addresses in with `str.format`.
    """
    return _Excel({"order": "none"}).doprint(expression).replace("**", "^")


# --- Numbers -----------------------------------------------------------------------


GIVEN = (*TARGETS, *INPUTS, *WEIGHTS)  # what a row of the spreadsheet starts from


def _compile(arguments, equations, gradients):
    """Compile one row: values of `arguments` in; those of `equations`, then ∂E/∂w, out."""
    return sympy.lambdify(
        arguments,
        [*equations, *(gradients[weight] for weight in WEIGHTS)],
        modules="numpy",
        # The equations are the common subexpressions: each is computed once, in order.
        cse=lambda outputs: (list(equations.items()), outputs),
    )


def _compile_row(gradients):
    return _compile(GIVEN, EQUATIONS, gradients)


_right_row = _compile_row(GRADIENTS)
_short_row = _compile((*GIVEN, *EQUATIONS), DELTAS, SHORT_GRADIENTS)


def spreadsheet_row(given, compiled=_right_row):
    """Calculate one row: forward pass, loss and gradients.

    Args:
        given: a dict, symbol → number or array, for every symbol of `GIVEN`.
        compiled: what `_compile_row` returns; by default, with the right gradients.

    Returns:
        A dict, symbol → number or array: the left-hand sides of `EQUATIONS`, then
        ∂E/∂w1 … ∂E/∂w8, in the order of calculation.
    """
    with np.errstate(over="ignore"):  # exp gives infinity there, and the sigmoid is 0
        computed = compiled(*(given[symbol] for symbol in GIVEN))
    return dict(zip((*EQUATIONS, *GRADIENT_SYMBOLS.values()), computed))


def delta_row(values):
    """Calculate the deltas of a row, and the gradients from them.

    Args:
        values: a dict, symbol → number or array, for `GIVEN` and the forward pass.

    Returns:
        A dict, symbol → number or array: δ_o1, δ_o2, δ_h1, δ_h2, then ∂E/∂w1 … ∂E/∂w8.
    """
    computed = _short_row(*(values[symbol] for symbol in (*GIVEN, *EQUATIONS)))
    return dict(zip((*DELTAS, *GRADIENT_SYMBOLS.values()), computed))


def _numbers(name, values, length):
    """Return `values` as float64 of shape (..., length), or say what is wrong with them."""
    try:
        array = np.asarray(values)
    except (ValueError, TypeError):  # ragged nesting
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be {length} numbers, not {values!r}")
    if array.ndim == 0 or array.shape[-1] != length:
        raise ValueError(f"{name} must be {length} numbers; got shape {array.shape}: {values!r}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite numbers (no NaN, no infinity): {values!r}")
    return array.astype(np.float64)


def named_values(inputs, targets, weights, one=False):
    """Check a network's numbers and give them their names.

    Args:
        one: a single network, not a batch of them.

    Returns:
        A dict, symbol → float64 array of the leading shape, in the order of `GIVEN`.
    """
    groups = {
        TARGETS: _numbers("targets", targets, 2),
        INPUTS: _numbers("inputs", inputs, 2),
        WEIGHTS: _numbers("weights", weights, 8),
    }
    if one and any(array.ndim != 1 for array in groups.values()):
        raise ValueError("give one network: 2 inputs, 2 targets and 8 weights")
    return {
        symbol: array[..., k][()]  # [()] makes a number of an array without dimensions
        for symbols, array in groups.items()
        for k, symbol in enumerate(symbols)
    }


def gradient_descent(
    inputs=INPUT_VALUES,
    targets=TARGET_VALUES,
    weights=WEIGHT_VALUES,
    learning_rate=1.0,
    epochs=EPOCHS,
    gradients=GRADIENTS,
):
    """Train by gradient descent, w ← w − η ∂E/∂w, and keep every number.

    Args:
        inputs, targets: 2 numbers each. weights: 8 numbers, w1 to w8.
        learning_rate: η, positive.
        epochs: how many rows. Row k holds epoch k: the weights after k updates.
        gradients: a dict, weight (symbol) → ∂E/∂weight (SymPy), to try wrong ones.

    Returns:
        A float64 DataFrame with the columns `COLUMNS`, a row an epoch.

    Raises:
        ValueError: NaN, infinity, text, a wrong length, no epoch, a rate that is not
            positive, or numbers so large that they overflow float64.
    """
    given = named_values(inputs, targets, weights, one=True)
    learning_rate, epochs = check_training(learning_rate, epochs)
    compiled = _right_row if gradients is GRADIENTS else _compile_row(gradients)
    rows = []
    for epoch in range(epochs):
        with np.errstate(all="ignore"):  # an overflow is reported below, in words
            computed = spreadsheet_row(given, compiled)
        _refuse_overflow(computed, epoch)
        values = {symbol.name: value for symbol, value in (given | computed).items()}
        rows.append({"epoch": epoch, **values})
        for weight, slope in GRADIENT_SYMBOLS.items():
            given[weight] = given[weight] - learning_rate * computed[slope]
    return pd.DataFrame(rows, columns=COLUMNS)


def _refuse_overflow(computed, epoch):
    """Raise a ValueError where a number of a row overflows, in Python or in a spreadsheet."""
    for weighted_sum in SIGMOIDS.values():
        if computed[weighted_sum] < -LARGEST_EXPONENT:
            raise ValueError(
                f"exp(−{weighted_sum}) overflows in epoch {epoch}: {weighted_sum} is "
                f"{computed[weighted_sum]:.6g}, below −{LARGEST_EXPONENT:.2f}. "
                "Use smaller inputs or weights, or a smaller learning rate."
            )
    if not np.isfinite([*computed.values()]).all():
        raise ValueError(f"the numbers overflow in epoch {epoch}: use smaller ones")


def loss_curves(learning_rates=LEARNING_RATES, **settings):
    """E_total by epoch (index) for each learning rate (columns), a DataFrame.

    `settings` go to `gradient_descent`.
    """
    runs = {
        rate: gradient_descent(learning_rate=rate, **settings).set_index("epoch")["E_total"]
        for rate in learning_rates
    }
    return pd.DataFrame(runs).rename_axis(columns="η")


def check_training(learning_rate, epochs):
    """Return η as a float and epochs as an int; a ValueError says what makes no sense."""
    if np.ndim(learning_rate) != 0:
        raise ValueError(f"learning_rate must be one number, not {learning_rate!r}")
    (learning_rate,) = _numbers("learning_rate", [learning_rate], 1)
    if learning_rate <= 0:
        raise ValueError(f"learning_rate must be positive, not {learning_rate}")
    try:
        if isinstance(epochs, (bool, np.bool_)) or index(epochs) < 1:
            raise TypeError
    except TypeError:
        raise ValueError(f"epochs must be a whole number, 1 or more, not {epochs!r}") from None
    return float(learning_rate), index(epochs)


# --- Three ways to the same eight numbers ------------------------------------------
# All take arrays of shape (..., 2), (..., 2) and (..., 8), so that a thousand networks
# cost one call, and return ∂E/∂w1 … ∂E/∂w8 with shape (..., 8). The leading dimensions
# are broadcast.


def _stacked(slopes):
    """Eight arrays as one, of shape (..., 8)."""
    return np.stack(np.broadcast_arrays(*slopes), axis=-1)


def closed_form_gradients(inputs, targets, weights):
    """The gradients by the formulas in `GRADIENTS`.

    Args:
        inputs, targets: arrays of shape (..., 2).
        weights: array of shape (..., 8), w1 to w8.

    Returns:
        ∂E/∂w1 … ∂E/∂w8, float64, shape (..., 8).

    Raises:
        ValueError: not numbers, not finite, or another shape.
    """
    row = spreadsheet_row(named_values(inputs, targets, weights))
    return _stacked(row[slope] for slope in GRADIENT_SYMBOLS.values())


def delta_gradients(inputs, targets, weights):
    """The gradients by `DELTAS` and `SHORT_GRADIENTS`: each δ is calculated once."""
    given = named_values(inputs, targets, weights)
    row = delta_row(given | spreadsheet_row(given))
    return _stacked(row[slope] for slope in GRADIENT_SYMBOLS.values())


def finite_difference_gradients(inputs, targets, weights, step=1e-5):
    """The gradients by central differences, (E(w + step) − E(w − step)) / (2 step).

    Arguments and result are those of `closed_form_gradients`. The error is of order step²
    from the formula and E·1e-16/step from rounding.
    """
    given = named_values(inputs, targets, weights)

    def loss(weight, nudge):
        return spreadsheet_row(given | {weight: given[weight] + nudge})[E_total]

    return _stacked((loss(w, step) - loss(w, -step)) / (2 * step) for w in WEIGHTS)


def autograd_gradients(inputs, targets, weights):
    """The gradients by `torch.autograd` in float64, from a forward pass in matrices.

    Arguments and result are those of `closed_form_gradients`.
    """
    import torch

    given = named_values(inputs, targets, weights)
    numbers = np.broadcast_arrays(*given.values())
    named = {symbol: torch.tensor(values) for symbol, values in zip(given, numbers)}
    t, i, w = (torch.stack([named[s] for s in group], -1) for group in (TARGETS, INPUTS, WEIGHTS))
    w.requires_grad_()
    hidden_weights, output_weights = w.unflatten(-1, (2, 2, 2)).unbind(-3)
    a_h = torch.sigmoid(hidden_weights @ i.unsqueeze(-1))
    a_o = torch.sigmoid(output_weights @ a_h)
    loss = (t.unsqueeze(-1) - a_o).square().sum() / 2
    return torch.autograd.grad(loss, w)[0].numpy()
