"""Lesson 1: checks anybody's workbook for this network: what is wrong, from which row, and why.

The loss falls even when a gradient is wrong, so nobody sees it. This module finds the
table of `backprop.py`'s network in any sheet, by its headers, and compares every row
with what the row's own inputs, targets and weights give. For a column that is wrong it
tries the mistakes people make (`RULES`), each derived from the network's equations, and
names the one that gives the same numbers.

    python workbook.py check FILE… [--json] [--csv OUT]

A file may be hostile: nothing in it is run, and each is read in a process of its own
with a limit on time and memory.
"""

import datetime
import itertools
import multiprocessing
import os
import re
import unicodedata
import warnings
import zipfile
from decimal import Decimal
from functools import cache

import numpy as np
import openpyxl
import pandas as pd
import sympy
from defusedxml.common import DefusedXmlException
from openpyxl.utils import get_column_letter
from pebble import ProcessExpired, ProcessPool
from tqdm import tqdm

import backprop
from backprop import EQUATIONS, GRADIENTS, INPUTS, TARGETS, WEIGHTS

try:
    import resource
except ImportError:  # Windows: the limits on size below still hold
    resource = None

# What one file may use. Our own workbook with 1,000 epochs has 240,000 cells, 18 MB of XML.
SECONDS = 10
MEMORY = 700 * 2**20  # on top of the 200 to 300 MB that a process needs to start
UNPACKED_BYTES = 40 * 2**20
CELLS = 250_000

# A number is right when rounding explains its distance from ours: rounding of this cell
# and of every cell that it is computed from, carried through the formula. Spreadsheets
# store at least 15 digits. A column that holds fewer than 10 was rounded, and its rounding
# is allowed for, up to 6 digits; coarser rounding counts as wrong.
STORED = 5e-15
ROUNDED_DIGITS, ACCEPTED_DIGITS = 9, 6
RELATIVE = 1e-9  # another order of the same operations, with room

E_TOTAL = backprop.E_total
SYMBOLS = [*TARGETS, *INPUTS, *WEIGHTS]  # what a row must give
FORMULAS = {  # computed column → its right-hand side
    **EQUATIONS,
    **{backprop.partial(E_TOTAL, weight): formula for weight, formula in GRADIENTS.items()},
}
UPDATES = {weight: sympy.Symbol(f"update {weight}") for weight in WEIGHTS}
ETA = sympy.Symbol("eta")


def column_name(symbol):
    """The name of a column in results: h1, E_total, dE/dw1, update w1."""
    return str(symbol).replace("∂", "d")


COLUMN_NAMES = [column_name(symbol) for symbol in (*FORMULAS, *UPDATES.values())]


# --- Reading a file that may be hostile --------------------------------------------


class Unreadable(Exception):
    """A file that could not be checked; the message says why and what to do."""


RESAVE = "open it in Excel or LibreOffice, save it as .xlsx, and check it again"


def _look_at_container(path):
    """Refuse what is no workbook, or too large, before anything in it is parsed.

    Returns:
        Notes on what is in the file and was left alone.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise Unreadable("It cannot be opened: it is no file.")
    try:
        with open(path, "rb") as file:
            start = file.read(8)
            if start == bytes.fromhex("D0CF11E0A1B11AE1"):  # an OLE container
                locked = "EncryptedPackage".encode("utf-16-le") in start + file.read(UNPACKED_BYTES)
                if locked:
                    raise Unreadable(
                        "It is encrypted: open it with its password, save it without, and check again."
                    )
                raise Unreadable(f"It is an old .xls file: {RESAVE}.")
    except OSError as error:
        raise Unreadable(f"It cannot be opened: {error.strerror}.") from None
    if not start:
        raise Unreadable("The file is empty.")
    if not zipfile.is_zipfile(path):
        raise Unreadable(f"It is not an .xlsx workbook, whatever its name says: {RESAVE}.")
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        names = {part.filename for part in parts}
        size = sum(part.file_size for part in parts)
    if "xl/workbook.bin" in names:
        raise Unreadable(f"It is a binary workbook (.xlsb): {RESAVE}.")
    if not {"[Content_Types].xml", "_rels/.rels"} <= names:
        raise Unreadable(f"It is a zip file, but not an .xlsx workbook: {RESAVE}.")
    if size > UNPACKED_BYTES or len(parts) > 2000:
        raise Unreadable(
            f"It is too large: {size / 2**20:,.0f} MB unpacked in {len(parts):,} parts; at most "
            f"{UNPACKED_BYTES // 2**20} MB are read. Keep the sheets with the table only."
        )
    notes = []
    if any(name.endswith("vbaProject.bin") for name in names):
        notes.append("it holds macros; they were not run")
    if any(name.startswith("xl/externalLinks/") for name in names):
        notes.append("it links to other files; they were not opened")
    return notes


def _read_sheets(path, values):
    """Read the cells: a dict sheet name → {row number: tuple of cells}, both from 1.

    Args:
        values: the values stored when the file was saved, or else the formulas.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about styles and extensions that are not read
        book = openpyxl.load_workbook(path, read_only=True, data_only=values, keep_links=False)
        sheets, count = {}, 0
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # a file may claim any size
            rows = {}
            for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
                if not row:
                    continue
                count += len(row)
                if count > CELLS:
                    raise Unreadable(
                        f"It is too large: more than {CELLS:,} cells. "
                        "Keep the sheets with the table only."
                    )
                rows[number] = row
            name = sheet.title + (" (hidden)" if sheet.sheet_state != "visible" else "")
            sheets[name] = rows
        book.close()
    return sheets


def _cell(rows, number, column):
    row = rows.get(number, ())
    return row[column - 1] if 0 < column <= len(row) else None


def _address(row, column):
    return f"{get_column_letter(column)}{row}"


_NUMBER = re.compile(r"\s*[-+]?(\d+[.,]?\d*|[.,]\d+)(e[-+]?\d+)?\s*", re.IGNORECASE)


def _number(value):
    """A cell's value as a float; NaN for empty, text, errors, dates. Text of a number counts."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and len(value) < 40 and _NUMBER.fullmatch(value):
        return float(value.replace(",", "."))
    return np.nan


# --- Finding the tables ------------------------------------------------------------

# What a header may say, once it has only small letters and digits: see `_plain`.
_LOSS = "e|err|error|loss|cost|j"
HEADERS = {
    "eta": "eta|lr|learningrate|alpha",
    r"t\1": r"(?:t|y|target|targeto|targ)([12])",
    r"i\1": r"(?:i|x|in|input|inp)([12])",
    r"w\1": r"w(?:eight)?([1-8])",
    r"h\1": r"(?:neth|inh|zh|h)([12])",
    r"a_h\1": r"(?:a|out|act|activation|sigma|sigmoid|sig|s)h([12])",
    r"o\1": r"(?:neto|ino|zo|o)([12])",
    r"a_o\1": r"(?:a|out|act|activation|sigma|sigmoid|sig|s)o([12])",
    r"E\1": rf"(?:{_LOSS})o?([12])",
    "E_total": rf"(?:{_LOSS})(?:t|tot|total)?|(?:total|tot|sum)(?:{_LOSS})",
    r"∂E/∂w\1": rf"(?:d(?:(?:{_LOSS})(?:t|tot|total)?d?)?|(?:grad(?:ient)?|nabla)(?:of)?)w([1-8])",
}


@cache
def _plain(text):
    """A header in small letters and digits: "∂E_total / ∂w₁" → "detotaldw1"."""
    text = unicodedata.normalize("NFKC", text)  # also turns ₁ into 1
    for sign, name in {
        "∂": "d",
        "δ": "d",
        "∇": "nabla",
        "σ": "sigma",
        "η": "eta",
        "α": "alpha",
    }.items():
        text = text.replace(sign, name)
    return re.sub(r"[^a-z0-9]", "", text.lower())


@cache
def _canonical(text):
    """The column that a header names, in the spelling of `backprop.COLUMNS`, or None."""
    if len(text) > 40:
        return None
    for name, pattern in HEADERS.items():
        if found := re.fullmatch(pattern, _plain(text)):
            return found.expand(name)
    return None


COMPUTED = {str(symbol) for symbol in FORMULAS}
GIVEN = {str(symbol) for symbol in SYMBOLS}


def _find_headers(rows):
    """Yield (row number, {canonical name: column}) for every header row of a table.

    Where a name comes a second time in a row, another table begins.
    """
    for number, row in rows.items():
        found = {}
        named = [(c, _canonical(v)) for c, v in enumerate(row, start=1) if isinstance(v, str)]
        for column, name in [*((c, n) for c, n in named if n), (None, None)]:
            if name is None or name in found:
                if len(found) >= 8 and found.keys() & COMPUTED and found.keys() & GIVEN:
                    yield number, found
                found = {}
            found[name] = column


class Table:
    """One table: where its columns are, and its numbers, an array a column.

    Attributes:
        sheet, header_row: where it stands.
        columns: canonical name → column number.
        rows: the row numbers that hold data.
        values: canonical name → float array (rows,); NaN where there is no number.
        cells: canonical name → the single cell that gives it for all rows.
        raw: (canonical name, k) → the value as it was read.
    """

    def __init__(self, sheet, header_row, columns, rows, last_row):
        self.sheet, self.header_row, self.columns = sheet, header_row, columns
        self.cells = {}
        given = [columns[name] for name in columns if name in GIVEN]
        numbers = [n for n in rows if header_row < n <= last_row]
        self.rows = [  # a note or an average under the table is no row of it
            n for n in numbers if sum(_cell(rows, n, c) is not None for c in given) > len(given) / 2
        ]
        self.raw = {name: [_cell(rows, n, c) for n in self.rows] for name, c in columns.items()}
        self.values = {
            name: np.array([*map(_number, raw)], float) for name, raw in self.raw.items()
        }
        if "eta" in columns and not np.isfinite(self.values["eta"]).all():  # a label in that row
            self.columns = {name: c for name, c in columns.items() if name != "eta"}
        for name in sorted(GIVEN - columns.keys()):  # perhaps it stands once, beside a label
            for cell, value in _labelled(rows, lambda text, name=name: _canonical(text) == name):
                self.cells[name] = cell
                self.values[name] = np.full(len(self.rows), value)
                break

    def address(self, name, k):
        """The address of a column's cell in data row k; a single cell is absolute."""
        if name in self.cells:
            return re.sub(r"([A-Z]+)(\d+)", r"$\1$\2", self.cells[name])
        return _address(self.rows[k], self.columns[name])


def _labelled(rows, is_label):
    """Yield (address, value) of the number to the right of a label, or else below it."""
    for number, row in rows.items():
        for column, text in enumerate(row, start=1):
            if isinstance(text, str) and is_label(text):
                for place in ((number, column + 1), (number, column + 2), (number + 1, column)):
                    value = _number(_cell(rows, *place))
                    if np.isfinite(value):
                        yield _address(*place), value
                        break


def _find_tables(sheets):
    """All tables that can be checked, and sentences about those that cannot."""
    tables, problems = [], []
    for sheet, rows in sheets.items():
        headers = [*_find_headers(rows)]
        for number, columns in headers:
            span = range(min(columns.values()), max(columns.values()) + 1)
            later = [n for n, c in headers if n > number and any(k in span for k in c.values())]
            last_row = min(later, default=max(rows) + 1) - 1
            table = Table(sheet, number, columns, rows, last_row)
            where = f"{sheet}, row {number}"
            if missing := [str(s) for s in SYMBOLS if str(s) not in table.values]:
                problems.append(
                    f"The table in {where} has no column, and no labelled cell, for "
                    f"{', '.join(missing)}: without them its rows cannot be computed."
                )
            elif table.rows:
                tables.append(table)
            else:
                problems.append(f"The table in {where} has a header, but no numbers under it.")
    return tables, problems


# --- The learning rate -------------------------------------------------------------

_RATE = re.compile(
    r"(?:η|α|\beta|\balpha|\blr|learning[ _-]*rate)[^0-9\w.,-]*(\d*[.,]?\d+(?:e-?\d+)?)",
    re.IGNORECASE,
)


def _rate_candidates(table, rows, alone):
    """Yield (η, where it stands), the likeliest first. `alone`: no other table in the sheet."""
    span = range(min(table.columns.values()) - 1, max(table.columns.values()) + 1)  # and epoch
    labels = [*_labelled(rows, lambda text: re.fullmatch(HEADERS["eta"], _plain(text)))]
    texts = []
    for number, row in rows.items():
        for column, text in enumerate(row, start=1):
            if isinstance(text, str) and len(text) < 80 and (found := _RATE.search(text)):
                texts.append((f"the text in {_address(number, column)}", _number(found[1]), column))
    above = [(cell, value) for cell, value, column in texts if column in span]
    name = _RATE.search(table.sheet)
    if alone:
        yield from ((value, cell) for cell, value in labels)
        yield from ((value, cell) for cell, value in above)
        if name:
            yield _number(name[1]), "the sheet's name"
        yield from ((value, cell) for cell, value, column in texts if column not in span)
    else:
        yield from ((value, cell) for cell, value in above)
        if name:
            yield _number(name[1]), "the sheet's name"
        yield from ((value, cell) for cell, value in labels)


# --- The mistakes people make ------------------------------------------------------
# Every rule changes one node of a right formula's tree into what people write there. A
# new mistake is one more line in RULES.

SIGMOIDS = {  # a_h1 → h1, and so on
    output: inner
    for inner, output in itertools.pairwise(EQUATIONS)
    if EQUATIONS[output].has(sympy.exp)
}
ALIKE = (TARGETS, INPUTS, WEIGHTS, tuple(SIGMOIDS), tuple(SIGMOIDS.values()))


def _others(symbol):
    """The symbols that are taken for this one: those alike, h1 for a_h1, a_h1 for h1."""
    for alike in ALIKE:
        if symbol in alike:
            yield from (other for other in alike if other != symbol)
    for pair in SIGMOIDS.items():
        if symbol in pair:
            yield from (other for other in pair if other != symbol)


def _mix_up(node):
    """Another symbol in every place of one of the formula's symbols."""
    for symbol in sorted(node.free_symbols, key=str):
        for other in _others(symbol):
            yield (other, symbol), node.xreplace({symbol: other})


def _exchange(node):
    """Two symbols that are alike, each in the other's places."""
    for one, other in itertools.combinations(sorted(node.free_symbols, key=str), 2):
        if any({one, other} <= set(alike) for alike in ALIKE):
            yield (one, other), node.xreplace({one: other, other: one})


def _leave_out(node):
    """A sum or product without one of its parts."""
    for part in node.args:
        rest = list(node.args)
        rest.remove(part)
        if part != -1 and rest != [-1]:
            yield _unsigned(part), node.func(*rest)


def _open_product(node):
    """A product as a spreadsheet takes it without the parentheses around a sum in it."""
    for factor in node.args:
        rest = list(node.args)
        rest.remove(factor)
        total, power = factor.as_base_exp()
        if total.is_Add:
            for first, *middle, last in itertools.permutations(total.args):
                for flags in itertools.product((True, False), repeat=len(rest)):
                    before = sympy.Mul(*itertools.compress(rest, flags))
                    after = sympy.Mul(*itertools.compress(rest, (not f for f in flags)))
                    yield total, sympy.Add(before * first, *middle, last**power * after)


def _open_power(node):
    """A square, or a reciprocal, without the parentheses around the sum under it."""
    for first, last in itertools.permutations(node.base.args):
        yield node.base, 1 / first + last if node.exp == -1 else first + last**node.exp


def _unsigned(term):
    return -term if term.as_coeff_Mul()[0] < 0 else term


def _tanh_slope(node):
    for a in SIGMOIDS:
        if {a, 1 - a} <= set(node.args):
            yield a, node / (1 - a) / a * (1 - a**2)


NODES = {  # where a rule applies
    "whole": lambda n: False,  # the whole formula only
    "symbol": lambda n: n.is_Symbol,
    "sum": lambda n: n.is_Add,
    "product": lambda n: n.is_Mul,
    "product of two": lambda n: n.is_Mul and len(n.args) == 2 and all(a.is_Symbol for a in n.args),
    "half": lambda n: (
        n.is_Mul and any(a.is_number and a.doit() == sympy.Rational(1, 2) for a in n.args)
    ),
    "square": lambda n: n.is_Pow and n.exp == 2,
    "power of a sum": lambda n: n.is_Pow and n.base.is_Add,
    "sigmoid": lambda n: n.is_Pow and n.exp == -1 and n.has(sympy.exp),
    "exponential": lambda n: n.func == sympy.exp,
}
RULES = (  # where, what happened, node → what it happened to and the mistaken node
    ("whole", "{} in place of {}", _mix_up),
    ("whole", "{} and {} are exchanged", _exchange),
    ("symbol", "{} in place of {}, once", lambda n: [((s, n), s) for s in _others(n)]),
    ("whole", "the sign is flipped", lambda n: [(n, -n)]),
    ("product", "the factor {} is forgotten", _leave_out),
    ("product", "the parentheses around {} are missing", _open_product),
    ("power of a sum", "the parentheses around {} are missing", _open_power),
    ("sum", "the sign of {} is flipped", lambda n: [(_unsigned(a), n - 2 * a) for a in n.args]),
    ("sum", "the term {} is forgotten", _leave_out),
    ("sum", "a product in place of {}", lambda n: [(n, sympy.Mul(*map(_unsigned, n.args)))]),
    ("product of two", "a sum in place of {}", lambda n: [(n, sympy.Add(*n.args))]),
    ("product", "1 − {}², the slope of tanh, in place of the sigmoid's", _tanh_slope),
    ("square", "the square is forgotten", lambda n: [(n, n.base)]),
    ("square", "doubled in place of squared", lambda n: [(n, 2 * n.base)]),
    ("half", "multiplied by 2 in place of ½", lambda n: [(n, 4 * n)]),
    ("exponential", "the minus in the exponent is forgotten", lambda n: [(n, 1 / n)]),
    ("exponential", "the exponential is forgotten", lambda n: [(n, n.args[0])]),
    ("sigmoid", "the reciprocal is forgotten", lambda n: [(n, 1 / n)]),
    ("sigmoid", "tanh in place of the sigmoid", lambda n: [(n, sympy.tanh(*n.free_symbols))]),
    ("sigmoid", "no sigmoid: {} itself", lambda n: [(s, s) for s in n.free_symbols]),
    ("whole", "twice the right value", lambda n: [(n, 2 * n)]),
    ("whole", "half of the right value", lambda n: [(n, n / 2)]),
)


def _mistaken(node, rule, whole=True):
    """Yield (what happened, mistaken formula) for one rule at every node of a formula."""
    where, what, change = rule
    if NODES[where](node) or (whole and where == "whole"):
        for detail, changed in change(node):
            details = detail if isinstance(detail, tuple) else (detail,)
            yield what.format(*map(backprop.to_text, details)), changed
    for k, argument in enumerate(node.args):
        for text, changed in _mistaken(argument, rule, whole=False):
            yield text, node.func(*node.args[:k], changed, *node.args[k + 1 :])


@cache
def catalogue(symbol):
    """The mistaken formulas of a computed column: a list of (what happened, formula).

    Formulas that give equal numbers are one mistake and stand there once, the likelier
    description first; those that give the right numbers are left out.
    """
    found = [("", FORMULAS[symbol])]
    for rule in RULES:
        found += _mistaken(FORMULAS[symbol], rule)
    known = {*SYMBOLS, *itertools.takewhile(lambda other: other != symbol, FORMULAS)}
    found = [(what, formula) for what, formula in found if formula.free_symbols <= known]
    symbols, function = _compile([formula for _, formula in found])
    # Any two sets of numbers that have nothing to do with each other.
    probe = (
        np.sqrt([[2, 3], [5, 7]]) % 1 + 0.1 * np.sqrt(1 + np.arange(len(symbols)))[:, None, None]
    )
    with np.errstate(all="ignore"):
        values = function(*probe)
    seen, kept = set(), []
    for (what, formula), value in zip(found, values):
        key = tuple(f"{v:.9e}" for v in np.broadcast_to(value, (2, 2)).flat)
        if key not in seen and np.isfinite(value).all():
            seen.add(key)
            kept.append((what, formula))
    return kept[1:]


def _compile(formulas):
    """(symbols, function of their values → list of the formulas' values)."""
    symbols = sorted(set().union(*(formula.free_symbols for formula in formulas)), key=str)
    limited = {"exp": lambda x: np.exp(np.minimum(x, backprop.EXP_LIMIT))}
    return symbols, sympy.lambdify(symbols, formulas, modules=[limited, "numpy"])


@cache
def _right(symbol):
    return _compile([FORMULAS[symbol]])


@cache
def _right_and_mistaken(symbol):
    return _compile([FORMULAS[symbol], *(formula for _, formula in catalogue(symbol))])


# --- Comparing ---------------------------------------------------------------------


def _uncertainty(values, exact_first=False):
    """How far each stored number of a column may be from the number that was calculated."""
    sizes = np.abs(values)
    stored = STORED * sizes
    known = values[1 if exact_first else 0 :]
    known = [Decimal(repr(float(v))).normalize().as_tuple() for v in known if np.isfinite(v) and v]
    if not known:
        return stored
    decimals = max(-number.exponent for number in known)
    digits = max(len(number.digits) for number in known)
    rounding = np.zeros(len(values))
    if decimals <= ROUNDED_DIGITS:
        rounding += 0.5 * 10.0 ** -max(decimals, ACCEPTED_DIGITS)
    if digits <= ROUNDED_DIGITS:
        leading = np.floor(np.log10(np.where(sizes > 0, sizes, 1))) + 1
        rounding = np.maximum(rounding, 0.5 * 10.0 ** (leading - max(digits, ACCEPTED_DIGITS)))
    if exact_first:
        rounding[0] = 0
    return np.maximum(stored, rounding)


def _propagate(function, values, uncertainty):
    """Evaluate `function` and how far its outputs move when its arguments do.

    Args:
        function: takes one array an argument, returns a sequence of outputs.
        values, uncertainty: lists of arrays (rows,), one an argument.

    Returns:
        (outputs, tolerances), arrays (outputs, rows).
    """
    moved = [np.tile(v, (len(values) + 1, 1)) for v in values]  # the first line is not moved
    for k, distance in enumerate(uncertainty):
        moved[k][k + 1] += distance
    with np.errstate(all="ignore"):
        outputs = [np.broadcast_to(o, moved[0].shape) for o in function(*moved)]
        outputs = np.array(outputs, float)
        here = outputs[:, 0]
        return here, 2 * np.abs(outputs[:, 1:] - here[:, None]).sum(1) + RELATIVE * np.abs(here)


class _Checked:
    """A table, what its rows give, and the verdicts so far."""

    def __init__(self, table):
        self.table = table
        self.values, self.uncertainty = {}, {}
        for name, values in table.values.items():
            if name in COMPUTED or name[0] == "w":
                self.uncertainty[name] = _uncertainty(values, exact_first=name in GIVEN)
            else:  # inputs and targets are what they are
                self.uncertainty[name] = STORED * np.abs(values)
        given = [table.values[str(s)] for s in SYMBOLS]
        self.checkable = np.isfinite(given).all(0)
        right, tolerance = _propagate(
            backprop.spreadsheet_row, given, [self.uncertainty[str(s)] for s in SYMBOLS]
        )
        self.right = dict(zip(map(str, FORMULAS), right))
        self.tolerance = dict(zip(map(str, FORMULAS), tolerance))
        # What a cell is calculated from: the table's own cells, where they are numbers.
        self.own = {name: table.values[name] for name in GIVEN}
        for symbol in FORMULAS:
            name = str(symbol)
            symbols, function = _right(symbol)
            arguments = [self.own[str(s)] for s in symbols]
            moves = [self.uncertainty[str(s)] for s in symbols]
            (derived,), (distance,) = _propagate(function, arguments, moves)
            cells = table.values.get(name, np.full(len(derived), np.nan))
            self.own[name] = np.where(np.isfinite(cells), cells, derived)
            self.uncertainty[name] = np.where(
                np.isfinite(cells), self.uncertainty.get(name, 0), distance
            )
        self.wrong = []  # columns, in the order of calculation


def _missing():
    return {
        "verdict": "missing",
        "rows_checked": 0,
        "rows_wrong": 0,
        "first_wrong": None,
        "formula": None,
        "expected_formula": None,
        "max_relative_error": None,
        "cause": None,
    }


def _verdict(got, want, tolerance, rows):
    """Compare; `rows` says which rows can be checked. Returns (column result, wrong rows)."""
    with np.errstate(all="ignore"):
        wrong = rows & ~(np.abs(got - want) <= tolerance)
        error = np.abs(got - want) / np.abs(want)
    result = _missing() | {"verdict": "wrong" if wrong.any() else "right"}
    result |= {"rows_checked": int(rows.sum()), "rows_wrong": int(wrong.sum())}
    error = error[(wrong if wrong.any() else rows) & np.isfinite(error)]
    result["max_relative_error"] = float(error.max()) if len(error) else None
    return result, wrong


def _check_column(checked, symbol, formulas):
    """One computed column. `formulas()` gives the sheet's formulas, read when needed."""
    table, name = checked.table, str(symbol)
    if name not in table.columns:
        return _missing()
    got, want = table.values[name], checked.right[name]
    tolerance = checked.tolerance[name] + checked.uncertainty[name]
    result, wrong = _verdict(got, want, tolerance, checked.checkable)
    if wrong.any():
        first = int(wrong.argmax())
        cells = {s: table.address(s, first) for s in (*table.columns, *table.cells)}
        result["first_wrong"] = table.address(name, first)
        result["formula"] = _typed(formulas(), table, name, first)
        result["expected_formula"] = _expected(FORMULAS[symbol], cells)
        result["cause"] = _cause(checked, symbol, got, wrong, formulas())
        checked.wrong.append(name)
    return result


def _typed(formulas, table, name, k):
    """What stands in a cell: its formula, else its value, as text."""
    content = _cell(formulas, table.rows[k], table.columns[name])
    content = getattr(content, "text", content)  # an array formula
    return None if content is None else str(content)


def _is_formula(content):
    return hasattr(content, "text") or str(content).startswith("=")


def _expected(formula, cells):
    """The right formula in the sheet's own addresses; a quantity without a column is put in."""
    while absent := [s for s in formula.free_symbols if str(s) not in cells]:
        formula = formula.xreplace({s: FORMULAS[s] for s in absent})
    return "=" + backprop.to_excel(formula).format(**cells)


def _cause(checked, symbol, got, wrong, formulas):
    """Say why a column is wrong: what gives its numbers in every wrong row; None if nothing does."""
    table, name = checked.table, str(symbol)
    used = [str(s) for s in FORMULAS[symbol].free_symbols if str(s) in table.columns]
    follows = f"right in itself: it follows from {_and([w for w in checked.wrong if w in used])}"
    symbols, function = _right_and_mistaken(symbol)
    own = [checked.own[str(s)] for s in symbols]
    moves = [checked.uncertainty[str(s)] for s in symbols]
    outputs, tolerances = _propagate(function, own, moves)
    broken = ~np.isfinite([outputs[0], *(table.values[u] for u in used)]).all(0)
    unexplained = wrong & ~(broken & ~np.isfinite(got))  # an error goes on to its users
    if not unexplained.any():
        return follows
    if what := _not_numbers(table, name, unexplained):
        return what
    slack = checked.uncertainty[name]

    def fits(values, tolerance):
        with np.errstate(all="ignore"):
            return bool((np.abs(got - values) <= tolerance + slack)[unexplained].all())

    if fits(outputs[0], tolerances[0]):
        return follows
    if typed := _typed_over(table, name, wrong, formulas):
        return typed
    if misplaced := _misplaced(checked, symbol, fits):
        return misplaced
    for (what, _), values, tolerance in zip(catalogue(symbol), outputs[1:], tolerances[1:]):
        if fits(values, tolerance):
            return what
    for decimals in range(1, ACCEPTED_DIGITS):
        if fits(np.round(checked.right[name], decimals), 1e-12):
            return f"rounded to {decimals} decimals"
    return None


def _and(names):
    return " and ".join(column_name(name) for name in names) or "an earlier column"


def _not_numbers(table, name, wrong):
    """Empty cells, text, errors and dates in place of numbers, if all wrong rows have them."""
    raw = [table.raw[name][k] for k in np.flatnonzero(wrong)]
    if np.isfinite(table.values[name][wrong]).any():
        return None
    first = table.address(name, int(wrong.argmax()))
    if all(value is None for value in raw):
        below = wrong[wrong.argmax() :].all() and not wrong[0]
        return f"not copied down: empty from {first} on" if below else "cells are empty"
    value = next(value for value in raw if value is not None)
    if isinstance(value, (datetime.date, datetime.time)):
        return "a date in place of a number"
    if isinstance(value, str) and value.startswith("#"):
        return f"the error {value[:20]} in place of a number"
    return f"text in place of a number: {str(value)[:20]!r}"


def _typed_over(table, name, wrong, formulas):
    """Numbers in the wrong rows where other rows of the column have formulas."""
    column = table.columns[name]
    live = np.array([_is_formula(_cell(formulas, n, column)) for n in table.rows])
    if not live.any() or live[wrong].any():
        return None
    got, first = table.values[name], int(wrong.argmax())
    if first and wrong[first:].all() and (got[first:] == got[first - 1]).all():
        return f"not copied down: {table.address(name, first - 1)} is repeated as a number"
    return "numbers typed over the formulas"


def _misplaced(checked, symbol, fits):
    """References that do not move down with the row, or point to another row."""
    symbols, function = _right(symbol)
    own = {s: checked.own[str(s)] for s in symbols}
    weights = [s for s in symbols if s in WEIGHTS]
    groups = [(symbols, "the whole formula"), (weights, _and(map(str, weights)))]
    groups += [([s], str(s)) for s in symbols]
    count = len(checked.checkable)
    for take, where in (
        (np.zeros(count, int), "the first row"),
        (np.arange(count) - 1, "the row above"),
    ):
        for group, who in groups:
            moved = [v[np.maximum(take, 0)] if s in group else v for s, v in own.items()]
            moves = [checked.uncertainty[str(s)] for s in symbols]
            (values,), (tolerance,) = _propagate(function, moved, moves)
            if fits(values, tolerance):
                absolute = ", as with an absolute reference" if where == "the first row" else ""
                return f"{who} is taken from {where}{absolute}".replace(
                    "the whole formula is taken from the first row", "every row repeats the first"
                )
    return None


# --- The update of the weights -----------------------------------------------------

w, g, w_first, g_first, g_next, w_other, g_other = sympy.symbols(
    "w g w_first g_first g_next w_other g_other"
)
UPDATE = w - ETA * g
UPDATE_MISTAKES = {  # g is ∂E/∂w; `other` is another weight, and {other} its name
    "not updated: the weight above is repeated": w,
    "η times the gradient is added, not subtracted": w + ETA * g,
    "the learning rate is forgotten": w - g,
    "the learning rate is forgotten, and the gradient added": w + g,
    "the old weight is forgotten": -ETA * g,
    "divided by the learning rate": w - g / ETA,
    "the learning rate is squared": w - ETA**2 * g,
    "parentheses around w − η": (w - ETA) * g,
    "multiplied by the old weight": w * ETA * g,
    "η is subtracted, without the gradient": w - ETA,
    "w is taken from the first row, as with an absolute reference": w_first - ETA * g,
    "the gradient is taken from the first row, as with an absolute reference": w - ETA * g_first,
    "the gradient is taken from the new row": w - ETA * g_next,
    "the gradient is taken by {other}": w - ETA * g_other,
    "{other} in place of the old weight": w_other - ETA * g,
    "{other} in place of the old weight, with its own gradient": w_other - ETA * g_other,
}
_UPDATE_SYMBOLS = (ETA, w, g, w_first, g_first, g_next, w_other, g_other)
_update_values = sympy.lambdify(_UPDATE_SYMBOLS, [UPDATE, *UPDATE_MISTAKES.values()])


def _gradient_name(weight):
    return str(backprop.partial(E_TOTAL, weight))


class _Updates:
    """All updates of a table: from each row to the next, by its own gradients."""

    def __init__(self, checked):
        self.checked, table = checked, checked.table
        self.old = {s: table.values[str(s)][:-1] for s in WEIGHTS}
        self.new = {s: table.values[str(s)][1:] for s in WEIGHTS}
        self.gradient = {s: checked.own[_gradient_name(s)] for s in WEIGHTS}
        self.moves = {s: checked.uncertainty[str(s)] for s in WEIGHTS}
        self.slack = {s: checked.uncertainty[_gradient_name(s)][:-1] for s in WEIGHTS}
        self.rows = checked.checkable[:-1]

    def tolerance(self, weight, eta, eta_error):
        g = self.gradient[weight][:-1]
        before, after = self.moves[weight][:-1], self.moves[weight][1:]
        step = np.abs(eta * g)
        return 2 * (before + after + np.abs(eta) * self.slack[weight] + np.abs(g) * eta_error) + (
            RELATIVE * step
        )

    def right(self, eta, eta_error):
        """How many of the eight columns this learning rate explains in every row."""
        count = 0
        for weight in WEIGHTS:
            with np.errstate(all="ignore"):
                distance = self.new[weight] - self.old[weight] + eta * self.gradient[weight][:-1]
                good = np.abs(distance) <= self.tolerance(weight, eta, eta_error)
            count += bool(good[self.rows].all())
        return count

    def estimates(self):
        """Least squares for η in each column: (η, a bound of its error from rounding)."""
        found = []
        for weight in WEIGHTS:
            g, step = self.gradient[weight][:-1], self.old[weight] - self.new[weight]
            use = self.rows & np.isfinite(step) & np.isfinite(g)
            g, step = g[use], step[use]
            if not (g**2).sum():
                continue
            eta = (g * step).sum() / (g**2).sum()
            moves = (self.moves[weight][:-1] + self.moves[weight][1:])[use]
            error = (np.abs(g) * moves + np.abs(step) * self.slack[weight][use]).sum()
            found.append((eta, 2 * error / (g**2).sum() + RELATIVE * abs(eta)))
        return found


def _inferred_rate(updates):
    """The η that explains the most updates: (how many, η, its error); (0, None, 0) without rows."""
    options = [(0, None, 0)]
    for eta, error in updates.estimates():
        for short in (float(f"{eta:.{digits}g}") for digits in range(1, 5)):
            if abs(short - eta) <= error + 1e-6 * abs(eta):
                eta = short  # a number that somebody chose
                break
        options.append((updates.right(eta, error), eta, error))
    if len(options) > 1:
        del options[0]
    return max(options, key=lambda option: (option[0], option[1] or 0, -option[2]))


def _learning_rate(updates, candidates):
    """η as the sheet states it, else as the updates show it.

    Returns:
        (η, its error, where it stands, the η of the updates if that is another one). η is
        an array where each row has its own, and None where nothing shows it.
    """
    columns, values = updates.checked.table.columns, updates.checked.table.values
    count, inferred, error = _inferred_rate(updates)
    if "eta" in columns:
        eta, where = values["eta"][:-1], f"column {get_column_letter(columns['eta'])}"
        return eta, STORED * np.abs(eta), where, None
    read = [(updates.right(eta, STORED * eta), eta, where) for eta, where in candidates if eta > 0]
    if not read:
        return inferred and abs(inferred), error, inferred and "inferred", None
    most, eta, where = max(read, key=lambda option: option[0])  # the first of the best
    return eta, STORED * eta, where, inferred if count > max(most, 1) else None


def _check_update(updates, weight, rate, formulas):
    """The update of one weight, from each row to the next. `rate` is that of `_learning_rate`."""
    eta, eta_error, where, inferred = rate
    table, name = updates.checked.table, str(weight)
    if eta is None or not updates.rows.any():
        return _missing()
    got, tolerance = updates.new[weight], updates.tolerance(weight, eta, eta_error)
    gradient = updates.gradient[weight]

    def outcomes(other):
        ours, others = table.values[name], table.values[str(other)]
        first = np.zeros(len(got), int)
        with np.errstate(all="ignore"):
            return _update_values(
                eta, ours[:-1], gradient[:-1], ours[first], gradient[first], gradient[1:],
                others[:-1], updates.gradient[other][:-1],
            )  # fmt: skip

    want = outcomes(weight)[0]
    cells = table.values.get(_gradient_name(weight), gradient)[:-1]
    follows = ~np.isfinite(got) & ~np.isfinite(cells + want)  # an error of the gradient goes on
    result, wrong = _verdict(got, want, tolerance, updates.rows & ~follows)
    if not wrong.any():
        return result
    k = int(wrong.argmax())
    result["first_wrong"] = table.address(name, k + 1)
    result["formula"] = _typed(formulas(), table, name, k + 1)
    cells = {s: table.address(s, k) for s in (*table.columns, *table.cells)}
    symbol = _gradient_name(weight)
    slope = cells.get(symbol) or f"({_expected(GRADIENTS[weight], cells)[1:]})"
    if re.fullmatch(r"[A-Z]+\d+", where):
        rate = re.sub(r"([A-Z]+)(\d+)", r"$\1$\2", where)
    else:
        rate = cells.get("eta") or f"{eta:.6g}"
    result["expected_formula"] = f"={cells[name]}-{rate}*{slope}"

    def fits(values):
        with np.errstate(invalid="ignore"):
            return bool((np.abs(got - values) <= tolerance)[wrong].all())

    def named():
        """The causes that give the student's numbers, the likeliest first."""
        below = np.concatenate([[False], wrong])
        yield _not_numbers(table, name, below)
        other_rate = f"another learning rate: {inferred or 0:.6g} in place of {np.ravel(eta)[0]:g}"
        ordinary = inferred is not None and inferred > 0 and inferred != 1
        if ordinary and fits(updates.old[weight] - inferred * gradient[:-1]):
            yield other_rate
        for other in (s for s in WEIGHTS if s != weight):
            for text, values in zip(UPDATE_MISTAKES, outcomes(other)[1:]):
                if fits(values):
                    yield text.format(other=other)
        yield _typed_over(table, name, below, formulas())

    result["cause"] = next((cause for cause in named() if cause), None)
    return result


# --- Checking ----------------------------------------------------------------------


def _check_table(table, candidates, formulas):
    checked = _Checked(table)
    columns = {column_name(symbol): _check_column(checked, symbol, formulas) for symbol in FORMULAS}
    updates = _Updates(checked)
    rate = eta, _, where, _ = _learning_rate(updates, candidates)
    for weight, symbol in UPDATES.items():
        columns[column_name(symbol)] = _check_update(updates, weight, rate, formulas)
    shown = None if eta is None else float(np.ravel(eta)[0])
    return {
        "sheet": table.sheet,
        "header_row": table.header_row,
        "eta": shown,
        "eta_source": where,
        "columns": columns,
    }


def _check(path):
    """Check one file in this process, without limits on time and memory."""
    result = {"file": str(path), "verdict": "unreadable", "tables": []}
    try:
        notes = _look_at_container(path)
        sheets = _read_sheets(path, values=True)
        read = cache(lambda: _read_sheets(path, values=False))
        tables, problems = _find_tables(sheets)
        empty = any(
            not np.isfinite(values).any()
            for table in tables
            for name, values in table.values.items()
            if name in COMPUTED
        )
        if (not tables or empty) and _without_values(sheets, read()):
            raise Unreadable(f"Its formulas carry no values: {RESAVE}.")
        if not tables:
            raise Unreadable(
                " ".join(problems)
                or "No table of this network was found. Its header row must name the weights "
                "w1 to w8, i1, i2, t1, t2 and computed columns such as h1, a_h1 or dE/dw1."
            )
        for table in tables:
            rows = sheets[table.sheet]
            alone = sum(other.sheet == table.sheet for other in tables) == 1
            candidates = [*_rate_candidates(table, rows, alone)]
            checked = _check_table(table, candidates, lambda sheet=table.sheet: read()[sheet])
            result["tables"].append(checked)
        verdicts = {c["verdict"] for t in result["tables"] for c in t["columns"].values()}
        result["verdict"] = "wrong" if "wrong" in verdicts else "right"
        result["notes"] = notes + problems
    except Unreadable as error:
        result["reason"] = str(error)
    except MemoryError:
        result["reason"] = "It needs too much memory: keep the sheets with the table only."
    except Exception as error:  # noqa: BLE001  damaged in one of a thousand ways: never a traceback
        if any(isinstance(e, DefusedXmlException) for e in (error, error.__context__)):
            what = "It declares XML entities, which no spreadsheet program does"
        else:
            what = f"It is damaged ({type(error).__name__})"
        result["reason"] = f"{what}: {RESAVE}."
    return result


def _without_values(sheets, formulas):
    """Say whether most formulas have no stored value."""
    cells = [
        _cell(sheets[sheet], number, column) is None
        for sheet, rows in formulas.items()
        for number, row in rows.items()
        for column, content in enumerate(row, start=1)
        if content is not None and _is_formula(content)
    ]
    return bool(cells) and sum(cells) > len(cells) / 2


def _limit_memory():
    """In a new process: allow `MEMORY` more than it has now."""
    if resource and os.path.exists("/proc/self/statm"):
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))


def check_workbooks(paths, progress=False):
    """Check many workbooks on all cores, each within `SECONDS` and `MEMORY`.

    Args:
        paths: .xlsx files.
        progress: show a bar on stderr.

    Returns:
        A list of dicts as `check_workbook` returns them, in the order of `paths`.
    """
    paths = [str(path) for path in paths]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    results = []
    with ProcessPool(
        max_workers=max(1, min(cores, len(paths))),
        initializer=_limit_memory,
        context=multiprocessing.get_context("spawn"),
    ) as pool:
        futures = [pool.schedule(_check, args=(path,), timeout=SECONDS) for path in paths]
        for path, future in tqdm(
            zip(paths, futures), total=len(paths), unit="file", disable=not progress
        ):
            try:
                results.append(future.result())
            except TimeoutError:
                reason = (
                    f"It took longer than {SECONDS} seconds: keep the sheets with the table only."
                )
                results.append(_unreadable(path, reason))
            except ProcessExpired:
                results.append(
                    _unreadable(path, f"Reading it ended the program that read it: {RESAVE}.")
                )
    return results


def _unreadable(path, reason):
    return {"file": path, "verdict": "unreadable", "tables": [], "reason": reason}


def check_workbook(path):
    """Check one workbook; see the module's docstring for how.

    Returns:
        A dict: "file", "verdict" ("right", "wrong" or "unreadable"), "tables", and
        "reason" (a sentence, for an unreadable one) or "notes" (sentences, else). Each
        table is a dict with "sheet", "header_row", "eta", "eta_source" (a cell, a column,
        "the sheet's name" or "inferred") and "columns": name → dict with "verdict"
        ("right", "wrong" or "missing"), "rows_checked", "rows_wrong", "first_wrong" (a
        cell), "formula", "expected_formula", "max_relative_error" and "cause", None
        where there is nothing to say. The names are `COLUMN_NAMES`.
    """
    return check_workbooks([path])[0]


# --- Showing the results -----------------------------------------------------------


def results_table(results):
    """All verdicts as a DataFrame, a row a column of a table; an unreadable file has one row."""
    lines = []
    for result in results:
        common = {"file": result["file"], "file_verdict": result["verdict"]}
        for table in result["tables"]:
            place = {key: value for key, value in table.items() if key != "columns"}
            for name, column in table["columns"].items():
                lines.append({**common, **place, "column": name, **column})
        if not result["tables"]:
            lines.append({**common, "verdict": "unreadable", "cause": result["reason"]})
    keys = [
        "file",
        "file_verdict",
        "sheet",
        "header_row",
        "eta",
        "eta_source",
        "column",
        *_missing(),
    ]
    return pd.DataFrame(lines, columns=keys).astype(
        {key: "Int64" for key in ("header_row", "rows_checked", "rows_wrong")}
    )


def report(result):
    """A result as text: what is wrong, where, why, and the right formula."""
    lines = [f"{result['file']}: {result['verdict'].upper()}"]
    lines += [
        f"  {sentence}" for sentence in (result.get("reason"), *result.get("notes", ())) if sentence
    ]
    for table in result["tables"]:
        columns = table["columns"]
        of = {
            v: [n for n, c in columns.items() if c["verdict"] == v]
            for v in ("right", "wrong", "missing")
        }
        rows = max(c["rows_checked"] for c in columns.values())
        rate = (
            "η unknown" if table["eta"] is None else f"η = {table['eta']:g} ({table['eta_source']})"
        )
        lines.append(
            f"  {table['sheet']}, header in row {table['header_row']}, {rows} rows, {rate}"
        )
        lines.append(f"    right: {len(of['right'])} of {len(columns)} columns")
        if of["missing"]:
            lines.append(f"    missing: {', '.join(of['missing'])}")
        for name in of["wrong"]:
            column = columns[name]
            error = column["max_relative_error"]
            size = "" if error is None else f", up to {100 * error:.2g} % off"
            lines.append(
                f"    WRONG {name}: {column['rows_wrong']} of {column['rows_checked']} rows, "
                f"first {column['first_wrong']}{size}"
            )
            lines.append(
                f"      why:   {column['cause'] or 'no mistake of the catalogue gives these numbers'}"
            )
            lines.append(f"      yours: {column['formula'] or '(empty)'}")
            lines.append(f"      right: {column['expected_formula']}")
    return "\n".join(lines)
