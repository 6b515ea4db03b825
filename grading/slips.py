"""What people's code calculates in place of the right numbers, exercise by exercise.

The catalogue of mistakes in `mistakes.py` holds formulas. Here are slips that no formula of
the network shows: in the loss, in a finite difference, in the training loop, in a softmax.
Each has the words in which a student is told.
"""

import numpy as np

from grading.diagnosis import fits
from grading.networks import WEIGHTS, right_numbers


def first_fit(found, slips):
    """The words for the first slip that gives the numbers found, or None.

    Args:
        slips: a dict, words → array.
    """
    return next((words for words, numbers in slips.items() if fits(found, numbers)), None)


# --- 1.2 ----------------------------------------------------------------------------


def loss_slips(t, a):
    """Of targets and outputs, arrays (calls, 2)."""
    error = t - a
    return {
        "the half is forgotten": (error**2).sum(1),
        "the square is forgotten": error.sum(1) / 2,
        "the square is forgotten, and the sign is flipped": -error.sum(1) / 2,
        "the square and the half are forgotten": error.sum(1),
        "the square and the half are forgotten, and the sign is flipped": -error.sum(1),
        "the absolute value in place of the square": abs(error).sum(1) / 2,
        "the absolute value in place of half the square": abs(error).sum(1),
        "a square root is taken": np.sqrt((error**2).sum(1)),
        "a square root of the mean is taken": np.sqrt((error**2).mean(1)),
        "only E1": error[:, 0] ** 2 / 2,
        "only E2": error[:, 1] ** 2 / 2,
        "half of the right value: the mean of E1 and E2, not their sum": (error**2).sum(1) / 4,
        "the square of the sum, not the sum of the squares": error.sum(1) ** 2 / 2,
        "E1 − E2 in place of E1 + E2": (error[:, 0] ** 2 - error[:, 1] ** 2) / 2,
        "E1·E2 in place of E1 + E2": (error**2 / 2).prod(1),
        "the half is not squared, but E1 + E2 is": ((error**2).sum(1) / 2) ** 2,
        "t + a in place of t − a": ((t + a) ** 2).sum(1) / 2,
        "t² − a² in place of (t − a)²": (t**2 - a**2).sum(1) / 2,
        "the output of one neuron with the target of the other": ((t - a[:, ::-1]) ** 2).sum(1) / 2,
        "the sign is flipped": -(error**2).sum(1) / 2,
    }


# --- 1.3 ----------------------------------------------------------------------------


def difference_slips(f, w, epsilon):
    """In place of central differences of f at w, an array."""
    steps = epsilon * np.eye(len(w))
    plus, minus = (np.array([f(w + sign * step) for step in steps]) for sign in (1, -1))
    halfway = np.array([f(w + step / 2) - f(w - step / 2) for step in steps])
    together = f(w + epsilon) - f(w - epsilon)
    left = epsilon * np.tri(len(w), k=-1)  # what the weights before this one have moved
    up_and_down = np.array([f(w + x + dx) - f(w - x - dx) for x, dx in zip(left, steps)])
    up = np.array([f(w + x + dx) - f(w + x - dx) for x, dx in zip(left, steps)])
    down = np.array([f(w - x + dx) - f(w - x - dx) for x, dx in zip(left, steps)])
    here = f(w)
    return {
        "a forward difference, (f(w + ε) − f(w)) / ε": (plus - here) / epsilon,
        "a backward difference, (f(w) − f(w − ε)) / ε": (here - minus) / epsilon,
        "half of a forward difference": (plus - here) / (2 * epsilon),
        "divided by ε, not by 2ε": (plus - minus) / epsilon,
        "not divided by 2ε": plus - minus,
        "divided by 2, not by 2ε": (plus - minus) / 2,
        "only f(w − ε) is divided by 2ε: parentheses around the difference": plus
        - minus / (2 * epsilon),
        "multiplied with ε where it is divided by 2ε: parentheses around 2ε": (plus - minus)
        / 2
        * epsilon,
        "the sign is flipped": (minus - plus) / (2 * epsilon),
        "a sum in place of the difference": (plus + minus) / (2 * epsilon),
        "each weight moves by ε / 2, not by ε": halfway / epsilon,
        "all weights move at once": np.full(len(w), together / (2 * epsilon)),
        "a weight that has moved does not move back": up_and_down / (2 * epsilon),
        "a weight that has moved up does not move back": up / (2 * epsilon),
        "a weight that has moved down does not move back": down / (2 * epsilon),
        "f gets the same weights twice": np.zeros(len(w)),
    }


# --- 1.5 ----------------------------------------------------------------------------


def _slopes(network, w):
    values = right_numbers([network._replace(weights=tuple(w))])
    return np.array([values[name][0] for name in WEIGHTS])


def losses(network, learning_rate, epochs, step=None):
    """E by epoch, with gradients by autograd.

    Args:
        step: a function of (weights, gradients, η, network): the next weights, an array;
            None for gradient descent.
    """
    w, found = np.array(network.weights), []
    for _ in range(epochs):
        values = right_numbers([network._replace(weights=tuple(w))])
        found.append(values["E_total"][0])
        g = np.array([values[name][0] for name in WEIGHTS])
        w = w - learning_rate * g if step is None else step(w, g, learning_rate, network)
    return np.array(found)


def _one_after_another(w, g, rate, network):
    w = w.copy()
    for k in range(8):
        w[k] -= rate * _slopes(network, w)[k]
    return w


def _layer_first(weights):
    """One layer is updated, then comes a new forward pass for the other."""

    def step(w, g, rate, network):
        w = w.copy()
        w[weights] -= rate * g[weights]
        others = np.setdiff1d(np.arange(8), weights)
        w[others] -= rate * _slopes(network, w)[others]
        return w

    return step


def _outputs_first(w, g, rate, network):
    """w5 to w8 are updated before they bring δ_o1 and δ_o2 back; the forward pass is old."""
    old = right_numbers([network._replace(weights=tuple(w))])
    new = w - rate * g
    outputs, a = (
        np.array([old["δ_o1"], old["δ_o2"]]).T[0],
        np.array([old["a_h1"], old["a_h2"]]).T[0],
    )
    deltas = outputs @ new[4:].reshape(2, 2) * a * (1 - a)
    new[:4] = w[:4] - rate * np.outer(deltas, network.inputs).ravel()
    return new


def _all_but(k):
    """All weights are updated but one, of index k."""
    return lambda w, g, rate, network: w - rate * g * (np.arange(8) != k)


SAME_LOSS = (
    "E is the same in each epoch: it is not calculated again after the update, or the weights "
    "are not updated"
)
OUTPUTS_FIRST = "w5 to w8 are updated before the gradients of w1 to w4 are calculated"
UPDATES = {  # functions as `losses` takes them
    SAME_LOSS: lambda w, g, rate, network: w,
    "η times the gradient is added, not subtracted": lambda w, g, rate, network: w + rate * g,
    "the learning rate is forgotten": lambda w, g, rate, network: w - g,
    "the gradient is twice the right one": lambda w, g, rate, network: w - 2 * rate * g,
    "the gradient is half of the right one": lambda w, g, rate, network: w - rate * g / 2,
    "only w1 to w4 are updated": lambda w, g, rate, network: w - rate * g * (np.arange(8) < 4),
    "only w5 to w8 are updated": lambda w, g, rate, network: w - rate * g * (np.arange(8) > 3),
    "the gradients of the first epoch are used again and again": lambda w, g, rate, network: (
        w - rate * _slopes(network, network.weights)
    ),
    "each update starts from the given weights": lambda w, g, rate, network: (
        np.array(network.weights) - rate * g
    ),
    "a weight is updated before all gradients are calculated": _one_after_another,
    OUTPUTS_FIRST: _outputs_first,
    f"{OUTPUTS_FIRST}, with a new forward pass": _layer_first(np.arange(4, 8)),
    "w1 to w4 are updated before the gradients of w5 to w8 are calculated": (
        _layer_first(np.arange(4))
    ),
    **{f"w{k + 1} is never updated": _all_but(k) for k in range(8)},
}


# --- 1.8 ----------------------------------------------------------------------------


def softmax_slips(z, target):
    """In place of the gradient for logits z, an array, and the index of the right class."""
    p = np.exp(z - z.max())
    p /= p.sum()
    y = np.eye(len(z))[target]
    sigmoid = 1 / (1 + np.exp(-z))
    powers = 2 ** (z - z.max())
    return {
        "this is softmax: nothing is subtracted at the target": p,
        "the sign is flipped": y - p,
        "the target is counted from 1": p - np.eye(len(z))[target - 1],
        "divided by the number of logits": (p - y) / len(z),
        "twice the right value": 2 * (p - y),
        "only the entry of the target": y * (p - y),
        "the entry of the target is 0": (1 - y) * p,
        "1 is subtracted everywhere": p - 1,
        "p·(1 − p), the slope of a sigmoid, is one factor too many": (p - y) * p * (1 - p),
        "this is the derivative of softmax, not yet of its logarithm": p[target] * (y - p),
        "this is the derivative of softmax at the target, with the sign flipped": p[target]
        * (p - y),
        "this is ∂loss/∂p, not yet ∂loss/∂logits": -y / p,
        "divided by ln 2: the loss has the natural logarithm, not log2": (p - y) / np.log(2),
        "divided by ln 10: the loss has the natural logarithm, not log10": (p - y) / np.log(10),
        "the logits in place of softmax": z - y,
        "the sigmoid in place of softmax": sigmoid - y,
        "exp(z) is not divided by the sum": np.exp(z) - y,
        "exp(z − the largest) is not divided by the sum": np.exp(z - z.max()) - y,
        "2 to the power of z in place of exp(z)": powers / powers.sum() - y,
        "z / sum(z) in place of softmax": z / z.sum() - y,
        "a softmax of the softmax": np.exp(p) / np.exp(p).sum() - y,
        "these are logarithms: log softmax": np.log(p),
    }
