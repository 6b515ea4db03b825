# %% [markdown]
# Answers to the exercises of lesson 2, one part an exercise. No part needs another one, only
# the imports. There are other right answers: the checks accept them all.

from math import comb

import torch
import torch.nn.functional as F
from torch import nn

# %% 2.1
# The kernel fits at H − kh + 1 heights and W − kw + 1 widths. Indexing with i:i + height cuts
# out what lies under it, so that two loops are enough.


def convolve(image, kernel):
    height, width = kernel.shape
    rows, columns = image.shape[0] - height + 1, image.shape[1] - width + 1
    result = torch.zeros(rows, columns, dtype=image.dtype)
    for i in range(rows):
        for j in range(columns):
            result[i, j] = (image[i : i + height, j : j + width] * kernel).sum()
    return result


# %% 2.2
# The first place is free, so 1; each further one needs a whole stride of what is left. A step
# of one value in a layer is a step of all earlier strides, multiplied, in the input.


def output_size(size, kernel, stride=1, padding=0):
    return (size + 2 * padding - kernel) // stride + 1


def parameters(in_channels, out_channels, kernel, bias=True):
    return out_channels * (in_channels * kernel * kernel + (1 if bias else 0))


def receptive_field(layers):
    field, step = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


# %% 2.3
# The batch is all there is to normalise, so its variance is divided by N·H·W. The running
# variance is an estimate for other images, so it is divided by one less. mul_ and add_ change
# the tensor that was given; running_mean = … would only give the name to another one.


def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    if training:
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
        count = x.numel() / x.shape[1]
        running_mean.mul_(1 - momentum).add_(momentum * mean)
        running_var.mul_(1 - momentum).add_(momentum * variance * count / (count - 1))
    else:
        mean, variance = running_mean, running_var
    mean, variance, gamma, beta = (v.view(1, -1, 1, 1) for v in (mean, variance, gamma, beta))
    return (x - mean) / (variance + eps).sqrt() * gamma + beta


# %% 2.4
# The order matters in two places only: the gradients are cleared before backward adds new
# ones, and the optimizer steps after it. item() takes the number out of the graph.


def train_step(model, images, targets, optimizer):
    model.train()
    loss = F.cross_entropy(model(images), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# %% 2.5
# An early max pool makes all later maps small, so the time goes into channels instead.
# Batch norm lets a short training use a high learning rate; it has a bias of its own, so the
# convolutions need none. Global average pooling leaves few weights for the last layer.


class MyNet(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [nn.Conv2d(1, 10, 5, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(10), nn.ReLU()]
        for before, after in ((10, 14), (14, 14), (14, 16), (16, 16)):
            layers += [nn.Conv2d(before, after, 3, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.last = nn.Linear(16, 10)

    def forward(self, images):
        return self.last(self.layers(images).mean((2, 3)))


# %% 2.6
# If both networks are equally good, each digit that only one of them reads rightly is as
# likely to be a's as b's. So the smaller count is that of the heads among as many coins. The
# other digits say nothing about the difference. A large p-value does not say that two networks
# are equal, a small one is not the probability that they are, and neither knows other seeds.


def mcnemar(right_a, right_b):
    only_a = int((right_a & ~right_b).sum())
    only_b = int((right_b & ~right_a).sum())
    count = only_a + only_b
    tail = sum(comb(count, k) for k in range(min(only_a, only_b) + 1)) / 2**count
    return min(1.0, 2 * tail)


supported = [2, 4]
