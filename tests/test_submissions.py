"""Grading from end to end: a class hands in notebooks, right ones, wrong ones, hostile ones.

One run of pytest grades them all. The tests look at what it printed and wrote.
"""

import csv
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from grading import grades, notebooks
from grading.exercises import CORRECT, INCORRECT, NOT_DONE, POINTS
from grading.notebooks import OURS, UNGRADED, Grade
from grading.sample_notebooks import notebook, solutions

ROOT = Path(__file__).parents[1]
COPIED = (
    "conftest.py",
    "pytest.ini",
    "tests/guard.py",
    "tests/handed_in.py",
    "tests/nbval_sanitize.cfg",
)
EXERCISES = [number for number in POINTS if number.startswith("1.")]


RIGHT = solutions("1")


def code_cell(source, **metadata):
    return {"cell_type": "code", "execution_count": 1, "metadata": metadata, "outputs": [],
            "source": source}  # fmt: skip


def as_in_colab(answers):
    """No ids, other metadata, lists of lines: what Colab saves."""
    made = notebook(answers)
    made.update(nbformat_minor=0, metadata={"colab": {"provenance": []}, "kernelspec": {}})
    for cell in made["cells"]:
        cell.pop("id", None)
        cell["metadata"] = {"id": "8Xk2"}
        cell["source"] = cell["source"].splitlines(keepends=True)
    return made


# --- Attempts to get points without an answer ----------------------------------------

# In a function: goes up to the check, and returns what it will compare with.
CLIMBS = """
    while frame:
        if "right" in frame.f_locals and "found" in frame.f_locals:
            return list(frame.f_locals["right"][len(frame.f_locals["found"])])
        frame = frame.f_back
"""

# {what is tried: (exercise, answer cell)}
ATTACKS = {
    "prints the verdict": ("1.2", "print('1.2 CORRECT')"),
    "raises the verdict": ("1.2", "def loss(o, t):\n    raise ValueError('\\n1.2 CORRECT\\n')"),
    "replaces verdict": (
        "1.2",
        "import grading.exercises as e\ne.verdict = lambda n, names: e.Verdict(n, 'CORRECT')",
    ),
    "replaces a check": (
        "1.2",
        "from grading import exercises\nloss = 1\n"
        "exercises._CHECKS['1.2'] = (('loss',), lambda x: None)",
    ),
    "replaces Mistake": (
        "1.2",
        "import sys\nsys.modules['grading.lesson1'].fits = lambda *a: True\n"
        "def loss(o, t):\n    return 1.0",
    ),
    "by way of the module's dictionary": (
        "1.2",
        "import numpy as np\nvars(np)['abs'] = lambda x: 0 * np.asarray(x)\n"
        "def loss(o, t):\n    return 1.0",
    ),
    "replaces np.abs": (
        "1.2",
        "import numpy as np\nnp.abs = lambda x: 0 * np.asarray(x)\ndef loss(o, t):\n    return 1.0",
    ),
    "replaces it while it is checked": (
        "1.2",
        "import numpy as np\ndef loss(o, t):\n    np.abs = lambda x: 0 * np.asarray(x)\n"
        "    return 1.0",
    ),
    "under another name": (
        "1.2",
        "import numpy as np\nlibrary = np\ndef loss(o, t):\n"
        "    library.abs = lambda x: 0 * np.asarray(x)\n    return 1.0",
    ),
    "replaces the code of a check": (
        "1.4",
        "import gc\nfunction = type(lambda: 0)\n"
        "for thing in gc.get_objects():\n"
        "    if type(thing) is function and thing.__name__ == 'compare_on':\n"
        "        thing.__code__ = (lambda *a: None).__code__\n"
        "def backward(i, t, w):\n    return w",
    ),
    "looks at the frames": (
        "1.4",
        f"import sys\ndef backward(i, t, w):\n    frame = sys._getframe()\n{CLIMBS}",
    ),
    "looks at the frames of an error": (
        "1.4",
        "def backward(i, t, w):\n    try:\n        1 / 0\n    except ZeroDivisionError as error:\n"
        f"        frame = error.__traceback__.tb_frame\n{CLIMBS}",
    ),
    "looks at the frames of a generator": (
        "1.4",
        "def climb(box):\n    yield 1\n    frame = box[0].gi_frame\n"
        + CLIMBS.replace("return", "yield")
        + "\ndef backward(i, t, w):\n    box = []\n    box.append(climb(box))\n"
        "    next(box[0])\n    return next(box[0])",
    ),
    "equals everything": (
        "1.2",
        "class Any:\n    def __eq__(self, other):\n        return True\n"
        "    def __float__(self):\n        return 1.0\n"
        "    def __array__(self, *a, **k):\n        return 1.0\n"
        "def loss(o, t):\n    return Any()",
    ),
    "is a tensor that answers for itself": (
        "1.2",
        "import torch\nclass Any(torch.Tensor):\n    @classmethod\n"
        "    def __torch_function__(cls, *a, **k):\n        return torch.tensor(True)\n"
        "def loss(o, t):\n    return Any([1.0])",
    ),
    "reads the solutions": (
        "1.2",
        "import figures\nfrom pathlib import Path\n"
        "text = (Path(figures.__file__).parent / 'solutions' / '1_exercises.py').read_text()\n"
        "exec(text)",
    ),
    "forges the message and ends": (
        "1.2",
        "import json, os, struct\n"
        "text = json.dumps({'word': 'CORRECT', 'comment': '', 'changed': []}).encode()\n"
        "for number in range(3, 64):\n"
        "    try:\n        os.write(number, struct.pack('!i', len(text)) + text)\n"
        "    except OSError:\n        pass\n"
        "os._exit(0)",
    ),
    "changes the built-in functions": (
        "1.2",
        "__builtins__['float'] = lambda x: 0\ndef loss(o, t):\n    return 1.0",
    ),
    "takes the lesson's own code": (
        "1.4",
        "import backprop as bp\ndef backward(i, t, w):\n    return bp.autograd_gradients(i, t, w)",
    ),
    "calls the right one of A, B, C, D": ("1.4", "def backward(i, t, w):\n    return B(i, t, w)"),
    "asks for the solution of 1.6": (
        "1.6",
        "answer = handouts.solution()\nright = [k for k in answer if not answer[k]][0]\n"
        "mistakes = {k: v for k, v in answer.items() if v}",
    ),
    "imports while it is checked": (
        "1.4",
        "def backward(i, t, w):\n    return __import__('backprop').autograd_gradients(i, t, w)",
    ),
    "runs a text": ("1.2", "eval('exec(\"import os\")')"),
    "runs a command": ("1.2", "!cp /dev/null answer\ndef loss(o, t):\n    return 1.0"),
    "runs a file": ("1.2", "%run answer.py\ndef loss(o, t):\n    return 1.0"),
    "starts a thread": (
        "1.2",
        "import threading\nthreading.Thread(target=print, daemon=True).start()\n"
        "def loss(o, t):\n    return 1.0",
    ),
    "waits for the end": (
        "1.2",
        "import atexit\natexit.register(print)\ndef loss(o, t):\n    pass",
    ),
    "changes what it is given": (
        "1.4",
        "def backward(i, t, w):\n    for k in range(8):\n        w[k] = 0.0\n    return w",
    ),
    "copied numbers": (
        "1.4",
        "def backward(i, t, w):\n    return [0.000317, 0.000635, 0.000352, 0.000703, 0.01288, "
        "0.01298, 0.01541, 0.01552]",
    ),
}


def forged_outputs():
    """Every check cell shows CORRECT, and nothing was answered."""
    made = notebook()
    for cell in made["cells"]:
        if "check" in cell["metadata"].get("tags", ()):
            text = f"{cell['metadata']['exercise']} CORRECT\n"
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": text}]
    return made


def changed_checks():
    made = notebook()
    for cell in made["cells"]:
        if "check" in cell["metadata"].get("tags", ()):
            cell["source"] = f"print('{cell['metadata']['exercise']} CORRECT')"
    return made


def deleted_cells():
    made = notebook()
    made["cells"] = [cell for cell in made["cells"] if not cell["metadata"].get("exercise")]
    return made


def one_answer_for_all():
    """A right answer that claims to be that of every exercise."""
    cells = [code_cell(f"# Exercise {n}\n{RIGHT['1.2']}") for n in (*EXERCISES, "1.9", "9.1")]
    return {"nbformat": 4, "nbformat_minor": 0, "metadata": {}, "cells": cells}


def another_lesson():
    return json.loads((OURS / "1_backprop.ipynb").read_text(encoding="utf-8"))


def prints_only():
    """The notebook by which an earlier version was fooled: 26 cells print(k)."""
    cells = [
        code_cell(f"print({k})") | {"execution_count": k + 1, "id": f"cell{k}", "outputs": [
            {"output_type": "stream", "name": "stdout", "text": f"{k}\n"}]}
        for k in range(26)
    ]  # fmt: skip
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells}


def forges_another_row():
    text = 'x\\n\\"bob\\",\\"1_exercises.ipynb\\",1.2,CORRECT,5,5,'
    return notebook({"1.2": f'raise ValueError("{text}")'})


NOTEBOOK_ATTACKS = {
    "forged outputs": forged_outputs,
    "changed check cells": changed_checks,
    "deleted cells": deleted_cells,
    "one answer for all": one_answer_for_all,
    "another lesson's notebook": another_lesson,
    "prints only": prints_only,
    "forges another row": forges_another_row,
}
# What they have a true answer to, if anything.
EARNED = {"one answer for all": {"1.2"}}


# --- The class -------------------------------------------------------------------------


def hand_in(folder, name, made):
    path = folder / "submissions" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(made if isinstance(made, str) else json.dumps(made), encoding="utf-8")


def changed_lesson():
    """Lesson 1 with a changed cell, a changed output, a missing and an added cell."""
    made = another_lesson()
    code = [cell for cell in made["cells"] if cell["cell_type"] == "code"]
    code[5]["source"] = "seen = 1\n" + "".join(code[5]["source"])
    printed = next(c for c in code[6:] if c["outputs"] and "text" in c["outputs"][0])
    printed["outputs"][0]["text"] = "3.1416\n"
    made["cells"].remove(code[-1])
    made["cells"].insert(3, code_cell("1 + 1") | {"execution_count": 0, "id": "added"})
    return made, code.index(printed), len(code) - 1


def not_in_order():
    made = another_lesson()
    code = [cell for cell in made["cells"] if cell["cell_type"] == "code"]
    code[3]["execution_count"] = 99
    return made


def with_helper(source):
    """An answer to 1.2 that needs a function of the answer to 1.1."""
    uses = RIGHT["1.2"].replace("sum(", "total(")
    return notebook({"1.1": f"{source}\ndef total(x):\n    return sum(x)", "1.2": uses})


def with_added_cell():
    made = notebook({"1.2": "def loss(outputs, targets):\n    return halves(outputs, targets)"})
    made["cells"].insert(2, code_cell(RIGHT["1.2"].replace("loss", "halves")))
    made["cells"].insert(3, code_cell("import os\nos._exit(1)"))
    return made


def answered_twice(first, last):
    made = notebook({"1.2": first})
    place = next(k for k, cell in enumerate(made["cells"]) if "# Exercise 1.3\n" in cell["source"])
    made["cells"].insert(place, code_cell(last, tags=["answer"], exercise="1.2"))
    return made


ENDLESS = "while True:\n    pass"
FLOOD = "while True:\n    print('x' * 10000)"
HUNGER = "hungry = []\nwhile True:\n    hungry.append(bytes(10**9))"
BAD = "1 / 0"


def write_class(folder):
    """Hand in everything; what each test expects stands there."""
    hand_in(folder, "ada/1_exercises.ipynb", notebook(RIGHT))
    hand_in(folder, "ben/1_exercises.ipynb", notebook())
    hand_in(folder, "carol d/Copy of 1_exercises.ipynb", as_in_colab(RIGHT))
    hand_in(folder, "dan/1_exercises (2).ipynb", notebook({"1.1": RIGHT["1.1"], "1.2": "x = 3"}))
    dies = {
        "1.1": "import os\nos._exit(0)",
        "1.2": ENDLESS,
        "1.3": FLOOD,
        "1.4": HUNGER,
        "1.5": BAD,
    }
    hand_in(folder, "eve/1_exercises.ipynb", notebook(RIGHT | dies))
    hand_in(folder, "broken/1_exercises.ipynb", "{")
    hand_in(folder, "empty/1_exercises.ipynb", "")
    hand_in(folder, "list/1_exercises.ipynb", "[1, 2]")
    hand_in(folder, "deep/1_exercises.ipynb", "[" * 100_000)
    hand_in(folder, "lesson/renamed.ipynb", another_lesson())
    hand_in(folder, "changed/1_backprop.ipynb", changed_lesson()[0])
    hand_in(folder, "order/1_backprop.ipynb", not_in_order())
    hand_in(folder, "helper/1_exercises.ipynb", with_helper(""))
    hand_in(folder, "looking/1_exercises.ipynb", with_helper("import sys"))
    hand_in(folder, "added/1_exercises.ipynb", with_added_cell())
    hand_in(folder, "twice/1_exercises.ipynb", answered_twice(BAD, RIGHT["1.2"]))
    hand_in(folder, "twice wrong/1_exercises.ipynb", answered_twice(RIGHT["1.2"], BAD))
    stub = next(c for c in notebook()["cells"] if c["metadata"].get("exercise") == "1.2")["source"]
    hand_in(folder, "stub last/1_exercises.ipynb", answered_twice(RIGHT["1.2"], stub))
    hand_in(folder, "=1+1/1_exercises.ipynb", notebook({"1.2": BAD}))
    hand_in(folder, "ada/.ipynb_checkpoints/1_exercises-checkpoint.ipynb", "{")
    hand_in(folder, "zoe/answers.txt", "I did it on paper.")
    hand_in(folder, "programs/test_mine.py", "def test_mine():\n    pass")
    hand_in(folder, "programs/__init__.py", "open('was_here', 'w')")
    hand_in(folder, "programs/1_exercises.ipynb", notebook())
    for name, (number, source) in ATTACKS.items():
        hand_in(folder, f"{name}/1_exercises.ipynb", notebook({number: source}))
    for name, make in NOTEBOOK_ATTACKS.items():
        hand_in(folder, f"{name}/1_exercises.ipynb", make())


def classroom(folder):
    """Put what grading consists of into an empty folder."""
    for name in COPIED:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def run(folder, *arguments):
    """Run pytest there, as an instructor does."""
    command = [sys.executable, "-m", "pytest", "--nbval", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    return subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, encoding="utf-8"
    )


class Graded:
    """What came out of the one run that grades the class."""

    def __init__(self, folder):
        classroom(folder)
        write_class(folder)
        arguments = ("-n", "2", "submissions", "--exercise-seconds", "5")
        outputs = ("--grades", "grades.csv", "--junit-xml", "class.xml")
        self.folder = folder
        self.done = run(folder, *arguments, *outputs)
        self.output = self.done.stdout
        with open(folder / "grades.csv", encoding="utf-8-sig", newline="") as file:
            self.rows = [*csv.DictReader(file)]
        self.cases = {
            (case.get("classname"), case.get("name")): case
            for case in ElementTree.parse(folder / "class.xml").iter("testcase")
        }

    def of(self, submission):
        """{exercise: its row}."""
        rows = [row for row in self.rows if row["submission"] == submission]
        assert len({row["exercise"] for row in rows}) == len(rows)
        return {row["exercise"]: row for row in rows}

    def verdicts(self, submission):
        return {number: row["verdict"] for number, row in self.of(submission).items()}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    return Graded(tmp_path_factory.mktemp("class"))


def test_right_and_untouched(graded):
    assert graded.verdicts("ada") == dict.fromkeys(EXERCISES, CORRECT)
    assert {row["comment"] for row in graded.of("ada").values()} == {""}
    assert sum(int(row["points"]) for row in graded.of("ada").values()) == 55
    assert graded.verdicts("ben") == dict.fromkeys(EXERCISES, NOT_DONE)
    assert {row["points"] for row in graded.of("ben").values()} == {"0"}


def test_what_colab_saves_is_graded_under_any_name(graded):
    assert graded.verdicts("carol d") == dict.fromkeys(EXERCISES, CORRECT)
    some = {"1.1": CORRECT, "1.2": INCORRECT}
    assert graded.verdicts("dan") == dict.fromkeys(EXERCISES, NOT_DONE) | some
    assert "loss is not defined" in graded.of("dan")["1.2"]["comment"]


def test_an_answer_costs_itself_only(graded):
    """os._exit, an endless loop, a flood of output, hunger, an error; then three right answers."""
    rows = graded.of("eve")
    assert [rows[number]["verdict"] for number in EXERCISES] == 5 * [INCORRECT] + 3 * [CORRECT]
    assert rows["1.1"]["comment"] == (
        "LOOK (imports os, uses _exit): it ended its process before it was checked"
    )
    assert rows["1.2"]["comment"] == rows["1.3"]["comment"] == "it took longer than 5 s"
    assert "MemoryError" in rows["1.4"]["comment"] or "SIGKILL" in rows["1.4"]["comment"]
    assert "the answer cell stops with ZeroDivisionError" in rows["1.5"]["comment"]


@pytest.mark.parametrize(
    "name", ["broken", "empty", "list", "deep", "deleted cells", "prints only"]
)
def test_a_file_that_cannot_be_graded_has_one_clear_line(graded, name):
    (row,) = graded.of(name).values()
    assert (row["verdict"], row["points"]) == (UNGRADED, "0")
    assert re.fullmatch(r"It (is no|has no) .*\.", row["comment"])
    assert f"{name}/1_exercises.ipynb  {UNGRADED}: {row['comment']}" in graded.output


def test_exit_status_and_what_is_counted(graded):
    assert graded.done.returncode == 2
    last = graded.output.splitlines()[-1]
    assert all(word in last for word in (" correct, ", " incorrect, ", " not done, "))
    assert "6 not graded" in last
    assert not (graded.folder / "was_here").exists() and "test_mine" not in graded.output
    assert not any(name.endswith("checkpoint") for _, name in graded.cases)
    assert f"\n{Path('submissions', 'zoe')}: no notebook\n" in graded.output


def test_lessons_are_compared_with_ours_and_not_run(graded):
    _, printed, missing = changed_lesson()
    failed = {
        (folder, name)
        for (folder, name), case in graded.cases.items()
        if folder.startswith("submissions.") and case.find("failure") is not None
        if name.startswith("Cell") or name == "is ours"
    }
    assert failed == {
        ("submissions.changed.1_backprop.ipynb", "Cell 5"),
        ("submissions.changed.1_backprop.ipynb", f"Cell {printed}"),
        ("submissions.changed.1_backprop.ipynb", f"Cell {missing}"),
        ("submissions.order.1_backprop.ipynb", "is ours"),
    }
    assert "    found:    seen = 1\n" in graded.output
    assert "    found:    3.1416\n" in graded.output
    assert "    found:    the cell is missing\n" in graded.output
    assert "submissions/changed/1_backprop.ipynb: cells added, and not compared: 1" in graded.output
    assert not graded.of("lesson") and not graded.of("changed")


def test_a_helper_in_another_answer_cell_is_run_too(graded):
    assert graded.of("helper")["1.2"]["verdict"] == CORRECT
    assert graded.of("helper")["1.2"]["comment"] == ""
    assert graded.of("looking")["1.2"]["comment"] == "LOOK (imports sys)"


def test_added_cells_are_not_run(graded):
    row = graded.of("added")["1.2"]
    assert row["verdict"] == INCORRECT and "name 'halves' is not defined" in row["comment"]
    assert row["comment"].endswith(" (cells added or changed, and not run: 2)")
    assert "added/1_exercises.ipynb: cells added or changed, and not run: 2" in graded.output


def test_several_answer_cells_are_run_in_order(graded):
    verdicts = {name: graded.of(name)["1.2"]["verdict"] for name in ("twice", "twice wrong")}
    assert verdicts == {"twice": CORRECT, "twice wrong": INCORRECT}
    assert graded.of("twice")["1.2"]["comment"] == "2 answer cells, run in order"
    assert graded.of("stub last")["1.2"]["verdict"] == CORRECT


def test_junit_has_a_case_an_exercise(graded):
    case = graded.cases["submissions.ada.1_exercises.ipynb", "1.4"]
    properties = {p.get("name"): p.get("value") for p in case.iter("property")}
    assert properties["verdict"] == CORRECT and properties["points"] == "10"
    assert properties["section"].startswith("1.4")


def test_nothing_in_the_csv_is_run_by_a_spreadsheet(graded):
    assert (graded.folder / "grades.csv").read_bytes().startswith(b"\xef\xbb\xbfsubmission,")
    cells = [cell for row in graded.rows for cell in row.values()]
    assert "'=1+1" in cells and not any(cell[:1] in ("=", "+", "-", "@") for cell in cells if cell)
    assert len(graded.of("bob")) == 0  # whom "forges another row" would have added


def test_the_table_and_two_lines_about_the_class(graded):
    assert re.search(r"^ada( +\d+)+ +55$", graded.output, re.MULTILINE)
    assert re.search(r"^ben( +–)+ +0$", graded.output, re.MULTILINE)
    assert re.search(r"^looking .*5! .*$", graded.output, re.MULTILINE)
    assert re.search("^most frequent mistakes: 1.[1-8] .*", graded.output, re.MULTILINE)
    assert re.search(r"^seconds: (.*; )?eve \d+", graded.output, re.MULTILINE)


@pytest.mark.parametrize("name", [*ATTACKS, *NOTEBOOK_ATTACKS])
def test_no_points_without_an_answer(graded, name):
    """Each stands in the grades; what is CORRECT by it is marked for somebody to look at."""
    if name == "another lesson's notebook":
        case = graded.cases[f"submissions.{name}.1_exercises.ipynb", "is ours"]
        assert case.find("failure") is None  # a copy of lesson 1: that earns nothing
        assert not graded.of(name)
        return
    rows = graded.of(name)
    assert rows
    for number, row in rows.items():
        earned = row["verdict"] == CORRECT and number not in EARNED.get(name, ())
        assert not earned or row["comment"].startswith("LOOK"), row


def test_most_attacks_would_work_unmarked(graded):
    """The test above would prove little if no attack reached what it is after."""
    assert sum(graded.of(name)[n]["verdict"] == CORRECT for name, (n, _) in ATTACKS.items()) >= 10


# --- Other runs ---------------------------------------------------------------------------


def test_exit_status_is_0_only_if_all_is_correct(tmp_path):
    folder = classroom(tmp_path)
    hand_in(folder, "ada/1_exercises.ipynb", notebook(RIGHT))
    hand_in(folder, "ben/1_exercises.ipynb", notebook())
    assert run(folder, "submissions/ada", "-k", "1.1").returncode == 0
    assert run(folder, "submissions", "-k", "1.1").returncode == 1


@pytest.mark.parametrize("name", ["no/such/folder.csv", "grades.xlsx", "submissions"])
def test_a_wrong_path_for_the_grades_is_refused_before_the_work(tmp_path, name):
    folder = classroom(tmp_path)
    hand_in(folder, "eve/1_exercises.ipynb", notebook({"1.1": "open('was_here', 'w')"}))
    done = run(folder, "submissions", "--grades", name)
    assert done.returncode == 4 and "--grades: " in done.stderr
    assert "collected" not in done.stdout


def test_a_handed_in_conftest_is_not_run(tmp_path):
    folder = classroom(tmp_path)
    hand_in(folder, "eve/conftest.py", "open('was_here', 'w')")
    done = run(folder, "submissions")
    assert done.returncode == 1 and "conftest.py would run as a part of pytest" in done.stderr
    assert not (folder / "was_here").exists()


def test_the_solutions_earn_all_points(tmp_path):
    """Lesson 1's are among the class; here is lesson 2, whose network is trained."""
    hand_in(tmp_path, "ada/2_exercises.ipynb", notebook(solutions("2"), lesson="2"))
    path = tmp_path / "submissions" / "ada" / "2_exercises.ipynb"
    found = notebooks.grade(path, seconds=600)  # the computer may be busy
    assert [(g.exercise, g.verdict, g.comment) for g in found] == [
        (number, CORRECT, "") for number in POINTS if number.startswith("2.")
    ]
    assert sum(grade.points for grade in found) == 100 - 55 and sum(POINTS.values()) == 100


def points_in_github_classroom(folder):
    """{exercise: (whether its step finds it right in grades.csv, its points)}"""
    workflow = (ROOT / ".github" / "workflows" / "classroom.yml").read_text(encoding="utf-8")
    step = r"test-name: Exercise (\S+)\n +command: (.*)\n +max-score: (\d+)\n"
    found = {}
    for number, command, points in re.findall(step, workflow):
        done = subprocess.run(command, shell=True, cwd=folder, check=False)
        found[number] = (done.returncode == 0, int(points))
    return found


@pytest.mark.skipif(not shutil.which("grep"), reason="the steps use grep")
def test_points_in_github_classroom(tmp_path):
    """All for the solutions, none for the stubs, and none for a row that a comment forges."""
    forged = "x student,1_exercises.ipynb,1.2,CORRECT,5,5,\n"
    for verdict, comment in ((CORRECT, ""), (NOT_DONE, ""), (INCORRECT, forged)):
        found = [made_up("student", number, verdict, comment) for number in POINTS]
        found = [
            dataclasses.replace(grade, notebook=f"{grade.exercise[0]}_exercises.ipynb")
            for grade in found
        ]
        grades.write_csv(found, tmp_path / "grades.csv")
        assert points_in_github_classroom(tmp_path) == {
            number: (verdict == CORRECT, points) for number, points in POINTS.items()
        }


# --- Parts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path, name",
    [
        ("submissions/ada/1.ipynb", "ada"),
        ("submissions/ada/week 1/1.ipynb", "ada"),
        ("submissions/ada_1.ipynb", "ada_1"),
        ("elsewhere/ada/1.ipynb", "ada"),
    ],
)
def test_the_name_of_a_submission(path, name):
    assert notebooks.submission_of(Path("/class") / path) == name


def made_up(submission, exercise="1.4", verdict=INCORRECT, comment="", **more):
    points = POINTS.get(exercise, 0) if verdict == CORRECT else 0
    return Grade(submission, "1.ipynb", exercise, verdict, points, 10, comment, **more)


def test_mistakes_that_differ_in_numbers_are_counted_together():
    found = [
        made_up("a", comment="h1 should be 0.5, found -1.5e-05 in forward((1, 2))"),
        made_up("b", comment="LOOK (imports os, uses x): h1 should be 12, found 3 in forward(2)"),
        made_up("c", comment="∂E/∂w3: a_h1 in place of a_h2. It should be 3"),
        made_up("d", comment="∂E/∂w3: a_h1 in place of a_h2. It should be 4"),
        made_up("e", comment="∂E/∂w3: a_h1 in place of a_h2. It should be 4"),
        made_up("f", verdict=CORRECT, comment="2 answer cells"),
    ]
    assert grades.most_frequent_mistakes(found) == (
        "most frequent mistakes: 1.4 ∂E/∂w3: a_h1 in place of a_h2 (3); 1.4 h1 should be … (2)"
    )
    assert grades.most_frequent_mistakes(found[-1:]) == "most frequent mistakes: none"


def test_two_notebooks_of_one_student_have_two_rows():
    found = [made_up("ada", verdict=CORRECT), made_up("ada", verdict=NOT_DONE)]
    first, second = grades.table(found)[1:3]
    assert re.fullmatch(r"ada +10 +10", first) and re.fullmatch(r"ada, 1.ipynb +– +0", second)


def test_exit_status():
    right, wrong = made_up("a", verdict=CORRECT), made_up("a")
    assert [grades.exit_status(found) for found in ([], [right], [right, wrong])] == [0, 0, 1]
    assert grades.exit_status([right, made_up("a", "", UNGRADED)]) == 2


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_formula_in_the_csv(tmp_path, start):
    path = tmp_path / "grades.csv"
    grades.write_csv([made_up(f"{start}1+1", comment=f"{start}cmd|' /C calc'!A0")], path)
    with open(path, encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["submission"] == f"'{start}1+1" and row["comment"].startswith(f"'{start}cmd")
