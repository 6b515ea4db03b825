"""The checker on tables that are not laid out an epoch a row, all columns on one sheet."""

import re

import pytest
import xlsxwriter
from openpyxl.utils import column_index_from_string, get_column_letter
from xlsxwriter.utility import xl_rowcol_to_cell

import students
from backprop import GRADIENTS, a_h1, a_h2, w3
from grading import parsing, reading, report, samples, views, workbooks
from grading.cells import Book, Formula, Sheet

NETWORK = students.NETWORKS[2]
MISTAKE = {w3: GRADIENTS[w3].subs(a_h2, a_h1)}
CELL = re.compile(r"(\$?)([A-Z]{1,3})(\$?)(\d+)")


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """A function: mistaken formulas → (row, column) from 0 → (value, formula or None)."""

    def read(formulas=None):
        path = tmp_path_factory.mktemp("a") / "a.xlsx"
        columns = {"epoch": range(9), **samples.numbers(NETWORK, 9, formulas)}
        order = ["epoch", *samples.COLUMNS]
        samples.write(path, NETWORK, columns, formulas, order=order, at=(3, 0), eta="above")
        (sheet,) = reading.read_workbook(path).sheets
        return {
            (row - 1, column): (value, sheet.formula_text(row, column + 1))
            for row, line in sheet.rows.items()
            for column, value in enumerate(line)
            if value is not None
        }

    return read


def write(path, sheets):
    """Write sheets: title → (row, column) from 0 → (value, formula or None)."""
    with xlsxwriter.Workbook(path) as book:
        for title, found in sheets.items():
            page = book.add_worksheet(title)
            for place, (value, formula) in found.items():
                if formula:
                    page.write_formula(*place, formula, None, value)
                else:
                    page.write(*place, value)
    return workbooks.check_without_limits(path)


def exchanged(found):
    """Rows and columns exchanged."""
    column_fixed, letters, row_fixed, digits = found.groups()
    row, column = column_index_from_string(letters), int(digits)
    return f"{row_fixed}{get_column_letter(column)}{column_fixed}{row}"


def across(found):
    return {
        (column, row): (value, formula and CELL.sub(exchanged, formula))
        for (row, column), (value, formula) in found.items()
    }


def test_epochs_that_run_across(cells, tmp_path):
    result = write(tmp_path / "right.xlsx", {"Sheet1": across(cells())})
    assert result["verdict"] == "right", report.as_text(result)
    (table,) = result["tables"]
    assert (table["header_row"], table["header_column"], table["eta_source"]) == (1, "D", "B2")
    assert "header in column D, 9 columns" in report.as_text(result)


def test_a_mistake_where_epochs_run_across(cells, tmp_path):
    result = write(tmp_path / "wrong.xlsx", {"Sheet1": across(cells(MISTAKE))})
    (table,) = result["tables"]
    assert students.wrong(table["columns"]) == {"dE/dw3": "a_h1 in place of a_h2"}
    column, order = table["columns"]["dE/dw3"], ["epoch", *samples.COLUMNS]
    where = {name: f"E{order.index(name) + 1}" for name in order}
    assert column["first_wrong"] == where["∂E/∂w3"]
    assert where["a_h1"] in column["formula"] and where["a_h2"] not in column["formula"]
    assert where["a_h2"] in column["expected_formula"]


def on_two_sheets(found, first):
    """The columns from `first` on, moved to a sheet of their own, two rows further down."""

    def moved(home):
        def move(cell):
            column_fixed, letters, row_fixed, digits = cell.groups()
            column, row = column_index_from_string(letters) - 1, int(digits)
            there = column >= first
            if there:
                letters, row = get_column_letter(column - first + 1), row + 2
            prefix = "" if there == home else "'My gradients'!" if there else "Sheet1!"
            return f"{prefix}{column_fixed}{letters}{row_fixed}{row}"

        return move

    sheets = {"Sheet1": {}, "My gradients": {}}
    for (row, column), (value, formula) in found.items():
        there = column >= first
        place = (row + 2, column - first) if there else (row, column)
        formula = formula and CELL.sub(moved(there), formula)
        sheets["My gradients" if there else "Sheet1"][place] = (value, formula)
    return sheets


FIRST_GRADIENT = 1 + samples.COLUMNS.index("∂E/∂w1")


@pytest.mark.parametrize("live", [True, False])
def test_gradients_on_a_second_sheet(cells, tmp_path, live):
    sheets = on_two_sheets(cells(), FIRST_GRADIENT)
    if not live:
        sheets = {t: {p: (v, None) for p, (v, _) in found.items()} for t, found in sheets.items()}
    result = write(tmp_path / "right.xlsx", sheets)
    assert result["verdict"] == "right", report.as_text(result)
    assert len(result["tables"]) == 1


def test_a_mistake_on_the_second_sheet(cells, tmp_path):
    result = write(tmp_path / "wrong.xlsx", on_two_sheets(cells(MISTAKE), FIRST_GRADIENT))
    (table,) = result["tables"]
    assert students.wrong(table["columns"]) == {"dE/dw3": "a_h1 in place of a_h2"}
    column, place = table["columns"]["dE/dw3"], samples.COLUMNS.index("a_h2") + 1
    assert column["first_wrong"] == "'My gradients'!C7"
    assert f"Sheet1!{xl_rowcol_to_cell(4, place)}" in column["expected_formula"]


REFERENCES = {  # of a sheet that runs across
    "A1+$B2*C$3": "A1+B$2*$C3", "SUM(A1:C2)": "SUM(A1:B3)", "Sheet1!B5": "E2", "LOG10(B7)": "LOG10(G2)",
    "'Other one'!B5*B6": "'Other one'!B5*F2", "A99999": "#REF!", "A9999999": "#REF!",
}  # fmt: skip


@pytest.mark.parametrize("text", REFERENCES)
def test_references_follow_their_cells(text):
    sheet = Sheet("Sheet1", {1: (1, 2)}, {(1, 1): Formula(text, 1, 1)})
    other = Sheet("Other one", {1: (3,)}, {(1, 1): Formula("Sheet1!$B7", 1, 1)})
    book = Book([sheet, other], {"RATE": "Sheet1!$B$7"})
    book = views.with_views(book, [views.View([views.Part(sheet, across=True)])])
    assert book.sheet("sheet1").formulas[1, 1].text == REFERENCES[text]
    assert book.sheet("Other one").formulas[1, 1].text == "Sheet1!G$2"
    assert parsing.parse(Formula("RATE", 1, 1), book.names).references
    assert book.names["RATE"] == "Sheet1!$G$2"


def test_a_sheet_that_is_too_large_to_turn_is_left_as_it_is():
    rows = {row: ("w1",) for row in range(1, 2000)}
    book = Book([Sheet("Sheet1", rows)])
    assert views.arranged(book) is book


def test_labels_do_not_hide_a_row(cells, tmp_path):
    """A row of labels below a table is none of its epochs; an epoch with two labels in it is."""
    found = cells()
    order = ["epoch", *samples.COLUMNS]
    for column, value in enumerate(("i1", NETWORK.inputs[0], "i2", NETWORK.inputs[1])):
        found[15, column + 1] = (value, None)
    result = write(tmp_path / "right.xlsx", {"Sheet1": found})
    assert result["verdict"] == "right", report.as_text(result)
    for name in ("t1", "t2"):
        found[8, order.index(name)] = (name, None)
    found[8, order.index("h1")] = (99.0, None)
    assert write(tmp_path / "wrong.xlsx", {"Sheet1": found})["verdict"] == "wrong"
