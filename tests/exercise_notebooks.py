"""What the tests of the two exercise notebooks share."""

import nbformat

from grading.exercises import POINTS, verdict
from grading.notebooks import OURS


def numbers_of(lesson):
    """The numbers of a lesson's exercises; the lesson is "1" or "2"."""
    return [number for number in POINTS if number.startswith(f"{lesson}.")]


def notebook_of(lesson):
    """Our exercise notebook of a lesson."""
    return nbformat.read(OURS / f"{lesson}_exercises.ipynb", 4)


def cells(notebook, tag):
    """{number: source} of the notebook's cells with this tag."""
    found = [c for c in notebook.cells if tag in c.metadata.get("tags", ())]
    return {cell.metadata["exercise"]: cell.source for cell in found}


def judge(number, source, imported):
    """The verdict on an answer: its cell is run with what the notebook imports for it."""
    namespace = dict(imported)
    exec(compile(source, "<answer>", "exec"), namespace)
    result = verdict(number, namespace)
    assert "\n" not in result.comment and len(result.comment) <= 401
    return result
