"""Calls answers of lesson 2, and compares the arrays that they return with the right ones.

`answers.py` does it for answers that return some numbers; here their shape counts, too.
"""

import numpy as np
import torch

from grading.answers import line_of, quiet
from grading.exercises import Mistake, describe, one_line

# A number is right when it is this close, as a share of the largest one. Float32 has seven
# digits; a right answer loses three of them at most.
TOLERANCE = 1e-4


def call(what, function, *arguments, method=None):
    """Call an answer, without showing what it prints.

    Args:
        what: begins the sentence of a `Mistake`.
        method: of the answer, where `function` is a class or a network.

    Raises:
        Mistake: it stops with an error, which is the `__context__`.
    """
    with quiet():
        try:
            return function(*arguments)
        except Mistake:  # of `lesson2.refusing`
            raise
        except Exception as error:  # noqa: BLE001  an answer may raise anything
            line = line_of(error, method or function)
            raise Mistake(f"{what}: it stops with {describe(error)}{line}") from None


def array(value, what):
    """What an answer returned (a tensor, array, list or number) as a float64 array.

    Raises:
        Mistake: it is none of these; `what` begins the sentence.
    """
    if value is None:
        raise Mistake(f"{what}: it returns None. Is the return missing?")
    try:
        with quiet():
            return as_array(value)
    except Exception:  # noqa: BLE001  an answer may return anything
        kind, text = type(value).__name__, one_line(repr(value), 60)
        raise Mistake(f"{what}: it returns {kind} where numbers belong: {text}") from None


def as_array(value):
    """A tensor, array or number, or lists of these, as a new float64 array."""
    return np.array(_without_tensors(value), dtype=np.float64)


def _without_tensors(value):
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().double().numpy()
    if isinstance(value, (list, tuple)):
        return [_without_tensors(item) for item in value]
    if isinstance(value, (str, bytes)):
        raise TypeError("text")
    return value


def close(found, right):
    """Whether two arrays or tensors have one shape and nearly the same values."""
    found, right = as_array(found), as_array(right)
    if found.shape != right.shape:
        return False
    with np.errstate(all="ignore"):
        return bool((np.abs(found - right) <= TOLERANCE * np.abs(right).max(initial=0)).all())


def compare_all(tries):
    """Compare an answer's arrays with the right ones, on several inputs.

    On one input, two slips can give the same numbers. So a slip is named only if it fits on
    every input, also on those where the answer is right.

    Args:
        tries: yields (what, found, right, slips) for each input, as `compare` takes them. Slips
            that say nothing about an input are left out there. It may raise a `Mistake` where
            the answer stops: an earlier difference is told first.

    Raises:
        Mistake: they differ, or that of `tries`.
    """
    done, stopped = [], None
    try:
        for one in tries:
            done.append(one)
    except Mistake as mistake:
        stopped = mistake
    for what, found, right, slips in done:
        if not close(found, right):
            fitting = {words: wrong for words, wrong in slips.items() if _fits_all(words, done)}
            compare(found, right, what, fitting)
    if stopped:
        raise stopped


def _fits_all(words, tries):
    return all(_fits(found, slips[words]) for _, found, _, slips in tries if words in slips)


def _fits(found, wrong):
    """Whether an answer gives what a slip gives; all lists without a number are alike."""
    wrong = as_array(wrong)
    return close(found, wrong) or found.size == wrong.size == 0


def compare(found, right, what, slips):
    """Compare an answer's array with the right one.

    Args:
        found: the array.
        right: a tensor.
        what: what was computed, for the comment.
        slips: words → tensor; the words of the first that is like the array are said.

    Raises:
        Mistake: they differ.
    """
    if close(found, right):
        return
    reason = next((words for words, wrong in slips.items() if _fits(found, wrong)), None)
    difference = what + _difference(found, as_array(right))
    raise Mistake(f"{reason}. {difference}" if reason else difference)


def _difference(found, right):
    if found.shape != right.shape:
        return f": expected shape {size(right.shape)}, found {size(found.shape)}"
    with np.errstate(all="ignore"):
        distance = np.where(np.isfinite(found), np.abs(found - right), np.inf)
    place = np.unravel_index(distance.argmax(), found.shape)
    at = f", at [{', '.join(map(str, place))}]" if place else ""
    return f"{at}: expected {right[place]:.5g}, found {found[place]:.5g}"


def size(shape):
    """A shape in a comment: 6×9."""
    return "×".join(map(str, shape)) if len(shape) > 1 else str(tuple(shape))
