"""Grades exercise notebooks that students hand in: only their answer cells.

The answers are put into our own notebook, each is run and checked in a process of its own,
and a `Grade` says what came out. `pytest --nbval submissions` does it for a class (see
CLASSROOM.md), `grade` for one file.

A notebook is recognised by its cells, not by its name. An answer cell has the tag "answer"
and its exercise's number in the metadata, or the number in its first line: # Exercise 1.4.
"""

import json
import re
import time
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from grading import isolation
from grading.exercises import CORRECT, INCORRECT, MARK, NOT_DONE, POINTS, one_line

OURS = Path(__file__).resolve().parents[1] / "notebooks"

UNGRADED = "COULD NOT BE GRADED"

SECONDS = 60  # for one exercise
SLOW = {"2.5": 3}  # exercises that train, and how many times as long they may take
LARGEST, MOST_CELLS = 50 * 2**20, 1000  # bytes and cells of a notebook

NOT_RUN = "cells added or changed, and not run"

SET_UP = re.compile(r"# @title Set-up: ")


class Unreadable(Exception):
    """Why a file could not be graded, as a sentence."""


class Cell(NamedTuple):
    """A code cell: one of our own notebook's, or an answer that takes the place of a stub.

    Attributes:
        source: its text.
        exercise: the number of the exercise that it answers, or "".
        stub: what an answer cell held at first.
    """

    source: str
    exercise: str = ""
    stub: str = ""


@dataclass(frozen=True)
class Grade:
    """What one exercise of one notebook is worth.

    Attributes:
        submission: the folder's name.
        notebook: the file's name.
        exercise: its number; "" where the file could not be graded.
        verdict: CORRECT, INCORRECT, NOT_DONE, or UNGRADED.
        points, of: what it earns, and what it could.
        comment: one line. It begins with LOOK where somebody should read the answer.
        seconds: how long it took.
    """

    submission: str
    notebook: str
    exercise: str
    verdict: str
    points: int
    of: int
    comment: str
    seconds: float = 0.0


@dataclass(frozen=True)
class HandedIn:
    """A notebook with answers.

    Attributes:
        path: where it lies.
        answers: {exercise: [source, …]}; more than one where a cell was split or copied.
        added: how many other code cells there are that are not ours.
        exercises: the numbers of all exercises of the lessons that it answers.
    """

    path: Path
    answers: dict
    added: int
    exercises: tuple


# --- Reading ----------------------------------------------------------------------------


def read_cells(path):
    """The code cells of a notebook, as dicts with "source" (one text) and "metadata".

    Raises:
        Unreadable: it is no notebook.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise Unreadable(f"It is larger than {LARGEST // 2**20} MB: clear its outputs.")
        notebook = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise Unreadable(f"It cannot be opened: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise Unreadable("It is no notebook, whatever its name says: it is no JSON.") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise Unreadable("It is no notebook of format 4: open it in JupyterLab and save it.")
    if len(cells) > MOST_CELLS:
        raise Unreadable(f"It has more than {MOST_CELLS} cells: keep those of the lesson only.")
    return [
        {**cell, "source": source, "metadata": metadata if isinstance(metadata, dict) else {}}
        for cell in cells
        if isinstance(cell, dict) and cell.get("cell_type") == "code"
        for source, metadata in [(text_of(cell.get("source")), cell.get("metadata"))]
    ]


def text_of(source):
    """A cell's source as one text: the format allows a list of lines."""
    lines = source if isinstance(source, list) else [source]
    return "".join(line for line in lines if isinstance(line, str))


def plain(source):
    """A source without blanks at line ends, to be compared."""
    return "\n".join(line.rstrip() for line in source.strip().splitlines())


def exercise_of(cell):
    """The number of the exercise that a cell answers, or None."""
    if mark := MARK.match(cell["source"]):
        return mark[1]
    number, tags = cell["metadata"].get("exercise"), cell["metadata"].get("tags")
    return str(number) if isinstance(tags, list) and "answer" in tags else None


def _is_check(cell):
    tags = cell["metadata"].get("tags")
    return isinstance(tags, list) and "check" in tags


@cache
def lesson_cells(lesson):
    """Our exercise notebook of a lesson, "1" or "2": `Cell`s, without checks and set-up."""
    cells = read_cells(OURS / f"{lesson}_exercises.ipynb")
    cells = [cell for cell in cells if not _is_check(cell) and not SET_UP.match(cell["source"])]
    stubs = [(cell["source"], exercise_of(cell) or "") for cell in cells]
    return tuple(Cell(source, number, source if number else "") for source, number in stubs)


def read(path):
    """What was handed in, if it has answers to exercises of ours.

    Raises:
        Unreadable: it is no notebook, or has no answer cell.
    """
    path = Path(path)
    answers, others = defaultdict(list), []
    for cell in read_cells(path):
        number = exercise_of(cell)
        if number in POINTS:
            answers[number].append(cell["source"])
        elif plain(cell["source"]):
            others.append(plain(cell["source"]))
    if not answers:
        raise Unreadable("It has no answer cell of an exercise of ours.")
    lessons = sorted({number[0] for number in answers})
    ours = {
        plain(cell["source"])
        for lesson in lessons
        for cell in read_cells(OURS / f"{lesson}_exercises.ipynb")
    }
    added = sum(source not in ours and not SET_UP.match(source) for source in others)
    exercises = (cell.exercise for lesson in lessons for cell in lesson_cells(lesson))
    return HandedIn(path, dict(answers), added, tuple(filter(None, exercises)))


# --- Grading ----------------------------------------------------------------------------


def submission_of(path):
    """The name under which a notebook is graded: its folder below submissions/."""
    path = Path(path).absolute()
    if "submissions" in path.parts:
        place = len(path.parts) - path.parts[::-1].index("submissions")
        return path.parts[place] if place < len(path.parts) - 1 else path.stem
    return path.parent.name


def grade(path, seconds=SECONDS):
    """The `Grade`s of all exercises of one notebook, one after another."""
    try:
        handed_in = read(path)
    except Unreadable as error:
        return [ungraded(path, error)]
    return [grade_exercise(handed_in, number, seconds) for number in handed_in.exercises]


def ungraded(path, error):
    """The `Grade` of a file that could not be graded."""
    names = (_printable(submission_of(path)), _printable(Path(path).name))
    return Grade(*names, "", UNGRADED, 0, 0, _printable(error))


def grade_exercise(handed_in, number, seconds=SECONDS):
    """Run and check one exercise: see the module's docstring.

    Args:
        handed_in: what `read` returned.
        number: one of its exercises.
        seconds: the time limit. Exercises that train get more: `SLOW`.
    """
    started = time.monotonic()
    word, comment = _verdict(handed_in, number, seconds * SLOW.get(number, 1))
    of = POINTS[number]
    return Grade(
        submission=_printable(submission_of(handed_in.path)),
        notebook=_printable(handed_in.path.name),
        exercise=number,
        verdict=word,
        points=of if word == CORRECT else 0,
        of=of,
        comment=_printable(comment),
        seconds=round(time.monotonic() - started, 1),
    )


def _verdict(handed_in, number, seconds):
    """(word, comment) of one exercise."""
    cells = _our_cells_with_answers(handed_in)
    own = [cell for cell in cells if cell.exercise == number]
    if number not in handed_in.answers:
        return NOT_DONE, "no answer cell"
    if all(plain(cell.source) == plain(cell.stub) for cell in own):
        return NOT_DONE, ""
    said, reason = isolation.run("grading.attempt.attempt", number, cells, seconds=seconds)
    read, checked = (*said, None, None)[:2]
    if read is None:
        return UNGRADED, f"the grader failed on it: {reason or 'no process could be started'}"
    word, comment, changed = _message(checked)
    if word is None:
        word, comment = INCORRECT, reason or "it ended its process before it was checked"
    look = [*read["look"], *(f"changed {name} while it ran" for name in changed)]
    if "NameError" in comment and handed_in.added:
        comment += f" ({NOT_RUN}: {handed_in.added})"
    if len(own) > 1:
        comment = ". ".join(filter(None, (comment, f"{len(own)} answer cells, run in order")))
    if look:
        comment = f"LOOK ({', '.join(look)})" + (f": {comment}" if comment else "")
    return word, comment


def _message(checked):
    """(word, comment, changed) in what the process said last; the answer may have forged it."""
    match checked:
        case {
            "word": str(word),
            "comment": str(comment),
            "changed": list(changed),
        } if word in (CORRECT, INCORRECT, NOT_DONE):
            return word, comment, [name for name in changed if isinstance(name, str)]
    return None, "", []


def _our_cells_with_answers(handed_in):
    """Our `Cell`s of the lessons, with the student's answers in the place of the stubs.

    Where an exercise has several answer cells, all that are no stub are there, in order:
    what counts is then what counts in a notebook that is run from top to bottom.
    """
    cells = []
    for lesson in sorted({number[0] for number in handed_in.exercises}):
        for cell in lesson_cells(lesson):
            sources = handed_in.answers.get(cell.exercise, [cell.source])
            changed = [source for source in sources if plain(source) != plain(cell.stub)]
            cells += [cell._replace(source=source) for source in changed or sources[:1]]
    return cells


def _printable(text):
    """A text on one line, without what could steer a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in one_line(text))
