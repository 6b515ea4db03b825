"""Checks workbooks of lesson 1's network: what is wrong, from which row, and why.

The loss can fall even when a gradient is wrong, so it proves nothing. This module reads files,
finds every table of the network in them, compares each row with what the row's own
inputs, targets and weights give, and names the mistake that gives the same numbers.

    python workbook.py check FILE… [--json] [--csv OUT]

A file may be hostile: nothing in it is run, and it is read in another process with a
limit on time and memory. The other modules of this package do the single steps.
"""

import ast
import concurrent.futures
import glob
import multiprocessing
import os
import signal
import sys
from pathlib import Path

from pebble import ProcessExpired, ProcessPool
from tqdm import tqdm

from grading import report, your_turn
from grading.headers import forget_headers
from grading.reading import RESAVE, Unreadable, look_at_container, read_workbook
from grading.verdicts import check_book

try:
    import resource
except ImportError:  # Windows, which has no such limit: those on size, in `reading.py`, hold
    resource = None

# What checking one file may use.
SECONDS = 10
MEMORY = 700 * 2**20  # on top of the 200 to 300 MB that a process needs to start; Linux only
INTERRUPTED = 130  # the exit status after Ctrl-C


def check_without_limits(path):
    """Check one file in this process, without limits on time and memory."""
    path = str(path)
    forget_headers()
    try:
        notes = look_at_container(path)
        book = read_workbook(path)
    except Unreadable as error:
        return _unreadable(path, str(error))
    except MemoryError:
        return _unreadable(path, "It needs too much memory: keep the sheets with the table only.")
    except Exception as error:  # noqa: BLE001  a damaged file may fail anywhere
        return _unreadable(path, f"It is damaged ({type(error).__name__}): {RESAVE}.")
    answers = []
    try:
        answers, about_answers = _check_answers(book)
        notes += about_answers
        verdict, tables, sentences = check_book(book)
    except Unreadable as error:
        return _unreadable(path, str(error)) | {"answers": answers}
    except MemoryError:
        return _unreadable(path, "It needs too much memory: keep the sheets with the table only.")
    except Exception as error:  # noqa: BLE001  the other files are still checked
        return _unreadable(path, f"The checker failed on it, which is a bug ({error!r:.200}).")
    return {
        "file": path,
        "verdict": verdict,
        "tables": tables,
        "answers": answers,
        "notes": notes + sentences,
    }


def _check_answers(book):
    """The eight answers on the sheet *Your turn*, if there is one: see `your_turn.py`."""
    sheet = book.sheet(your_turn.SHEET)
    if sheet is None:
        return [], []
    return your_turn.check_answers(sheet.value, sheet.formula_text)


def _unreadable(path, reason):
    return {"file": path, "verdict": "unreadable", "tables": [], "reason": reason}


# --- Many files, each in a process with limits -------------------------------------


def limit_memory():
    """In a new process: allow `MEMORY` more than it has now. Linux only."""
    if resource and os.path.exists("/proc/self/statm"):
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))


def _start_process():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this
    limit_memory()


def check_one_by_one(paths):
    """Check many workbooks on all cores, each within `SECONDS` and `MEMORY`.

    Args:
        paths: .xlsx files.

    Yields:
        A dict as `check_workbook` returns it for each path, in order, as soon as it is there.
    """
    _need_main_guard()
    paths = [str(path) for path in paths]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    pool = ProcessPool(
        max_workers=max(1, min(cores, len(paths))),
        initializer=_start_process,
        context=multiprocessing.get_context("spawn"),  # new processes: they import this anew
    )
    try:
        futures = [
            pool.schedule(check_without_limits, args=(path,), timeout=SECONDS) for path in paths
        ]
        for path, future in zip(paths, futures):
            yield _result_of(path, future)
    finally:  # also where the caller stops early: nothing more is started
        pool.stop()
        pool.join()


def _result_of(path, future):
    try:
        return future.result()
    except concurrent.futures.TimeoutError:
        reason = f"It took longer than {SECONDS} seconds: keep the sheets with the table only."
        return _unreadable(path, reason)
    except ProcessExpired:
        return _unreadable(path, f"The process that read it stopped: {RESAVE}.")


def _need_main_guard():
    """Refuse a script that would be run again, whole, by each of the new processes.

    Raises:
        RuntimeError: what to write.
    """
    frame = sys._getframe()
    while frame.f_back:
        frame = frame.f_back
    main, source = sys.modules["__main__"], None
    if frame.f_globals is vars(main) and frame.f_code.co_name == "<module>":
        source = getattr(main, "__file__", None)
    if not source or not source.endswith(".py") or not os.path.exists(source):
        return
    for statement in ast.parse(Path(source).read_bytes()).body:
        inside = statement.lineno <= frame.f_lineno <= statement.end_lineno
        if inside and not (
            isinstance(statement, ast.If) and "__name__" in ast.dump(statement.test)
        ):
            raise RuntimeError(
                f"{os.path.basename(source)} starts new processes, and each would run it again: "
                "put the call into a function, and call that under "
                '`if __name__ == "__main__":`.'
            )


def check_workbooks(paths, progress=False):
    """Check many workbooks on all cores, each within `SECONDS` and `MEMORY`.

    Args:
        paths: .xlsx files.
        progress: show a bar on stderr.

    Returns:
        A list of dicts as `check_workbook` returns them, in the order of `paths`.

    Raises:
        RuntimeError: a script without a main guard calls this.
    """
    checked = check_one_by_one(paths)
    return [*tqdm(checked, total=len(paths), unit="file", disable=not progress)]


def check_workbook(path):
    """Check one workbook; see the module's docstring for how.

    Returns:
        A dict: "file", "verdict" ("right", "wrong" or "unreadable"), "tables", "answers",
        and "reason" (a sentence, for an unreadable one) or "notes" (sentences, else). A
        workbook in which no table has all eight gradients is "wrong", and a note says so.
        Each table is a dict with "sheet", "header_row", "header_column" (its letter where the
        epochs run across, else None), "eta" (that of the first row, if
        they differ), "eta_source" (a cell, a column, a text, the sheet's name, or
        "inferred"; None if nothing shows η), "unchecked" (sentences: what could not be
        checked; with one, the workbook is "wrong") and "columns": name → dict with "verdict"
        ("right", "wrong", "missing" or "unchecked"), "rows_checked", "rows_wrong", "first_wrong" (a
        cell), "formula", "expected_formula", "max_relative_error" and "cause", None
        where there is nothing to say. The names are `quantities.COLUMN_NAMES`, and before
        them those of inputs, targets and first weights that are wrong. "answers" has one
        more such dict if there is a sheet *Your turn*, or none: its verdicts are "CORRECT",
        "INCORRECT" or "NOT DONE", and do not change that of the workbook.
    """
    return check_workbooks([path])[0]


# --- The command -------------------------------------------------------------------


def check_command(files, as_json=False, csv=None):
    """The command `python workbook.py check`: check files, print what is wrong with them.

    Args:
        files: paths of .xlsx files.
        as_json: print one JSON object a line in place of reports.
        csv: the path of a CSV file for all verdicts, or None.

    A pattern such as *.xlsx is expanded where the shell has not done it. The lock files of
    open workbooks, ~$bob.xlsx, are passed over. Ctrl-C stops; what was checked is kept.

    Returns:
        The exit status: 0 all right, 1 something wrong, 2 a file could not be checked, 130
        interrupted.

    Raises:
        ValueError, FileNotFoundError: see `report.refuse_csv`.
    """
    for stream in (sys.stdout, sys.stderr):  # whatever a console or a pipe is set to
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    files = _expanded(files)
    if csv:  # before the work, not after it
        report.refuse_csv(csv, files)
    results, interrupted = _check_until_interrupted(files)
    for result in results:
        text = report.as_json(result) if as_json else report.as_text(result)
        print(text)
    if csv:
        report.write_csv(results, csv)
    if interrupted:
        print(f"Interrupted: {len(results)} of {len(files)} files were checked.", file=sys.stderr)
        return INTERRUPTED
    verdicts = {result["verdict"] for result in results}
    return 2 if "unreadable" in verdicts else 1 if "wrong" in verdicts else 0


def _check_until_interrupted(files):
    """Check files with a bar on stderr: (the results so far, whether Ctrl-C was pressed)."""
    results = []
    bar = tqdm(total=len(files), unit="file", disable=len(files) < 2)
    checking = check_one_by_one(files)
    try:
        for result in checking:
            results.append(result)
            bar.update()
    except KeyboardInterrupt:
        return results, True
    finally:
        checking.close()
        bar.close()
    return results, False


def _expanded(files):
    """The files that patterns stand for, without the lock files of open workbooks."""
    found = []
    for file in files:
        pattern = glob.has_magic(str(file)) and not os.path.exists(file)
        found += sorted(glob.glob(str(file))) if pattern else [file]
        if pattern and not found:
            found.append(file)  # it will be said that there is none
    kept = [file for file in found if not os.path.basename(file).startswith("~$")]
    return kept
