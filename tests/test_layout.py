"""Every file has one subject, and what a student reads imports nothing for instructors."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LESSON_1 = {"backprop", "derivation", "sheets", "workbook"}
LESSON_2 = {"model", "utils", "mnist"}
MODULES = sorted([*ROOT.glob("*.py"), *ROOT.glob("grading/*.py"), *ROOT.glob("experiments/*.py")])


def imported(path):
    """The first names of all modules that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_who_imports_whom(path):
    names, stem = imported(path), path.stem
    if stem in LESSON_1:
        assert not names & LESSON_2
    if stem in LESSON_2:
        assert not names & LESSON_1
    if path.parent == ROOT and stem not in ("workbook", "conftest"):
        assert "grading" not in names
    if stem in LESSON_1 | LESSON_2 and stem != "workbook":
        assert "figures" not in names and "matplotlib" not in names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_file_grows_into_two(path):
    """About 600 lines at most: a longer one hides a second subject."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 660
