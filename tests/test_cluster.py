"""compare.py --scheduler: the rows are those of one machine, each once, whatever is lost.

Everything is started as README says, in processes of its own: a scheduler, workers in one
clone, and compare.py in another one. The clones are copies of our modules. A few lines
below them make the data and the recipe little, and some seeds fail.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

import mnist

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENTS = str(ROOT / "experiments")
sys.path.append(EXPERIMENTS)

import cluster  # noqa: E402

distributed = pytest.importorskip(
    "distributed",
    reason="Dask is not installed: compare.py --scheduler was NOT tried. "
    "pip install -r requirements-optional.txt and run again.",
)

LITTLE = {
    "mnist.py": f"""
_load_mnist = load_mnist


def load_mnist():
    images, labels = _load_mnist({str(mnist.DATA)!r}, test=False).tensors
    return TensorDataset(images[:1500], labels[:1500]), TensorDataset(images[-500:], labels[-500:])
""",
    "utils.py": """
RECIPES["long"] = replace(RECIPES["long"], epochs=2)
""",
    "experiments/results.py": """
def draw():
    print("drawn")
""",
}
# What happens in the second epoch: seed 2 kills its process once, seed 3 each time, seed 4
# raises an error that only this clone knows, seed 5 kills the scheduler.
FAILING = """
import os
import signal

_train = train


class NoNumber(ArithmeticError):
    pass


def kill(process):
    os.kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))


def train(model, device, train_loader, optimizer, epoch, *more):
    seed, here = torch.initial_seed(), Path(__file__).parent
    if epoch == 2:
        with open(here / f"half-way-{seed}", "a") as file:
            file.write("x")
        if seed == 3 or seed == 2 and Path(file.name).read_text() == "x":
            kill(os.getpid())
        if seed == 4:
            raise NoNumber("the loss is not a number")
        if seed == 5:
            kill(int((here / "scheduler").read_text()))
            time.sleep(60)
    return _train(model, device, train_loader, optimizer, epoch, *more)
"""


def clone(folder, more=""):
    """Copy our modules, make data and recipe little, and put more lines below utils.py."""
    (folder / "experiments").mkdir(parents=True)
    for path in (*ROOT.glob("*.py"), *ROOT.glob("experiments/*.py")):
        shutil.copy(path, folder / path.relative_to(ROOT))
    for name, lines in (*LITTLE.items(), ("utils.py", more)):
        with open(folder / name, "a", encoding="utf-8") as file:
            file.write(lines)
    return folder


def environment(folder):
    """Two threads for arithmetic everywhere; a seed is given up after its second lost worker."""
    return os.environ | {
        "OMP_NUM_THREADS": "2",
        "DASK_TEMPORARY_DIRECTORY": str(folder),
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
    }


def compare(folder, *arguments):
    """Run compare.py for TinyNet in a clone: the finished process."""
    command = [sys.executable, "experiments/compare.py", "TinyNet", "long", *arguments]
    settings = {"cwd": folder, "env": environment(folder), "capture_output": True, "text": True}
    return subprocess.run(command, check=False, timeout=300, **settings)


def rows(folder):
    """A clone's rows: (where each ran, all that must not depend on where and how fast it ran)."""
    table = pd.read_csv(folder / "experiments" / "results.csv").set_index("seed").sort_index()
    assert table.index.is_unique
    return table["host"], table.drop(columns=["host", "seconds"])


@contextlib.contextmanager
def dask(*arguments, folder):
    """A process of Dask, started in a folder."""
    command = [shutil.which("dask", path=sysconfig.get_path("scripts")), *arguments]
    command += ["--host", "127.0.0.1", "--no-dashboard"]
    settings = {"cwd": folder, "env": environment(folder), "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **settings)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def dask_cluster(folder, workers):
    """Start a scheduler, and workers in a folder: the scheduler's process and address."""
    file = folder / "scheduler.json"
    worker = ("worker", "--scheduler-file", file, "--nthreads", "1")
    with contextlib.ExitStack() as stack:
        start = ("scheduler", "--port", "0", "--scheduler-file", file)
        process = stack.enter_context(dask(*start, folder=folder))
        deadline = time.monotonic() + 60
        while not file.exists() or not file.read_text().endswith("}"):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        for _ in range(workers):
            stack.enter_context(dask(*worker, "--memory-limit", "0", folder=folder))
        if workers:  # the command waits for a few seconds only, and these machines may be busy
            with distributed.Client(address, timeout=60) as client:
                client.wait_for_workers(workers, timeout=120)
        yield process, address


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A clone in which seeds 1, 2 and 6 were trained without a scheduler, and without Dask."""
    folder = clone(tmp_path_factory.mktemp("alone") / "clone")
    without_dask(folder)
    done = compare(folder, "1", "2", "6")
    assert done.returncode == 0, done.stderr
    return folder


def without_dask(folder):
    """Make a clone in which Dask cannot be imported."""
    for name in ("distributed", "dask"):
        lines = 'raise ModuleNotFoundError("No module named distributed")\n'
        (folder / "experiments" / f"{name}.py").write_text(lines)


def test_each_run_has_one_row_whatever_is_lost(alone, tmp_path):
    """A worker is killed once, then each time that it has seed 3; seed 4 raises."""
    here, there = clone(tmp_path / "here"), clone(tmp_path / "there", FAILING)
    path = here / "experiments" / "results.csv"
    with dask_cluster(there, workers=2) as (_, address):
        done = compare(here, "2", "1", "2", "6", "--scheduler", address)
        assert done.returncode == 0 and done.stdout == "drawn\n"
        compared_with(alone, here)
        text = path.read_text()
        done = compare(here, "3", "4", "6", "--scheduler", address)
        assert path.read_text() == text and done.returncode == 1
        assert done.stdout == "TinyNet long 6: already in results.csv\n"
        failed = not_made(done)
        assert failed.keys() == {"TinyNet long 3", "TinyNet long 4"}
        assert failed["TinyNet long 3"].startswith("2 workers were lost while they had it")
        assert failed["TinyNet long 4"].endswith("says NoNumber: the loss is not a number")
        halves = {int(file.name[-1]): file.read_text() for file in there.glob("half-way-*")}
        assert halves.keys() == {1, 2, 3, 4, 6}
        assert halves[2] == halves[3] == "xx"  # what was lost, ran again; a finished run, too,
        assert {*halves.values()} <= {"x", "xx"}  # if its worker died before it was fetched
        done = compare(here, "1", "6", "--again", "--scheduler", address)
    said = [f"TinyNet long {seed}: the same again" for seed in (1, 6)]
    assert sorted(done.stdout.splitlines()) == said and done.returncode == 0
    assert path.read_text() == text


def not_made(done):
    """What a command says about each run that could not be made; it must say nothing else."""
    lines = set(done.stderr.splitlines()) - {"no worker is left: waiting for one"}
    return dict(line.split(": NOT MADE. ") for line in lines)


def compared_with(alone, here):
    """Rows, mistakes and weights are those of the clone that had no cluster."""
    (hosts_alone, expected), (hosts, found) = rows(alone), rows(here)
    pd.testing.assert_frame_equal(found, expected)
    assert found.index.tolist() == [1, 2, 6]
    assert (hosts == socket.gethostname()).all() and (hosts_alone == "local").all()
    mistakes, weights = "experiments/mistakes.csv", "experiments/weights/TinyNet.pt"
    lines, expected = (sorted((f / mistakes).read_text().splitlines()) for f in (here, alone))
    assert lines == expected and len(lines) == 4
    tensors, expected = (torch.load(f / weights, weights_only=True) for f in (here, alone))
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in tensors)


def test_a_changed_digit_is_found_and_a_lost_scheduler_is_said(alone, tmp_path):
    there, here = clone(tmp_path / "there", FAILING), tmp_path / "here"
    shutil.copytree(alone, here)
    for name in ("distributed", "dask"):
        (here / "experiments" / f"{name}.py").unlink()
    path = here / "experiments" / "results.csv"
    accuracy = f"{rows(here)[1]['test_accuracy'][6]:.5f}"
    path.write_text(path.read_text().replace(accuracy, "0.12345"))
    text = path.read_text()
    with dask_cluster(there, workers=1) as (scheduler, address):
        done = compare(here, "6", "--again", "--scheduler", address)
        assert f"test_accuracy 0.12345, now {accuracy}" in done.stdout and done.returncode == 1
        (there / "scheduler").write_text(str(scheduler.pid))
        done = compare(here, "5", "7", "--scheduler", address)
    assert not_made(done) == {f"TinyNet long {seed}": cluster.LOST for seed in (5, 7)}
    assert done.returncode == 1 and path.read_text() == text


def says(code, folder=ROOT):
    """The last line of what Python prints about an error in code that uses cluster.py.

    In a process of its own: a client that could not connect lives on for a while, and Dask
    may hang when the next one starts.
    """
    start = f"import sys\nsys.path.insert(0, {EXPERIMENTS!r})\nimport cluster\n"
    start += "cluster.SECONDS_TO_ANSWER = 1\n"
    command = [sys.executable, "-c", start + code]
    settings = {"cwd": folder, "capture_output": True, "text": True}
    done = subprocess.run(command, check=False, timeout=300, **settings)
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("address", ["", "nosuch", "http://127.0.0.1:9", "127.0.0.1:9"])
def test_where_no_scheduler_is(address):
    expected = f"RuntimeError: no Dask scheduler answers at {address!r}"
    assert says(f"cluster.connect({address!r})").startswith(expected)


def test_where_no_worker_is(tmp_path):
    with dask_cluster(tmp_path, workers=0) as (_, address):
        said = says(f"cluster.SECONDS_TO_ANSWER = 5\ncluster.connect({address!r})")
    assert said.startswith("RuntimeError: the scheduler has no worker. Start one on each machine")


def test_where_the_worker_is_in_no_clone(tmp_path):
    here, there = clone(tmp_path / "here"), tmp_path / "there"
    there.mkdir()
    with dask_cluster(there, workers=1) as (_, address):
        done = compare(here, "1", "--scheduler", address)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and not done.stdout
    assert f"(started in {there.resolve()}) is not in a clone" in done.stderr
    assert not (here / "experiments" / "results.csv").exists()


def test_without_dask(alone):
    done = compare(alone, "1", "--scheduler", "127.0.0.1:9")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "pip install distributed" in done.stderr


@pytest.mark.parametrize(
    "lines, threads, expected",
    [
        ("", 2, "has 2 threads"),
        ("import nosuch", 1, "lacks a module: No module named 'nosuch'. Install"),
        ("def load_mnist(): raise RuntimeError('no data')\nimport torch", 1, "no data"),
    ],
)
def test_what_a_worker_lacks_is_said(lines, threads, expected, tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "compare.py").write_text(lines)
    code = f"""
from types import SimpleNamespace as Some
sys.path.remove({EXPERIMENTS!r})
cluster.check(Some(name="w1", state=Some(nthreads={threads})))"""
    said = says(code, tmp_path)
    assert said.startswith(f"RuntimeError: The worker w1 on {socket.gethostname()} (started in ")
    assert expected in said
