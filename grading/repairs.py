"""Mends a student's own formula with the smallest change, where that is easy and safe.

A reference is replaced, a sign taken back, a forgotten factor added: what `differences.py`
has said. The result is read again, and counts only where it is equal to the right formula.
Where nothing of this helps, the lesson's formula is suggested.
"""

import itertools
import re

import sympy

import backprop
from grading.differences import close, values
from grading.parsing import CELL

MOST_CANDIDATES = 60  # formulas that are read again
SIGN = re.compile(r"\((\$?[A-Z]+\$?\d+) *- *(\$?[A-Z]+\$?\d+)\)")
_IN_PLACE = re.compile(r"(?P<theirs>\S+) in place of (?P<ours>\S+?)(?:, (?P<times>once|twice))?")
_OTHER_ROW = re.compile(r"(?P<ours>\S+) is taken from the (?P<where>[\w ]+?)(?:, as with .*)?")
_FORGOTTEN = re.compile(r"the factor (?P<ours>.+) is forgotten")


def repaired(formula, texts, right, cells, read):
    """Mend a formula.

    Args:
        formula: a `cells.Formula`, written for its own cell.
        texts: its differences from the right one, in words.
        right: the right formula, over the network's quantities.
        cells: name of a quantity → its address, as the formula's cell refers to it.
        read: a function of a `cells.Formula` → (expression, meanings of its references).

    Returns:
        The text of the mended formula with "=", or None.
    """
    wanted, found = values(right), [formula.text]
    for text in texts:
        changed = (_changed(formula, old, text, right, cells, read) for old in found)
        several = itertools.islice(itertools.chain.from_iterable(changed), MOST_CANDIDATES)
        found = [*dict.fromkeys(several)]
    for text in found:
        expression, _ = read(formula._replace(text=text))
        if expression is not None and close(values(expression), wanted):
            return "=" + text
    return None


def _changed(formula, text, difference, right, cells, read):
    """The texts that one difference, taken back, may lead to."""
    if match := _IN_PLACE.fullmatch(difference) or _OTHER_ROW.fullmatch(difference):
        ours, found = match["ours"], match.groupdict()
        theirs = found.get("theirs") or f"{ours} of the {found['where']}"
        if ours in cells:
            yield from _replaced(formula, text, theirs, cells[ours], found.get("times"), read)
    elif difference.startswith("the sign") or re.fullmatch(r"\S+ − \S+ in place of .*", difference):
        yield from _other_sign(text)
    elif match := _FORGOTTEN.fullmatch(difference):
        part = next((p for p in _parts(right) if backprop.to_text(p) == match["ours"]), None)
        if part is not None and {s.name for s in part.free_symbols} <= cells.keys():
            factor = backprop.to_excel(part).format(**cells)
            factor = factor if part.is_Symbol or part.is_Number else f"({factor})"
            yield f"{text}*{factor}"
            yield f"({text})*{factor}"


def _parts(expression):
    """A formula, its parts, and theirs."""
    return sympy.preorder_traversal(expression)


def _replaced(formula, text, theirs, address, times, read):
    """The text with another address in place of the references that mean `theirs`."""
    _, meanings = read(formula._replace(text=text))
    places = [m for m in CELL.finditer(text) if meanings.get(m[0].replace("$", "")) == theirs]
    counts = {"once": [1], "twice": [2]}.get(times, [len(places), 1, 2])
    for chosen in itertools.chain.from_iterable(itertools.combinations(places, c) for c in counts):
        new = text
        for place in reversed(chosen):
            new = new[: place.start()] + _like(place, address) + new[place.end() :]
        yield new


def _like(place, address):
    """An address with the dollars of the one whose place it takes."""
    column_fixed, _, row_fixed, _ = place.groups()
    sheet, mark, cell = address.rpartition("!")
    if "$" in cell:
        return address
    letters = cell.rstrip("0123456789")
    return f"{sheet}{mark}{column_fixed}{letters}{row_fixed}{cell[len(letters) :]}"


def _other_sign(text):
    """The text with one difference turned round, or a minus before it, or without that."""
    for found in SIGN.finditer(text):
        yield f"{text[: found.start()]}({found[2]}-{found[1]}){text[found.end() :]}"
    for found in re.finditer(r"[-+]", text):
        sign = "+-"[found[0] == "+"]
        if found.start():
            yield text[: found.start()] + sign + text[found.end() :]
    yield text[1:] if text.startswith("-") else f"-{text}"
