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
from functools import cache

import numpy as np
from defusedxml.common import DefusedXmlException
from pebble import ProcessExpired, ProcessPool
from tqdm import tqdm

from backprop import GRADIENT_SYMBOLS
from grading import report, your_turn
from grading.columns import CheckedTable, check_column
from grading.quantities import (
    COMPUTED_NAMES,
    FORMULAS,
    UPDATES,
    column_name,
)
from grading.reading import (
    RESAVE,
    Unreadable,
    cell_at,
    is_formula,
    look_at_container,
    read_sheets,
    shown,
)
from grading.tables import canonical_name, find_tables, forget_headers, stated_rates
from grading.updates import Updates, check_update, learning_rate

try:
    import resource
except ImportError:  # Windows: the limits on size, in `reading.py`, still hold
    resource = None

# What checking one file may use.
SECONDS = 10
MEMORY = 700 * 2**20  # on top of the 200 to 300 MB that a process needs to start


@np.errstate(all="ignore")  # a student's numbers may overflow
def check_table(table, candidates, formulas):
    """Check one table.

    Args:
        candidates: the learning rates that its sheet states, see `tables.stated_rates`.
        formulas: a function that returns the cells of its sheet as formulas.

    Returns:
        A dict, as in "tables" of `check_workbook`.
    """
    checked = CheckedTable(table)
    columns = {column_name(symbol): check_column(checked, symbol, formulas) for symbol in FORMULAS}
    updates = Updates(checked)
    rate = learning_rate(updates, candidates)
    for weight, symbol in UPDATES.items():
        columns[column_name(symbol)] = check_update(updates, weight, rate, formulas)
    eta = None if rate.eta is None else float(np.ravel(rate.eta)[0])
    return {
        "sheet": shown(table.sheet),
        "header_row": table.header_row,
        "eta": eta or None,
        "eta_source": rate.source if eta else None,
        "columns": columns,
    }


def _check_sheets(path, sheets):
    """Check all tables of a workbook: (their results, sentences)."""
    read = cache(lambda: read_sheets(path, values=False))
    tables, notes, labels = find_tables(sheets)
    empty = any(
        not np.isfinite(table.values[name]).any()
        for table in tables
        for name in COMPUTED_NAMES & table.values.keys()
    )
    if (not tables or empty) and _without_values(sheets, read()):
        raise Unreadable(f"Its formulas carry no values: {RESAVE}.")
    if not tables:
        raise Unreadable(
            " ".join(notes)
            or "No table of this network was found. Its header row must name the weights "
            "w1 to w8, i1, i2, t1, t2 and computed columns such as h1, a_h1 or dE/dw1."
        )
    results = []
    for table in tables:
        rows = sheets[table.sheet]
        alone = sum(other.sheet == table.sheet for other in tables) == 1
        candidates = stated_rates(table, rows, labels[table.sheet], alone)
        result = check_table(table, candidates, lambda sheet=table.sheet: read()[sheet])
        results.append(result)
        unknown = [
            text
            for text in rows[table.header_row]
            if isinstance(text, str) and not canonical_name(text)
        ]
        if unknown and any(c["verdict"] == "missing" for c in result["columns"].values()):
            names = ", ".join(f"'{shown(text, 30)}'" for text in unknown[:20])
            table.notes.append(f"Headers that were not recognised: {names}.")
        notes += [f"{shown(table.sheet)}, row {table.header_row}: {note}" for note in table.notes]
    return results, notes


def check_without_limits(path):
    """Check one file in this process, without limits on time and memory."""
    path = str(path)
    forget_headers()
    try:
        notes = look_at_container(path)
        sheets = read_sheets(path, values=True)
    except Unreadable as error:
        return _unreadable(path, str(error))
    except MemoryError:
        return _unreadable(path, "It needs too much memory: keep the sheets with the table only.")
    except Exception as error:  # noqa: BLE001  a damaged file may fail anywhere
        if any(isinstance(e, DefusedXmlException) for e in (error, error.__context__)):
            what = "It declares XML entities, which no spreadsheet program does"
        else:
            what = f"It is damaged ({type(error).__name__})"
        return _unreadable(path, f"{what}: {RESAVE}.")
    answers = []
    try:
        answers, about_answers = _check_answers(path, sheets)
        notes += about_answers
        tables, sentences = _check_sheets(path, sheets)
    except Unreadable as error:
        return _unreadable(path, str(error)) | {"answers": answers}
    except Exception as error:  # noqa: BLE001  the other files are still checked
        return _unreadable(path, f"The checker failed on it, which is a bug ({error!r:.200}).")
    notes += sentences
    gradients = [column_name(symbol) for symbol in GRADIENT_SYMBOLS.values()]
    absent = min(
        ([g for g in gradients if t["columns"][g]["verdict"] == "missing"] for t in tables), key=len
    )
    if absent:
        notes.append(
            f"Incomplete: no table has all eight gradients; not found: {', '.join(absent)}."
        )
    wrong = any(c["verdict"] == "wrong" for t in tables for c in t["columns"].values())
    verdict = "wrong" if wrong or absent else "right"
    return {
        "file": path,
        "verdict": verdict,
        "tables": tables,
        "answers": answers,
        "notes": notes,
    }


def _check_answers(path, sheets):
    """The eight answers on the sheet *Your turn*, if there is one: see `your_turn.py`."""
    names = (your_turn.SHEET, f"{your_turn.SHEET} (hidden)")
    name = next((name for name in names if name in sheets), None)
    if name is None:
        return [], []
    read = cache(lambda: read_sheets(path, values=False)[name])

    def formula(row, column):
        content = cell_at(read(), row, column)
        return getattr(content, "text", content) if is_formula(content) else None

    return your_turn.check_answers(lambda *at: cell_at(sheets[name], *at), formula)


def _without_values(sheets, formulas):
    """Say whether most formulas have no stored value."""
    cells = [
        cell_at(sheets[sheet], number, column) is None
        for sheet, rows in formulas.items()
        for number, row in rows.items()
        for column, content in enumerate(row, start=1)
        if content is not None and is_formula(content)
    ]
    return bool(cells) and sum(cells) > len(cells) / 2


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
        A dict: "file", "verdict" ("right", "wrong" or "unreadable"), "tables", "answers",
        and "reason" (a sentence, for an unreadable one) or "notes" (sentences, else). A
        workbook in which no table has all eight gradients is "wrong", and a note says so.
        Each table is a dict with "sheet", "header_row", "eta" (that of the first row, if
        they differ), "eta_source" (a cell, a column, a text, the sheet's name, or
        "inferred"; None if nothing shows η) and "columns": name → dict with "verdict"
        ("right", "wrong" or "missing"), "rows_checked", "rows_wrong", "first_wrong" (a
        cell), "formula", "expected_formula", "max_relative_error" and "cause", None
        where there is nothing to say. The names are `quantities.COLUMN_NAMES`. "answers"
        has one more such dict if there is a sheet *Your turn*, or none: its verdicts are
        "CORRECT", "INCORRECT" or "NOT DONE", and do not change that of the workbook.
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
