"""What the exercises of lesson 1 hand to a student: four functions, and numbers for a plot.

The four functions of exercise 1.6 calculate the eight gradients with deltas. One does it
right. Each of the others has one mistake, a different one, put into the equations by code.
"""

import random

import numpy as np
import pandas as pd
import sympy

import backprop as bp
from grading.answers import numbers
from grading.exercises import refuse_inside_answers
from grading.quantities import compile_formula

# --- Exercise 1.3: how good is a step? ----------------------------------------------


def steps_and_errors(numerical_gradient):
    """Try a gradient by finite differences with many steps, on the lesson's example.

    Args:
        numerical_gradient: a function of (f, weights, epsilon).

    Returns:
        A DataFrame: for each ε (index) the largest error of the eight gradients, with E
        calculated in 64 bits and in 32 bits (columns). NaN where the function returns no
        eight numbers, as a stub.
    """
    weights = bp.WEIGHT_VALUES
    right = bp.autograd_gradients(bp.INPUT_VALUES, bp.TARGET_VALUES, weights)
    errors = {}
    for epsilon in 10.0 ** np.arange(0, -10.5, -0.5):
        errors[epsilon] = []
        for precision in (np.float64, np.float32):
            try:
                arguments = (_loss(precision), list(weights), float(epsilon))
                slopes = numbers(numerical_gradient, "numerical_gradient", arguments)
                error = np.abs(slopes.reshape(8) - right).max()
            except Exception:  # noqa: BLE001  the check says what is wrong, a plot need not
                error = np.nan
            errors[epsilon].append(error)
    names = ["E in 64 bits", "E in 32 bits"]
    return pd.DataFrame.from_dict(errors, orient="index", columns=names).rename_axis("ε")


def _loss(precision):
    """E of the lesson's example as a function of the weights, in 64 or 32 bits."""
    inputs, targets = (np.array(v, precision) for v in (bp.INPUT_VALUES, bp.TARGET_VALUES))
    one = precision(1)

    def loss(weights):
        hidden, output = np.array(weights, precision).reshape(2, 2, 2)
        activations = one / (one + np.exp(-hidden @ inputs))
        outputs = one / (one + np.exp(-output @ activations))
        return float(((targets - outputs) ** 2).sum() / precision(2))

    return loss


# --- Exercise 1.6: four functions, one of them right --------------------------------

_RIGHT = bp.DELTAS | {bp.GRADIENT_SYMBOLS[w]: slope for w, slope in bp.SHORT_GRADIENTS.items()}
_d_o1, _d_o2, _d_h1, _d_h2 = bp.DELTAS
_error = bp.a_o1 - bp.t1  # δ_o1 is this times the slope of the sigmoid
_slope = bp.a_h1 * (1 - bp.a_h1)


def _in_hidden_delta(symbol, other):
    return {_d_h1: _RIGHT[_d_h1].xreplace({symbol: other})}


# What is said of a mistake, and the formulas that it changes. Two functions have one of
# `_HIDDEN`, which change ∂E/∂w1 and ∂E/∂w2. So the right function is not the one that agrees
# with most others. None of the mistakes shows in the loss of the lesson's example.
_HIDDEN = (
    ("δ_h1: the term δ_o2·w7 is forgotten", _in_hidden_delta(_d_o2, sympy.Integer(0))),
    ("δ_h1: w6 in place of w7", _in_hidden_delta(bp.w7, bp.w6)),
    ("δ_h1: δ_o1 in place of δ_o2", _in_hidden_delta(_d_o2, _d_o1)),
    ("δ_h1: a_h2 in place of a_h1", _in_hidden_delta(bp.a_h1, bp.a_h2)),
    ("δ_h1: the slope a_h1·(1 − a_h1) is forgotten", {_d_h1: _RIGHT[_d_h1] / _slope}),
)
_OUTPUT = (
    ("δ_o1: t2 in place of t1", {_d_o1: _RIGHT[_d_o1].xreplace({bp.t1: bp.t2})}),
    ("δ_o1: a_o2·(1 − a_o2) in place of the slope", {_d_o1: _error * bp.a_o2 * (1 - bp.a_o2)}),
    ("δ_o1: a_h1·(1 − a_h1) in place of the slope", {_d_o1: _error * _slope}),
    ("δ_o1: a_o1·(1 − a_o2) in place of the slope", {_d_o1: _error * bp.a_o1 * (1 - bp.a_o2)}),
)
_MISTAKES = dict(enumerate(_HIDDEN + _OUTPUT, start=1))
STATEMENTS = {number: what for number, (what, _) in _MISTAKES.items()}


def solution():
    """Letter → number of a statement, or None for the right function."""
    chance = random.Random("which one")  # always the same, and not seen in the source
    numbers = [*_MISTAKES]
    chosen = chance.sample(numbers[: len(_HIDDEN)], 2) + [chance.choice(numbers[len(_HIDDEN) :])]
    chosen.append(None)
    chance.shuffle(chosen)
    return dict(zip("ABCD", chosen))


class Unnamed:
    """A function of (inputs, targets, weights): eight gradients, perhaps with a mistake."""

    def __init__(self, letter):
        self.letter = letter

    def __repr__(self):
        return f"the function {self.letter}"

    def __call__(self, inputs, targets, weights):
        refuse_inside_answers(self.letter)
        values = bp.named_values(inputs, targets, weights, one=True)
        values |= bp.spreadsheet_row(values)
        for symbol, formula in _formulas(self.letter).items():
            symbols, function = compile_formula(formula)
            (values[symbol],) = function(*(values[s] for s in symbols))
        return [float(values[slope]) for slope in bp.GRADIENT_SYMBOLS.values()]


def _formulas(letter):
    number = solution()[letter]
    return _RIGHT | (_MISTAKES[number][1] if number else {})


FUNCTIONS = {letter: Unnamed(letter) for letter in "ABCD"}
A, B, C, D = FUNCTIONS.values()


def training_losses(epochs=bp.EPOCHS):
    """E by epoch (index) when the lesson's example trains with A, B, C and D (columns), η = 1."""
    losses = {}
    for letter, function in FUNCTIONS.items():
        weights, curve = np.array(bp.WEIGHT_VALUES), []
        for _ in range(epochs):
            curve.append(_loss(np.float64)(weights))
            weights = weights - function(bp.INPUT_VALUES, bp.TARGET_VALUES, weights)
        losses[letter] = curve
    return pd.DataFrame(losses).rename_axis("epoch")
