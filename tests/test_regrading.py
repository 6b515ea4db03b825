"""Regrading our own notebooks from end to end, with small ones in their place.

Each test writes notebooks into an empty folder beside copies of conftest.py and the guard,
runs pytest there in a process of its own, and looks at the outcomes and at what is printed.
What students hand in is tried by test_submissions.py.
"""

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from guard import WIDGET

pytest_plugins = "pytester"

ROOT = Path(__file__).parents[1]
COPIED = (
    "conftest.py",
    "pytest.ini",
    "tests/guard.py",
    "tests/handed_in.py",
    "tests/nbval_sanitize.cfg",
)


@pytest.fixture
def classroom(pytester, monkeypatch):
    """An empty folder with the files that regrading consists of; `grading` is imported."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in COPIED:
        (pytester.path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, pytester.path / name)
    return pytester


def printed(text):
    return new_output("stream", text=text)


def displayed(text):
    return new_output("display_data", {"text/plain": text})


def result(text, count):
    return new_output("execute_result", {"text/plain": text}, execution_count=count)


SUM = ("a = 2 + 3\nprint(a)", printed("5\n"))
PRODUCT = ("a * 7", result("35", 2))
RIGHT = ("# Sums", SUM, "Some text.\n\n## Products", PRODUCT)
STUDENTS = ("alice", "bob", "carol", "dave")


def hand_in(classroom, name, *cells):
    """Write a notebook and return its path.

    Args:
        cells: a text is a Markdown cell; a tuple is a code cell's source and its outputs.
    """
    written = []
    for cell in cells:
        if isinstance(cell, str):
            written.append(new_markdown_cell(cell))
        else:
            count = 1 + sum(other.cell_type == "code" for other in written)
            written.append(new_code_cell(cell[0], outputs=[*cell[1:]], execution_count=count))
    notebook = new_notebook(cells=written)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    path = classroom.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def change(path, old, new):
    """Replace a text in a notebook's file, wherever it stands."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def regrade(classroom, *arguments):
    """Run pytest on what was handed in.

    Returns:
        output: what it printed.
        tests: {(notebook, test): its testcase in the JUnit XML}.
        table: {row: (expected, found)} of the table of failed cells.
    """
    done = classroom.runpytest_subprocess("-v", "--junit-xml=class.xml", *arguments)
    output = done.stdout.str()
    tests = {}
    for case in ElementTree.parse(classroom.path / "class.xml").iter("testcase"):
        notebook = case.get("classname").removesuffix(".ipynb").replace(".", "/")
        assert (notebook, case.get("name")) not in tests
        tests[notebook, case.get("name")] = case
    _, _, rest = output.partition(" notebook cells that failed ")
    rows = re.findall(r"^(\S.*)\n    expected: (.*)\n    found:    (.*)$", rest, flags=re.MULTILINE)
    return output, tests, {name: (expected, found) for name, expected, found in rows}


def names(tests, notebook):
    return {name for path, name in tests if path == f"notebooks/{notebook}"}


def failures(tests):
    """{(notebook, test): what is said about it} of the tests that did not pass."""
    return {
        name: problem.text
        for name, case in tests.items()
        for problem in case
        if problem.tag in ("failure", "error", "skipped")
    }


def section(case):
    (value,) = (p.get("value") for p in case.iter("property") if p.get("name") == "section")
    return value


def test_what_passes_and_what_does_not(classroom):
    """One run: a right notebook, a changed digit, and four that try to pass without comparing."""
    hand_in(classroom, "notebooks/right.ipynb", *RIGHT)
    wrong = ('a = """\n- 1\n+ 2\n"""\n5 * 7', result("36", 2))
    hand_in(classroom, "notebooks/digit.ipynb", *RIGHT[:-1], wrong)
    path = hand_in(classroom, "notebooks/cleared.ipynb", "# Sums", SUM[:1], PRODUCT[:1])
    change(path, '"execution_count": 1', '"execution_count": null')
    change(path, '"execution_count": 2', '"execution_count": null')
    path = hand_in(classroom, "notebooks/order.ipynb", *RIGHT)
    change(path, '"execution_count": 2', '"execution_count": 3')
    change(path, f'"id": "{nbformat.read(path, 4).cells[0].id}",', "")
    slider = {WIDGET: {"model_id": "5f3c"}, "text/plain": "IntSlider(value=3)"}
    show = f"from IPython.display import display\ndisplay({slider}, raw=True)"
    hand_in(classroom, "notebooks/widget.ipynb", (show, new_output("display_data", slider)))
    hand_in(classroom, "notebooks/text.ipynb", "# Only text", "There was code here.")

    output, tests, table = regrade(classroom)

    assert "notebooks/right.ipynb::is compared PASSED" in output
    assert names(tests, "right") == {"is compared", "Cell 0", "Cell 1"}
    failed = failures(tests)
    assert set(failed) == {
        ("notebooks/digit", "Cell 1"),
        ("notebooks/cleared", "is compared"),
        ("notebooks/order", "is compared"),
        ("notebooks/widget", "is compared"),
        ("notebooks/text", "is compared"),
    }
    not_in_order = "not executed from top to bottom: Restart Kernel and Run All, then save"
    says_nothing = "compares 0 cells, promised 1"
    assert failed["notebooks/cleared", "is compared"] == f"{not_in_order}\n{says_nothing}"
    assert failed["notebooks/order", "is compared"] == f"a cell has no id\n{not_in_order}"
    assert table == {
        "notebooks/digit.ipynb  |  Products  |  Cell 1": ("36", "35"),
        "notebooks/cleared.ipynb  |  the whole notebook  |  is compared": ("", says_nothing),
        "notebooks/order.ipynb  |  the whole notebook  |  is compared": ("", not_in_order),
        "notebooks/widget.ipynb  |  the whole notebook  |  is compared": ("", says_nothing),
        "notebooks/text.ipynb  |  the whole notebook  |  is compared": ("", says_nothing),
    }


def test_on_two_workers(classroom):
    """Two notebooks with mistakes, one from Colab, one that is an empty file."""
    hand_in(
        classroom,
        "notebooks/alice.ipynb",
        "# Sums",
        SUM,
        "## Products",
        ("a * 7", result("34", 2)),
    )
    hand_in(
        classroom,
        "notebooks/bob.ipynb",
        "# Sums",
        ("print('  + 1')\nprint(2)", printed("  + 1\n3\n")),
        "## Products",
        ("display(35)\ndisplay(36)", displayed("34")),
        "## Quotients",
        ("1 / 0", printed("1\n")),
        "Without a heading.",
        ("5 * 7",),
    )
    path = hand_in(classroom, "notebooks/carol.ipynb", *RIGHT)
    handed_in = json.loads(path.read_text(encoding="utf-8"))
    handed_in["nbformat_minor"] = 0  # as Colab writes it, where cells have no ids
    for cell in handed_in["cells"]:
        del cell["id"]
    path.write_text(json.dumps(handed_in), encoding="utf-8")
    path = hand_in(classroom, "notebooks/dave.ipynb")
    path.write_bytes(b"")

    _, tests, table = regrade(classroom, "-n", "2", "notebooks")

    alice, bob, carol, dave = (f"notebooks/{name}" for name in STUDENTS)
    assert set(failures(tests)) == {
        (alice, "Cell 1"),
        *((bob, f"Cell {number}") for number in range(4)),
        (dave, "is compared"),
    }
    assert {name: section(case) for name, case in tests.items()} == {
        **{(student, "is compared"): "the whole notebook" for student in (alice, bob, carol, dave)},
        **{(student, "Cell 0"): "Sums" for student in (alice, bob, carol)},
        **{(student, "Cell 1"): "Products" for student in (alice, bob, carol)},
        **{(bob, f"Cell {number}"): "Quotients" for number in (2, 3)},
    }
    unexpected = "Unexpected output fields from running code: {'text/plain'}"
    unreadable = table.pop(f"{dave}.ipynb  |  the whole notebook  |  is compared")
    assert unreadable[1].startswith("the notebook cannot be read: ")
    assert table == {
        f"{alice}.ipynb  |  Products  |  Cell 1": ("34", "35"),
        f"{bob}.ipynb  |  Sums  |  Cell 0": ("3", "2"),
        f"{bob}.ipynb  |  Products  |  Cell 1": ("34", "35"),
        f"{bob}.ipynb  |  Quotients  |  Cell 2": ("", "ZeroDivisionError: division by zero"),
        f"{bob}.ipynb  |  Quotients  |  Cell 3": ("", unexpected),
    }


def test_mutated_digits(classroom):
    """The sanitize file hides addresses, so nbval does not see a digit changed in one."""
    hand_in(classroom, "notebooks/right.ipynb", *RIGHT)
    hand_in(
        classroom,
        "notebooks/address.ipynb",
        ("print(12)", printed("12\n")),
        ("print('at 0x7f00deadbeef')", printed("at 0x7f00deadbeef\n")),
    )

    output, tests, table = regrade(classroom, "--mutate")

    failed = failures(tests)
    assert set(failed) == {("notebooks/address", "Cell 1")}
    sentence = "nbval does not see 3 of 4 changed digits: 7 in 'at 0x7f00deadb'"
    assert sentence in failed["notebooks/address", "Cell 1"]
    (row,) = table.values()
    assert sentence in row[1]
    assert "notebooks/right.ipynb: nbval caught 3 of 3" in output
    assert "notebooks/address.ipynb: nbval caught 3 of 6" in output
