"""Train a network with a named recipe on all 60,000 images, over several seeds.

    python experiments/compare.py NETWORK RECIPE SEED…     e.g. Net ours 1 2 3 4 5

Every finished run is appended to results.csv, a row a run: the last epoch's numbers, and
beside them the best epoch on the test set, to show how much picking it would flatter.
Runs that stand there already are not repeated, so that the script can be stopped and
started again; the run in progress is lost.
"""

import argparse
import csv
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from model import NETWORKS, build, count_parameters  # noqa: E402
from utils import (  # noqa: E402
    RECIPES,
    best_device,
    fit,
    load_mnist,
    prepare,
    replacing,
    seed_everything,
)

RESULTS = Path(__file__).with_name("results.csv")


def train_recipe(make_network, recipe, seed, train_set, test_set, device):
    """Train once, as notebook 2 does.

    Args:
        make_network: called without arguments after seeding.
        recipe: a value of `utils.RECIPES`.

    Returns:
        (network, history), the history as `utils.fit` returns it.
    """
    seed_everything(seed)
    network = make_network()
    history = fit(network, *prepare(network, recipe, train_set, test_set, device), recipe["epochs"])
    return network, history


def finished(path, *keys):
    """The values of some columns, for every run in a CSV of results."""
    if not path.exists():
        return set()
    with open(path, newline="") as file:
        return {tuple(row[key] for key in keys) for row in csv.DictReader(file)}


def append(path, row):
    """Add a row to a CSV, after a header if it is new; a kill leaves no half row."""
    old = path.read_text() if path.exists() else ""
    with replacing(path, "w", newline="") as file:
        file.write(old)
        writer = csv.DictWriter(file, row, lineterminator="\n")
        if not old:
            writer.writeheader()
        writer.writerow(row)


def machine(device):
    """The columns that say where a run was made."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"device": name, "threads": torch.get_num_threads(), "torch": torch.__version__}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("seeds", type=int, nargs="+")
    arguments = parser.parse_args()
    device = best_device()
    train_set, test_set = load_mnist()
    for seed in arguments.seeds:
        key = (arguments.network, arguments.recipe, str(seed))
        if key in finished(RESULTS, "network", "recipe", "seed"):
            print(f"{' '.join(key)}: stands in {RESULTS.name}")
            continue
        recipe = RECIPES[arguments.recipe]
        network, history = train_recipe(
            lambda: build(arguments.network), recipe, seed, train_set, test_set, device
        )
        last, best = history.iloc[-1], history["test_accuracy"].idxmax()
        row = dict(zip(("network", "recipe", "seed"), key))
        row |= {"parameters": count_parameters(network), "epochs": recipe["epochs"]}
        columns = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
        row |= {name: f"{last[name]:.5f}" for name in columns}
        row |= {"best_epoch": best, "best_accuracy": f"{history['test_accuracy'][best]:.5f}"}
        row |= {"seconds": f"{history['seconds'].sum():.1f}", **machine(device)}
        append(RESULTS, row)


if __name__ == "__main__":
    main()
