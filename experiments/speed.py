"""Time our training against the usual one, in one run on one machine.

    python experiments/speed.py

Four things are timed alternately, so that a slow phase of the machine affects them all:

* an epoch of network D with its published recipe, in the usual pipeline: a DataLoader with
  two workers that prepares image after image with torchvision, and a float32 training step;
* a whole training of `SprintNet` with the recipe "sprint", over five seeds. The clock runs
  from the seed to the end of the last epoch; reading the files comes before it, testing after
  it;
* the same of `FastNet` with the recipe "fast";
* an epoch of `Net` with the recipe "ours", in the usual pipeline and in ours.

On a GPU, one training comes first that is not timed: it loads libraries. The results replace
this device's rows in speed.csv, a row a measurement.
"""

import argparse
import csv
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from torchvision import datasets, transforms
from tqdm import tqdm

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent), str(FOLDER)]

from compare import machine  # noqa: E402
from files import replacing  # noqa: E402
from graphs import trainer  # noqa: E402
from mnist import DATA, MEAN, STD, load_mnist  # noqa: E402
from model import build  # noqa: E402
from results import SPEED  # noqa: E402
from utils import (  # noqa: E402
    RECIPES,
    TensorLoader,
    best_device,
    make_optimizer,
    seed_everything,
    test,
    train_network,
)

SEEDS = (1, 2, 3, 4, 5)
TIMED = (("SprintNet", "sprint"), ("FastNet", "fast"))


def usual_loader(recipe):
    """The training images as a first MNIST program loads them.

    Args:
        recipe: a `Recipe` whose augmentation has neither shear nor crop.
    """
    steps = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    if affine := recipe.augmentation:
        turn = transforms.RandomAffine(
            affine.degrees,
            (affine.translate, affine.translate),
            (1 - affine.scale, 1 + affine.scale),
            interpolation=transforms.InterpolationMode.BILINEAR,
        )
        steps.insert(0, turn)
    dataset = datasets.MNIST(DATA, train=True, transform=transforms.Compose(steps))
    return DataLoader(dataset, recipe.batch_size, shuffle=True, num_workers=2)


def synchronize(device):
    """Wait until the device has finished: on a GPU, PyTorch returns before the work is done."""
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()


def time_usual_epoch(name, recipe, device):
    """Seconds that a first MNIST program needs for an epoch."""
    loader = usual_loader(recipe)
    seed_everything(0)
    network = build(name).to(device)
    optimizer, scheduler = make_optimizer(network, recipe, len(loader))
    start = time.perf_counter()
    network.train()
    for images, targets in tqdm(loader, desc=f"{name}, usual"):
        images, targets = images.to(device), targets.to(device)
        loss = F.cross_entropy(network(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    synchronize(device)
    return time.perf_counter() - start


def time_training(name, recipe, seed, train_set, device):
    """Train without testing: (seconds, network)."""
    start = time.perf_counter()
    network, _ = train_network(
        lambda: build(name),
        recipe,
        seed,
        train_set,
        None,
        device,
        train_epoch=trainer(device, recipe),
    )
    synchronize(device)
    return time.perf_counter() - start, network


def main(arguments=None):
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(arguments)
    device = best_device()
    train_set, test_set = load_mnist()
    test_loader = TensorLoader(test_set, 1000, device=device)
    rows = []

    def add(pipeline, network, recipe, seed, epochs, seconds, accuracy=""):
        row = {"pipeline": pipeline, "network": network, "recipe": recipe, "seed": seed}
        row |= {"epochs": epochs, "seconds": f"{seconds:.2f}", "test_accuracy": accuracy}
        print(row, flush=True)
        rows.append(row | machine(device))

    ours = RECIPES["ours"]
    if device.type != "cpu":
        time_training("FastNet", RECIPES["fast"], 0, train_set, device)
    for seed in SEEDS:
        for name, recipe in TIMED:
            seconds, network = time_training(name, RECIPES[recipe], seed, train_set, device)
            _, accuracy = test(network, device, test_loader)
            add("ours", name, recipe, seed, RECIPES[recipe].epochs, seconds, f"{accuracy:.5f}")
        if seed in SEEDS[:2]:
            add("usual", "D", "D", 0, 1, time_usual_epoch("D", RECIPES["D"], device))
            add("usual", "Net", "ours", 0, 1, time_usual_epoch("Net", ours, device))
            seconds, _ = time_training("Net", replace(ours, epochs=1), 0, train_set, device)
            add("ours", "Net", "ours", 0, 1, seconds)

    others = []
    if SPEED.exists():
        with open(SPEED, newline="", encoding="utf-8") as file:
            others = [row for row in csv.DictReader(file) if row["device"] != rows[0]["device"]]
    with replacing(SPEED, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows + others)


if __name__ == "__main__":
    main()
