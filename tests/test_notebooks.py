"""Attempts to fool the guard, which conftest.py runs over every notebook."""

import copy
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from guard import PROMISED, counts, problems, promise
from nbval.plugin import get_sanitize_patterns

import utils

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "experiments"))

import compare  # noqa: E402

NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_promises_are_exact(path):
    """Not one compared cell can vanish, and not one more be ignored."""
    assert counts(nbformat.read(path, 4)) == PROMISED[path.stem]


def test_promises_are_found_by_name():
    assert promise("1_backprop_alice.ipynb") == PROMISED["1_backprop"]
    assert promise("other.ipynb") == (1, 0)


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


def without_content(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.outputs:
            cell.source, cell.outputs = "print()", [nbformat.v4.new_output("stream", text="\n")]


SPOILERS = {
    "without content": (without_content, "compares 0 cells"),
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
    assert any(says in problem for problem in problems(notebook, promise(path.name)))


def results_table():
    """README's table of results, in Markdown, from experiments/results.csv."""
    summary = utils.summarise(pd.read_csv(ROOT / "experiments" / "results.csv"))
    published = compare.published()
    lines = ["| network | parameters | epochs | runs | last epoch | best epoch | published |"]
    lines.append("|---|---|---|---|---|---|---|")
    own = [(name, compare.our_recipe(name)) for name in ("Net", "TinyNet", "FastNet")]
    for key in [*own, *((name, name) for name in "ABCDE")]:
        row, claim = summary.loc[key], published.get(key[0])
        name = key[0] if key[0] == key[1] else f"**{key[0]}**"
        last = f"{row['mean']:.3f} ± {row['sd']:.3f}"
        cells = [name, f"{row['parameters']:,.0f}", f"{row['epochs']:.0f}", f"{row['runs']:.0f}"]
        cells += [last, f"{row['best']:.2f}", f"{claim:.2f}" if claim else ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def speed_sentences():
    """What README says about seconds, from experiments/speed.csv."""
    speed = pd.read_csv(ROOT / "experiments" / "speed.csv")
    fast = speed[speed["network"] == "FastNet"]
    times = speed.groupby(["pipeline", "network"])["seconds"].agg(["mean", "min"])
    mean, least = times["mean"], times["min"]
    epochs = utils.RECIPES["D"]["epochs"]
    usual = {"mean": mean["usual", "D"] * epochs, "least": least["usual", "D"] * epochs}
    return [
        f"**{mean['ours', 'FastNet']:.1f} seconds**",
        f"{fast['test_accuracy'].mean():.2%}".replace("%", " %"),
        f"{mean['usual', 'D']:.1f} seconds an epoch",
        f"{usual['mean']:.0f} seconds for its {epochs} epochs",
        f"{usual['mean'] / mean['ours', 'FastNet']:.1f} times",
        f"the fastest took {least['ours', 'FastNet']:.1f} and {usual['least']:.0f} seconds",
        f"{usual['least'] / least['ours', 'FastNet']:.1f} times",
        f"{least['ours', 'Net']:.1f} seconds",
        f"{least['usual', 'Net']:.1f} in the usual pipeline",
        f"{least['usual', 'Net'] / least['ours', 'Net']:.1f} times",
    ]


def test_readme_quotes_the_results():
    """The numbers in README are those of experiments/results.csv and speed.csv."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert results_table() in readme
    for quoted in speed_sentences():
        assert quoted in readme


def test_the_results_are_complete():
    """Enough seeds for a mean: ten for ours, five for the clock, three for A to E."""
    runs = pd.read_csv(ROOT / "experiments" / "results.csv")
    counts = runs.groupby(["network", "recipe"]).size()
    assert counts["Net", "ours"] == counts["TinyNet", "ours"] == counts["TinyNet", "long"] == 10
    assert counts["FastNet", "fast"] == 5
    assert all(counts[name, recipe] >= 3 for name in "ABCDE" for recipe in (name, "ours"))
    speed = pd.read_csv(ROOT / "experiments" / "speed.csv")
    timed = speed[speed["network"] == "FastNet"].set_index("seed")["test_accuracy"]
    fast = runs[runs["recipe"] == "fast"].set_index("seed")["test_accuracy"]
    assert timed.to_dict() == fast.to_dict()  # the clock's trainings are the table's


# --- A notebook that comes alone, as in Colab --------------------------------------


def run_first_cells(path, folder, url):
    """Run a notebook's first three code cells, the imports included, in another folder."""
    code = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    source = "\n".join(code[:3])
    assert 'REPOSITORY_URL = ""' in source
    source = source.replace('REPOSITORY_URL = ""', f"REPOSITORY_URL = {url!r}")
    command = [sys.executable, "-c", source + "\nprint(repository.name)"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_alone(path, tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is nothing to clone")
    done = run_first_cells(path, tmp_path, ROOT.as_uri())
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "lesson" and (tmp_path / "lesson" / "backprop.py").exists()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_alone_without_an_address(path, tmp_path):
    done = run_first_cells(path, tmp_path, "")
    assert "Write the address of its git repository into REPOSITORY_URL" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_first_cells_are_the_same_everywhere(path):
    heads = [
        [cell.source for cell in nbformat.read(p, 4).cells if cell.cell_type == "code"][:2]
        for p in (path, NOTEBOOKS[0])
    ]
    assert heads[0] == heads[1]
