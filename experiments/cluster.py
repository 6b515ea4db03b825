"""The runs of compare.py on the machines of a Dask cluster: each seed is a task.

    pip install distributed        on every machine, beside requirements.txt
    dask scheduler                 on one machine: it prints its ADDRESS
    cd CLONE && OMP_NUM_THREADS=2 dask worker ADDRESS --nthreads 1 --memory-limit 0
    python experiments/compare.py Net ours 1 2 3 4 --scheduler ADDRESS

The third line starts a worker; each machine that trains needs one, in a clone of this
repository. A worker trains with the code and the data of its own clone. After a change
there, start it again.

--nthreads is the number of trainings at a time, which must be 1. OMP_NUM_THREADS is the
number of threads that PyTorch computes with; if it is not set, Dask sets it to 1. The columns
host and threads of a row say both. --memory-limit 0, because Dask would stop a training that
uses more than one core's share of the memory. Start one worker a machine, so that seconds
are comparable.

If a worker is lost, Dask gives its seed to another worker. A seed that has lost four workers
is given up: it may be what kills them. (Four is Dask's setting
distributed.scheduler.allowed-failures, plus one.) A scheduler runs whatever it is sent. Use
it only in a network in which you trust everybody.

This file is sent to the workers. So it imports no module of the repository at its top.
"""

import contextlib
import logging
import os
import socket
import sys
import traceback
from concurrent.futures import CancelledError
from pathlib import Path

SECONDS_TO_ANSWER = 10  # for the scheduler, and then for the first worker
WORKER = "cd CLONE && dask worker ADDRESS --nthreads 1 --memory-limit 0"
LOST = "The scheduler does not answer any more. Start it again, then the workers and this command."

# --- On a worker -------------------------------------------------------------------


def prepare(worker):
    """Import compare.py from the clone in which a worker was started, and load the data.

    Args:
        worker: Dask's worker, which runs this.

    Returns:
        (compare, train_set, test_set).

    Raises:
        RuntimeError: a sentence that says what to do at this worker.
    """
    place, experiments = where(worker), Path.cwd() / "experiments"
    if worker.state.nthreads != 1:
        raise RuntimeError(
            f"{place} has {worker.state.nthreads} threads, and two trainings in one process "
            f"would disturb each other. Start it with one: {WORKER}"
        )
    if not (experiments / "compare.py").is_file():
        raise RuntimeError(
            f"{place} is not in a clone of this repository. Start it in one: {WORKER}"
        )
    if str(experiments) not in sys.path:
        sys.path.insert(0, str(experiments))
    try:
        import compare
    except ImportError as error:
        raise RuntimeError(
            f"{place} lacks a module: {error}. Install what is needed there, "
            "pip install -r requirements.txt, and start the worker again."
        ) from None
    if threads := os.environ.get("OMP_NUM_THREADS"):  # Dask sets MKL_NUM_THREADS to 1, which wins
        compare.torch.set_num_threads(int(threads))
    try:
        return compare, *compare.load_mnist()
    except RuntimeError as error:
        raise RuntimeError(f"{place}: {error}") from None


def where(worker):
    """A worker's name, host and folder, for a message."""
    return f"The worker {worker.name} on {socket.gethostname()} (started in {Path.cwd()})"


def check(dask_worker):
    """`prepare` a worker, before anything is trained. Dask fills in the argument by its name."""
    prepare(dask_worker)


def train(key):
    """Make a run on the worker that has this task.

    Args:
        key: (network, recipe, seed), texts.

    Returns:
        (row, mistakes, weights), as `compare.run` gives them. The row's values are texts, and
        its host is the worker's.

    Raises:
        RuntimeError: whatever went wrong, with the worker's name; a worker may have kinds of
            errors that the one who asked cannot even load.
    """
    from distributed import get_worker

    worker = get_worker()
    compare, *sets = prepare(worker)
    try:
        row, mistakes, weights = compare.run(key, *sets, compare.utils.best_device())
    except Exception as error:  # noqa: BLE001  of whatever kind: the one who asked must know
        traceback.print_exc()  # for the worker's terminal
        failure = f"{where(worker)} says {type(error).__name__}: {error}"
    else:
        row["host"] = socket.gethostname()
        return {column: str(value) for column, value in row.items()}, mistakes, weights
    raise RuntimeError(failure)  # not in the except block: from there the error would go along


# --- Where compare.py was started --------------------------------------------------


def connect(address):
    """Connect to a scheduler, and look whether its workers can train.

    Args:
        address: of a Dask scheduler, such as 192.168.1.5:8786.

    Returns:
        Dask's client.

    Raises:
        RuntimeError: a sentence that says what to do.
    """
    try:
        from distributed import Client
    except ImportError:
        raise RuntimeError(
            "--scheduler needs Dask, which is not installed here: pip install distributed"
        ) from None
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # it repeats, at length
    try:
        client = Client(address, timeout=SECONDS_TO_ANSWER)
    except Exception as error:  # noqa: BLE001  what is not Dask may answer with anything
        raise RuntimeError(
            f"no Dask scheduler answers at {address!r} ({error}). Start one with: dask scheduler. "
            "It prints its address, such as tcp://192.168.1.5:8786"
        ) from None
    try:
        check_workers(client)
    except RuntimeError:
        client.close()
        raise
    return client


def check_workers(client):
    """Send this file to the workers, and let each say what it lacks.

    Raises:
        RuntimeError: there is no worker, or one cannot train.
    """
    from distributed import TimeoutError

    try:
        client.wait_for_workers(1, timeout=SECONDS_TO_ANSWER)
    except TimeoutError:
        raise RuntimeError(
            f"the scheduler has no worker. Start one on each machine: {WORKER}"
        ) from None
    client.upload_file(__file__)  # workers that come later get it, too
    answers = client.run(check, on_error="return").values()
    if problems := [str(answer) for answer in answers if answer is not None]:
        raise RuntimeError("\n".join(problems))


def runs(client, keys):
    """Make runs on a cluster.

    Yields:
        (key, run) as each is ready: what `train` returned, or None if it could not be made;
        the reason is printed.
    """
    waiting, running = [*keys], {}
    while waiting or running:
        try:
            done = next_done(client, waiting, running)
        except (OSError, CancelledError):
            for key in (*running.values(), *waiting):
                yield key, not_made(key, LOST)
            return
        for future in done:
            key = running.pop(future)
            yield key, result(key, future)


def next_done(client, waiting, running):
    """Submit what there are workers for, and wait for up to five seconds.

    No more runs than there are workers are on the way: when a worker is lost, one run is
    suspected of having killed it, not those that wait as well.

    Args:
        waiting: keys; those that are submitted are taken out.
        running: {future: key}; those that are submitted are put in.

    Returns:
        The futures that are done.

    Raises:
        OSError, CancelledError: the scheduler is gone.
    """
    from distributed import TimeoutError, wait

    if not client.nthreads():
        print("no worker is left: waiting for one", file=sys.stderr, flush=True)
        client.wait_for_workers(1)
    while waiting and len(running) < len(client.nthreads()):
        key = waiting.pop(0)
        running[client.submit(train, key, pure=False)] = key
    with contextlib.suppress(TimeoutError):  # then look for workers that came or went
        wait(list(running), timeout=5, return_when="FIRST_COMPLETED")
    return [future for future in running if future.done()]


def result(key, future):
    """What a task returned; None if it failed, after saying why."""
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        return not_made(
            key,
            f"{error.allowed_failures + 1} workers were lost while they had it, the last one at "
            f"{error.last_worker.address}. Look at what was printed there.",
        )
    except Exception as error:  # noqa: BLE001  the other runs go on, whatever happened to this
        return not_made(key, str(error) or type(error).__name__)


def not_made(key, reason):
    """Say why there is no row for a run."""
    print(f"{' '.join(key)}: NOT MADE. {reason}", file=sys.stderr, flush=True)
