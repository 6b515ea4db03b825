# Right answers to the exercises, in unlike styles, written by somebody who had not seen the checks.
# "Other form": meant as wrong, because the numbers are right but nested or named otherwise.

# %% 1.1 a
# Exercise 1.1
# what: plain lines as in the lesson, all eight returned as a tuple
def forward(inputs, weights):
    """Return h1, a_h1, h2, a_h2, o1, a_o1, o2, a_o2, in this order.

    inputs are i1 and i2, weights are w1 to w8.
    """
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
    return h1, a_h1, h2, a_h2, o1, a_o1, o2, a_o2


# %% 1.1 b
# Exercise 1.1
# what: matrices in NumPy, interleaved with column_stack and ravel
import numpy as np


def forward(inputs, weights):
    W = np.asarray(weights, dtype=float).reshape(2, 2, 2)
    a = np.asarray(inputs, dtype=float)
    out = []
    for layer in W:
        s = layer @ a
        a = 1.0 / (1.0 + np.exp(-s))
        out.append(np.column_stack([s, a]).ravel())
    return np.concatenate(out)


# %% 1.1 c
# Exercise 1.1
# what: recursion over the layers with zip, returns a list
def forward(inputs, weights):
    def layer(x, w):
        if not w:
            return []
        rows = [w[:2], w[2:4]]
        sums = [sum(a * b for a, b in zip(row, x)) for row in rows]
        acts = [1 / (1 + exp(-s)) for s in sums]
        return [sums[0], acts[0], sums[1], acts[1]] + layer(acts, w[4:])

    return layer(list(inputs), list(weights))


# %% 1.1 d
# Exercise 1.1
# what: a PyTorch tensor in float32, enough digits
import torch


def forward(inputs, weights):
    w = torch.tensor(list(weights), dtype=torch.float32)
    x = torch.tensor(list(inputs), dtype=torch.float32)
    h = w[:4].view(2, 2) @ x
    ah = torch.sigmoid(h)
    o = w[4:].view(2, 2) @ ah
    ao = torch.sigmoid(o)
    return torch.stack((torch.stack((h, ah), 1), torch.stack((o, ao), 1))).flatten()


# %% 1.1 e
# Exercise 1.1
# what: a class with __call__, its instance has the asked name; sigmoid as (1 + tanh(x/2))/2
import math


class Neuron:
    def __init__(self, u, v):
        self.u, self.v = u, v

    def __call__(self, x, y):
        self.net = self.u * x + self.v * y
        self.out = (1 + math.tanh(self.net / 2)) / 2
        return self.out


class Forward:
    def __call__(self, inputs, weights):
        w = list(weights)
        n = [Neuron(w[2 * k], w[2 * k + 1]) for k in range(4)]
        hidden = [n[0](*inputs), n[1](*inputs)]
        n[2](*hidden), n[3](*hidden)
        return tuple(value for neuron in n for value in (neuron.net, neuron.out))


forward = Forward()


# %% 1.1 f
# Exercise 1.1
# what: one-line style with semicolons and type hints, strange but right
from typing import Sequence
def forward( inputs:Sequence[float],weights:Sequence[float] )->list[float] :
  S=lambda z:exp(z)/(exp(z)+1); r=[]
  for (k,x) in ((0,None),(2,None),(4,1),(6,1)):
      p,q=(inputs[0],inputs[1]) if x is None else (r[1],r[3])
      z=weights[k]*p+weights[k+1]*q ; r+=[z,S(z)]
  return r


# %% 1.1 j (other form)
# Exercise 1.1
# what: an array of 4x2, one dimension too many, from a matrix product
import numpy as np


def forward(inputs, weights):
    w = np.array(weights).reshape(4, 2)
    h = w[:2] @ np.array(inputs)
    ah = 1 / (1 + np.exp(-h))
    o = w[2:] @ ah
    ao = 1 / (1 + np.exp(-o))
    return np.array([[h[0], ah[0]], [h[1], ah[1]], [o[0], ao[0]], [o[1], ao[1]]])


# %% 1.2 a
# Exercise 1.2
# what: sum over zip with the halves
def loss(outputs, targets):
    """Return E, one number. outputs are a_o1 and a_o2, targets are t1 and t2."""
    return sum((t - a) ** 2 / 2 for t, a in zip(targets, outputs))


# %% 1.2 b
# Exercise 1.2
# what: NumPy dot product of the error with itself
import numpy as np


def loss(outputs, targets):
    error = np.subtract(targets, outputs)
    return 0.5 * error @ error


# %% 1.2 c
# Exercise 1.2
# what: a lambda, abs and pow
loss = lambda outputs, targets: 0.5 * (pow(abs(outputs[0] - targets[0]), 2) + pow(abs(outputs[1] - targets[1]), 2))


# %% 1.2 d
# Exercise 1.2
# what: PyTorch mse_loss: with two outputs the mean is half of the sum; a 0-d tensor in float32
import torch


def loss(outputs, targets):
    a = torch.tensor(outputs, dtype=torch.float32)
    t = torch.tensor(targets, dtype=torch.float32)
    return torch.nn.functional.mse_loss(a, t)


# %% 1.2 e
# Exercise 1.2
# what: parameters in the lesson's order (targets, outputs): E is symmetric, so nothing changes
def loss(targets, outputs):
    t1, t2 = targets
    a_o1, a_o2 = outputs
    E1 = 0.5 * (t1 - a_o1) ** 2
    E2 = 0.5 * (t2 - a_o2) ** 2
    return E1 + E2


# %% 1.2 f
# Exercise 1.2
# what: multiplied out, and complex modulus, still right
def loss(outputs, targets) -> float:
    z = complex(*outputs) - complex(*targets)
    return (z * z.conjugate()).real / 2


# %% 1.2 g
# Exercise 1.2
# what: recursion on the pairs
def loss(outputs, targets):
    if len(outputs) == 0:
        return 0.0
    (a, *rest_a), (t, *rest_t) = outputs, targets
    d = t - a
    return d * d * 0.5 + loss(rest_a, rest_t)


# %% 1.3 a
# Exercise 1.3
# what: two copies for each weight, as in the lesson; best ε 0.01
def numerical_gradient(f, weights, epsilon=1e-5):
    """Return ∂f/∂w for each of the weights, by central differences."""
    slopes = []
    for k in range(len(weights)):
        larger, smaller = list(weights), list(weights)
        larger[k] += epsilon
        smaller[k] -= epsilon
        slopes.append((f(larger) - f(smaller)) / (2 * epsilon))
    return slopes


best_epsilon = 0.01


# %% 1.3 b
# Exercise 1.3
# what: changed in place and the kept value written back, so the list is as before; best ε 3e-3
def numerical_gradient(f, weights, epsilon=1e-5):
    g = [None] * len(weights)
    for k, kept in enumerate(weights):
        try:
            weights[k] = kept + epsilon
            up = f(weights)
            weights[k] = kept - epsilon
            down = f(weights)
        finally:
            weights[k] = kept
        g[k] = (up - down) / epsilon / 2
    return tuple(g)


best_epsilon = 3e-3


# %% 1.3 c
# Exercise 1.3
# what: list comprehension with slices; best ε 10 ** -2
def numerical_gradient(f, weights, epsilon=1e-5):
    shifted = lambda k, d: weights[:k] + [weights[k] + d] + weights[k + 1 :]
    return [(f(shifted(k, epsilon)) - f(shifted(k, -epsilon))) / (2 * epsilon) for k, _ in enumerate(weights)]


best_epsilon = 10 ** -2


# %% 1.3 d
# Exercise 1.3
# what: NumPy identity matrix times ε, f still gets lists; best ε 0.02
import numpy as np


def numerical_gradient(f, weights, epsilon=1e-5):
    w = np.array(weights, dtype=np.float64)
    steps = epsilon * np.eye(len(w))
    up = np.array([f((w + s).tolist()) for s in steps])
    down = np.array([f((w - s).tolist()) for s in steps])
    return (up - down) / (2 * epsilon)


best_epsilon = 0.02


# %% 1.3 e
# Exercise 1.3
# what: recursion over the index with a closure; returns a tensor; best ε np.float32 of 0.01
import numpy
import torch


def numerical_gradient(f, weights, epsilon=1e-5):
    def moved(k, by):
        return [w + by if j == k else w for j, w in enumerate(weights)]

    def rest(k):
        if k == len(weights):
            return []
        return [(float(f(moved(k, epsilon))) - float(f(moved(k, -epsilon)))) / (2 * epsilon)] + rest(k + 1)

    return torch.tensor(rest(0), dtype=torch.float64)


best_epsilon = float(numpy.float32(0.01))


# %% 1.3 f
# Exercise 1.3
# what: weights as the outer loop over signs, best ε 0.0316 as read off the grid of the plot
def numerical_gradient(f, weights: list, epsilon: float = 1e-5) -> list:
    result = [0.0 for _ in weights]
    for sign in (+1, -1):
        for k in range(len(weights)):
            w = weights.copy()
            w[k] = w[k] + sign * epsilon
            result[k] += sign * f(w)
    return [r / (2 * epsilon) for r in result]


best_epsilon = 10 ** -1.5


# %% 1.4 a
# Exercise 1.4
# what: deltas as in the lesson, forward calculated again inside
def backward(inputs, targets, weights):
    """Return the eight gradients ∂E/∂w1 to ∂E/∂w8, in this order."""
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    a_h1 = 1 / (1 + exp(-(w1 * i1 + w2 * i2)))
    a_h2 = 1 / (1 + exp(-(w3 * i1 + w4 * i2)))
    a_o1 = 1 / (1 + exp(-(w5 * a_h1 + w6 * a_h2)))
    a_o2 = 1 / (1 + exp(-(w7 * a_h1 + w8 * a_h2)))
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h2)
    return [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2, d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2]


# %% 1.4 b
# Exercise 1.4
# what: matrices in NumPy with outer products
import numpy as np


def backward(inputs, targets, weights):
    x, t = np.array(inputs, float), np.array(targets, float)
    W1, W2 = np.array(weights, float).reshape(2, 2, 2)
    sigmoid = lambda z: 1 / (1 + np.exp(-z))
    a = sigmoid(W1 @ x)
    y = sigmoid(W2 @ a)
    delta_o = (y - t) * y * (1 - y)
    delta_h = (W2.T @ delta_o) * a * (1 - a)
    return np.r_[np.outer(delta_h, x).ravel(), np.outer(delta_o, a).ravel()]


# %% 1.4 c
# Exercise 1.4
# what: PyTorch autograd in double precision
import torch


def backward(inputs, targets, weights):
    x = torch.tensor(inputs, dtype=torch.float64)
    t = torch.tensor(targets, dtype=torch.float64)
    w = torch.tensor(weights, dtype=torch.float64, requires_grad=True)
    hidden = torch.sigmoid(w[:4].reshape(2, 2) @ x)
    out = torch.sigmoid(w[4:].reshape(2, 2) @ hidden)
    (0.5 * (t - out) ** 2).sum().backward()
    return w.grad


# %% 1.4 d
# Exercise 1.4
# what: loops over neurons, signs the other way round (error t - a, then minus), returns a tuple
def backward(inputs, targets, weights):
    def squash(z):
        return 1 / (1 + exp(-z))

    a = [squash(sum(weights[2 * j + k] * inputs[k] for k in range(2))) for j in range(2)]
    y = [squash(sum(weights[4 + 2 * j + k] * a[k] for k in range(2))) for j in range(2)]
    out = [-(targets[j] - y[j]) * y[j] * (1 - y[j]) for j in range(2)]
    hid = []
    for k in range(2):
        back = 0
        for j in range(2):
            back += out[j] * weights[4 + 2 * j + k]
        hid.append(back * (a[k] - a[k] ** 2))
    g = ()
    for delta, source in ((hid[0], inputs), (hid[1], inputs), (out[0], a), (out[1], a)):
        for value in source:
            g += (delta * value,)
    return g


# %% 1.4 e
# Exercise 1.4
# what: a little autograd class of its own (dual numbers, one direction after the other)
import math


class Dual:
    def __init__(self, v, d=0.0):
        self.v, self.d = v, d

    def __add__(self, o):
        return Dual(self.v + o.v, self.d + o.d)

    def __mul__(self, o):
        return Dual(self.v * o.v, self.v * o.d + self.d * o.v)

    def sigmoid(self):
        s = 1 / (1 + math.exp(-self.v))
        return Dual(s, s * (1 - s) * self.d)


def backward(inputs, targets, weights):
    g = []
    for k in range(8):
        w = [Dual(v, float(j == k)) for j, v in enumerate(weights)]
        x = [Dual(v) for v in inputs]
        a = [(w[0] * x[0] + w[1] * x[1]).sigmoid(), (w[2] * x[0] + w[3] * x[1]).sigmoid()]
        y = [(w[4] * a[0] + w[5] * a[1]).sigmoid(), (w[6] * a[0] + w[7] * a[1]).sigmoid()]
        errors = [o + Dual(-t) for o, t in zip(y, targets)]
        E = Dual(0.5) * (errors[0] * errors[0] + errors[1] * errors[1])
        g.append(E.d)
    return g


# %% 1.4 f
# Exercise 1.4
# what: every gradient written out in full, without deltas, float32 tensor at the end
import torch
def backward(inputs,targets,weights):
  (x,y),(s,t),(a,b,c,d,e,f,g,h)=inputs,targets,weights
  S=lambda z:1/(1+exp(-z)); p=S(a*x+b*y); q=S(c*x+d*y); u=S(e*p+f*q); v=S(g*p+h*q)
  return torch.tensor([
    ((u-s)*u*(1-u)*e+(v-t)*v*(1-v)*g)*p*(1-p)*x,
    ((u-s)*u*(1-u)*e+(v-t)*v*(1-v)*g)*p*(1-p)*y,
    ((u-s)*u*(1-u)*f+(v-t)*v*(1-v)*h)*q*(1-q)*x,
    ((u-s)*u*(1-u)*f+(v-t)*v*(1-v)*h)*q*(1-q)*y,
    (u-s)*u*(1-u)*p,(u-s)*u*(1-u)*q,(v-t)*v*(1-v)*p,(v-t)*v*(1-v)*q],dtype=torch.float32)


# %% 1.5 a
# Exercise 1.5
# what: forward, loss, backward, update in one loop with all gradients first
def train(inputs, targets, weights, learning_rate, epochs):
    """Return a list with E of each epoch, as many as epochs; E of the given weights first."""
    i1, i2 = inputs
    t1, t2 = targets
    w = list(weights)
    losses = []
    for _ in range(epochs):
        a_h1 = 1 / (1 + exp(-(w[0] * i1 + w[1] * i2)))
        a_h2 = 1 / (1 + exp(-(w[2] * i1 + w[3] * i2)))
        a_o1 = 1 / (1 + exp(-(w[4] * a_h1 + w[5] * a_h2)))
        a_o2 = 1 / (1 + exp(-(w[6] * a_h1 + w[7] * a_h2)))
        losses.append((t1 - a_o1) ** 2 / 2 + (t2 - a_o2) ** 2 / 2)
        d1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
        d2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
        e1 = (d1 * w[4] + d2 * w[6]) * a_h1 * (1 - a_h1)
        e2 = (d1 * w[5] + d2 * w[7]) * a_h2 * (1 - a_h2)
        g = [e1 * i1, e1 * i2, e2 * i1, e2 * i2, d1 * a_h1, d1 * a_h2, d2 * a_h1, d2 * a_h2]
        w = [x - learning_rate * y for x, y in zip(w, g)]
    return losses


# %% 1.5 b
# Exercise 1.5
# what: NumPy matrices, returns an array filled by index
import numpy as np


def train(inputs, targets, weights, learning_rate, epochs):
    x, t = np.array(inputs, float), np.array(targets, float)
    V, W = (m.copy() for m in np.array(weights, float).reshape(2, 2, 2))
    E = np.zeros(epochs)
    for n in range(epochs):
        a = 1 / (1 + np.exp(-V @ x))
        y = 1 / (1 + np.exp(-W @ a))
        E[n] = 0.5 * np.sum((t - y) ** 2)
        do = (y - t) * y * (1 - y)
        dh = W.T @ do * a * (1 - a)
        W -= learning_rate * np.outer(do, a)
        V -= learning_rate * np.outer(dh, x)
    return E


# %% 1.5 c
# Exercise 1.5
# what: PyTorch with autograd and optim.SGD in double precision
import torch


def train(inputs, targets, weights, learning_rate, epochs):
    x = torch.tensor(inputs, dtype=torch.double)
    t = torch.tensor(targets, dtype=torch.double)
    w = torch.nn.Parameter(torch.tensor(weights, dtype=torch.double))
    optimizer = torch.optim.SGD([w], lr=learning_rate)
    losses = []
    for _ in range(epochs):
        out = torch.sigmoid(w[4:].view(2, 2) @ torch.sigmoid(w[:4].view(2, 2) @ x))
        E = ((t - out) ** 2).sum() / 2
        optimizer.zero_grad()
        E.backward()
        optimizer.step()
        losses.append(E.item())
    return losses


# %% 1.5 d
# Exercise 1.5
# what: central differences, because 1.4 was skipped, with nested helper functions
def train(inputs, targets, weights, learning_rate, epochs):
    def E(w):
        s = lambda z: 1 / (1 + exp(-z))
        a = s(w[0] * inputs[0] + w[1] * inputs[1])
        b = s(w[2] * inputs[0] + w[3] * inputs[1])
        return sum((t - s(u * a + v * b)) ** 2 / 2 for t, (u, v) in zip(targets, (w[4:6], w[6:8])))

    def slope(w, k, step=1e-5):
        up = w[:k] + [w[k] + step] + w[k + 1 :]
        down = w[:k] + [w[k] - step] + w[k + 1 :]
        return (E(up) - E(down)) / (2 * step)

    history = [list(weights)]
    while len(history) < epochs:
        w = history[-1]
        history.append([w[k] - learning_rate * slope(w, k) for k in range(8)])
    return [E(w) for w in history[:epochs]]


# %% 1.5 e
# Exercise 1.5
# what: a generator inside and tuple() around it, a class holds the weights
from math import exp as e


class Net:
    def __init__(self, weights):
        self.w = [*weights]

    def forward(self, x):
        act = lambda z: 1.0 / (1.0 + e(-z))
        self.x = x
        self.h = [act(self.w[i] * x[0] + self.w[i + 1] * x[1]) for i in (0, 2)]
        self.y = [act(self.w[i] * self.h[0] + self.w[i + 1] * self.h[1]) for i in (4, 6)]
        return self.y

    def step(self, t, lr):
        d = [(y - q) * y * (1 - y) for y, q in zip(self.y, t)]
        g = [0.0] * 8
        for k in (0, 1):
            back = d[0] * self.w[4 + k] + d[1] * self.w[6 + k]
            dk = back * self.h[k] * (1 - self.h[k])
            g[2 * k], g[2 * k + 1] = dk * self.x[0], dk * self.x[1]
            g[4 + 2 * k], g[5 + 2 * k] = d[k] * self.h[0], d[k] * self.h[1]
        for k in range(8):
            self.w[k] -= lr * g[k]


def train(inputs, targets, weights, learning_rate, epochs):
    net = Net(weights)

    def run():
        for _ in range(epochs):
            y = net.forward(inputs)
            yield ((y[0] - targets[0]) ** 2 + (y[1] - targets[1]) ** 2) / 2
            net.step(targets, learning_rate)

    return tuple(run())


# %% 1.6 a
# Exercise 1.6
# what: found by comparing with every candidate; literal dict
right = "B"
mistakes = {"A": 4, "C": 8, "D": 1}


# %% 1.6 b
# Exercise 1.6
# what: other order of the entries, built by dict()
right = 'B'
mistakes = dict(D=1, C=8, A=4)


# %% 1.6 c
# Exercise 1.6
# what: built step by step
right = "ABCD"[1]
mistakes = {}
mistakes["C"] = 8
mistakes["A"] = 2 * 2
mistakes["D"] = 1


# %% 1.6 d
# Exercise 1.6
# what: with zip, type hints and names
right: str = chr(ord("A") + 1)
mistakes: dict[str, int] = dict(zip(("A", "C", "D"), (4, 8, 1)))


# %% 1.6 h (other form)
# Exercise 1.6
# what: the function B instead of the letter in quotes
right = B
mistakes = {"A": 4, "C": 8, "D": 1}


# %% 1.6 i (other form)
# Exercise 1.6
# what: functions as keys in place of letters
right = "B"
mistakes = {A: 4, C: 8, D: 1}


# %% 1.7 a
# Exercise 1.7
# what: twelve numbers in one list, deltas as in 1.4
def backward_with_biases(inputs, targets, weights, biases):
    """Return the gradients of w1 to w8, then those of b_h1, b_h2, b_o1 and b_o2.

    biases is a list of four numbers: b_h1, b_h2, b_o1, b_o2.
    """
    i1, i2 = inputs
    t1, t2 = targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    b_h1, b_h2, b_o1, b_o2 = biases
    a_h1 = 1 / (1 + exp(-(w1 * i1 + w2 * i2 + b_h1)))
    a_h2 = 1 / (1 + exp(-(w3 * i1 + w4 * i2 + b_h2)))
    a_o1 = 1 / (1 + exp(-(w5 * a_h1 + w6 * a_h2 + b_o1)))
    a_o2 = 1 / (1 + exp(-(w7 * a_h1 + w8 * a_h2 + b_o2)))
    d_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    d_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h2)
    return [
        d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2,
        d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2,
        d_h1, d_h2, d_o1, d_o2,
    ]


# %% 1.7 b
# Exercise 1.7
# what: NumPy, inputs extended by a 1, so a bias is one more column; two groups in a tuple
import numpy as np


def backward_with_biases(inputs, targets, weights, biases):
    W = np.array(weights, float).reshape(2, 2, 2)
    b = np.array(biases, float).reshape(2, 2, 1)
    W1, W2 = np.concatenate([W, b], axis=2)
    s = lambda z: 1 / (1 + np.exp(-z))
    x = np.append(np.array(inputs, float), 1)
    a = np.append(s(W1 @ x), 1)
    y = s(W2 @ a)
    do = (y - np.array(targets)) * y * (1 - y)
    dh = (W2.T @ do)[:2] * (a * (1 - a))[:2]
    G1, G2 = np.outer(dh, x), np.outer(do, a)
    return np.concatenate([G1[:, :2].ravel(), G2[:, :2].ravel()]), np.concatenate([G1[:, 2], G2[:, 2]])


# %% 1.7 c
# Exercise 1.7
# what: PyTorch autograd.grad with two leaves, concatenated
import torch


def backward_with_biases(inputs, targets, weights, biases):
    make = lambda v: torch.tensor(v, dtype=torch.float64)
    w, b = make(weights).requires_grad_(), make(biases).requires_grad_()
    hidden = (w[:4].view(2, 2) @ make(inputs) + b[:2]).sigmoid()
    out = (w[4:].view(2, 2) @ hidden + b[2:]).sigmoid()
    E = (out - make(targets)).square().sum() / 2
    return torch.cat(torch.autograd.grad(E, (w, b)))


# %% 1.7 d
# Exercise 1.7
# what: nn.Linear layers, two lists in a list
import torch
from torch import nn


def backward_with_biases(inputs, targets, weights, biases):
    net = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 2), nn.Sigmoid()).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor(weights[:4], dtype=torch.double).view(2, 2))
        net[2].weight.copy_(torch.tensor(weights[4:], dtype=torch.double).view(2, 2))
        for layer, values in ((net[0], biases[:2]), (net[2], biases[2:])):
            layer.bias[0], layer.bias[1] = values
    out = net(torch.tensor(inputs, dtype=torch.double))
    (0.5 * (torch.tensor(targets, dtype=torch.double) - out) ** 2).sum().backward()
    g = [net[0].weight.grad.flatten().tolist() + net[2].weight.grad.flatten().tolist()]
    g.append(net[0].bias.grad.tolist() + net[2].bias.grad.tolist())
    return g


# %% 1.7 e
# Exercise 1.7
# what: loops and dictionaries of names, tuple of tuple and tuple
def backward_with_biases(inputs, targets, weights, biases):
    w = {k + 1: v for k, v in enumerate(weights)}
    act = {}
    for n, (name, first, src) in enumerate((("h1", 1, None), ("h2", 3, None), ("o1", 5, 1), ("o2", 7, 1))):
        left, right_ = inputs if src is None else (act["h1"], act["h2"])
        act[name] = 1 / (1 + exp(-(w[first] * left + w[first + 1] * right_ + biases[n])))
    d = {}
    for name, t in zip(("o1", "o2"), targets):
        d[name] = (act[name] - t) * (1 - act[name]) * act[name]
    for k, name in enumerate(("h1", "h2")):
        d[name] = (d["o1"] * w[5 + k] + d["o2"] * w[7 + k]) * act[name] * (1 - act[name])
    grads = tuple(d[h] * x for h in ("h1", "h2") for x in inputs)
    grads += tuple(d[o] * act[h] for o in ("o1", "o2") for h in ("h1", "h2"))
    return grads, (d["h1"], d["h2"], d["o1"], d["o2"])


# %% 1.8 a
# Exercise 1.8
# what: largest logit subtracted, p - 1 at the target, list
def softmax_cross_entropy_gradient(logits, target):
    """Return ∂loss/∂z for each of the logits, a list of any length. target is an index."""
    largest = max(logits)
    powers = [exp(z - largest) for z in logits]
    total = sum(powers)
    gradient = [power / total for power in powers]
    gradient[target] -= 1
    return gradient


# %% 1.8 b
# Exercise 1.8
# what: NumPy with a one-hot vector from the identity matrix
import numpy as np


def softmax_cross_entropy_gradient(logits, target):
    z = np.array(logits, dtype=float)
    p = np.exp(z - z.max())
    p /= p.sum()
    return p - np.eye(len(z))[target]


# %% 1.8 c
# Exercise 1.8
# what: PyTorch softmax and one_hot
import torch
import torch.nn.functional as F


def softmax_cross_entropy_gradient(logits, target):
    z = torch.tensor(logits, dtype=torch.float64)
    return torch.softmax(z, dim=0) - F.one_hot(torch.tensor(target), len(z))


# %% 1.8 d
# Exercise 1.8
# what: PyTorch autograd of cross_entropy, in float32
import torch


def softmax_cross_entropy_gradient(logits, target):
    z = torch.tensor([logits], dtype=torch.float32, requires_grad=True)
    torch.nn.functional.cross_entropy(z, torch.tensor([target])).backward()
    return z.grad[0]


# %% 1.8 e
# Exercise 1.8
# what: p_k as 1/Σ exp(z_j - z_k) in NumPy: exp may become infinite, and 1/inf is 0
import numpy as np


def softmax_cross_entropy_gradient(logits, target):
    z = np.asarray(logits, dtype=np.float64)
    with np.errstate(over="ignore"):
        p = 1.0 / np.exp(z[None, :] - z[:, None]).sum(axis=1)
    return tuple(float(x) - (k == target) for k, x in enumerate(p))


# %% 1.8 f
# Exercise 1.8
# what: Decimal does not overflow at 1000; floats are returned
from decimal import Decimal, getcontext

getcontext().prec = 40


def softmax_cross_entropy_gradient(logits, target):
    powers = [Decimal(z).exp() for z in logits]
    total = sum(powers)
    return [float(q / total - (1 if k == target else 0)) for k, q in enumerate(powers)]


# %% 1.8 g
# Exercise 1.8
# what: log-sum-exp first, recursion for the sum, then p = exp(z - lse)
def softmax_cross_entropy_gradient(logits, target):
    def lse(zs):
        if len(zs) == 1:
            return zs[0]
        half = len(zs) // 2
        a, b = lse(zs[:half]), lse(zs[half:])
        return max(a, b) + log(1 + exp(-abs(a - b)))

    whole = lse(list(logits))
    return [exp(z - whole) - (1 if k == target else 0) for k, z in enumerate(logits)]


# %% 1.8 n (other form)
# Exercise 1.8
# what: an additional batch dimension is returned: shape (1, n)
import torch


def softmax_cross_entropy_gradient(logits, target):
    z = torch.tensor(logits, dtype=torch.float64)[None].requires_grad_()
    torch.nn.functional.cross_entropy(z, torch.tensor([target])).backward()
    return z.grad


# %% 2.1 a
# Exercise 2.1
# what: two loops over the places, sum of the product, written into zeros of the same type
def convolve(image, kernel):
    """Return the result as a table of numbers.

    image is a tensor (H, W), kernel a tensor (height, width), both of the same float type.
    """
    H, W = image.shape
    height, width = kernel.shape
    result = torch.zeros(H - height + 1, W - width + 1, dtype=image.dtype)
    for i in range(H - height + 1):
        for j in range(W - width + 1):
            result[i, j] = (image[i : i + height, j : j + width] * kernel).sum()
    return result


# %% 2.1 b
# Exercise 2.1
# what: four loops with plain Python lists
def convolve(image, kernel):
    x, k = image.tolist(), kernel.tolist()
    rows = len(x) - len(k) + 1
    columns = len(x[0]) - len(k[0]) + 1
    table = []
    for i in range(rows):
        row = []
        for j in range(columns):
            total = 0.0
            for a in range(len(k)):
                for b in range(len(k[0])):
                    total += x[i + a][j + b] * k[a][b]
            row.append(total)
        table.append(row)
    return table


# %% 2.1 c
# Exercise 2.1
# what: loops over the kernel instead, the shifted image is added up
def convolve(image, kernel):
    h, w = kernel.shape
    rows, cols = image.size(0) - h + 1, image.size(1) - w + 1
    out = 0
    for a in range(h):
        for b in range(w):
            out = out + kernel[a, b] * image[a : a + rows, b : b + cols]
    return out


# %% 2.1 d
# Exercise 2.1
# what: unfold and einsum
def convolve(image, kernel):
    windows = image.unfold(0, kernel.shape[0], 1).unfold(1, kernel.shape[1], 1)
    return torch.einsum("ijab,ab->ij", windows, kernel)


# %% 2.1 e
# Exercise 2.1
# what: NumPy sliding windows, an array comes back
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def convolve(image, kernel):
    x, k = image.detach().numpy(), kernel.detach().numpy()
    return (sliding_window_view(x, k.shape) * k).sum(axis=(2, 3))


# %% 2.1 f
# Exercise 2.1
# what: list comprehension of 0-d tensors, as many students write it
def convolve(image, kernel):
    (H, W), (h, w) = image.shape, kernel.shape
    return [[torch.sum(image[i:i+h, j:j+w] * kernel) for j in range(W - w + 1)] for i in range(H - h + 1)]


# %% 2.1 g
# Exercise 2.1
# what: a big matrix that holds the kernel at every place, times the flattened image
def convolve(image, kernel):
    H, W = image.shape
    h, w = kernel.shape
    R, C = H - h + 1, W - w + 1
    M = torch.zeros(R * C, H * W, dtype=image.dtype)
    for place in range(R * C):
        i, j = divmod(place, C)
        M[place].view(H, W)[i : i + h, j : j + w] = kernel
    return (M @ image.reshape(-1)).reshape(R, C)


# %% 2.2 a
# Exercise 2.2
# what: the three closed formulas
def output_size(size, kernel, stride=1, padding=0):
    """Return the number of values along one side of the result."""
    return (size + 2 * padding - kernel) // stride + 1


def parameters(in_channels, out_channels, kernel, bias=True):
    """Return the number of trainable numbers of a convolution."""
    weights = in_channels * out_channels * kernel**2
    return weights + out_channels if bias else weights


def receptive_field(layers):
    """Return how many input values, along one side, one value after the last layer sees."""
    field, step = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


# %% 2.2 b
# Exercise 2.2
# what: counted instead of calculated: places in a range, positions in a set
def output_size(size, kernel, stride=1, padding=0):
    return len(range(0, size + 2 * padding - kernel + 1, stride))


def parameters(in_channels, out_channels, kernel, bias=True):
    n = 0
    for _ in range(out_channels):
        n += in_channels * kernel * kernel
        if bias:
            n += 1
    return n


def receptive_field(layers):
    first, last = 0, 0
    for kernel, stride in reversed(layers):
        first = first * stride
        last = last * stride + kernel - 1
    return last - first + 1


# %% 2.2 c
# Exercise 2.2
# what: recursion, bool added as a number
def output_size(size, kernel, stride=1, padding=0):
    if padding:
        return output_size(size + 2 * padding, kernel, stride)
    return 0 if size < kernel else 1 + output_size(size - stride, kernel, stride)


def parameters(in_channels, out_channels, kernel, bias=True):
    return out_channels * (in_channels * kernel * kernel + bool(bias))


def receptive_field(layers):
    if not layers:
        return 1
    (kernel, stride), *rest = layers
    return (receptive_field(rest) - 1) * stride + kernel


# %% 2.2 d
# Exercise 2.2
# what: PyTorch is asked: layers are built and looked at
import torch
from torch import nn


def output_size(size, kernel, stride=1, padding=0):
    row = torch.zeros(1, 1, size)
    return nn.Conv1d(1, 1, kernel, stride=stride, padding=padding)(row).shape[-1]


def parameters(in_channels, out_channels, kernel, bias=True):
    return sum(p.numel() for p in nn.Conv2d(in_channels, out_channels, kernel, bias=bias).parameters())


def receptive_field(layers):
    n = 1
    for kernel, stride in layers[::-1]:
        n = (n - 1) * stride + kernel
    return n


# %% 2.2 e
# Exercise 2.2
# what: lambdas, functools.reduce and math.floor with type hints elsewhere
from functools import reduce
from math import floor

output_size = lambda size, kernel, stride=1, padding=0: floor((size - kernel + 2 * padding) / stride + 1)
parameters = lambda in_channels, out_channels, kernel, bias=True: (kernel ** 2 * in_channels + (1 if bias else 0)) * out_channels
receptive_field = lambda layers: reduce(lambda s, l: (s[0] + (l[0] - 1) * s[1], s[1] * l[1]), layers, (1, 1))[0]


# %% 2.3 a
# Exercise 2.3
# what: straight as the formula, running tensors by [:] =
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    """Return y, a tensor (N, C, H, W) like x."""
    if training:
        mean = x.mean(dim=(0, 2, 3))
        var = x.var(dim=(0, 2, 3), unbiased=False)
        running_mean[:] = (1 - momentum) * running_mean + momentum * mean
        running_var[:] = (1 - momentum) * running_var + momentum * x.var(dim=(0, 2, 3))
    else:
        mean, var = running_mean, running_var
    shape = (1, -1, 1, 1)
    normal = (x - mean.view(shape)) / (var.view(shape) + eps).sqrt()
    return gamma.view(shape) * normal + beta.view(shape)


# %% 2.3 b
# Exercise 2.3
# what: in-place methods under no_grad, lerp_, n/(n-1) by hand
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    mu, s2 = running_mean.clone(), running_var.clone()
    if training:
        n = x.numel() // x.size(1)
        mu = x.sum((0, 2, 3)) / n
        s2 = ((x - mu[:, None, None]) ** 2).sum((0, 2, 3)) / n
        with torch.no_grad():
            running_mean.lerp_(mu, momentum)
            running_var.lerp_(s2 * n / (n - 1), momentum)
    scale = gamma / torch.sqrt(s2 + eps)
    shift = beta - mu * scale
    return x * scale[None, :, None, None] + shift[None, :, None, None]


# %% 2.3 c
# Exercise 2.3
# what: a loop over the channels, correction= in place of unbiased=
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    y = torch.empty_like(x)
    for c in range(x.shape[1]):
        values = x[:, c]
        if training:
            mu, sigma2 = values.mean(), values.var(correction=0)
            running_mean[c] += momentum * (mu - running_mean[c])
            running_var[c] += momentum * (values.var(correction=1) - running_var[c])
        else:
            mu, sigma2 = running_mean[c], running_var[c]
        y[:, c] = gamma[c] * (values - mu) / torch.sqrt(sigma2 + eps) + beta[c]
    return y


# %% 2.3 d
# Exercise 2.3
# what: channels moved to the last place, so that (C,) fits by itself
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    z = x.permute(0, 2, 3, 1)
    if training:
        flat = z.reshape(-1, x.shape[1])
        var, mean = torch.var_mean(flat, dim=0, unbiased=False)
        count = len(flat)
        running_mean.mul_(1 - momentum).add_(mean, alpha=momentum)
        running_var.mul_(1 - momentum).add_(var, alpha=momentum * count / (count - 1))
    else:
        mean, var = running_mean, running_var
    y = (z - mean) * torch.rsqrt(var + eps) * gamma + beta
    return y.permute(0, 3, 1, 2)


# %% 2.3 e
# Exercise 2.3
# what: NumPy inside, copy_ for the running tensors, an array comes back
import numpy as np


def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    a = x.detach().numpy()
    g, b = (v.detach().numpy().reshape(1, -1, 1, 1) for v in (gamma, beta))
    m, v = running_mean.numpy().copy(), running_var.numpy().copy()
    if training:
        m, v = a.mean((0, 2, 3)), a.var((0, 2, 3))
        running_mean.copy_(running_mean * (1 - momentum) + momentum * torch.from_numpy(m))
        unbiased = torch.from_numpy(a.var((0, 2, 3), ddof=1))
        running_var.copy_(running_var * (1 - momentum) + momentum * unbiased)
    m, v = m.reshape(1, -1, 1, 1), v.reshape(1, -1, 1, 1)
    return g * (a - m) / np.sqrt(v + eps) + b


# %% 2.3 f
# Exercise 2.3
# what: einsum for the sums, a class with a helper, E[x²] avoided
class _Norm:
    def __init__(self, eps):
        self.eps = eps

    def __call__(self, x, g, b, m, v):
        g, b, m, v = (q.reshape(1, x.size(1), 1, 1) for q in (g, b, m, v))
        return g * ((x - m) / (v + self.eps) ** 0.5) + b


def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    norm = _Norm(eps)
    if not training:
        return norm(x, gamma, beta, running_mean, running_var)
    n = x.shape[0] * x.shape[2] * x.shape[3]
    m = torch.einsum("nchw->c", x) / n
    d = x - m.reshape(1, -1, 1, 1)
    v = torch.einsum("nchw,nchw->c", d, d) / n
    y = norm(x, gamma, beta, m, v)
    running_mean -= momentum * (running_mean - m)
    running_var -= momentum * (running_var - v * (n / (n - 1)))
    return y


# %% 2.4 a
# Exercise 2.4
# what: the loop body of the lesson, with model.train() in front
def train_step(model, images, targets, optimizer):
    """Change the model by one step of the optimizer, and return the loss as a float."""
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(images), targets)
    loss.backward()
    optimizer.step()
    return loss.item()


# %% 2.4 b
# Exercise 2.4
# what: cross-entropy by hand from log_softmax, gradients removed from the model
def train_step(model, images, targets, optimizer):
    model.train()
    for p in model.parameters():
        p.grad = None
    z = model(images)
    logp = z - z.logsumexp(dim=1, keepdim=True)
    loss = -logp[torch.arange(len(targets)), targets].mean()
    loss.backward()
    optimizer.step()
    return float(loss)


# %% 2.4 c
# Exercise 2.4
# what: a closure for optimizer.step
def train_step(model, images, targets, optimizer):
    model.train(True)
    criterion = nn.CrossEntropyLoss()

    def closure():
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(model(images), targets)
        loss.backward()
        return loss

    return optimizer.step(closure).item()


# %% 2.4 d
# Exercise 2.4
# what: torch.autograd.grad, the gradients put into .grad by hand
def train_step(model, images, targets, optimizer):
    model = model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    loss = F.nll_loss(F.log_softmax(model(images), 1), targets)
    for p, g in zip(parameters, torch.autograd.grad(loss, parameters)):
        p.grad = g
    optimizer.step()
    return loss.detach().numpy().item()


# %% 2.4 e
# Exercise 2.4
# what: forward and loss first, zero_grad between loss and backward, as in section 4.1; type hints
import torch
from torch import nn


def train_step(model: nn.Module, images: torch.Tensor, targets: torch.Tensor,
               optimizer: torch.optim.Optimizer) -> float:
    model.train()
    logits = model(images)
    losses = F.cross_entropy(logits, targets, reduction="none")
    loss = losses.sum() / losses.shape[0]
    optimizer.zero_grad()
    loss.backward()
    value = loss.detach().tolist()
    optimizer.step()
    return value


# %% 2.6 a
# Exercise 2.6
# what: sum over all results at least as far from one half; claims 2 and 4
def mcnemar(right_a, right_b):
    """Return the exact two-sided p-value, a number from 0 to 1."""
    only_a = int((right_a & ~right_b).sum())
    only_b = int((right_b & ~right_a).sum())
    n = only_a + only_b
    found = abs(2 * only_a - n)
    return sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= found) / 2**n


supported = [2, 4]


# %% 2.6 b
# Exercise 2.6
# what: twice the smaller tail, at most 1, with Fractions
from fractions import Fraction


def mcnemar(right_a, right_b):
    a = sum(1 for x, y in zip(right_a.tolist(), right_b.tolist()) if x and not y)
    b = sum(1 for x, y in zip(right_a.tolist(), right_b.tolist()) if y and not x)
    if a + b == 0:
        return 1.0
    tail = Fraction(sum(comb(a + b, k) for k in range(min(a, b) + 1)), 2 ** (a + b))
    return float(min(1, 2 * tail))


supported = [2, 4]


# %% 2.6 c
# Exercise 2.6
# what: the distribution is built by tossing coin after coin in NumPy (Pascal's triangle with halves)
import numpy as np


def mcnemar(right_a, right_b):
    a, b = np.array(right_a, dtype=int), np.array(right_b, dtype=int)
    difference = a - b
    heads, n = int((difference == 1).sum()), int((difference != 0).sum())
    P = np.array([1.0])
    for _ in range(n):
        P = np.concatenate([P / 2, [0.0]]) + np.concatenate([[0.0], P / 2])
    distance = np.abs(np.arange(n + 1) - n / 2)
    return P[distance >= abs(heads - n / 2)].sum()


supported = list((4, 2))


# %% 2.6 d
# Exercise 2.6
# what: logarithms with lgamma, a 0-d tensor comes back
from math import lgamma


def mcnemar(right_a, right_b):
    n = int((right_a != right_b).sum())
    k = int((right_a > right_b).sum())
    low = min(k, n - k)
    logs = [lgamma(n + 1) - lgamma(j + 1) - lgamma(n - j + 1) - n * log2() for j in range(low + 1)]
    return torch.tensor(min(1.0, 2 * sum(_exp(x) for x in logs)))


def log2():
    from math import log

    return log(2)


def _exp(x):
    from math import exp

    return exp(x)


supported = [number for number in range(1, 7) if number in (2, 4)]


# %% 2.6 e
# Exercise 2.6
# what: term after term by the ratio of neighbours, all in whole numbers; supported from the p-values as a list
def mcnemar(right_a, right_b):
    table = torch.zeros(2, 2, dtype=torch.long)
    for a in (0, 1):
        for b in (0, 1):
            table[a, b] = ((right_a == bool(a)) & (right_b == bool(b))).sum()
    m, k = table[0, 1].item(), table[1, 0].item()
    n, small = m + k, min(m, k)
    if m == k:
        return 1
    ways = total = 1
    for j in range(small):
        ways = ways * (n - j) // (j + 1)
        total += ways
    return total / 2 ** (n - 1)


supported = []
supported += [2]
supported.append(4)
