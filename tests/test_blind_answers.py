"""Answers by somebody who had not seen the checks: no wrong one is CORRECT, no right one INCORRECT.

They stand in tests/answers, a part each, below a line such as # %% 1.4 c. Each says what is
right or wrong about it. Answers to 2.5, which trains, are not among them.
"""

import contextlib
import io
from functools import cache
from pathlib import Path

import pytest
import torch

from grading import attempt, notebooks
from grading.exercises import CORRECT, INCORRECT, NOT_DONE, describe, verdict

FOLDER = Path(__file__).parent / "answers"


def parts(name):
    """(number, source) of each answer in a file."""
    found = []
    for part in (FOLDER / name).read_text(encoding="utf-8").split("# %% ")[1:]:
        title, _, source = part.partition("\n")
        found.append(pytest.param(title.split()[0], source, id=title))
    return found


@cache
def given(source):
    return compile(source, "<our cell>", "exec")


def judge(number, source):
    """The verdict on an answer, run after our own cells that it needs."""
    cells = [
        cell._replace(source=source) if cell.exercise == number else cell
        for cell in notebooks.lesson_cells(number[0])
    ]
    namespace = {"__name__": "answer"}
    torch.manual_seed(0)
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in attempt.needed(cells, number):
            try:
                exec(given(cell.source), namespace)
            except BaseException as error:  # noqa: BLE001  an answer may raise anything
                return INCORRECT, describe(error)
        found = verdict(number, namespace)
    return found.word, found.comment


@pytest.mark.parametrize("number, source", parts("right.py"))
def test_right_answers_are_correct(number, source):
    assert judge(number, source) == (CORRECT, "")


@pytest.mark.parametrize("number, source", parts("wrong.py"))
def test_wrong_answers_are_not_correct(number, source):
    word, comment = judge(number, source)
    assert word in (INCORRECT, NOT_DONE)
    assert comment or word == NOT_DONE


def test_there_are_enough():
    """At least three right ones and five wrong ones for each exercise but 2.5."""
    for name, least in (("right.py", 3), ("wrong.py", 5)):
        numbers = [part.values[0] for part in parts(name)]
        for number in notebooks.POINTS.keys() - {"2.5"}:
            assert numbers.count(number) >= least
