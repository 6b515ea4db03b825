"""How lesson 2's recipes were chosen: on some of the training images, judged on the others.

    python experiments/search.py [VARIANT…]
    python experiments/search.py --change learning_rate=0.3 --results my_runs.csv

Each variant changes some settings of the base: see variants.py. 5,000 images are held out,
or 10,000 where differences are small; the seed of a run also draws which. Finished runs are
in search.csv, a row for each; started again, the script makes those that are missing. The
test images are not loaded. Where a variant needs a teacher, that one is trained first, on the
same images.

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
import torch

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent), str(FOLDER)]

from candidates import candidate, load_trained  # noqa: E402
from compare import machine  # noqa: E402
from files import replacing  # noqa: E402
from graphs import trainer  # noqa: E402
from mnist import load_mnist, split  # noqa: E402
from model import Net, build, count_parameters  # noqa: E402
from results import append, finished, refuse_other_columns  # noqa: E402
from utils import RandomAffine, Recipe, best_device, train_network  # noqa: E402
from variants import (  # noqa: E402
    BASE,
    FAST_NAME,
    FAST_PLAIN,
    FAST_SETTINGS,
    LOOKS,
    VARIANTS,
)

RESULTS = FOLDER / "search.csv"
TEACHERS = FOLDER.parent / "data" / "teachers"  # one for each seed, so not in the repository
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
    "elastic": (0.0, 0.5),
    "label_smoothing": (0.0, 0.9),
}
CHANGE_SEEDS = (0, 1, 2)
TRAINING_IMAGES = 55_000  # the others of the 60,000 are held out
MEASURED = ("validation_loss", "validation_accuracy")
COLUMNS = ("variant", "seed", *BASE, "parameters", *MEASURED, "device", "threads", "torch")


def make_network(settings):
    """The network of a variant: a candidate, `Net` with other channels, or another one."""
    if settings["layers"]:
        return candidate(settings["layers"], settings["activation"], settings["dropout"])
    if settings["network"] != "Net":
        return build(settings["network"])
    return Net(settings["channels"], settings["dropout"])


def make_recipe(settings):
    """The recipe of a variant."""
    augmentation, recipe = (
        {field.name: settings[field.name] for field in fields(kind) if field.name in settings}
        for kind in (RandomAffine, Recipe)
    )
    recipe["looks"] = LOOKS[settings["looks"]]
    recipe["augmentation"] = RandomAffine(**augmentation) if any(augmentation.values()) else None
    return Recipe(**recipe)


def measure(variant, settings, seed, train_set, device):
    """Train once on all but the held-out images, and judge on those: a row of search.csv.

    A teacher's weights go to `TEACHERS`; a taught network finds them there.
    """
    print(f"--- {variant}, seed {seed}", flush=True)
    teacher = load_teacher(settings, seed, train_set, device)
    recipe = make_recipe(settings)
    network, history = train_network(
        lambda: make_network(settings),
        recipe,
        seed,
        *split(train_set, settings["held_out"], seed),
        device,
        teacher=teacher,
        train_epoch=trainer(device, recipe),
    )
    if variant.startswith("teacher"):
        TEACHERS.mkdir(parents=True, exist_ok=True)
        with replacing(TEACHERS / f"{variant} {seed}.pt") as file:
            torch.save(network.state_dict(), file)
    last = history.iloc[-1].rename(lambda name: name.replace("test_", "validation_"))
    row = {"variant": variant, "seed": seed, **settings}
    row["channels"] = "-".join(map(str, settings["channels"]))
    row["parameters"] = count_parameters(network)
    return row | {name: f"{last[name]:.5f}" for name in MEASURED} | machine(device)


def load_teacher(settings, seed, train_set, device):
    """The teacher that a variant names, trained without the images that this seed holds out.

    It is trained now if its weights are not in `TEACHERS`.

    Returns:
        A network whose logits are the mean of the teachers' logits; None without a teacher.
    """
    if settings["teacher"] is None:
        return None
    networks = {}
    for name in settings["teacher"].split("+"):
        path, teacher = TEACHERS / f"{name} {seed}.pt", BASE | VARIANTS[name][0]
        if not path.exists():
            measure(name, teacher, seed, train_set, device)
        networks[path] = make_network(teacher)
    return load_trained(networks)


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
                append(path, measure(variant, BASE | change, seed, train_set, device))
    if path != RESULTS:
        print(compare_with_fast(*variants, path), end="")


if __name__ == "__main__":
    main()
