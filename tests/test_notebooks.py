"""What is promised of each notebook, and attempts to fool the guard.

The guard runs over every notebook (conftest.py); test_regrading.py tries the whole of it.
"""

import copy
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import get_sanitize_patterns

from guard import PROMISED, WIDGET, counts, problems, promise, says_something

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_promises_are_exact(path):
    """Not one compared cell can vanish, and not one more be ignored."""
    assert counts(nbformat.read(path, 4)) == PROMISED.get(path.stem)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_cells_have_ids(path):
    """The guard asks for ids from format 4.5 on; ours are of that format."""
    assert nbformat.read(path, 4).nbformat_minor >= 5


def test_nbval_reads_every_sanitize_rule():
    """nbval drops a rule in silence when a line of it is not just so."""
    text = (ROOT / "tests" / "nbval_sanitize.cfg").read_text()
    assert len(get_sanitize_patterns(text)) == text.count("regex:") == text.count("replace:") == 1


def widget(text, **data):
    """The output that a cell with a widget has, as a notebook stores it."""
    view = {"model_id": "5f3c", "version_major": 2, "version_minor": 0}
    return nbformat.v4.new_output("display_data", {WIDGET: view, "text/plain": text, **data})


@pytest.mark.parametrize(
    "output, proves",
    [
        (widget("FloatSlider(value=1.0, description='η')"), False),
        (widget("interactive(children=(FloatSlider(value=1.0),))"), False),
        (widget("Canvas(toolbar=1)", **{"text/html": "<img>", "image/png": "iVBO"}), False),
        (nbformat.v4.new_output("display_data", {"image/png": "iVBO"}), False),
        (nbformat.v4.new_output("display_data", {"text/plain": "<Figure size 1 with 1>"}), False),
        (nbformat.v4.new_output("stream", text=" \n"), False),
        (nbformat.v4.new_output("stream", text="E = 0.014\n"), True),
        (nbformat.v4.new_output("execute_result", {"text/html": "<td>1</td>"}), True),
    ],
)
def test_which_output_proves_something(output, proves):
    assert says_something(output) == proves


@pytest.mark.parametrize("beside", ["E = 0.014\n", None], ids=["text", "only a widget"])
def test_a_widget_is_not_counted_but_text_beside_it_is(beside):
    outputs = [widget("IntSlider(value=3)")]
    if beside:
        outputs.append(nbformat.v4.new_output("stream", text=beside))
    cell = nbformat.v4.new_code_cell("show()", outputs=outputs, execution_count=1)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    assert counts(notebook) == (1 if beside else 0, 0)
    found = problems(notebook, (1, 0))
    assert found == ([] if beside else ["compares 0 cells, promised 1"])


def first(notebook, condition=lambda cell: True):
    return next(c for c in notebook.cells if c.cell_type == "code" and c.outputs and condition(c))


def without_outputs(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []


def add_output(kind, text):
    def spoil(notebook):
        output = nbformat.v4.new_output("display_data", {kind: text})
        first(notebook).outputs.append(output)

    return spoil


def add_source(text):
    def spoil(notebook):
        first(notebook).source += text

    return spoil


def only_widgets(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.outputs:
            cell.outputs = [widget("IntSlider(value=3)")]


def without_content(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.outputs:
            cell.source, cell.outputs = "print()", [nbformat.v4.new_output("stream", text="\n")]


SPOILERS = {
    "without content": (without_content, "compares 0 cells"),
    "only widgets": (only_widgets, "compares 0 cells"),
    "without outputs": (without_outputs, "compares 0 cells"),
    "not run": (lambda n: first(n).update(execution_count=None), "top to bottom"),
    "out of order": (lambda n: first(n).update(execution_count=99), "top to bottom"),
    "error": (
        lambda n: first(n).outputs.append(
            nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])
        ),
        "an error in its output",
    ),
    "stderr": (
        lambda n: first(n).outputs.append(
            nbformat.v4.new_output("stream", name="stderr", text="!")
        ),
        "stderr",
    ),
    "kernel": (lambda n: n.metadata.kernelspec.update(name="ir"), "kernelspec"),
    "semicolon": (add_source("\nprint(1);  # quiet"), "ends with ';'"),
    "svg": (add_output("image/svg+xml", "<svg/>"), "SVG"),
    "path": (add_output("text/plain", "/home/alice/data"), "path of the machine"),
    "missing number": (add_output("text/html", "<td>1</td><td>nan</td>"), "a number is missing"),
    "large": (add_output("text/plain", "x" * 1_000_001), "over 1 MB"),
    "ignored": (add_source("\n# NBVAL_IGNORE_OUTPUT"), "ignores"),
    "tagged": (lambda n: first(n).metadata.update(tags=["nbval-ignore-output"]), "ignores"),
    "skipped": (add_source("\n# NBVAL_SKIP"), "is skipped"),
    "no id": (lambda n: first(n).pop("id"), "no id"),
}


@pytest.mark.parametrize("name", SPOILERS)
@pytest.mark.filterwarnings("ignore")
def test_the_guard_finds(name):
    path = NOTEBOOKS[0]
    notebook = copy.deepcopy(nbformat.read(path, 4))
    spoil, says = SPOILERS[name]
    spoil(notebook)
    assert any(says in problem for problem in problems(notebook, promise(path)))
