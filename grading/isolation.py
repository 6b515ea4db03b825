"""Runs code that nobody has read, in a process of its own with limits on time and memory.

The limits keep one answer's endless loop, crash or hunger from costing the others. They are
no protection of the computer: the code has the rights of whoever grades (see CLASSROOM.md).
"""

import importlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import types
from pathlib import Path

try:
    import resource
except ImportError:  # Windows: only the limit on time holds
    resource = None

ROOT = Path(__file__).resolve().parents[1]

START_SECONDS = 300  # for a new process to import what it needs, on a busy computer
MEMORY = 4 * 2**30  # on top of what a process has that has imported torch
FILE_SIZE = 100 * 2**20  # of the largest file that it may write
PROCESSES = 4096  # of one user in all; root has no limit
MESSAGE = 100_000  # bytes

# A fork server imports these once, and every new process has them at once.
PRELOADED = ["grading.attempt", "grading.lesson1", "grading.lesson2", "figures"]
FORKED = "forkserver" in multiprocessing.get_all_start_methods()  # not on Windows


def run(function, *arguments, seconds):
    """Call a function in a new process, in an empty folder, and throw its output away.

    Args:
        function: its full name, such as "grading.attempt.attempt", so that what it imports
            is imported there. It is called as function(say, *arguments); say(…) sends what
            JSON can hold. Its time counts from the first message. Messages are short.
        arguments: what `pickle` can hold.
        seconds: how long it may take.

    Returns:
        (said, reason): its messages, and why it ended too early, such as "it took longer
        than 60 s"; "" if it returned.
    """
    context = multiprocessing.get_context("forkserver" if FORKED else "spawn")
    receiver, sender = context.Pipe(duplex=False)
    folder = tempfile.mkdtemp()
    settings = (function, arguments, sender, folder, seconds)
    process = context.Process(target=_in_new_process, args=settings)
    said, late = [], False
    try:
        _start(context, process)
        sender.close()  # the process has the only one now: when it ends, the messages end
        if receiver.poll(START_SECONDS):
            said.append(_receive(receiver))
            process.join(seconds)
        late = process.is_alive()
        _kill(process)
        while receiver.poll():
            said.append(_receive(receiver))
    except (EOFError, OSError, ValueError):  # no more messages, or something that is none
        pass
    finally:
        if process.is_alive():
            _kill(process)
        receiver.close()
        shutil.rmtree(folder, ignore_errors=True)
    return said, f"it took longer than {seconds:g} s" if late else _ending(process.exitcode)


def _receive(receiver):
    return json.loads(receiver.recv_bytes(MESSAGE))


def _start(context, process):
    """Start it without the program that runs here: not every process must import pytest anew."""
    main, path = sys.modules["__main__"], os.environ.get("PYTHONPATH")
    sys.modules["__main__"] = types.ModuleType("__main__")
    if FORKED:
        context.set_forkserver_preload(PRELOADED)
        # Before Python 3.12 the fork server does not get our sys.path.
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), path)))
    try:
        process.start()
    finally:
        sys.modules["__main__"] = main
        if path is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = path


def _kill(process):
    """End a process, and the processes that it has started, as far as they stayed in its group."""
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # all of them have ended
            pass
    process.kill()
    process.join()


def _ending(exitcode):
    if not exitcode:
        return ""
    if exitcode > 0:
        return f"it ended the process, with exit status {exitcode}"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = f"signal {-exitcode}"
    memory = ": it may have needed too much memory" if name == "SIGKILL" else ""
    return f"the process was ended by {name}{memory}"


# --- In the new process ---------------------------------------------------------------


def _in_new_process(function, arguments, sender, folder, seconds):
    if hasattr(os, "setsid"):
        os.setsid()
    _limit(seconds)
    os.chdir(folder)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    sys.stdin, sys.stdout, sys.stderr = (
        open(os.devnull, mode, encoding="utf-8", errors="replace") for mode in "rww"
    )
    module, _, name = function.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    function(lambda message: sender.send_bytes(json.dumps(message).encode()), *arguments)
    sender.close()
    os._exit(0)  # threads and exit handlers that the code has left behind don't matter


def _limit(seconds):
    if not resource:
        return
    limits = {"CORE": 0, "FSIZE": FILE_SIZE, "NPROC": PROCESSES}
    # So that the process ends even if the one that would stop it was ended itself.
    limits["CPU"] = START_SECONDS + int(seconds) * (os.cpu_count() or 1)
    if os.path.exists("/proc/self/statm"):
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        limits["AS"] = now + MEMORY
    for name, limit in limits.items():
        number = getattr(resource, f"RLIMIT_{name}", None)
        if number is not None:
            hard = resource.getrlimit(number)[1]
            limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            resource.setrlimit(number, (limit, limit))
