"""How lesson 2's recipes were chosen: on 55,000 training images, judged on the other 5,000.

    python experiments/search.py [VARIANT…]
    python experiments/search.py --change learning_rate=0.3 --results my_runs.csv

Each variant changes some settings of the base: see `VARIANTS`. The seed of a run also
draws which 5,000 images are held out. Finished runs are in search.csv, a row for each;
started again, the script makes those that are missing. The test images are not loaded.

With --change, an experiment of your own: FastNet with the recipe "fast" and one or more
settings changed, on the held-out sets 0, 1 and 2. It takes about a minute on two CPU
cores. The rows go to a file of your own. At the end they are compared with those of "fast"
on the same sets, which are in search.csv.

Seeds 0 and 1 served to choose "ours". Seeds 2 to 4 served the later questions, which
notebook 3 shows; the variants of "fast" have all five.
"""

import argparse
import os
import sys
from dataclasses import fields
from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent), str(FOLDER)]

from compare import machine  # noqa: E402
from mnist import load_mnist, split  # noqa: E402
from model import Net, build, count_parameters  # noqa: E402
from results import append, finished, refuse_other_columns  # noqa: E402
from utils import RandomAffine, Recipe, best_device, train_network  # noqa: E402

RESULTS = FOLDER / "search.csv"
BASE = {
    "network": "Net",
    "epochs": 12,
    "plain_epochs": 0,
    "batch_size": 128,
    "learning_rate": 0.2,
    "weight_decay": 5e-4,
    "channels": (16, 24, 24, 24, 24),
    "dropout": 0.0,
    "degrees": 10,
    "translate": 0.07,
    "scale": 0.1,
    "shear": 5,
    "schedule": "one-cycle",
    "average": None,
}
FOUR = {"channels": (16, 24, 24, 40)}
FIVE = {"channels": (16, 20, 20, 24, 32)}
TINY = {"channels": (10, 14, 14, 16, 16)}
SOFT = {"translate": 0.05, "shear": 0}
FAST = {"network": "FastNet", "channels": (), "batch_size": 256, "learning_rate": 0.5} | SOFT
OURS = SOFT | {"dropout": 0.05}
FAST_PLAIN = FAST | {"epochs": 6, "plain_epochs": 1}  # the recipe "fast"
FAST_NAME = "FastNet, 6 epochs, last one plain"
FAST_SETTINGS = BASE | FAST_PLAIN
NO_AUGMENTATION = {"degrees": 0, "translate": 0, "scale": 0}
TINYNET = SOFT | {"network": "TinyNet", "channels": ()}
VARIANTS = {  # changes to the base, and with which seeds
    "base": ({}, (0, 1)),
    "channels 16-24-24-40": (FOUR, (0,)),
    "channels 16-24-24-40, softer augmentation": (FOUR | SOFT, (0,)),
    "channels 16-24-24-40, weight decay 0.0002": (FOUR | {"weight_decay": 2e-4}, (0,)),
    "channels 16-24-24-40, 18 epochs": (FOUR | {"epochs": 18}, (0,)),
    "channels 12-20-20-24-32": ({"channels": (12, 20, 20, 24, 32)}, (0,)),
    "channels 16-20-20-20-20-20": ({"channels": (16, 20, 20, 20, 20, 20)}, (0,)),
    "channels 16-20-20-24-32": (FIVE, (0, 1)),
    "channels 16-20-20-24-32, weight decay 0.0002": (FIVE | {"weight_decay": 2e-4}, (0,)),
    "channels 16-20-20-24-32, weight decay 0.001": (FIVE | {"weight_decay": 1e-3}, (0,)),
    "channels 16-20-20-24-32, batch size 64": (
        FIVE | {"batch_size": 64, "learning_rate": 0.1},
        (0,),
    ),
    "channels 16-20-20-24-32, weaker augmentation": (
        FIVE | {"degrees": 7.5, "translate": 0.05, "scale": 0.07, "shear": 4},
        (0,),
    ),
    "learning rate 0.3": ({"learning_rate": 0.3}, (0,)),
    "dropout 0.05": ({"dropout": 0.05}, (0, 1)),
    "softer augmentation": (SOFT, (0, 1)),
    "softer augmentation, 18 epochs": (SOFT | {"epochs": 18}, (0, 1)),
    "channels 10-14-14-16-16": (TINY, (0, 1)),
    "FastNet, 5 epochs": (FAST | {"epochs": 5}, (2, 3, 4)),
    "FastNet, 5 epochs, last one plain": (FAST | {"epochs": 5, "plain_epochs": 1}, (0, 1, 2, 3, 4)),
    "FastNet, 6 epochs": (FAST | {"epochs": 6}, (2, 3, 4)),
    FAST_NAME: (FAST_PLAIN, (0, 1, 2, 3, 4)),
    "ours": (OURS, (2, 3, 4)),
    "ours, last epoch plain": (OURS | {"plain_epochs": 1}, (2, 3, 4)),
    "ours, last two epochs plain": (OURS | {"plain_epochs": 2}, (2, 3, 4)),
    "TinyNet": (TINYNET, (2, 3, 4)),
    "TinyNet, weight decay 0.0001": (TINYNET | {"weight_decay": 1e-4}, (2, 3, 4)),
    "TinyNet, 19 epochs": (TINYNET | {"epochs": 19}, (2, 3, 4)),
}
ABLATION = {  # for notebook 3: the recipe "fast" with one thing changed or added
    "constant rate 0.01": {"schedule": "constant", "learning_rate": 0.01},
    "constant rate 0.04": {"schedule": "constant", "learning_rate": 0.04},
    "batch 64, rate 0.125": {"batch_size": 64, "learning_rate": 0.125},
    "no augmentation": NO_AUGMENTATION,
    "no plain epoch": {"plain_epochs": 0},
    "no weight decay": {"weight_decay": 0.0},
    "averaged weights": {"average": 0.99},
}
VARIANTS |= {
    f"fast, {name}": (FAST_PLAIN | change, (0, 1, 2, 3, 4)) for name, change in ABLATION.items()
}

LIMITS = {  # what --change takes: the settings of a recipe, and their lowest and highest value
    "epochs": (1, 50),
    "plain_epochs": (0, 50),
    "batch_size": (16, 5000),
    "learning_rate": (0.0, 10.0),
    "weight_decay": (0.0, 1.0),
    "degrees": (0.0, 180.0),
    "translate": (0.0, 0.5),
    "scale": (0.0, 0.9),
    "shear": (0.0, 60.0),
    "average": (0.0, 0.9999),
}
CHANGE_SEEDS = (0, 1, 2)
TRAINING_IMAGES = 55_000  # the others of the 60,000 are held out
MEASURED = ("validation_loss", "validation_accuracy")
COLUMNS = ("variant", "seed", *BASE, "parameters", *MEASURED, "device", "threads", "torch")


def make_network(settings):
    """The network of a variant: `Net` with other channels, or another one as it is."""
    if settings["network"] != "Net":
        return build(settings["network"])
    return Net(settings["channels"], settings["dropout"])


def make_recipe(settings):
    """The recipe of a variant."""
    augmentation, recipe = (
        {field.name: settings[field.name] for field in fields(kind) if field.name in settings}
        for kind in (RandomAffine, Recipe)
    )
    return Recipe(
        **recipe, augmentation=RandomAffine(**augmentation) if any(augmentation.values()) else None
    )


def run(variant, settings, seed, train_set, device, path):
    """Train once on all but 5,000 images, judge on those, and add a row to a file."""
    print(f"--- {variant}, seed {seed}", flush=True)
    network, history = train_network(
        lambda: make_network(settings),
        make_recipe(settings),
        seed,
        *split(train_set, seed=seed),
        device,
    )
    last = history.iloc[-1].rename(lambda name: name.replace("test_", "validation_"))
    row = {"variant": variant, "seed": seed, **settings}
    row["channels"] = "-".join(map(str, settings["channels"]))
    row["parameters"] = count_parameters(network)
    append(path, row | {name: f"{last[name]:.5f}" for name in MEASURED} | machine(device))


def parse_change(texts):
    """What differs from "fast", from texts such as "learning_rate=0.3".

    Raises:
        ValueError: an unknown setting, one named twice, a wrong value, or no difference.
    """
    change = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if name not in (*LIMITS, "schedule") or not equals:
            names = ", ".join([*LIMITS, "schedule"])
            raise ValueError(f"{text!r} is no change. Write NAME=VALUE with one of these: {names}")
        if name in change:
            raise ValueError(f"{name} is changed twice")
        change[name] = value if name == "schedule" else _number(name, value)
    change = {k: change[k] for k in BASE if k in change and change[k] != FAST_SETTINGS[k]}
    if not change:
        raise ValueError(f'{" ".join(texts)}: this is "fast" as it is, nothing is changed')
    make_recipe(FAST_SETTINGS | change)  # it refuses an unknown schedule, and too many plain epochs
    return change


def _number(name, text):
    """A setting's value; ValueError if it is no number of the right kind and size."""
    low, high = LIMITS[name]
    kind = "a whole number" if isinstance(low, int) else "a number"
    try:
        value = type(low)(text)
    except ValueError:
        value = None
    if value is None or not low <= value <= high:
        raise ValueError(f"{name}={text}: {kind} from {low} to {high} is needed")
    if name == "batch_size" and TRAINING_IMAGES % value == 1:
        raise ValueError(
            f"{name}={text}: one image would be left over for the last batch, and batch "
            "normalisation needs two. Take another size."
        )
    return value


def compare_with_fast(variant, path):
    """Say how a change did, set by set, against "fast" on the same held-out images.

    Returns:
        A text: a table of accuracies in percent, and the mean difference in points.
    """
    fast, mine = (pd.read_csv(file).query("seed in @CHANGE_SEEDS") for file in (RESULTS, path))
    fast, mine = fast[fast["variant"] == FAST_NAME], mine[mine["variant"] == variant]
    before, after = (100 * rows.set_index("seed")["validation_accuracy"] for rows in (fast, mine))
    table = pd.DataFrame({"fast": before, "yours": after, "difference": after - before})
    table = table.rename_axis("set").sort_index().round(2)
    mean, error = table["difference"].mean(), table["difference"].sem()
    text = f"\n{variant}: accuracy on held-out images, in percent\n\n{table.to_string()}\n\n"
    text += f"mean difference {mean:+.3f} points, standard error {error:.3f}\n"
    return text + (
        '"fast" was measured on a CPU with two threads. Another computer rounds differently.\n'
        "That is like another seed: it adds luck to each difference.\n"
    )


def parse(arguments):
    """The command line, checked before the training: (variants by name, file of the rows)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help="all, if none is named")
    change = {"nargs": "+", "action": "extend", "metavar": "NAME=VALUE"}
    parser.add_argument("--change", **change, help='settings of "fast" to change, for your own run')
    parser.add_argument("--results", type=Path, metavar="FILE", help="for the rows of --change")
    given = parser.parse_args(arguments)
    if given.change and given.variants:
        parser.error("name a VARIANT or give a --change, not both")
    if bool(given.change) != bool(given.results):
        parser.error("--change and --results belong together: --change … --results my_runs.csv")
    for variant in given.variants:
        if variant not in VARIANTS:
            parser.error(f"no variant {variant!r}; there are: {'; '.join(VARIANTS)}")
    if not given.change:
        return {name: VARIANTS[name] for name in given.variants or VARIANTS}, RESULTS
    try:
        change, path = parse_change(given.change), own_file(given.results)
    except ValueError as error:
        parser.error(str(error))
    name = "fast, " + ", ".join(f"{setting} {value}" for setting, value in change.items())
    return {name: (FAST_PLAIN | change, CHANGE_SEEDS)}, path


def own_file(path):
    """Where the rows of --change go; ValueError if they cannot go there."""
    path = path.resolve()
    if path == RESULTS.resolve():
        raise ValueError("--results: search.csv is for the variants; give another file")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise ValueError(f"--results {path}: this is a folder, or nothing can be written there")
    refuse_other_columns(path, COLUMNS)
    return path


def main(arguments=None):
    variants, path = parse(arguments)
    device = best_device()
    train_set = load_mnist(test=False)
    for variant, (change, seeds) in variants.items():
        for seed in seeds:
            if (variant, str(seed)) not in finished(path, "variant", "seed"):
                run(variant, BASE | change, seed, train_set, device, path)
    if path != RESULTS:
        print(compare_with_fast(*variants, path), end="")


if __name__ == "__main__":
    main()
