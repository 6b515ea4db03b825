"""What must be true of a notebook of ours, so that it cannot pass without being compared.

conftest.py adds the test "is compared" to every notebook in notebooks/; test_notebooks.py
tries to fool it.
"""

import re

import nbformat

# What each notebook promises: how many cells have output that nbval compares, and how many
# have output that differs from machine to machine (trained weights, seconds) and is ignored.
PROMISED = {
    "1_backprop": (37, 0),
    "1_exercises": (11, 0),
    "2_exercises": (12, 0),
    "2_mnist": (45, 8),
    "3_compare": (31, 0),
    "4_distil": (28, 4),
    "grade": (17, 0),
}

WIDGET = "application/vnd.jupyter.widget-view+json"
NOT_COMPARED = {"image/png", "image/jpeg", WIDGET}  # by nbval
MACHINE = re.compile(r"/home/\w|/Users/\w|/root/|/tmp/|[A-Z]:\\\\?Users|site-packages")


def promise(path):
    """(compared cells, ignored cells) of a notebook of ours; (1, 0) if nothing is promised."""
    return PROMISED.get(path.stem, (1, 0))


def compared(output):
    """The texts of an output that nbval compares."""
    data = output.get("data", output)
    kinds = set(data) - NOT_COMPARED - {"output_type", "name", "metadata", "execution_count"}
    return [str(data[kind]) for kind in kinds]


def says_something(output):
    """Whether comparing an output proves anything.

    An empty line or a figure's size does not. Nor does a widget: nbval compares only the
    text/plain beside it, such as "FloatSlider(value=1.0)". That shows how the widget was
    made, and nothing of what is drawn in it when it is moved.
    """
    if WIDGET in output.get("data", {}):
        return False
    return any(text.strip() and not text.startswith("<Figure") for text in compared(output))


def ignored(cell):
    """Whether a mark or a tag keeps nbval from comparing a cell."""
    marks = ("NBVAL_IGNORE_OUTPUT", "NBVAL_SKIP", "NBVAL_RAISES_EXCEPTION", "PYTEST_VALIDATE")
    tags = {"nbval-ignore-output", "nbval-skip", "nbval-raises-exception", "raises-exception"}
    tags &= set(cell.metadata.get("tags", ()))
    return any(mark in cell.source for mark in marks) or bool(tags)


def counts(notebook):
    """How many cells of a notebook are compared, and how many are ignored."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    checked = [
        cell for cell in code if not ignored(cell) and any(map(says_something, cell.outputs))
    ]
    return len(checked), sum(map(ignored, code))


def problems(notebook, promised):
    """Say in words how a notebook could pass without comparing, or fail on another computer."""
    found = []
    # Format 4.5 introduced ids. Colab still writes 4.0. Validating adds what is missing.
    if notebook.nbformat_minor >= 5 and any("id" not in cell for cell in notebook.cells):
        found.append("a cell has no id")
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        found.append(f"not valid: {error.message}")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("kernelspec is not python3")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("not executed from top to bottom: Restart Kernel and Run All, then save")
    for number, cell in enumerate(code, start=1):
        found += [f"[{number}] {problem}" for problem in _cell_problems(cell)]
    checked, unchecked = counts(notebook)
    if checked < promised[0]:
        found.append(f"compares {checked} cells, promised {promised[0]}")
    if unchecked > promised[1]:
        found.append(f"ignores {unchecked} cells, promised {promised[1]}")
    return found


def _cell_problems(cell):
    lines = [line.split("#")[0].rstrip() for line in cell.source.splitlines()]
    if "".join(lines).endswith(";"):
        yield "ends with ';': nbval would see output there"
    if "NBVAL_SKIP" in cell.source or "nbval-skip" in cell.metadata.get("tags", ()):
        yield "is skipped"
    for output in cell.outputs:
        if output.output_type == "error":
            yield "has an error in its output"
        if output.get("name") == "stderr":
            yield "wrote to stderr"
        if "image/svg+xml" in output.get("data", {}):
            yield "has SVG output: compared to the letter, never equal"
        if MACHINE.search(" ".join(compared(output))):
            yield "shows a path of the machine that ran it"
        if ">nan<" in " ".join(compared(output)):
            yield "has a table with nan in it: a number is missing"
        if len(str(output)) > 1_000_000:
            yield "has an output over 1 MB"
