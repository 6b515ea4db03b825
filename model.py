"""Lesson 2: small CNNs for MNIST, ours and five published ones.

Every network takes images of shape (N, 1, 28, 28) and returns logits of shape (N, 10):
scores before the softmax, one a class. `build` makes a network by its name, `summary`
describes one layer by layer. `utils.py` trains them.

In the tables, RF is the receptive field: one value of that layer depends on a square of
RF×RF input pixels. Parameters include biases, which the published convolutions have.
"""

import pandas as pd
import torch
from torch import nn


def conv(in_channels, out_channels, kernel_size=3, padding=0, then="", dropout=0.0, bias=True):
    """A convolution and what follows it, as a list of layers.

    `then` names the layers in order: "relu", "bn", "pool" and "dropout", separated by spaces.
    """
    layers = [nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, bias=bias)]
    for name in then.split():
        if name == "relu":
            layers.append(nn.ReLU(inplace=True))
        elif name == "bn":
            layers.append(nn.BatchNorm2d(out_channels))
        elif name == "pool":
            layers.append(nn.MaxPool2d(2))
        elif name == "dropout":
            layers.append(nn.Dropout(dropout))
        else:
            raise ValueError(f"unknown layer {name!r}: use relu, bn, pool or dropout")
    return layers


def global_average_pool():
    """Average each channel's map to one number: (N, C, H, W) to (N, C)."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten()]


class DigitNet(nn.Module):
    """What all networks share: a stack of layers, and a check of what goes in."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, images):
        """Map images (N, 1, 28, 28) to logits (N, 10); ValueError for another shape."""
        if images.ndim != 4 or images.shape[1:] != (1, 28, 28):
            raise ValueError(
                f"{type(self).__name__} takes images of shape (N, 1, 28, 28), not "
                f"{tuple(images.shape)}; a single image needs image.view(1, 1, 28, 28)"
            )
        return self.layers(images)


class Net(DigitNet):
    """Ours: batch normalisation, dropout, global average pooling, fully connected.

    | layer                       | output  | RF | parameters |
    |-----------------------------|---------|----|------------|
    | 5×5, 16                     | 24×24   |  5 |        400 |
    | max pool 2, BN, ReLU        | 12×12   |  6 |         32 |
    | 3×3, 24, BN, ReLU           | 10×10   | 10 |      3,504 |
    | 3×3, 24, BN, ReLU           | 8×8     | 14 |      5,232 |
    | 3×3, 24, BN, ReLU           | 6×6     | 18 |      5,232 |
    | 3×3, 24, BN, ReLU           | 4×4     | 22 |      5,232 |
    | global average pool, dropout| 24      | 28 |            |
    | fully connected             | 10      |    |        250 |

    19,882 parameters. The convolutions have no biases: batch normalisation would subtract
    them again. Pooling before the first ReLU leaves it a quarter of the work. Chosen, like
    its recipe, on held-out training images: see experiments/search.py.

    Args:
        channels: those of the 5×5 convolution and of each 3×3 one after it.
        dropout: the share of the averaged channels that is set to zero while training.
    """

    def __init__(self, channels=(16, 24, 24, 24, 24), dropout=0.05):
        layers = conv(1, channels[0], 5, then="pool bn relu", bias=False)
        for before, after in zip(channels, channels[1:]):
            layers += conv(before, after, then="bn relu", bias=False)
        layers += [*global_average_pool(), nn.Dropout(dropout), nn.Linear(channels[-1], 10)]
        super().__init__(*layers)


class TinyNet(Net):
    """`Net` with fewer channels: 7,904 parameters."""

    def __init__(self):
        super().__init__(channels=(10, 14, 14, 16, 16))


class Teacher(Net):
    """A large `Net` that others learn from: 293,338 parameters. See notebook 4."""

    def __init__(self, dropout=0.2):
        super().__init__((48, 96, 96, 96, 96), dropout)


class RecordNet(DigitNet):
    """The most accurate of ours: 19,810 parameters.

    | layer                       | output  | RF | parameters |
    |-----------------------------|---------|----|------------|
    | 3×3, 8, BN, ReLU            | 28×28   |  3 |         88 |
    | 3×3, 16                     | 26×26   |  5 |      1,152 |
    | max pool 2, BN, ReLU        | 13×13   |  6 |         32 |
    | 3×3, 24, BN, ReLU           | 11×11   | 10 |      3,504 |
    | 3×3, 24, BN, ReLU           | 9×9     | 14 |      5,232 |
    | 3×3, 24, BN, ReLU           | 7×7     | 18 |      5,232 |
    | 3×3, 20, BN, ReLU           | 5×5     | 22 |      4,360 |
    | global average pool         | 20      | 30 |            |
    | fully connected             | 10      |    |        210 |

    Two 3×3 convolutions, the first with padding 1, in place of the 5×5 one of `Net`
    (Simonyan and Zisserman, 2015). Chosen, like its recipe, on held-out training images:
    see experiments/variants.py.

    Args:
        channels: those of the convolutions in order.
    """

    def __init__(self, channels=(8, 16, 24, 24, 24, 20)):
        first, second = channels[:2]
        layers = conv(1, first, padding=1, then="bn relu", bias=False)
        layers += conv(first, second, then="pool bn relu", bias=False)
        for before, after in zip(channels[1:], channels[2:]):
            layers += conv(before, after, then="bn relu", bias=False)
        super().__init__(*layers, *global_average_pool(), nn.Linear(channels[-1], 10))


class TinyRecordNet(RecordNet):
    """`RecordNet` with fewer channels: 7,790 parameters."""

    def __init__(self, channels=(8, 8, 14, 14, 15, 16)):
        super().__init__(channels)


class FastNet(DigitNet):
    """For short training times: 19,194 parameters, an epoch in about half the time of `Net`.

    | layer                        | output  | RF | parameters |
    |------------------------------|---------|----|------------|
    | 5×5, 16                      | 24×24   |  5 |        400 |
    | max pool 2, BN, ReLU         | 12×12   |  6 |         32 |
    | 3×3, 32                      | 10×10   | 10 |      4,608 |
    | max pool 2, BN, ReLU         | 5×5     | 12 |         64 |
    | 3×3, 32, BN, ReLU            | 3×3     | 20 |      9,280 |
    | 3×3, 16, BN, ReLU            | 1×1     | 28 |      4,640 |
    | fully connected              | 10      |    |        170 |

    Two max pools shrink the maps early. All numbers of channels are multiples of 16, to fill
    the vector registers of the CPU.

    Args:
        first: channels of the first convolution, which does most of the work.
    """

    def __init__(self, first=16):
        super().__init__(
            *conv(1, first, 5, then="pool bn relu", bias=False),
            *conv(first, 32, then="pool bn relu", bias=False),
            *conv(32, 32, then="bn relu", bias=False),
            *conv(32, 16, then="bn relu", bias=False),
            *global_average_pool(),
            nn.Linear(16, 10),
        )


class SprintNet(FastNet):
    """`FastNet` with half of the first convolution: 16,674 parameters."""

    def __init__(self):
        super().__init__(first=8)


class NetA(DigitNet):
    """Published, 18,114 parameters: 99.40 to 99.45 % in 20 epochs, batch 512.

    No public source with this number of parameters was found again.

    | layer                                   | output | RF | parameters |
    |-----------------------------------------|--------|----|------------|
    | 3×3, 10                                 | 26×26  |  3 |        120 |
    | 3×3, 16                                 | 24×24  |  5 |      1,488 |
    | 3×3, 32                                 | 22×22  |  7 |      4,704 |
    | max pool 2                              | 11×11  |  8 |            |
    | 1×1, 10                                 | 11×11  |  8 |        350 |
    | 3×3, 16                                 | 9×9    | 12 |      1,488 |
    | 3×3, 32                                 | 7×7    | 16 |      4,704 |
    | 1×1, 10                                 | 7×7    | 16 |        350 |
    | 7×7, 10, with nothing after it          | 1×1    | 28 |      4,910 |

    Each convolution but the last is followed by ReLU, batch norm and dropout 0.1.
    """

    def __init__(self):
        after = {"then": "relu bn dropout", "dropout": 0.1}
        super().__init__(
            *conv(1, 10, **after),
            *conv(10, 16, **after),
            *conv(16, 32, **after),
            nn.MaxPool2d(2),
            *conv(32, 10, 1, **after),
            *conv(10, 16, **after),
            *conv(16, 32, **after),
            *conv(32, 10, 1, **after),
            *conv(10, 10, 7),
            nn.Flatten(),
        )


class NetB(DigitNet):
    """Published, 15,544 parameters: 99.51 % in the best of 19 epochs, 99.44 % in the last.

    Source: session 6 of github.com/TharunSivamani/ERA-V1.

    | layer                                   | output | RF | parameters |
    |-----------------------------------------|--------|----|------------|
    | 3×3, 16; 3×3, 16                        | 28×28  |  5 |      2,544 |
    | max pool 2, dropout 0.25                | 14×14  |  6 |            |
    | 3×3, 16; 3×3, 16                        | 14×14  | 14 |      4,704 |
    | max pool 2, dropout 0.25                | 7×7    | 16 |            |
    | 3×3, 16; 3×3, 32                        | 7×7    | 32 |      7,056 |
    | max pool 2, dropout 0.25                | 3×3    | 36 |            |
    | 1×1, 10                                 | 3×3    | 36 |        330 |
    | fully connected, 90 to 10               | 10     |    |        910 |

    Each 3×3 has padding 1 and is followed by ReLU and batch norm.
    """

    def __init__(self):
        def block(in_channels, middle, out_channels):
            return [
                *conv(in_channels, middle, padding=1, then="relu bn"),
                *conv(middle, out_channels, padding=1, then="relu bn"),
                nn.MaxPool2d(2),
                nn.Dropout(0.25),
            ]

        super().__init__(
            *block(1, 16, 16),
            *block(16, 16, 16),
            *block(16, 16, 32),
            *conv(32, 10, 1),
            nn.Flatten(),
            nn.Linear(90, 10),
        )


class NetC(DigitNet):
    """Published, 19,210 parameters: 99.60 % in the best of 19 epochs, 99.54 % in the last.

    Source: github.com/Sualeh77/ERAV1_S6, found after our runs were made.

    | layer                                   | output | RF | parameters |
    |-----------------------------------------|--------|----|------------|
    | 3×3, 16, ReLU, dropout, BN              | 28×28  |  3 |        192 |
    | 3×3, 16, ReLU, dropout, BN              | 28×28  |  5 |      2,352 |
    | 3×3, 16, ReLU                           | 28×28  |  7 |      2,320 |
    | max pool 2                              | 14×14  |  8 |            |
    | 3×3, 16, ReLU, dropout, BN              | 12×12  | 12 |      2,352 |
    | 3×3, 16, ReLU, dropout, BN              | 10×10  | 16 |      2,352 |
    | 3×3, 16, ReLU, BN                       | 8×8    | 20 |      2,352 |
    | 3×3, 16, ReLU                           | 6×6    | 24 |      2,320 |
    | 3×3, 32                                 | 4×4    | 28 |      4,640 |
    | 1×1, 10                                 | 4×4    | 28 |        330 |
    | average pool 4                          | 1×1    | 34 |            |

    The first three have padding 1. Dropout 0.1 was our guess; in the source it is 0.02 in
    the first three layers with dropout, and 0.01 in the last.
    """

    def __init__(self):
        after = {"then": "relu dropout bn", "dropout": 0.1}
        super().__init__(
            *conv(1, 16, padding=1, **after),
            *conv(16, 16, padding=1, **after),
            *conv(16, 16, padding=1, then="relu"),
            nn.MaxPool2d(2),
            *conv(16, 16, **after),
            *conv(16, 16, **after),
            *conv(16, 16, then="relu bn"),
            *conv(16, 16, then="relu"),
            *conv(16, 32),
            *conv(32, 10, 1),
            nn.AvgPool2d(4),
            nn.Flatten(),
        )


class NetD(DigitNet):
    """Published, 17,962 parameters: 99.48 % in the best of 19 epochs, 99.39 % in the last.

    Source: session 4 of github.com/abhyuditjain/eva-8.

    | layer                                   | output | RF | parameters |
    |-----------------------------------------|--------|----|------------|
    | 5×5, 32                                 | 24×24  |  5 |        896 |
    | 3×3, 16                                 | 22×22  |  7 |      4,656 |
    | max pool 2, dropout 0.1                 | 11×11  |  8 |            |
    | 3×3, 16                                 | 9×9    | 12 |      2,352 |
    | 3×3, 64                                 | 7×7    | 16 |      9,408 |
    | global average pool, dropout 0.1        | 64     | 28 |            |
    | fully connected                         | 10     |    |        650 |

    Each convolution is followed by ReLU and batch norm.
    """

    def __init__(self):
        super().__init__(
            *conv(1, 32, 5, then="relu bn"),
            *conv(32, 16, then="relu bn"),
            nn.MaxPool2d(2),
            nn.Dropout(0.1),
            *conv(16, 16, then="relu bn"),
            *conv(16, 64, then="relu bn"),
            *global_average_pool(),
            nn.Dropout(0.1),
            nn.Linear(64, 10),
        )


class NetE(DigitNet):
    """A reconstruction of a network described in words: 19,816 parameters, 99.43 %, 14 epochs.

    Its source, session 4 of github.com/lavanyanemani96/TSAI-EVA-7.0, was found after our runs
    were made. It has the same number of parameters in another order: 3×3 with 16, 16 and 32
    channels, 1×1 with 16, max pool, six 3×3 with 16, 1×1 with 10, average pool, fully connected.

    | layer                                   | output | RF | parameters |
    |-----------------------------------------|--------|----|------------|
    | 3×3, 16; 3×3, 32                        | 28×28  |  5 |      4,896 |
    | max pool 2, dropout 0.1; 1×1, 16        | 14×14  |  6 |        528 |
    | 3×3, 16; 3×3, 16, unpadded              | 10×10  | 14 |      4,704 |
    | max pool 2, dropout 0.1                 | 5×5    | 16 |            |
    | 3×3, 16; 3×3, 16; dropout 0.1           | 5×5    | 32 |      4,704 |
    | 3×3, 16; 3×3, 16; 1×1, 10               | 5×5    | 48 |      4,874 |
    | global average pool                     | 10     | 64 |            |
    | fully connected                         | 10     |    |        110 |

    Each 3×3 is followed by ReLU and batch norm; its padding is 1 unless the table says
    unpadded. The description: four blocks, 32 channels in the first only, 1×1 to reduce, no
    pooling or dropout in the last, global average pooling on 5×5, the number of parameters,
    batch 128. Our guesses: where the pools are, the padding, and the dropout.
    """

    def __init__(self):
        after = {"then": "relu bn"}
        super().__init__(
            *conv(1, 16, padding=1, **after),
            *conv(16, 32, padding=1, **after),
            nn.MaxPool2d(2),
            nn.Dropout(0.1),
            *conv(32, 16, 1),
            *conv(16, 16, **after),
            *conv(16, 16, **after),
            nn.MaxPool2d(2),
            nn.Dropout(0.1),
            *conv(16, 16, padding=1, **after),
            *conv(16, 16, padding=1, **after),
            nn.Dropout(0.1),
            *conv(16, 16, padding=1, **after),
            *conv(16, 16, padding=1, **after),
            *conv(16, 10, 1),
            *global_average_pool(),
            nn.Linear(10, 10),
        )


NETWORKS = {
    "Net": Net, "TinyNet": TinyNet, "FastNet": FastNet,
    "RecordNet": RecordNet, "TinyRecordNet": TinyRecordNet, "SprintNet": SprintNet,
    "Teacher": Teacher,
    "A": NetA, "B": NetB, "C": NetC, "D": NetD, "E": NetE,
}  # fmt: skip


# The accuracy that was reported for a published network, in percent of the test set: the
# best where several were reported.
PUBLISHED_ACCURACY = {"A": 99.45, "B": 99.51, "C": 99.60, "D": 99.48, "E": 99.43}

# Which of our recipes each network is trained with, by its name in `utils.RECIPES`. The recipe
# that was published for one of A to E has the name of its network there.
OUR_RECIPE = {
    "Net": "ours", "TinyNet": "long", "FastNet": "fast",
    "RecordNet": "record", "TinyRecordNet": "record", "SprintNet": "sprint",
    "Teacher": "teacher",
    "A": "ours", "B": "ours", "C": "ours", "D": "ours", "E": "ours",
}  # fmt: skip


def build(name):
    """Make a network by its name; a ValueError lists the names there are."""
    if name not in NETWORKS:
        raise ValueError(f"no network {name!r}; there are {', '.join(NETWORKS)}")
    return NETWORKS[name]()


def count_parameters(network):
    """The number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@torch.no_grad()
def summary(network):
    """Layer by layer: output size, receptive field, parameters, multiply-adds an image.

    Multiply-adds are those of convolutions and fully connected layers, a bias counted as
    one; the other layers' are few and left out. The receptive field of a layer with kernel
    k grows by (k − 1) times the product of all strides before it (Araujo, Norris and Sim,
    Distill 2019).

    Args:
        network: a `DigitNet`.

    Returns:
        A DataFrame, a row a layer; its last row is the total.
    """
    was_training = network.training
    network.eval()
    values = torch.zeros(1, 1, 28, 28, device=next(network.parameters()).device)
    rows, field, stride = [], 1, 1
    for layer in network.layers:
        kernel, step = _window(layer, width=values.shape[-1])
        values = layer(values)
        field, stride = field + (kernel - 1) * stride, stride * step
        parameters = count_parameters(layer)
        weighted = isinstance(layer, (nn.Conv2d, nn.Linear))
        rows.append(
            {
                "layer": type(layer).__name__,
                "kernel": f"{kernel}×{kernel}" if kernel > 1 or step > 1 else "",
                "output": "×".join(map(str, values.shape[1:])),
                "receptive field": field,
                "parameters": parameters,
                "multiply-adds": parameters * values[0, 0].numel() if weighted else 0,
            }
        )
    network.train(was_training)
    table = pd.DataFrame(rows)
    total = {"layer": "total", "kernel": "", "output": "", "receptive field": field}
    total |= table[["parameters", "multiply-adds"]].sum().to_dict()
    return pd.concat([table, pd.DataFrame([total])], ignore_index=True)


def _window(layer, width):
    """Kernel size and stride of a layer that slides over the image, else (1, 1)."""
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        return width, 1
    if isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
        sizes = (layer.kernel_size, layer.stride)
        kernel, step = (size[0] if isinstance(size, tuple) else size for size in sizes)
        return kernel, step
    return 1, 1
