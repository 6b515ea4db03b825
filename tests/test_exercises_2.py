"""The exercises of lesson 2: right answers in any style are CORRECT, wrong ones are told why."""

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import exercise_notebooks
import mnist
from exercise_notebooks import cells, notebook_of, numbers_of
from grading import layer_slips, lesson2, significance, training_slips
from grading.exercises import INCORRECT, NOT_DONE, verdict
from grading.sample_notebooks import solutions

ROOT = Path(__file__).parents[1]
NOTEBOOK = notebook_of("2")
NUMBERS = numbers_of("2")
FUNCTIONS = ("convolve", "output_size", "batch_norm", "train_step", "mcnemar")
NAMES = {
    "2.1": ("convolve",), "2.2": ("output_size", "parameters", "receptive_field"),
    "2.3": ("batch_norm",), "2.4": ("train_step",), "2.5": ("MyNet",), "2.6": ("mcnemar",),
}  # fmt: skip


SOLUTIONS = solutions("2")
STUBS = cells(NOTEBOOK, "answer")
IMPORTED = {"comb": math.comb, "torch": torch, "F": F, "nn": nn}


def judge(number, source):
    return exercise_notebooks.judge(number, source, IMPORTED)


@pytest.fixture
def no_training(monkeypatch):
    """A network that should be refused at once is not trained."""

    def train(network, device):
        raise AssertionError("it was trained")

    monkeypatch.setattr(lesson2, "_train", train)


@pytest.fixture
def trained_to(monkeypatch):
    """A function: count of 5,000 digits that the next network seems to read rightly."""

    def set_up(count, logit=5.0):
        labels = torch.arange(5000) % 10
        said = torch.where(torch.arange(5000) < count, labels, (labels + 1) % 10)
        logits = F.one_hot(said, 10) * logit
        monkeypatch.setattr(lesson2, "_train", lambda network, device: (logits, labels))

    return set_up


# --- Right answers and stubs --------------------------------------------------------


@pytest.mark.parametrize("number", NUMBERS)
def test_solutions_are_correct(number):
    """That of 2.5 is trained here, as in the notebook."""
    assert str(judge(number, SOLUTIONS[number])) == f"{number} CORRECT"


@pytest.mark.parametrize("number", NUMBERS)
def test_stubs_are_not_done(number, no_training):
    assert str(judge(number, STUBS[number])) == f"{number} NOT DONE"
    assert str(judge(number, "")) == f"{number} NOT DONE"


@pytest.mark.parametrize("body", ["pass", "...", "return", "return None", '"""Later."""\n    pass'])
@pytest.mark.parametrize("number", ["2.1", "2.2", "2.3", "2.4", "2.6"])
def test_a_body_that_does_nothing_is_a_stub(number, body):
    stubs = [f"def {name}(*arguments):\n    {body}\n" for name in NAMES[number]]
    assert judge(number, "supported = None\n" + "".join(stubs)).word == NOT_DONE


RIGHT = [  # number, an answer in another style
    ("2.1", """
def convolve(image, kernel):
    h, w = kernel.shape
    return [[sum(float(image[i + a, j + b]) * float(kernel[a, b])
                 for a in range(h) for b in range(w))
             for j in range(image.shape[1] - w + 1)] for i in range(image.shape[0] - h + 1)]
"""),
    ("2.1", """
import numpy as np
def convolve(image, kernel):
    print("here")
    windows = np.lib.stride_tricks.sliding_window_view(image.numpy(), tuple(kernel.shape))
    return np.einsum("ijab,ab->ij", windows, kernel.numpy()).astype("float32")
"""),
    ("2.1", """
def convolve(image, kernel):
    image, kernel = image.tolist(), kernel.tolist()
    height, width = len(kernel), len(kernel[0])
    rows = ()
    for i in range(len(image) - height + 1):
        row = []
        for j in range(len(image[0]) - width + 1):
            s = torch.tensor(0.0, requires_grad=True)
            for a in range(height):
                for b in range(width):
                    s = s + image[i + a][j + b] * kernel[a][b]
            row.append(s)
        rows += (row,)
    return rows
"""),
    ("2.1", """
def convolve(image, kernel):
    columns = F.unfold(image[None, None], tuple(kernel.shape))
    return (kernel.flatten() @ columns[0]).view(image.shape[0] - kernel.shape[0] + 1, -1)
"""),
    ("2.2", """
import math
def output_size(size, kernel, stride=1, padding=0):
    return math.floor((size + 2 * padding - kernel) / stride + 1)
def parameters(i, o, k, bias=True):
    return sum(p.numel() for p in nn.Conv2d(i, o, k, bias=bias).parameters())
def receptive_field(layers):
    first, last = 0, 0
    for kernel, stride in layers[::-1]:
        first, last = first * stride, last * stride + kernel - 1
    return last - first + 1
"""),
    ("2.2", """
import numpy as np
def output_size(n, k, s=1, p=0):
    return np.int64((n + 2 * p - k) // s) + 1
parameters = lambda i, o, k, bias=True: o * k ** 2 * i + o * bias
def receptive_field(layers):
    seen = {0}
    for kernel, stride in reversed(layers):
        seen = {i * stride + k for i in seen for k in range(kernel)}
    return torch.tensor(float(max(seen) + 1))
"""),
    ("2.2", """
def output_size(size, kernel, stride=1, padding=0):
    x = torch.zeros(1, 1, size)
    return F.conv1d(x, torch.zeros(1, 1, kernel), stride=stride, padding=padding).shape[-1]
def parameters(in_channels, out_channels, kernel, bias=True):
    weights = in_channels * out_channels * kernel * kernel
    if bias:
        weights += out_channels
    return [weights]
def receptive_field(layers):
    if not layers:
        return 1
    kernel, stride = layers[0]
    return kernel + (receptive_field(layers[1:]) - 1) * stride
"""),
    ("2.3", """
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    mean, variance = running_mean, running_var
    if training:
        count = x[:, 0].numel()
        mean = torch.stack([channel.sum() / count for channel in x.unbind(1)])
        squares = ((x - mean[:, None, None]) ** 2).sum((0, 2, 3))
        variance = squares / count
        for running, new in ((running_mean, mean), (running_var, squares / (count - 1))):
            running += momentum * (new - running)
    scale = gamma / (variance + eps) ** 0.5
    return torch.einsum("nchw,c->nchw", x, scale) + (beta - mean * scale)[:, None, None]
"""),
    ("2.3", """
import numpy as np
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    x, m, v = x.numpy(), running_mean.numpy(), running_var.numpy()
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        channel = x[:, c]
        if training:
            mean, var = channel.mean(), channel.var()
            m[c] += momentum * (mean - m[c])
            v[c] += momentum * (channel.var(ddof=1) - v[c])
        else:
            mean, var = m[c], v[c]
        y[:, c] = float(gamma[c]) * (channel - mean) / np.sqrt(var + eps) + float(beta[c])
    return y
"""),
    ("2.3", """
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    rows = x.transpose(0, 1).flatten(1)
    if training:
        var, mean = torch.var_mean(rows, 1)
        running_mean[:] = torch.lerp(running_mean, mean, momentum)
        running_var.copy_((1 - momentum) * running_var + momentum * var)
        var = var * (rows.shape[1] - 1) / rows.shape[1]
    else:
        mean, var = running_mean.clone(), running_var.clone()
    y = (rows - mean[:, None]) * torch.rsqrt(var + eps)[:, None] * gamma[:, None] + beta[:, None]
    n, c, h, w = x.shape
    return y.view(c, n, h, w).transpose(0, 1).tolist()
"""),
    ("2.4", """
def train_step(model, images, targets, optimizer):
    was = model.training
    model.train()
    for p in model.parameters():
        p.grad = None
    torch.randn(5)
    z = model(images)
    losses = z.logsumexp(1) - z[torch.arange(len(z)), targets]
    losses.mean().backward()
    optimizer.step()
    model.train(was)
    return float(losses.mean())
"""),
    ("2.4", """
import numpy as np
criterion = nn.CrossEntropyLoss()
def train_step(model, images, targets, optimizer):
    def closure():
        optimizer.zero_grad(set_to_none=False)
        loss = criterion(model(images), targets)
        loss.backward()
        return loss
    model.train(True)
    return np.float32(optimizer.step(closure).item())
"""),
    ("2.4", """
def train_step(model, images, targets, optimizer):
    torch.manual_seed(0)
    model.train().zero_grad()
    loss = F.nll_loss(F.log_softmax(model(images), dim=-1), targets)
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        print("accuracy", (model.eval()(images).argmax(1) == targets).float().mean())
    return loss.item()
"""),
    ("2.6", """
def mcnemar(a, b):
    a, b = a.tolist(), b.tolist()
    n = sum(x != y for x, y in zip(a, b))
    k = sum(x and not y for x, y in zip(a, b))
    p = [comb(n, i) / 2 ** n for i in range(n + 1)]
    return sum(q for i, q in enumerate(p) if abs(i - n / 2) >= abs(k - n / 2))
supported = {4, 2}
"""),
    ("2.6", """
import numpy as np
from fractions import Fraction
def mcnemar(a, b):
    a, b = np.asarray(a), np.asarray(b)
    only = [int((a > b).sum()), int((b > a).sum())]
    if only[0] == only[1]:
        return 1
    ways = sum(comb(sum(only), k) for k in range(max(only), sum(only) + 1))
    return Fraction(2 * ways, 2 ** sum(only))
supported = np.array([2, 4])
"""),
    ("2.6", """
def mcnemar(a, b):
    from scipy.stats import binomtest
    n = (a ^ b).sum().item()
    return torch.tensor(binomtest((a & ~b).sum().item(), n).pvalue if n else 1.0)
supported = (2.0, 4)
"""),
]  # fmt: skip


@pytest.mark.parametrize("number, source", RIGHT)
def test_right_in_another_style(number, source, capsys):
    if "scipy" in source:
        pytest.importorskip("scipy")
    assert str(judge(number, source)) == f"{number} CORRECT"
    assert capsys.readouterr().out == ""


NETWORKS = [  # classes that are tried, and then trained
    """
class MyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 8, 5)
        self.last = nn.Linear(8 * 4, 10)
    def forward(self, x):
        x = F.max_pool2d(self.convolution(x).relu(), 12)
        return self.last(x.view(x.size(0), -1))
""",
    """
class MyNet(nn.Sequential):
    def __init__(self):
        layer = nn.LazyLinear(10)
        super().__init__(nn.MaxPool2d(2), nn.Flatten(), layer, nn.BatchNorm1d(10), nn.LogSoftmax(1))
""",
    """
class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1)] * 9)
    def forward(self, x):
        for layer in self.layers:
            x = x + layer(x).relu()
        print("noise")
        return x
class MyNet(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.first, self.block = nn.Conv2d(1, width, 4, 4), Block(width)
        self.last = nn.Conv2d(width, 10, 5)
    def forward(self, x):
        return self.last(self.block(self.first(x))).amax((-1, -2))
""",
]


@pytest.mark.parametrize("source", NETWORKS)
def test_networks_in_unlike_styles(source, trained_to, capsys):
    trained_to(4940)
    assert str(judge("2.5", source)) == "2.5 CORRECT"
    assert capsys.readouterr().out == "98.80 % of 5,000 held-out digits\n"


# --- Wrong answers ------------------------------------------------------------------

NETWORK = """
class MyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 8, 5), nn.BatchNorm2d(8), nn.ReLU())
        self.last = nn.Linear(8, 10)
    def forward(self, images):
        maps = self.layers(images)
        return self.last(maps.mean((2, 3)))
"""
WRONG = [  # number, pairs of what is replaced in the solution and by what, words of the comment
    ("2.1", ["* kernel)", "* kernel.flip(0, 1))"], "cross-correlation with a flipped kernel"),
    ("2.1", ["* kernel)", "* kernel.flip(0))"], "the kernel is turned upside down"),
    ("2.1", ["* kernel)", "@ kernel)"], "not as matrices"),
    ("2.1", ["height, width = kernel.shape", "height = width = len(kernel)"],
     "kernel 2×4: it stops with RuntimeError"),
    ("2.1", [" + 1, image", ", image", "- width + 1", "- width"],
     "the last row and the last column are missing"),
    ("2.1", ["[i, j]", "[j, i]", "zeros(rows, columns", "zeros(columns, rows"],
     "rows and columns of the result are exchanged"),
    ("2.1", [".sum()", ".mean()"], "do not take their mean"),
    ("2.1", ["    height, width", "    image = F.pad(image, (1, 1, 1, 1))\n    height, width"],
     "the image was padded"),
    ("2.1", ["return result", "return result[None]"], "expected shape 4×4, found 1×4×4"),
    ("2.1", ["return result", "return result.round()"], "expected"),
    ("2.1", ["dtype=image.dtype", "dtype=int"], "image 6×6, kernel 3×3, at ["),
    ("2.1", ["i + height", "i + height + 1"], "it stops with RuntimeError"),
    ("2.1", ["return result", "return F.conv2d(image[None, None], kernel[None, None])[0, 0]"],
     "it calls PyTorch's own convolution: write yours"),
    ("2.2", ["// stride", "/ stride"], "round down"),
    ("2.2", ["2 * padding", "padding"], "padding is added on both sides"),
    ("2.2", ["// stride + 1", "// stride"], "the first position counts, too"),
    ("2.2", [" + (1 if bias else 0)", ""], "the biases are forgotten"),
    ("2.2", ["(1 if bias else 0)", "1"], "bias=False is ignored"),
    ("2.2", ["out_channels * (in_channels * kernel * kernel + (1 if bias else 0))",
             "in_channels * out_channels * kernel * kernel + (1 if bias else 0)"],
     "there is a bias for each output channel"),
    ("2.2", ["        step *= stride\n", ""], "the strides are forgotten"),
    ("2.2", ["field += (kernel - 1) * step\n        step *= stride",
             "step *= stride\n        field += (kernel - 1) * step"],
     "a layer's own stride counts only for the layers after it"),
    ("2.2", ["step *= stride", "step = stride"], "all strides before a layer count"),
    ("2.2", ["field, step = 1, 1", "field, step = 0, 1"], "before the first layer"),
    ("2.2", ["return field", "return None"], "returns None"),
    ("2.2", ["return field", "return field, step"], "returns 2 numbers, not one"),
    ("2.3", ["correction=0", "correction=1"], "divided by N·H·W"),
    ("2.3", ["variance * count / (count - 1)", "variance"], "divided by N·H·W − 1"),
    ("2.3", ["mean((0, 2, 3))", "mean((2, 3))", "var((0, 2, 3),", "var((2, 3),", "x.shape[1]",
             "x[:, :1].numel() * 0 - 2 + 3", "view(1, -1, 1, 1)", "view(-1, x.shape[1], 1, 1)",
             "(momentum * mean)", "(momentum * mean.mean(0))",
             "momentum * variance", "momentum * variance.mean(0)"],
     "taken over H and W; take them over N, H and W"),
    ("2.3", ["mul_(1 - momentum).add_(momentum * mean)",
             "mul_(momentum).add_((1 - momentum) * mean)"],
     "momentum is the share of the batch, not of the old running_mean"),
    ("2.3", ["running_mean.mul_", "running_mean = running_mean.mul", ".add_(momentum * mean)",
             " + momentum * mean"], "running_mean is as it was: change it in place"),
    ("2.3", ["(variance + eps).sqrt()", "(variance.sqrt() + eps)"], "eps belongs under the root"),
    ("2.3", ["    else:\n", "    if training or True:\n"], "the running statistics"),
    ("2.3", ["    if training:\n", "    if True:\n"], "statistics are used in evaluation"),
    ("2.3", ["    else:\n        mean, variance = running_mean, running_var",
             "    else:\n        mean, variance = running_mean.clone(), running_var.clone()\n"
             "        running_mean.mul_(1 - momentum).add_(momentum * x.mean((0, 2, 3)))"],
     "running_mean is changed in evaluation"),
    ("2.3", ["mean, variance = running_mean, running_var",
             "mean, variance, count = running_mean.clone(), running_var.clone(), 1.5\n"
             "        running_var.mul_(1 - momentum).add_(momentum * variance * count / 0.5)"],
     "running_var must not change in evaluation"),
    ("2.3", ["    else:\n", "    else:\n        running_mean.mul_(0.5)\n"],
     "running_mean must not change in evaluation"),
    ("2.3", ["(x - mean)", "F.batch_norm(x, None, None, training=True) * (x - mean)"],
     "it calls PyTorch's own batch normalisation: write yours"),
    ("2.3", [" + beta", ""], "beta is forgotten"),
    ("2.3", ["    if training:\n", "    x *= 1 + 1e-6\n    if training:\n"],
     "x is changed; leave it as it is"),
    ("2.3", ["* gamma + beta", "* gamma + beta, running_mean, running_var"],
     "return the output only"),
    ("2.3", ["(v.view(1, -1, 1, 1) for", "(v.view(1, 1, -1, 1) for"], "x 4×3×3×2"),
    ("2.4", ["model.train()", "pass"], "the model is not in training mode"),
    ("2.4", ["model.train()", "model.eval()"], "the model is not in training mode"),
    ("2.4", ["    optimizer.zero_grad()\n", ""], "gradients of earlier steps are not cleared"),
    ("2.4", ["    optimizer.zero_grad()\n", "", "step()\n", "step()\n    optimizer.zero_grad()\n"],
     "clear the gradients before backward(): the model came with some"),
    ("2.4", ["model.train()", "pass", "    optimizer.zero_grad()\n", ""],
     "the model is not in training mode: call model.train(); the gradients of"),
    ("2.4", ["    optimizer.step()\n", ""], "optimizer.step() is not called"),
    ("2.4", ["    optimizer.step()\n", "    optimizer.step()\n" * 2], "is called 6 times in 3"),
    ("2.4", ["    loss.backward()\n", ""], "no weight changes"),
    ("2.4", ["model(images)", "model(images).softmax(1)"], "cross_entropy takes logits"),
    ("2.4", ["targets)", "targets, reduction='sum')"], "mean of the batch's losses, not their sum"),
    ("2.4", ["loss.item()", "loss"], "loss.item() is its number"),
    ("2.4", ["loss.item()", "loss.item() * len(images)"], "it is the sum over the batch"),
    ("2.4", ["return loss.item()", "return (model.eval()(images).argmax(1) == targets).float()"
             ".mean().item()"], "the weights are right, the loss is not: expected"),
    ("2.4", ["loss.item()", "str(loss.item())"], "train_step returns str"),
    ("2.4", ["return loss.item()", "pass"], "train_step returns None"),
    ("2.4", ["    loss =", "    model(images)\n    loss ="],
     "the weights are right, but the model"),
    ("2.4", ["(images)", "(-images)"], "the weights after 3 steps are not those"),
    ("2.4", ["optimizer.step()", "optimizer.step(); model(images)"],
     "called 6 times in training mode"),
    ("2.4", ["    loss.b", "    optimizer = torch.optim.SGD(model.parameters(), 0.1)\n    loss.b"],
     "optimizer.step() is not called"),
    ("2.4", ["    optimizer.step()\n", "    with torch.no_grad():\n"
             "        for p in model.parameters():\n            p -= 0.1 * p.grad\n"],
     "optimizer.step() is not called: let the optimizer change the weights"),
    ("2.4", ["loss.item()", "F.cross_entropy(model(images), targets).item()"],
     "it is the loss after the update; the one before is asked for"),
    ("2.4", ["loss.item()", "F.cross_entropy(model.eval()(images), targets).item()"],
     "it is the loss after the update; the one before is asked for"),
    ("2.4", ["model.train()", "model.train()\n    images = images @ images.new_zeros(3, 3)"],
     "line 7 of the answer"),
    ("2.6", ["2 * tail", "tail"], "two-sided is twice as much"),
    ("2.6", ["min(1.0, 2 * tail)", "2 * tail"], "a p-value is never above 1"),
    ("2.6", ["min(only_a, only_b) + 1)", "min(only_a, only_b))"],
     "the result that was found belongs to the tail, too"),
    ("2.6", ["range(min(only_a, only_b) + 1)", "range(max(only_a, only_b) + 1, count + 1)"],
     "the result that was found belongs to the tail, too"),
    ("2.6", ["min(only_a, only_b)", "only_a"], "a's may be the larger count"),
    ("2.6", ["min(only_a, only_b)", "max(only_a, only_b)"], "p is 1 for all counts"),
    ("2.6", ["return min(1.0, 2 * tail)", "return 1"], "p is 1 for all counts"),
    ("2.6", ["return min(1.0, 2 * tail)", "return 0.5"], "both right"),
    ("2.6", ["int((right_a & ~right_b).sum())", "(right_a & ~right_b).sum()",
             "int((right_b & ~right_a).sum())", "(right_b & ~right_a).sum()"],
     "Make whole numbers of Python of the counts, with .item() or int()"),
    ("2.6", ["count = only_a + only_b", "count = len(right_a)"], "the other wrongly count"),
    ("2.6", ["return min", "if only_a == only_b == 0:\n        return 0\n    return min"],
     "only a 0, only b 0"),
    ("2.6", ["[2, 4]", "[2]"], "mcnemar is right; 5 of 6 claims are judged rightly"),
    ("2.6", ["[2, 4]", "[1, 2, 3, 4, 5, 6]"], "mcnemar is right; 2 of 6 claims"),
    ("2.6", ["[2, 4]", "[]"], "4 of 6 claims"),
    ("2.6", ["[2, 4]", "None"], "supported is still None"),
    ("2.6", ["[2, 4]", "[2, 7]"], "a list of numbers of claims, from 1 to 6"),
    ("2.6", ["[2, 4]", "[2, 2, 4]"], "a list of numbers of claims"),
    ("2.6", ["[2, 4]", "[0.5, 2, 4]"], "a list of numbers of claims"),
    ("2.6", ["[2, 4]", "2"], "a list of numbers of claims"),
    ("2.6", ["[2, 4]", "'claims 2 and 4'"], "a list of numbers of claims"),
    ("2.6", ["    only_a =", "    return\n    only_a ="], "returns None"),
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


WRONG_NETWORKS = [  # pairs of what is replaced in `NETWORK` and by what, words of the comment
    (["nn.Conv2d(1, 8, 5)", "nn.Conv2d(1, 8, 35, padding=9)"], "fewer than 8,000"),
    (["nn.Linear(8, 10)", "nn.Linear(8, 9)"], "expected logits 1×10, found 1×9"),
    (["nn.Linear(8, 10)", "nn.Linear(9, 10)"], "images 1×1×28×28: it stops with RuntimeError"),
    (["maps.mean((2, 3))", "maps.mean((0, 2, 3))"], "expected logits 1×10, found (10,)"),
    (["return self", "self"], "forward returns NoneType, not a tensor"),
    (["return self.last(maps.mean((2, 3)))", "return self.last(maps.mean((2, 3))).tolist()"],
     "forward returns list"),
    (["return self.last(maps.mean((2, 3)))", "return self.last(maps.mean((2, 3))).detach()"],
     "no parameter of the network has an influence"),
    (["return self.last(maps.mean((2, 3)))", "return self.last(maps.mean((2, 3))) / 0"], "finite"),
    (["(maps.mean((2, 3)))", "(maps.mean((2, 3))).softmax(1)"], "it returns probabilities"),
    (["nn.Sequential(nn", "[nn", "ReLU())", "ReLU()]", "self.layers(images)", "images\n"
      "        for layer in self.layers:\n            maps = layer(maps)"],
     "self.layers is a list: PyTorch does not look for layers in it"),
    (["(self):", "(self, width):"], "MyNet(): it stops with TypeError"),
    (["super().__init__()", "pass"], "MyNet(): it stops with AttributeError"),
    (["def forward", "def foward"], "MyNet has no method forward"),
    (["(nn.Module)", "", "super().__init__()", "pass"], "class MyNet(nn.Module)"),
    (["class MyNet", "class Other", "(maps.mean((2, 3)))", "(maps.mean((2, 3)))\nMyNet = Other()"],
     "MyNet is not a class: write class MyNet(nn.Module)"),
    (["class MyNet(nn.Module)", "import model\nMyNet = model.TinyNet\nclass Other(nn.Module)"],
     "MyNet is TinyNet of model.py: write your own"),
    (["class MyNet(nn.Module)", "import model\nclass MyNet(model.FastNet)"],
     "MyNet is FastNet of model.py: write your own"),
    (["nn.Linear(8, 10)", "__import__('model').TinyNet()"],
     "MyNet contains TinyNet of model.py: write your own"),
    (["return self.last(maps", "return self.last(undefined"],
     "NameError: name 'undefined' is not defined, line 9 of the answer"),
    (["class MyNet(nn.Module)", "class MyNet(nn.Sequential)", "def forward", "def other",
      "super().__init__()", "super().__init__(nn.Conv2d(2, 10, 28))"], "it stops with"),
]  # fmt: skip


@pytest.mark.parametrize("changes, words", WRONG_NETWORKS)
def test_wrong_networks_are_refused_before_they_are_trained(changes, words, no_training):
    source = NETWORK
    for old, new in zip(changes[::2], changes[1::2]):
        assert old in source
        source = source.replace(old, new)
    found = judge("2.5", source)
    assert found.word == INCORRECT and words in found.comment


@pytest.mark.parametrize(
    "changes, logit, words",
    [
        ([], 5.0, "98.78 % of the held-out digits, at least 98.80 % is asked for"),
        ([".BatchNorm2d(8)", ".Identity()"], 5.0, "It has no batch norm"),
        ([".Conv2d(1, 8, 5)", ".Upsample(8)", ".BatchNorm2d(8)", ".Identity()",
          "(8, 10)", "(1, 10)"], 5.0, "It has no convolution"),
        ([], float("nan"), "the training diverged"),
    ],
)  # fmt: skip
def test_a_network_that_is_too_bad_is_told_what_may_help(changes, logit, words, trained_to):
    source = NETWORK
    for old, new in zip(changes[::2], changes[1::2]):
        source = source.replace(old, new)
    trained_to(4939, logit)
    found = judge("2.5", source)
    assert found.word == INCORRECT and words in found.comment


def test_a_network_that_stops_while_it_is_trained(monkeypatch):
    few = torch.utils.data.TensorDataset(
        torch.zeros(300, 28, 28, dtype=torch.uint8), torch.arange(300) % 10
    )
    monkeypatch.setattr(mnist, "load_mnist", lambda test: few)
    monkeypatch.setattr(mnist, "split", lambda dataset: (dataset, dataset))
    source = NETWORK.replace("maps =", "assert len(images) < 50, 'too many'\n        maps =")
    found = judge("2.5", source)
    assert "the training stops with AssertionError: too many" in found.comment


def test_missing_data_are_not_the_students_fault(monkeypatch):
    def load_mnist(*arguments, **named):
        raise RuntimeError("MNIST could not be loaded.")

    monkeypatch.setattr(mnist, "load_mnist", load_mnist)
    significance.right_digits.cache_clear()
    for number in ("2.5", "2.6"):
        found = judge(number, SOLUTIONS[number])
        assert found.word == INCORRECT and "this is not your fault" in found.comment
        assert "MNIST could not be loaded" in found.comment


@pytest.mark.parametrize("number", NUMBERS)
def test_enough_answers(number):
    if number != "2.5":
        assert sum(wrong == number for wrong, *_ in WRONG) >= 5
        assert sum(right == number for right, _ in RIGHT) >= 3


def test_a_part_of_2_2():
    source = SOLUTIONS["2.2"].replace("    field, step", "    return\n    field, step")
    source = re.sub(r"def receptive_field[\s\S]*", "", source)
    assert "receptive_field is not defined" in judge("2.2", source).comment
    stubs = "\ndef parameters(*a):\n    pass\ndef receptive_field(layers):\n    pass"
    comment = judge("2.2", source + stubs).comment
    assert comment == "parameters and receptive_field are still to be done; the rest is right"
    source += "\ndef receptive_field(layers):\n    pass"
    comment = judge("2.2", source).comment
    assert comment == "receptive_field is still to be done; the rest is right"
    source = source.replace("// stride", "/ stride")
    assert "round down" in judge("2.2", source).comment


# --- Hostile answers ----------------------------------------------------------------

BODIES = [  # whatever these return or raise
    "return float('nan')",
    "return float('inf')",
    "return torch.full((4, 4), float('nan'))",
    "return 'abc'",
    "return {1: 2}",
    "return [[1, 2], [3]]",
    "return [[1, 2], [3, None]]",
    "return 1j",
    "return object()",
    "return 10 ** 400",
    "return []",
    "a = []; a.append(a); return a",
    "return type('E', (), {'__float__': lambda s: 1 / 0})()",
    "return type('E', (), {'__array__': lambda *a, **k: 1 / 0})()",
    "return type('E', (), {'__repr__': lambda s: 1 / 0})()",
    "return torch.zeros(3, dtype=torch.complex64)",
    "return torch.zeros(4, 4).to_sparse()",
    "return torch.zeros(4, 4, device='meta')",
    "return torch.zeros(4, 4, 1, 1, 1)",
    "return (yield 1)",
    "raise ValueError",
    "raise SystemExit(0)",
    "raise KeyboardInterrupt",
    "raise type('E', (Exception,), {'__str__': lambda s: 1 / 0})()",
    "raise SyntaxError('x' * 10 ** 6)",
    "return answer(*arguments)",
    "import sys; sys.stdout.write('x' * 10 ** 6); return print",
    "for a in arguments: getattr(a, 'zero_', int)()\n    return 0",
    "return undefined_name",
    "return lambda: 1",
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("number", ["2.1", "2.2", "2.3", "2.4", "2.6"])
def test_nothing_makes_a_check_fail(number, body, capsys):
    source = f"def answer(*arguments):\n    {body}\nsupported = [1]\n"
    source += "".join(f"{name} = answer\n" for name in NAMES[number])
    found = judge(number, source)
    assert found.word == INCORRECT and found.comment
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("method", ["forward", "__init__"])
def test_no_network_makes_a_check_fail(method, body, no_training, capsys):
    body = body.replace("answer(*arguments)", f"arguments[0].{method}(*arguments[1:])")
    source = f"class MyNet(nn.Module):\n  def {method}(*arguments):\n    {body}\n"
    if method == "__init__":
        source += "  def forward(self, images):\n    return images\n"
    found = judge("2.5", source)
    assert found.word == INCORRECT and found.comment
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("value", ["None", "5", "'text'", "[]", "int", "object()", "print", "len"])
@pytest.mark.parametrize("number", NUMBERS)
def test_something_else_under_the_name(number, value, no_training):
    names = " = ".join(NAMES[number])
    found = judge(number, f"supported = [1]\n{names} = {value}")
    assert found.word == INCORRECT and found.comment


@pytest.mark.parametrize(
    "value", ["[None]", "print", "[float('nan')]", "{2: 4}", "'24'", "b'24'", "[[2, 4]]", "[1e400]"]
)
def test_something_else_as_claims(value):
    source = SOLUTIONS["2.6"].replace("supported = [2, 4]", f"supported = {value}")
    found = judge("2.6", source)
    assert found.word == INCORRECT
    assert found.comment == "supported should be a list of numbers of claims, from 1 to 6"


# --- What is right, and the catalogue of slips -----------------------------------------


@pytest.mark.parametrize("words", layer_slips.convolution_slips(torch.eye(6), torch.eye(3)))
def test_every_slip_in_a_convolution_is_named(words, monkeypatch):
    monkeypatch.setattr(lesson2, "CONVOLUTIONS", ())  # the slips call PyTorch's

    def convolve(image, kernel):
        slips = layer_slips.convolution_slips(image, kernel)
        return slips.get(words, torch.zeros(1))

    found = verdict("2.1", {"convolve": convolve})
    assert found.comment.startswith(words)


@pytest.mark.parametrize(
    "result", ["0 * right", "2 * right", "torch.randn_like(right)", "right + 1"]
)
def test_no_slip_in_a_convolution_is_named_where_none_fits(result):
    source = SOLUTIONS["2.1"].replace("return result", f"right = result\n    return {result}")
    comment = judge("2.1", source).comment
    assert re.fullmatch(r"image 6×6, kernel 3×3, at \[\d, \d\]: expected \S+, found \S+", comment)


def test_only_the_last_product_is_kept():
    source = """
def convolve(image, kernel):
    (H, W), (h, w) = image.shape, kernel.shape
    r = torch.zeros(H - h + 1, W - w + 1)
    for i in range(H - h + 1):
        for j in range(W - w + 1):
            for a in range(h):
                for b in range(w):
                    r[i, j] = image[i + a, j + b] * kernel[a, b]
    return r
"""
    assert judge("2.1", source).comment.startswith("only the last product is kept")
    assert judge("2.1", source.replace("] = ", "] += ")).word == "CORRECT"


@pytest.mark.parametrize("stop", ["", "    assert image.shape == (6, 6)\n"])
def test_a_wrong_size_is_named_if_it_fits_on_all_inputs(stop):
    source = f"def convolve(image, kernel):\n{stop}    return image"
    assert "as large as the image; valid means" in judge("2.1", source).comment
    source = f"def convolve(image, kernel):\n{stop}    return torch.zeros(4, 4)"
    assert judge("2.1", source).comment.startswith("image 6×6, kernel 3×3, at [")


def test_every_wrong_size_is_named():
    image, kernel = torch.ones(5, 9), torch.ones(2, 4)
    found = {
        words: (height, width)
        for height, width in itertools.product(range(12), repeat=2)
        for words, wrong in layer_slips.wrong_sizes(
            torch.zeros(height, width), image, kernel
        ).items()
        if torch.is_tensor(wrong)
    }
    assert found == {
        "one row and one column are missing": (3, 5),
        "there is a row and a column too many": (5, 7),
        "the kernel's height is also used as its width": (4, 8),
        "the kernel's width is also used as its height": (2, 6),
        "the image's height is also used as its width": (4, 2),
        "the image's width is also used as its height": (8, 6),
        "rows and columns are exchanged": (6, 4),
        "the result is as large as the image; valid means that it is smaller": (5, 9),
    }


@pytest.mark.parametrize(
    "name, slips",
    [
        ("output_size", layer_slips.OUTPUT_SIZE_SLIPS),
        ("parameters", layer_slips.PARAMETERS_SLIPS),
        ("receptive_field", layer_slips.FIELD_SLIPS),
    ],
)
def test_every_slip_in_a_size_is_named(name, slips):
    rights = dict(zip(NAMES["2.2"], (lesson2._output_size, lesson2._parameters)))
    rights["receptive_field"] = layer_slips.receptive_field
    for words, slip in slips.items():
        found = verdict("2.2", rights | {name: slip})
        assert found.word == INCORRECT and found.comment.startswith(words)


def batch_norm_with(slip_of):
    """An answer: PyTorch's, but for what slip_of(kind, x, layer before) returns in its place.

    kind is "output", "running_mean" or "running_var"; None is returned for no change.
    """

    def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum=0.1, eps=1e-5):
        before = nn.BatchNorm2d(len(gamma), eps, momentum, dtype=x.dtype).train(training)
        before.weight.data, before.bias.data = gamma, beta
        before.running_mean, before.running_var = running_mean.clone(), running_var.clone()
        with torch.no_grad():
            changed = {
                kind: slip_of(kind, x, before) for kind in ("output", "running_mean", "running_var")
            }
        args = (running_mean, running_var, gamma, beta, training, momentum, eps)
        output = F.batch_norm(x, *args)
        for name, running in (("running_mean", running_mean), ("running_var", running_var)):
            if changed[name] is not None:
                running.copy_(changed[name])
        return output if changed["output"] is None else changed["output"]

    return batch_norm


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["output", "running_mean", "running_var"])
def test_every_slip_in_batch_norm_is_named(kind, training, monkeypatch):
    monkeypatch.setattr(lesson2, "BATCH_NORMS", ())  # `batch_norm_with` calls PyTorch's

    def slips(x, layer):
        if kind == "output":
            return layer_slips.batch_norm_slips(x, layer)
        return layer_slips.running_slips(kind, x, layer)

    with torch.no_grad():
        names = [*slips(torch.randn(2, 3, 4, 5), nn.BatchNorm2d(3).train(training))]
    assert names
    for words in names:

        def slip(asked, x, layer, words=words):
            fits = asked == kind and layer.training == training
            return slips(x, layer)[words] if fits else None

        found = verdict("2.3", {"batch_norm": batch_norm_with(slip)})
        assert found.word == INCORRECT and found.comment.startswith(words), words


def test_every_slip_in_a_training_step_is_named():
    mistakes = [*training_slips.mistaken_steps()]
    assert len(mistakes) == 17
    for words, step in mistakes:
        found = verdict("2.4", {"train_step": step})
        assert found.word == INCORRECT and found.comment == words


@pytest.mark.parametrize("words", significance.p_slips(20, 15, 6, 30))
def test_every_slip_in_a_p_value_is_named(words):
    def mcnemar(a, b):
        both, neither = int((a & b).sum()), int((~a & ~b).sum())
        slips = significance.p_slips(both, *significance.discordant(a, b), neither)
        return slips.get(words, 1.0)

    found = verdict("2.6", {"mcnemar": mcnemar, "supported": [2, 4]})
    assert found.word == INCORRECT and words in found.comment


def test_p_values_are_those_of_all_tosses_counted():
    """As its definition says: the share of all tosses that are at least as far from half."""
    for count in range(11):
        heads = np.array([sum(toss) for toss in itertools.product((0, 1), repeat=count)])
        for only_a in range(count + 1):
            far = abs(heads - count / 2) >= abs(only_a - count / 2)
            assert significance.exact_p(only_a, count - only_a) == pytest.approx(far.mean(), 1e-12)
    assert significance.exact_p(700, 600) == pytest.approx(0.006016, rel=1e-3)


def test_receptive_fields_are_those_that_gradients_show():
    for arguments in lesson2._receptive_field_calls(torch.Generator().manual_seed(3)):
        (layers,) = arguments
        field = layer_slips.receptive_field(layers)
        values = start = torch.ones(1, 1, 2 * field, dtype=torch.float64, requires_grad=True)
        for kernel, stride in layers:
            weights = torch.ones(1, 1, kernel, dtype=torch.float64)
            values = F.conv1d(values, weights, stride=stride)
        values[0, 0, 0].backward()
        seen = start.grad[0, 0].nonzero()
        assert seen.max() - seen.min() + 1 == field


def test_output_sizes_are_those_of_pytorch():
    def size(size, kernel, stride=1, padding=0):
        values = F.conv1d(torch.ones(1, 1, size), torch.ones(1, 1, kernel), None, stride, padding)
        return values.shape[-1]

    for arguments in lesson2._output_size_calls(torch.Generator().manual_seed(4)):
        assert lesson2._output_size(*arguments) == size(*arguments)


def test_what_is_claimed_of_the_networks():
    right = significance.right_digits()
    counts = {name: significance.discordant(right["Net"], right[name]) for name in ("TinyNet", "D")}
    p = {name: significance.exact_p(*count) for name, count in counts.items()}
    assert 0.05 < p["TinyNet"] < 0.1 and 0.001 < p["D"] < 0.01, "the claims need other networks"
    assert all(only_net > only_other for only_net, only_other in counts.values())
    assert significance.supported_claims() == {2, 4}


def test_remembered_numbers_do_not_pass():
    """Right for the inputs that are always the same, and nothing else."""
    always = [lesson2.generators()[0] for _ in range(2)]
    known = {
        tuple(call): lesson2._output_size(*call) for call in lesson2._output_size_calls(always[0])
    }
    assert [*known] == [tuple(call) for call in lesson2._output_size_calls(always[1])]
    answer = {
        "output_size": lambda *call: known.get(call, 1),
        "parameters": lesson2._parameters,
        "receptive_field": layer_slips.receptive_field,
    }
    assert verdict("2.2", answer).word == INCORRECT


# --- The notebook -------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["", "raise ValueError('x')", "return object()"])
def test_our_own_cells_do_not_stop(answer, capsys):
    namespace = {"right": dict.fromkeys(("Net", "TinyNet", "D"))}
    if answer:
        exec(f"def mcnemar(a, b):\n    {answer}\nMyNet = lambda: mcnemar(1, 2)", namespace)
    for cell in NOTEBOOK.cells:
        if cell.cell_type == "code" and re.search(r"(MyNet|mcnemar)\(", cell.source):
            if "answer" not in cell.metadata.get("tags", ()):
                exec(cell.source, namespace)
    assert re.match("MyNet.* stops with .*Error: ", capsys.readouterr().out)


def test_the_text_has_the_numbers_of_the_checks():
    text = "\n".join(cell.source for cell in NOTEBOOK.cells)
    minutes = [int(number) for number in re.findall(r"\*About (\d+) minutes\.", text)]
    asked = f"about {sum(minutes)} minutes: {sum(minutes[:3])} for 2.1 to 2.3"
    assert f"{asked} on one evening, and {sum(minutes[3:])} for 2.4 to 2.6" in text
    recipe = lesson2.RECIPE
    assert f"fewer than {lesson2.MOST_PARAMETERS:,} parameters" in text
    assert f"at least {lesson2.LEAST_ACCURACY} %" in text
    assert f"batches of {recipe.batch_size}" in text and recipe.epochs == 2
    assert f"a learning rate of {recipe.learning_rate}" in text
    assert f"a weight decay of {recipe.weight_decay}" in text and recipe.augmentation is None
    namespace = {}
    exec(SOLUTIONS["2.2"], namespace)
    for call, number in re.findall(r"^\* `(\w+\(.*\))` is (\d+)", text, re.MULTILINE):
        assert eval(call, namespace) == int(number)
