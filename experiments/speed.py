"""Seconds of a training, ours against the usual way, in one run on one machine.

    python experiments/speed.py

Four things are timed, in turns, so that a slow spell of the machine hits all of them:

* an epoch of network D with its published recipe, in the usual pipeline: a DataLoader with
  two workers that prepares image after image with torchvision, and a float32 training step;
* a whole training of `FastNet` with the recipe "fast", over five seeds. The clock runs from
  the seed to the end of the last epoch; reading the files comes before it, testing after it;
* an epoch of `Net` with the recipe "ours", in the usual pipeline and in ours.

The results replace speed.csv, a row a measurement.
"""

import csv
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from torchvision import datasets, transforms
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "experiments")]

from compare import machine  # noqa: E402

from model import build  # noqa: E402
from utils import (  # noqa: E402
    MEAN,
    RECIPES,
    STD,
    best_device,
    fit,
    load_mnist,
    prepare,
    replacing,
    seed_everything,
    test,
)

RESULTS = Path(__file__).with_name("speed.csv")
SEEDS = (1, 2, 3, 4, 5)


def usual_loader(recipe):
    """The training images as a first MNIST program loads them.

    Args:
        recipe: a value of `utils.RECIPES`, without a crop.
    """
    steps = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    if a := recipe["augmentation"]:
        shift, zoom = a["translate"], (1 - a["scale"], 1 + a["scale"])
        bilinear = transforms.InterpolationMode.BILINEAR
        turn = transforms.RandomAffine(a["degrees"], (shift, shift), zoom, interpolation=bilinear)
        steps.insert(0, turn)
    dataset = datasets.MNIST(ROOT / "data", train=True, transform=transforms.Compose(steps))
    return DataLoader(dataset, recipe["batch_size"], shuffle=True, num_workers=2)


def synchronize(device):
    """Wait until the device has done what it was told: a GPU answers before that."""
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()


def time_usual_epoch(name, recipe_name, train_set, test_set, device):
    """Seconds that a first MNIST program needs for an epoch."""
    recipe, loader = RECIPES[recipe_name], usual_loader(RECIPES[recipe_name])
    seed_everything(0)
    network = build(name).to(device)
    _, _, optimizer, scheduler = prepare(network, recipe, train_set, test_set, device)
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


def time_training(name, recipe_name, seed, train_set, test_set, device, epochs=None):
    """Train without testing, `epochs` of the recipe or all.

    Returns:
        (seconds, network, test_loader)
    """
    recipe = RECIPES[recipe_name]
    start = time.perf_counter()
    seed_everything(seed)
    network = build(name).to(device)
    ready = prepare(network, recipe, train_set, test_set, device)
    train_loader, test_loader, *steps = ready
    plain_epochs = recipe.get("plain_epochs", 0)
    fit(network, train_loader, None, *steps, epochs or recipe["epochs"], plain_epochs=plain_epochs)
    synchronize(device)
    return time.perf_counter() - start, network, test_loader


def main():
    device = best_device()
    data = load_mnist()
    rows = []

    def add(pipeline, network, recipe, seed, epochs, seconds, accuracy=""):
        row = {"pipeline": pipeline, "network": network, "recipe": recipe, "seed": seed}
        row |= {"epochs": epochs, "seconds": f"{seconds:.2f}", "test_accuracy": accuracy}
        rows.append(row | machine(device))
        print({k: v for k, v in rows[-1].items() if k not in machine(device)}, flush=True)

    for seed in SEEDS:
        seconds, network, test_loader = time_training("FastNet", "fast", seed, *data, device)
        _, accuracy = test(network, device, test_loader)
        add("ours", "FastNet", "fast", seed, RECIPES["fast"]["epochs"], seconds, f"{accuracy:.5f}")
        if seed in SEEDS[:2]:
            add("usual", "D", "D", 0, 1, time_usual_epoch("D", "D", *data, device))
            add("usual", "Net", "ours", 0, 1, time_usual_epoch("Net", "ours", *data, device))
            add("ours", "Net", "ours", 0, 1, time_training("Net", "ours", 0, *data, device, 1)[0])

    with replacing(RESULTS, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
