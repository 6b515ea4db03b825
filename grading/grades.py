"""The grades of a class: as CSV, as a table, and what went wrong most often.

It takes `notebooks.Grade`s, and decides nothing.
"""

import csv
import re
from collections import Counter, defaultdict
from dataclasses import asdict
from pathlib import Path

from files import no_formula, replacing_csv
from grading.exercises import CORRECT, INCORRECT, NOT_DONE, POINTS
from grading.notebooks import UNGRADED

COLUMNS = ("submission", "notebook", "exercise", "verdict", "points", "of", "comment")

MOST_MISTAKES = 8  # that are shown of a class
MARKED = re.compile(r"^LOOK \(.*?\): ")
DETAILS = re.compile(r"\. |, found | in \w+\(|, line \d+")  # what follows differs by student
NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(\.\d+)?([eE][-+]?\d+)?(?![\w.])")


def refuse_csv(path):
    """Raise a ValueError where grades cannot be written, before the work and not after it."""
    path = Path(path)
    if path.suffix.lower() != ".csv":
        raise ValueError(f"{path} does not end in .csv: name a .csv file for the grades")
    if not path.resolve().parent.is_dir():
        raise ValueError(f"no such folder: {path.resolve().parent}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder: name a .csv file for the grades")


def write_csv(grades, path):
    """Write grades as CSV in UTF-8, with the mark by which Excel knows it, all or nothing.

    A text that a spreadsheet program would take for a formula gets an apostrophe before it.
    """
    refuse_csv(path)
    with replacing_csv(path) as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        for grade in grades:
            writer.writerow({name: no_formula(v) for name, v in asdict(grade).items()})


# --- On the screen ----------------------------------------------------------------------


def line(grade):
    """One grade as a line."""
    what = " ".join(filter(None, (grade.exercise, grade.verdict)))
    comment = f": {grade.comment}" if grade.comment else ""
    return f"{grade.submission}/{grade.notebook}  {what}{comment}"


def mark(grade):
    """One grade as a few characters."""
    points = {NOT_DONE: "–", UNGRADED: "?"}.get(grade.verdict, str(grade.points))
    return points + ("!" if grade.comment.startswith("LOOK") else "")


LEGEND = "– is not done, ? could not be graded, ! is LOOK: read the answer before the points count."


def table(grades):
    """Students down, exercises across, the sum of the points at the end, as lines of text.

    A student who handed in two notebooks of a lesson has two rows; the second one begins
    with the notebook's name.
    """
    rows = defaultdict(dict)
    for grade in sorted(grades, key=lambda g: (g.submission, g.notebook)):
        name = grade.submission
        if grade.exercise in rows[name]:
            name = f"{grade.submission}, {grade.notebook}"
        rows[name][grade.exercise] = grade
    exercises = [number for number in POINTS if any(number in row for row in rows.values())]
    if any("" in row for row in rows.values()):
        exercises.append("")
    head = ["", *(number or "file" for number in exercises), "points"]
    body = [
        [
            name,
            *(mark(row[number]) if number in row else "" for number in exercises),
            str(sum(grade.points for grade in row.values())),
        ]
        for name, row in rows.items()
    ]
    return [*_aligned([head, *body]), LEGEND]


def _aligned(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  ".join(
            [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:]))]
        ).rstrip()
        for cells in rows
    ]


def most_frequent_mistakes(grades):
    """What many did wrong, in one line: "1.4 a_h1 in place of a_h2 (7); …".

    Comments that differ in their numbers only are the same mistake.
    """
    counted = Counter()
    for grade in grades:
        if grade.verdict == INCORRECT:
            mistake = DETAILS.split(MARKED.sub("", grade.comment))[0]
            counted[f"{grade.exercise} {NUMBER.sub('…', mistake)}"] += 1
    parts = [f"{mistake} ({count})" for mistake, count in counted.most_common(MOST_MISTAKES)]
    return "most frequent mistakes: " + ("; ".join(parts) or "none")


def seconds_of_each(grades):
    """How long each submission took, in one line."""
    total = Counter()
    for grade in grades:
        total[grade.submission] += grade.seconds
    return "seconds: " + "; ".join(f"{name} {round(took)}" for name, took in total.most_common())


def exit_status(grades):
    """0 all CORRECT, 1 something is not, 2 a file could not be graded."""
    verdicts = {grade.verdict for grade in grades}
    return 2 if UNGRADED in verdicts else 1 if verdicts - {CORRECT} else 0
