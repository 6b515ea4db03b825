"""Writes exercise notebooks such as students hand in, from our own and our answers.

For the tests of the grader, and for `notebooks/grade.ipynb`, which makes a small class.
"""

import json
import re
from pathlib import Path

from grading.notebooks import OURS, exercise_of, text_of

SOLUTIONS = OURS.parent / "solutions"


def solutions(lesson):
    """Our answers to a lesson, "1" or "2": {exercise: source}."""
    text = (SOLUTIONS / f"{lesson}_exercises.py").read_text(encoding="utf-8")
    _, *parts = re.split(r"^# %% (\d+\.\d+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2]))


def notebook(answers=None, lesson="1"):
    """Our exercise notebook, as JSON holds it, with answers in the place of stubs.

    Args:
        answers: {exercise: source}; the other answer cells stay as they are.
    """
    made = json.loads((OURS / f"{lesson}_exercises.ipynb").read_text(encoding="utf-8"))
    for cell in made["cells"]:
        cell["source"] = text_of(cell["source"])
        number = exercise_of(cell) if cell["cell_type"] == "code" else None
        if number in (answers or {}):
            cell["source"] = f"# Exercise {number}\n{answers[number]}"
    return made


def hand_in(path, answers=None, lesson="1"):
    """Write such a notebook; its folder is made if it is not there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook(answers, lesson)), encoding="utf-8")
