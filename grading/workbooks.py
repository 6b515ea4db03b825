"""Checks workbooks of lesson 1's network: what is wrong, from which row, and why.

The loss can fall even when a gradient is wrong, so it proves nothing. This module reads files,
finds every table of the network in them, compares each row with what the row's own
inputs, targets and weights give, and names the mistake that gives the same numbers.

    python workbook.py check FILE… [--json] [--csv OUT]

A file may be hostile: nothing in it is run, and it is read in another process with a
limit on time and memory. The other modules of this package do the single steps.
"""

import concurrent.futures
import json
import multiprocessing
import os
import sys

from pebble import ProcessExpired, ProcessPool
from tqdm import tqdm

from grading import report
from grading.headers import forget_headers
from grading.reading import RESAVE, Unreadable, look_at_container, read_workbook
from grading.verdicts import check_book

try:
    import resource
except ImportError:  # Windows: the limits on size, in `reading.py`, still hold
    resource = None

# What checking one file may use.
SECONDS = 10
MEMORY = 700 * 2**20  # on top of the 200 to 300 MB that a process needs to start


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
    try:
        verdict, tables, sentences = check_book(book)
    except Unreadable as error:
        return _unreadable(path, str(error))
    except MemoryError:
        return _unreadable(path, "It needs too much memory: keep the sheets with the table only.")
    except Exception as error:  # noqa: BLE001  the other files are still checked
        return _unreadable(path, f"The checker failed on it, which is a bug ({error!r:.200}).")
    return {"file": path, "verdict": verdict, "tables": tables, "notes": notes + sentences}


def _unreadable(path, reason):
    return {"file": path, "verdict": "unreadable", "tables": [], "reason": reason}


# --- Many files, each in a process with limits -------------------------------------


def limit_memory():
    """In a new process: allow `MEMORY` more than it has now."""
    if resource and os.path.exists("/proc/self/statm"):
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))


def check_workbooks(paths, progress=False):
    """Check many workbooks on all cores, each within `SECONDS` and `MEMORY`.

    Args:
        paths: .xlsx files.
        progress: show a bar on stderr.

    Returns:
        A list of dicts as `check_workbook` returns them, in the order of `paths`.
    """
    paths = [str(path) for path in paths]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    results = []
    with ProcessPool(
        max_workers=max(1, min(cores, len(paths))),
        initializer=limit_memory,
        context=multiprocessing.get_context("spawn"),  # new processes: they import this anew
    ) as pool:
        futures = [
            pool.schedule(check_without_limits, args=(path,), timeout=SECONDS) for path in paths
        ]
        for path, future in tqdm(
            zip(paths, futures), total=len(paths), unit="file", disable=not progress
        ):
            try:
                results.append(future.result())
            except concurrent.futures.TimeoutError:
                reason = (
                    f"It took longer than {SECONDS} seconds: keep the sheets with the table only."
                )
                results.append(_unreadable(path, reason))
            except ProcessExpired:
                results.append(_unreadable(path, f"The process that read it stopped: {RESAVE}."))
    return results


def check_workbook(path):
    """Check one workbook; see the module's docstring for how.

    Returns:
        A dict: "file", "verdict" ("right", "wrong" or "unreadable"), "tables", and
        "reason" (a sentence, for an unreadable one) or "notes" (sentences, else). A
        workbook in which no table has all eight gradients is "wrong", and a note says so.
        Each table is a dict with "sheet", "header_row", "eta" (that of the first row, if
        they differ), "eta_source" (a cell, a column, a text, the sheet's name, or
        "inferred"; None if nothing shows η) and "columns": name → dict with "verdict"
        ("right", "wrong" or "missing"), "rows_checked", "rows_wrong", "first_wrong" (a
        cell), "formula", "expected_formula", "max_relative_error" and "cause", None
        where there is nothing to say. The names are `quantities.COLUMN_NAMES`.
    """
    return check_workbooks([path])[0]


# --- The command -------------------------------------------------------------------


def check_command(files, as_json=False, csv=None):
    """The command `python workbook.py check`: check files, print what is wrong with them.

    Args:
        files: paths of .xlsx files.
        as_json: print one JSON object a line in place of reports.
        csv: the path of a CSV file for all verdicts, or None.

    Returns:
        The exit status: 0 all right, 1 something wrong, 2 a file could not be checked.

    Raises:
        ValueError, FileNotFoundError: see `report.refuse_csv`.
    """
    for stream in (sys.stdout, sys.stderr):  # whatever a console or a pipe is set to
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    if csv:  # before the work, not after it
        report.refuse_csv(csv, files)
    results = check_workbooks(files, progress=len(files) > 1)
    for result in results:
        print(json.dumps(result, ensure_ascii=False) if as_json else report.as_text(result))
    if csv:
        report.write_csv(results, csv)
    verdicts = {result["verdict"] for result in results}
    return 2 if "unreadable" in verdicts else 1 if "wrong" in verdicts else 0
