"""pytest's items for notebooks that students hand in: see CLASSROOM.md.

conftest.py gives every notebook to `HandedIn` that is not one of this repository's own. An
exercise notebook has a test an exercise. A lesson notebook is compared with ours, and not
run: a test a cell. What is neither has the test "can be graded", which fails.
"""

import copy
import difflib
import json
import re
from dataclasses import asdict, fields
from functools import cache

import nbformat
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile, coalesce_streams

from grading import notebooks
from grading.exercises import CORRECT, INCORRECT, NOT_DONE
from grading.notebooks import OURS, SET_UP, UNGRADED, Grade, Unreadable, plain
from guard import ignored

COLAB = "application/vnd.google.colaboratory.intrinsic+json"  # beside a table's HTML
RESEMBLES = 1 / 3  # of our cells must be there, for a notebook to be a copy of ours


class HandedIn(IPyNbFile):
    """A notebook that somebody handed in."""

    def collect(self):
        self.skip_compare += (COLAB,)
        try:
            cells = notebooks.read_cells(self.path)
            lesson = lesson_of([plain(cell["source"]) for cell in cells])
            if lesson and not any(map(notebooks.exercise_of, cells)):
                return [*self.lesson_items(lesson)]
            return [*self.exercise_items(notebooks.read(self.path))]
        except Unreadable as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001  the others are graded all the same
            reason = f"The grader failed on it, which is a bug ({error!r:.200})."
        return [Ungraded.from_parent(self, name="can be graded", reason=reason)]

    def setup(self):
        self.setup_sanitize_files()  # no kernel: nothing of a lesson is run

    def exercise_items(self, handed_in):
        for number in handed_in.exercises:
            item = Exercise.from_parent(self, name=number, handed_in=handed_in)
            item.user_properties.append(("section", headings(number[0])[number]))
            if handed_in.added and number == handed_in.exercises[0]:
                item.user_properties.append(("note", f"{notebooks.NOT_RUN}: {handed_in.added}"))
            yield item

    def lesson_items(self, lesson):
        ours, theirs = code_cells(our_lessons()[lesson]), code_cells(self.notebook())
        pairs = pair([_source(cell) for cell in ours], [_source(cell) for cell in theirs])
        whole = IsOurs.from_parent(self, name="is ours", lesson=lesson)
        whole.user_properties.append(("section", "the whole notebook"))
        counts = [theirs[place].execution_count for place in pairs if place is not None]
        whole.in_order = all(isinstance(count, int) for count in counts)
        whole.in_order = whole.in_order and counts == sorted(set(counts))
        if added := len(theirs) - len(counts):
            whole.user_properties.append(("note", f"cells added, and not compared: {added}"))
        yield whole
        for number, (cell, place) in enumerate(zip(ours, pairs)):
            item = LessonCell.from_parent(
                self, name=f"Cell {number}", cell_num=number, cell=cell, options={"check": True}
            )
            item.theirs = None if place is None else theirs[place]
            item.user_properties.append(("section", section_of(our_lessons()[lesson], number)))
            yield item

    def notebook(self):
        try:
            return nbformat.reads(self.path.read_text(encoding="utf-8-sig"), as_version=4)
        except Exception as error:  # noqa: BLE001  whatever a student's file makes it raise
            raise Unreadable(f"It is no valid notebook: {error}") from None


# --- Exercises ----------------------------------------------------------------------------


class Exercise(pytest.Item):
    """One exercise. It passes when the answer is CORRECT."""

    def __init__(self, *, handed_in, **arguments):
        super().__init__(**arguments)
        self.handed_in = handed_in

    def runtest(self):
        seconds = self.config.option.exercise_seconds
        grade = notebooks.grade_exercise(self.handed_in, self.name, seconds)
        self.user_properties += asdict(grade).items()
        if grade.verdict != CORRECT:
            pytest.fail(f"{grade.exercise} {grade.verdict}: {grade.comment}", pytrace=False)

    def reportinfo(self):
        return self.path, 0, f"{self.path.name}: {self.name}"


class Ungraded(pytest.Item):
    """A file that could not be graded. It fails."""

    def __init__(self, *, reason, **arguments):
        super().__init__(**arguments)
        self.reason = reason

    def runtest(self):
        self.user_properties += asdict(notebooks.ungraded(self.path, self.reason)).items()
        pytest.fail(self.reason, pytrace=False)

    def reportinfo(self):
        return self.path, 0, f"{self.path.name}: {self.name}"


def properties(report):
    """What a test's report carries; {} for the other things that pytest keeps beside reports."""
    return dict(report.user_properties) if getattr(report, "when", None) == "call" else {}


def grade_of(report):
    """The `Grade` in a test's report, or None."""
    about = properties(report)
    if "verdict" not in about:
        return None
    return Grade(**{field.name: about[field.name] for field in fields(Grade)})


# What pytest calls each verdict: in its last line, while it runs, and with -v.
STATUS = {
    CORRECT: ("correct", ".", CORRECT),
    INCORRECT: ("incorrect", "x", INCORRECT),
    NOT_DONE: ("not done", "-", NOT_DONE),
    UNGRADED: ("not graded", "?", UNGRADED),
}


@cache
def headings(lesson):
    """{exercise: the heading above its answer cell} of our exercise notebook."""
    text = (OURS / f"{lesson}_exercises.ipynb").read_text(encoding="utf-8")
    notebook = nbformat.from_dict(json.loads(text))
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    numbers = [
        notebooks.exercise_of({**cell, "source": notebooks.text_of(cell.source)}) for cell in cells
    ]
    notebook = nbformat.reads(text, as_version=4)
    return {number: section_of(notebook, k) for k, number in enumerate(numbers) if number}


# --- Lessons ------------------------------------------------------------------------------


class IsOurs(pytest.Item):
    """The test that a lesson was run from top to bottom. The cells have tests of their own."""

    def __init__(self, *, lesson, **arguments):
        super().__init__(**arguments)
        self.lesson = lesson

    def runtest(self):
        if not self.in_order:
            pytest.fail(
                "not executed from top to bottom: Restart Kernel and Run All, then save",
                pytrace=False,
            )

    def reportinfo(self):
        return self.path, 0, f"{self.path.name}: is {self.lesson}"


class LessonCell(IPyNbCell):
    """A code cell of ours: it must be there, unchanged, with our outputs where we compare."""

    def runtest(self):
        if self.theirs is None:
            self.differs("the cell is missing", self.cell.source, "")
        ours, theirs = _source(self.cell), _source(self.theirs)
        if ours != theirs:
            self.differs("the cell was changed", ours, theirs)
        if not ignored(self.cell):
            ours, theirs = (  # copies, because ours are compared with many
                coalesce_streams(copy.deepcopy(cell.outputs)) for cell in (self.cell, self.theirs)
            )
            if not self.compare_outputs(theirs, ours):
                self.differs("the saved output is not ours", shown(ours), shown(theirs))

    def differs(self, what, ours, theirs):
        pairs = zip(ours.splitlines(), theirs.splitlines())
        first = (*ours.splitlines(), "")[0]
        lines = next((pair for pair in pairs if pair[0] != pair[1]), (first, what))
        self.user_properties += zip(("expected", "found"), lines)
        pytest.fail(f"{what}\nexpected: {lines[0]:.500}\nfound: {lines[1]:.500}", pytrace=False)

    def format_output_compare(self, key, left, right):
        """Not nbval's own: for long texts it takes too long."""

    def repr_failure(self, excinfo):
        return pytest.Item.repr_failure(self, excinfo)


def shown(outputs):
    """All text that outputs show."""
    data = [output.get("data", output) for output in outputs]
    kinds = ("text", "text/plain", "text/html", "text/latex", "text/markdown", "evalue")
    return "\n".join(str(parts[kind]) for parts in data for kind in kinds if kind in parts)


@cache
def our_lessons():
    """{name: notebook} of our notebooks without exercises."""
    paths = sorted(path for path in OURS.glob("*.ipynb") if not path.stem.endswith("_exercises"))
    return {path.name: nbformat.read(path, 4) for path in paths}


def lesson_of(sources):
    """The name of the lesson of ours of which enough cells are there, or None."""
    shares = {}
    for name, notebook in our_lessons().items():
        ours = {plain(cell.source) for cell in code_cells(notebook)}
        ours = {source for source in ours if not SET_UP.match(source)}
        shares[name] = len(ours & set(sources)) / len(ours)
    best = max(shares, key=shares.get)
    return best if shares[best] >= RESEMBLES else None


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _source(cell):
    """A cell's source, without the address that a set-up cell may hold."""
    return re.sub(r'^(REPOSITORY_URL = )"[^"]*"', r'\1""', plain(cell.source), flags=re.M)


def pair(ours, theirs):
    """For each source of ours the place of its copy in theirs, in order; None if it has none.

    A changed copy is found too, between the copies of its neighbours.
    """
    places = [None] * len(ours)
    matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind == "equal":
            places[i1:i2] = range(j1, j2)
        elif kind == "replace":
            for i in range(i1, i2):
                j = next((j for j in range(j1, j2) if _alike(ours[i], theirs[j])), None)
                if j is not None:
                    places[i], j1 = j, j + 1
    return places


def _alike(ours, theirs):
    matcher = difflib.SequenceMatcher(None, ours, theirs[: 3 * len(ours)])
    return matcher.quick_ratio() > 0.5 and matcher.ratio() > 0.5


def section_of(notebook, cell_number):
    """The last Markdown heading above the code cell with that number, counted from 0."""
    heading, seen = "", -1
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^#+ (.*)$", cell.source, re.MULTILINE) or [heading])[-1]
        elif cell.cell_type == "code":
            seen += 1
            if seen == cell_number:
                return heading
    return heading
