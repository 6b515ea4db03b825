"""The sheet *Your turn* of a workbook that is handed in: each of the eight answers is judged."""

import numpy as np
import openpyxl
import pytest

import backprop
import sheets
import workbook
from backprop import GRADIENT_SYMBOLS, GRADIENTS
from grading import report, workbooks, your_turn
from grading.mistakes import catalogue
from grading.networks import Network, random_networks
from grading.quantities import compile_formula

NAMES = [f"dE/dw{k}" for k in range(1, 9)]
ANSWERS = {  # as a student would type them
    f"B{11 + k}": answer
    for k, answer in enumerate(
        [
            *(f"=((F8-C5)*F8*(1-F8)*{u}5+(H8-D5)*H8*(1-H8)*{v}5)*{a}8*(1-{a}8)*{i}5"
              for u, v, a in ("IKB", "JLD") for i in "AB"),
            *(f"=({o}8-{t}5)*{o}8*(1-{o}8)*{a}8" for o, t in ("FC", "HD") for a in "BD"),
        ]
    )
}  # fmt: skip
# Numbers that have nothing to do with each other, so that no two mistakes give the same.
NETWORK = Network((0.37, 0.83), (0.21, 0.68), (0.15, -0.22, 0.29, 0.34, -0.43, 0.47, 0.53, 0.59))


def values_of(network):
    """All quantities by symbol."""
    given = backprop.named_values(network.inputs, network.targets, network.weights)
    return given | backprop.spreadsheet_row(given)


class Sheet:
    """The cells of the sheet as `sheets.write_your_turn` leaves them, without a file."""

    def __init__(self, network=NETWORK):
        self.right = values_of(network)
        self.values, self.formulas = {}, {}
        for cells in (your_turn.GIVEN_CELLS, your_turn.COMPUTED_CELLS):
            for symbol, (row, column) in cells.items():
                self.values[row - 1, column] = symbol.name
                self.values[row, column] = float(self.right[symbol])
        for symbol, row in your_turn.ANSWER_ROWS.items():
            self.values[row, 1] = symbol.name
            self.values[row, your_turn.KEY] = float(self.right[symbol])

    def check(self):
        def value(row, column):
            return self.values.get((row, column))

        return your_turn.check_answers(value, lambda *at: self.formulas.get(at))

    def answer(self, value, formula=None, number=3):
        """Put one answer there and return its result."""
        self.values[10 + number, 2] = value
        self.formulas[10 + number, 2] = formula
        (table,), _ = self.check()
        return table["columns"][f"dE/dw{number}"]


def test_the_cells_are_those_of_the_sheet(tmp_path):
    """Addresses of the module against the workbook that is written."""
    path = workbook.write_workbook(tmp_path / "book.xlsx", epochs=2)
    page = openpyxl.load_workbook(path, data_only=True)[your_turn.SHEET]
    (table,), notes = your_turn.check_answers(lambda *at: page.cell(*at).value, lambda *at: None)
    assert notes == [] and [*table["columns"]] == NAMES
    assert {c["verdict"] for c in table["columns"].values()} == {"NOT DONE"}


def test_the_untouched_workbook_stays_right(tmp_path):
    path = workbook.write_workbook(tmp_path / "book.xlsx", epochs=2)
    result = workbooks.check_without_limits(path)
    assert result["verdict"] == "right" and result["notes"] == []
    text = report.as_text(result)
    for name in NAMES:
        assert f"  Your turn, {name}: NOT DONE\n" in text + "\n"
    rows = report.results_table([result]).query("sheet == 'Your turn'")
    assert rows["column"].tolist() == NAMES and set(rows["verdict"]) == {"NOT DONE"}


def test_a_workbook_without_the_sheet_has_no_answers(tmp_path):
    path = workbook.write_workbook(tmp_path / "book.xlsx", epochs=2)
    book = openpyxl.load_workbook(path, data_only=True)
    del book[your_turn.SHEET]
    book.save(tmp_path / "other.xlsx")
    result = workbooks.check_without_limits(tmp_path / "other.xlsx")
    assert result["answers"] == [] and "Your turn" not in report.as_text(result)


@pytest.fixture
def hand_in(tmp_path, monkeypatch):
    """A function: write a workbook with answers, formulas with their values, and check it."""
    write = sheets.write_your_turn

    def make(answers, **network):
        def write_with_answers(book, formats, network):
            write(book, formats, network)
            page = book.get_worksheet_by_name(your_turn.SHEET)
            for cell, (content, value) in answers.items():
                if str(content).startswith("="):
                    page.write_formula(cell, content, None, value)
                else:
                    page.write(cell, content)

        monkeypatch.setattr(sheets, "write_your_turn", write_with_answers)
        path = workbook.write_workbook(tmp_path / "book.xlsx", epochs=2, **network)
        return workbooks.check_without_limits(path)

    return make


@pytest.mark.parametrize("network", [{}, {"inputs": NETWORK.inputs, "weights": NETWORK.weights}])
def test_right_formulas_in_a_file(hand_in, network):
    given = {"inputs": backprop.INPUT_VALUES, "weights": backprop.WEIGHT_VALUES} | network
    right = backprop.closed_form_gradients(targets=sheets.YOUR_TURN_TARGETS, **given)
    answers = {cell: (text, value) for (cell, text), value in zip(ANSWERS.items(), right)}
    result = hand_in(answers, **network)
    (table,) = result["answers"]
    assert result["verdict"] == "right" and result["notes"] == []
    for name, column in table["columns"].items():
        assert (column["verdict"], column["cause"]) == ("CORRECT", None), name
        assert column["formula"] == ANSWERS[f"B{10 + int(name[-1])}"]


def test_wrong_answers_in_a_file_and_in_its_report(hand_in, tmp_path):
    given = backprop.INPUT_VALUES, sheets.YOUR_TURN_TARGETS, backprop.WEIGHT_VALUES
    right = values_of(type(NETWORK)(*given))
    _, function = compile_formula(formula := GRADIENTS[backprop.w3].subs("a_h2", "a_h1"))
    (wrong,) = function(*(right[s] for s in compile_formula(formula)[0]))
    result = hand_in({"B13": ("=1*1", wrong), "B15": ("later", None), "B16": ("=N16", 0.1)})
    assert result["verdict"] == "right", "answers do not change the verdict on the tables"
    text = report.as_text(result)
    assert "  Your turn, dE/dw3: INCORRECT (B13): a_h1 in place of a_h2\n" in text
    assert "  Your turn, dE/dw5: INCORRECT (B15): no number: 'later'\n" in text
    assert "INCORRECT (B16): it uses column N, which holds the right values\n" in text
    report.write_csv([result], tmp_path / "class.csv")
    lines = (tmp_path / "class.csv").read_text(encoding="utf-8").splitlines()
    assert sum("Your turn" in line for line in lines) == 8
    column = result["answers"][0]["columns"]["dE/dw3"]
    assert column["expected_formula"].startswith("=((F8 - C5)*F8*(1 - F8)*J5")


def test_answers_are_reported_beside_a_table_that_is_gone(tmp_path):
    path = workbook.write_workbook(tmp_path / "book.xlsx", epochs=2)
    book = openpyxl.load_workbook(path, data_only=True)
    for name in sheets.SHEETS:
        if name != your_turn.SHEET:
            del book[name]
    book[your_turn.SHEET]["B11"] = 1
    book.save(tmp_path / "alone.xlsx")
    result = workbooks.check_without_limits(tmp_path / "alone.xlsx")
    assert result["verdict"] == "unreadable"
    assert "Your turn, dE/dw1: INCORRECT (B11)" in report.as_text(result)
    assert len(report.results_table([result])) == 9


def test_as_a_spreadsheet_program_saves_it(libreoffice_saved, tmp_path):
    """LibreOffice calculates; the sheet's own verdicts and ours agree."""
    path = workbook.write_workbook(tmp_path / "book.xlsx", epochs=2)
    book = openpyxl.load_workbook(path)
    page = book[your_turn.SHEET]
    for cell, answer in ANSWERS.items():
        page[cell] = answer
    page["A5"], page["D5"] = -0.7, 0.3
    page["B12"], page["B13"], page["B14"], page["B15"] = 1e-3, "=1/0", "later", None
    page["B16"] = page["B16"].value + "*2"
    page["F25"] = "=(H8-D5)*H8*(1-H8)"
    page["B17"] = "=F25*B8"
    book.save(tmp_path / "answers.xlsx")
    (path,) = libreoffice_saved([tmp_path / "answers.xlsx"])
    page = openpyxl.load_workbook(path, data_only=True)[your_turn.SHEET]
    result = workbooks.check_without_limits(path)
    assert result["verdict"] == "right" and result["notes"] == []
    columns = [*result["answers"][0]["columns"].values()]
    assert [c["verdict"] for c in columns] == [cell.value for (cell,) in page["C11:C18"]]
    assert [c["verdict"] for c in columns] == (
        ["CORRECT"] + ["INCORRECT"] * 3 + ["NOT DONE", "INCORRECT", "CORRECT", "CORRECT"]
    )
    assert [c["cause"] for c in columns[2:6]] == [
        "the error #DIV/0! in place of a number",
        "no number: 'later'",
        None,
        "twice the right value",
    ]


# --- One answer ----------------------------------------------------------------------


@pytest.mark.parametrize("weight", GRADIENT_SYMBOLS)
def test_every_mistake_of_the_catalogue_is_named(weight):
    symbol, sheet = GRADIENT_SYMBOLS[weight], Sheet()
    number = int(weight.name[1:])
    for what, formula in catalogue(symbol):
        symbols, function = compile_formula(formula)
        with np.errstate(all="ignore"):
            (value,) = function(*(sheet.right[s] for s in symbols))
        if np.isfinite(value):
            result = sheet.answer(float(value), "=1*1", number)
            assert (result["verdict"], result["first_wrong"]) == ("INCORRECT", f"B{10 + number}")
            assert result["cause"] == what


@pytest.mark.parametrize(
    "value, formula, cause",
    [
        ("later", None, "no number: 'later'"),
        ("#DIV/0!", "=1/0", "the error #DIV/0! in place of a number"),
        ("0.25", None, "a number that is stored as text"),
        ("0,25", None, "a number that is stored as text"),
        ("(F8-C5)*F8", None, "a text, not a formula: does the = at its beginning lack?"),
        (True, "=1=1", "no number: 'True'"),
        (None, "=F8", "its formula carries no value: open it in Excel or LibreOffice, save it"),
        (1e300, "=1E300", None),
        (float("inf"), "=x", "it uses x, which is no cell of this sheet"),
    ],
)
def test_what_is_no_right_number(value, formula, cause):
    result = Sheet().answer(value, formula)
    assert result["verdict"] == "INCORRECT" and (result["cause"] or "").startswith(cause or "")
    assert bool(result["cause"]) == bool(cause)


@pytest.mark.parametrize("value", [None, "", "   ", "\n"])
def test_an_empty_cell_is_not_done(value):
    assert Sheet().answer(value)["verdict"] == "NOT DONE"


def test_numbers_that_were_typed():
    sheet = Sheet()
    right = float(sheet.right[GRADIENT_SYMBOLS[backprop.w3]])
    result = sheet.answer(right)
    assert result["verdict"] == "CORRECT" and "typed as a number" in result["cause"]
    result = sheet.answer(round(right, 4))
    assert result["verdict"] == "INCORRECT" and result["cause"] == "rounded to 4 decimals"
    other = float(sheet.right[GRADIENT_SYMBOLS[backprop.w4]])
    assert sheet.answer(other, "=1*1")["cause"] in ("i2 in place of i1", "this is ∂E/∂w4")


COPIES = {  # a formula and the formulas of other cells
    "=N13": {},
    "= + $N$13": {},
    "=SUM(M13:O13)": {},
    "=A25": {(25, 1): "=B25*2", (25, 2): "=N13/2"},
    "=N:N": {},
    "=INDEX(A1:Z30,13,14)": {},
    '=INDIRECT("N"&13)': {},
    "=OFFSET(A13,0,13)": {},
    "=Backpropagation!AB13": {},
    "='With deltas'!B5": {},
    "=key": {},
    "=SUM(A1:ZZ9999)": {},
    '="': {},
}


@pytest.mark.parametrize("formula", COPIES)
def test_a_right_value_that_is_copied_is_no_answer(formula):
    sheet = Sheet()
    sheet.formulas |= COPIES[formula]
    result = sheet.answer(float(sheet.right[GRADIENT_SYMBOLS[backprop.w3]]), formula)
    assert result["verdict"] == "INCORRECT" and result["cause"].startswith("it")


def test_helper_cells_are_allowed():
    sheet = Sheet()
    sheet.formulas |= {(25, 1): "=B25", (25, 2): "=A25+F8+B12", (12, 2): "=SUM(A5:B5)"}  # a circle
    right = float(sheet.right[GRADIENT_SYMBOLS[backprop.w3]])
    assert sheet.answer(right, "=A25*LN(2)+MIN(B8,D8)")["verdict"] == "CORRECT"


# --- The sheet ------------------------------------------------------------------------


def test_the_numbers_are_those_of_the_sheet():
    """A student may change them: a right formula stays right."""
    for network in random_networks(5):
        sheet = Sheet(network)
        for weight, symbol in GRADIENT_SYMBOLS.items():
            value = float(sheet.right[symbol])
            assert sheet.answer(value, "=1*1", int(weight.name[1:]))["verdict"] == "CORRECT"
        assert sheet.check()[1] == []


def test_changed_right_values_fool_nobody():
    sheet = Sheet()
    sheet.values[13, your_turn.KEY] = 0.25
    assert sheet.answer(0.25)["verdict"] == "INCORRECT"
    (note,) = sheet.check()[1]
    assert "∂E/∂w3 (N13)" in note and "the verdicts that the sheet shows do not count" in note
    sheet.values[14, your_turn.KEY] = None
    assert "∂E/∂w3 (N13), ∂E/∂w4 (N14)" in sheet.check()[1][0]


def test_changed_activations_are_noted():
    sheet = Sheet()
    sheet.values[8, 2] = 0.5
    (note,) = sheet.check()[1]
    assert "a_h1 (B8)" in note


@pytest.mark.parametrize("value", [None, "x", "#REF!", float("nan"), True])
def test_a_missing_number_gets_a_note(value):
    sheet = Sheet()
    sheet.values[5, 1] = value
    answers, (note,) = sheet.check()
    assert answers == [] and "i1 (A5)" in note


def test_numbers_that_overflow_get_a_note():
    sheet = Sheet()
    sheet.values[5, 3] = 1e300
    answers, (note,) = sheet.check()
    assert answers == [] and "too large" in note


@pytest.mark.parametrize("place", [(4, 1), (7, 3), (11, 1), (18, 1)])
@pytest.mark.parametrize("value", [None, "name", 3])
def test_a_sheet_that_is_not_ours_gets_a_note(place, value):
    sheet = Sheet()
    sheet.values[place] = value
    answers, (note,) = sheet.check()
    assert answers == [] and "not laid out as in our workbook" in note


def test_an_empty_sheet_of_that_name(tmp_path):
    book = openpyxl.Workbook()
    book.active.title = your_turn.SHEET
    book.active["A1"] = "mine"
    book.save(tmp_path / "book.xlsx")
    result = workbooks.check_without_limits(tmp_path / "book.xlsx")
    assert result["verdict"] == "unreadable" and result["answers"] == []
