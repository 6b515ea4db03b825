"""The set-up cells: a notebook that comes alone, as in Colab, fetches what it needs."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import nbclient
import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
SENTENCE = "Write the address of its git repository into REPOSITORY_URL"
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}  # in Colab, in JupyterLab

# Imported, but not to be installed by name: the kernel's own, and what comes with matplotlib.
COMES_ALONG = {"IPython", "cycler", "PIL"}
# To be installed, but not imported by us: pandas does it for its tables.
IMPORTED_FOR_US = {"jinja2"}
# In requirements-optional.txt: compare.py needs it with --scheduler only, and no notebook does.
OPTIONAL = {"distributed"}

needs_git = pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="not a git checkout: there is nothing to clone"
)


def code_cells(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def with_address(source, url):
    """The set-up cells with an address written into them, or with none."""
    source, count = re.subn(
        r'^REPOSITORY_URL = ".*?"', f"REPOSITORY_URL = {url!r}", source, flags=re.MULTILINE
    )
    assert count == 1
    return source


@pytest.fixture
def alone(tmp_path):
    """A function: run a notebook's first code cells in an empty folder, with a home of its own."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "USERPROFILE": str(home)}
    environment["MPLCONFIGDIR"] = matplotlib.get_cachedir()  # else its fonts are looked up anew

    def run(path, folder, url="", answer="", cells=2, before=""):
        """Return the finished process, which prints the repository's folder last of all.

        Args:
            folder: its name, below tmp_path; made if it is not there.
            url: what stands in REPOSITORY_URL.
            answer: what is typed when the address is asked for; "" for nobody to ask.
            cells: how many code cells to run; the third one imports.
            before: code to run first.
        """
        (tmp_path / folder).mkdir(exist_ok=True)
        source = "\n".join(cell.source for cell in code_cells(path)[:cells])
        source = with_address(source, url)
        return subprocess.run(
            [sys.executable, "-c", f"{before}\n{source}\nprint(repository)"],
            cwd=tmp_path / folder,
            env=environment,
            input=answer,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )

    run.home = home
    return run


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_setup_cells_are_the_same_everywhere(path):
    cells, first = code_cells(path)[:2], code_cells(NOTEBOOKS[0])[:2]
    assert [cell.source for cell in cells] == [cell.source for cell in first]
    for cell in cells:
        assert cell.source.startswith("# @title Set-up: ")
        assert cell.metadata == FOLDED and cell.outputs == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_setup_does_nothing_in_the_repository(path, alone):
    """No process is started, nothing is printed, no address is kept."""
    before = "import os, subprocess\nsubprocess.run = None\n"
    done = alone(path, "elsewhere", before=before + f"os.chdir({str(path.parent)!r})")
    assert done.stdout.strip() == str(ROOT), done.stderr
    assert names_in(alone.home) == []


@needs_git
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_alone(path, alone, tmp_path):
    done = alone(path, "here", ROOT.as_uri(), cells=3)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "here" / "lesson")
    assert names_in(tmp_path / "here") == ["lesson"]
    assert (tmp_path / "here" / "lesson" / "backprop.py").exists()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_alone_without_an_address(path, alone, tmp_path):
    done = alone(path, "here")
    assert done.returncode != 0 and SENTENCE in done.stderr.splitlines()[-1]
    assert names_in(tmp_path / "here") == names_in(alone.home) == []


def test_alone_in_a_kernel_without_an_address(tmp_path, monkeypatch):
    """nbconvert and nbval answer no questions: the kernel raises StdinNotImplementedError."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    notebook = nbformat.read(NOTEBOOKS[0], 4)
    notebook.cells = code_cells(NOTEBOOKS[0])[:2]
    notebook.cells[0].source = with_address(notebook.cells[0].source, "")
    client = nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(here)}})
    with pytest.raises(nbclient.exceptions.CellExecutionError) as raised:
        client.execute()
    assert raised.value.ename == "FileNotFoundError" and SENTENCE in raised.value.evalue
    assert names_in(here) == [] and not (home / ".lesson_repository").exists()


@needs_git
def test_the_address_is_asked_for_once(alone, tmp_path):
    first, second = NOTEBOOKS[:2]
    done = alone(first, "first", answer=f" {ROOT.as_uri()}\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Address of the lesson's git repository:") == 1
    done = alone(second, "second")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "second" / "lesson")


@needs_git
def test_the_remote_of_the_checkout_is_used(alone, tmp_path):
    """It comes after an address that worked before: a student's own repository has a remote too."""

    def checkout(folder, remote):
        (tmp_path / folder).mkdir()
        for command in (["init", "-q"], ["remote", "add", "origin", remote]):
            subprocess.run(["git", *command], cwd=tmp_path / folder, check=True)

    kept = alone.home / ".lesson_repository"
    checkout("lesson's remote", ROOT.as_uri())
    done = alone(NOTEBOOKS[0], "lesson's remote")
    assert done.stdout.strip() == str(tmp_path / "lesson's remote" / "lesson"), done.stderr
    assert kept.read_text() == ROOT.as_uri()
    checkout("own remote", "no-such-repository")
    assert "'nowhere' is not the lesson" in alone(NOTEBOOKS[0], "own remote", "nowhere").stderr
    assert kept.read_text() == ROOT.as_uri()  # another address failed, not this one
    done = alone(NOTEBOOKS[0], "own remote")
    assert done.stdout.strip() == str(tmp_path / "own remote" / "lesson"), done.stderr


@pytest.mark.parametrize("what", ["another repository", "no repository"])
@pytest.mark.parametrize("given", ["typed", "kept"])
def test_a_wrong_address_leaves_nothing_behind(what, given, alone, tmp_path):
    """No clone, and no address: the next run asks again."""
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    if what == "another repository":
        (wrong / "notes.txt").write_text("something else")
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "notes"]):
            subprocess.run(["git", *command], cwd=wrong, check=True)
    if given == "kept":
        (alone.home / ".lesson_repository").write_text(str(wrong))
    done = alone(NOTEBOOKS[0], "here", answer=f"{wrong}\n" if given == "typed" else "")
    assert done.returncode != 0 and SENTENCE in done.stderr.splitlines()[-1]
    says = {"another repository": "There is no backprop.py in it.", "no repository": "fatal: "}
    assert f"FileNotFoundError: '{wrong}' is not the lesson: {says[what]}" in done.stderr
    assert names_in(tmp_path / "here") == names_in(alone.home) == []


# Seen by the cells: packages that cannot be imported, and a pip that only says what it is told.
PRETEND = """
import importlib.util, json, subprocess, sys
absent, find_spec, run = {absent!r}, importlib.util.find_spec, subprocess.run
importlib.util.find_spec = lambda name: None if name in absent else find_spec(name)
def pretend(command, **settings):
    if "pip" not in command:
        return run(command, **settings)
    print(json.dumps(command))
    return subprocess.CompletedProcess(command, {returncode}, "", "no such package")
subprocess.run = pretend
"""


def packages():
    """The names that the set-up cells install where they cannot be imported."""
    for node in ast.walk(ast.parse(code_cells(NOTEBOOKS[0])[1].source)):
        if isinstance(node, ast.Assign) and node.targets[0].id == "PACKAGES":
            return node.value.func.value.value.split()


@needs_git
@pytest.mark.parametrize("absent", [[], ["pebble", "xlsxwriter"], packages()], ids=len)
def test_only_what_is_missing_is_installed(absent, alone):
    before = PRETEND.format(absent=absent, returncode=0)
    done = alone(NOTEBOOKS[0], "here", ROOT.as_uri(), before=before)
    assert done.returncode == 0, done.stderr
    *told, _ = done.stdout.splitlines()
    pip = [sys.executable, "-m", "pip", "install", "-q"]
    assert [json.loads(line) for line in told] == (
        [[*pip, *(name for name in packages() if name in absent)]] if absent else []
    )


@needs_git
def test_a_failed_installation_gets_a_sentence(alone):
    before = PRETEND.format(absent=["pebble"], returncode=1)
    done = alone(NOTEBOOKS[0], "here", ROOT.as_uri(), before=before)
    last = "ImportError: pip could not install pebble: no such package"
    assert done.stderr.splitlines()[-1] == last


def imported_names(source):
    """Dotted names of all modules that a program imports, also inside its functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_file(name):
    """The file of one of our own modules or packages, or None."""
    for folder in (ROOT, ROOT / "experiments"):
        path = folder.joinpath(*name.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.exists():
                return file
    return None


def third_party(notebooks):
    """Packages that notebooks import, and the modules of ours that they import, and so on."""
    wanted = [
        name
        for path in notebooks
        for cell in code_cells(path)
        for name in imported_names(cell.source)
    ]
    seen, packages = set(), set()
    while wanted:
        name = wanted.pop()
        package = name.split(".")[0]
        if own_file(package) or (ROOT / package).is_dir():
            file = own_file(name)
            if file and file not in seen:
                seen.add(file)
                wanted += imported_names(file.read_text(encoding="utf-8"))
        elif package not in sys.stdlib_module_names:
            packages.add(package)
    return packages


def test_packages_of_the_setup_cells():
    """They are those that are imported, each once, and each is in requirements.txt."""
    assert len(packages()) == len(set(packages()))
    assert set(packages()) == third_party(NOTEBOOKS) - COMES_ALONG - OPTIONAL | IMPORTED_FOR_US
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").lower().splitlines()
    required = {re.match(r"[\w-]*", line)[0] for line in lines}
    assert set(packages()) <= required
