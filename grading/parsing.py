"""Parses the formula of a cell into a SymPy expression over the cells that it refers to.

openpyxl's tokenizer splits the text; a precedence parser puts it together as Excel reads it:
a sign binds tighter than ^, so -2^2 is 4, and ^ goes from left to right. Nothing is
calculated here, and nothing is simplified: the expression has the formula's own structure.
"""

import re
from fractions import Fraction
from functools import lru_cache, reduce
from typing import NamedTuple

import numpy as np
import sympy
from openpyxl.formula import Tokenizer
from openpyxl.utils import column_index_from_string

from grading.rounding import ACCEPTED_DIGITS

LONGEST = 2000  # characters; a formula of this network has about 150
WIDEST = 200  # cells of a range that is written out
OPERANDS = 150  # a formula of this network has about 30

PRECEDENCE = {"=": 0, "<>": 0, "<": 0, "<=": 0, ">": 0, ">=": 0}  # how tight they bind
PRECEDENCE |= {"+": 1, "-": 1, "*": 2, "/": 2, "^": 3}


class Unknown(Exception):
    """The formula holds something that is not read here."""


class Reference(NamedTuple):
    """A cell that a formula refers to, as it is written.

    Attributes:
        sheet: its title, or None for the formula's own sheet.
        row, column: counted from 1 where fixed by a dollar, else relative to the formula's cell.
        row_fixed, column_fixed: whether there is a dollar.
    """

    sheet: str | None
    row: int
    column: int
    row_fixed: bool
    column_fixed: bool

    def cell(self, row, column):
        """The (row, column) that it means in a formula that stands there."""
        return (
            self.row if self.row_fixed else row + self.row,
            self.column if self.column_fixed else column + self.column,
        )


class Parsed(NamedTuple):
    """An expression, and what its symbols refer to: symbol → `Reference`."""

    expression: sympy.Expr
    references: dict


# --- Relative form -----------------------------------------------------------------

CELL = re.compile(r"(?<![\w.])(\$?)([A-Z]{1,3})(\$?)([1-9]\d{0,6})(?![\w(.])")


def relative(text, row, column):
    """A formula with its references written relative to its cell.

    Two cells have the same relative form when one is the other, copied.
    """

    def offset(found):
        fixed_column, letters, fixed_row, digits = found.groups()
        where_row = digits if fixed_row else f"[{int(digits) - row}]"
        where_column = letters if fixed_column else f"[{_column(letters) - column}]"
        return f"R{where_row}C{where_column}"

    return CELL.sub(offset, text)


_column = lru_cache(2000)(column_index_from_string)

# --- Parsing -----------------------------------------------------------------------

_RANGE = re.compile(
    r"(?:(?:'(?P<quoted>(?:[^']|'')+)'|(?P<bare>[^'!:]+))!)?"
    r"(?P<first>\$?[A-Za-z]{1,3}\$?\d+)(?::(?P<last>\$?[A-Za-z]{1,3}\$?\d+))?"
)
_PLACE = re.compile(r"(\$?)([A-Za-z]{1,3})(\$?)(\d+)")


def parse(formula, names):
    """Parse a formula.

    Args:
        formula: a `cells.Formula`.
        names: the workbook's names for cells, a dict NAME → text.

    Returns:
        A `Parsed`.

    Raises:
        Unknown: a function, an operator or a reference that this network does not need.
    """
    if len(formula.text) > LONGEST:
        raise Unknown("long")
    try:
        parser = _Parser(formula, names)
        expression = parser.expression(0)
        if parser.tokens:
            raise Unknown(parser.tokens[0].value)
        return Parsed(parser.one(expression), parser.references)
    except Unknown:
        raise
    except (RecursionError, ValueError, IndexError, AttributeError, TypeError) as error:
        raise Unknown(str(error)) from None


class _Parser:
    """Precedence climbing over the tokens. A value is an expression, or a list of a range's."""

    def __init__(self, formula, names):
        self.formula, self.names, self.references = formula, names, {}
        self.operands = 0
        tokens = Tokenizer("=" + formula.text).items
        self.tokens = [token for token in tokens if token.type != "WHITE-SPACE"][::-1]

    def one(self, value):
        """The single expression that a value is."""
        if isinstance(value, list):
            (value,) = value  # a range of several cells is no number: ValueError
        return value

    def next_is(self, kind):
        return bool(self.tokens) and self.tokens[-1].type == kind

    def expression(self, least):
        """An expression of operators that bind at least as tight as `least`."""
        left = self.signed()
        while self.next_is("OPERATOR-INFIX"):
            operator = self.tokens[-1].value
            if operator not in PRECEDENCE:
                raise Unknown(operator)
            if PRECEDENCE[operator] < least:
                break
            self.tokens.pop()
            right = self.expression(PRECEDENCE[operator] + 1)
            left = combine(operator, left, right)
        return left

    def signed(self):
        """An operand with the signs before and the percents after it."""
        if self.next_is("OPERATOR-PREFIX"):
            sign = self.tokens.pop().value
            value = self.signed()
            return each(negative, value) if sign == "-" else value
        value = self.operand()
        while self.next_is("OPERATOR-POSTFIX"):
            self.tokens.pop()
            value = combine("/", value, sympy.Integer(100))
        return value

    def operand(self):
        """A number, a cell or a range, a call of a function, something in parentheses."""
        self.operands += 1
        if self.operands > OPERANDS:
            raise Unknown("many operands")
        token = self.tokens.pop()
        if token.type == "PAREN" and token.subtype == "OPEN":
            value = self.expression(0)
            self.close("PAREN")
            return value
        if token.type == "FUNC" and token.subtype == "OPEN":
            return self.function(token.value.rstrip("(").upper().removeprefix("_XLFN."))
        if token.type == "OPERAND" and token.subtype == "NUMBER":
            return number(token.value)
        if token.type == "OPERAND" and token.subtype == "TEXT" and token.value == '""':
            return sympy.nan  # an empty cell has no number, and equals it
        if token.type == "OPERAND" and token.value.upper().endswith("#REF!"):
            return LOST
        if token.type == "OPERAND" and token.subtype == "RANGE":
            return self.range(token.value)
        raise Unknown(token.value)

    def close(self, kind):
        token = self.tokens.pop()
        if (token.type, token.subtype) != (kind, "CLOSE"):
            raise Unknown(token.value)

    def function(self, name):
        """What a call gives, once its name has been read."""
        arguments = []
        while not (self.next_is("FUNC") and self.tokens[-1].subtype == "CLOSE"):
            arguments.append(self.expression(0))
            if self.next_is("SEP"):
                self.tokens.pop()
        self.close("FUNC")
        if name not in FUNCTIONS:
            raise Unknown(name)
        if name in OF_LISTS:
            return FUNCTIONS[name](*[a if isinstance(a, list) else [a] for a in arguments])
        return FUNCTIONS[name](*map(self.one, arguments))

    def range(self, text):
        """The symbols of the cells of a range, a list; also of what a name stands for."""
        found = _RANGE.fullmatch(text)
        if not found:
            if text.upper() not in self.names:
                raise Unknown(text)
            found = _RANGE.fullmatch(self.names[text.upper()])
        sheet = found["quoted"].replace("''", "'") if found["quoted"] else found["bare"]
        first, last = self.place(found["first"]), self.place(found["last"] or found["first"])
        rows, columns = range(first[0], last[0] + 1), range(first[1], last[1] + 1)
        if not 0 < len(rows) * len(columns) <= WIDEST:
            raise Unknown(text)
        return [
            self.symbol(Reference(sheet, row, column, *first[2:]))
            for row in rows
            for column in columns
        ]

    def place(self, text):
        """(row, column, row_fixed, column_fixed) of an address, as in `Reference`."""
        fixed_column, letters, fixed_row, digits = _PLACE.fullmatch(text).groups()
        row, column = int(digits), _column(letters.upper())
        return (
            row if fixed_row else row - self.formula.row,
            column if fixed_column else column - self.formula.column,
            bool(fixed_row),
            bool(fixed_column),
        )

    def symbol(self, reference):
        """The symbol of a cell; the same cell has the same one."""
        symbol = sympy.Symbol(repr(tuple(reference)))
        self.references[symbol] = reference
        return symbol


def number(text):
    """A number as it is typed, exact: 0.1 is 1/10."""
    value = Fraction(text)
    if not 1e-300 < abs(value) < 1e300 and value:
        raise Unknown(text)
    return sympy.Rational(value.numerator, value.denominator)


def negative(value):
    """−x, of which −(1/2) is a number."""
    return -value if value.is_Number else sympy.Mul(-1, value, evaluate=False)


def each(function, *values):
    """Apply a function to expressions; to ranges of one size cell by cell.

    Raises:
        Unknown: ranges of unlike sizes.
    """
    sizes = {len(value) for value in values if isinstance(value, list)}
    if not sizes:
        return function(*values)
    if len(sizes) > 1:
        raise Unknown("ranges of unlike sizes")
    (size,) = sizes
    lists = [value if isinstance(value, list) else [value] * size for value in values]
    found = [function(*items) for items in zip(*lists)]
    return found if size > 1 else found[0]


def combine(operator, left, right):
    """Put an operator between two values."""
    return each(lambda a, b: _combine(operator, a, b), left, right)


def _combine(operator, left, right):
    """Put an operator between two expressions, and simplify nothing."""
    if operator in COMPARISONS:
        return Compared(sympy.Symbol(operator), left, right)
    if operator == "+":
        return sympy.Add(left, right, evaluate=False)
    if operator == "-":
        return sympy.Add(left, negative(right), evaluate=False)
    if operator == "*":
        return sympy.Mul(left, right, evaluate=False)
    if operator == "^":
        return sympy.Pow(left, right, evaluate=False)
    if left.is_Integer and right.is_Integer and right:
        return left / right
    return sympy.Mul(left, sympy.Pow(right, -1, evaluate=False), evaluate=False)


def _fold(operation):
    return lambda *lists: reduce(
        lambda a, b: operation(a, b, evaluate=False), [a for one in lists for a in one]
    )


def _sum_of_products(*lists):
    terms = [_fold(sympy.Mul)(factors) for factors in zip(*lists, strict=True)]
    return _fold(sympy.Add)(terms)


def _exp(argument):
    return sympy.exp(argument, evaluate=False)


def _average(*lists):
    values = [a for one in lists for a in one]
    return _combine("/", _fold(sympy.Add)(values), sympy.Integer(len(values)))


Compared = sympy.Function("Compared")  # of an operator and two values: 1 or 0
Choice = sympy.Function("Choice")  # of a condition and two values, as IF
COMPARISONS = {"=": np.equal, "<>": np.not_equal, "<": np.less, "<=": np.less_equal,
               ">": np.greater, ">=": np.greater_equal}  # fmt: skip
OPPOSITE = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
LOST = sympy.Symbol("the lost reference #REF!")  # its cell was deleted
Largest = sympy.Function("Largest")  # of two values, as MAX
Rounded = sympy.Function("Rounded")  # of a value and a number of decimals

OPAQUE = (Compared, Choice, Largest, Rounded)  # they take no `evaluate`


def _rounded(value, digits):
    """ROUND: rounding that is fine enough changes nothing, see `rounding.py`."""
    return value if digits >= ACCEPTED_DIGITS else Rounded(value, digits)


OF_LISTS = {"SUM", "PRODUCT", "SUMPRODUCT", "AVERAGE"}
FUNCTIONS = {
    "AVERAGE": _average,
    "IF": lambda condition, a, b=sympy.S.Zero: Choice(condition, a, b),
    "SUM": _fold(sympy.Add),
    "PRODUCT": _fold(sympy.Mul),
    "SUMPRODUCT": _sum_of_products,
    "EXP": _exp,
    "POWER": lambda a, b: combine("^", a, b),
    "SQRT": lambda a: combine("^", a, sympy.Rational(1, 2)),
    "SUMSQ": lambda *a: _fold(sympy.Add)([combine("^", x, sympy.Integer(2)) for x in a]),
    "MAX": lambda a, b: Largest(a, b),
    "SUMXMY2": lambda a, b: combine("^", combine("-", a, b), sympy.Integer(2)),
    "ABS": lambda a: sympy.Abs(a, evaluate=False),
    "TANH": lambda a: sympy.tanh(a, evaluate=False),
    "LN": lambda a: sympy.log(a, evaluate=False),
    "ROUND": lambda a, digits: _rounded(a, digits),
    "IFERROR": lambda a, otherwise: a,
}


def replace(expression, symbols):
    """Put other expressions in place of symbols, and simplify nothing.

    Args:
        symbols: a dict, symbol → expression.
    """
    if expression.is_Symbol:
        return symbols.get(expression, expression)
    if not expression.args:
        return expression
    arguments = [replace(argument, symbols) for argument in expression.args]
    if expression.func in OPAQUE:
        return expression.func(*arguments)
    return expression.func(*arguments, evaluate=False)


def decide(expression, values, chosen):
    """An expression without its IFs: the branch that the values choose.

    Args:
        values: a dict, symbol → number.
        chosen: a list, to which the (condition, whether it is true) of each IF is appended.
    """
    if not expression.has(Choice):
        return expression
    if expression.func is Choice:
        condition, yes, no = expression.args
        true = bool(evaluate(condition, values))
        chosen.append((condition, true))
        return decide(yes if true else no, values, chosen)
    arguments = [decide(argument, values, chosen) for argument in expression.args]
    if expression.func in OPAQUE:
        return expression.func(*arguments)
    return expression.func(*arguments, evaluate=False)


# --- Numbers -----------------------------------------------------------------------


def evaluate(expression, values):
    """The value of an expression, NumPy arrays in place of its symbols.

    Args:
        values: a dict, symbol → array. `LOST` need not be in it: it has no value.
    """
    if expression.is_Symbol:
        return values.get(expression, np.nan) if expression == LOST else values[expression]
    if expression.is_Number or expression.is_NumberSymbol:  # e, where a mistake has exp(1)
        return float(expression)
    if expression.func is Compared:
        return _compared(*(evaluate(argument, values) for argument in expression.args[1:]),
                         COMPARISONS[expression.args[0].name])  # fmt: skip
    arguments = [evaluate(argument, values) for argument in expression.args]
    if expression.is_Add:
        return reduce(np.add, arguments)
    if expression.is_Mul:
        return reduce(np.multiply, arguments)
    if expression.is_Pow:
        return _power(*arguments)
    return _UFUNCS[expression.func](*arguments)


def _compared(left, right, comparison):
    """Whether a comparison is true; an empty cell equals an empty text."""
    empty = np.isnan(left) & np.isnan(right)
    return np.where(empty, comparison(0, 0), comparison(left, right)).astype(float)


def _power(base, exponent):
    if np.ndim(exponent) == 0 and exponent == -1:
        return 1 / np.asarray(base, float)
    return np.power(np.asarray(base, float), exponent)


_UFUNCS = {
    Choice: lambda condition, a, b: np.where(np.asarray(condition) != 0, a, b),
    Rounded: lambda a, digits: np.round(a, int(digits)),
    Largest: np.maximum,
    sympy.exp: np.exp,
    sympy.Abs: np.abs,
    sympy.tanh: np.tanh,
    sympy.log: np.log,
}
