"""Reads what the formulas of a table say: an expression over the network's quantities.

A reference to the table's own row is the quantity of its column; one to another row is that
quantity "of the row above", "of the first row", "of row 7". A labelled cell outside the
table is the quantity that its label names, an unlabelled one the quantity whose value it
holds. A cell of a column that the network does not know is replaced by its own formula.
Empty cells, headers and texts are called what they are.
"""

from typing import NamedTuple

import numpy as np
import sympy

from backprop import GRADIENT_SYMBOLS
from grading import parsing
from grading.differences import close, values
from grading.filling import parse
from grading.headers import canonical_name
from grading.labels import address_on
from grading.mistakes import ETA, of_row
from grading.quantities import CONSTANT_NAMES, WEIGHT_NAMES
from grading.reading import number_in

DEEPEST = 6  # columns of a student's own that lead to one another
MOST = 40  # cells that one formula is put together from


class Inlined(NamedTuple):
    """A cell of the student's own whose formula took its place in another one.

    Attributes:
        address: where it is. header: what stands above it, or "".
        expression: its formula over the network's quantities.
        depth: how many such cells lead to it.
    """

    address: str
    header: str
    expression: sympy.Expr
    depth: int


class Reader:
    """Reads the formulas of one table.

    Args:
        book: the workbook. table: see `tables.Table`.
        labels: (sheet title, row, column) → canonical name, of the numbers beside a label.

    Attributes:
        rate_cell: (sheet title, row, column) of η, once it is known. eta: its number.
        inlined: (sheet title, row, column) → `Inlined`, of the formula that was read last.
        meanings: address → what it is, of the references in that formula itself.
        conditions: (condition, whether it is true) of the IFs that chose its branches.
    """

    def __init__(self, book, table, labels):
        self.book, self.table, self.labels = book, table, labels
        self.rate_cell, self.eta = None, None
        self.names = {column: name for name, column in table.columns.items()}
        for column, text in enumerate(table.sheet.rows[table.header_row], start=1):
            inside = min(self.names) <= column <= max(self.names)
            if inside and column not in self.names and (name := canonical_name(text)):
                self.names[column] = name  # the same column once more
        self.index = {row: k for k, row in enumerate(table.rows)}

    def read(self, formula, row, column, here, wanted=(), instead=None):
        """Read a formula.

        Args:
            formula: a `cells.Formula` on the table's sheet.
            row, column: the cell that it stands in.
            here: the number of the data row whose quantities have no "of the row above".
            wanted: names of quantities, preferred where a cell may be one of several.
            instead: (sheet title, row, column) → expression, of cells that hold something else.

        Returns:
            A SymPy expression, or None where the formula cannot be read.
        """
        self.here, self.wanted, self.left, self.row = here, wanted, MOST, row
        self.instead, self.inlined = instead or {}, {}
        self.meanings, self.conditions = {}, []
        return self._expression(self.table.sheet, formula, row, column, 0)

    def read_cell(self, place, instead):
        """Read the formula of a cell of the student's own: an expression, or None.

        Args:
            place, instead: see `read`.
        """
        title, row, column = place
        sheet, before = self.book.sheet(title), (self.here, self.inlined, self.instead)
        formula = sheet.formulas.get((row, column))
        if formula is None:
            return None
        self.here, self.inlined, self.left = self.index.get(row, self.here), {}, MOST
        self.instead = {key: value for key, value in instead.items() if key != place}
        found = self._expression(sheet, formula, row, column, 1)
        self.here, self.inlined, self.instead = before
        return found

    def other_row(self, place):
        """Which other row of the table a cell is in than the formula; None for the same."""
        title, row, _ = place
        k = self.index.get(row) if title == self.table.sheet.title else None
        if k is None or k == self.here:
            return None
        return "the row above" if k == self.here - 1 else self.table.sheet.line_name(row)

    def _expression(self, sheet, formula, row, column, depth):
        """A formula's expression; `depth` counts the cells that led to it. None: not read."""
        parsed = parse(formula, self.book.names)
        if parsed is None or depth > DEEPEST:
            return None
        cells = {}
        for symbol, reference in parsed.references.items():
            other = self.book.sheet(reference.sheet) if reference.sheet else sheet
            if other is None:
                return None
            cells[symbol] = other, *reference.cell(row, column), reference.row_fixed
        numbers = {s: number_in(other.value(*place)) for s, (other, *place, _) in cells.items()}
        conditions = []
        chosen = parsing.decide(parsed.expression, numbers, conditions)
        used = chosen.free_symbols.union(*(condition.free_symbols for condition, _ in conditions))
        meanings = {s: self._meaning(*cells[s], depth) for s in cells if s in used}
        if depth == 0:
            places = {s: (other, *place) for s, (other, *place, _) in cells.items()}
            self.meanings = {self.address(*places[s]): str(m) for s, m in meanings.items()}
            self.conditions = [(parsing.replace(one, meanings), true) for one, true in conditions]
        return parsing.replace(chosen, meanings)

    def _meaning(self, sheet, row, column, fixed, depth):
        """What one cell is: a symbol, or the expression of its own formula."""
        if sheet is self.table.sheet and column in self.names:
            if row == self.table.header_row:
                return sympy.Symbol(f"the header cell {sheet.address(row, column)}")
            if row in self.index:
                return self._of_row(sympy.Symbol(self.names[column]), row, fixed)
        place, address = (sheet.title, row, column), self.address(sheet, row, column)
        if place in self.instead:
            return self.instead[place]
        for name, cell in self.table.cells.items():
            if cell == address:
                return sympy.Symbol(name)
        value, formula = sheet.value(row, column), sheet.formulas.get((row, column))
        if value is None and not formula:
            return sympy.Symbol(f"the empty cell {address}")
        if name := self._quantity_at(sheet, row, column, value):
            return sympy.Symbol(name)
        if formula and self.left > 0:
            self.left -= 1
            inner = self._expression(sheet, formula, row, column, depth + 1)
            if inner is not None:
                inner = self._new_weight(inner)
                self.inlined[place] = Inlined(address, self._header(sheet, column), inner, depth)
                return inner
        kind = "text" if isinstance(value, str) else "cell"
        return sympy.Symbol(f"the {kind} {'in ' * (kind == 'text')}{address}")

    def _new_weight(self, expression):
        """The symbol of a weight after the update, where an expression is its update."""
        typed = self.eta if np.isscalar(self.eta) else None
        for weight, slope in GRADIENT_SYMBOLS.items():
            if {weight, slope} <= expression.free_symbols:
                found, old, g = values(expression), values(weight), values(slope)
                if close(found, old - values(ETA) * g) or (typed and close(found, old - typed * g)):
                    return sympy.Symbol(f"the new {weight}")
        return expression

    def _header(self, sheet, column):
        """The text in a column's cell of the header row; "" where there is none."""
        text = sheet.value(self.table.header_row, column) if sheet is self.table.sheet else None
        return text.strip() if isinstance(text, str) else ""

    def address(self, sheet, row, column):
        """The address of a cell as a formula on the table's sheet writes it."""
        return address_on(self.table, sheet, row, column)

    def _of_row(self, symbol, row, fixed):
        """A quantity of the table, said with its row where that is another one."""
        values, k, here = self.table.values, self.index[row], self.here
        if symbol.name in ("eta", "epoch"):  # whatever its row
            return ETA if symbol.name == "eta" else symbol
        constant = symbol.name in CONSTANT_NAMES and symbol.name in values
        if k == here or (constant and values[symbol.name][k] == values[symbol.name][here]):
            return symbol
        if k == 0 and fixed:
            return of_row(symbol, "first row")
        where = {-2: "row two above", -1: "row above", 0: "same row", 1: "row below"}
        distance = k - self.index.get(self.row, here)
        return of_row(
            symbol, where.get(None if fixed else distance, self.table.sheet.line_name(row))
        )

    def _quantity_at(self, sheet, row, column, value):
        """The quantity that a cell outside the table holds, by its label or else its value."""
        place, values = (sheet.title, row, column), self.table.values
        name, number = self.labels.get(place), number_in(value)
        if place == self.rate_cell or (name == "eta" and self.rate_cell is None):
            return ETA.name
        if name in WEIGHT_NAMES and sheet is self.table.sheet:
            return of_row(name, "input block").name
        same = [n for n in sorted(CONSTANT_NAMES) if n in values and values[n][0] == number]
        if name:
            return name if name in same else None
        return next((n for n in same if n in self.wanted), same[0] if same else None)
