"""Says why a column is wrong, from what stands in its cells: formulas, typed numbers, nothing.

The formulas of a column are compared with the right one in `differences.py`. Where they are
not the same from top to bottom, the cause says from which row on, and how to mend it.
"""

import datetime
import re
from functools import partial

import numpy as np
import sympy
from openpyxl.utils import FORMULAE

import backprop
from grading import parsing
from grading.cells import Formula
from grading.helpers import in_helper
from grading.quantities import GIVEN_NAMES
from grading.reading import absolute, number_in, shown
from grading.repairs import repaired
from grading.rounding import ACCEPTED_DIGITS

LONGEST = 120  # characters of a formula in a sentence
SAME_STEP = 1e-6  # relative: the steps of a series that was filled down
_WORD = re.compile(r"[^\W\d][\w.]*")
_OPERATOR = re.compile(r"[-+*/^(]")
_SQUARE_OF_MINUS = re.compile(r"(?:^|[(*/,^])\s*-\s*\$?[A-Z]{1,3}\$?\d+\s*\^")


class Content:
    """What stands in the wrong cells of a column.

    Args:
        table: a `tables.Table`. reader: its `references.Reader`.
        name: the column. filling: its `filling.Filling`, of all data rows.
        wrong: which rows are wrong, (rows,).
        explain: an expression → its differences from the right one, a tuple of texts.
        wanted: names of the quantities in the right formula.
        right: what the formula should be, an expression; None where any of several will do.
        above: whether the column is calculated from the row above, as the weights are.
    """

    def __init__(self, table, reader, name, filling, wrong, explain, wanted, right=None,
                 above=False):  # fmt: skip
        self.table, self.reader, self.name = table, reader, name
        self.filling, self.wrong = filling, wrong
        self.explain, self.wanted, self.right, self.above = explain, wanted, right, above
        self.used = set()  # names of quantities in the formulas that were read

    def causes(self, typed):
        """Say why, for every kind of content in the wrong rows.

        Args:
            typed: what to say of wrong rows (rows,) without a formula: a text or None.

        Returns:
            A text; "" where every formula is right in itself; None where one cannot be read,
            or where there is none.
        """
        kinds = dict.fromkeys(self.filling.form[self.wrong].tolist())
        if [*kinds] == [-1]:
            return None
        parts = {}  # text → rows
        for form in kinds:
            rows = self.wrong & self.filling.like(form)
            texts = self._of_form(form, rows) if form >= 0 else typed(rows)
            if texts is None:
                return None
            if texts:
                if form >= 0:  # further down, the same formula may give an error
                    rows = rows | self.filling.like(form) & self._errors
                parts[texts] = parts.get(texts, np.zeros_like(rows)) | rows
        if not parts:
            return ""
        parts = [(rows, texts) for texts, rows in parts.items()]
        everywhere = (
            len(parts) == 1 and (self.filling.form == self.filling.form[-1])[self.above :].all()
        )
        if everywhere:
            return parts[0][1]
        return "; ".join(f"{self.where(rows)}: {text}" for rows, text in parts) + self._mend()

    def mended(self, k, cells):
        """The formula in data row k with the smallest change that makes it right, or None.

        Args:
            cells: name of a quantity → its address: see `repairs.repaired`.
        """
        row, column = self.filling.rows[k], self.filling.column
        text, sheet = self.table.sheet.formula_text(row, column), self.table.sheet
        texts = self._differences(k) if text else None
        if not texts or self.right is None or not sheet.as_in_file:
            return None

        def read(formula):
            found = self.reader.read(formula, row, column, k - self.above, self.wanted)
            return found, self.reader.meanings

        return repaired(Formula(text[1:], row, column), texts, self.right, cells, read)

    @property
    def _errors(self):
        """Which cells of the column hold no number, (rows,)."""
        return ~np.isfinite(self.table.values[self.name])

    def without_formula(self, rows, right):
        """Say what stands in rows (rows,) that have no formula; None where it is unknown.

        Args:
            right: see `typed_over`.
        """
        return not_numbers(self.table, self.name, rows) or typed_over(
            self.table, self.name, self.filling, rows, right
        )

    def typed_over(self, right):
        """Say that all wrong cells hold typed numbers, which ones, and how to mend it; or None.

        Args:
            right: see `typed_over`.
        """
        text = typed_over(self.table, self.name, self.filling, self.wrong, right)
        return text and f"{self.where(self.wrong)}: {text}{self._mend()}"

    @property
    def unknown(self):
        """Whether the formulas use cells of which nobody knows what they are."""
        return any(name.startswith("the ") for name in self.used)

    def _of_form(self, form, rows):
        """The differences of one formula, told from the rows in which it stands."""
        ks = np.flatnonzero(rows)
        first = self._differences(ks[0])
        if first is None:
            return None
        texts = [*first]
        if len(ks) > 1:  # in its first row, a reference that moves may still be right
            for text in self._differences(ks[1]) or ():
                if text not in texts and not _same_but_for_row(text, texts):
                    texts.append(text)
        if not texts:
            return ""
        pitfall = _SQUARE_OF_MINUS.search(self.filling.forms[form].text)
        if helper := self._helper(ks[0]):
            text, is_all = helper
            return text if is_all else "; ".join(texts) + text
        hint = " (in a spreadsheet, −x^2 is (−x)²)" if pitfall else self._pasted(form, ks[0])
        hint = self._chosen(ks[0]) or self._named(form, texts) or hint
        return "; ".join(texts) + hint + self._moving(form, ks[0], first)

    def _pasted(self, form, k):
        """Say from which other column of the row above a formula was copied to the side."""
        row, sheet = self.filling.rows[k - 1] if k else None, self.table.sheet
        if row is None or self.filling.like(form).all():
            return ""
        if not _OPERATOR.search(self.filling.forms[form].text):
            return ""  # =A5 may stand anywhere
        theirs = parsing.relative(*self.filling.forms[form])
        for column, name in self.reader.names.items():
            formula = sheet.formulas.get((row, column))
            if formula and column != self.filling.column and parsing.relative(*formula) == theirs:
                address = sheet.address(row, column)
                return f" (it is the formula of {name}, in {address}, copied here)"
        return ""

    def _named(self, form, texts):
        """Say which cell a name of the workbook means, where that is not the right one."""
        formula, names = self.filling.forms[form], self.reader.book.names
        for name in sorted({*_WORD.findall(formula.text.upper())} & {*names}):
            address = names[name].replace("$", "").removeprefix(f"{self.table.sheet.title}!")
            meaning = self.reader.meanings.get(address)
            if any(text.startswith(f"{meaning} in place of") for text in texts):
                return f" (the name {name.lower()} means {address})"
        return ""

    def _chosen(self, k):
        """Say under which condition an IF chooses the branch that is wrong."""
        self._read(k)
        said = [_condition(*one) for one in self.reader.conditions]
        if not said:
            return ""
        return f" (its IF chooses that where {' and '.join(said)})" if all(said) else _IF

    def _helper(self, k):
        """Say in which column of the student's own the mistake is: see `helpers.in_helper`."""
        if self.right is None or self._read(k) is None or not self.reader.inlined:
            return None
        return in_helper(self.reader, partial(self._read, k), self.right, self.explain)

    def _read(self, k, instead=None):
        """The formula in data row k as an expression, or None."""
        row, column = self.filling.rows[k], self.filling.column
        formula = self.table.sheet.formulas[row, column]
        return self.reader.read(formula, row, column, k - self.above, self.wanted, instead)

    def _differences(self, k):
        expression = self._read(k)
        if expression is None:
            return None
        self.used |= {symbol.name for symbol in expression.free_symbols}
        return self.explain(expression)

    def _moving(self, form, k, texts):
        """Name a reference out of the table that should not move down with the row."""
        same = np.flatnonzero(self.filling.like(form))
        start = same[same >= self.above][0]
        if start == k:
            start, k = k, next((other for other in same if other > k), k)
            texts = self._differences(k) or ()
        before = self._differences(start) or ()
        if start == k or texts == before:
            return ""
        parsed = self.filling.parsed(form, self.reader.book.names)
        row, column = self.filling.rows[start], self.filling.column
        moving = []
        for reference in parsed.references.values():
            place = reference.cell(row, column)
            sheet = self.reader.book.sheet(reference.sheet) if reference.sheet else self.table.sheet
            own = sheet is self.table.sheet and place[1] in self.reader.names
            in_table = own and place[0] in self.reader.index
            if not (reference.row_fixed or in_table or place[0] == row):
                moving.append(self.reader.address(sheet, *place))
        if not moving:
            return ""
        mend = ""
        if not before:  # it was right there
            mend = f": write {', '.join(map(absolute, moving))}"
        return f" ({', '.join(moving)} moves down with the row{mend})"

    def where(self, rows):
        """Which rows, in words: from AB35 on; in AB7; in AB7 to AB9."""
        first, last = np.flatnonzero(rows)[[0, -1]]
        start, end = self.table.address(self.name, first), self.table.address(self.name, last)
        if first == last:
            return f"in {start}"
        if not rows[first : last + 1].all():
            return f"in {rows.sum()} cells, the first {start}"
        return f"from {start} on" if last == len(rows) - 1 else f"from {start} to {end}"

    def _mend(self):
        """What stood above the first wrong row, and that it is to be copied."""
        first = int(self.wrong.argmax())
        right = ~self.wrong & (self.filling.form >= 0)
        source = next((k for k in range(first - 1, -1, -1) if right[k]), None)
        where = "above" if source is not None else "below"
        if source is None:
            source = next((k for k in range(first, len(right)) if right[k]), None)
        if source is None:
            return ""
        text = self.table.sheet.formula_text(self.filling.rows[source], self.filling.column)
        address = self.table.address(self.name, source)
        return f". The formula {where}, {shown(text, LONGEST)}, is right: copy {address} over them"


_IF = " (its IF chooses that here)"
_IN_WORDS = {"<>": "≠", "<=": "≤", ">=": "≥"}


def _condition(condition, true):
    """The condition of an IF, or its opposite where it is not true; None if it is no comparison."""
    if condition.func is not parsing.Compared or condition.has(sympy.nan):
        return None
    operator, left, right = condition.args
    sign = operator.name if true else parsing.OPPOSITE[operator.name]
    return f"{backprop.to_text(left)} {_IN_WORDS.get(sign, sign)} {backprop.to_text(right)}"


def _same_but_for_row(text, others):
    """Whether one of some texts says the same of another row."""
    bare = text.translate(_NO_DIGITS)
    return any(bare == other.translate(_NO_DIGITS) and "cell" in text for other in others)


_NO_DIGITS = str.maketrans("", "", "0123456789")


def not_numbers(table, name, wrong):
    """Empty cells, text, errors and dates in place of numbers, if all wrong rows have them."""
    raw = [table.raw[name][k] for k in np.flatnonzero(wrong)]
    if np.isfinite(table.stated.get(name, table.values[name])[wrong]).any():
        return None
    first = table.address(name, int(wrong.argmax()))
    if all(value is None for value in raw):
        below = wrong[wrong.argmax() :].all() and not wrong[0]
        return f"not copied down: empty from {first} on" if below else "cells are empty"
    value = next(value for value in raw if value is not None)
    if isinstance(value, (datetime.date, datetime.time)):
        return "a date in place of a number"
    if isinstance(value, str) and value.startswith("#"):
        return f"the error {shown(value, 20)} in place of a number{_why(table, name, wrong)}"
    if isinstance(value, (int, float)):
        return "a number that is too large"
    return f"text in place of a number: '{shown(value, 20)}'"


def _why(table, name, wrong):
    """What may have led to an error: a function that does not exist, a text in the row."""
    k = next(k for k in np.flatnonzero(wrong) if table.raw[name][k] is not None)
    formula = table.sheet.formulas.get((table.rows[k], table.columns[name]))
    called = set(_CALL.findall(formula.text.upper())) if formula else set()
    if unknown := sorted(called - FORMULAE - {"_XLFN"}):
        return f": there is no function {unknown[0]}"
    texts = [
        n
        for n in sorted(GIVEN_NAMES & table.columns.keys())
        if isinstance(table.raw[n][k], str) and np.isfinite(number_in(table.raw[n][k]))
    ]
    if texts:
        return f": {texts[0]} in {table.address(texts[0], k)} is a text, not a number"
    return ""


_CALL = re.compile(r"(?<![\w.])([A-Z][A-Z0-9.]*)\(")


def typed_over(table, name, filling, wrong, right):
    """Numbers in the wrong rows where other rows of the column have formulas.

    Args:
        right: what the formula would give, (rows,), to find numbers that were rounded.
    """
    live = filling.form >= 0
    if not live.any() or live[wrong].any():
        return None
    got, first = table.values[name], int(wrong.argmax())
    if first and wrong[first:].all() and (got[first:] == got[first - 1]).all():
        return f"the number of {table.address(name, first - 1)} is repeated, not its formula"
    steps = np.diff(got[wrong])
    if len(steps) > 1 and steps[0] and np.allclose(steps, steps[0], rtol=SAME_STEP, atol=0):
        return f"filled down as a series, {steps[0]:+.3g} a row, not by the formula".replace(
            "-", "−"
        )
    for decimals in range(1, ACCEPTED_DIGITS):
        if np.array_equal(got[wrong], np.round(right[wrong], decimals)):
            return f"rounded to {decimals} decimals and typed over the formula"
    if wrong.sum() == 1:
        return f"{got[first]:.6g} is typed over the formula"
    return "numbers typed over the formulas"
