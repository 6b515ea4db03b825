# Wrong answers to the exercises, written by somebody who had not seen the checks.

# %% 1.1 a
# Exercise 1.1
# what: w2 and w3 swapped: right only for w2*i2 = w3*i2 and so on (weights read column by column)
def forward(inputs, weights):
    i1, i2 = inputs
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    sig = lambda x: 1 / (1 + exp(-x))
    h1 = w1 * i1 + w3 * i2
    h2 = w2 * i1 + w4 * i2
    a_h1, a_h2 = sig(h1), sig(h2)
    o1 = w5 * a_h1 + w7 * a_h2
    o2 = w6 * a_h1 + w8 * a_h2
    return h1, a_h1, h2, a_h2, o1, sig(o1), o2, sig(o2)


# %% 1.1 b
# Exercise 1.1
# what: only the four activations are returned, as in the lesson
def forward(inputs, weights):
    (i1, i2), (w1, w2, w3, w4, w5, w6, w7, w8) = inputs, weights
    a_h1 = 1 / (1 + exp(-(w1 * i1 + w2 * i2)))
    a_h2 = 1 / (1 + exp(-(w3 * i1 + w4 * i2)))
    a_o1 = 1 / (1 + exp(-(w5 * a_h1 + w6 * a_h2)))
    a_o2 = 1 / (1 + exp(-(w7 * a_h1 + w8 * a_h2)))
    return a_h1, a_h2, a_o1, a_o2


# %% 1.1 c
# Exercise 1.1
# what: order of the results: all sums first, then all activations
def forward(inputs, weights):
    sigmoid = lambda x: 1 / (1 + exp(-x))
    i1, i2 = inputs
    w = weights
    h1, h2 = w[0] * i1 + w[1] * i2, w[2] * i1 + w[3] * i2
    a_h1, a_h2 = sigmoid(h1), sigmoid(h2)
    o1, o2 = w[4] * a_h1 + w[5] * a_h2, w[6] * a_h1 + w[7] * a_h2
    return h1, h2, a_h1, a_h2, o1, o2, sigmoid(o1), sigmoid(o2)


# %% 1.1 d
# Exercise 1.1
# what: the output neurons get h instead of a_h
def forward(inputs, weights):
    i1, i2 = inputs
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    h1 = w1 * i1 + w2 * i2
    a_h1 = 1 / (1 + exp(-h1))
    h2 = w3 * i1 + w4 * i2
    a_h2 = 1 / (1 + exp(-h2))
    o1 = w5 * h1 + w6 * h2
    a_o1 = 1 / (1 + exp(-o1))
    o2 = w7 * h1 + w8 * h2
    a_o2 = 1 / (1 + exp(-o2))
    return [h1, a_h1, h2, a_h2, o1, a_o1, o2, a_o2]


# %% 1.1 e
# Exercise 1.1
# what: sign forgotten in the exponent: 1/(1 + exp(h))
def sigma(h):
    return 1 / (1 + exp(h))


def forward(inputs, weights):
    i1, i2 = inputs
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    h1 = w1 * i1 + w2 * i2
    h2 = w3 * i1 + w4 * i2
    o1 = w5 * sigma(h1) + w6 * sigma(h2)
    o2 = w7 * sigma(h1) + w8 * sigma(h2)
    return h1, sigma(h1), h2, sigma(h2), o1, sigma(o1), o2, sigma(o2)


# %% 1.1 f
# Exercise 1.1
# what: prints the numbers and returns None
def forward(inputs, weights):
    i1, i2 = inputs
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    h1 = w1 * i1 + w2 * i2
    a_h1 = 1 / (1 + exp(-h1))
    h2 = w3 * i1 + w4 * i2
    a_h2 = 1 / (1 + exp(-h2))
    o1 = w5 * a_h1 + w6 * a_h2
    a_o1 = 1 / (1 + exp(-o1))
    o2 = w7 * a_h1 + w8 * a_h2
    a_o2 = 1 / (1 + exp(-o2))
    print(h1, a_h1, h2, a_h2, o1, a_o1, o2, a_o2)


# %% 1.1 g
# Exercise 1.1
# what: everything rounded to 3 digits
def forward(inputs, weights):
    i1, i2 = inputs
    w = weights
    f = lambda x: 1 / (1 + exp(-x))
    h1 = round(w[0] * i1 + w[1] * i2, 3)
    h2 = round(w[2] * i1 + w[3] * i2, 3)
    a1, a2 = round(f(h1), 3), round(f(h2), 3)
    o1, o2 = round(w[4] * a1 + w[5] * a2, 3), round(w[6] * a1 + w[7] * a2, 3)
    return h1, a1, h2, a2, o1, round(f(o1), 3), o2, round(f(o2), 3)


# %% 1.1 h
# Exercise 1.1
# what: a_o2 is calculated from o1 (copy and paste)
def forward(inputs, weights):
    i1, i2 = inputs
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    h1 = w1 * i1 + w2 * i2
    a_h1 = 1 / (1 + exp(-h1))
    h2 = w3 * i1 + w4 * i2
    a_h2 = 1 / (1 + exp(-h2))
    o1 = w5 * a_h1 + w6 * a_h2
    a_o1 = 1 / (1 + exp(-o1))
    o2 = w7 * a_h1 + w8 * a_h2
    a_o2 = 1 / (1 + exp(-o1))
    return h1, a_h1, h2, a_h2, o1, a_o1, o2, a_o2


# %% 1.1 i
# Exercise 1.1
# what: numbers of the lesson's example copied
def forward(inputs, weights):
    return (0.0275, 0.506874566764, 0.0425, 0.510623400996,
            0.432530357154, 0.606477732207, 0.534280153930, 0.630480835451)


# %% 1.1 k
# Exercise 1.1
# what: uses np without an import (imported in a scratch cell only): NameError
def forward(inputs, weights):
    sigmoid = lambda x: 1 / (1 + np.exp(-x))
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    i1, i2 = inputs
    h1, h2 = w1 * i1 + w2 * i2, w3 * i1 + w4 * i2
    a1, a2 = sigmoid(h1), sigmoid(h2)
    o1, o2 = w5 * a1 + w6 * a2, w7 * a1 + w8 * a2
    return h1, a1, h2, a2, o1, sigmoid(o1), o2, sigmoid(o2)


# %% 1.1 l
# Exercise 1.1
# what: a dict with the right numbers, not a sequence
def forward(inputs, weights):
    i1, i2 = inputs
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    r = {}
    r["h1"] = w1 * i1 + w2 * i2
    r["a_h1"] = 1 / (1 + exp(-r["h1"]))
    r["h2"] = w3 * i1 + w4 * i2
    r["a_h2"] = 1 / (1 + exp(-r["h2"]))
    r["o1"] = w5 * r["a_h1"] + w6 * r["a_h2"]
    r["a_o1"] = 1 / (1 + exp(-r["o1"]))
    r["o2"] = w7 * r["a_h1"] + w8 * r["a_h2"]
    r["a_o2"] = 1 / (1 + exp(-r["o2"]))
    return r


# %% 1.1 m
# Exercise 1.1
# what: precedence: 1 / 1 + exp(-h), brackets forgotten
def forward(inputs, weights):
    i1, i2 = inputs
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    h1 = w1 * i1 + w2 * i2
    a_h1 = 1 / 1 + exp(-h1)
    h2 = w3 * i1 + w4 * i2
    a_h2 = 1 / 1 + exp(-h2)
    o1 = w5 * a_h1 + w6 * a_h2
    a_o1 = 1 / 1 + exp(-o1)
    o2 = w7 * a_h1 + w8 * a_h2
    a_o2 = 1 / 1 + exp(-o2)
    return h1, a_h1, h2, a_h2, o1, a_o1, o2, a_o2


# %% 1.1 n
# Exercise 1.1
# what: ReLU-like clamp: sigmoid of abs(h), right whenever all weights and inputs are positive
def forward(inputs, weights):
    i1, i2 = inputs
    w1, w2, w3, w4, w5, w6, w7, w8 = weights

    def sigmoid(x):
        x = abs(x)
        return 1 / (1 + exp(-x))

    h1 = w1 * i1 + w2 * i2
    h2 = w3 * i1 + w4 * i2
    o1 = w5 * sigmoid(h1) + w6 * sigmoid(h2)
    o2 = w7 * sigmoid(h1) + w8 * sigmoid(h2)
    return h1, sigmoid(h1), h2, sigmoid(h2), o1, sigmoid(o1), o2, sigmoid(o2)


# %% 1.2 a
# Exercise 1.2
# what: the half is forgotten
def loss(outputs, targets):
    return sum((t - a) ** 2 for a, t in zip(outputs, targets))


# %% 1.2 b
# Exercise 1.2
# what: precedence: only the first square is halved
def loss(outputs, targets):
    a1, a2 = outputs
    t1, t2 = targets
    return 0.5 * (t1 - a1) ** 2 + (t2 - a2) ** 2


# %% 1.2 c
# Exercise 1.2
# what: the errors are added before squaring
def loss(outputs, targets):
    return 0.5 * ((targets[0] - outputs[0]) + (targets[1] - outputs[1])) ** 2


# %% 1.2 d
# Exercise 1.2
# what: two numbers E1 and E2 instead of their sum
def loss(outputs, targets):
    return [0.5 * (t - a) ** 2 for a, t in zip(outputs, targets)]


# %% 1.2 e
# Exercise 1.2
# what: mean over the outputs of the halved squares: a quarter
import numpy as np


def loss(outputs, targets):
    return np.mean(0.5 * (np.array(targets) - np.array(outputs)) ** 2)


# %% 1.2 f
# Exercise 1.2
# what: ^ is not the power in Python: TypeError
def loss(outputs, targets):
    return 1 / 2 * (targets[0] - outputs[0]) ^ 2 + 1 / 2 * (targets[1] - outputs[1]) ^ 2


# %% 1.2 g
# Exercise 1.2
# what: t2 replaced by t1: right for the lesson's targets (0.5, 0.5) only
def loss(outputs, targets):
    t1 = targets[0]
    return ((t1 - outputs[0]) ** 2 + (t1 - outputs[1]) ** 2) / 2


# %% 1.2 h
# Exercise 1.2
# what: rounded to 3 digits
def loss(outputs, targets):
    return round(sum((t - a) ** 2 / 2 for a, t in zip(outputs, targets)), 3)


# %% 1.2 i
# Exercise 1.2
# what: the length of the error vector: square root taken
import math


def loss(outputs, targets):
    return 0.5 * math.dist(outputs, targets)


# %% 1.2 j
# Exercise 1.2
# what: E is calculated but not returned
def loss(outputs, targets):
    E = 0
    for a, t in zip(outputs, targets):
        E += (t - a) ** 2 / 2
    print("E =", E)


# %% 1.2 k
# Exercise 1.2
# what: global accumulator: right in the first call only
total = 0.0


def loss(outputs, targets):
    global total
    for a, t in zip(outputs, targets):
        total += (t - a) ** 2 / 2
    return total


# %% 1.2 l
# Exercise 1.2
# what: only positive errors are counted (max with 0)
def loss(outputs, targets):
    return sum(max(0, a - t) ** 2 / 2 for a, t in zip(outputs, targets))


# %% 1.2 m
# Exercise 1.2
# what: returns inside the loop: E1 only
def loss(outputs, targets):
    E = 0
    for k in range(2):
        E += 0.5 * (targets[k] - outputs[k]) ** 2
        return E


# %% 1.2 n
# Exercise 1.2
# what: absolute errors instead of squares
def loss(outputs, targets):
    return (abs(targets[0] - outputs[0]) + abs(targets[1] - outputs[1])) / 2


# %% 1.3 a
# Exercise 1.3
# what: forward difference instead of central
def numerical_gradient(f, weights, epsilon=1e-5):
    base = f(list(weights))
    result = []
    for k in range(len(weights)):
        w = list(weights)
        w[k] += epsilon
        result.append((f(w) - base) / epsilon)
    return result


best_epsilon = 0.01


# %% 1.3 b
# Exercise 1.3
# what: the given list is changed and stays at w - ε
def numerical_gradient(f, weights, epsilon=1e-5):
    slopes = []
    for k in range(len(weights)):
        weights[k] += epsilon
        up = f(weights)
        weights[k] -= 2 * epsilon
        down = f(weights)
        slopes.append((up - down) / (2 * epsilon))
    return slopes


best_epsilon = 0.01


# %% 1.3 c
# Exercise 1.3
# what: divided by ε, not by 2ε
def numerical_gradient(f, weights, epsilon=1e-5):
    out = []
    for k in range(len(weights)):
        up, down = weights[:], weights[:]
        up[k] += epsilon
        down[k] -= epsilon
        out.append((f(up) - f(down)) / epsilon)
    return out


best_epsilon = 1e-2


# %% 1.3 d
# Exercise 1.3
# what: always eight weights
def numerical_gradient(f, weights, epsilon=1e-5):
    slopes = []
    for k in range(8):
        larger, smaller = list(weights), list(weights)
        larger[k] += epsilon
        smaller[k] -= epsilon
        slopes.append((f(larger) - f(smaller)) / (2 * epsilon))
    return slopes


best_epsilon = 0.01


# %% 1.3 e
# Exercise 1.3
# what: larger = weights is no copy: both names are the given list, all slopes are zero
def numerical_gradient(f, weights, epsilon=1e-5):
    slopes = []
    for k in range(len(weights)):
        larger = weights
        smaller = weights
        larger[k] += epsilon
        smaller[k] -= epsilon
        slopes.append((f(larger) - f(smaller)) / (2 * epsilon))
    return slopes


best_epsilon = 0.01


# %% 1.3 f
# Exercise 1.3
# what: the epsilon of the call is ignored, 1e-5 is written into the function
def numerical_gradient(f, weights, epsilon=1e-5):
    eps = 1e-5
    slopes = []
    for k in range(len(weights)):
        larger, smaller = list(weights), list(weights)
        larger[k] += eps
        smaller[k] -= eps
        slopes.append((f(larger) - f(smaller)) / (2 * eps))
    return slopes


best_epsilon = 0.01


# %% 1.3 g
# Exercise 1.3
# what: copies are made outside the loop, so the weights before k stay moved
def numerical_gradient(f, weights, epsilon=1e-5):
    up, down = list(weights), list(weights)
    slopes = []
    for k in range(len(weights)):
        up[k] += epsilon
        down[k] -= epsilon
        slopes.append((f(up) - f(down)) / (2 * epsilon))
    return slopes


best_epsilon = 0.01


# %% 1.3 h
# Exercise 1.3
# what: right function, but best_epsilon is the best one for 64 bits
def numerical_gradient(f, weights, epsilon=1e-5):
    slopes = []
    for k in range(len(weights)):
        larger, smaller = list(weights), list(weights)
        larger[k] += epsilon
        smaller[k] -= epsilon
        slopes.append((f(larger) - f(smaller)) / (2 * epsilon))
    return slopes


best_epsilon = 1e-5


# %% 1.3 i
# Exercise 1.3
# what: right function, best_epsilon left at None (half solved)
def numerical_gradient(f, weights, epsilon=1e-5):
    slopes = []
    for k in range(len(weights)):
        larger, smaller = list(weights), list(weights)
        larger[k] += epsilon
        smaller[k] -= epsilon
        slopes.append((f(larger) - f(smaller)) / (2 * epsilon))
    return slopes


best_epsilon = None


# %% 1.3 j
# Exercise 1.3
# what: best_epsilon right, the function not written (half solved)
def numerical_gradient(f, weights, epsilon=1e-5):
    """Return ∂f/∂w for each of the weights, by central differences."""


best_epsilon = 0.01


# %% 1.3 k
# Exercise 1.3
# what: weights in float32: with ε = 1e-5 nothing but rounding is left
import numpy as np


def numerical_gradient(f, weights, epsilon=1e-5):
    slopes = []
    for k in range(len(weights)):
        up = np.array(weights, dtype=np.float32)
        down = np.array(weights, dtype=np.float32)
        up[k] += epsilon
        down[k] -= epsilon
        slopes.append((f(up.tolist()) - f(down.tolist())) / (2 * epsilon))
    return slopes


best_epsilon = 0.01


# %% 1.3 l
# Exercise 1.3
# what: relative step: w·(1 ± ε), zero for a weight of zero and another ε otherwise; divided by 2εw
def numerical_gradient(f, weights, epsilon=1e-5):
    out = []
    for k, w in enumerate(weights):
        up, down = list(weights), list(weights)
        up[k], down[k] = w * (1 + epsilon), w * (1 - epsilon)
        out.append((f(up) - f(down)) / (up[k] - down[k]))
    return out


best_epsilon = 0.01


# %% 1.3 m
# Exercise 1.3
# what: best_epsilon is the exponent -2 read from the axis
def numerical_gradient(f, weights, epsilon=1e-5):
    g = []
    for k in range(len(weights)):
        u, d = list(weights), list(weights)
        u[k] += epsilon
        d[k] -= epsilon
        g.append((f(u) - f(d)) / (2 * epsilon))
    return g


best_epsilon = -2


# %% 1.3 n
# Exercise 1.3
# what: sign: smaller minus larger
def numerical_gradient(f, weights, epsilon=1e-5):
    g = []
    for k in range(len(weights)):
        u, d = list(weights), list(weights)
        u[k] += epsilon
        d[k] -= epsilon
        g.append((f(d) - f(u)) / (2 * epsilon))
    return g


best_epsilon = 0.01


# %% 1.3 o
# Exercise 1.3
# what: result rounded to five decimals, and precedence: / 2 * epsilon
def numerical_gradient(f, weights, epsilon=1e-5):
    g = []
    for k in range(len(weights)):
        u, d = list(weights), list(weights)
        u[k] += epsilon
        d[k] -= epsilon
        g.append((f(u) - f(d)) / 2 * epsilon)
    return [round(x, 5) for x in g]


best_epsilon = 0.01


# %% 1.3 p
# Exercise 1.3
# what: index(w) finds the first equal weight: wrong when two weights are equal
def numerical_gradient(f, weights, epsilon=1e-5):
    g = []
    for w in weights:
        k = weights.index(w)
        u, d = weights.copy(), weights.copy()
        u[k] += epsilon
        d[k] -= epsilon
        g.append((f(u) - f(d)) / (2 * epsilon))
    return g


best_epsilon = 0.01


# %% 1.4 a
# Exercise 1.4
# what: the second path is forgotten: δ_h1 only from o1, δ_h2 only from o2
def backward(inputs, targets, weights):
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2), s(w3 * i1 + w4 * i2)
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2), s(w7 * a_h1 + w8 * a_h2)
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = d_o1 * w5 * a_h1 * (1 - a_h1)
    d_h2 = d_o2 * w8 * a_h2 * (1 - a_h2)
    return [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2]


# %% 1.4 b
# Exercise 1.4
# what: W2 instead of its transpose: w6 and w7 exchanged, right when w6 = w7
import numpy as np


def backward(inputs, targets, weights):
    x, t = np.array(inputs, float), np.array(targets, float)
    W1, W2 = np.array(weights, float).reshape(2, 2, 2)
    s = lambda z: 1 / (1 + np.exp(-z))
    a = s(W1 @ x)
    y = s(W2 @ a)
    do = (y - t) * y * (1 - y)
    dh = (W2 @ do) * a * (1 - a)
    return np.concatenate([np.outer(dh, x).ravel(), np.outer(do, a).ravel()])


# %% 1.4 c
# Exercise 1.4
# what: sign: (t - a) and no minus
def backward(inputs, targets, weights):
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2), s(w3 * i1 + w4 * i2)
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2), s(w7 * a_h1 + w8 * a_h2)
    d_o1 = (t1 - a_o1) * a_o1 * (1 - a_o1)
    d_o2 = (t2 - a_o2) * a_o2 * (1 - a_o2)
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h2)
    return [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2]


# %% 1.4 d
# Exercise 1.4
# what: outer products the wrong way round: order w1, w3, w2, w4, w5, w7, w6, w8
import numpy as np


def backward(inputs, targets, weights):
    x, t = np.array(inputs), np.array(targets)
    W = np.array(weights).reshape(2, 2, 2)
    s = lambda z: 1 / (1 + np.exp(-z))
    a = s(W[0] @ x)
    y = s(W[1] @ a)
    do = (y - t) * y * (1 - y)
    dh = (W[1].T @ do) * a * (1 - a)
    return np.concatenate([np.outer(x, dh).ravel(), np.outer(a, do).ravel()])


# %% 1.4 e
# Exercise 1.4
# what: the slope of the hidden neurons is forgotten
def backward(inputs, targets, weights):
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2), s(w3 * i1 + w4 * i2)
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2), s(w7 * a_h1 + w8 * a_h2)
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = d_o1 * w5 + d_o2 * w7
    d_h2 = d_o1 * w6 + d_o2 * w8
    return [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2]


# %% 1.4 f
# Exercise 1.4
# what: slope of h2 with a_h1 (copy and paste): nearly right in the lesson's example
def backward(inputs, targets, weights):
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2), s(w3 * i1 + w4 * i2)
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2), s(w7 * a_h1 + w8 * a_h2)
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h1)
    return d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2


# %% 1.4 g
# Exercise 1.4
# what: brackets dropped around the sum in the hidden deltas
def backward(inputs, targets, weights):
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2), s(w3 * i1 + w4 * i2)
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2), s(w7 * a_h1 + w8 * a_h2)
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = d_o1 * w5 + d_o2 * w7 * a_h1 * (1 - a_h1)
    d_h2 = d_o1 * w6 + d_o2 * w8 * a_h2 * (1 - a_h2)
    return [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2]


# %% 1.4 h
# Exercise 1.4
# what: the four deltas are returned, not the gradients (half solved)
def backward(inputs, targets, weights):
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2), s(w3 * i1 + w4 * i2)
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2), s(w7 * a_h1 + w8 * a_h2)
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h2)
    return d_o1, d_o2, d_h1, d_h2


# %% 1.4 i
# Exercise 1.4
# what: i1 used for both inputs: right when i1 = i2 only
def backward(inputs, targets, weights):
    i1 = i2 = inputs[0]
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2), s(w3 * i1 + w4 * i2)
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2), s(w7 * a_h1 + w8 * a_h2)
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h2)
    return [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2]


# %% 1.4 j
# Exercise 1.4
# what: factor 2: the half of the loss is forgotten in the autograd loss
import torch


def backward(inputs, targets, weights):
    w = torch.tensor(weights, dtype=torch.float64, requires_grad=True)
    h = torch.sigmoid(w[:4].view(2, 2) @ torch.tensor(inputs, dtype=torch.float64))
    o = torch.sigmoid(w[4:].view(2, 2) @ h)
    ((o - torch.tensor(targets, dtype=torch.float64)) ** 2).sum().backward()
    return w.grad


# %% 1.4 k
# Exercise 1.4
# what: autograd gradients collected in a tensor outside the function: they add up from call to call
import torch

collected = torch.zeros(8, dtype=torch.float64)


def backward(inputs, targets, weights):
    w = torch.tensor(weights, dtype=torch.float64, requires_grad=True)
    h = torch.sigmoid(w[:4].view(2, 2) @ torch.tensor(inputs, dtype=torch.float64))
    o = torch.sigmoid(w[4:].view(2, 2) @ h)
    E = ((o - torch.tensor(targets, dtype=torch.float64)) ** 2).sum() / 2
    E.backward()
    collected.add_(w.grad)
    return collected


# %% 1.4 l
# Exercise 1.4
# what: outputs' gradients first: w5 to w8, then w1 to w4
def backward(inputs, targets, weights):
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2), s(w3 * i1 + w4 * i2)
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2), s(w7 * a_h1 + w8 * a_h2)
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h2)
    return [d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2, d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2]


# %% 1.4 m
# Exercise 1.4
# what: mutual infinite recursion by a helper that has the same name as the function
def backward(inputs, targets, weights):
    w = list(weights)
    gradients = backward(inputs, targets, w)
    return gradients


# %% 1.4 n
# Exercise 1.4
# what: already updated: w - gradient instead of the gradient
def backward(inputs, targets, weights):
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2), s(w3 * i1 + w4 * i2)
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2), s(w7 * a_h1 + w8 * a_h2)
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h2)
    g = [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2]
    return [w - x for w, x in zip(weights, g)]


# %% 1.4 o
# Exercise 1.4
# what: w5 and w6 are updated before the hidden deltas use them (η = 1)
def backward(inputs, targets, weights):
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2), s(w3 * i1 + w4 * i2)
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2), s(w7 * a_h1 + w8 * a_h2)
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    g5, g6, g7, g8 = d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2
    w5, w6, w7, w8 = w5 - g5, w6 - g6, w7 - g7, w8 - g8
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h2)
    return [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, g5, g6, g7, g8]


# %% 1.4 p
# Exercise 1.4
# what: slope from the weighted sum: o(1 - o), h(1 - h)
def backward(inputs, targets, weights):
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    s = lambda z: 1 / (1 + exp(-z))
    h1, h2 = w1 * i1 + w2 * i2, w3 * i1 + w4 * i2
    o1, o2 = w5 * s(h1) + w6 * s(h2), w7 * s(h1) + w8 * s(h2)
    d_o1 = (s(o1) - t1) * s(o1) * (1 - s(o1))
    d_o2 = (s(o2) - t2) * s(o2) * (1 - s(o2))
    d_h1 = (d_o1 * w5 + d_o2 * w7) * h1 * (1 - h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * h2 * (1 - h2)
    return [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * s(h1), d_o1 * s(h2), d_o2 * s(h1), d_o2 * s(h2)]


# %% 1.4 q
# Exercise 1.4
# what: sigmoid is used but defined in a scratch cell only: NameError
def backward(inputs, targets, weights):
    (i1, i2), (t1, t2), (w1, w2, w3, w4, w5, w6, w7, w8) = inputs, targets, weights
    a_h1, a_h2 = sigmoid(w1 * i1 + w2 * i2), sigmoid(w3 * i1 + w4 * i2)
    a_o1, a_o2 = sigmoid(w5 * a_h1 + w6 * a_h2), sigmoid(w7 * a_h1 + w8 * a_h2)
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h2)
    return [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2]


# %% 1.5 a
# Exercise 1.5
# what: loss after the update: the first one is missing, one too late
def train(inputs, targets, weights, learning_rate, epochs):
    i1, i2 = inputs
    w = list(weights)
    s = lambda z: 1 / (1 + exp(-z))

    def fwd():
        a, b = s(w[0] * i1 + w[1] * i2), s(w[2] * i1 + w[3] * i2)
        return a, b, s(w[4] * a + w[5] * b), s(w[6] * a + w[7] * b)

    losses = []
    for _ in range(epochs):
        a, b, p, q = fwd()
        d1, d2 = (p - targets[0]) * p * (1 - p), (q - targets[1]) * q * (1 - q)
        e1 = (d1 * w[4] + d2 * w[6]) * a * (1 - a)
        e2 = (d1 * w[5] + d2 * w[7]) * b * (1 - b)
        g = [e1 * i1, e1 * i2, e2 * i1, e2 * i2, d1 * a, d1 * b, d2 * a, d2 * b]
        w = [x - learning_rate * y for x, y in zip(w, g)]
        _, _, p, q = fwd()
        losses.append(((p - targets[0]) ** 2 + (q - targets[1]) ** 2) / 2)
    return losses


# %% 1.5 b
# Exercise 1.5
# what: one loss too many: epochs + 1
import numpy as np


def train(inputs, targets, weights, learning_rate, epochs):
    x, t = np.array(inputs, float), np.array(targets, float)
    V, W = (m.copy() for m in np.array(weights, float).reshape(2, 2, 2))
    E = []
    for n in range(epochs + 1):
        a = 1 / (1 + np.exp(-V @ x))
        y = 1 / (1 + np.exp(-W @ a))
        E.append(0.5 * np.sum((t - y) ** 2))
        do = (y - t) * y * (1 - y)
        dh = W.T @ do * a * (1 - a)
        W -= learning_rate * np.outer(do, a)
        V -= learning_rate * np.outer(dh, x)
    return E


# %% 1.5 c
# Exercise 1.5
# what: output weights are updated before the hidden deltas are calculated
import numpy as np


def train(inputs, targets, weights, learning_rate, epochs):
    x, t = np.array(inputs, float), np.array(targets, float)
    V, W = (m.copy() for m in np.array(weights, float).reshape(2, 2, 2))
    E = []
    for _ in range(epochs):
        a = 1 / (1 + np.exp(-V @ x))
        y = 1 / (1 + np.exp(-W @ a))
        E.append(0.5 * np.sum((t - y) ** 2))
        do = (y - t) * y * (1 - y)
        W -= learning_rate * np.outer(do, a)
        dh = W.T @ do * a * (1 - a)
        V -= learning_rate * np.outer(dh, x)
    return E


# %% 1.5 d
# Exercise 1.5
# what: weight after weight: each central difference already sees the weights changed before it
def train(inputs, targets, weights, learning_rate, epochs):
    def E(w):
        s = lambda z: 1 / (1 + exp(-z))
        a = s(w[0] * inputs[0] + w[1] * inputs[1])
        b = s(w[2] * inputs[0] + w[3] * inputs[1])
        return sum((t - s(u * a + v * b)) ** 2 / 2 for t, (u, v) in zip(targets, (w[4:6], w[6:8])))

    w, losses = list(weights), []
    for _ in range(epochs):
        losses.append(E(w))
        for k in range(8):
            up, down = list(w), list(w)
            up[k] += 1e-5
            down[k] -= 1e-5
            w[k] -= learning_rate * (E(up) - E(down)) / 2e-5
    return losses


# %% 1.5 e
# Exercise 1.5
# what: plus instead of minus: uphill
import torch


def train(inputs, targets, weights, learning_rate, epochs):
    x, t = torch.tensor(inputs).double(), torch.tensor(targets).double()
    w = torch.tensor(weights, dtype=torch.double, requires_grad=True)
    losses = []
    for _ in range(epochs):
        out = torch.sigmoid(w[4:].view(2, 2) @ torch.sigmoid(w[:4].view(2, 2) @ x))
        E = ((t - out) ** 2).sum() / 2
        E.backward()
        with torch.no_grad():
            w += learning_rate * w.grad
        w.grad = None
        losses.append(E.item())
    return losses


# %% 1.5 f
# Exercise 1.5
# what: zero_grad forgotten: the gradients of all epochs add up
import torch


def train(inputs, targets, weights, learning_rate, epochs):
    x, t = torch.tensor(inputs).double(), torch.tensor(targets).double()
    w = torch.tensor(weights, dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=learning_rate)
    losses = []
    for _ in range(epochs):
        out = torch.sigmoid(w[4:].view(2, 2) @ torch.sigmoid(w[:4].view(2, 2) @ x))
        E = ((t - out) ** 2).sum() / 2
        E.backward()
        optimizer.step()
        losses.append(E.item())
    return losses


# %% 1.5 g
# Exercise 1.5
# what: learning rate fixed at 1.0 as in the lesson
import numpy as np


def train(inputs, targets, weights, learning_rate, epochs):
    learning_rate = 1.0
    x, t = np.array(inputs, float), np.array(targets, float)
    V, W = (m.copy() for m in np.array(weights, float).reshape(2, 2, 2))
    E = []
    for _ in range(epochs):
        a = 1 / (1 + np.exp(-V @ x))
        y = 1 / (1 + np.exp(-W @ a))
        E.append(0.5 * np.sum((t - y) ** 2))
        do = (y - t) * y * (1 - y)
        dh = W.T @ do * a * (1 - a)
        W -= learning_rate * np.outer(do, a)
        V -= learning_rate * np.outer(dh, x)
    return E


# %% 1.5 h
# Exercise 1.5
# what: the trained weights are returned, not the losses
import numpy as np


def train(inputs, targets, weights, learning_rate, epochs):
    x, t = np.array(inputs, float), np.array(targets, float)
    V, W = (m.copy() for m in np.array(weights, float).reshape(2, 2, 2))
    for _ in range(epochs):
        a = 1 / (1 + np.exp(-V @ x))
        y = 1 / (1 + np.exp(-W @ a))
        do = (y - t) * y * (1 - y)
        dh = W.T @ do * a * (1 - a)
        W -= learning_rate * np.outer(do, a)
        V -= learning_rate * np.outer(dh, x)
    return [*V.ravel(), *W.ravel()]


# %% 1.5 i
# Exercise 1.5
# what: only the last loss is returned
import numpy as np


def train(inputs, targets, weights, learning_rate, epochs):
    x, t = np.array(inputs, float), np.array(targets, float)
    V, W = (m.copy() for m in np.array(weights, float).reshape(2, 2, 2))
    for _ in range(epochs):
        a = 1 / (1 + np.exp(-V @ x))
        y = 1 / (1 + np.exp(-W @ a))
        E = 0.5 * np.sum((t - y) ** 2)
        do = (y - t) * y * (1 - y)
        dh = W.T @ do * a * (1 - a)
        W -= learning_rate * np.outer(do, a)
        V -= learning_rate * np.outer(dh, x)
    return E


# %% 1.5 j
# Exercise 1.5
# what: the list of losses is a default argument and grows from call to call
import numpy as np


def train(inputs, targets, weights, learning_rate, epochs, losses=[]):
    x, t = np.array(inputs, float), np.array(targets, float)
    V, W = (m.copy() for m in np.array(weights, float).reshape(2, 2, 2))
    for _ in range(epochs):
        a = 1 / (1 + np.exp(-V @ x))
        y = 1 / (1 + np.exp(-W @ a))
        losses.append(0.5 * np.sum((t - y) ** 2))
        do = (y - t) * y * (1 - y)
        dh = W.T @ do * a * (1 - a)
        W -= learning_rate * np.outer(do, a)
        V -= learning_rate * np.outer(dh, x)
    return losses


# %% 1.5 k
# Exercise 1.5
# what: the weights are never updated: w = w - … only inside a loop variable
def train(inputs, targets, weights, learning_rate, epochs):
    i1, i2 = inputs
    s = lambda z: 1 / (1 + exp(-z))
    losses = []
    for _ in range(epochs):
        w = weights
        a, b = s(w[0] * i1 + w[1] * i2), s(w[2] * i1 + w[3] * i2)
        p, q = s(w[4] * a + w[5] * b), s(w[6] * a + w[7] * b)
        losses.append(((p - targets[0]) ** 2 + (q - targets[1]) ** 2) / 2)
        d1, d2 = (p - targets[0]) * p * (1 - p), (q - targets[1]) * q * (1 - q)
        e1 = (d1 * w[4] + d2 * w[6]) * a * (1 - a)
        e2 = (d1 * w[5] + d2 * w[7]) * b * (1 - b)
        g = [e1 * i1, e1 * i2, e2 * i1, e2 * i2, d1 * a, d1 * b, d2 * a, d2 * b]
        for weight, gradient in zip(weights, g):
            weight -= learning_rate * gradient
    return losses


# %% 1.5 l
# Exercise 1.5
# what: momentum 0.9 added by the optimizer: right in the first two epochs
import torch


def train(inputs, targets, weights, learning_rate, epochs):
    x, t = torch.tensor(inputs).double(), torch.tensor(targets).double()
    w = torch.tensor(weights, dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=learning_rate, momentum=0.9)
    losses = []
    for _ in range(epochs):
        out = torch.sigmoid(w[4:].view(2, 2) @ torch.sigmoid(w[:4].view(2, 2) @ x))
        E = ((t - out) ** 2).sum() / 2
        optimizer.zero_grad()
        E.backward()
        optimizer.step()
        losses.append(E.item())
    return losses


# %% 1.5 m
# Exercise 1.5
# what: hidden weights are not trained (only w5 to w8)
def train(inputs, targets, weights, learning_rate, epochs):
    i1, i2 = inputs
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    s = lambda z: 1 / (1 + exp(-z))
    a, b = s(w1 * i1 + w2 * i2), s(w3 * i1 + w4 * i2)
    losses = []
    for _ in range(epochs):
        p, q = s(w5 * a + w6 * b), s(w7 * a + w8 * b)
        losses.append(((p - targets[0]) ** 2 + (q - targets[1]) ** 2) / 2)
        d1, d2 = (p - targets[0]) * p * (1 - p), (q - targets[1]) * q * (1 - q)
        w5, w6, w7, w8 = (w5 - learning_rate * d1 * a, w6 - learning_rate * d1 * b,
                          w7 - learning_rate * d2 * a, w8 - learning_rate * d2 * b)
    return losses


# %% 1.5 n
# Exercise 1.5
# what: return inside the loop: one loss only
import numpy as np


def train(inputs, targets, weights, learning_rate, epochs):
    x, t = np.array(inputs, float), np.array(targets, float)
    V, W = (m.copy() for m in np.array(weights, float).reshape(2, 2, 2))
    E = []
    for _ in range(epochs):
        a = 1 / (1 + np.exp(-V @ x))
        y = 1 / (1 + np.exp(-W @ a))
        E.append(0.5 * np.sum((t - y) ** 2))
        do = (y - t) * y * (1 - y)
        dh = W.T @ do * a * (1 - a)
        W -= learning_rate * np.outer(do, a)
        V -= learning_rate * np.outer(dh, x)
        return E


# %% 1.6 a
# Exercise 1.6
# what: the wrong letter is right, mistakes of the others shifted
right = "A"
mistakes = {"B": 4, "C": 8, "D": 1}


# %% 1.6 b
# Exercise 1.6
# what: the mistake of A taken for a forgotten slope (5)
right = "B"
mistakes = {"A": 5, "C": 8, "D": 1}


# %% 1.6 c
# Exercise 1.6
# what: the mistake of C taken for the wrong target (6)
right = "B"
mistakes = {"A": 4, "C": 6, "D": 1}


# %% 1.6 d
# Exercise 1.6
# what: the mistake of D taken for w6 in place of w7 (2)
right = "B"
mistakes = {"A": 4, "C": 8, "D": 2}


# %% 1.6 e
# Exercise 1.6
# what: half solved: the right letter, no mistakes
right = "B"
mistakes = {}


# %% 1.6 f
# Exercise 1.6
# what: half solved: the mistakes, right is still None
right = None
mistakes = {"A": 4, "C": 8, "D": 1}


# %% 1.6 g
# Exercise 1.6
# what: one of the three is missing
right = "B"
mistakes = {"A": 4, "D": 1}


# %% 1.6 j
# Exercise 1.6
# what: keys and values exchanged
right = "B"
mistakes = {4: "A", 8: "C", 1: "D"}


# %% 1.6 k
# Exercise 1.6
# what: the sentences in place of the numbers
right = "B"
mistakes = {"A": handouts.STATEMENTS[4], "C": handouts.STATEMENTS[8], "D": handouts.STATEMENTS[1]}


# %% 1.6 l
# Exercise 1.6
# what: mistake 7 in place of 8 for C (the slope is from another neuron, but which)
right = "B"
mistakes = {"A": 4, "C": 7, "D": 1}


# %% 1.6 m
# Exercise 1.6
# what: a list of the numbers, without letters
right = "B"
mistakes = [4, 8, 1]


# %% 1.6 n
# Exercise 1.6
# what: numbers counted from 0
right = "B"
mistakes = {"A": 3, "C": 7, "D": 0}


# %% 1.6 o
# Exercise 1.6
# what: all possible mistakes named as sets
right = "B"
mistakes = {"A": {4, 5}, "C": {6, 7, 8, 9}, "D": {1, 2, 3}}


# %% 1.7 a
# Exercise 1.7
# what: the biases are left out of the forward pass: right for biases of zero only
def backward_with_biases(inputs, targets, weights, biases):
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2), s(w3 * i1 + w4 * i2)
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2), s(w7 * a_h1 + w8 * a_h2)
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h2)
    return [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2,
            d_h1, d_h2, d_o1, d_o2]


# %% 1.7 b
# Exercise 1.7
# what: bias gradients are delta times the bias
def backward_with_biases(inputs, targets, weights, biases):
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    b1, b2, b3, b4 = biases
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2 + b1), s(w3 * i1 + w4 * i2 + b2)
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2 + b3), s(w7 * a_h1 + w8 * a_h2 + b4)
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h2)
    return [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2,
            d_h1 * b1, d_h2 * b2, d_o1 * b3, d_o2 * b4]


# %% 1.7 c
# Exercise 1.7
# what: order of the biases: outputs first, then hidden
def backward_with_biases(inputs, targets, weights, biases):
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    b1, b2, b3, b4 = biases
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2 + b1), s(w3 * i1 + w4 * i2 + b2)
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2 + b3), s(w7 * a_h1 + w8 * a_h2 + b4)
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h2)
    return [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2,
            d_o1, d_o2, d_h1, d_h2]


# %% 1.7 d
# Exercise 1.7
# what: one bias for both neurons of a layer (b_h1 and b_o1 for all): right in Mazur's network
def backward_with_biases(inputs, targets, weights, biases):
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    bh, bo = biases[0], biases[2]
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2 + bh), s(w3 * i1 + w4 * i2 + bh)
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2 + bo), s(w7 * a_h1 + w8 * a_h2 + bo)
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h2)
    return [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2,
            d_h1, d_h2, d_o1, d_o2]


# %% 1.7 e
# Exercise 1.7
# what: bias gradients of a layer are added, as for Mazur's shared bias
import numpy as np


def backward_with_biases(inputs, targets, weights, biases):
    x, t, b = np.array(inputs, float), np.array(targets, float), np.array(biases, float)
    W1, W2 = np.array(weights, float).reshape(2, 2, 2)
    s = lambda z: 1 / (1 + np.exp(-z))
    a = s(W1 @ x + b[:2])
    y = s(W2 @ a + b[2:])
    do = (y - t) * y * (1 - y)
    dh = (W2.T @ do) * a * (1 - a)
    db = [dh.sum(), dh.sum(), do.sum(), do.sum()]
    return np.concatenate([np.outer(dh, x).ravel(), np.outer(do, a).ravel(), db])


# %% 1.7 f
# Exercise 1.7
# what: only the four bias gradients
import numpy as np


def backward_with_biases(inputs, targets, weights, biases):
    x, t, b = np.array(inputs, float), np.array(targets, float), np.array(biases, float)
    W1, W2 = np.array(weights, float).reshape(2, 2, 2)
    s = lambda z: 1 / (1 + np.exp(-z))
    a = s(W1 @ x + b[:2])
    y = s(W2 @ a + b[2:])
    do = (y - t) * y * (1 - y)
    dh = (W2.T @ do) * a * (1 - a)
    return np.concatenate([dh, do])


# %% 1.7 g
# Exercise 1.7
# what: only the eight weight gradients: the biases are used but not differentiated
import numpy as np


def backward_with_biases(inputs, targets, weights, biases):
    x, t, b = np.array(inputs, float), np.array(targets, float), np.array(biases, float)
    W1, W2 = np.array(weights, float).reshape(2, 2, 2)
    s = lambda z: 1 / (1 + np.exp(-z))
    a = s(W1 @ x + b[:2])
    y = s(W2 @ a + b[2:])
    do = (y - t) * y * (1 - y)
    dh = (W2.T @ do) * a * (1 - a)
    return [*np.outer(dh, x).ravel(), *np.outer(do, a).ravel()]


# %% 1.7 h
# Exercise 1.7
# what: the bias is added after the sigmoid
def backward_with_biases(inputs, targets, weights, biases):
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    b1, b2, b3, b4 = biases
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2) + b1, s(w3 * i1 + w4 * i2) + b2
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2) + b3, s(w7 * a_h1 + w8 * a_h2) + b4
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h2)
    return [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2,
            d_h1, d_h2, d_o1, d_o2]


# %% 1.7 i
# Exercise 1.7
# what: bias gradients between the weights (w1 w2 b_h1 w3 w4 b_h2 …), matrix raveled with its bias column
import numpy as np


def backward_with_biases(inputs, targets, weights, biases):
    W = np.concatenate([np.array(weights, float).reshape(2, 2, 2), np.array(biases, float).reshape(2, 2, 1)], axis=2)
    s = lambda z: 1 / (1 + np.exp(-z))
    x = np.array([*inputs, 1.0])
    a = np.array([*s(W[0] @ x), 1.0])
    y = s(W[1] @ a)
    do = (y - np.array(targets)) * y * (1 - y)
    dh = (W[1].T @ do)[:2] * a[:2] * (1 - a[:2])
    return np.concatenate([np.outer(dh, x).ravel(), np.outer(do, a).ravel()])


# %% 1.7 j
# Exercise 1.7
# what: hidden bias gets its gradient without the hidden slope: the back-carried sum
def backward_with_biases(inputs, targets, weights, biases):
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    b1, b2, b3, b4 = biases
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2 + b1), s(w3 * i1 + w4 * i2 + b2)
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2 + b3), s(w7 * a_h1 + w8 * a_h2 + b4)
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    back1, back2 = d_o1 * w5 + d_o2 * w7, d_o1 * w6 + d_o2 * w8
    d_h1, d_h2 = back1 * a_h1 * (1 - a_h1), back2 * a_h2 * (1 - a_h2)
    return [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2,
            back1, back2, d_o1, d_o2]


# %% 1.7 k
# Exercise 1.7
# what: bias gradients are all 1 (∂h/∂b, the chain forgotten)
def backward_with_biases(inputs, targets, weights, biases):
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    b1, b2, b3, b4 = biases
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2 + b1), s(w3 * i1 + w4 * i2 + b2)
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2 + b3), s(w7 * a_h1 + w8 * a_h2 + b4)
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h2)
    return [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2,
            1, 1, 1, 1]


# %% 1.7 l
# Exercise 1.7
# what: groups in the wrong order: biases, then weights
import torch


def backward_with_biases(inputs, targets, weights, biases):
    w = torch.tensor(weights, dtype=torch.double, requires_grad=True)
    b = torch.tensor(biases, dtype=torch.double, requires_grad=True)
    h = torch.sigmoid(w[:4].view(2, 2) @ torch.tensor(inputs, dtype=torch.double) + b[:2])
    o = torch.sigmoid(w[4:].view(2, 2) @ h + b[2:])
    (((o - torch.tensor(targets, dtype=torch.double)) ** 2).sum() / 2).backward()
    return b.grad, w.grad


# %% 1.7 m
# Exercise 1.7
# what: the given biases are overwritten by those of Mazur's network: right there only
def backward_with_biases(inputs, targets, weights, biases):
    biases = [0.35, 0.35, 0.60, 0.60]
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    b1, b2, b3, b4 = biases
    s = lambda z: 1 / (1 + exp(-z))
    a_h1, a_h2 = s(w1 * i1 + w2 * i2 + b1), s(w3 * i1 + w4 * i2 + b2)
    a_o1, a_o2 = s(w5 * a_h1 + w6 * a_h2 + b3), s(w7 * a_h1 + w8 * a_h2 + b4)
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h2)
    return [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2,
            d_h1, d_h2, d_o1, d_o2]


# %% 1.8 a
# Exercise 1.8
# what: exp overflows at 1000
def softmax_cross_entropy_gradient(logits, target):
    powers = [exp(z) for z in logits]
    p = [power / sum(powers) for power in powers]
    p[target] -= 1
    return p


# %% 1.8 b
# Exercise 1.8
# what: sign: t - p
def softmax_cross_entropy_gradient(logits, target):
    m = max(logits)
    e = [exp(z - m) for z in logits]
    return [(k == target) - x / sum(e) for k, x in enumerate(e)]


# %% 1.8 c
# Exercise 1.8
# what: target counted from 1
def softmax_cross_entropy_gradient(logits, target):
    m = max(logits)
    e = [exp(z - m) for z in logits]
    p = [x / sum(e) for x in e]
    p[target - 1] -= 1
    return p


# %% 1.8 d
# Exercise 1.8
# what: only the probabilities: the case k = t is missing
import numpy as np


def softmax_cross_entropy_gradient(logits, target):
    z = np.array(logits) - np.max(logits)
    return np.exp(z) / np.exp(z).sum()


# %% 1.8 e
# Exercise 1.8
# what: the loss, not its gradient
def softmax_cross_entropy_gradient(logits, target):
    m = max(logits)
    return -(logits[target] - m - log(sum(exp(z - m) for z in logits)))


# %% 1.8 f
# Exercise 1.8
# what: first logit subtracted instead of the largest: overflows if another is 1000 larger
def softmax_cross_entropy_gradient(logits, target):
    e = [exp(z - logits[0]) for z in logits]
    s = sum(e)
    return [x / s - (1 if k == target else 0) for k, x in enumerate(e)]


# %% 1.8 g
# Exercise 1.8
# what: NumPy without the largest subtracted: inf / inf gives nan at 1000
import numpy as np


def softmax_cross_entropy_gradient(logits, target):
    p = np.exp(logits) / np.sum(np.exp(logits))
    p[target] -= 1
    return p


# %% 1.8 h
# Exercise 1.8
# what: large logits cut off at 700: two large ones become equal
def softmax_cross_entropy_gradient(logits, target):
    e = [exp(min(z, 700)) for z in logits]
    s = sum(e)
    p = [x / s for x in e]
    p[target] -= 1
    return p


# %% 1.8 i
# Exercise 1.8
# what: for three logits only
def softmax_cross_entropy_gradient(logits, target):
    a, b, c = logits
    m = max(a, b, c)
    ea, eb, ec = exp(a - m), exp(b - m), exp(c - m)
    s = ea + eb + ec
    g = [ea / s, eb / s, ec / s]
    g[target] -= 1
    return g


# %% 1.8 j
# Exercise 1.8
# what: the target number is subtracted from the probabilities: p - t
import numpy as np


def softmax_cross_entropy_gradient(logits, target):
    z = np.array(logits)
    e = np.exp(z - z.max())
    return e / e.sum() - target


# %% 1.8 k
# Exercise 1.8
# what: gradient of p_t, not of -ln p_t: one factor p_t too many
def softmax_cross_entropy_gradient(logits, target):
    m = max(logits)
    e = [exp(z - m) for z in logits]
    p = [x / sum(e) for x in e]
    return [p[target] * (x - (1 if k == target else 0)) for k, x in enumerate(p)]


# %% 1.8 l
# Exercise 1.8
# what: batch loss divided by the number of logits
import numpy as np


def softmax_cross_entropy_gradient(logits, target):
    z = np.array(logits, float)
    e = np.exp(z - z.max())
    p = e / e.sum()
    p[target] -= 1
    return p / len(p)


# %% 1.8 m
# Exercise 1.8
# what: the mean subtracted instead of the largest: overflows for [0, 0, 3000]
import numpy as np


def softmax_cross_entropy_gradient(logits, target):
    z = np.array(logits, float)
    e = np.exp(z - z.mean())
    p = e / e.sum()
    p[target] -= 1
    return p


# %% 1.8 o
# Exercise 1.8
# what: right case k = t, but the others get -p (signs mixed)
def softmax_cross_entropy_gradient(logits, target):
    m = max(logits)
    e = [exp(z - m) for z in logits]
    s = sum(e)
    return [x / s - 1 if k == target else -x / s for k, x in enumerate(e)]


# %% 1.8 p
# Exercise 1.8
# what: logits divided by the largest instead of subtracted
def softmax_cross_entropy_gradient(logits, target):
    m = max(logits)
    e = [exp(z / m) for z in logits]
    s = sum(e)
    p = [x / s for x in e]
    p[target] -= 1
    return p


# %% 1.8 q
# Exercise 1.8
# what: caught overflow: everything zero for large logits
def softmax_cross_entropy_gradient(logits, target):
    try:
        e = [exp(z) for z in logits]
        s = sum(e)
        return [x / s - (k == target) for k, x in enumerate(e)]
    except OverflowError:
        return [0.0] * len(logits)


# %% 1.8 r
# Exercise 1.8
# what: the target is found by its value: wrong if two logits are equal
def softmax_cross_entropy_gradient(logits, target):
    m = max(logits)
    e = [exp(z - m) for z in logits]
    s = sum(e)
    return [exp(z - m) / s - (1 if logits.index(z) == target else 0) for z in logits]


# %% 2.1 a
# Exercise 2.1
# what: kernel flipped (a true convolution)
def convolve(image, kernel):
    k = kernel.flip(0, 1)
    H, W = image.shape
    h, w = k.shape
    out = torch.zeros(H - h + 1, W - w + 1, dtype=image.dtype)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = (image[i : i + h, j : j + w] * k).sum()
    return out


# %% 2.1 b
# Exercise 2.1
# what: square kernels only: the height is used for the width too
def convolve(image, kernel):
    size = len(kernel)
    out = torch.zeros(image.shape[0] - size + 1, image.shape[1] - size + 1, dtype=image.dtype)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = (image[i : i + size, j : j + size] * kernel).sum()
    return out


# %% 2.1 c
# Exercise 2.1
# what: off by one: H - h places, the last row and column are missing
def convolve(image, kernel):
    H, W = image.shape
    h, w = kernel.shape
    out = torch.zeros(H - h, W - w, dtype=image.dtype)
    for i in range(H - h):
        for j in range(W - w):
            out[i, j] = (image[i : i + h, j : j + w] * kernel).sum()
    return out


# %% 2.1 d
# Exercise 2.1
# what: square images only: H used for both sides
def convolve(image, kernel):
    n = image.shape[0]
    h, w = kernel.shape
    out = torch.zeros(n - h + 1, n - w + 1, dtype=image.dtype)
    for i in range(n - h + 1):
        for j in range(n - w + 1):
            out[i, j] = (image[i : i + h, j : j + w] * kernel).sum()
    return out


# %% 2.1 e
# Exercise 2.1
# what: padded with zeros, same size as the image
def convolve(image, kernel):
    h, w = kernel.shape
    padded = F.pad(image, (w // 2, w - 1 - w // 2, h // 2, h - 1 - h // 2))
    return [[(padded[i : i + h, j : j + w] * kernel).sum().item() for j in range(image.shape[1])] for i in range(image.shape[0])]


# %% 2.1 f
# Exercise 2.1
# what: mean instead of sum
def convolve(image, kernel):
    H, W = image.shape
    h, w = kernel.shape
    out = torch.zeros(H - h + 1, W - w + 1, dtype=image.dtype)
    for i in range(H - h + 1):
        for j in range(W - w + 1):
            out[i, j] = (image[i : i + h, j : j + w] * kernel).mean()
    return out


# %% 2.1 g
# Exercise 2.1
# what: height and width of the result exchanged (transposed)
def convolve(image, kernel):
    H, W = image.shape
    h, w = kernel.shape
    out = torch.zeros(W - w + 1, H - h + 1, dtype=image.dtype)
    for i in range(H - h + 1):
        for j in range(W - w + 1):
            out[j, i] = (image[i : i + h, j : j + w] * kernel).sum()
    return out


# %% 2.1 h
# Exercise 2.1
# what: matrix product in place of the product value by value: fails for non-square, wrong for square kernels
def convolve(image, kernel):
    H, W = image.shape
    h, w = kernel.shape
    out = torch.zeros(H - h + 1, W - w + 1, dtype=image.dtype)
    for i in range(H - h + 1):
        for j in range(W - w + 1):
            out[i, j] = (image[i : i + h, j : j + w] @ kernel).sum()
    return out


# %% 2.1 i
# Exercise 2.1
# what: the result keeps the two dimensions of the batch and the channel
def convolve(image, kernel):
    return F.conv2d(image[None, None], kernel[None, None])


# %% 2.1 j
# Exercise 2.1
# what: written into the image itself: later places see changed values, and the image is destroyed
def convolve(image, kernel):
    H, W = image.shape
    h, w = kernel.shape
    for i in range(H - h + 1):
        for j in range(W - w + 1):
            image[i, j] = (image[i : i + h, j : j + w] * kernel).sum()
    return image[: H - h + 1, : W - w + 1]


# %% 2.1 k
# Exercise 2.1
# what: the kernel is moved by its own size (tiles, stride = kernel)
def convolve(image, kernel):
    H, W = image.shape
    h, w = kernel.shape
    out = []
    for i in range(0, H - h + 1, h):
        out.append([float((image[i : i + h, j : j + w] * kernel).sum()) for j in range(0, W - w + 1, w)])
    return out


# %% 2.1 l
# Exercise 2.1
# what: values cut to whole numbers by an integer table
def convolve(image, kernel):
    H, W = image.shape
    h, w = kernel.shape
    out = torch.zeros((H - h + 1, W - w + 1), dtype=torch.int64)
    for i in range(H - h + 1):
        for j in range(W - w + 1):
            out[i, j] = (image[i : i + h, j : j + w] * kernel).sum()
    return out


# %% 2.1 m
# Exercise 2.1
# what: total is not set back to zero for the next place
def convolve(image, kernel):
    x, k = image.tolist(), kernel.tolist()
    out, total = [], 0.0
    for i in range(len(x) - len(k) + 1):
        row = []
        for j in range(len(x[0]) - len(k[0]) + 1):
            for a in range(len(k)):
                for b in range(len(k[0])):
                    total += x[i + a][j + b] * k[a][b]
            row.append(total)
        out.append(row)
    return out


# %% 2.1 n
# Exercise 2.1
# what: flat list without rows
def convolve(image, kernel):
    H, W = image.shape
    h, w = kernel.shape
    return [(image[i : i + h, j : j + w] * kernel).sum().item() for i in range(H - h + 1) for j in range(W - w + 1)]


# %% 2.1 o
# Exercise 2.1
# what: rows of one and the same list ([[0] * n] * m)
def convolve(image, kernel):
    H, W = image.shape
    h, w = kernel.shape
    out = [[0.0] * (W - w + 1)] * (H - h + 1)
    for i in range(H - h + 1):
        for j in range(W - w + 1):
            out[i][j] = float((image[i : i + h, j : j + w] * kernel).sum())
    return out


# %% 2.1 p
# Exercise 2.1
# what: return one level too deep: only the first row is filled
def convolve(image, kernel):
    H, W = image.shape
    h, w = kernel.shape
    out = torch.zeros(H - h + 1, W - w + 1, dtype=image.dtype)
    for i in range(H - h + 1):
        for j in range(W - w + 1):
            out[i, j] = (image[i : i + h, j : j + w] * kernel).sum()
        return out


# %% 2.2 a
# Exercise 2.2
# what: padding only once, not at each end
def output_size(size, kernel, stride=1, padding=0):
    return (size + padding - kernel) // stride + 1


def parameters(in_channels, out_channels, kernel, bias=True):
    return in_channels * out_channels * kernel**2 + (out_channels if bias else 0)


def receptive_field(layers):
    field, step = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


# %% 2.2 b
# Exercise 2.2
# what: bias for each input channel
def output_size(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel) // stride + 1


def parameters(in_channels, out_channels, kernel, bias=True):
    return in_channels * out_channels * kernel**2 + (in_channels if bias else 0)


def receptive_field(layers):
    field, step = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


# %% 2.2 c
# Exercise 2.2
# what: the stride of a layer already counts for itself (step multiplied before)
def output_size(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel) // stride + 1


def parameters(in_channels, out_channels, kernel, bias=True):
    return in_channels * out_channels * kernel**2 + (out_channels if bias else 0)


def receptive_field(layers):
    field, step = 1, 1
    for kernel, stride in layers:
        step *= stride
        field += (kernel - 1) * step
    return field


# %% 2.2 d
# Exercise 2.2
# what: strides ignored: right for the example [(5, 1), (2, 2)]
def output_size(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel) // stride + 1


def parameters(in_channels, out_channels, kernel, bias=True):
    return in_channels * out_channels * kernel**2 + (out_channels if bias else 0)


def receptive_field(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


# %% 2.2 e
# Exercise 2.2
# what: a value with a fraction: / in place of //
def output_size(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel) / stride + 1


def parameters(in_channels, out_channels, kernel, bias=True):
    return in_channels * out_channels * kernel**2 + (out_channels if bias else 0)


def receptive_field(layers):
    field, step = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


# %% 2.2 f
# Exercise 2.2
# what: rounded up (ceil), as if a part of a move were a move
from math import ceil


def output_size(size, kernel, stride=1, padding=0):
    return ceil((size + 2 * padding - kernel) / stride) + 1


def parameters(in_channels, out_channels, kernel, bias=True):
    return in_channels * out_channels * kernel**2 + (out_channels if bias else 0)


def receptive_field(layers):
    field, step = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


# %% 2.2 g
# Exercise 2.2
# what: kernel not squared: kernel * 2 (right for kernel 2 only)
def output_size(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel) // stride + 1


def parameters(in_channels, out_channels, kernel, bias=True):
    return in_channels * out_channels * kernel * 2 + (out_channels if bias else 0)


def receptive_field(layers):
    field, step = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


# %% 2.2 h
# Exercise 2.2
# what: bias is not asked: always without, right in the example
def output_size(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel) // stride + 1


def parameters(in_channels, out_channels, kernel, bias=True):
    return in_channels * out_channels * kernel**2


def receptive_field(layers):
    field, step = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


# %% 2.2 i
# Exercise 2.2
# what: half solved: receptive_field returns None
def output_size(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel) // stride + 1


def parameters(in_channels, out_channels, kernel, bias=True):
    return in_channels * out_channels * kernel**2 + (out_channels if bias else 0)


def receptive_field(layers):
    """Return how many input values, along one side, one value after the last layer sees."""


# %% 2.2 j
# Exercise 2.2
# what: only the stride of the layer just before counts, not the product of all
def output_size(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel) // stride + 1


def parameters(in_channels, out_channels, kernel, bias=True):
    return in_channels * out_channels * kernel**2 + (out_channels if bias else 0)


def receptive_field(layers):
    field, before = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * before
        before = stride
    return field


# %% 2.2 k
# Exercise 2.2
# what: order of division: size // stride first
def output_size(size, kernel, stride=1, padding=0):
    return (size + 2 * padding) // stride - kernel // stride + 1


def parameters(in_channels, out_channels, kernel, bias=True):
    return in_channels * out_channels * kernel**2 + (out_channels if bias else 0)


def receptive_field(layers):
    field, step = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


# %% 2.2 l
# Exercise 2.2
# what: layers gone through backwards with the forward formula
def output_size(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel) // stride + 1


def parameters(in_channels, out_channels, kernel, bias=True):
    return in_channels * out_channels * kernel**2 + (out_channels if bias else 0)


def receptive_field(layers):
    field, step = 1, 1
    for kernel, stride in reversed(layers):
        field += (kernel - 1) * step
        step *= stride
    return field


# %% 2.2 m
# Exercise 2.2
# what: step kept in a global variable: right in the first call only
step = 1


def output_size(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel) // stride + 1


def parameters(in_channels, out_channels, kernel, bias=True):
    return in_channels * out_channels * kernel**2 + (out_channels if bias else 0)


def receptive_field(layers):
    global step
    field = 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


# %% 2.2 n
# Exercise 2.2
# what: the receptive field starts at 0 (one too small)
def output_size(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel) // stride + 1


def parameters(in_channels, out_channels, kernel, bias=True):
    return in_channels * out_channels * kernel**2 + (out_channels if bias else 0)


def receptive_field(layers):
    field, step = 0, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


# %% 2.2 o
# Exercise 2.2
# what: round() in place of rounding down
def output_size(size, kernel, stride=1, padding=0):
    return round((size + 2 * padding - kernel) / stride + 1)


def parameters(in_channels, out_channels, kernel, bias=True):
    return in_channels * out_channels * kernel**2 + (out_channels if bias else 0)


def receptive_field(layers):
    field, step = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


# %% 2.2 p
# Exercise 2.2
# what: one bias for the whole layer
def output_size(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel) // stride + 1


def parameters(in_channels, out_channels, kernel, bias=True):
    return in_channels * out_channels * kernel**2 + int(bias)


def receptive_field(layers):
    field, step = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


# %% 2.3 a
# Exercise 2.3
# what: unbiased variance used to normalise too
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    if training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
        running_mean[:] = (1 - momentum) * running_mean + momentum * mean
        running_var[:] = (1 - momentum) * running_var + momentum * var
    else:
        mean, var = running_mean, running_var
    s = (1, -1, 1, 1)
    return gamma.view(s) * (x - mean.view(s)) / (var.view(s) + eps).sqrt() + beta.view(s)


# %% 2.3 b
# Exercise 2.3
# what: biased variance used for the running variance too
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    if training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        running_mean[:] = (1 - momentum) * running_mean + momentum * mean
        running_var[:] = (1 - momentum) * running_var + momentum * var
    else:
        mean, var = running_mean, running_var
    s = (1, -1, 1, 1)
    return gamma.view(s) * (x - mean.view(s)) / (var.view(s) + eps).sqrt() + beta.view(s)


# %% 2.3 c
# Exercise 2.3
# what: the two variances exchanged
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    if training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=True)
        running_mean[:] = (1 - momentum) * running_mean + momentum * mean
        running_var[:] = (1 - momentum) * running_var + momentum * x.var((0, 2, 3), unbiased=False)
    else:
        mean, var = running_mean, running_var
    s = (1, -1, 1, 1)
    return gamma.view(s) * (x - mean.view(s)) / (var.view(s) + eps).sqrt() + beta.view(s)


# %% 2.3 d
# Exercise 2.3
# what: new running tensors under the old names: the caller sees no change
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    if training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * x.var((0, 2, 3))
    else:
        mean, var = running_mean, running_var
    s = (1, -1, 1, 1)
    return gamma.view(s) * (x - mean.view(s)) / (var.view(s) + eps).sqrt() + beta.view(s)


# %% 2.3 e
# Exercise 2.3
# what: momentum the wrong way round: 0.9 of the way
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    if training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        running_mean[:] = momentum * running_mean + (1 - momentum) * mean
        running_var[:] = momentum * running_var + (1 - momentum) * x.var((0, 2, 3))
    else:
        mean, var = running_mean, running_var
    s = (1, -1, 1, 1)
    return gamma.view(s) * (x - mean.view(s)) / (var.view(s) + eps).sqrt() + beta.view(s)


# %% 2.3 f
# Exercise 2.3
# what: the running numbers just updated are used to normalise in training
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    if training:
        running_mean.mul_(1 - momentum).add_(momentum * x.mean((0, 2, 3)))
        running_var.mul_(1 - momentum).add_(momentum * x.var((0, 2, 3)))
    s = (1, -1, 1, 1)
    return gamma.view(s) * (x - running_mean.view(s)) / (running_var.view(s) + eps).sqrt() + beta.view(s)


# %% 2.3 g
# Exercise 2.3
# what: the batch is used in evaluation as well
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
    if training:
        running_mean[:] = (1 - momentum) * running_mean + momentum * mean
        running_var[:] = (1 - momentum) * running_var + momentum * x.var((0, 2, 3))
    s = (1, -1, 1, 1)
    return gamma.view(s) * (x - mean.view(s)) / (var.view(s) + eps).sqrt() + beta.view(s)


# %% 2.3 h
# Exercise 2.3
# what: the running numbers move in evaluation too
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
    if not training:
        mean, var = running_mean.clone(), running_var.clone()
    running_mean[:] = (1 - momentum) * running_mean + momentum * x.mean((0, 2, 3))
    running_var[:] = (1 - momentum) * running_var + momentum * x.var((0, 2, 3))
    s = (1, -1, 1, 1)
    return gamma.view(s) * (x - mean.view(s)) / (var.view(s) + eps).sqrt() + beta.view(s)


# %% 2.3 i
# Exercise 2.3
# what: gamma and beta without view: they lie under W; right in shape only if C = W
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    if training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        running_mean[:] = (1 - momentum) * running_mean + momentum * mean
        running_var[:] = (1 - momentum) * running_var + momentum * x.var((0, 2, 3))
    else:
        mean, var = running_mean, running_var
    s = (1, -1, 1, 1)
    return gamma * (x - mean.view(s)) / (var.view(s) + eps).sqrt() + beta


# %% 2.3 j
# Exercise 2.3
# what: x is changed in place
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    s = (1, -1, 1, 1)
    if training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        running_mean[:] = (1 - momentum) * running_mean + momentum * mean
        running_var[:] = (1 - momentum) * running_var + momentum * x.var((0, 2, 3))
    else:
        mean, var = running_mean, running_var
    x -= mean.view(s)
    x /= (var.view(s) + eps).sqrt()
    return gamma.view(s) * x + beta.view(s)


# %% 2.3 k
# Exercise 2.3
# what: mean over the batch only: one for each position
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    s = (1, -1, 1, 1)
    if training:
        mean, var = x.mean(0, keepdim=True), x.var(0, unbiased=False, keepdim=True)
        running_mean[:] = (1 - momentum) * running_mean + momentum * x.mean((0, 2, 3))
        running_var[:] = (1 - momentum) * running_var + momentum * x.var((0, 2, 3))
    else:
        mean, var = running_mean.view(s), running_var.view(s)
    return gamma.view(s) * (x - mean) / (var + eps).sqrt() + beta.view(s)


# %% 2.3 l
# Exercise 2.3
# what: each image by itself (instance norm): right for a batch of one
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    s = (1, -1, 1, 1)
    if training:
        mean, var = x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)
        running_mean[:] = (1 - momentum) * running_mean + momentum * x.mean((0, 2, 3))
        running_var[:] = (1 - momentum) * running_var + momentum * x.var((0, 2, 3))
    else:
        mean, var = running_mean.view(s), running_var.view(s)
    return gamma.view(s) * (x - mean) / (var + eps).sqrt() + beta.view(s)


# %% 2.3 m
# Exercise 2.3
# what: eps added to the root, not under it
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    if training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        running_mean[:] = (1 - momentum) * running_mean + momentum * mean
        running_var[:] = (1 - momentum) * running_var + momentum * x.var((0, 2, 3))
    else:
        mean, var = running_mean, running_var
    s = (1, -1, 1, 1)
    return gamma.view(s) * (x - mean.view(s)) / (var.view(s).sqrt() + eps) + beta.view(s)


# %% 2.3 n
# Exercise 2.3
# what: momentum and eps of the call are ignored
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    if training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        running_mean[:] = 0.9 * running_mean + 0.1 * mean
        running_var[:] = 0.9 * running_var + 0.1 * x.var((0, 2, 3))
    else:
        mean, var = running_mean, running_var
    s = (1, -1, 1, 1)
    return gamma.view(s) * (x - mean.view(s)) / (var.view(s) + 1e-5).sqrt() + beta.view(s)


# %% 2.3 o
# Exercise 2.3
# what: three results: y and the running tensors
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    if training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        running_mean[:] = (1 - momentum) * running_mean + momentum * mean
        running_var[:] = (1 - momentum) * running_var + momentum * x.var((0, 2, 3))
    else:
        mean, var = running_mean, running_var
    s = (1, -1, 1, 1)
    return gamma.view(s) * (x - mean.view(s)) / (var.view(s) + eps).sqrt() + beta.view(s), running_mean, running_var


# %% 2.3 p
# Exercise 2.3
# what: PyTorch's own batch normalisation is called, which the text forbids
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    return F.batch_norm(x, running_mean, running_var, gamma, beta, training, momentum, eps)


# %% 2.3 q
# Exercise 2.3
# what: nn.BatchNorm2d with the weights copied into it, forbidden too
from torch import nn


def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    layer = nn.BatchNorm2d(x.shape[1], momentum=momentum, eps=eps).to(x.dtype)
    layer.weight.data, layer.bias.data = gamma, beta
    layer.running_mean, layer.running_var = running_mean, running_var
    layer.train(training)
    return layer(x).detach()


# %% 2.3 r
# Exercise 2.3
# what: evaluation branch missing: None is returned
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    if training:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        running_mean[:] = (1 - momentum) * running_mean + momentum * mean
        running_var[:] = (1 - momentum) * running_var + momentum * x.var((0, 2, 3))
        s = (1, -1, 1, 1)
        return gamma.view(s) * (x - mean.view(s)) / (var.view(s) + eps).sqrt() + beta.view(s)


# %% 2.3 s
# Exercise 2.3
# what: the running standard deviation is kept in place of the variance
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    s = (1, -1, 1, 1)
    if training:
        mean, std = x.mean((0, 2, 3)), x.std((0, 2, 3), unbiased=False)
        running_mean[:] = (1 - momentum) * running_mean + momentum * mean
        running_var[:] = (1 - momentum) * running_var + momentum * x.std((0, 2, 3))
        return gamma.view(s) * (x - mean.view(s)) / (std.view(s) ** 2 + eps).sqrt() + beta.view(s)
    return gamma.view(s) * (x - running_mean.view(s)) / (running_var.view(s) + eps).sqrt() + beta.view(s)


# %% 2.3 t
# Exercise 2.3
# what: reshape(-1, C) without moving the channels: the channels are mixed
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    flat = x.reshape(-1, x.shape[1])
    if training:
        mean, var = flat.mean(0), flat.var(0, unbiased=False)
        running_mean[:] = (1 - momentum) * running_mean + momentum * mean
        running_var[:] = (1 - momentum) * running_var + momentum * flat.var(0)
    else:
        mean, var = running_mean, running_var
    return (gamma * (flat - mean) / (var + eps).sqrt() + beta).reshape(x.shape)


# %% 2.4 a
# Exercise 2.4
# what: model.train() forgotten: after a test the step is made in evaluation mode
def train_step(model, images, targets, optimizer):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), targets)
    loss.backward()
    optimizer.step()
    return loss.item()


# %% 2.4 b
# Exercise 2.4
# what: zero_grad forgotten: old gradients are added
def train_step(model, images, targets, optimizer):
    model.train()
    loss = F.cross_entropy(model(images), targets)
    loss.backward()
    optimizer.step()
    return loss.item()


# %% 2.4 c
# Exercise 2.4
# what: zero_grad after the step only: gradients from before this call still count
def train_step(model, images, targets, optimizer):
    model.train()
    loss = F.cross_entropy(model(images), targets)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


# %% 2.4 d
# Exercise 2.4
# what: zero_grad between backward and step: nothing is learned
def train_step(model, images, targets, optimizer):
    model.train()
    loss = F.cross_entropy(model(images), targets)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


# %% 2.4 e
# Exercise 2.4
# what: a tensor comes back, not a float
def train_step(model, images, targets, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), targets)
    loss.backward()
    optimizer.step()
    return loss


# %% 2.4 f
# Exercise 2.4
# what: loss calculated again after the update
def train_step(model, images, targets, optimizer):
    model.train()
    optimizer.zero_grad()
    F.cross_entropy(model(images), targets).backward()
    optimizer.step()
    return F.cross_entropy(model(images), targets).item()


# %% 2.4 g
# Exercise 2.4
# what: sum in place of the mean
def train_step(model, images, targets, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), targets, reduction="sum")
    loss.backward()
    optimizer.step()
    return loss.item()


# %% 2.4 h
# Exercise 2.4
# what: softmax before cross_entropy, which has its own
def train_step(model, images, targets, optimizer):
    model.train()
    optimizer.zero_grad()
    p = torch.softmax(model(images), dim=1)
    loss = F.cross_entropy(p, targets)
    loss.backward()
    optimizer.step()
    return loss.item()


# %% 2.4 i
# Exercise 2.4
# what: optimizer.step() forgotten
def train_step(model, images, targets, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), targets)
    loss.backward()
    return loss.item()


# %% 2.4 j
# Exercise 2.4
# what: a new SGD optimizer is made, the given one is not used
def train_step(model, images, targets, optimizer):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), targets)
    loss.backward()
    optimizer.step()
    return loss.item()


# %% 2.4 k
# Exercise 2.4
# what: the loss for the report is taken in evaluation mode, before the step
def train_step(model, images, targets, optimizer):
    model.eval()
    with torch.no_grad():
        before = F.cross_entropy(model(images), targets).item()
    model.train()
    optimizer.zero_grad()
    F.cross_entropy(model(images), targets).backward()
    optimizer.step()
    return before


# %% 2.4 l
# Exercise 2.4
# what: two forward passes in training mode: running statistics move twice, another dropout
def train_step(model, images, targets, optimizer):
    model.train()
    with torch.no_grad():
        value = F.cross_entropy(model(images), targets).item()
    optimizer.zero_grad()
    F.cross_entropy(model(images), targets).backward()
    optimizer.step()
    return value


# %% 2.4 m
# Exercise 2.4
# what: model.train() after the forward pass
def train_step(model, images, targets, optimizer):
    logits = model(images)
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(logits, targets)
    loss.backward()
    optimizer.step()
    return loss.item()


# %% 2.4 n
# Exercise 2.4
# what: model.eval() in place of model.train()
def train_step(model, images, targets, optimizer):
    model.eval()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), targets)
    loss.backward()
    optimizer.step()
    return loss.item()


# %% 2.4 o
# Exercise 2.4
# what: squared error on one-hot targets in place of cross-entropy
def train_step(model, images, targets, optimizer):
    model.train()
    optimizer.zero_grad()
    logits = model(images)
    loss = F.mse_loss(logits, F.one_hot(targets, logits.shape[1]).float())
    loss.backward()
    optimizer.step()
    return loss.item()


# %% 2.4 p
# Exercise 2.4
# what: rounded to 3 digits
def train_step(model, images, targets, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), targets)
    loss.backward()
    optimizer.step()
    return round(loss.item(), 3)


# %% 2.4 q
# Exercise 2.4
# what: gradients clipped, which nobody asked for
def train_step(model, images, targets, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), targets)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    optimizer.step()
    return loss.item()


# %% 2.4 r
# Exercise 2.4
# what: the step is written by hand as w - 0.1 g: right for plain SGD with that rate only
def train_step(model, images, targets, optimizer):
    model.train()
    model.zero_grad()
    loss = F.cross_entropy(model(images), targets)
    loss.backward()
    with torch.no_grad():
        for p in model.parameters():
            p -= optimizer.param_groups[0]["lr"] * p.grad
    return loss.item()


# %% 2.4 s
# Exercise 2.4
# what: everything under no_grad, so that there is no graph: RuntimeError in backward
def train_step(model, images, targets, optimizer):
    model.train()
    with torch.no_grad():
        loss = F.cross_entropy(model(images), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.numpy()


# %% 2.4 t
# Exercise 2.4
# what: the loss is printed, None returned
def train_step(model, images, targets, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), targets)
    loss.backward()
    optimizer.step()
    print(f"loss {loss.item():.4f}")


# %% 2.4 u
# Exercise 2.4
# what: label smoothing added
def train_step(model, images, targets, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), targets, label_smoothing=0.1)
    loss.backward()
    optimizer.step()
    return loss.item()


# %% 2.4 v
# Exercise 2.4
# what: detached 0-d tensor, not a float
def train_step(model, images, targets, optimizer):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), targets)
    loss.backward()
    optimizer.step()
    return loss.detach()


# %% 2.6 a
# Exercise 2.6
# what: one-sided p-value
def mcnemar(right_a, right_b):
    a = int((right_a & ~right_b).sum())
    b = int((right_b & ~right_a).sum())
    n = a + b
    return sum(comb(n, k) for k in range(a, n + 1)) / 2**n


supported = [2, 4]


# %% 2.6 b
# Exercise 2.6
# what: twice the tail, not limited: more than 1 for a tie
def mcnemar(right_a, right_b):
    a = int((right_a & ~right_b).sum())
    b = int((right_b & ~right_a).sum())
    n = a + b
    return 2 * sum(comb(n, k) for k in range(min(a, b) + 1)) / 2**n


supported = [2, 4]


# %% 2.6 c
# Exercise 2.6
# what: a normal distribution (χ²), not exact
from math import erfc, sqrt


def mcnemar(right_a, right_b):
    a = int((right_a & ~right_b).sum())
    b = int((right_b & ~right_a).sum())
    if a + b == 0:
        return 1.0
    return erfc(abs(a - b) / sqrt(a + b) / sqrt(2))


supported = [2, 4]


# %% 2.6 d
# Exercise 2.6
# what: χ² with the continuity correction, close to the exact value
from math import erfc, sqrt


def mcnemar(right_a, right_b):
    a = int((right_a & ~right_b).sum())
    b = int((right_b & ~right_a).sum())
    if a + b == 0:
        return 1.0
    return erfc(max(0, abs(a - b) - 1) / sqrt(2 * (a + b)))


supported = [2, 4]


# %% 2.6 e
# Exercise 2.6
# what: only results farther away are counted, not the one that was found (> in place of >=)
def mcnemar(right_a, right_b):
    a = int((right_a & ~right_b).sum())
    b = int((right_b & ~right_a).sum())
    n = a + b
    return sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) > abs(a - b)) / 2**n


supported = [2, 4]


# %% 2.6 f
# Exercise 2.6
# what: the probability of exactly this result, P(k)
def mcnemar(right_a, right_b):
    a = int((right_a & ~right_b).sum())
    b = int((right_b & ~right_a).sum())
    return comb(a + b, a) / 2 ** (a + b)


supported = [2, 4]


# %% 2.6 g
# Exercise 2.6
# what: without differing digits the p-value is 0
def mcnemar(right_a, right_b):
    a = int((right_a & ~right_b).sum())
    b = int((right_b & ~right_a).sum())
    n = a + b
    if n == 0:
        return 0.0
    return min(1.0, 2 * sum(comb(n, k) for k in range(min(a, b) + 1)) / 2**n)


supported = [2, 4]


# %% 2.6 h
# Exercise 2.6
# what: counts of right digits in all, not of the digits in which they differ
def mcnemar(right_a, right_b):
    a, b = int(right_a.sum()), int(right_b.sum())
    n = a + b
    return min(1.0, 2 * sum(comb(n, k) for k in range(min(a, b) + 1)) / 2**n)


supported = [2, 4]


# %% 2.6 i
# Exercise 2.6
# what: counts stay tensors: 2**n overflows from 63 differing digits on (right for Net, TinyNet and D)
def mcnemar(right_a, right_b):
    a = (right_a & ~right_b).sum()
    b = (right_b & ~right_a).sum()
    n = a + b
    total = 0
    for k in range(n + 1):
        if abs(2 * k - n) >= abs(a - b):
            total += comb(n, k)
    return float(total / 2**n)


supported = [2, 4]


# %% 2.6 j
# Exercise 2.6
# what: right function, claim 5 added (p taken for the probability that Net is not better)
def mcnemar(right_a, right_b):
    a = int((right_a & ~right_b).sum())
    b = int((right_b & ~right_a).sum())
    n = a + b
    return sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= abs(a - b)) / 2**n


supported = [2, 4, 5]


# %% 2.6 k
# Exercise 2.6
# what: right function, claim 4 is missing
def mcnemar(right_a, right_b):
    a = int((right_a & ~right_b).sum())
    b = int((right_b & ~right_a).sum())
    n = a + b
    return sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= abs(a - b)) / 2**n


supported = [2]


# %% 2.6 l
# Exercise 2.6
# what: right function, claim 3 added (not significant taken for equal)
def mcnemar(right_a, right_b):
    a = int((right_a & ~right_b).sum())
    b = int((right_b & ~right_a).sum())
    n = a + b
    return sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= abs(a - b)) / 2**n


supported = [2, 3, 4]


# %% 2.6 m
# Exercise 2.6
# what: right function, claim 6 added (other seeds were not tested)
def mcnemar(right_a, right_b):
    a = int((right_a & ~right_b).sum())
    b = int((right_b & ~right_a).sum())
    n = a + b
    return sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= abs(a - b)) / 2**n


supported = [2, 4, 6]


# %% 2.6 n
# Exercise 2.6
# what: half solved: supported is None
def mcnemar(right_a, right_b):
    a = int((right_a & ~right_b).sum())
    b = int((right_b & ~right_a).sum())
    n = a + b
    return sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= abs(a - b)) / 2**n


supported = None


# %% 2.6 o
# Exercise 2.6
# what: half solved: the claims without the function
def mcnemar(right_a, right_b):
    """Return the exact two-sided p-value, a number from 0 to 1."""


supported = [2, 4]


# %% 2.6 p
# Exercise 2.6
# what: minus between bool tensors: RuntimeError
def mcnemar(right_a, right_b):
    d = right_a - right_b
    a, b = int((d == 1).sum()), int((d == -1).sum())
    n = a + b
    return sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= abs(a - b)) / 2**n


supported = [2, 4]


# %% 2.6 q
# Exercise 2.6
# what: twice the tail above a: right if a has at least as many, else more than 1 (or 1 by the limit)
def mcnemar(right_a, right_b):
    a = int((right_a & ~right_b).sum())
    b = int((right_b & ~right_a).sum())
    n = a + b
    return min(1.0, 2 * sum(comb(n, k) for k in range(a, n + 1)) / 2**n)


supported = [2, 4]


# %% 2.6 r
# Exercise 2.6
# what: mid-p: the found result counts half
def mcnemar(right_a, right_b):
    a = int((right_a & ~right_b).sum())
    b = int((right_b & ~right_a).sum())
    n = a + b
    tail = sum(comb(n, k) for k in range(min(a, b) + 1)) / 2**n
    return min(1.0, 2 * tail - comb(n, a) / 2**n)


supported = [2, 4]


# %% 2.6 s
# Exercise 2.6
# what: 10,000 digits are written in as the number of tosses
def mcnemar(right_a, right_b):
    a = int((right_a & ~right_b).sum())
    n = 10_000
    return sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= abs(2 * a - n)) / 2**n


supported = [2, 4]


# %% 2.6 t
# Exercise 2.6
# what: right function, claims as sentences in place of numbers
def mcnemar(right_a, right_b):
    a = int((right_a & ~right_b).sum())
    b = int((right_b & ~right_a).sum())
    n = a + b
    return sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= abs(a - b)) / 2**n


supported = [significance.CLAIMS[1], significance.CLAIMS[3]]


# %% 2.6 u
# Exercise 2.6
# what: right function, claims counted from 0
def mcnemar(right_a, right_b):
    a = int((right_a & ~right_b).sum())
    b = int((right_b & ~right_a).sum())
    n = a + b
    return sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= abs(a - b)) / 2**n


supported = [1, 3]
