"""The long runs: nothing is chosen by the test set, and a kill loses one run at most."""

import csv
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch.utils.data import TensorDataset

import utils
from model import build, count_parameters
from utils import RECIPES

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENTS = ROOT / "experiments"
sys.path.append(str(EXPERIMENTS))

import compare  # noqa: E402
import search  # noqa: E402


def test_no_test_image_is_read_while_choosing(tmp_path, monkeypatch):
    """The search runs where the test files can be neither found nor read."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    source = ROOT / "data" / "MNIST" / "raw"
    utils.load_mnist()
    for name in utils.MNIST_MD5:
        if name.startswith("train"):
            (raw / name).write_bytes((source / name).read_bytes())
    for fetch in ("_fetch_torchvision", "_fetch_npm"):
        monkeypatch.setattr(utils, fetch, lambda folder: pytest.fail("fetched the test set"))
    whole = utils.load_mnist(tmp_path, test=False)
    assert len(whole) == 60_000

    def few(root=tmp_path, test=True):
        images, labels = utils.load_mnist(tmp_path, test).tensors  # two sets would fail here
        return TensorDataset(images[:5200], labels[:5200])

    monkeypatch.setattr(search, "load_mnist", few)
    monkeypatch.setattr(search, "RESULTS", tmp_path / "search.csv")
    monkeypatch.setattr(search, "VARIANTS", {"short": ({"epochs": 1}, (0, 1))})
    monkeypatch.setattr(sys, "argv", ["search.py"])
    search.main()
    rows = pd.read_csv(tmp_path / "search.csv")
    assert rows["seed"].tolist() == [0, 1]
    assert rows["validation_loss"].between(0, 3).all()


def test_the_search_is_what_the_table_says():
    """Every row of search.csv is a variant of search.py, with its settings and parameters."""
    for row in pd.read_csv(EXPERIMENTS / "search.csv").itertuples():
        change, seeds = search.VARIANTS[row.variant]
        settings = search.BASE | change
        assert row.seed in seeds
        assert row.channels == "-".join(map(str, settings["channels"]))
        assert row.parameters == count_parameters(search.Net(settings["channels"]))
        for name in settings.keys() - {"channels"}:
            assert getattr(row, name) == settings[name]


def test_results_belong_to_the_networks_and_recipes_that_are_here():
    results = pd.read_csv(EXPERIMENTS / "results.csv")
    assert not results.duplicated(["network", "recipe", "seed"]).any()
    for row in results.itertuples():
        assert row.parameters == count_parameters(build(row.network))
        assert row.epochs == RECIPES[row.recipe]["epochs"]
        assert row.best_accuracy >= row.test_accuracy


def test_recipes():
    for name, recipe in RECIPES.items():
        data = TensorDataset(torch.zeros(8, 28, 28, dtype=torch.uint8), torch.zeros(8).long())
        loader, _, optimizer, scheduler = utils.prepare(
            build("TinyNet"), recipe, data, data, torch.device("cpu")
        )
        rates = [optimizer.param_groups[0]["lr"]]
        for _ in range(recipe["epochs"] * len(loader) - 1):
            optimizer.step()
            scheduler.step()
            rates.append(optimizer.param_groups[0]["lr"])
        assert max(rates) == pytest.approx(recipe["learning_rate"], rel=0.02)
        assert (min(rates) == max(rates)) == (name != "ours")
    with pytest.raises(ValueError, match="one-cycle or constant"):
        utils.make_optimizer(build("TinyNet"), 1, 1, 0.1, 0, schedule="cosine")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
@pytest.mark.parametrize("attempt", range(5))
def test_a_kill_leaves_no_half_row(attempt, tmp_path):
    path = tmp_path / "results.csv"
    code = (
        "import sys; sys.path.append(sys.argv[1]); import compare, pathlib\n"
        "for k in range(10**6): compare.append(pathlib.Path(sys.argv[2]), {'k': k, 'text': 'x' * 99})"
    )
    process = subprocess.Popen([sys.executable, "-c", code, EXPERIMENTS, path])
    while not path.exists():
        time.sleep(0.01)
    time.sleep(random.Random(attempt).uniform(0.01, 0.3))
    process.send_signal(signal.SIGKILL)
    process.wait()
    with open(path, newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [row["k"] for row in rows] == [str(k) for k in range(len(rows))]
    assert {row["text"] for row in rows} == {"x" * 99}
    compare.append(path, {"k": len(rows), "text": "x" * 99})
    assert (str(len(rows)),) in compare.finished(path, "k")
