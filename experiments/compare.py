"""Train a network with a named recipe on all 60,000 images, over several seeds.

    python experiments/compare.py NETWORK RECIPE SEED…     e.g. Net ours 1 2 3 4 5

Every run is judged on the test images. So this script is for settings that are already
chosen. Choose them with search.py, which judges on held-out training images.

Every finished run is appended to results.csv, a row a run: the last epoch's numbers, and
beside them the best epoch on the test set, to show how much picking it would flatter.
Runs that have a row already are not repeated, so that the script can be stopped and
started again; the run in progress is lost. With --again they are repeated and compared
with their row: with the same PyTorch, kind of CPU and number of threads, nothing may
differ. If something does, the exit status is 1.

Beside results.csv, mistakes.csv keeps which test digits a run got wrong, so that runs can
be compared digit by digit. A row is added when a run is made, or repeated with --again
without any difference. weights/ keeps the trained weights of each network, from seed 1 of
our recipe, for notebook 3; images/accuracy.png shows results.csv. Write rows of your own
to a file of your own: --results FILE. Nothing else is written then. Run one training at a
time, so that seconds are comparable.

With --scheduler ADDRESS the workers of a Dask cluster make the runs, and what they send back
is kept here, each run as it comes: see cluster.py. A run that cannot be made is named, the
others are kept, and the exit status is 1. The column host says which computer made a run;
"local" is the one on which this script was started, without a cluster.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent), str(FOLDER)]

import model  # noqa: E402
import utils  # noqa: E402
from candidates import load_trained  # noqa: E402
from files import replacing  # noqa: E402
from graphs import trainer  # noqa: E402
from mnist import load_mnist  # noqa: E402
from model import OUR_RECIPE, count_parameters  # noqa: E402
from results import (  # noqa: E402
    KEY,
    MISTAKES,
    RESULTS,
    append,
    differences,
    draw,
    finished,
    mistakes_as_text,
    refuse_other_columns,
)

WEIGHTS = FOLDER / "weights"
THREE = "Teacher+Teacher, dropout 0.1+Teacher, dropout 0.3"
FAST = utils.RECIPES["fast"]
# With "fast", each with one setting changed or added: rows that were judged on the test images.
# They chose nothing. The ablation that notebook 3 shows is in search.py, on held-out images.
RECIPES = utils.RECIPES | {
    "fast, constant rate 0.01": replace(FAST, schedule="constant", learning_rate=0.01),
    "fast, constant rate 0.04": replace(FAST, schedule="constant", learning_rate=0.04),
    "fast, batch 64, rate 0.125": replace(FAST, batch_size=64, learning_rate=0.125),
    "fast, no augmentation": replace(FAST, augmentation=None),
    "fast, no plain epoch": replace(FAST, plain_epochs=0),
    "fast, no weight decay": replace(FAST, weight_decay=0.0),
    "fast, averaged weights": replace(FAST, average=0.99),
    "taught by three": replace(utils.RECIPES["record"], teacher=THREE),
    # The first guess, before temperatures were compared on three held-out sets.
    "taught, temperature 3": replace(utils.RECIPES["taught"], temperature=3.0),
    # The same trainings as "record" and "taught"; only the test differs.
    "record, five looks": replace(utils.RECIPES["record"], looks=utils.FIVE_LOOKS),
    "taught, five looks": replace(utils.RECIPES["taught"], looks=utils.FIVE_LOOKS),
}
# Networks of model.py with other settings than the class has, for which there are rows.
NETWORKS = model.NETWORKS | {
    "Teacher, dropout 0.1": lambda: model.Teacher(0.1),
    "Teacher, dropout 0.3": lambda: model.Teacher(0.3),
    "TinyRecordNet, 7,242": lambda: model.TinyRecordNet((8, 8, 14, 14, 14, 14)),
}
# The runs whose weights are kept: seed 1 of our recipe; RecordNet's seeds 1 to 10 ran elsewhere.
KEPT = {(name, recipe, "11" if name == "RecordNet" else "1") for name, recipe in OUR_RECIPE.items()}
MEASURED = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
BEST = ("best_epoch", "best_accuracy")
COLUMNS = (
    *KEY, "parameters", "epochs", *MEASURED, *BEST, "seconds", "device", "threads", "torch", "host",
)  # fmt: skip


def machine(device):
    """The columns that say where a run was made."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"device": name, "threads": torch.get_num_threads(), "torch": torch.__version__}


def parse():
    """The command line, checked before the training, not after it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--again", action="store_true", help="repeat finished runs and compare")
    parser.add_argument("--results", type=Path, metavar="FILE", help="in place of results.csv")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster: see cluster.py")
    arguments = parser.parse_args()
    arguments.results = (arguments.results or RESULTS).resolve()
    if not arguments.results.parent.is_dir():
        parser.error(f"--results {arguments.results}: no such folder")
    try:
        refuse_other_columns(arguments.results, COLUMNS)
    except ValueError as error:
        parser.error(f"--results: {error}")
    return arguments


def make_network(name):
    """A new network, by its name in `NETWORKS`."""
    return NETWORKS[name]()


def measure(key, train_set, test_set, device):
    """Train once and test: (row of results.csv, network).

    Args:
        key: (network, recipe, seed), texts.
    """
    name, recipe, seed = key[0], RECIPES[key[1]], int(key[2])
    teacher = load_teacher(recipe)
    network, history = utils.train_network(
        lambda: make_network(name),
        recipe,
        seed,
        train_set,
        test_set,
        device,
        teacher=teacher,
        train_epoch=trainer(device, recipe),
    )
    last, best = history.iloc[-1], history["test_accuracy"].idxmax()
    row = dict(zip(KEY, key))
    row |= {"parameters": count_parameters(network), "epochs": recipe.epochs}
    row |= {column: f"{last[column]:.5f}" for column in MEASURED}
    row |= {"best_epoch": best, "best_accuracy": f"{history['test_accuracy'][best]:.5f}"}
    row |= {"seconds": f"{history['seconds'].sum():.1f}", **machine(device)}
    return row, network


def load_teacher(recipe):
    """The trained network that a recipe names, from weights/; None if it names none.

    Of several, the mean of their logits.
    """
    if recipe.teacher is None:
        return None
    names = recipe.teacher.split("+")
    return load_trained({WEIGHTS / f"{name}.pt": make_network(name) for name in names})


def run(key, train_set, test_set, device):
    """Make a run, wherever it is made: (row of results.csv, mistakes as a text, weights)."""
    row, network = measure(key, train_set, test_set, device)
    test_loader = utils.TensorLoader(test_set, 1000, device=device)
    wrong = mistakes_as_text(*utils.predict(network, device, test_loader))
    weights = {k: v.cpu().contiguous() for k, v in network.state_dict().items()}
    return row | {"host": "local"}, wrong, weights


def wanted(arguments):
    """Yield the key of each run that has no row yet; of each run with --again."""
    for seed in arguments.seeds:
        key = (arguments.network, arguments.recipe, str(seed))
        if key in finished(arguments.results, *KEY) and not arguments.again:
            print(f"{' '.join(key)}: already in {arguments.results.name}")
        else:
            yield key


def runs_here(keys):
    """Make runs in this process, one after the other: yields (key, run)."""
    device = utils.best_device()
    train_set, test_set = load_mnist()
    for key in keys:
        yield key, run(key, train_set, test_set, device)


def runs_on_cluster(address, keys):
    """The same on a Dask cluster; a run that could not be made is None. See cluster.py."""
    import cluster

    try:
        client = cluster.connect(address)
    except RuntimeError as error:
        sys.exit(f"--scheduler: {error}")
    with client:
        yield from cluster.runs(client, dict.fromkeys(keys))


def keep_mistakes(key, wrong):
    """Write into mistakes.csv what a run gets wrong, if it has no row there."""
    if key not in finished(MISTAKES, *KEY):
        append(MISTAKES, dict(zip(KEY, key)) | {"mistakes": wrong})


def keep_weights(name, weights):
    """Write the weights that notebook 3 loads."""
    WEIGHTS.mkdir(exist_ok=True)
    with replacing(WEIGHTS / f"{name}.pt") as file:
        torch.save(weights, file)


def main():
    arguments = parse()
    results, keys = arguments.results, wanted(arguments)
    address = arguments.scheduler
    runs = runs_here(keys) if address is None else runs_on_cluster(address, keys)
    added = failed = False
    for key, made in runs:
        if made is None:
            failed = True
            continue
        row, wrong, weights = made
        recorded = key in finished(results, *KEY)
        changes = differences(results, row, (*MEASURED, *BEST)) if recorded else []
        if recorded:
            print(f"{' '.join(key)}: {'; '.join(changes) or 'the same again'}", flush=True)
            failed |= bool(changes)
        if results == RESULTS and not changes:
            keep_mistakes(key, wrong)
        if recorded:
            continue
        if results == RESULTS and key in KEPT:
            keep_weights(key[0], weights)
        append(results, row)
        added = True
    if added and results == RESULTS:
        draw()
    sys.exit(failed)


if __name__ == "__main__":
    main()
