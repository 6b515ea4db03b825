"""An epoch of the in-memory pipeline against an epoch of the usual one, in one run.

    python experiments/pipeline.py

The usual one is a DataLoader with two workers that transforms image after image with
torchvision (RandomAffine, ToTensor, Normalize), and a plain float32 training step. Both
train the same network from the same start with the same kind of augmentation on all
60,000 images. They take turns, so that a slow spell of the machine hits both.
"""

import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from model import build  # noqa: E402
from utils import (  # noqa: E402
    MEAN,
    RECIPES,
    STD,
    best_device,
    load_mnist,
    prepare,
    seed_everything,
    train,
)

ROUNDS = 2


def usual_epoch(network, device, loader, optimizer, scheduler):
    """The loop of a first MNIST program."""
    network.train()
    for images, targets in loader:
        images, targets = images.to(device), targets.to(device)
        loss = F.cross_entropy(network(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()


def main():
    recipe, device = RECIPES["ours"], best_device()
    a = recipe["augmentation"]
    usual_transform = transforms.Compose(
        [
            transforms.RandomAffine(
                a["degrees"],
                (a["translate"], a["translate"]),
                (1 - a["scale"], 1 + a["scale"]),
                a.get("shear", 0),
                transforms.InterpolationMode.BILINEAR,
            ),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    train_set, test_set = load_mnist()
    usual_set = datasets.MNIST(ROOT / "data", train=True, transform=usual_transform)
    size = recipe["batch_size"]
    usual_loader = DataLoader(usual_set, size, shuffle=True, num_workers=2)
    print(f"{device.type}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    seconds = {"usual": [], "ours": []}
    for _ in range(ROUNDS):
        for name in seconds:
            seed_everything(0)
            network = build("Net").to(device)
            ready = prepare(network, recipe | {"epochs": 1}, train_set, test_set, device)
            our_loader, _, optimizer, scheduler = ready
            start = time.perf_counter()
            if name == "usual":
                usual_epoch(network, device, usual_loader, optimizer, scheduler)
            else:
                network.to(memory_format=torch.channels_last)
                train(network, device, our_loader, optimizer, 1, scheduler)
            seconds[name].append(time.perf_counter() - start)
            print(f"{name:6} {seconds[name][-1]:.1f} s an epoch")
    ratio = min(seconds["usual"]) / min(seconds["ours"])
    print(f"best of {ROUNDS}: usual / ours = {ratio:.1f}")


if __name__ == "__main__":
    main()
