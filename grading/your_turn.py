"""Checks the eight answers on the sheet *Your turn* of a workbook that a student hands in.

The sheet gives each answer a verdict itself. Here the right values are calculated again, from
the sheet's own inputs, targets and weights, because a sheet's hidden column can be changed.
A wrong answer is compared with the catalogue of mistakes.
"""

import itertools
import re

import numpy as np
from openpyxl.formula import Tokenizer
from openpyxl.formula.tokenizer import Token
from openpyxl.utils import column_index_from_string

import backprop
from backprop import EQUATIONS, GRADIENT_SYMBOLS, INPUTS, TARGETS, WEIGHTS
from grading.columns import expected_formula, missing_result
from grading.exercises import CORRECT, INCORRECT, NOT_DONE
from grading.mistakes import catalogue
from grading.quantities import FORMULAS, column_name, compile_formula
from grading.reading import RESAVE, address_of, number_in, shown
from sheets import (
    ANSWER_ABSOLUTE,
    ANSWER_RELATIVE,
    ANSWERS_FIRST_ROW,
    COMPUTED_ROW,
    GIVEN_ROW,
)

SHEET = "Your turn"
ANSWER, KEY = 2, 14  # columns, counted from 1: the answers, and the hidden right values

# A cell or a range of this sheet; and functions by which a formula can reach any cell.
REFERENCE = re.compile(
    r"\$?([A-Z]{1,3})\$?(\d{1,7})(?::\$?([A-Z]{1,3})\$?(\d{1,7}))?", re.IGNORECASE
)
REACHES_ANYWHERE = re.compile(r"(INDIRECT|OFFSET|INDEX|\w*LOOKUP|CHOOSE)\(", re.IGNORECASE)
MOST_CELLS = 200  # that an answer may use
MOST_DECIMALS = 12  # to which an answer may have been rounded

# Where everything stands, (row, column) counted from 1, as `sheets.write_your_turn` writes it.
GIVEN_CELLS = {s: (GIVEN_ROW + 1, k) for k, s in enumerate((*INPUTS, *TARGETS, *WEIGHTS), start=1)}
COMPUTED_CELLS = {s: (COMPUTED_ROW + 1, k) for k, s in enumerate(EQUATIONS, start=1)}
ANSWER_ROWS = {s: ANSWERS_FIRST_ROW + k for k, s in enumerate(GRADIENT_SYMBOLS.values(), start=1)}


def check_answers(value, formula):
    """Check the answers on a sheet.

    Args:
        value, formula: functions of (row, column), counted from 1: what stands in a cell,
            and its formula with "=", None where there is none.

    Returns:
        (answers, notes): a list with one dict like a table in `workbooks.check_workbook`,
        its verdicts CORRECT, INCORRECT or NOT DONE, and sentences. No dict if the sheet
        is not ours, or a number that all answers need is missing.
    """
    labels = {(row - 1, column): s for s, (row, column) in (GIVEN_CELLS | COMPUTED_CELLS).items()}
    labels |= {(row, 1): symbol for symbol, row in ANSWER_ROWS.items()}
    for place, symbol in labels.items():
        if str(value(*place)).strip() != symbol.name:
            where = f"{address_of(*place)} should say {symbol.name}"
            return [], [f"{SHEET}: not laid out as in our workbook ({where}). It was not checked."]
    given = {symbol: number_in(value(*place)) for symbol, place in GIVEN_CELLS.items()}
    if absent := [s for s, number in given.items() if not np.isfinite(number)]:
        where = ", ".join(f"{s} ({address_of(*GIVEN_CELLS[s])})" for s in absent)
        return [], [f"{SHEET}: not a number: {where}. Without it the answers were not checked."]
    with np.errstate(all="ignore"):
        right = given | backprop.spreadsheet_row(given)
    if not np.isfinite([*right.values()]).all():
        return [], [f"{SHEET}: its numbers are too large, so the answers were not checked."]
    columns = {
        column_name(symbol): _check_answer(symbol, value(row, ANSWER), formula, right)
        for symbol, row in ANSWER_ROWS.items()
    }
    place = {"sheet": SHEET, "header_row": ANSWERS_FIRST_ROW, "header_column": None}
    place |= {"eta": None, "eta_source": None, "unchecked": []}
    return [{**place, "columns": columns}], _changed(value, right)


def _changed(value, right):
    """Sentences about calculated cells of ours that hold something else now."""
    keys = {symbol: (row, KEY) for symbol, row in ANSWER_ROWS.items()}
    notes = []
    for cells, so in (
        (COMPUTED_CELLS, "an answer that uses them can be wrong because of that"),
        (keys, "the verdicts that the sheet shows do not count"),
    ):
        changed = [s for s, at in cells.items() if not _close(number_in(value(*at)), right[s])]
        if changed:
            where = ", ".join(f"{s} ({address_of(*cells[s])})" for s in changed)
            notes.append(f"{SHEET}: our numbers were changed or are missing: {where}; {so}.")
    return notes


def _close(found, right):
    """Whether a number counts as right: the rule of the sheet."""
    return abs(found - right) <= ANSWER_ABSOLUTE + ANSWER_RELATIVE * abs(right)


def _check_answer(symbol, found, formula, right):
    """The result of one answer, with the keys of a column's result."""
    row = ANSWER_ROWS[symbol]
    text = formula(row, ANSWER)
    empty = found is None or (isinstance(found, str) and not found.strip())
    if empty and text is None:
        return missing_result() | {"verdict": NOT_DONE}
    is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
    result = missing_result() | {"verdict": INCORRECT, "rows_checked": 1}
    result["formula"] = shown(found if text is None else text)
    if is_number and np.isfinite(found) and right[symbol]:
        result["max_relative_error"] = abs(found / right[symbol] - 1)
    if text is not None and (copied := copied_from(row, formula)):
        cause = copied
    elif not is_number:
        cause = _no_number(found, text)
    elif _close(found, right[symbol]):
        cause = "typed as a number, not as a formula" if text is None else None
        return result | {"verdict": CORRECT, "cause": cause}
    else:
        cause = _cause(symbol, found, right)
    cells = {s.name: address_of(*place) for s, place in (GIVEN_CELLS | COMPUTED_CELLS).items()}
    result["expected_formula"] = expected_formula(FORMULAS[symbol], cells)
    return result | {"rows_wrong": 1, "first_wrong": address_of(row, ANSWER), "cause": cause}


def copied_from(row, formula):
    """Say that an answer takes a right value from elsewhere in the workbook, or None.

    The cells that it uses are followed: they may be calculated with help of others.
    """
    key = {(row, KEY) for row in ANSWER_ROWS.values()}
    ours = {*GIVEN_CELLS.values(), *COMPUTED_CELLS.values()}
    wanted, seen = [(row, ANSWER)], set()
    while wanted:
        cell = wanted.pop()
        text = formula(*cell)
        if cell in seen or cell in ours or text is None:
            continue
        seen.add(cell)
        if len(seen) > MOST_CELLS:
            return "it uses too many cells to be checked"
        try:
            tokens = Tokenizer(text).items
        except Exception:  # noqa: BLE001  the text may be anything
            return "its formula cannot be read"
        for token in tokens:
            if token.type == Token.FUNC and REACHES_ANYWHERE.match(token.value):
                return f"it uses {token.value.rstrip('(').upper()}, which can reach any cell"
            if token.type == Token.OPERAND and token.subtype == Token.RANGE:
                cells = _cells_of(token.value)
                if cells is None:
                    return f"it uses {shown(token.value, 40)}, which is no cell of this sheet"
                if key & {*cells}:
                    return "it uses column N, which holds the right values"
                wanted += cells
    return None


def _cells_of(reference):
    """The cells of A5 or A5:B5, (row, column) each; None for something else, or too many."""
    found = REFERENCE.fullmatch(reference)
    if not found:
        return None
    left, top, right, bottom = found.groups()
    columns = sorted(map(column_index_from_string, (left, right or left)))
    rows = sorted((int(top), int(bottom or top)))
    if (columns[1] - columns[0] + 1) * (rows[1] - rows[0] + 1) > MOST_CELLS:
        return None
    return [*itertools.product(range(rows[0], rows[1] + 1), range(columns[0], columns[1] + 1))]


def _no_number(found, formula):
    """Say what stands in place of a number."""
    if found is None:
        return f"its formula carries no value: {RESAVE}"
    if isinstance(found, str) and found.startswith("#"):
        return f"the error {shown(found, 20)} in place of a number"
    if isinstance(found, str) and formula is None:
        if np.isfinite(number_in(found)):
            return "a number that is stored as text"
        if re.search(r"[A-Z]\$?\d", found, re.IGNORECASE):
            return "a text, not a formula: does the = at its beginning lack?"
    return f"no number: '{shown(found, 20)}'"


def _cause(symbol, found, right):
    """The mistake that gives this number, or None."""
    for what, mistaken in catalogue(symbol):
        symbols, function = compile_formula(mistaken)
        with np.errstate(all="ignore"):
            (number,) = function(*(right[s] for s in symbols))
        if _close(found, number):
            return what
    for other, number in right.items():
        if _close(found, number):
            return f"this is {other}"
    for decimals in range(1, MOST_DECIMALS):
        if found == round(float(right[symbol]), decimals):
            return f"rounded to {decimals} decimals"
    return None
