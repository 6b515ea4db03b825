"""A guard: no notebook may pass its regrading without being compared."""

import copy
import re
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import get_sanitize_patterns

ROOT = Path(__file__).parents[1]
NOTEBOOKS = [p for p in sorted(ROOT.glob("notebooks/**/*.ipynb")) if ".ipynb_checkpoints" not in p.parts]

# What each notebook promises: cells whose output nbval compares, and cells whose output
# differs from machine to machine (trained weights, seconds) and is ignored.
PROMISED = {"1_backprop.ipynb": (32, 0), "2_mnist.ipynb": (24, 6)}

NOT_COMPARED = {"image/png", "image/jpeg"}  # by nbval
MACHINE = re.compile(r"/home/\w|/Users/\w|/root/|/tmp/|/work/|[A-Z]:\\\\?Users|site-packages")


def compared(output):
    """The texts of an output that nbval compares."""
    data = output.get("data", output)
    kinds = set(data) - NOT_COMPARED - {"output_type", "name", "metadata", "execution_count"}
    return [str(data[kind]) for kind in kinds]


def ignored(cell):
    marks = ("NBVAL_IGNORE_OUTPUT", "NBVAL_SKIP", "NBVAL_RAISES_EXCEPTION", "PYTEST_VALIDATE")
    tags = {"nbval-ignore-output", "nbval-skip", "nbval-raises-exception", "raises-exception"}
    return any(mark in cell.source for mark in marks) or bool(tags & set(cell.metadata.get("tags", ())))


def problems(notebook, promised):
    """Say in words how a notebook could pass without comparing, or does not travel."""
    found = []
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        found.append(f"not valid: {error.message}")
    if any("id" not in cell for cell in notebook.cells):
        found.append("a cell has no id")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("kernelspec is not python3")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("not executed from top to bottom")
    for number, cell in enumerate(code, start=1):
        lines = [line for line in cell.source.splitlines() if line.split("#")[0].strip()]
        if lines and lines[-1].split("#")[0].rstrip().endswith(";"):
            found.append(f"[{number}] ends with ';': nbval would see output there")
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"[{number}] has an error in its output")
            if output.get("name") == "stderr":
                found.append(f"[{number}] wrote to stderr")
            if "image/svg+xml" in output.get("data", {}):
                found.append(f"[{number}] has SVG output: compared to the letter, never equal")
            if MACHINE.search(" ".join(compared(output))):
                found.append(f"[{number}] shows a path of the machine that ran it")
            if len(str(output)) > 1_000_000:
                found.append(f"[{number}] has an output over 1 MB")
        if "NBVAL_SKIP" in cell.source or "nbval-skip" in cell.metadata.get("tags", ()):
            found.append(f"[{number}] is skipped")
    checked = [cell for cell in code if not ignored(cell) and any(map(compared, cell.outputs))]
    counts = len(checked), sum(map(ignored, code))
    if counts[0] < promised[0]:
        found.append(f"compares {counts[0]} cells, promised {promised[0]}")
    if counts[1] > promised[1]:
        found.append(f"ignores {counts[1]} cells, promised {promised[1]}")
    return found


def test_every_notebook_has_promised():
    assert [path.name for path in NOTEBOOKS] == list(PROMISED)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook(path):
    assert problems(nbformat.read(path, 4), PROMISED[path.name]) == []


def test_nbval_reads_every_sanitize_rule():
    """nbval drops a rule in silence when a line of it is not just so."""
    text = (ROOT / "tests" / "nbval_sanitize.cfg").read_text()
    assert len(get_sanitize_patterns(text)) == text.count("regex:") == text.count("replace:") == 1


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


SPOILERS = {
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
        lambda n: first(n).outputs.append(nbformat.v4.new_output("stream", name="stderr", text="!")),
        "stderr",
    ),
    "kernel": (lambda n: n.metadata.kernelspec.update(name="ir"), "kernelspec"),
    "semicolon": (add_source("\nprint(1);  # quiet"), "ends with ';'"),
    "svg": (add_output("image/svg+xml", "<svg/>"), "SVG"),
    "path": (add_output("text/plain", "/home/alice/data"), "path of the machine"),
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
    assert any(says in problem for problem in problems(notebook, PROMISED[path.name]))
