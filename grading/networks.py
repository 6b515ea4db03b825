"""Random networks on which answers of lesson 1 are tried, and all their right numbers.

The numbers come from PyTorch in float64: a forward pass in matrices, differentiated by
autograd. Nothing of `backprop.py` is used, so an error there would be seen.
"""

from typing import NamedTuple

import numpy as np
import torch

FORWARD = ("h1", "a_h1", "h2", "a_h2", "o1", "a_o1", "o2", "a_o2")
WEIGHTS = tuple(f"∂E/∂w{k}" for k in range(1, 9))
BIASES = ("∂E/∂b_h1", "∂E/∂b_h2", "∂E/∂b_o1", "∂E/∂b_o2")

# No number of a random network is smaller than this. So float32 has enough digits for each,
# and a mistake in any factor shows.
SMALLEST = 3e-3


class Network(NamedTuple):
    """A network as the exercises have it.

    Attributes:
        inputs, targets: two numbers each.
        weights: w1 to w8.
        biases: b_h1, b_h2, b_o1, b_o2.
    """

    inputs: tuple
    targets: tuple
    weights: tuple
    biases: tuple = (0.0, 0.0, 0.0, 0.0)


# The network of M. Mazur, A step by step backpropagation example, 2015.
MAZUR = Network(
    inputs=(0.05, 0.10),
    targets=(0.01, 0.99),
    weights=(0.15, 0.20, 0.25, 0.30, 0.40, 0.45, 0.50, 0.55),
    biases=(0.35, 0.35, 0.60, 0.60),
)


def right_numbers(networks):
    """Everything that can be asked of some networks.

    Returns:
        A dict, name → float64 array with a number for each network: t1, t2, i1, i2, w1 …
        w8, b_h1 … b_o2, the names of `FORWARD`, E1, E2, E_total, δ_h1 … δ_o2, and those of
        `WEIGHTS` and `BIASES`.
    """
    columns = zip(*networks)
    i, t, w, b = (torch.tensor(column, dtype=torch.float64) for column in columns)
    w.requires_grad_()
    b.requires_grad_()
    hidden_weights, output_weights = w.unflatten(1, (2, 2, 2)).unbind(1)
    h = torch.einsum("nji,ni->nj", hidden_weights, i) + b[:, :2]
    a_h = torch.sigmoid(h)
    o = torch.einsum("nji,ni->nj", output_weights, a_h) + b[:, 2:]
    a_o = torch.sigmoid(o)
    E = (t - a_o) ** 2 / 2
    slopes = torch.autograd.grad(E.sum(), (w, b))
    forward = torch.stack([h, a_h, o, a_o], 2)  # network, neuron, …
    forward = torch.cat([forward[:, :, :2].flatten(1), forward[:, :, 2:].flatten(1)], 1)
    neurons = ("h1", "h2", "o1", "o2")
    names = ("t1", "t2", "i1", "i2", *(f"w{k}" for k in range(1, 9)), *(f"b_{n}" for n in neurons))
    names += (*FORWARD, "E1", "E2", "E_total", *WEIGHTS, *BIASES, *(f"δ_{n}" for n in neurons))
    parts = (t, i, w, b, forward, E, E.sum(1, keepdim=True), *slopes, slopes[1])
    values = torch.cat(parts, 1).detach().numpy()
    return dict(zip(names, values.T))


def random_networks(count, seed=None, biases=False):
    """Networks with numbers of one decimal, which a student can type.

    Args:
        seed: the same networks for the same seed; others each time for None.
        biases: with biases, or with four zeros.
    """
    rng = np.random.default_rng(seed)

    def draw(shape, low, high):
        return rng.integers(low, high, shape, endpoint=True) / 10

    chosen = []
    while len(chosen) < count:
        shapes = ((2, -20, 20), (2, 0, 10), (8, -20, 20), (4, -10, 10))
        columns = [draw((100, size), low, high) for size, low, high in shapes[: 3 + biases]]
        drawn = [Network(*(tuple(part.tolist()) for part in row)) for row in zip(*columns)]
        values = right_numbers(drawn)
        sizes = [abs(values[name]) for name in values if name[0] != "t" and name[0] != "b"]
        chosen += [
            network
            for network, size in zip(drawn, np.min(sizes, 0))
            if size >= SMALLEST and len({*network.inputs}) == len({*network.targets}) == 2
        ]
    return chosen[:count]
