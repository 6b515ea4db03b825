"""What all exercises share: a verdict, how one is reached, and how it is said.

The checks stand in `lesson1.py` and `lesson2.py`. Each is a function of the names that an
answer defines. It returns when the answer is right, and raises `Mistake` with a sentence
that helps when it is not. Whatever an answer does, `verdict` returns; nothing is raised.

In a notebook, `check("1.4")` prints one line:

    1.4 CORRECT
    1.4 INCORRECT: ∂E/∂w3: a_h1 in place of a_h2
    1.4 NOT DONE

Only answer cells are graded, among our own cells of the notebook. So an answer may use what
these define, and nothing of a cell that a student added: `check` refuses it, right or not.
"""

import ast
import builtins
import dis
import importlib
import json
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CORRECT, INCORRECT, NOT_DONE = "CORRECT", "INCORRECT", "NOT DONE"

# What each exercise is worth, of 100 in all.
POINTS = {
    "1.1": 5, "1.2": 5, "1.3": 5, "1.4": 10, "1.5": 5, "1.6": 5, "1.7": 10, "1.8": 10,
    "2.1": 5, "2.2": 5, "2.3": 10, "2.4": 10, "2.5": 10, "2.6": 5,
}  # fmt: skip

# The first line of an answer cell. It finds the cell where an editor drops its metadata.
MARK = re.compile(r"^\s*#\s*Exercise\s+(\d+\.\d+)\b")

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"

_CHECKS = {}  # number → (names that the answer defines, check)
_running = []  # the number of the exercise that is being checked


class Mistake(Exception):
    """What is wrong with an answer, as the sentence that the student reads."""


class NotDone(Exception):
    """The answer is still the stub."""


@dataclass(frozen=True)
class Verdict:
    """What a check says about an answer.

    Attributes:
        exercise: its number, such as "1.4".
        word: CORRECT, INCORRECT or NOT_DONE.
        comment: what is wrong, on one line; "" where nothing is.
    """

    exercise: str
    word: str
    comment: str = ""

    def __str__(self):
        return f"{self.exercise} {self.word}" + (f": {self.comment}" if self.comment else "")


def exercise(number, *names):
    """Register a check. It is called with what the answer defined under these names."""

    def register(check):
        _CHECKS[number] = (names, check)
        return check

    return register


def verdict(number, namespace, defined=()):
    """Check one answer.

    Args:
        number: of the exercise, such as "1.4".
        namespace: a dict with the names that the answer has defined.
        defined: the names that the source of the answer cell defines, where it is known.
            With them, a misspelt name is told from a stub that is still in the namespace.

    Raises:
        ValueError: there is no such exercise.
    """
    if number not in _CHECKS and number in POINTS:
        importlib.import_module(f"grading.lesson{number[0]}")  # registers its checks
    if number not in _CHECKS:
        raise ValueError(f"no exercise {number!r}; there are {', '.join(POINTS)}")
    names, check = _CHECKS[number]
    _running.append(number)
    try:
        absent = [name for name in names if name not in namespace]
        if len(absent) == len(names):
            raise NotDone
        if absent:
            raise Mistake(_not_defined(absent))
        check(*(namespace[name] for name in names))
    except NotDone:
        absent = [name for name in names if name not in defined]
        if defined and absent:
            return Verdict(number, INCORRECT, _not_defined(absent))
        return Verdict(number, NOT_DONE)
    except Mistake as mistake:
        return Verdict(number, INCORRECT, one_line(mistake))
    except KeyboardInterrupt:  # the student pressed stop
        return Verdict(number, INCORRECT, "stopped before it was checked")
    except BaseException as error:  # noqa: BLE001  whatever the answer raises, SystemExit too
        return Verdict(number, INCORRECT, f"it stops with {describe(error)}")
    finally:
        _running.pop()
    return Verdict(number, CORRECT)


def _not_defined(names):
    are = "is" if len(names) == 1 else "are"
    return f"{', '.join(names)} {are} not defined: does the answer cell have another name?"


def check(number):
    """Check an answer in the notebook that calls this, and print the verdict."""
    if _shell is None:
        raise RuntimeError("check reads the answers of a notebook: call it in one")
    names = _shell.user_ns
    run = _last_runs.get(number)
    error = run and (run.error_before_exec or run.error_in_exec)
    if error:  # what the notebook still knows by these names is older than the answer
        comment = f"the answer cell stops with {describe(error)}"
        print(Verdict(number, INCORRECT, comment))
        return
    result = verdict(number, names, _names(run.info.raw_cell)[0] if run else ())
    if result.word == CORRECT and run and (foreign := _foreign_names(run) & names.keys()):
        comment = (
            f"right, but {', '.join(sorted(foreign))} stands in a cell that you added, and only "
            "answer cells are graded: copy it into the answer cell"
        )
        result = Verdict(number, INCORRECT, comment)
    print(result)


def refuse_inside_answers(name):
    """Raise a `Mistake` while an answer is checked: it must not call what we hand out.

    Args:
        name: what it calls.
    """
    if _running:
        raise Mistake(f"it calls {name}, which is ours: write your own")


# --- What was run in the notebook -------------------------------------------------

_last_runs = {}  # exercise → how running its answer cell last ended
_given = set()  # names that an answer may use: our own cells and answer cells define them


def _remember(result):
    source = (result.info and result.info.raw_cell) or ""
    mark = MARK.match(source)
    if mark:
        _last_runs[mark[1]] = result
    if not _given:  # the cell that imported this module
        _given.update(_shell.user_ns)
    elif result.success and (mark or source.strip() in _our_cells()):
        _given.update(_names(source)[0])


@cache
def _our_cells():
    """The sources of the code cells of our own exercise notebooks, but for answer cells."""
    return {
        "".join(cell["source"]).strip()
        for path in NOTEBOOKS.glob("*_exercises.ipynb")
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code" and not MARK.match("".join(cell["source"]))
    }


def _foreign_names(run):
    """The names that an answer cell uses, and that neither it nor a cell to be graded defines."""
    defined, used = _names(run.info.raw_cell)
    return used - defined - _given - set(dir(builtins))


def _names(source):
    """(names that a cell defines anywhere in it, names that it uses)."""
    defined, used = set(), set()
    for node in ast.walk(ast.parse(_shell.transform_cell(source))):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else defined).add(node.id)
        elif isinstance(node, ast.alias):
            defined.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.arg):
            defined.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            defined.add(node.name)
    return defined, used


# In a notebook, IPython has been imported: whoever needs no notebook need not load it.
_shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
if _shell:
    _shell.events.register("post_run_cell", _remember)


# --- For checks -------------------------------------------------------------------


def is_stub(function):
    """Whether a function's body does nothing and returns None, as that of a stub does."""
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("RESUME", "NOP")]
    returns = ["LOAD_CONST", "RETURN_VALUE"], ["RETURN_CONST"]
    return [step.opname for step in steps] in returns and steps[0].argval is None


def describe(error):
    """An exception in one line: its name, what it says, and the line where a syntax error is."""
    text = one_line(error)
    if isinstance(error, SyntaxError):
        text = one_line(f"{error.msg}, line {error.lineno}")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def one_line(text, limit=400):
    """A text on one line, cut where it is too long."""
    try:
        text = " ".join(str(text)[: 10 * limit].split())
    except BaseException:  # noqa: BLE001  an answer's exception may not even print
        text = ""
    return text if len(text) <= limit else f"{text[:limit]}…"
