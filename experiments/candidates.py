"""Networks that the search for the record tried, each written as a short text.

"16k5M 24 24 24 24" is `model.Net`: a 5×5 convolution with 16 channels and a max pool after
it, then four 3×3 convolutions with 24 channels. A word is a convolution: its channels, and
then any of these letters:

    k5  kernel size 5×5; 3×3 if there is no k
    p   padding, so that the map keeps its size
    M   max pool 2 after the convolution, before batch normalisation; after the sum, with r
    d   depthwise separable: a padded convolution of each channel for itself, batch
        normalisation, activation, then a 1×1 convolution (Chollet, CVPR 2017)
    r   residual: what went in is added to what comes out (He and others, CVPR 2016)
    s   squeeze and excitation: each channel is scaled by a number from 0 to 1 that depends
        on all channels' averages (Hu and others, CVPR 2018)

Batch normalisation and activation follow each; global average pooling, dropout and a fully
connected layer end every network. The one that was chosen has a class in `model.py`.
"""

import re
import sys
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from model import DigitNet, global_average_pool

ACTIVATIONS = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU}
WORD = re.compile(r"(\d+)(?:k(\d+))?([pMdrs]*)")


class Residual(nn.Module):
    """The sum of what goes in and what the layers make of it."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, values):
        return values + self.layers(values)


class SqueezeExcitation(nn.Module):
    """Scale each channel by a number from 0 to 1, computed from all channels' averages."""

    def __init__(self, channels, squeezed=4):
        super().__init__()
        self.squeeze, self.excite = nn.Linear(channels, squeezed), nn.Linear(squeezed, channels)

    def forward(self, values):
        scale = torch.sigmoid(self.excite(torch.relu(self.squeeze(values.mean((2, 3))))))
        return values * scale[:, :, None, None]


def convolution(word, before, activation):
    """The layers of one word, and the number of channels that come out."""
    match = WORD.fullmatch(word)
    if match is None:
        raise ValueError(f"{word!r} is no convolution: write channels, then k5, p, M, d, r or s")
    after, kernel, letters = int(match[1]), int(match[2] or 3), match[3]
    padding = kernel // 2 if "p" in letters or "d" in letters else 0
    if "d" in letters:
        depthwise = nn.Conv2d(before, before, kernel, padding=padding, groups=before, bias=False)
        layers = [depthwise, nn.BatchNorm2d(before), activation()]
        layers.append(nn.Conv2d(before, after, 1, bias=False))
    else:
        layers = [nn.Conv2d(before, after, kernel, padding=padding, bias=False)]
    pool = [nn.MaxPool2d(2)] if "M" in letters else []
    rest = [nn.BatchNorm2d(after)]
    if "s" in letters:
        rest.append(SqueezeExcitation(after))
    if "r" in letters:
        return [Residual(*layers, *rest), *pool, activation()], after
    return [*layers, *pool, *rest, activation()], after


def candidate(text, activation="relu", dropout=0.0):
    """Make a network from its text."""
    layers, channels = [], 1
    for word in text.split():
        made, channels = convolution(word, channels, ACTIVATIONS[activation])
        layers += made
    return DigitNet(*layers, *global_average_pool(), nn.Dropout(dropout), nn.Linear(channels, 10))


def load_trained(networks):
    """Load weights into networks: one network, or the `Average` of several.

    Args:
        networks: path of the weights → an untrained network.
    """
    for path, network in networks.items():
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return next(iter(networks.values())) if len(networks) == 1 else Average(*networks.values())


class Average(nn.Module):
    """Several networks as one: the mean of their logits."""

    def __init__(self, *networks):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, images):
        return torch.stack([network(images) for network in self.networks]).mean(0)
