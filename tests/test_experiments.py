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
from dataclasses import fields, replace
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
import variants  # noqa: E402


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
        assert row.average == str(settings["average"] or "")
        assert row.teacher == (settings["teacher"] or "")
        for name in settings.keys() - {"channels", "average", "teacher"}:
            assert getattr(row, name) == settings[name]
        recipe = search.make_recipe(settings)
        settings["looks"] = variants.LOOKS[settings["looks"]]
        for value in (recipe, recipe.augmentation or utils.RandomAffine()):
            for name in vars(value).keys() & settings.keys():
                assert getattr(value, name) == settings[name]


def test_results_belong_to_the_networks_and_recipes_that_are_here():
    rows = pd.read_csv(results.RESULTS)
    assert not rows.duplicated([*results.KEY]).any()
    for row in rows.itertuples():
        assert row.parameters == count_parameters(compare.make_network(row.network))
        assert row.epochs == compare.RECIPES[row.recipe].epochs
        assert row.best_accuracy >= row.test_accuracy


def test_the_results_are_complete():
    """Enough seeds for a mean: ten for ours, five for the clock, three for A to E and a teacher."""
    rows = pd.read_csv(results.RESULTS)
    counts = rows.groupby(["network", "recipe"]).size()
    ours = [("Net", "ours"), ("TinyNet", "ours"), ("TinyNet", "long")]
    records = [("RecordNet", "record"), ("RecordNet", "taught"), ("TinyRecordNet", "record")]
    looked = [(name, f"{recipe}, five looks") for name, recipe in records]
    for run in (*ours, *records, *looked):
        assert counts[run] >= 10
    assert counts["FastNet", "fast"] >= 5 and counts["Teacher", "teacher"] >= 3
    assert all(counts[name, recipe] >= 3 for name in "ABCDE" for recipe in (name, "ours"))
    speed_rows = pd.read_csv(results.SPEED).query("device == 'cpu'")
    for name, recipe in speed.TIMED:  # the clock's trainings are the table's
        timed = speed_rows[speed_rows["network"] == name].set_index("seed")["test_accuracy"]
        run = rows[(rows["network"] == name) & (rows["recipe"] == recipe)]
        assert timed.to_dict() == run.set_index("seed")["test_accuracy"].to_dict()


def test_the_mistakes_are_those_of_the_results():
    """A row of mistakes.csv belongs to a row of results.csv, and its number of mistakes too."""
    accuracy = pd.read_csv(results.RESULTS).set_index([*results.KEY])["test_accuracy"]
    rows = pd.read_csv(results.MISTAKES)
    assert not rows.duplicated([*results.KEY]).any()
    labels = mnist.load_mnist()[1].tensors[1].tolist()
    for key, wrong in results.read_mistakes().items():
        assert len(wrong) == round((1 - accuracy[key]) * 10_000), key
        for index, prediction in wrong.items():
            assert 0 <= prediction <= 9 and prediction != labels[index], key  # index: 0 … 9,999
        text = rows.set_index([*results.KEY]).loc[key, "mistakes"]
        assert text == " ".join(f"{i}:{wrong[i]}" for i in sorted(wrong))  # none twice


def test_the_runs_that_notebook_3_compares_have_their_mistakes():
    """Two runs of each network with our recipe, and a third one of two of them."""
    compared = ("Net", "TinyNet", "FastNet", *"ABCDE")
    needed = {(name, OUR_RECIPE[name], seed) for name in compared for seed in (1, 2)}
    needed |= {(name, OUR_RECIPE[name], 3) for name in ("Net", "D")}
    assert needed <= results.read_mistakes().keys()


def test_mistakes_are_read_as_they_were_written(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "MISTAKES", tmp_path / "mistakes.csv")
    labels = torch.randint(10, (500,))
    logits = torch.randn(500, 10) + 3 * torch.nn.functional.one_hot(labels, 10)
    for seed, values in enumerate((logits, 9.0 * torch.nn.functional.one_hot(labels, 10))):
        row = {"network": "Net", "recipe": "fast, but", "seed": seed}
        text = results.mistakes_as_text(values, labels)
        results.append(results.MISTAKES, row | {"mistakes": text})
    read = results.read_mistakes()
    predictions = logits.argmax(1)
    wrong = {i: int(p) for i, p in enumerate(predictions) if p != labels[i]}
    assert wrong and read == {("Net", "fast, but", 0): wrong, ("Net", "fast, but", 1): {}}


def coins_by_hand(first, second):
    """McNemar's p by counting all sequences of coins, one a digit that only one gets wrong."""
    only_first, coins = len(first - second), len(first ^ second)
    uneven = abs(2 * only_first - coins)
    throws = itertools.product((0, 1), repeat=coins)
    return sum(abs(2 * sum(throw) - coins) >= uneven for throw in throws) / 2**coins


def test_mcnemar_counts_what_coins_do():
    rng = random.Random(0)
    for _ in range(200):
        first, second = (set(rng.sample(range(14), rng.randint(0, 12))) for _ in range(2))
        counted = results.mcnemar(first, second)
        assert counted == (
            len(first - second),
            len(second - first),
            pytest.approx(coins_by_hand(first, second), rel=1e-12),
        )
        assert results.mcnemar(second, first)[2] == counted[2]
        both = {100, 101, 102}  # what both get wrong changes nothing
        assert results.mcnemar(first | both, second | both) == counted


def test_mcnemar_at_the_ends():
    assert results.mcnemar({}, {}) == (0, 0, 1)
    assert results.mcnemar({1, 2}, {2, 3}) == (1, 1, 1)
    assert results.mcnemar({5: 3}, set(range(6, 15))) == (1, 9, 22 / 1024)  # 2 · (1 + 10) / 2¹⁰
    assert results.mcnemar(range(5), []) == (5, 0, 2 / 32)
    assert results.mcnemar(range(10_000), [])[2] == 0  # too small for a float, and no error
    assert 0.9 < results.mcnemar(range(2500), range(2500, 5000))[2] <= 1


def test_holm_against_an_example_and_its_properties():
    p = pd.Series([0.01, 0.04, 0.03, 0.005], index=list("abcd"))
    assert results.holm(p).round(12).to_dict() == {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    rng = random.Random(0)
    for _ in range(200):
        count = rng.randint(1, 30)
        p = pd.Series([rng.choice((rng.random() ** 4, 0.01, 1.0)) for _ in range(count)])
        adjusted = results.holm(p)
        assert (adjusted.index == p.index).all()
        assert (adjusted >= p).all() and (adjusted <= (p * count).clip(upper=1) + 1e-12).all()
        assert (adjusted[p.sort_values().index].diff().fillna(0) >= 0).all()
        assert adjusted.min() == pytest.approx(min(1, p.min() * count))


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
    """--again touches no row, and finds a digit that was changed in one."""
    monkeypatch.setattr(compare, "RESULTS", tmp_path / "results.csv")
    monkeypatch.setattr(compare, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(compare, "MISTAKES", tmp_path / "mistakes.csv")
    monkeypatch.setattr(results, "MISTAKES", tmp_path / "mistakes.csv")
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
    text, wrong = compare.RESULTS.read_text(), compare.MISTAKES.read_text()
    assert text.count("\n") == wrong.count("\n") == 3
    for key, digits in results.read_mistakes().items():
        row = pd.read_csv(compare.RESULTS).set_index([*results.KEY]).loc[key]
        assert len(digits) == round((1 - row["test_accuracy"]) * 500)
    compare.MISTAKES.write_text("".join(wrong.splitlines(True)[:2]))  # the row of seed 2 is lost
    assert run("1", "2") == 0 and run("1", "--again") == 0
    assert run("2", "--again") == 0  # this brings the lost row back
    assert compare.RESULTS.read_text() == text and compare.MISTAKES.read_text() == wrong
    weights = tmp_path / "weights" / "TinyNet.pt"
    build("TinyNet").load_state_dict(torch.load(weights, weights_only=True))
    weights.write_bytes(b"as it was")
    loss = text.splitlines()[1].split(",")[7]
    compare.RESULTS.write_text(text.replace(loss, f"{float(loss) + 0.001:.5f}"))
    compare.MISTAKES.unlink()
    assert run("1", "--again") == 1 and not compare.MISTAKES.exists()  # not what was recorded
    mine = tmp_path / "mine.csv"
    assert run("1", "--results", str(mine)) == 0
    assert not compare.MISTAKES.exists()
    assert loss in mine.read_text() and weights.read_bytes() == b"as it was"


def test_the_figure_shows_each_network_as_published_and_with_ours():
    shown = results.compared(results.summarise(pd.read_csv(results.RESULTS))).index
    ours = {*OUR_RECIPE.items()}
    ours -= {("Teacher", "teacher")}  # not a small network
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


def test_every_setting_of_a_recipe_can_be_changed_and_nothing_else():
    """--change knows all settings of recipe and augmentation that a row holds."""
    settings = {field.name for kind in (utils.Recipe, utils.RandomAffine) for field in fields(kind)}
    others = {"teacher", "temperature", "share"}  # these need a trained network
    others |= {"looks"}  # and these come after the training
    assert {*search.LIMITS, "schedule"} | others == settings & search.BASE.keys()
    for name, (low, high) in search.LIMITS.items():
        assert low <= (search.FAST_SETTINGS[name] or 0) <= high
        longer = [] if name == "epochs" else ["epochs=50"]  # room for plain epochs
        assert search.parse_change([f"{name}={high}", *longer])[name] == high


@pytest.mark.parametrize(
    "texts, change",
    [
        (["learning_rate=0.3"], {"learning_rate": 0.3}),
        (["learning_rate=.30", "batch_size=128"], {"batch_size": 128, "learning_rate": 0.3}),
        (["schedule=constant", "epochs=6"], {"schedule": "constant"}),  # 6 is as in "fast"
        (["average=0.99"], {"average": 0.99}),
        (["degrees=0", "translate=0", "scale=0"], {"degrees": 0, "translate": 0, "scale": 0}),
    ],
)
def test_a_change_is_read(texts, change):
    read = search.parse_change(texts)
    assert [*read.items()] == [*change.items()]  # in one order, so that a run has one name


MINE = ["--results", "mine.csv"]


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--change", "learning_rate", *MINE], "'learning_rate' is no change. Write NAME=VALUE"),
        (["--change", "rate=0.3", *MINE], "one of these: epochs, plain_epochs, batch_size"),
        (["--change", "network=Net", *MINE], "'network=Net' is no change"),
        (["--change", "channels=16", *MINE], "'channels=16' is no change"),
        (["--change", "learning_rate=fast", *MINE], "a number from 0.0 to 10.0 is needed"),
        (["--change", "learning_rate=nan", *MINE], "learning_rate=nan: a number from"),
        (["--change", "learning_rate=-1", *MINE], "learning_rate=-1: a number from"),
        (["--change", "epochs=2.5", *MINE], "epochs=2.5: a whole number from 1 to 50"),
        (["--change", "epochs=0", *MINE], "epochs=0: a whole number from 1 to 50"),
        (["--change", "batch_size=21", *MINE], "one image would be left over"),
        (["--change", "plain_epochs=7", *MINE], "7 plain epochs of 6 epochs"),
        (["--change", "schedule=cosine", *MINE], "use one-cycle or constant"),
        (["--change", "epochs=3", "epochs=4", *MINE], "epochs is changed twice"),
        (["--change", "epochs=3", "--change", "epochs=4", *MINE], "epochs is changed twice"),
        (["--change", "learning_rate=0.5", *MINE], "nothing is changed"),
        (["--change", "epochs=3"], "belong together"),
        (MINE, "belong together"),
        (["base", "--change", "epochs=3", *MINE], "not both"),
        (["--change", "epochs=3", "--results", "no/such/mine.csv"], "nothing can be written"),
        (["--change", "epochs=3", "--results", "."], "this is a folder"),
        (["--change", "epochs=3", "--results", str(search.RESULTS)], "give another file"),
        (["--change", "epochs=3", "--results", str(results.RESULTS)], "has the columns network"),
        (["--change", "epochs=3", "--results", str(ROOT / "images/network.png")], "is no CSV"),
        (["nosuch"], "no variant 'nosuch'; there are: base; "),
    ],
)
def test_a_wrong_experiment_is_refused_before_the_training(
    arguments, says, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(search, "load_mnist", lambda test: pytest.fail("went on"))
    before = search.RESULTS.read_bytes()
    with pytest.raises(SystemExit) as stop:
        search.main(arguments)
    message = capsys.readouterr().err
    assert stop.value.code == 2 and says in message and "Traceback" not in message
    assert search.RESULTS.read_bytes() == before and not [*tmp_path.iterdir()]


def test_an_own_experiment(tmp_path, monkeypatch, capsys):
    """Its rows go to its own file, and are compared with "fast" on the same held-out sets."""
    images, labels = mnist.load_mnist(test=False).tensors
    few = TensorDataset(images[:5200], labels[:5200])
    monkeypatch.setattr(search, "load_mnist", lambda test: few)
    before, mine = search.RESULTS.read_bytes(), tmp_path / "mine.csv"
    arguments = ["--change", "learning_rate=0.3", "epochs=1", "--results", str(mine)]
    search.main(arguments)
    said = capsys.readouterr().out
    rows = pd.read_csv(mine)
    assert tuple(rows.columns) == search.COLUMNS
    assert (rows["variant"] == "fast, epochs 1, learning_rate 0.3").all()
    assert rows["seed"].tolist() == [0, 1, 2] and (rows["network"] == "FastNet").all()
    assert (rows["learning_rate"] == 0.3).all() and (rows["batch_size"] == 256).all()
    fast = pd.read_csv(search.RESULTS).query("variant == @search.FAST_NAME and seed < 3")
    percent = [100 * r.set_index("seed")["validation_accuracy"] for r in (fast, rows)]
    for seed in (0, 1, 2):
        a, b = (accuracy[seed] for accuracy in percent)
        assert f"{seed} {a:.2f} {b:.2f} {b - a:.2f}" in " ".join(said.split())
    mean, error = (percent[1] - percent[0]).mean(), (percent[1] - percent[0]).sem()
    assert f"mean difference {mean:+.3f} points, standard error {error:.3f}" in said
    text = mine.read_text()
    search.main(arguments)  # nothing is trained again, the comparison is shown again
    assert mine.read_text() == text and search.RESULTS.read_bytes() == before
    assert f"mean difference {mean:+.3f}" in capsys.readouterr().out


def test_the_search_has_the_columns_that_search_writes():
    results.refuse_other_columns(search.RESULTS, search.COLUMNS)


@pytest.mark.parametrize(
    "script, arguments, says",
    [
        ("compare.py", ["Nett", "ours", "1"], "choose from"),
        ("compare.py", ["Net", "our", "1"], "choose from"),
        ("compare.py", ["Net", "ours", "1", "--results", "no/such/my.csv"], "no such folder"),
        ("compare.py", ["Net", "ours", "1", "--results", EXPERIMENTS / "search.csv"], "columns"),
        ("search.py", ["--change", "epochs=3"], "belong together"),
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
