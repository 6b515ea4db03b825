"""A training step for exercise 2.4, right or with a mistake, and a small network for it."""

import itertools
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

STEPS, BATCH_SIZE, CLASSES = 3, 7, 10


class RepeatableDropout(nn.Dropout):
    """Dropout that always drops the same, whatever random numbers an answer draws."""

    def forward(self, values):
        if not self.training:
            return values
        random = torch.Generator().manual_seed(0)
        return values * (torch.rand(values.shape, generator=random) > self.p) / (1 - self.p)


def train_small_network(step, seed):
    """Train a network with batch norm and dropout by calling `step` a few times.

    The network comes in evaluation mode each time, the first time with gradients left over
    from something else.

    Args:
        step: a function of (model, images, targets, optimizer).
        seed: of the network's weights and the images.

    Returns:
        (network, losses, count): the trained network, what `step` returned each time, and
        how often the optimizer made a step.
    """
    random = torch.Generator().manual_seed(seed)
    layers = (nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), RepeatableDropout(0.3))
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 6 * 6, CLASSES))
    for weights in network.parameters():
        weights.data = torch.randn(weights.shape, generator=random) / 4
        weights.grad = torch.randn(weights.shape, generator=random) / 4
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    losses, made = [], []
    optimizer.register_step_post_hook(lambda *_: made.append(True))
    for _ in range(STEPS):
        images = torch.randn(BATCH_SIZE, 1, 8, 8, generator=random)
        targets = torch.randint(CLASSES, (BATCH_SIZE,), generator=random)
        losses.append(step(network.eval(), images, targets, optimizer))
    return network, losses, len(made)


def late_loss_step(model, images, targets, optimizer, training):
    """The right step, but it returns the loss after the update, in training mode or not."""
    training_step(model, images, targets, optimizer)
    with torch.no_grad():
        return F.cross_entropy(model.train(training)(images), targets).item()


# What a step does, and the words for it; no words for what is right.
MODES = {True: "", False: "the model is not in training mode: call model.train()"}
CLEARED = {
    "before": "",
    "never": "the gradients of earlier steps are not cleared: they add up",
    "after": "clear the gradients before backward(): the model came with some",
}
LOSSES = {
    "mean": "",
    "of softmax": "cross_entropy takes logits and does the softmax itself",
    "sum": "take the mean of the batch's losses, not their sum",
}


def training_step(model, images, targets, optimizer, training=True, cleared="before", loss="mean"):
    """One step; `training`, `cleared` and `loss` are keys of the tables above."""
    model.train(training)
    if cleared == "before":
        optimizer.zero_grad()
    logits = model(images)
    logits = logits.softmax(1) if loss == "of softmax" else logits
    value = F.cross_entropy(logits, targets, reduction="sum" if loss == "sum" else "mean")
    value.backward()
    optimizer.step()
    if cleared == "after":
        optimizer.zero_grad()
    return value.item()


def mistaken_steps():
    """Yield (words, step) for every mistake, and for several together; single ones first."""
    choices = itertools.product(MODES.items(), CLEARED.items(), LOSSES.items())
    for choice in sorted(choices, key=lambda choice: sum(bool(words) for _, words in choice)):
        keys, words = zip(*choice)
        named = dict(zip(("training", "cleared", "loss"), keys))
        if any(words):
            yield "; ".join(filter(None, words)), partial(training_step, **named)
