"""The exercises of lesson 1: right answers in any style are CORRECT, wrong ones are told why."""

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import backprop as bp
import exercise_notebooks
from exercise_notebooks import cells, notebook_of, numbers_of
from grading import diagnosis, handouts, isolation, lesson1, networks, notebooks
from grading.exercises import (
    CORRECT,
    INCORRECT,
    NOT_DONE,
    Mistake,
    verdict,
)
from grading.sample_notebooks import solutions

ROOT = Path(__file__).parents[1]
NOTEBOOK = notebook_of("1")
NUMBERS = numbers_of("1")
NAMES = {
    "1.1": "forward", "1.2": "loss", "1.3": "numerical_gradient", "1.4": "backward",
    "1.5": "train", "1.7": "backward_with_biases", "1.8": "softmax_cross_entropy_gradient",
}  # fmt: skip


SOLUTIONS = solutions("1")
STUBS = cells(NOTEBOOK, "answer")
IMPORTED = {"exp": math.exp, "log": math.log}


def judge(number, source):
    return exercise_notebooks.judge(number, source, IMPORTED)


# --- Right answers and stubs --------------------------------------------------------


@pytest.mark.parametrize("number", NUMBERS)
def test_solutions_are_correct(number):
    assert str(judge(number, SOLUTIONS[number])) == f"{number} CORRECT"


@pytest.mark.parametrize("number", NUMBERS)
def test_stubs_are_not_done(number):
    assert str(judge(number, STUBS[number])) == f"{number} NOT DONE"
    assert str(judge(number, "")) == f"{number} NOT DONE"


@pytest.mark.parametrize("body", ["pass", "...", "return", "return None", '"""Later."""\n    pass'])
@pytest.mark.parametrize("number", NAMES)
def test_a_body_that_does_nothing_is_a_stub(number, body):
    source = f"def {NAMES[number]}(*arguments):\n    {body}\nbest_epsilon = None"
    assert judge(number, source).word == NOT_DONE


NUMPY_BACKWARD = """
import numpy as np
def passes(inputs, targets, weights, biases=(0, 0, 0, 0), dtype=np.{dtype}):
    i, t, b = (np.array(v, dtype) for v in (inputs, targets, biases))
    W, V = np.array(weights, dtype).reshape(2, 2, 2)
    a = 1 / (1 + np.exp(-(W @ i + b[:2])))
    o = 1 / (1 + np.exp(-(V @ a + b[2:])))
    d_o = (o - t) * o * (1 - o)
    d_h = V.T @ d_o * a * (1 - a)
    return np.outer(d_h, i), np.outer(d_o, a), d_h, d_o
def backward(inputs, targets, weights):
    return passes(inputs, targets, weights)[:2]
def backward_with_biases(inputs, targets, weights, biases):
    return passes(inputs, targets, weights, biases)
"""
TORCH_BACKWARD = """
import torch
def backward_with_biases(inputs, targets, weights, biases, dtype=torch.{dtype}):
    i, t, w, b = (torch.tensor(v, dtype=dtype) for v in (inputs, targets, weights, biases))
    w.requires_grad_(), b.requires_grad_()
    a = torch.sigmoid(w[:4].view(2, 2) @ i + b[:2])
    o = torch.sigmoid(w[4:].view(2, 2) @ a + b[2:])
    (((t - o) ** 2).sum() / 2).backward()
    return w.grad, b.grad
def backward(inputs, targets, weights):
    return backward_with_biases(inputs, targets, weights, [0.0] * 4)[0].requires_grad_()
"""
RIGHT = [  # number, an answer in another style
    ("1.1", """
import numpy as np
def forward(inputs, weights):
    i, (W, V) = np.array(inputs), np.array(weights, np.float32).reshape(2, 2, 2)
    h = W @ i
    a = 1 / (1 + np.exp(-h))
    o = V @ a
    return np.stack([h, a], 1), np.stack([o, 1 / (1 + np.exp(-o))], 1)
"""),
    ("1.1", """
import torch
def forward(inputs, weights):
    found, w = [], [torch.tensor(x, requires_grad=True) for x in weights]
    layer = inputs
    for _ in range(2):
        sums = [w.pop(0) * layer[0] + w.pop(0) * layer[1] for _ in range(2)]
        layer = [s.sigmoid() for s in sums]
        found += [(s, a) for s, a in zip(sums, layer)]
    return found
"""),
    ("1.1", """
forward = lambda i, w: (
    lambda s, m: [x for pair in [(h, s(h)) for h in m(w[:4], i)] + [
        (o, s(o)) for o in m(w[4:], [s(h) for h in m(w[:4], i)])] for x in pair]
)(lambda x: 1 / (1 + exp(-x)), lambda w, x: (w[0] * x[0] + w[1] * x[1], w[2] * x[0] + w[3] * x[1]))
"""),
    ("1.1", "import numpy as np\n" + SOLUTIONS["1.1"].replace(
        "i1, i2 = inputs", "print('here'); i1, i2 = inputs; weights.sort; np.float64(1) / 0"
    ).replace("w1, w2,", "values = list(weights); weights.clear(); weights += values; w1, w2,")),
    ("1.2", "def loss(outputs, targets):\n    import torch\n    t, a = map(torch.tensor, "
            "(targets, outputs))\n    return torch.nn.functional.mse_loss(a, t)"),
    ("1.2", "def loss(a, t):\n    import numpy\n"
            "    return numpy.array([[((numpy.subtract(a, t)) ** 2).mean()]], 'float32')"),
    ("1.2", "class Loss:\n    def __call__(self, a, t):\n"
            "        return (a[0] - t[0]) ** 2 * .5 + .5 * pow(t[1] - a[1], 2)\nloss = Loss()"),
    ("1.3", """
def numerical_gradient(f, weights, eps=1e-5):
    out = []
    for k in range(len(weights)):
        old = weights[k]
        weights[k] = old + eps
        out.append(f(weights))
        weights[k] = old - eps
        out[-1] = (out[-1] - f(weights)) / 2 / eps
        weights[k] = old
    return tuple(out)
best_epsilon = 1e-2
"""),
    ("1.3", """
import numpy as np
def numerical_gradient(f, weights, epsilon=1e-4):
    step = epsilon * np.eye(len(weights))
    return np.array([f(weights + s) - f(weights - s) for s in step]) / (2 * epsilon)
best_epsilon = np.float32(0.03)
"""),
    ("1.3", """
import torch
def numerical_gradient(f, weights, epsilon=1e-5):
    w = torch.tensor(weights, dtype=torch.float64, requires_grad=True)
    def nudged(k, e):
        v = w.clone(); v[k] += e; return torch.tensor(f(v), dtype=torch.float64)
    return [(nudged(k, epsilon) - nudged(k, -epsilon)) / (2 * epsilon) for k in range(len(w))]
best_epsilon = torch.tensor(5e-3)
"""),
    ("1.4", NUMPY_BACKWARD.format(dtype="float64")),
    ("1.4", NUMPY_BACKWARD.format(dtype="float32")),
    ("1.4", TORCH_BACKWARD.format(dtype="float32")),
    ("1.5", NUMPY_BACKWARD.format(dtype="float32") + """
def train(inputs, targets, weights, learning_rate, epochs):
    E = np.empty((epochs, 1))
    for epoch in range(epochs):
        W, V = np.reshape(weights, (2, 2, 2))
        o = 1 / (1 + np.exp(-V @ (1 / (1 + np.exp(-W @ inputs)))))
        E[epoch] = ((o - targets) ** 2).sum() / 2
        weights[:] = weights - learning_rate * np.ravel(backward(inputs, targets, weights))
    return E
"""),
    ("1.5", """
import torch
def train(inputs, targets, weights, learning_rate, epochs):
    i, t = torch.tensor(inputs), torch.tensor(targets)
    w = torch.tensor(weights, requires_grad=True)
    optimizer, losses = torch.optim.SGD([w], lr=learning_rate), []
    for _ in range(epochs):
        optimizer.zero_grad()
        a = torch.sigmoid(w[4:].view(2, 2) @ torch.sigmoid(w[:4].view(2, 2) @ i))
        losses.append(((a - t) ** 2).sum() / 2)
        losses[-1].backward()
        optimizer.step()
    return losses
"""),
    ("1.5", SOLUTIONS["1.1"] + SOLUTIONS["1.2"] + SOLUTIONS["1.3"] + """
def train(inputs, targets, weights, learning_rate, epochs):
    E = lambda w: loss(forward(inputs, w)[5::2], targets)
    losses = []
    while len(losses) < epochs:
        losses.append(E(weights))
        slopes = numerical_gradient(E, weights, 1e-4)
        weights = [w - learning_rate * s for w, s in zip(weights, slopes)]
    return tuple(losses)
"""),
    ("1.6", "right = 'b '\nmistakes = {'d': '1', 'c': 8.0, 'a': 4}"),
    ("1.6", "from grading.handouts import A, B, C, D\nright = B\nmistakes = {A: 4, C: 8, D: 1}"),
    ("1.6", "import numpy as np\nright = 'B'\nmistakes = dict(C=np.int64(8), A=4, D=True)"),
    ("1.7", NUMPY_BACKWARD.format(dtype="float32")),
    ("1.7", TORCH_BACKWARD.format(dtype="float64")),
    ("1.7", TORCH_BACKWARD.format(dtype="float32")),
    ("1.8", "import numpy as np\ndef softmax_cross_entropy_gradient(logits, target):\n"
            "    z = np.array(logits, np.float32); p = np.exp(z - z.max()); p /= p.sum()\n"
            "    return p - np.eye(len(z))[target]"),
    ("1.8", "import torch\ndef softmax_cross_entropy_gradient(logits, target):\n"
            "    z = torch.tensor([logits], requires_grad=True)\n"
            "    torch.nn.functional.cross_entropy(z, torch.tensor([target])).backward()\n"
            "    return z.grad"),
    ("1.8", "def softmax_cross_entropy_gradient(z, t):\n"
            "    d = lambda a, b: 0.0 if b - a > 700 else exp(b - a)\n"
            "    p = [1 / sum(exp(min(700, x - y)) for x in z) for y in z]\n"
            "    return [q - 1 if k == t else q for k, q in enumerate(p)]"),
]  # fmt: skip


@pytest.mark.parametrize("number, source", RIGHT)
def test_right_in_another_style(number, source):
    assert str(judge(number, source)) == f"{number} CORRECT"


@pytest.mark.parametrize("number", ["1.4", "1.7"])
def test_float32_is_never_refused(number):
    """The tolerance has room on any random network."""
    source = NUMPY_BACKWARD.format(dtype="float32")
    assert {judge(number, source).word for _ in range(40)} == {CORRECT}


# --- Wrong answers ------------------------------------------------------------------

WRONG = [  # number, what is changed in the solution (old, new, …), words of the comment
    ("1.1", ["return h1, a_h1, h2, a_h2, o1, a_o1, o2, a_o2", "return a_h1, a_h2, a_o1, a_o2"],
     "returns 4 numbers: a_h1, a_h2, a_o1, a_o2. It should return 8"),
    ("1.1", ["return h1, a_h1, h2, a_h2", "return h1, h2, a_h1, a_h2"],
     "a_h1 and h2 are exchanged"),
    ("1.1", ["w5 * a_h1 + w6 * a_h2", "w5 * a_h1 + w7 * a_h2"], "o1: w7 in place of w6"),
    ("1.1", ["w7 * a_h1 + w8 * a_h2", "w7 * h1 + w8 * h2"],
     "o2: h1 and h2 in place of a_h1 and a_h2"),
    ("1.1", ["exp(-h2)", "exp(h2)"], "a_h2: the minus in the exponent is forgotten"),
    ("1.1", ["w1 * i1 + w2 * i2", "w1 * i1 - w2 * i2"], "h1: the sign of w2·i2 is flipped"),
    ("1.1", ["return ", "found = "], "returns None: is the return missing?"),
    ("1.1", ["return ", "return lambda: "], "returns a function where numbers belong"),
    ("1.1", ["    return h1, a_h1, h2, a_h2, o1, a_o1, o2, a_o2",
             "    for x in (h1, a_h1, h2, a_h2, o1, a_o1, o2, a_o2):\n        yield x"],
     "returns a generator: put list(…) around it"),
    ("1.1", ["return ", "return 1, 2, 3, 4, 5, 6, 7, 8\n    "],
     "the same numbers, whatever the arguments are"),
    ("1.1", ["return ", "return [round(x, 3) for x in (", "o2, a_o2\n", "o2, a_o2)]\n"],
     "rounded to 3 decimals"),
    ("1.1", ["i1, i2 = inputs", "i1, i2 = 1 / 0, 0"],
     "stops with ZeroDivisionError: division by zero, line 3 of the answer"),
    ("1.1", ["(inputs, weights)", "(inputs)"], "stops with TypeError: forward() takes 1"),
    ("1.2", [" / 2", ""], "the half is forgotten"),
    ("1.2", [" ** 2", ""], "the square is forgotten"),
    ("1.2", ["** 2 / 2", "** 2 / 4"], "the mean of E1 and E2, not their sum"),
    ("1.2", ["sum((t - a) ** 2 / 2 for a, t in zip(outputs, targets))",
             "[(t - a) ** 2 / 2 for a, t in zip(outputs, targets)]"],
     "returns 2 numbers: E1, E2. It should return 1"),
    ("1.2", ["(t - a) ** 2 / 2", "abs(t - a) / 2"], "the absolute value in place of the square"),
    ("1.2", ["sum(", "-sum("], "the sign is flipped"),
    ("1.2", ["return ", "return round(", "targets))", "targets)), 2)"], "rounded to 2 decimals"),
    ("1.3", ["0.02", "None"], "numerical_gradient is right; best_epsilon is still missing"),
    ("1.3", ["0.02", "1e-5"], "best_epsilon = 1e-05 is too small"),
    ("1.3", ["0.02", "0.3"], "best_epsilon = 0.3 is too large"),
    ("1.3", ["0.02", "-2"], "give the step itself"),
    ("1.3", ["0.02", "'0,02'"], "give the step itself"),
    ("1.3", ["best_epsilon = 0.02", ""],
     "best_epsilon is not defined: does the answer cell have another name?"),
    ("1.3", ["f(larger) - f(smaller)) / (2 * epsilon", "f(larger) - f(weights)) / (epsilon"],
     "a forward difference"),
    ("1.3", ["/ (2 * epsilon)", "/ 2 * epsilon"], "parentheses around 2ε"),
    ("1.3", ["(f(larger) - f(smaller)) /", "f(larger) - f(smaller) /"],
     "only f(w − ε) is divided by 2ε: parentheses around the difference"),
    ("1.3", ["(2 * epsilon)", "epsilon"], "divided by ε, not by 2ε"),
    ("1.3", ["larger, smaller = list(weights), list(weights)",
             "larger, smaller = weights, list(weights)"],
     "a weight that has moved up does not move back"),
    ("1.3", ["list(weights), list(weights)", "weights, weights"], "f gets the same weights twice"),
    ("1.3", ["gradient = []", "gradient, epsilon = [], 1e-5"], "ε is not used"),
    ("1.3", ["return gradient", "weights[0] += epsilon\n    return gradient"],
     "the list of weights is changed"),
    ("1.3", ["f(larger)", "f(larger[k])"], "f is called with 0.6: it takes the whole list"),
    ("1.3", ["range(len(weights))", "range(8)"], "IndexError"),
    ("1.4", ["* a_h2 * (1 - a_h2)", "* a_h1 * (1 - a_h1)"],
     "∂E/∂w3 and ∂E/∂w4: a_h1 in place of a_h2"),
    ("1.4", ["delta_h2 * i1", "delta_h2 * i2"], "∂E/∂w3: i2 in place of i1"),
    ("1.4", ["a_o1 - t1", "t1 - a_o1", "a_o2 - t2", "t2 - a_o2"],
     "all 8 gradients: the sign is flipped"),
    ("1.4", ["delta_o1 * w5 + delta_o2 * w7", "delta_o1 * w5 + delta_o2 * w6",
             "delta_o1 * w6 + delta_o2 * w8", "delta_o1 * w7 + delta_o2 * w8"],
     "δ_h1 and δ_h2: w6 and w7 are exchanged"),
    ("1.4", [" * a_h1 * (1 - a_h1)", ""], "δ_h1: the slope a_h1·(1 − a_h1) is forgotten"),
    ("1.4", [" * a_o1 * (1 - a_o1)", "", " * a_o2 * (1 - a_o2)", ""],
     "δ_o1: the slope a_o1·(1 − a_o1) is forgotten; and likewise in δ_o2"),
    ("1.4", ["(delta_o1 * w5 + delta_o2 * w7)", "delta_o1 * w5 + delta_o2 * w7"],
     "the parentheses around"),
    ("1.4", ["sigmoid(w5 * a_h1 + w6 * a_h2)", "sigmoid(w5 * a_h1 + w7 * a_h2)"],
     "o1: w7 in place of w6"),
    ("1.4", ["delta_o1 * a_h1, delta_o1 * a_h2", "delta_o1 * w5, delta_o1 * w6"],
     "∂E/∂w5: w5 in place of a_h1; ∂E/∂w6: w6 in place of a_h2"),
    ("1.4", ["delta_h1 * i2, delta_h2 * i1", "delta_h2 * i1, delta_h1 * i2"],
     "∂E/∂w2 and ∂E/∂w3 are exchanged"),
    ("1.4", ["return hidden + ", "return "], "returns 4 numbers: ∂E/∂w5, ∂E/∂w6, ∂E/∂w7, ∂E/∂w8"),
    ("1.4", ["return hidden + [", "return [delta_o1, delta_o2, delta_h1, delta_h2]\n    ["],
     "returns 4 numbers: δ_o1, δ_o2, δ_h1, δ_h2. It should return 8"),
    ("1.4", ["return hidden + [delta_o1 * a_h1,", "return hidden + [delta_h1,"],
     "∂E/∂w5: this is δ_h1"),
    ("1.4", ["a_o1 = sigmoid(w5", "a_o1 = sigmoid(o1 := w5", " * a_o1 * (1 - a_o1)",
             " * o1 * (1 - o1)"], "δ_o1: o1·(1 − o1) in place of a_o1·(1 − a_o1). "),
    ("1.4", ["a_o1 = sigmoid(w5", "a_o1 = sigmoid(o1 := w5", " * a_o1 * (1 - a_o1)",
             " * o1 * (1 - o1)", "a_o2 = sigmoid(w7", "a_o2 = sigmoid(o2 := w7",
             " * a_o2 * (1 - a_o2)", " * o2 * (1 - o2)"],
     "δ_o1: o1·(1 − o1) in place of a_o1·(1 − a_o1); and likewise in δ_o2"),
    ("1.4", ["return hidden", "return [0.0] * 4"], "∂E/∂w1 should be"),
    ("1.5", ["range(epochs)", "range(epochs + 1)"], "E after the last one is too many"),
    ("1.5", ["range(epochs)", "range(epochs - 1)"], "the last one is missing"),
    ("1.5", ["return losses", "return losses[1:]"], "the first one is missing"),
    ("1.5", ["return losses", "return losses[-1]"], "returns 1 number. It should return 6"),
    ("1.5", ["        losses.append(E)\n", "", "zip(weights, gradients)]",
             "zip(weights, gradients)]\n        losses.append(step(inputs, targets, weights)[0])"],
     "E of the given weights comes first"),
    ("1.5", ["w - learning_rate", "w + learning_rate"], "is added, not subtracted"),
    ("1.5", ["learning_rate * gradient", "gradient"], "the learning rate is forgotten"),
    ("1.5", ["weights = [w", "unused = [w"], "or the weights are not updated"),
    ("1.5", ["losses = []", "losses, E = [], step(inputs, targets, weights)[0]",
             "        E, gradients =", "        _, gradients ="],
     "E is the same in each epoch: it is not calculated again after the update"),
    ("1.5", ["zip(weights, gradients)]", "zip(weights, gradients[:7])] + weights[7:]"],
     "w8 is never updated"),
    ("1.5", ["zip(weights, gradients)]",
             "zip(weights, gradients[:2] + [0] + gradients[3:])]"], "w3 is never updated"),
    ("1.5", ["losses.append(E)", "losses.append(2 * E)"], "E is twice the right value"),
    ("1.5", ["weights = [w - learning_rate * gradient for w, gradient in zip(weights, gradients)]",
             "\n        for k in range(8):\n            weights[k] -= "
             "learning_rate * step(inputs, targets, weights)[1][k]"],
     "a weight is updated before all gradients are calculated"),
    ("1.5", ["        weights = [", "        weights = weights[:4] + [", "zip(weights, gradients)]",
             "list(zip(weights, gradients))[4:]]"],
     "only w5 to w8 are updated"),
    ("1.6", ['"A": 4', '"A": 5'], "3 of 4 are right"),
    ("1.6", ['"B"', '"A"', '"A": 4', '"B": 4'], "2 of 4 are right"),
    ("1.6", ['"B"', '"A"'], "A is called right, and has a mistake"),
    ("1.6", ['right = "B"', "right = None"], "right is still missing"),
    ("1.6", [', "D": 1', ""], "mistakes has 2 functions, there are 3 wrong ones"),
    ("1.6", ['"D": 1', '"E": 1'], "mistakes has 'E'"),
    ("1.6", ['"D": 1', '"D": 77'], "give the number of a statement, 1 to 9"),
    ("1.6", ['"D": 1', '"D": "t1"'], "give the number of a statement"),
    ("1.6", ['"A": 4', '"B": 0, "A": 4'], "leave the right function out of mistakes"),
    ("1.6", ['"A": 4', '"A": 4, "b": None'], "leave the right function out of mistakes"),
    ("1.6", ["{", "[{", "}", "}]"], "mistakes should be a dict"),
    ("1.6", ['"B"', "[1, 2]"], "right is [1, 2]"),
    ("1.7", [" + b_h1", ""], "b_h1 is not added"),
    ("1.7", [" + b_h1", "", " + b_h2", "", " + b_o1", "", " + b_o2", ""],
     "the biases are not added"),
    ("1.7", ["return of_weights, of_biases", "return of_weights"], "It should return 12"),
    ("1.7", ["[delta_h1, delta_h2, delta_o1, delta_o2]", "[delta_h1 + delta_h2] * 2 + "
             "[delta_o1, delta_o2]"], "the sum of the two, as for a shared bias"),
    ("1.7", ["[delta_h1, delta_h2, delta_o1, delta_o2]", "[delta_h1 * b_h1, delta_h2 * b_h2, "
             "delta_o1 * b_o1, delta_o2 * b_o2]"], "δ is multiplied with the bias"),
    ("1.7", ["[delta_h1, delta_h2, delta_o1, delta_o2]", "[1, 1, 1, 1]"],
     "∂E/∂b: 1 in place of δ"),
    ("1.7", ["[delta_h1, delta_h2, delta_o1", "[delta_h1, 1, delta_o1"],
     "∂E/∂b_h2: 1 in place of δ_h2"),
    ("1.7", ["return of_weights, of_biases", "if any(biases):\n        of_weights, _ = "
             "backward_with_biases(inputs, targets, weights, [0] * 4)\n"
             "    return of_weights, of_biases"],
     "the gradients of the weights are those of the network without biases"),
    ("1.7", ["return of_weights, of_biases", "return of_biases, of_weights"],
     "right numbers in another order"),
    ("1.7", ["delta_h1, delta_h2, delta_o1", "delta_h1, delta_o1, delta_h2"], "are exchanged"),
    ("1.7", ["* a_h2 * (1 - a_h2)", "* a_h1 * (1 - a_h1)"], "δ_h2: a_h1 in place of a_h2"),
    ("1.8", ["exp(z - largest)", "exp(z)"], "exp overflows or is 0 for large ones"),
    ("1.8", ["largest = max(logits)", "largest = 500"], "exp overflows or is 0 for large ones"),
    ("1.8", ["gradient[target] -= 1", "pass"], "nothing is subtracted at the target"),
    ("1.8", ["gradient[target]", "gradient[target - 1]"], "the target is counted from 1"),
    ("1.8", ["return gradient", "return [-g for g in gradient]"], "the sign is flipped"),
    ("1.8", ["return gradient", "return [g / len(gradient) for g in gradient]"],
     "divided by the number of logits"),
    ("1.8", ["return gradient", "return -log(powers[target] / sum(powers))"],
     "returns 1 number: the loss itself. It should return 3"),
    ("1.8", ["return gradient", "return [g / log(2) for g in gradient]"], "not log2"),
    ("1.8", ["power / sum(powers) for", "power for"], "is not divided by the sum"),
]  # fmt: skip


@pytest.mark.parametrize("number, changes, words", WRONG)
def test_wrong_answers_are_told_why(number, changes, words):
    source = SOLUTIONS[number]
    for old, new in zip(changes[::2], changes[1::2]):
        assert old in source
        source = source.replace(old, new)
    found = judge(number, source)
    assert found.word == INCORRECT and words in found.comment
    assert judge(number, source) == found, "the same answer gets the same comment"


@pytest.mark.parametrize("number", NUMBERS)
def test_enough_wrong_answers(number):
    assert sum(wrong == number for wrong, *_ in WRONG) >= 5
    assert sum(right == number for right, _ in RIGHT) >= 2


BODIES = [  # whatever these return or raise
    "return float('nan'), float('inf')",
    "return 'abc'",
    "return ['1', '2', '3', '4', '5', '6', '7', '8']",
    "return {1: 2}",
    "return {1, 2}",
    "return [[1, 2], [3, None]]",
    "return 1j",
    "return object()",
    "return 10 ** 400",
    "return []",
    "a = []; a.append(a); return a",
    "return type('E', (), {'__float__': lambda s: 1 / 0})()",
    "return type('E', (), {'__iter__': lambda s: iter(int, 1)})()",
    "return type('E', (), {'detach': lambda s: s})()",
    "import itertools; return itertools.count()",
    "import numpy; return numpy.zeros((1000, 1000))",
    "import numpy; return numpy.array(['a', None], object)",
    "import torch; return torch.zeros(3, dtype=torch.complex64)",
    "return (yield 1)",
    "raise ValueError",
    "raise SystemExit(0)",
    "raise KeyboardInterrupt",
    "raise type('E', (Exception,), {'__str__': lambda s: 1 / 0})()",
    "raise type('E', (BaseException,), {'__str__': lambda s: exit()})()",
    "raise SyntaxError('x' * 10 ** 6)",
    "return answer(*arguments)",
    "import sys; sys.stdout.write('x' * 10 ** 6); return print",
    "for a in arguments: getattr(a, 'clear', int)()\n    return 0",
    "return undefined_name",
    "return lambda: 1",
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("number", NAMES)
def test_nothing_makes_a_check_fail(number, body, capsys):
    source = f"def answer(*arguments):\n    {body}\n{NAMES[number]} = answer\nbest_epsilon = 0.02"
    found = judge(number, source)
    assert found.word == INCORRECT and found.comment
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("value", ["None", "5", "'text'", "[]", "int", "object()", "print", "len"])
@pytest.mark.parametrize("number", NUMBERS)
def test_something_else_under_the_name(number, value):
    names = {"1.6": "right = mistakes"}.get(number, NAMES.get(number))
    found = judge(number, f"best_epsilon = 0.02\n{names} = {value}")
    assert found.word == (NOT_DONE if number == "1.6" and value == "None" else INCORRECT)


def test_an_unknown_exercise():
    for number in ("1.9", "x", 1.4, None):
        with pytest.raises(ValueError, match="no exercise"):
            verdict(number, {})


def test_remembered_numbers_do_not_pass():
    """Right for the networks that are always the same, and nothing else."""
    known = networks.random_networks(lesson1.HOW_MANY, lesson1.SEED)
    values = networks.right_numbers(known)
    table = {
        tuple(network.weights): [values[name][k] for name in networks.WEIGHTS]
        for k, network in enumerate(known)
    }
    found = verdict("1.4", {"backward": lambda i, t, w: table.get(tuple(w), [0.1] * 8)})
    assert found.word == INCORRECT and "∂E/∂w1 should be" in found.comment


@pytest.mark.parametrize("number", ["1.4", "1.7"])
def test_what_is_handed_out_is_no_answer(number):
    """One of the four functions of 1.6 is right, but it is not the student's."""
    for letter, function in handouts.FUNCTIONS.items():
        found = verdict(number, {NAMES[number]: lambda i, t, w, b=None, f=function: f(i, t, w)})
        assert found.word == INCORRECT and f"it calls {letter}" in found.comment
    assert len(function((1, 2), (0, 1), [0.1] * 8)) == 8  # outside a check it may be called


# --- The oracle and the catalogue ---------------------------------------------------


def test_the_oracle_has_mazur_s_numbers():
    """As his text prints them."""
    found = networks.right_numbers([networks.MAZUR])
    published = {
        "h1": 0.3775, "a_h1": 0.593269992, "a_h2": 0.596884378, "o1": 1.105905967,
        "a_o1": 0.75136507, "a_o2": 0.772928465, "E1": 0.274811083, "E2": 0.023560026,
        "E_total": 0.298371109, "δ_o1": 0.138498562, "∂E/∂w5": 0.082167041,
        "∂E/∂w1": 0.000438568,
    }  # fmt: skip
    for name, number in published.items():
        assert found[name][0] == pytest.approx(number, abs=6e-10)


def test_the_oracle_is_that_of_the_lesson():
    known = networks.random_networks(50)
    values = networks.right_numbers(known)
    inputs, targets, weights, _ = (np.array(column) for column in zip(*known))
    given = bp.named_values(inputs, targets, weights)
    for symbol, right in bp.spreadsheet_row(given).items():
        np.testing.assert_allclose(values[symbol.name], right, 1e-12)


def test_recalculating_without_a_mistake_changes_nothing():
    values = networks.right_numbers(networks.random_networks(20, biases=True))
    for name, right in diagnosis.recalculate(values, {}).items():
        np.testing.assert_allclose(values[name], right, 1e-11)


KNOWN = networks.right_numbers(networks.random_networks(lesson1.HOW_MANY, lesson1.SEED))


@pytest.mark.parametrize("name", networks.FORWARD + networks.WEIGHTS)
def test_every_mistake_of_the_catalogue_is_refused_and_named(name):
    symbol = diagnosis.sympy.Symbol(name)
    for what, formula in diagnosis.catalogue(symbol):
        symbols, function = diagnosis.compile_formula(formula)
        with np.errstate(all="ignore"):
            (found,) = function(*(KNOWN[s.name] for s in symbols))
        assert not diagnosis.fits(found, KNOWN[name]), what
        if np.isfinite(found).all():
            assert what in diagnosis.causes(name, found, KNOWN)


def test_a_mistake_in_a_delta_or_in_the_forward_pass_is_found():
    values = networks.right_numbers(networks.random_networks(6, 1, biases=True))
    names = networks.WEIGHTS + networks.BIASES
    right = np.array([values[name] for name in names]).T
    mistakes = diagnosis._mistakes_in_steps()
    assert len(mistakes) > 600
    for what, changed in mistakes:
        with np.errstate(all="ignore"):
            wrong = diagnosis.recalculate(values, changed)
        found = np.array([wrong[name] for name in names]).T
        assert not diagnosis.fits(found, right), what
    for what, changed in mistakes[::25]:
        wrong = diagnosis.recalculate(values, changed)
        found = np.array([wrong[name] for name in names]).T
        if np.isfinite(found).all():
            assert diagnosis.explain_gradients(names, found, values), what


def test_the_updates_in_a_wrong_order_can_be_told_apart():
    run = networks.random_networks(1, lesson1.SEED)[0], 1.0, 6
    found = [lesson1.slips.losses(*run)]
    found += [lesson1.slips.losses(*run, step) for step in lesson1.slips.UPDATES.values()]
    same = {
        (k, j) for k, a in enumerate(found) for j, b in enumerate(found[:k]) if diagnosis.fits(a, b)
    }
    forgotten = 1 + [*lesson1.slips.UPDATES].index("the learning rate is forgotten")
    assert same == {(forgotten, 0)}  # with η = 1; the other runs of the check have another


# --- What is handed out --------------------------------------------------------------


def solution_1_3():
    namespace = {}
    exec(SOLUTIONS["1.3"], namespace)
    return namespace["numerical_gradient"]


def test_the_best_epsilon_is_in_the_plot():
    errors = handouts.steps_and_errors(solution_1_3())
    low, high = lesson1.BEST_EPSILON
    single = errors["E in 32 bits"]
    good = single[single <= 10 * single.min()].index
    assert good.min() > 5e-4 and low < single.idxmin() < high
    assert single[(single.index >= low) & (single.index <= high)].max() <= 10 * single.min()
    double = errors["E in 64 bits"]
    assert not low <= double.idxmin() <= high, "the default is no answer"
    assert double.min() < 1e-11


def test_the_plot_is_empty_for_whatever_is_no_gradient():
    for function in (lambda *a: None, lambda *a: [1], lambda *a: 1 / 0, lambda: 1):
        assert handouts.steps_and_errors(function).isna().all(axis=None)


def test_one_of_the_four_functions_is_right():
    tried = networks.random_networks(20)
    for letter, number in handouts.solution().items():
        function = handouts.FUNCTIONS[letter]
        found = np.array([function(n.inputs, n.targets, n.weights) for n in tried])
        right = bp.autograd_gradients(*(np.array(column) for column in list(zip(*tried))[:3]))
        assert np.allclose(found, right, 1e-10) == (number is None)


def test_no_majority_shows_the_right_function():
    """In some gradient, no two of the four agree but for those that are wrong elsewhere."""
    (network,) = networks.random_networks(1)
    found = np.array([f(*network[:3]) for f in handouts.FUNCTIONS.values()])
    assert len(set(found[:, 0].round(12))) == 4


def test_the_loss_does_not_show_the_mistakes(monkeypatch):
    right = handouts.training_losses()
    assert (right.max(axis=1) / right.min(axis=1)).max() < 1.1
    for number, (what, changed) in handouts._MISTAKES.items():
        monkeypatch.setattr(handouts, "_formulas", lambda letter, c=changed: handouts._RIGHT | c)
        run = handouts.training_losses()["A"]
        assert (run.diff().dropna() < 0).all(), what
        assert abs(run - right["B"]).max() < 2e-4, (number, what)


def test_no_two_statements_say_the_same():
    (network,) = networks.random_networks(1)
    values = networks.right_numbers([network])
    found = [diagnosis.recalculate(values, changed) for _, changed in handouts._MISTAKES.values()]
    numbers = {tuple(float(f"{f[w][0]:.6g}") for w in networks.WEIGHTS) for f in found}
    assert len(numbers) == len(handouts.STATEMENTS)


# --- In a notebook: `check` ----------------------------------------------------------

PLAY = """
import sys
import matplotlib
matplotlib.use("agg")
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.showtraceback = shell.showsyntaxerror = lambda *a, **k: None
for cell in eval(sys.stdin.read()):
    shell.run_cell(cell)
"""
IMPORTS = next(c.source for c in NOTEBOOK.cells if "import check" in c.source)


def play(*sources):
    """Run cells in IPython; the lines that they print."""
    done = subprocess.run(
        [sys.executable, "-c", PLAY],
        input=repr(sources),
        cwd=ROOT,
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    assert "Error in callback" not in done.stdout + done.stderr
    return done.stdout.splitlines()


def answer(number, source=None):
    return f"# Exercise {number}\n{SOLUTIONS[number] if source is None else source}"


def test_a_check_sees_how_the_answer_cell_ended():
    check = 'check("1.2")'
    assert play(
        IMPORTS, check, answer("1.2"), check,
        answer("1.2", "def loss(outputs, targets)\n    return 0"), check,
        answer("1.2", "def loss(outputs, targets):\n    return 1\nloss.nothing"), check,
        answer("1.2", "def loss(outputs, targets):\n    print('!')\n    return 1"), check,
        answer("1.2"), check,
    ) == [
        "1.2 NOT DONE", "1.2 CORRECT",
        "1.2 INCORRECT: the answer cell stops with SyntaxError: expected ':', line 2",
        "1.2 INCORRECT: the answer cell stops with AttributeError: "
        "'function' object has no attribute 'nothing'",
        "1.2 INCORRECT: the same numbers, whatever the arguments are. E_total should be 1.885, "
        "found 1 in loss((1.5, 1.0), (-0.4, 0.6))",
        "1.2 CORRECT",
    ]  # fmt: skip


def test_a_misspelt_name_is_no_stub():
    misspelt = SOLUTIONS["1.1"].replace("def forward", "def foward")
    difference = SOLUTIONS["1.3"].replace("def num", "def mum").replace("0.02", "None")
    upper = "Right = 'B'\nMistakes = {'A': 4}"
    cells = []
    for number, source in (("1.1", misspelt), ("1.3", difference), ("1.6", upper)):
        cells += [STUBS[number], f"check({number!r})", answer(number, source), f"check({number!r})"]
    question = "not defined: does the answer cell have another name?"
    assert play(IMPORTS, answer("1.1", misspelt), 'check("1.1")', *cells) == [
        f"1.1 INCORRECT: forward is {question}",
        "1.1 NOT DONE", f"1.1 INCORRECT: forward is {question}",
        "1.3 NOT DONE", f"1.3 INCORRECT: numerical_gradient is {question}",
        "1.6 NOT DONE", f"1.6 INCORRECT: right, mistakes are {question}",
    ]  # fmt: skip


def test_a_misspelt_name_when_graded():
    """The grader knows no stub of it, but which names the cell has defined."""
    cells = [
        notebooks.Cell("from math import exp"),
        notebooks.Cell(SOLUTIONS["1.1"].replace("def forward", "def foward"), "1.1", STUBS["1.1"]),
    ]
    said, _ = isolation.run("grading.attempt.attempt", "1.1", cells, seconds=60)
    assert said[-1]["word"] == INCORRECT
    assert said[-1]["comment"].startswith("forward is not defined")


def test_a_check_sees_what_would_not_be_graded():
    """A helper may stand in any answer cell, not in one that the student added."""
    squares = "def loss(outputs, targets):\n    return half(outputs[0] - targets[0]) + "
    squares += "half(outputs[1] - targets[1])"
    half = "def half(x):\n    return x * x / 2"
    assert play(
        IMPORTS, half, answer("1.2", squares), 'check("1.2")', answer("1.1"), 'check("1.1")',
        answer("1.4", half), 'check("1.2")',
    ) == [
        "1.2 INCORRECT: right, but half stands in a cell that you added, and only answer cells "
        "are graded: copy it into the answer cell",
        "1.1 CORRECT", "1.2 CORRECT",
    ]  # fmt: skip


def test_the_whole_notebook_with_the_solutions():
    sources = []
    for cell in NOTEBOOK.cells:
        if cell.cell_type == "code" and "Set-up" not in cell.source:
            number = cell.metadata.get("exercise")
            tagged = "answer" in cell.metadata.get("tags", ())
            sources.append(answer(number) if tagged else cell.source)
    said = play(*sources)
    assert [line for line in said if re.match(r"1\.\d [A-Z]", line)] == [
        f"{number} CORRECT" for number in NUMBERS
    ]


def test_mistakes_are_exceptions_that_answers_may_not_hide():
    """f of exercise 1.3 refuses what is no list of weights."""
    f, _ = lesson1.cubic((1, 2), (3,))
    assert f(torch.tensor([1.0, 2.0])) == f([1, 2]) == 1 + 16 + 6
    for wrong in (1.0, [1.0], [1.0, 2.0, 3.0]):
        with pytest.raises(Mistake):
            f(wrong)
