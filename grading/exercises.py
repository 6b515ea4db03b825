"""What all exercises share: a verdict, how one is reached, and how it is said.

The checks stand in `lesson1.py` and `lesson2.py`. Each is a function of the names that an
answer defines. It returns when the answer is right, and raises `Mistake` with a sentence
that helps when it is not. Whatever an answer does, `verdict` returns; nothing is raised.

In a notebook, `check("1.4")` prints one line:

    1.4 CORRECT
    1.4 INCORRECT: ∂E/∂w3: a_h1 in place of a_h2
    1.4 NOT DONE
"""

import dis
import re
from dataclasses import dataclass

from IPython import get_ipython

CORRECT, INCORRECT, NOT_DONE = "CORRECT", "INCORRECT", "NOT DONE"

# What each exercise is worth, of 100 in all.
POINTS = {
    "1.1": 5, "1.2": 5, "1.3": 5, "1.4": 10, "1.5": 5, "1.6": 5, "1.7": 10, "1.8": 10,
    "2.1": 5, "2.2": 5, "2.3": 10, "2.4": 10, "2.5": 10, "2.6": 5,
}  # fmt: skip

# The first line of an answer cell. It finds the cell where an editor drops its metadata.
MARK = re.compile(r"^\s*#\s*Exercise\s+(\d+\.\d+)\b")

_CHECKS = {}  # number → (names that the answer defines, check)


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


def verdict(number, namespace):
    """Check one answer.

    Args:
        number: of the exercise, such as "1.4".
        namespace: a dict with the names that the answer has defined.

    Raises:
        ValueError: there is no such exercise.
    """
    if number not in _CHECKS:
        raise ValueError(f"no exercise {number!r}; there are {', '.join(sorted(_CHECKS))}")
    names, check = _CHECKS[number]
    try:
        absent = [name for name in names if name not in namespace]
        if absent:
            if len(absent) == len(names):
                raise NotDone
            raise Mistake(f"{', '.join(absent)} is not defined")
        check(*(namespace[name] for name in names))
    except NotDone:
        return Verdict(number, NOT_DONE)
    except Mistake as mistake:
        return Verdict(number, INCORRECT, one_line(mistake))
    except KeyboardInterrupt:  # the student pressed stop
        return Verdict(number, INCORRECT, "stopped before it was checked")
    except BaseException as error:  # noqa: BLE001  whatever the answer raises, SystemExit too
        return Verdict(number, INCORRECT, f"it stops with {describe(error)}")
    return Verdict(number, CORRECT)


def check(number):
    """Check an answer in the notebook that calls this, and print the verdict."""
    shell = get_ipython()
    run = _last_runs.get(number)
    error = run and (run.error_before_exec or run.error_in_exec)
    if error:  # what the notebook still knows by these names is older than the answer
        comment = f"the answer cell stops with {describe(error)}"
        print(Verdict(number, INCORRECT, comment))
    else:
        print(verdict(number, shell.user_ns))


# --- Answers that stop before they are checked ------------------------------------

_last_runs = {}  # exercise → how running its answer cell last ended


def _remember(result):
    if result.info is not None and (mark := MARK.match(result.info.raw_cell or "")):
        _last_runs[mark[1]] = result


if shell := get_ipython():
    shell.events.register("post_run_cell", _remember)


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
        text = f"{error.msg}, line {error.lineno}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def one_line(text, limit=300):
    """A text on one line, cut where it is too long."""
    try:
        text = " ".join(str(text).split())
    except Exception:  # noqa: BLE001  an answer's exception may not even print
        text = ""
    return text if len(text) <= limit else f"{text[:limit]}…"
