"""The long runs: nothing is chosen by the test set, and a kill loses one run at most."""

import csv
import itertools
import multiprocessing
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch.utils.data import TensorDataset

import mnist
import utils
from model import OUR_RECIPE, build, count_parameters

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENTS = ROOT / "experiments"
sys.path.append(str(EXPERIMENTS))

import compare  # noqa: E402
import results  # noqa: E402
import search  # noqa: E402
import speed  # noqa: E402


@pytest.fixture
def few():
    """(train_set, test_set): 1,500 training images to learn from, 500 others to judge."""
    images, labels = mnist.load_mnist(test=False).tensors
    return TensorDataset(images[:1500], labels[:1500]), TensorDataset(images[-500:], labels[-500:])


def test_no_test_image_is_read_while_choosing(tmp_path, monkeypatch):
    """The search runs where the test files can be neither found nor read."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    mnist.load_mnist()
    for name in mnist.MNIST_MD5:
        if name.startswith("train"):
            shutil.copy(mnist.DATA / "MNIST" / "raw" / name, raw)
    for fetch in ("_fetch_torchvision", "_fetch_npm"):
        monkeypatch.setattr(mnist, fetch, lambda folder: pytest.fail("fetched the test set"))
    whole = mnist.load_mnist(tmp_path, test=False)
    assert len(whole) == 60_000

    def few(root=tmp_path, test=True):
        images, labels = mnist.load_mnist(tmp_path, test).tensors  # two sets would fail here
        return TensorDataset(images[:5200], labels[:5200])

    monkeypatch.setattr(search, "load_mnist", few)
    monkeypatch.setattr(search, "RESULTS", tmp_path / "search.csv")
    monkeypatch.setattr(search, "VARIANTS", {"short": ({"epochs": 1}, (0, 1))})
    search.main([])
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
        assert row.parameters == count_parameters(search.make_network(settings))
        for name in settings.keys() - {"channels"}:
            assert getattr(row, name) == settings[name]
        recipe = search.make_recipe(settings)
        for value in (recipe, recipe.augmentation):
            for name in vars(value).keys() & settings.keys():
                assert getattr(value, name) == settings[name]


def test_results_belong_to_the_networks_and_recipes_that_are_here():
    rows = pd.read_csv(results.RESULTS)
    assert not rows.duplicated([*results.KEY]).any()
    for row in rows.itertuples():
        assert row.parameters == count_parameters(build(row.network))
        assert row.epochs == compare.RECIPES[row.recipe].epochs
        assert row.best_accuracy >= row.test_accuracy


def test_the_results_are_complete():
    """Enough seeds for a mean: ten for ours, five for the clock, three for A to E."""
    rows = pd.read_csv(results.RESULTS)
    counts = rows.groupby(["network", "recipe"]).size()
    for run in (("Net", "ours"), ("TinyNet", "ours"), ("TinyNet", "long")):
        assert counts[run] >= 10
    assert counts["FastNet", "fast"] >= 5
    assert all(counts[name, recipe] >= 3 for name in "ABCDE" for recipe in (name, "ours"))
    speed_rows = pd.read_csv(results.SPEED)
    timed = speed_rows[speed_rows["network"] == "FastNet"].set_index("seed")["test_accuracy"]
    fast = rows[rows["recipe"] == "fast"].set_index("seed")["test_accuracy"]
    assert timed.to_dict() == fast.to_dict()  # the clock's trainings are the table's


def test_the_clock_times_the_training_of_the_recipe(few):
    """What speed.py times ends with the weights that compare.py gets, bit for bit."""
    device = torch.device("cpu")
    recipe = replace(utils.RECIPES["fast"], epochs=2)
    seconds, timed = speed.time_training("FastNet", recipe, 1, few[0], device)
    trained, _ = utils.train_network(lambda: build("FastNet"), recipe, 1, *few, device)
    for name, tensor in trained.state_dict().items():
        assert torch.equal(timed.state_dict()[name], tensor), name
    assert seconds > 0


def test_repeated_runs_are_compared(few, tmp_path, monkeypatch):
    """--again touches no file, and finds a digit that was changed in a row."""
    monkeypatch.setattr(compare, "RESULTS", tmp_path / "results.csv")
    monkeypatch.setattr(compare, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(compare, "load_mnist", lambda: few)
    monkeypatch.setattr(compare, "draw", lambda: None)
    short = replace(utils.RECIPES["long"], epochs=1)
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
    shown = results.compared(results.summarise(pd.read_csv(results.RESULTS))).index
    ours = {*OUR_RECIPE.items()}
    assert shown.is_unique and {*shown} == ours | {(name, name) for name in "ABCDE"}


def test_a_row_with_other_columns_is_refused(tmp_path):
    path = tmp_path / "results.csv"
    results.append(path, {"network": "Net", "seed": 1})
    before = path.read_bytes()
    for row in ({"network": "Net"}, {"seed": 1, "network": "Net"}, {"network": "D", "rate": 1}):
        with pytest.raises(ValueError, match="has the columns network, seed, the new row has"):
            results.append(path, row)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    path.write_bytes(before.rstrip(b"\n"))  # as an editor may leave it
    results.append(path, {"network": "D", "seed": 2})
    assert results.finished(path, "network", "seed") == {("Net", "1"), ("D", "2")}


def test_results_have_the_columns_that_compare_writes():
    results.refuse_other_columns(results.RESULTS, compare.COLUMNS)


@pytest.mark.parametrize(
    "script, arguments, says",
    [
        ("compare.py", ["Nett", "ours", "1"], "choose from"),
        ("compare.py", ["Net", "our", "1"], "choose from"),
        ("compare.py", ["Net", "ours", "1", "--results", "no/such/my.csv"], "no such folder"),
        ("compare.py", ["Net", "ours", "1", "--results", EXPERIMENTS / "search.csv"], "columns"),
        ("search.py", ["nosuch"], "no variant 'nosuch'; there are: base; "),
        ("speed.py", ["fast"], "unrecognized arguments: fast"),
        ("results.py", ["tables"], "unrecognized arguments: tables"),
    ],
)
def test_a_wrong_name_gets_a_sentence(script, arguments, says):
    command = [sys.executable, EXPERIMENTS / script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("attempt", range(5))
def test_a_kill_leaves_no_half_row(attempt, tmp_path):
    """Killed while it appends row after row, at a random moment after the second one."""
    path = tmp_path / "results.csv"

    def append_for_ever():
        for k in itertools.count():
            results.append(path, {"k": k, "text": "x" * 99})

    process = multiprocessing.get_context("fork").Process(target=append_for_ever, daemon=True)
    process.start()
    deadline = time.monotonic() + 60
    while len(results.finished(path, "k")) < 2:
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.001)
    time.sleep(random.Random(attempt).uniform(0, 0.1))
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL  # it was still writing
    with open(path, newline="") as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) >= 2
    assert [row["k"] for row in rows] == [str(k) for k in range(len(rows))]
    assert {row["text"] for row in rows} == {"x" * 99}
    results.append(path, {"k": len(rows), "text": "x" * 99})
    assert (str(len(rows)),) in results.finished(path, "k")
