"""The long runs: nothing is chosen by the test set, and a kill loses one run at most."""

import contextlib
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
from model import NETWORKS, build, count_parameters

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENTS = ROOT / "experiments"
sys.path.append(str(EXPERIMENTS))

import compare  # noqa: E402
import search  # noqa: E402
import speed  # noqa: E402


@pytest.fixture
def few():
    """(train_set, test_set): 1,500 training images to learn from, 500 others to judge."""
    images, labels = utils.load_mnist(test=False).tensors
    return TensorDataset(images[:1500], labels[:1500]), TensorDataset(images[-500:], labels[-500:])


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
    """search.csv has a row for each run of search.py, with its settings and parameters."""
    rows = pd.read_csv(EXPERIMENTS / "search.csv", keep_default_na=False)
    announced = {(name, seed) for name, (_, seeds) in search.VARIANTS.items() for seed in seeds}
    assert {*zip(rows["variant"], rows["seed"])} == announced and len(rows) == len(announced)
    for row in rows.itertuples():
        change, seeds = search.VARIANTS[row.variant]
        settings = search.BASE | change
        assert row.seed in seeds
        assert row.channels == "-".join(map(str, settings["channels"]))
        assert row.parameters == count_parameters(search.make(settings))
        for name in settings.keys() - {"channels"}:
            assert getattr(row, name) == settings[name]


def test_results_belong_to_the_networks_and_recipes_that_are_here():
    results = pd.read_csv(EXPERIMENTS / "results.csv")
    assert not results.duplicated(["network", "recipe", "seed"]).any()
    for row in results.itertuples():
        assert row.parameters == count_parameters(build(row.network))
        assert row.epochs == compare.RECIPES[row.recipe]["epochs"]
        assert row.best_accuracy >= row.test_accuracy


def test_recipes():
    for name, recipe in compare.RECIPES.items():
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
        assert (min(rates) == max(rates)) == (recipe.get("schedule") == "constant")
    with pytest.raises(ValueError, match="one-cycle or constant"):
        utils.make_optimizer(build("TinyNet"), 1, 1, 0.1, 0, schedule="cosine")


def test_the_average_of_weights_is_the_one_that_is_tested(few, capsys):
    """With decay 0 the average is the last weights, with decay 1 it stays near the first."""
    recipe = utils.RECIPES["ours"] | {"epochs": 2}
    last = {}
    for name, change in {"none": {}, "0": {"average": 0.0}, "1": {"average": 1.0}}.items():
        network, history = compare.train_recipe(
            lambda: build("TinyNet"), recipe | change, 1, *few, torch.device("cpu")
        )
        last[name] = history.iloc[-1][["test_loss", "test_accuracy"]].tolist()
        _, judge, *_ = utils.prepare(network, recipe, *few, torch.device("cpu"))
        assert utils.test(network, torch.device("cpu"), judge) == pytest.approx(last[name])
    assert last["0"] == pytest.approx(last["none"])
    assert last["1"][0] > 2 > last["none"][0]  # the first weights know nothing: log 10 and more


@pytest.mark.parametrize("stopped", [False, True])
def test_plain_epochs(stopped, few, monkeypatch):
    """The last epochs see the images as they are; then the loader is as it was, stopped or not."""
    plain = []
    train = utils.train

    def spy(model, device, loader, *rest):
        plain.append(loader.transform is None)
        if stopped and plain[-1]:
            raise KeyboardInterrupt
        return train(model, device, loader, *rest)

    monkeypatch.setattr(utils, "train", spy)
    network = build("FastNet")
    ready = utils.prepare(network, utils.RECIPES["fast"] | {"epochs": 3}, *few, torch.device("cpu"))
    with pytest.raises(KeyboardInterrupt) if stopped else contextlib.nullcontext():
        utils.fit(network, *ready, 3, plain_epochs=1)
    assert plain == [False, False, True]
    assert ready[0].transform is not None


def test_the_clock_times_the_training_of_the_recipe(few, monkeypatch):
    """What speed.py times ends with the weights that compare.py gets, bit for bit."""
    device = torch.device("cpu")
    monkeypatch.setitem(utils.RECIPES, "fast", utils.RECIPES["fast"] | {"epochs": 2})
    seconds, timed, _ = speed.time_training("FastNet", "fast", 1, *few, device)
    trained, _ = compare.train_recipe(
        lambda: build("FastNet"), utils.RECIPES["fast"], 1, *few, device
    )
    for name, tensor in trained.state_dict().items():
        assert torch.equal(timed.state_dict()[name], tensor), name
    assert 0 < seconds < 60


def test_repeated_runs_are_compared(few, tmp_path, monkeypatch):
    """--again touches no file, and finds a digit that was changed in a row."""
    monkeypatch.setattr(compare, "RESULTS", tmp_path / "results.csv")
    monkeypatch.setattr(compare, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(compare, "load_mnist", lambda: few)
    monkeypatch.setattr(compare, "draw", lambda: None)
    short = utils.RECIPES["long"] | {"epochs": 1}
    monkeypatch.setitem(compare.RECIPES, "long", short)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["compare.py", "TinyNet", "long", *arguments])
        with pytest.raises(SystemExit) as stop:
            compare.main()
        return stop.value.code

    assert run("1", "2") == 0
    text = compare.RESULTS.read_text()
    assert text.count("\n") == 3
    assert run("1", "2") == 0 and run("1", "--again") == 0
    assert compare.RESULTS.read_text() == text
    weights = tmp_path / "weights" / "TinyNet.pt"
    build("TinyNet").load_state_dict(torch.load(weights, weights_only=True))
    weights.write_bytes(b"as it was")
    loss = text.splitlines()[1].split(",")[7]
    compare.RESULTS.write_text(text.replace(loss, f"{float(loss) + 0.001:.5f}"))
    assert run("1", "--again") == 1
    mine = tmp_path / "mine.csv"
    assert run("1", "--results", str(mine)) == 0
    assert loss in mine.read_text() and weights.read_bytes() == b"as it was"


def test_the_figure_shows_each_network_as_published_and_with_ours():
    shown = compare.compared(utils.summarise(pd.read_csv(compare.RESULTS))).index
    ours = {(name, compare.our_recipe(name)) for name in NETWORKS}
    assert shown.is_unique and {*shown} == ours | {(name, name) for name in "ABCDE"}


def test_published_accuracies_are_found_in_the_docstrings():
    assert compare.published().to_dict() == {"A": 99.45, "C": 99.60, "D": 99.48, "E": 99.43}


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
