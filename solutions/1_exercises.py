# %% [markdown]
# Answers to the exercises of lesson 1, one part an exercise. No part needs another one, only
# `exp`, which the notebook imports. There are other right answers: the checks accept them all.

from math import exp


# %% 1.1
# The order is the one in which the numbers flow: each line uses only what stands above it.
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
    return h1, a_h1, h2, a_h2, o1, a_o1, o2, a_o2


# %% 1.2
# The half stands in each term: it cancels the 2 when the square is differentiated.
def loss(outputs, targets):
    return sum((t - a) ** 2 / 2 for a, t in zip(outputs, targets))


# %% 1.3
# Each step moves a copy, so nothing has to be moved back. Larger steps are off because the
# function is curved, smaller ones because the two losses are nearly equal and their last
# digits are rounded. In 32 bits there are fewer digits, so the best step is much larger.
def numerical_gradient(f, weights, epsilon=1e-5):
    gradient = []
    for k in range(len(weights)):
        larger, smaller = list(weights), list(weights)
        larger[k] += epsilon
        smaller[k] -= epsilon
        gradient.append((f(larger) - f(smaller)) / (2 * epsilon))
    return gradient


best_epsilon = 0.02


# %% 1.4
# A delta is what comes back to a neuron, times the slope of its sigmoid. Then each gradient
# is one product: the delta of the neuron that the weight enters, times what the weight was
# multiplied with.
def sigmoid(x):
    return 1 / (1 + exp(-x))


def backward(inputs, targets, weights):
    (i1, i2), (t1, t2) = inputs, targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    a_h1 = sigmoid(w1 * i1 + w2 * i2)
    a_h2 = sigmoid(w3 * i1 + w4 * i2)
    a_o1 = sigmoid(w5 * a_h1 + w6 * a_h2)
    a_o2 = sigmoid(w7 * a_h1 + w8 * a_h2)
    delta_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    delta_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    delta_h1 = (delta_o1 * w5 + delta_o2 * w7) * a_h1 * (1 - a_h1)
    delta_h2 = (delta_o1 * w6 + delta_o2 * w8) * a_h2 * (1 - a_h2)
    hidden = [delta_h1 * i1, delta_h1 * i2, delta_h2 * i1, delta_h2 * i2]
    return hidden + [delta_o1 * a_h1, delta_o1 * a_h2, delta_o2 * a_h1, delta_o2 * a_h2]


# %% 1.5
# E is kept before the update, so that the first one belongs to the given weights. A new
# list of weights is made only when all gradients are known.
def sigmoid(x):
    return 1 / (1 + exp(-x))


def step(inputs, targets, weights):
    """E, and the eight gradients."""
    (i1, i2), (t1, t2) = inputs, targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    a_h1, a_h2 = sigmoid(w1 * i1 + w2 * i2), sigmoid(w3 * i1 + w4 * i2)
    a_o1, a_o2 = sigmoid(w5 * a_h1 + w6 * a_h2), sigmoid(w7 * a_h1 + w8 * a_h2)
    d_o1, d_o2 = (a_o1 - t1) * a_o1 * (1 - a_o1), (a_o2 - t2) * a_o2 * (1 - a_o2)
    d_h1 = (d_o1 * w5 + d_o2 * w7) * a_h1 * (1 - a_h1)
    d_h2 = (d_o1 * w6 + d_o2 * w8) * a_h2 * (1 - a_h2)
    gradients = [d_h1 * i1, d_h1 * i2, d_h2 * i1, d_h2 * i2]
    gradients += [d_o1 * a_h1, d_o1 * a_h2, d_o2 * a_h1, d_o2 * a_h2]
    return (t1 - a_o1) ** 2 / 2 + (t2 - a_o2) ** 2 / 2, gradients


def train(inputs, targets, weights, learning_rate, epochs):
    losses = []
    for _ in range(epochs):
        E, gradients = step(inputs, targets, weights)
        losses.append(E)
        weights = [w - learning_rate * gradient for w, gradient in zip(weights, gradients)]
    return losses


# %% 1.6
# Only a gradient check tells which one is right: A, B and D agree in six gradients, and no
# two of them in ∂E/∂w1 and ∂E/∂w2. These two share δ_h1. A is right when w1 = w3 and w2 = w4,
# so that a_h1 = a_h2: it has a_h2 in the slope. D is right when w7 = 0: it has no term with w7.
# In C, ∂E/∂w5 and ∂E/∂w6 are off by one factor, a_h1·(1 − a_h1) by a_o1·(1 − a_o1).
right = "B"
mistakes = {"A": 4, "C": 8, "D": 1}


# %% 1.7
# A bias is a weight whose input is always 1. So its gradient is the delta of its neuron.
def sigmoid(x):
    return 1 / (1 + exp(-x))


def backward_with_biases(inputs, targets, weights, biases):
    (i1, i2), (t1, t2) = inputs, targets
    w1, w2, w3, w4, w5, w6, w7, w8 = weights
    b_h1, b_h2, b_o1, b_o2 = biases
    a_h1 = sigmoid(w1 * i1 + w2 * i2 + b_h1)
    a_h2 = sigmoid(w3 * i1 + w4 * i2 + b_h2)
    a_o1 = sigmoid(w5 * a_h1 + w6 * a_h2 + b_o1)
    a_o2 = sigmoid(w7 * a_h1 + w8 * a_h2 + b_o2)
    delta_o1 = (a_o1 - t1) * a_o1 * (1 - a_o1)
    delta_o2 = (a_o2 - t2) * a_o2 * (1 - a_o2)
    delta_h1 = (delta_o1 * w5 + delta_o2 * w7) * a_h1 * (1 - a_h1)
    delta_h2 = (delta_o1 * w6 + delta_o2 * w8) * a_h2 * (1 - a_h2)
    of_weights = [delta_h1 * i1, delta_h1 * i2, delta_h2 * i1, delta_h2 * i2]
    of_weights += [delta_o1 * a_h1, delta_o1 * a_h2, delta_o2 * a_h1, delta_o2 * a_h2]
    of_biases = [delta_h1, delta_h2, delta_o1, delta_o2]
    return of_weights, of_biases


# %% 1.8
# The loss is log Σ exp(z) − z_target. The first part has the derivative exp(z_k) / Σ exp(z),
# which is softmax; the second takes 1 away at the target. Subtracting the largest logit
# changes no quotient, and keeps exp from overflowing.
def softmax_cross_entropy_gradient(logits, target):
    largest = max(logits)
    powers = [exp(z - largest) for z in logits]
    gradient = [power / sum(powers) for power in powers]
    gradient[target] -= 1
    return gradient
