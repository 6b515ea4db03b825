"""Lesson 1: checks anybody's workbook for this network: what is wrong, from which row, and why.

The loss falls even when a gradient is wrong, so nobody sees it. This module finds the
table of `backprop.py`'s network in any sheet, by its headers, and compares every row
with what the row's own inputs, targets and weights give. For a column that is wrong it
tries the mistakes people make (`RULES`), each derived from the network's equations, and
names the one that gives the same numbers.

    python workbook.py check FILE… [--json] [--csv OUT]

A file may be hostile: nothing in it is run, and it is read in another process with a
limit on time and memory.
"""

import concurrent.futures
import datetime
import itertools
import multiprocessing
import os
import re
import unicodedata
import warnings
import zipfile
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

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
# store at least 15 digits. A column that holds fewer was rounded, and its rounding
# is allowed for, up to 6 digits; coarser rounding counts as wrong.
STORED = 5e-15
ROUNDED_DIGITS, ACCEPTED_DIGITS, TYPED_DIGITS = 14, 6, 3
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


def _absolute(address):
    """B3 → $B$3, also behind a sheet's name."""
    return re.sub(r"([A-Z]+)(\d+)$", r"$\1$\2", address)


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
_GRADIENT = "grad(?:ient)?|nabla|g"
HEADERS = [
    ("epoch", "epochs?|iteration|iter|step"),
    ("eta", "eta|lr|learningrate|alpha"),
    (r"t\1", r"(?:t|y|target|targeto|targ)([12])"),
    (r"i\1", r"(?:i|x|in|input|inp)([12])"),
    (r"w\1", r"w(?:eight)?([1-8])"),
    (r"h\1", r"(?:neth|inh|zh|h)([12])"),
    (r"a_h\1", r"(?:a|out|act|activation|sigma|sigmoid|sig|s)h([12])"),
    (r"o\1", r"(?:neto|ino|zo|o)([12])"),
    (r"a_o\1", r"(?:a|out|act|activation|sigma|sigmoid|sig|s)o([12])"),
    (r"E\1", rf"(?:{_LOSS})o?([12])"),
    ("E_total", rf"(?:{_LOSS})(?:t|tot|total)?|(?:total|tot|sum)(?:{_LOSS})"),
    (r"∂E/∂w\1", rf"(?:d(?:(?:{_LOSS})(?:t|tot|total)?d?)?|(?:{_GRADIENT})(?:of)?)w([1-8])"),
    (r"∂E/∂w\1", rf"w([1-8])(?:{_GRADIENT})"),
]
SIGNS = {"∂": "d", "Δ": "delta", "δ": "d", "∇": "nabla", "σ": "sigma", "η": "eta", "α": "alpha"}


def _plain(text):
    """A header in small letters and digits: "∂E_total / ∂w₁" → "detotaldw1"."""
    text = unicodedata.normalize("NFKC", text)  # also turns ₁ into 1
    for sign, name in SIGNS.items():
        text = text.replace(sign, name)
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _canonical(text):
    """The column that a header names, in the spelling of `backprop.COLUMNS`, or None."""
    return _canonical_short(text) if isinstance(text, str) and len(text) <= 40 else None


@lru_cache(1000)
def _canonical_short(text):
    for plain in (_plain(text), _plain(re.sub(r"[(\[].*", "", text))):  # t1 (target)
        for name, pattern in HEADERS:
            if found := re.fullmatch(pattern, plain):
                return found.expand(name)
    return None


COMPUTED = {symbol.name for symbol in FORMULAS}
GIVEN = {symbol.name for symbol in SYMBOLS}
CONSTANT = {symbol.name for symbol in (*INPUTS, *TARGETS)}
WEIGHT_NAMES = {weight.name for weight in WEIGHTS}


def _find_headers(rows):
    """Yield (row number, {canonical name: column}) for every header row of a table.

    Where a whole second set of names follows in a row, another table begins. A name that
    only comes again is a copy, and the first column counts.
    """
    for number, row in rows.items():
        named = [(c, _canonical(text)) for c, text in enumerate(row, start=1)]
        named = [(c, name) for c, name in named if name]
        if len(named) < 8:
            continue
        found = {}
        for k, (column, name) in enumerate(named):
            if name in found:
                rest = {later for _, later in named[k:]}
                if not (rest >= WEIGHT_NAMES and rest & COMPUTED and found.keys() >= WEIGHT_NAMES):
                    continue
                yield number, found
                found = {}
            found[name] = column
        if len(found) >= 8 and found.keys() & COMPUTED and found.keys() & GIVEN:
            yield number, found


_SUMMARY = re.compile(r"\b(average|avg|mean|sum|total|min|max|median|std|stdev)\b", re.IGNORECASE)


class Table:
    """One table: where its columns are, and its numbers, an array a column.

    Attributes:
        sheet, header_row: where it stands.
        columns: canonical name → column number.
        rows: the row numbers that hold data.
        values: canonical name → float array (rows,); NaN where there is no number.
        cells: canonical name → the single cell that gives it for all rows.
        raw: canonical name → the cells as they were read.
        notes: sentences about what was left out.
        checkable: which rows have all that is needed to calculate them.
        consecutive: which rows are followed by their next epoch.
    """

    def __init__(self, sheet, header_row, columns, rows, last_row, labels):
        self.sheet, self.header_row, self.columns = sheet, header_row, dict(columns)
        self.cells, self.notes = {}, []
        self.rows = self._data_rows(rows, last_row)
        self.raw = {name: [_cell(rows, n, c) for n in self.rows] for name, c in columns.items()}
        self.values = {
            name: np.array([*map(_number, raw)], float) for name, raw in self.raw.items()
        }
        if "eta" in columns and not np.isfinite(self.values["eta"]).all():  # a label in that row
            del self.columns["eta"]
        for name in sorted(CONSTANT):
            if name in columns and all(cell is None for cell in self.raw[name][1:]) and self.rows:
                self._everywhere(
                    name, _address(self.rows[0], self.columns.pop(name)), self.values[name][0]
                )
            elif name not in columns and name in labels:  # it stands once, beside a label
                self._everywhere(name, *labels[name])
        given = [self.values.get(name, np.full(len(self.rows), np.nan)) for name in sorted(GIVEN)]
        self.checkable = np.isfinite(given).all(0)
        steps = np.diff(self.values.get("epoch", np.full(len(self.rows), np.nan)))
        adjacent = np.diff(self.rows) == 1
        self.consecutive = np.where(np.isfinite(steps), steps == 1, adjacent)
        if (left := np.flatnonzero(~self.checkable)).size and self.checkable.any():
            self.notes.append(
                f"{left.size} of {len(self.rows)} rows could not be checked, the first is row "
                f"{self.rows[left[0]]}: a weight, input or target there is no number."
            )

    def _data_rows(self, rows, last_row):
        """The rows with numbers under the header, without averages and lone rows far below."""
        given = [column for name, column in self.columns.items() if name in GIVEN]
        span = range(min(self.columns.values()) - 1, max(self.columns.values()) + 1)
        found = []
        for n in range(self.header_row + 1, last_row + 1) if len(rows) > 1 else ():
            if n not in rows or 2 * sum(_cell(rows, n, c) is not None for c in given) <= len(given):
                continue
            texts = [text for c in span if isinstance(text := _cell(rows, n, c), str)]
            epoch = self.columns.get("epoch")
            counted = epoch is None or not found or np.isfinite(_number(_cell(rows, n, epoch)))
            alone = found and n - found[-1] > 1 and n + 1 not in rows and epoch is None
            if any(map(_SUMMARY.search, texts)) or not counted or alone:
                self.notes.append(f"Row {n} was taken for a summary and left out.")
            else:
                found.append(n)
        return found

    def _everywhere(self, name, address, value):
        self.cells[name] = address
        self.values[name] = np.full(len(self.rows), value)

    def address(self, name, k):
        """The address of a column's cell in data row k; a single cell is absolute."""
        if name in self.cells:
            return _absolute(self.cells[name])
        return _address(self.rows[k], self.columns[name])


def _labelled(rows, headers):
    """Yield (canonical name, address, value) of numbers to the right of a label, or else below.

    A header of a table is no label, except η: it may stand in the same row.
    """
    skip = {(n, c) for n, columns in headers for name, c in columns.items() if name != "eta"}
    for number, row in rows.items():
        for column, text in enumerate(row, start=1):
            if (number, column) not in skip and (name := _canonical(text)):
                for place in ((number, column + 1), (number, column + 2), (number + 1, column)):
                    value = _number(_cell(rows, *place))
                    if np.isfinite(value):
                        yield name, _address(*place), value
                        break


def _find_tables(sheets):
    """All tables that can be checked, and sentences about those that cannot.

    Returns:
        (tables, sentences, labels): labels is a dict sheet name → [(name, address, value)],
        the numbers beside a label, first those of the sheet, then those of sheets without
        a table.
    """
    headers = {sheet: [*_find_headers(rows)] for sheet, rows in sheets.items()}
    labels = {sheet: [*_labelled(rows, headers[sheet])] for sheet, rows in sheets.items()}
    elsewhere = [
        (name, f"'{sheet}'!{address}", value)
        for sheet, found in labels.items()
        if not headers[sheet]
        for name, address, value in found
    ]
    tables, problems = [], []
    for sheet, rows in sheets.items():
        labels[sheet] += elsewhere
        first = {name: (address, value) for name, address, value in reversed(labels[sheet])}
        for number, columns in headers[sheet]:
            span = range(min(columns.values()), max(columns.values()) + 1)
            later = [n for n, c in headers[sheet] if n > number and {*span} & {*c.values()}]
            last_row = min(later, default=max(rows) + 1) - 1
            table = Table(sheet, number, columns, rows, last_row, first)
            where = f"{sheet}, row {number}"
            if missing := [s.name for s in SYMBOLS if s.name not in table.values]:
                problems.append(
                    f"The table in {where} has no column, and no labelled cell, for "
                    f"{', '.join(missing)}: without them its rows cannot be computed."
                )
            elif table.checkable.any():
                tables.append(table)
            else:
                problems.append(
                    f"The table in {where} has a header, but no row under it has numbers for all "
                    "weights, inputs and targets."
                )
    return tables, problems, labels


# --- The learning rate -------------------------------------------------------------

_RATE = re.compile(
    r"(?:η|\beta|\blr|learning[ _-]*rate|(?:α|\balpha)(?=\s*[:=]))\s*(?:[:=]|is)?\s*"
    r"(\d*[.,]?\d+(?:e-?\d+)?)(?!\s*[%/\d.,])",
    re.IGNORECASE,
)


def _rate_candidates(table, rows, labels, alone):
    """The η that a sheet states: (η, where it stands, is it a cell), the likeliest first.

    Args:
        labels: the numbers beside a label, as `_find_tables` gives them.
        alone: no other table stands in the sheet.
    """
    span = range(min(table.columns.values()) - 1, max(table.columns.values()) + 1)  # and epoch
    cells = [(value, address, True) for name, address, value in labels if name == "eta"]
    above, beside = [], []
    for number, row in rows.items():
        for column, text in enumerate(row, start=1):
            if isinstance(text, str) and len(text) < 80 and (found := _RATE.search(text)):
                place = (_number(found[1]), f"the text in {_address(number, column)}", False)
                (above if column in span else beside).append(place)
    if found := _RATE.search(table.sheet):
        above.append((_number(found[1]), "the sheet's name", False))
    return cells + above + beside if alone else above + cells


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
    return symbols, sympy.lambdify(symbols, formulas, modules=backprop.NUMERIC)


@cache
def _right(symbol):
    return _compile([FORMULAS[symbol]])


@cache
def _mistaken_ones(symbol):
    return _compile([formula for _, formula in catalogue(symbol)])


# --- Comparing ---------------------------------------------------------------------


def _digits(value):
    """(significant digits, decimals) of a number as it is stored."""
    number = Decimal(repr(float(value))).normalize().as_tuple()
    return len(number.digits), max(0, -number.exponent)


def _uncertainty(values, typed=0):
    """How far each stored number of a column may be from the number that was calculated.

    Args:
        typed: how many rows, from the top, may hold numbers that somebody typed. Such a
            number with few digits is exact, not rounded.
    """
    sizes = np.abs(values)
    stored = STORED * sizes
    counts = np.array([_digits(v) if np.isfinite(v) and v else (0, 0) for v in values])
    digits, decimals = counts.max(0)
    rounding = np.zeros(len(values))
    if decimals <= ROUNDED_DIGITS:
        rounding += 0.5 * 10.0 ** -max(decimals, ACCEPTED_DIGITS)
    if digits <= ROUNDED_DIGITS:
        leading = np.floor(np.log10(np.where(sizes > 0, sizes, 1))) + 1
        rounding = np.maximum(rounding, 0.5 * 10.0 ** (leading - max(digits, ACCEPTED_DIGITS)))
    rounding[:typed][counts[:typed, 0] <= TYPED_DIGITS] = 0
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
    outputs = np.array([np.broadcast_to(o, moved[0].shape) for o in function(*moved)], float)
    here = outputs[:, 0]
    return here, 2 * np.abs(outputs[:, 1:] - here[:, None]).sum(1) + RELATIVE * np.abs(here)


class _Checked:
    """A table, what its rows give, and the verdicts so far."""

    def __init__(self, table):
        self.table = table
        self.uncertainty = {name: STORED * np.abs(values) for name, values in table.values.items()}
        rounded = False
        for name in COMPUTED & table.values.keys():
            stored, self.uncertainty[name] = (
                self.uncertainty[name],
                _uncertainty(table.values[name]),
            )
            rounded |= bool((self.uncertainty[name] > stored).any())
        for name in WEIGHT_NAMES:
            self.uncertainty[name] = _uncertainty(table.values[name], typed=1)
        if rounded:
            for name in CONSTANT:
                values = table.values[name]
                self.uncertainty[name] = _uncertainty(values, typed=len(values))
        given = [table.values[s.name] for s in SYMBOLS]
        right, tolerance = _propagate(
            backprop.spreadsheet_row, given, [self.uncertainty[s.name] for s in SYMBOLS]
        )
        self.right = dict(zip([s.name for s in FORMULAS], right))
        self.tolerance = dict(zip([s.name for s in FORMULAS], tolerance))
        # What a cell is calculated from: the table's own cells, where they are numbers.
        self.own = {name: table.values[name] for name in GIVEN}
        for symbol in FORMULAS:
            name = symbol.name
            (derived,), (distance,) = self.calculate(*_right(symbol))
            cells = table.values.get(name, np.full(len(derived), np.nan))
            self.own[name] = np.where(np.isfinite(cells), cells, derived)
            self.uncertainty[name] = np.where(
                np.isfinite(cells), self.uncertainty.get(name, 0), distance
            )
        self.wrong = []  # columns, in the order of calculation

    def calculate(self, symbols, function, values=None):
        """Evaluate a function of some quantities by the table's own cells, or by `values`."""
        values = values or [self.own[s.name] for s in symbols]
        return _propagate(function, values, [self.uncertainty[s.name] for s in symbols])


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
    wrong = rows & ~(np.abs(got - want) <= tolerance)
    error = np.abs(got - want) / np.abs(want)
    result = _missing() | {"verdict": "wrong" if wrong.any() else "right"}
    result |= {"rows_checked": int(rows.sum()), "rows_wrong": int(wrong.sum())}
    error = error[(wrong if wrong.any() else rows) & np.isfinite(error)]
    result["max_relative_error"] = float(error.max()) if len(error) else None
    return result, wrong


def _check_column(checked, symbol, formulas):
    """One computed column. `formulas()` gives the sheet's formulas, read when needed."""
    table, name = checked.table, symbol.name
    if name not in table.columns:
        return _missing()
    got, want = table.values[name], checked.right[name]
    tolerance = checked.tolerance[name] + checked.uncertainty[name]
    result, wrong = _verdict(got, want, tolerance, table.checkable)
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
    return None if content is None else shown(content)


def _is_formula(content):
    return hasattr(content, "text") or str(content).startswith("=")


def _expected(formula, cells):
    """The right formula in the sheet's own addresses; a quantity without a column is put in."""
    while absent := [s for s in formula.free_symbols if s.name not in cells]:
        formula = formula.xreplace({s: FORMULAS[s] for s in absent})
    return "=" + backprop.to_excel(formula).format(**cells)


def _cause(checked, symbol, got, wrong, formulas):
    """Say why a column is wrong: what gives its numbers in every wrong row; None if nothing does."""
    table, name = checked.table, symbol.name
    used = [s.name for s in FORMULAS[symbol].free_symbols if s.name in table.columns]
    earlier = _and([wrong_one for wrong_one in checked.wrong if wrong_one in used])
    follows = f"right in itself: it follows from {earlier}" if earlier else None
    (right,), (tolerance,) = checked.calculate(*_right(symbol))
    broken = ~np.isfinite([right, *(table.values[u] for u in used)]).all(0)
    unexplained = wrong & ~(broken & ~np.isfinite(got))  # an error goes on to its users
    if not unexplained.any():
        return follows
    if what := _not_numbers(table, name, unexplained):
        return what
    slack = checked.uncertainty[name]

    def fits(values, tolerance):
        return bool((np.abs(got - values) <= tolerance + slack)[unexplained].all())

    if fits(right, tolerance):
        return follows
    if typed := _typed_over(table, name, wrong, formulas):
        return typed
    if misplaced := _misplaced(checked, symbol, fits):
        return misplaced
    for (what, _), *outcome in zip(catalogue(symbol), *checked.calculate(*_mistaken_ones(symbol))):
        if fits(*outcome):
            return what
    for decimals in range(1, ACCEPTED_DIGITS):
        if fits(np.round(checked.right[name], decimals), 1e-12):
            return f"rounded to {decimals} decimals"
    return None


def _and(names):
    return " and ".join(map(column_name, names))


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
        return f"the error {shown(value, 20)} in place of a number"
    return f"text in place of a number: '{shown(value, 20)}'"


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
    own = {s: checked.own[s.name] for s in symbols}
    weights = [s for s in symbols if s in WEIGHTS]
    groups = [(symbols, "every quantity is"), (weights, "every weight is")]
    groups += [([s], f"{s} is") for s in symbols]
    row = np.arange(len(checked.table.rows))
    for taken, where in (
        (0 * row, "the first row, as with an absolute reference"),
        (np.maximum(row - 1, 0), "the row above"),
    ):
        for group, who in groups:
            moved = [v[taken] if s in group else v for s, v in own.items()]
            (values,), (tolerance,) = checked.calculate(symbols, function, moved)
            if fits(values, tolerance):
                return f"{who} taken from {where}"
    return None


# --- The update of the weights -----------------------------------------------------

w, g, w_first, g_first, w_other, g_other = sympy.symbols("w g w_first g_first w_other g_other")
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
    "the gradient is taken by {other}": w - ETA * g_other,
    "{other} in place of the old weight": w_other - ETA * g,
    "{other} in place of the old weight, with its own gradient": w_other - ETA * g_other,
}
_UPDATE_SYMBOLS = (ETA, w, g, w_first, g_first, w_other, g_other)
_update_values = sympy.lambdify(_UPDATE_SYMBOLS, [UPDATE, *UPDATE_MISTAKES.values()])


def _gradient_name(weight):
    return str(backprop.partial(E_TOTAL, weight))


class _Updates:
    """All updates of a table: from each row to the next, by its own gradients."""

    def __init__(self, checked):
        self.checked, table = checked, checked.table
        self.old = {s: table.values[s.name][:-1] for s in WEIGHTS}
        self.new = {s: table.values[s.name][1:] for s in WEIGHTS}
        self.gradient = {s: checked.own[_gradient_name(s)] for s in WEIGHTS}
        self.moves = {s: checked.uncertainty[s.name] for s in WEIGHTS}
        self.slack = {s: checked.uncertainty[_gradient_name(s)][:-1] for s in WEIGHTS}
        self.rows = table.checkable[:-1] & table.consecutive

    def tolerance(self, weight, eta, eta_error):
        g = self.gradient[weight][:-1]
        before, after = self.moves[weight][:-1], self.moves[weight][1:]
        step = np.abs(eta * g)
        slack = before + after + np.abs(eta) * self.slack[weight] + np.abs(g) * eta_error
        return 2 * slack + RELATIVE * step

    def right(self, eta, eta_error):
        """How many of the eight columns this learning rate explains in every row."""
        count = 0
        for weight in WEIGHTS:
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


class Rate(NamedTuple):
    """A table's learning rate.

    Attributes:
        eta: the number, or an array where each row has its own. None: nothing shows it.
        error: how far it may be off.
        source: where it stands, or "inferred"; None with eta.
        in_cell: whether a formula can refer to its source.
        other: the learning rate that the updates show, if that is another one.
    """

    eta: float | np.ndarray | None = None
    error: float | np.ndarray = 0.0
    source: str | None = None
    in_cell: bool = False
    other: float | None = None


def _learning_rate(updates, candidates):
    """η as the sheet states it, else as the updates show it."""
    table = updates.checked.table
    count, inferred, error = _inferred_rate(updates)
    if "eta" in table.columns and len(table.rows) > 1:
        eta = table.values["eta"][:-1]
        other = inferred if count > updates.right(eta, STORED * eta) else None
        return Rate(
            eta,
            STORED * np.abs(eta),
            f"column {get_column_letter(table.columns['eta'])}",
            False,
            other,
        )
    read = [
        (updates.right(eta, STORED * eta), eta, *place) for eta, *place in candidates if eta > 0
    ]
    if read:
        most, eta, source, in_cell = max(read, key=lambda option: option[0])  # first of the best
        if in_cell or most or count < len(WEIGHTS):
            return Rate(
                eta, STORED * eta, source, in_cell, inferred if count > max(most, 1) else None
            )
        table.notes.append(f"η = {eta:g} in {source} is not the η of the updates.")
    if inferred is None:
        return Rate()
    return Rate(abs(inferred), error, "inferred")


def _check_update(updates, weight, rate, formulas):
    """The update of one weight, from each row to the next. `rate` is that of `_learning_rate`."""
    table, name, eta, inferred = updates.checked.table, weight.name, rate.eta, rate.other
    if eta is None or not updates.rows.any():
        return _missing()
    got, tolerance = updates.new[weight], updates.tolerance(weight, eta, rate.error)
    gradient = updates.gradient[weight]

    def outcomes(other):
        ours, others = table.values[name], table.values[other.name]
        first = np.zeros(len(got), int)
        return _update_values(
            eta, ours[:-1], gradient[:-1], ours[first], gradient[first],
            others[:-1], updates.gradient[other][:-1],
        )  # fmt: skip

    want = outcomes(weight)[0]
    cells = table.values.get(_gradient_name(weight), gradient)[:-1]
    follows = ~np.isfinite(got) & ~np.isfinite(cells + want)  # an error of the gradient goes on
    result, wrong = _verdict(got, want, tolerance, updates.rows & ~follows)
    if np.isscalar(eta) and eta == 0:  # no training, so no update is right
        wrong = updates.rows & (gradient[:-1] != 0)
        result |= {"verdict": "wrong" if wrong.any() else "right", "rows_wrong": int(wrong.sum())}
    if not wrong.any():
        return result
    k = int(wrong.argmax())
    result["first_wrong"] = table.address(name, k + 1)
    result["formula"] = _typed(formulas(), table, name, k + 1)
    cells = {s: table.address(s, k) for s in (*table.columns, *table.cells)}
    symbol = _gradient_name(weight)
    slope = cells.get(symbol) or f"({_expected(GRADIENTS[weight], cells)[1:]})"
    if rate.in_cell:
        factor = _absolute(rate.source)
    else:
        factor = cells.get("eta") or (f"{eta:.6g}" if eta else "η")
    result["expected_formula"] = f"={cells[name]}-{factor}*{slope}"

    def fits(values):
        return bool((np.abs(got - values) <= tolerance)[wrong].all())

    def named():
        """The causes that give the student's numbers, the likeliest first."""
        below = np.concatenate([[False], wrong])
        yield _not_numbers(table, name, below)
        other_rate = f"another learning rate: {inferred or 0:.6g} in place of {np.ravel(eta)[0]:g}"
        ordinary = inferred is not None and inferred > 0 and (inferred != 1 or np.ptp(eta) > 0)
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


@np.errstate(all="ignore")  # a student's numbers may overflow
def _check_table(table, candidates, formulas):
    """Check one table. `formulas()` gives the cells of its sheet as formulas."""
    checked = _Checked(table)
    columns = {column_name(symbol): _check_column(checked, symbol, formulas) for symbol in FORMULAS}
    updates = _Updates(checked)
    rate = _learning_rate(updates, candidates)
    for weight, symbol in UPDATES.items():
        columns[column_name(symbol)] = _check_update(updates, weight, rate, formulas)
    eta = None if rate.eta is None else float(np.ravel(rate.eta)[0])
    return {
        "sheet": shown(table.sheet),
        "header_row": table.header_row,
        "eta": eta or None,
        "eta_source": rate.source if eta else None,
        "columns": columns,
    }


def _check_sheets(path, sheets):
    """Check all tables of a workbook: (their results, sentences)."""
    read = cache(lambda: _read_sheets(path, values=False))
    tables, notes, labels = _find_tables(sheets)
    empty = any(
        not np.isfinite(table.values[name]).any()
        for table in tables
        for name in COMPUTED & table.values.keys()
    )
    if (not tables or empty) and _without_values(sheets, read()):
        raise Unreadable(f"Its formulas carry no values: {RESAVE}.")
    if not tables:
        raise Unreadable(
            " ".join(notes)
            or "No table of this network was found. Its header row must name the weights "
            "w1 to w8, i1, i2, t1, t2 and computed columns such as h1, a_h1 or dE/dw1."
        )
    results = []
    for table in tables:
        rows = sheets[table.sheet]
        alone = sum(other.sheet == table.sheet for other in tables) == 1
        candidates = _rate_candidates(table, rows, labels[table.sheet], alone)
        result = _check_table(table, candidates, lambda sheet=table.sheet: read()[sheet])
        results.append(result)
        unknown = [
            text
            for text in rows[table.header_row]
            if isinstance(text, str) and not _canonical(text)
        ]
        if unknown and any(c["verdict"] == "missing" for c in result["columns"].values()):
            names = ", ".join(f"'{shown(text, 30)}'" for text in unknown[:20])
            table.notes.append(f"Headers that were not recognised: {names}.")
        notes += [f"{shown(table.sheet)}, row {table.header_row}: {note}" for note in table.notes]
    return results, notes


def _check(path):
    """Check one file in this process, without limits on time and memory."""
    path = str(path)
    _canonical_short.cache_clear()  # no file's texts stay behind
    try:
        notes = _look_at_container(path)
        sheets = _read_sheets(path, values=True)
    except Unreadable as error:
        return _unreadable(path, str(error))
    except MemoryError:
        return _unreadable(path, "It needs too much memory: keep the sheets with the table only.")
    except Exception as error:  # noqa: BLE001  damaged in one of a thousand ways
        if any(isinstance(e, DefusedXmlException) for e in (error, error.__context__)):
            what = "It declares XML entities, which no spreadsheet program does"
        else:
            what = f"It is damaged ({type(error).__name__})"
        return _unreadable(path, f"{what}: {RESAVE}.")
    try:
        tables, sentences = _check_sheets(path, sheets)
    except Unreadable as error:
        return _unreadable(path, str(error))
    except Exception as error:  # noqa: BLE001  a class of 200 goes on
        return _unreadable(path, f"The checker failed on it, which is a bug ({error!r:.200}).")
    notes += sentences
    gradients = [column_name(backprop.partial(E_TOTAL, weight)) for weight in WEIGHTS]
    absent = min(
        ([g for g in gradients if t["columns"][g]["verdict"] == "missing"] for t in tables), key=len
    )
    if absent:
        notes.append(
            f"Incomplete: no table has all eight gradients; not found: {', '.join(absent)}."
        )
    wrong = any(c["verdict"] == "wrong" for t in tables for c in t["columns"].values())
    verdict = "wrong" if wrong or absent else "right"
    return {"file": path, "verdict": verdict, "tables": tables, "notes": notes}


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
            except concurrent.futures.TimeoutError:
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
        "reason" (a sentence, for an unreadable one) or "notes" (sentences, else). A
        workbook in which no table has all eight gradients is "wrong", and a note says so.
        Each table is a dict with "sheet", "header_row", "eta" (that of the first row, if
        they differ), "eta_source" (a cell, a column, a text, the sheet's name, or
        "inferred"; None if nothing shows η) and "columns": name → dict with "verdict"
        ("right", "wrong" or "missing"), "rows_checked", "rows_wrong", "first_wrong" (a
        cell), "formula", "expected_formula", "max_relative_error" and "cause", None
        where there is nothing to say. The names are `COLUMN_NAMES`.
    """
    return check_workbooks([path])[0]


# --- Showing the results -----------------------------------------------------------


def shown(text, length=300):
    """What a file says, on one line, without control characters, and not too long."""
    text = "".join(c if c.isprintable() else " " for c in str(text)[: length + 1])
    return text if len(text) <= length else text[: length - 1] + "…"


def write_csv(results, path):
    """Write `results_table` as CSV, all of it or nothing.

    A text that a spreadsheet program would take for a formula gets an apostrophe before
    it: what a student typed must not be run on the instructor's machine.

    Raises:
        ValueError: the path is one of the workbooks, or ends in .xlsx.
    """
    path = Path(path)
    refuse_csv(path, [result["file"] for result in results])
    table = results_table(results)
    texts = table.select_dtypes(exclude="number").columns
    table[texts] = table[texts].map(
        lambda cell: (
            f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" and cell else cell
        )
    )
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        table.to_csv(beside, index=False, encoding="utf-8", errors="backslashreplace")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def refuse_csv(path, files):
    """Raise a ValueError where writing a CSV would destroy a workbook."""
    if Path(path).suffix.lower() == ".xlsx" or Path(path).resolve() in {
        Path(f).resolve() for f in files
    }:
        raise ValueError(f"{path} is a workbook: name a .csv file to write the verdicts to")
    if not Path(path).resolve().parent.is_dir():
        raise FileNotFoundError(f"no such folder: {Path(path).resolve().parent}")


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
    lines = [f"{shown(result['file'])}: {result['verdict'].upper()}"]
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
