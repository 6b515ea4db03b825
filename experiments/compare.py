"""Train a network with a named recipe on all 60,000 images, over several seeds.

    python experiments/compare.py NETWORK RECIPE SEED…     e.g. Net ours 1 2 3 4 5

Every finished run is appended to results.csv, a row a run: the last epoch's numbers, and
beside them the best epoch on the test set, to show how much picking it would flatter.
Runs that stand there already are not repeated, so that the script can be stopped and
started again; the run in progress is lost. With --again they are repeated and compared
with their row instead: on the same kind of CPU, with as many threads, nothing may differ.

weights/ keeps what seed 1 of our recipe made of each network, for notebook 3, and
images/accuracy.png shows what stands in results.csv. Rows of your own experiments belong
into a file of your own: --results FILE. Run one at a time, for the sake of the seconds.
"""

import argparse
import csv
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import utils  # noqa: E402
from model import NETWORKS, build, count_parameters  # noqa: E402
from utils import (  # noqa: E402
    best_device,
    fit,
    load_mnist,
    plot_comparison,
    prepare,
    replacing,
    seed_everything,
    summarise,
    test,
)

RESULTS = Path(__file__).with_name("results.csv")
WEIGHTS = Path(__file__).with_name("weights")
RECIPES = utils.RECIPES | {  # for notebook 3: "fast" with something as in the recipe of D, or added
    f"fast, {name}": utils.RECIPES["fast"] | change
    for name, change in {
        "constant rate 0.01": {"schedule": "constant", "learning_rate": 0.01},
        "constant rate 0.04": {"schedule": "constant", "learning_rate": 0.04},
        "batch 64, rate 0.125": {"batch_size": 64, "learning_rate": 0.125},
        "no augmentation": {"augmentation": {}},
        "no plain epoch": {"plain_epochs": 0},
        "no weight decay": {"weight_decay": 0.0},
        "averaged weights": {"average": 0.99},
    }.items()
}
KEY = ("network", "recipe", "seed")
MEASURED = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


def train_recipe(make_network, recipe, seed, train_set, test_set, device):
    """Train once, as notebook 2 does.

    Args:
        make_network: called without arguments after seeding.
        recipe: a value of `RECIPES`. With "average", d, the weights are averaged while
            training, each step counting d times the one after it, and the last epoch's
            test is that of the average. Running statistics are averaged too.

    Returns:
        (network, history), the history as `utils.fit` returns it.
    """
    seed_everything(seed)
    network = make_network().to(device)
    ready = prepare(network, recipe, train_set, test_set, device)
    if "average" in recipe:
        weigh = get_ema_multi_avg_fn(recipe["average"])
        averaged = AveragedModel(network, multi_avg_fn=weigh, use_buffers=True)
        _, test_loader, optimizer, _ = ready
        optimizer.register_step_post_hook(lambda *_: averaged.update_parameters(network))
    plain_epochs = recipe.get("plain_epochs", 0)
    history = fit(network, *ready, recipe["epochs"], plain_epochs=plain_epochs)
    if "average" in recipe:
        print("averaged: ", end="")
        network = averaged.module
        history.loc[recipe["epochs"], ["test_loss", "test_accuracy"]] = test(
            network, device, test_loader
        )
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


def differences(path, row, columns):
    """The columns in which a repeated run differs from its row, as texts; [] if there are none."""
    with open(path, newline="") as file:
        (old,) = (r for r in csv.DictReader(file) if all(r[name] == row[name] for name in KEY))
    return [f"{c} {old[c]}, now {row[c]}" for c in columns if old[c] != str(row[c])]


def our_recipe(network):
    """The name of the recipe of ours for a network."""
    return {"FastNet": "fast", "TinyNet": "long"}.get(network, "ours")


def published():
    """The accuracies that were published, in percent: the first lines in model.py say them."""
    claims = {}
    for name, network in NETWORKS.items():
        quoted = re.findall(r"\b\d\d\.\d\d\b", network.__doc__.splitlines()[0])
        if quoted:
            claims[name] = max(map(float, quoted))
    return pd.Series(claims)


def compared(summary):
    """Of what `utils.summarise` returns, what a comparison of networks shows.

    Each network as it was published, and with the recipe of ours.
    """
    return summary[[recipe in (network, our_recipe(network)) for network, recipe in summary.index]]


def draw():
    """Draw images/accuracy.png from results.csv."""
    summary = compared(summarise(pd.read_csv(RESULTS)))
    with plt.style.context(utils.STYLE):
        figure = plot_comparison(summary, published())
        figure.savefig(ROOT / "images" / "accuracy.png", metadata={"Software": None})


def machine(device):
    """The columns that say where a run was made."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"device": name, "threads": torch.get_num_threads(), "torch": torch.__version__}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--again", action="store_true", help="repeat finished runs and compare")
    parser.add_argument("--results", type=Path, metavar="FILE", help="keep the rows there")
    arguments = parser.parse_args()
    results = arguments.results or RESULTS
    device = best_device()
    train_set, test_set = load_mnist()
    added = different = False
    for seed in arguments.seeds:
        key = (arguments.network, arguments.recipe, str(seed))
        stands = key in finished(results, *KEY)
        if stands and not arguments.again:
            print(f"{' '.join(key)}: stands in {results.name}")
            continue
        recipe = RECIPES[arguments.recipe]
        network, history = train_recipe(
            lambda: build(arguments.network), recipe, seed, train_set, test_set, device
        )
        last, best = history.iloc[-1], history["test_accuracy"].idxmax()
        row = dict(zip(KEY, key))
        row |= {"parameters": count_parameters(network), "epochs": recipe["epochs"]}
        row |= {name: f"{last[name]:.5f}" for name in MEASURED}
        row |= {"best_epoch": best, "best_accuracy": f"{history['test_accuracy'][best]:.5f}"}
        row |= {"seconds": f"{history['seconds'].sum():.1f}", **machine(device)}
        if stands:
            changes = differences(results, row, (*MEASURED, "best_epoch", "best_accuracy"))
            print(f"{' '.join(key)}: {'; '.join(changes) or 'the same again'}", flush=True)
            different |= bool(changes)
            continue
        if results == RESULTS and key[1:] == (our_recipe(key[0]), "1"):
            WEIGHTS.mkdir(exist_ok=True)
            with replacing(WEIGHTS / f"{arguments.network}.pt") as file:
                torch.save({k: v.cpu().contiguous() for k, v in network.state_dict().items()}, file)
        append(results, row)
        added = True
    if added and results == RESULTS:
        draw()
    sys.exit(different)


if __name__ == "__main__":
    main()
