"""The checks of the exercises of lesson 2: see `exercises.py`.

An answer is called with inputs that are always the same, so that it gets the same comment
each time, and then with random ones, so that no list of numbers can pass. What is right is
PyTorch's own, or another formula than the one that is asked for.
"""

import contextlib
import copy
import functools
import itertools
import time
from unittest import mock

import numpy as np
import torch
from torch import nn

import mnist
import model
import utils
from grading.answers import line_of, numbers, quiet, require_function, written
from grading.arrays import array, call, close, compare, compare_all, size
from grading.exercises import Mistake, NotDone, describe, exercise, is_stub
from grading.layer_slips import (
    FIELD_SLIPS,
    OUTPUT_SIZE_SLIPS,
    PARAMETERS_SLIPS,
    batch_norm_slips,
    convolution_slips,
    cross_correlation,
    receptive_field,
    running_slips,
    wrong_sizes,
)
from grading.significance import CLAIMS, exact_p, p_slips, supported_claims
from grading.training_slips import (
    BATCH_SIZE,
    STEPS,
    late_loss_step,
    mistaken_steps,
    train_small_network,
    training_step,
)


def generators():
    """Two sources of random numbers: one is always the same, one is another each time."""
    always, other = torch.Generator().manual_seed(2), torch.Generator()
    other.seed()
    return always, other


def integers(random, low, high, count):
    """A list of random integers from low to high, both included."""
    return torch.randint(low, high + 1, (count,), generator=random).tolist()


@contextlib.contextmanager
def refusing(what, *functions):
    """Let PyTorch's own functions say that the student should write them.

    Args:
        what: they do, such as "convolution".
        functions: (module, name) of each.
    """

    def refuse(*arguments, **settings):
        raise Mistake(f"it calls PyTorch's own {what}: write yours")

    with contextlib.ExitStack() as stack:
        for module, name in functions:
            stack.enter_context(mock.patch.object(module, name, refuse))
        yield


# --- 2.1 ----------------------------------------------------------------------------

CONVOLUTIONS = tuple(
    (module, f"conv{axes}d") for module in (torch, nn.functional) for axes in (1, 2, 3)
)

# Of image and kernel.
SIZES = (
    ((6, 6), (3, 3)), ((7, 9), (3, 3)), ((9, 6), (2, 4)), ((5, 8), (5, 1)), ((4, 4), (4, 4)),
    ((3, 5), (1, 1)), ((1, 1), (1, 1)), ((8, 7), (3, 2)),
)  # fmt: skip


@exercise("2.1", "convolve")
def check_convolve(convolve):
    """Valid cross-correlation of an image with a kernel."""
    require_function(convolve, "convolve")
    compare_all(_convolutions(convolve))


def _convolutions(convolve):
    """Yield (what, found, right, slips), as `compare_all` takes them."""
    for random, dtype in zip(generators(), (torch.float32, torch.float64)):
        for sizes in SIZES:
            image, kernel = (torch.randn(s, generator=random, dtype=dtype) for s in sizes)
            what = f"image {size(image.shape)}, kernel {size(kernel.shape)}"
            given = image.clone()
            with refusing("convolution", *CONVOLUTIONS):
                value = call(what, convolve, given, kernel.clone())
            found = array(value, what)
            slips = convolution_slips(image, kernel) | wrong_sizes(found, image, kernel)
            yield what, found, cross_correlation(image, kernel), slips
            if not torch.equal(given, image):
                raise Mistake(f"{what}: the image is changed; leave it as it is")


# --- 2.2 ----------------------------------------------------------------------------


@exercise("2.2", "output_size", "parameters", "receptive_field")
def check_sizes(*functions):
    """Three functions of whole numbers."""
    names = ("output_size", "parameters", "receptive_field")
    stubs = [name for name, function in zip(names, functions) if is_stub(function)]
    if len(stubs) == len(names):
        raise NotDone
    rights = (_output_size, _parameters, receptive_field)
    calls = (_output_size_calls, _parameters_calls, _receptive_field_calls)
    slips = (OUTPUT_SIZE_SLIPS, PARAMETERS_SLIPS, FIELD_SLIPS)
    for name, function, *rest in zip(names, functions, rights, calls, slips):
        if name not in stubs:
            _compare_function(name, function, *rest)
    if stubs:
        verb = "is" if len(stubs) == 1 else "are"
        raise Mistake(f"{' and '.join(stubs)} {verb} still to be done; the rest is right")


def _compare_function(name, function, right, make_calls, slips):
    """Compare a function of whole numbers with the right one, on several calls.

    Args:
        right: the function as it should be.
        make_calls: a function of a source of random numbers: a list of arguments.
        slips: words → function. The words are said if it gives all of the answer's numbers.

    Raises:
        Mistake: they differ.
    """
    require_function(function, name)
    for random in generators():
        calls = make_calls(random)
        found = []
        for arguments in calls:
            value = numbers(function, name, copy.deepcopy(arguments))
            if len(value) != 1:
                raise Mistake(f"{written(name, arguments)} returns {len(value)} numbers, not one")
            found.append(value.item())
        expected = [right(*arguments) for arguments in calls]
        if found != expected:
            first = [*map(float.__eq__, found, map(float, expected))].index(False)
            why = (words for words, slip in slips.items() if found == [slip(*c) for c in calls])
            what = f"{written(name, calls[first])}: expected {expected[first]}"
            what += f", found {found[first]:.10g}"
            raise Mistake(". ".join([*itertools.islice(why, 1), what]))


def _output_size_calls(random):
    calls = [(28, 5), (28, 3, 1, 1), (29, 4, 3), (5, 2, 2)]
    for _ in range(20):
        kernel, stride, padding, more = integers(random, 1, 7, 4)
        calls.append((kernel + 3 * more, kernel, stride, padding))
    return calls


def _output_size(size, kernel, stride=1, padding=0):
    """Counts where the kernel can begin."""
    return len(range(-padding, size + padding - kernel + 1, stride))


def _parameters_calls(random):
    calls = [(1, 16, 5), (16, 24, 3, False)]
    for count in range(10):
        calls.append((*integers(random, 2, 9, 3), count % 2 == 0))
    return calls


def _parameters(in_channels, out_channels, kernel, bias=True):
    """Asks PyTorch. The device "meta" needs no memory."""
    layer = nn.Conv2d(in_channels, out_channels, kernel, bias=bias, device="meta")
    return sum(weights.numel() for weights in layer.parameters())


def _receptive_field_calls(random):
    calls = [[(3, 1)], [(3, 1), (3, 1)], [(3, 1), (2, 2), (3, 1)], [(5, 1), (2, 2), (3, 1), (3, 1)]]
    for count in integers(random, 2, 6, 8):
        calls.append([tuple(integers(random, 1, 5, 2)) for _ in range(count)])
    return [(layers,) for layers in calls]


# --- 2.3 ----------------------------------------------------------------------------

BATCH_NORMS = ((torch, "batch_norm"), (torch, "native_batch_norm"), (nn.functional, "batch_norm"))

# Shapes of x, and settings other than the usual ones. A large eps shows where it is added.
BATCHES = (
    ((4, 3, 3, 2), (0.3, 0.4)), ((2, 2, 3, 5), ()), ((1, 3, 2, 3), (0.1, 0.2)),
    ((5, 1, 1, 1), (0.25,)), ((3, 4, 1, 3), ()),
)  # fmt: skip


@exercise("2.3", "batch_norm")
def check_batch_norm(batch_norm):
    """The output of nn.BatchNorm2d, and its running statistics."""
    require_function(batch_norm, "batch_norm")
    for random in generators():
        for (shape, settings), training in itertools.product(BATCHES, (True, False)):
            draw = {"generator": random, "dtype": (torch.float64, torch.float32)[shape[0] % 2]}
            x = 3 * torch.randn(shape, **draw) + 2
            named = dict(zip(("momentum", "eps"), settings))
            layer = nn.BatchNorm2d(shape[1], **named, dtype=x.dtype).train(training)
            layer.weight.data, layer.bias.data, layer.running_mean = torch.randn(
                3, shape[1], **draw
            )
            layer.running_var = 0.5 + torch.rand(shape[1], **draw)
            _compare_batch_norm(batch_norm, x, layer, settings)


@torch.no_grad()
def _compare_batch_norm(batch_norm, x, layer, settings):
    """Compare an answer with an nn.BatchNorm2d in training or in evaluation mode."""
    names = ("training", "momentum", "eps")
    texts = (f"{name}={value}" for name, value in zip(names, (layer.training, *settings)))
    what = ", ".join((f"x {size(x.shape)}", *texts))
    before = copy.deepcopy(layer)
    given, mean, variance = x.clone(), layer.running_mean.clone(), layer.running_var.clone()
    arguments = (layer.weight.data.clone(), layer.bias.data.clone(), mean, variance)
    with refusing("batch normalisation", *BATCH_NORMS):
        value = call(what, batch_norm, given, *arguments, layer.training, *settings)
    if isinstance(value, tuple) and len(value) == 3:
        raise Mistake("return the output only; change running_mean and running_var in place")
    found, running = array(value, what), {"running_mean": mean, "running_var": variance}
    changed = [n for n, now in running.items() if not torch.equal(now, getattr(before, n))]
    slips = batch_norm_slips(x, before)
    if changed and not layer.training:
        slips[f"{' and '.join(changed)} must not change in evaluation"] = found
    compare(found, layer(x), what, slips)
    if not torch.equal(given, x):
        raise Mistake(f"{what}: x is changed; leave it as it is, and return a new tensor")
    for name, now in running.items():
        slips = running_slips(name, x, before)
        if not layer.training:
            slips[f"{name} must not change in evaluation"] = now
        compare(array(now, name), getattr(layer, name), f"{name}, {what}", slips)


# --- 2.4 ----------------------------------------------------------------------------


@exercise("2.4", "train_step")
def check_train_step(train_step):
    """Three steps give the weights that PyTorch's usual loop gives."""
    require_function(train_step, "train_step")
    for random in generators():
        _compare_train_step(train_step, random.initial_seed())


def _compare_train_step(train_step, seed):
    def step(*arguments):
        return _loss_as_float(call("train_step", train_step, *arguments))

    network, losses, made = train_small_network(step, seed)
    if made != STEPS:
        raise Mistake(
            f"optimizer.step() is called {made} times in {STEPS} training steps"
            if made
            else "optimizer.step() is not called: let the optimizer change the weights"
        )
    right, right_losses, _ = train_small_network(training_step, seed)
    if not _same_weights(network, right):
        raise Mistake(_why_other_weights(network, seed))
    if not close(losses, right_losses):
        difference = f"expected {right_losses[0]:.4f}, found {losses[0]:.4f}"
        reason = _why_other_losses(losses, right_losses, seed)
        raise Mistake(f"the weights are right, the loss is not: {reason}{difference}")
    calls = network[1].num_batches_tracked.item()
    if calls != STEPS:
        raise Mistake(
            f"the weights are right, but the model is called {calls} times in training mode in "
            f"{STEPS} steps, and batch norm's running statistics change each time"
        )


def _loss_as_float(loss):
    if loss is None:
        raise Mistake("train_step returns None: return the loss as a float")
    if isinstance(loss, torch.Tensor):
        raise Mistake(
            "train_step returns a tensor; loss.item() is its number. A tensor keeps everything in "
            "memory from which it was calculated"
        )
    if not isinstance(loss, (float, np.floating)):
        raise Mistake(f"train_step returns {type(loss).__name__}: return the loss as a float")
    return float(loss)


def _same_weights(network, other):
    return all(map(close, network.parameters(), other.parameters()))


def _why_other_losses(losses, right_losses, seed):
    if close(losses, [BATCH_SIZE * loss for loss in right_losses]):
        return "it is the sum over the batch; the mean is asked for. "
    for training in (True, False):
        late = functools.partial(late_loss_step, training=training)
        if close(losses, train_small_network(late, seed)[1]):
            return "it is the loss after the update; the one before is asked for. "
    return ""


def _why_other_weights(network, seed):
    if _same_weights(network, train_small_network(lambda *_: None, seed)[0]):
        return (
            "optimizer.step() is called, but no weight changes. Is backward() missing, or are the "
            "gradients cleared between backward() and step()?"
        )
    for words, step in mistaken_steps():
        if _same_weights(network, train_small_network(step, seed)[0]):
            return words
    return f"the weights after {STEPS} steps are not those of the usual training step"


# --- 2.5 ----------------------------------------------------------------------------

MOST_PARAMETERS = 8_000  # the network must have fewer
LEAST_ACCURACY = 98.8  # percent of the held-out digits
RECIPE = utils.Recipe(epochs=2, batch_size=128, learning_rate=0.2, weight_decay=5e-4)


class Quiet(nn.Module):
    """Calls a network without showing what it prints.

    It copies the images to the usual order in memory, so that `view` works in the network.
    """

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        with quiet():
            return self.network(images.clone(memory_format=torch.contiguous_format))


@exercise("2.5", "MyNet")
def check_my_net(MyNet):
    """A network of the student's own: trained here, and judged on held-out training images."""
    forward = getattr(MyNet, "forward", None)
    if is_stub(forward):
        raise NotDone
    if forward is nn.Module.forward:
        raise Mistake("MyNet has no method forward")
    if isinstance(MyNet, nn.Module):
        raise Mistake("MyNet is not a class: write class MyNet(nn.Module)")
    require_function(MyNet, "MyNet")
    device = utils.best_device()
    utils.seed_everything(0)
    network = call("MyNet()", MyNet, method=_own_method(MyNet))
    if not isinstance(network, nn.Module):
        raise Mistake("MyNet should begin with: class MyNet(nn.Module)")
    _require_own_layers(network)
    _require_found_layers(network)
    network = Quiet(network).to(device)
    _require_logits(network, device)
    _require_few_parameters(network)
    logits, labels = _train(network, device)
    accuracy = 100 * (logits.argmax(1) == labels).sum().item() / len(labels)
    print(f"{accuracy:.2f} % of {len(labels):,} held-out digits", flush=True)
    if accuracy < LEAST_ACCURACY:
        asked = f"at least {LEAST_ACCURACY:.2f} % is asked for"
        raise Mistake(f"{accuracy:.2f} % of the held-out digits, {asked}{_advice(network, logits)}")


def _own_method(network_class):
    """A method that a class defines itself, or None."""
    values = vars(network_class).values() if isinstance(network_class, type) else ()
    return next((value for value in values if hasattr(value, "__code__")), None)


def _require_own_layers(network):
    for module in network.modules():
        for ours in type(module).__mro__:
            if ours.__module__ == model.__name__ and ours is not model.DigitNet:
                verb = "is" if module is network else "contains"
                raise Mistake(f"MyNet {verb} {ours.__name__} of model.py: write your own")


def _require_found_layers(network):
    for name, value in vars(network).items():
        if isinstance(value, (list, tuple)) and any(isinstance(v, nn.Module) for v in value):
            raise Mistake(
                f"self.{name} is a {type(value).__name__}: PyTorch does not look for layers in it. "
                "Use nn.Sequential or nn.ModuleList"
            )


def _require_logits(network, device):
    """Call a network once in each mode, before it is trained for seconds."""
    for count, training in ((1, False), (3, True)):
        images = torch.randn(count, 1, 28, 28, device=device)
        what = f"images {size(images.shape)}"
        with utils.autocast(device):
            method = _own_method(type(network.network))
            logits = call(what, network.train(training), images, method=method)
        if not isinstance(logits, torch.Tensor):
            raise Mistake(f"{what}: forward returns {type(logits).__name__}, not a tensor")
        if logits.shape != (count, 10):
            raise Mistake(f"{what}: expected logits {count}×10, found {size(logits.shape)}")
        if not logits.isfinite().all():
            raise Mistake(f"{what}: not all logits are finite numbers")
        if _are_probabilities(logits):
            raise Mistake(
                "it returns probabilities. Return logits: the loss does the softmax itself"
            )
    if not logits.requires_grad:
        raise Mistake("no parameter of the network has an influence on the logits")


def _are_probabilities(logits):
    return bool((logits >= 0).all() and (logits.sum(1) - 1).abs().max() < 0.05)


def _require_few_parameters(network):
    count = sum(weights.numel() for weights in network.parameters())
    if count >= MOST_PARAMETERS:
        raise Mistake(f"{count:,} parameters; fewer than {MOST_PARAMETERS:,} are asked for")


def _train(network, device):
    """Train on 55,000 images: (logits, labels) of the 5,000 others of the training set."""
    try:
        train_set, held_out = mnist.split(mnist.load_mnist(test=False))
    except Exception as error:  # noqa: BLE001  no network, a full disk, …
        raise _not_yours(error) from None
    loader = utils.TensorLoader(train_set, RECIPE.batch_size, shuffle=True, device=device)
    held_out = utils.TensorLoader(held_out, 1000, device=device)
    optimizer, scheduler = utils.make_optimizer(network, RECIPE, len(loader))
    start = time.perf_counter()
    try:
        for epoch in range(1, RECIPE.epochs + 1):
            utils.train(network, device, loader, optimizer, epoch, scheduler)
        result = utils.predict(network, device, held_out)
    except Exception as error:  # noqa: BLE001  an answer may raise anything
        line = line_of(error, _own_method(type(network.network)))
        raise Mistake(f"the training stops with {describe(error)}{line}") from None
    print(f"{RECIPE.epochs} epochs in {time.perf_counter() - start:.0f} s: ", end="")
    return result


def _not_yours(error):
    return Mistake(f"this is not your fault, the data are missing: {describe(error)}")


def _advice(network, logits):
    """What may be the reason for a low accuracy."""
    layers = [*network.modules()]
    if not logits.isfinite().all():
        return ". The logits are no finite numbers any more: the training diverged"
    if not any(isinstance(layer, nn.Conv2d) for layer in layers):
        return ". It has no convolution"
    if not any(isinstance(layer, nn.BatchNorm2d) for layer in layers):
        return ". It has no batch norm"
    return ""


# --- 2.6 ----------------------------------------------------------------------------

# Digits that only a reads rightly, and that only b does. In the first, most slips show.
DISCORDANT = ((15, 6), (4, 15), (2, 9), (0, 7), (6, 6), (1, 0), (0, 0), (30, 47), (3, 2))


@exercise("2.6", "mcnemar", "supported")
def check_mcnemar(mcnemar, supported):
    """McNemar's exact test, and the claims that it supports."""
    if is_stub(mcnemar) and supported is None:
        raise NotDone
    if is_stub(mcnemar):
        raise Mistake("mcnemar is still to be done")
    require_function(mcnemar, "mcnemar")
    tries = itertools.product(generators(), DISCORDANT)
    compare_all(_try_mcnemar(mcnemar, random, *counts) for random, counts in tries)
    if supported is None:
        raise Mistake("mcnemar is right; supported is still None. Which claims are supported?")
    try:
        right = supported_claims()
    except RuntimeError as error:
        raise _not_yours(error) from None
    wrong = _claim_numbers(supported) ^ right
    if wrong:
        count = len(CLAIMS) - len(wrong)
        raise Mistake(f"mcnemar is right; {count} of {len(CLAIMS)} claims are judged rightly")


def _try_mcnemar(mcnemar, random, only_a, only_b):
    """(what, found, right, slips), as `compare_all` takes them."""
    both, neither = integers(random, 20, 60, 2)
    a, b = [True, True, False, False], [True, False, True, False]
    counts = torch.tensor([both, only_a, only_b, neither])
    order = torch.randperm(int(counts.sum()), generator=random)
    right_a, right_b = (torch.tensor(x).repeat_interleave(counts)[order] for x in (a, b))
    what = f"both right {both}, only a {only_a}, only b {only_b}, both wrong {neither}"
    try:
        found = array(call(what, mcnemar, right_a, right_b), what)
    except Mistake as mistake:
        if isinstance(mistake.__context__, (OverflowError, TypeError)):
            advice = "Make whole numbers of Python of the counts, with .item() or int()"
            raise Mistake(f"{mistake}. {advice}") from None
        raise
    if found.size != 1:
        raise Mistake(f"{what}: it returns {found.size} numbers, not one")
    slips = p_slips(both, only_a, only_b, neither)
    return what, found.reshape(()), exact_p(only_a, only_b), slips


def _claim_numbers(supported):
    """What was answered, as a set of numbers of claims."""
    numbers = range(1, len(CLAIMS) + 1)
    if not isinstance(supported, (str, bytes, dict)):
        with contextlib.suppress(Exception):  # an answer may be anything
            values = [float(value) for value in supported]
            if set(values) <= set(numbers) and len(set(values)) == len(values):
                return set(values)
    raise Mistake(f"supported should be a list of numbers of claims, from 1 to {len(CLAIMS)}")
