"""Calls what a student wrote, and reads the numbers in what it returns, whatever that is.

What is wrong with it becomes a `Mistake`: a sentence with the call that shows it, so that
the student can repeat it.
"""

import contextlib
import os
import traceback
import warnings
from collections.abc import Iterable, Iterator, Mapping, Set

import numpy as np

from grading.exercises import Mistake, NotDone, describe, is_stub

MOST_NUMBERS = 10_000  # that are read of one answer
DEEPEST = 20  # lists in lists


def require_function(function, name):
    """Raise `NotDone` for a stub, and a `Mistake` for what is no function."""
    if is_stub(function):
        raise NotDone
    if not callable(function):
        raise Mistake(f"{name} is {_kind(function)}, not a function")


@contextlib.contextmanager
def quiet():
    """Show nothing that an answer prints, and none of its warnings: a check prints one line."""
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
    ):
        warnings.simplefilter("ignore")
        yield


def written(name, arguments):
    """A call as a student would write it: loss((0.4, 0.9), (0.1, 0.7))."""
    return f"{name}({', '.join(getattr(a, '__name__', None) or repr(a) for a in arguments)})"


def numbers(function, name, arguments):
    """Call an answer, and read all numbers in what it returns, however they are nested.

    Args:
        function, name: the answer.
        arguments: fresh ones for each call, because an answer may change them.

    Returns:
        A float64 array of one dimension: the numbers in their order.

    Raises:
        Mistake: it stops with an error, or returns something else.
    """
    call = written(name, arguments)
    with quiet():
        try:
            value = function(*arguments)
            if value is None:
                raise Mistake(f"{call} returns None: is the return missing?")
            return np.array([*_flat(value)], float)
        except _NotNumbers as error:
            raise Mistake(f"{call} returns {error}") from None
        except (Mistake, NotDone):
            raise
        except Exception as error:  # noqa: BLE001  an answer may raise anything
            raise Mistake(
                f"{call} stops with {describe(error)}{line_of(error, function)}"
            ) from None


class _NotNumbers(Exception):
    """What an answer returned in place of numbers."""


def _flat(value, depth=0):
    """Yield the numbers of a number, tensor or array, or of a list of those, in their order."""
    if hasattr(value, "detach"):  # a tensor, which may be on another device
        value = value.detach().cpu().double().numpy()
    if isinstance(value, (str, bytes, type(None), Mapping, Set)) or callable(value):
        raise _NotNumbers(f"{_kind(value)} where numbers belong")
    if isinstance(value, Iterator):
        raise _NotNumbers(f"{_kind(value)}: put list(…) around it")
    if hasattr(value, "__array__"):
        value = np.asarray(value)
        if value.size > MOST_NUMBERS:
            raise _NotNumbers(f"an array of shape {value.shape}")
        value = value.tolist()
    if not isinstance(value, Iterable):
        yield _number(value)
        return
    if depth > DEEPEST:
        raise _NotNumbers("lists that are nested too deeply")
    for count, part in enumerate(value):
        if count == MOST_NUMBERS:
            raise _NotNumbers(f"more than {MOST_NUMBERS:,} numbers")
        yield from _flat(part, depth + 1)


def _number(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        raise _NotNumbers(f"{_kind(value)} where numbers belong") from None
    except OverflowError:  # a whole number of more than 308 digits
        return np.inf


def _kind(value):
    """What a thing is, in words."""
    if value is None:
        return "None"
    if isinstance(value, str):
        return "text"
    name = type(value).__name__
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"


def line_of(error, function):
    """ ", line 7 of the answer": where an error arose; "" if that is elsewhere."""
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    lines = [
        line
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == file
    ]
    return f", line {lines[-1]} of the answer" if lines else ""
