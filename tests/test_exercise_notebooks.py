"""What is true of both exercise notebooks and of their solutions."""

import pytest

from exercise_notebooks import cells, notebook_of, numbers_of
from grading.exercises import MARK
from grading.sample_notebooks import solutions

LESSONS = ("1", "2")
# Beginnings of lines that a solution may share with its stub.
FRAMES = {
    "1": ("def ", "from ", '"""'),
    "2": ("def ", "from ", '"""', "super()", "class "),
}


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_exercise_has_a_solution(lesson):
    assert [*solutions(lesson)] == numbers_of(lesson)


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_exercise_has_an_answer_cell_and_a_check(lesson):
    notebook, numbers = notebook_of(lesson), numbers_of(lesson)
    stubs, checks = cells(notebook, "answer"), cells(notebook, "check")
    assert [*stubs] == [*checks] == numbers
    for number in numbers:
        assert MARK.match(stubs[number])[1] == number
        assert checks[number] == f'check("{number}")'


@pytest.mark.parametrize("lesson", LESSONS)
def test_answer_cells_are_found_without_metadata(lesson):
    code = [c for c in notebook_of(lesson).cells if c.cell_type == "code"]
    marked = [MARK.match(cell.source) for cell in code]
    assert [mark[1] for mark in marked if mark] == numbers_of(lesson)


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_notebook_is_not_done(lesson):
    checks = [c for c in notebook_of(lesson).cells if "check" in c.metadata.get("tags", ())]
    said = [cell.outputs[0].text.strip() for cell in checks]
    assert said == [f"{number} NOT DONE" for number in numbers_of(lesson)]


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_notebook_gives_nothing_away(lesson):
    text = "\n".join(cell.source for cell in notebook_of(lesson).cells)
    for number, source in solutions(lesson).items():
        for line in source.splitlines():
            code = line.partition("#")[0].strip()
            if len(code) > 20 and not code.startswith(FRAMES[lesson]):
                assert code not in text, (number, code)
