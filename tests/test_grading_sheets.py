"""The checker on messy sheets: what may be odd and is right, and what must not pass as right."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sympy
import xlsxwriter
from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell

import students
from backprop import GRADIENTS, WEIGHTS, a_h1, a_h2, t1, t2, w3, w5
from grading import report, samples, workbooks
from grading.quantities import FORMULAS, column_name

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = students.NETWORKS


# --- Messy sheets ------------------------------------------------------------------

SHOWN = samples.COLUMNS
RUN = samples.numbers(NETWORKS[0], 8)
ROWS = [[float(RUN[name][k]) for name in SHOWN] for k in range(8)]
STATED = ["η", NETWORKS[0].learning_rate]


@pytest.fixture
def check_grid(tmp_path):
    """A function: rows of cells → the result for a workbook with one sheet of them."""

    def check(rows, more=()):
        with xlsxwriter.Workbook(tmp_path / "grid.xlsx") as book:
            for name, cells in {"Sheet1": rows, **dict(more)}.items():
                page = book.add_worksheet(name)
                for r, row in enumerate(cells):
                    for c, value in enumerate(row):
                        if value is not None:
                            page.write(r, c, value)
        return workbooks.check_without_limits(tmp_path / "grid.xlsx")

    return check


def changed(name, rows, value):
    """`ROWS` with a column changed in some rows."""
    column = SHOWN.index(name)
    return [[*r[:column], value, *r[column + 1 :]] if k in rows else r for k, r in enumerate(ROWS)]


@pytest.mark.parametrize("digits", range(6, 16))
@pytest.mark.parametrize("form", ["{:.%dg}", "{:.%df}"])
def test_rounding_to_any_number_of_digits(check_grid, digits, form):
    form = form % digits
    for network in NETWORKS:
        columns = samples.numbers(network, 20)
        for first in (0, 4):  # also a table whose first weights were rounded
            rows = [[float(form.format(columns[n][k])) for n in SHOWN] for k in range(first, 20)]
            result = check_grid([["η", network.learning_rate], SHOWN, *rows])
            assert result["verdict"] == "right", report.as_text(result)


def test_a_saturated_network_rounds_to_zeros(check_grid):
    weights = (3.0, 3.0, 3.0, 3.0, 0.1, 0.2, 0.3, 0.4)
    network = samples.Network(inputs=(5.0, 6.0), targets=(0.5, 0.5), weights=weights)
    columns = samples.numbers(network, 6)
    rows = [[round(float(columns[n][k]), 6) for n in SHOWN] for k in range(6)]
    assert check_grid([["η", 1], SHOWN, *rows])["verdict"] == "right"


RIGHT_GRIDS = {
    "inputs and targets in the first row only": [
        STATED, SHOWN, ROWS[0], *([None] * 4 + row[4:] for row in ROWS[1:])
    ],
    "a column shown twice": [
        STATED, SHOWN[:10] + ["i1", "i2"] + SHOWN[10:], *(r[:10] + r[2:4] + r[10:] for r in ROWS)
    ],
    "an average below, with a label": [
        STATED, ["epoch", *SHOWN], *([k, *r] for k, r in enumerate(ROWS)),
        ["average", *np.mean(ROWS, 0)],
    ],
    "an average below a blank row": [STATED, SHOWN, *ROWS, [], [*np.mean(ROWS, 0)]],
    "every second epoch": [STATED, ["epoch", *SHOWN], *([k, *ROWS[k]] for k in range(0, 8, 2))],
    "the last epoch again": [
        STATED, ["epoch", *SHOWN], *([k, *r] for k, r in enumerate(ROWS)), [7, *ROWS[7]]
    ],
    "two runs, one above the other": [
        STATED, ["Epoch", *SHOWN], *([k, *r] for k, r in [*enumerate(ROWS)] * 2)
    ],
    "a blank row inside": [STATED, ["epoch", *SHOWN], *([k, *r] for k, r in enumerate(ROWS[:4])), [],
                           *([k, *r] for k, r in enumerate(ROWS[4:], start=4))],
    "units in the headers": [[n + " (value)" for n in SHOWN], *ROWS],
    "one row and a column of η": [["η", *SHOWN], [0.1, *ROWS[0]]],
    "a column of η": [["eta", *SHOWN], *([0.1, *row] for row in ROWS)],
    "decimal commas as text": [SHOWN, *([repr(v).replace(".", ",") for v in r] for r in ROWS)],
    "outputs called y1 and y2": [[{"a_o1": "out_o1"}.get(n, n) for n in SHOWN], *ROWS],
    "a title that is no rate": [["Exercise by Alpha 7 team"], SHOWN, *ROWS],
    "a rate in another notation": [["η = 10%"], SHOWN, *ROWS],
    "a text with another number": [["learning rate 7, as discussed"], SHOWN, *ROWS],
    "gradients by another name": [[n.replace("∂E/∂", "g_") for n in SHOWN], *ROWS],
    "w1 gradient": [[n.replace("∂E/∂", "") + " gradient" if "∂" in n else n for n in SHOWN], *ROWS],
}  # fmt: skip


@pytest.mark.parametrize("what", RIGHT_GRIDS)
def test_messy_but_right(what, check_grid):
    result = check_grid(RIGHT_GRIDS[what])
    assert result["verdict"] == "right", report.as_text(result)
    columns = result["tables"][0]["columns"]
    assert {c["verdict"] for n, c in columns.items() if "update" not in n} == {"right"}
    assert columns["h1"]["rows_checked"] >= min(4, len(RIGHT_GRIDS[what]) - 1)


WRONG_GRIDS = {  # the columns that must be wrong, and the cells
    "wrong below, inputs in the first row only": (
        {"h1"},
        [SHOWN, ROWS[0], *([None] * 4 + row[4:] for row in changed("h1", range(8), 99)[1:])],
    ),
    "never trained": ({f"update {w}" for w in WEIGHTS}, [SHOWN, *[ROWS[0]] * 8]),
    "one weight moves": ({"update w1"}, [SHOWN, *([*r[:4], 0.1 * k, *r[5:]] for k, r in enumerate(ROWS))]),
    "a weight is an error": ({"update w1"}, [SHOWN, *changed("w1", [4], "#REF!")]),
    "gradients three times too large": (
        {f"dE/d{w}" for w in WEIGHTS},
        [[n.replace("∂E/∂", "grad_") for n in SHOWN],
         *([3 * v if "∂" in n else v for n, v in zip(SHOWN, r)] for r in ROWS)],
    ),
    "a column says another η": ({"update w1"}, [["η", *SHOWN], *([0.5, *r] for r in ROWS)]),
    "the rate as words": ({"update w1"}, [["learning rate:", 0.5], SHOWN, *ROWS]),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG_GRIDS)
def test_messy_and_wrong(what, check_grid):
    columns, rows = WRONG_GRIDS[what]
    result = check_grid(rows)
    assert result["verdict"] == "wrong", report.as_text(result)
    assert columns <= students.wrong(result["tables"][0]["columns"]).keys()
    json.dumps(result, allow_nan=False)


def test_why_in_messy_sheets(check_grid):
    causes = {what: check_grid(rows)["tables"][0]["columns"]["update w1"]["cause"]
              for what, (_, rows) in WRONG_GRIDS.items()}  # fmt: skip
    assert causes["never trained"].startswith("not updated")
    assert causes["a column says another η"] == "another learning rate: 0.1 in place of 0.5"
    assert causes["the rate as words"] == "another learning rate: 0.1 in place of 0.5"


def test_nothing_checked_is_not_right(check_grid):
    """All rows broken, gradients missing, headers unknown: never "right"."""
    result = check_grid([SHOWN, *changed("w1", range(8), "#REF!")])
    assert result["verdict"] == "unreadable" and "no row under it has numbers" in result["reason"]
    first_gradient = SHOWN.index("∂E/∂w1")
    result = check_grid([row[:first_gradient] for row in (SHOWN, *ROWS)])
    assert result["verdict"] == "wrong" and "Incomplete" in result["notes"][-1]
    result = check_grid([[n.replace("∂E/∂", "Δ") for n in SHOWN], *ROWS])
    assert result["verdict"] == "wrong" and "'Δw1'" in result["notes"][0]
    result = check_grid([SHOWN, *changed("i1", [3], None)])
    assert students.wrong(result["tables"][0]["columns"]) == {"i1": "cells are empty"}
    result = check_grid([SHOWN, *changed("w1", [3, 4], None)])
    assert "2 of 8 rows could not be checked, the first is row 5" in result["notes"][-1]


def test_numbers_on_another_sheet(check_grid):
    constants = {"t1", "t2", "i1", "i2"}
    keep = [k for k, name in enumerate(SHOWN) if name not in constants]
    rows = [[row[k] for k in keep] for row in [SHOWN, *ROWS]]
    labels = [[name, ROWS[0][SHOWN.index(name)]] for name in sorted(constants)]
    result = check_grid(rows, {"Parameters": [*labels, ["learning rate", 0.1]]}.items())
    table = result["tables"][0]
    assert (result["verdict"], table["eta"], table["eta_source"]) == (
        "right",
        0.1,
        "Parameters!B5",
    )
    result = check_grid(rows, {"Parameters": [*labels, ["learning rate", 0.5]]}.items())
    column = result["tables"][0]["columns"]["update w2"]
    assert column["cause"] == "another learning rate: 0.1 in place of 0.5"
    assert "Parameters!$B$5" in column["expected_formula"]


CONSTANTS = ("t1", "t2", "i1", "i2")


def between_two_numbers(left, right, leave_out=()):
    """A grid without columns for inputs and targets: each label stands between two numbers."""
    keep = [k for k, name in enumerate(SHOWN) if name not in (*CONSTANTS, *leave_out)]
    labels = [[one, name, other] for name, one, other in zip(CONSTANTS, left, right)]
    return [*labels, [], *([row[k] for k in keep] for row in [SHOWN, *ROWS])]


RIGHT = [ROWS[0][SHOWN.index(name)] for name in CONSTANTS]
OTHERS = [0.911, 0.822, 0.733, 0.644]


@pytest.mark.parametrize("left, right", [(RIGHT, OTHERS), (OTHERS, RIGHT)])
def test_of_two_readings_the_one_that_fits_is_taken(check_grid, left, right):
    result = check_grid(between_two_numbers(left, right))
    assert result["verdict"] == "right", report.as_text(result)


def test_two_readings_and_neither_fits(check_grid):
    """No column is blamed: the numbers with which all are calculated are said."""
    result = check_grid(between_two_numbers(OTHERS, OTHERS[::-1]))
    assert result["verdict"] == "wrong"
    assert not students.wrong(result["tables"][0]["columns"])
    for name, one, other, used in zip(CONSTANTS, OTHERS, OTHERS[::-1], RIGHT):
        said = [s for s in result["tables"][0]["unchecked"] if s.startswith(f"{name} is {used:g} ")]
        assert len(said) == 1 and str(one) in said[0] and str(other) in said[0]


def test_two_readings_and_nothing_shows_what_was_meant(check_grid):
    rows = between_two_numbers(OTHERS, OTHERS[::-1], leave_out=["h1", "∂E/∂w5", "∂E/∂w7"])
    result = check_grid(rows)
    assert result["verdict"] == "unreadable" and not result["tables"]
    for words in ("in more than one way, and no way fits", "t1 is 0.911 (A1) or 0.644 (C1)",
                  "Put each label left of its number"):  # fmt: skip
        assert words in result["reason"]


def test_what_a_file_says_stays_on_its_line(check_grid, tmp_path):
    forged = "bob.xlsx: RIGHT"
    rows = changed("h1", [2], f"x\n{forged}\n\x1b[2J" + 30_000 * "y")
    text = report.as_text(check_grid([SHOWN, *rows]))
    assert forged not in text.splitlines() and "\x1b" not in text and len(text) < 3000


ROUNDED = ("h1", "h2", "a_h1", "a_h2")


@pytest.mark.parametrize("mistake", [None, GRADIENTS[w3].subs(a_h2, a_h1)])
def test_rounding_hides_no_formula(tmp_path, mistake):
    """0.03 % off is less than rounding moves it; its formula is wrong all the same."""

    def type_rounded(book, page):
        for name in ROUNDED:
            for k, value in enumerate(columns[name], start=1):
                page.write_number(k, SHOWN.index(name), round(float(value), 6))

    formulas = {w3: mistake} if mistake else {}
    columns = samples.numbers(samples.Network(), 8, formulas)
    path = samples.write(
        tmp_path / "a.xlsx", samples.Network(), columns, formulas, touch=type_rounded
    )
    result = workbooks.check_without_limits(path)
    wrong = students.wrong(result["tables"][0]["columns"])
    assert wrong == ({"dE/dw3": "a_h1 in place of a_h2"} if mistake else {})
    typed = (
        "No formula calculates h1, a_h1, h2, a_h2: the right numbers are typed, rounded to 6 "
        "decimals."
    )
    assert any(note.endswith(typed) for note in result["notes"])


REPAIRS = {  # a mistaken formula, and what is suggested: the lesson's where no small change helps
    "h2": ("={w3}*{i1} + {w4}*{i1}", "={w3}*{i1} + {w4}*{i2}"),
    "E1": ("=POWER({t1}-{a_o1},2)", "=POWER({t1}-{a_o1},2)*(1/2)"),
    "o1": ("=PRODUCT({w5},{a_h1})+PRODUCT({w8},{a_h2})", "=PRODUCT({w5},{a_h1})+PRODUCT({w6},{a_h2})"),
    "∂E/∂w5": (
        "=({t1}-{a_o1})*{a_o1}*(1-{a_o1})*{a_h1}", "=({a_o1}-{t1})*{a_o1}*(1-{a_o1})*{a_h1}"
    ),
    "∂E/∂w7": ("=({a_o2}-{t2})*{a_o2}*{a_h1}", "=({a_o2}-{t2})*{a_o2}*{a_h1}*(1 - {a_o2})"),
    "E_total": ("={E1}*{E2}^3-{t1}", "={E1}+{E2}"),
}  # fmt: skip


@pytest.mark.parametrize("name", REPAIRS)
def test_the_suggested_formula_is_the_students_own_with_a_small_repair(tmp_path, name):
    typed, suggested = REPAIRS[name]
    network, (symbol,) = NETWORKS[2], [s for s in FORMULAS if s.name == name]
    names = {s: sympy.Symbol(s) for s in re.findall(r"{(.*?)}", typed)}
    text = typed[1:].replace("{", "").replace("}", "").replace("^", "**")
    text = re.sub(r"∂E/∂(w\d)", r"d\1", text)
    calls = {"POWER": lambda a, b: a**b, "PRODUCT": lambda a, b: a * b}
    mistaken = sympy.sympify(text, locals=names | calls)
    columns = samples.numbers(network, 5, {symbol: mistaken})
    path = samples.write(tmp_path / "a.xlsx", network, columns, {symbol: typed})
    column = workbooks.check_without_limits(path)["tables"][0]["columns"][column_name(name)]
    cells = {n: f"{xl_col_to_name(k)}2" for k, n in enumerate(SHOWN)}
    assert column["formula"] == typed.format(**cells)
    assert column["expected_formula"] == suggested.format(**cells)


def test_a_wrong_formula_with_right_numbers_is_no_mistake_but_a_remark(tmp_path):
    network = NETWORKS[0]._replace(inputs=(0.3, 0.3), targets=(0.5, 0.5))
    columns = samples.numbers(network, 8)

    def touch(book, page):
        for k in range(1, 8):  # i1 = i2, so ∂E/∂w1 = ∂E/∂w2
            cells = [f"{xl_col_to_name(SHOWN.index(n))}{k + 1}" for n in ("w1", "∂E/∂w2")]
            rate = xl_rowcol_to_cell(0, len(SHOWN) + 3, True, True)
            formula = f"={cells[0]}-{rate}*{cells[1]}"
            page.write_formula(k + 1, SHOWN.index("w1"), formula, None, columns["w1"][k])
        for k in (5, 6):
            page.write_number(k, SHOWN.index("h2"), columns["h2"][k - 1])

    formulas = {w5: GRADIENTS[w5].subs(t1, t2)}
    path = samples.write(tmp_path / "a.xlsx", network, columns, formulas, touch=touch)
    result = workbooks.check_without_limits(path)
    assert result["verdict"] == "right", report.as_text(result)
    notes = " ".join(result["notes"])
    assert "dE/dw5 has the right numbers here, but another formula: t2 in place of t1" in notes
    assert (
        "update w1 has the right numbers here, but another formula: the gradient is taken by w2"
        in notes
    )
    assert "h2 has the right numbers, but typed ones in place of formulas: from K6 to K7" in notes


def test_csv(tmp_path, check_grid, monkeypatch):
    """No formula of a student's is one in the CSV, and no workbook is lost to it."""

    def formula(book, page):
        page.write_formula(2, SHOWN.index("h1"), '=HYPERLINK("http://example.org","x")', None, 5)

    path = samples.write(tmp_path / "+cmd.xlsx", NETWORKS[0], RUN, touch=formula)
    monkeypatch.chdir(tmp_path)
    results = workbooks.check_workbooks([path.name])
    report.write_csv(results, "out.csv")
    cells = pd.read_csv("out.csv").select_dtypes(exclude="number").stack()
    assert cells.str.contains("HYPERLINK").any()
    assert not cells.astype(str).str.match(r"[=+@\t\r-]").any()
    before = path.read_bytes()
    for target in (path.name, "another.xlsx"):
        with pytest.raises(ValueError, match="name a .csv file"):
            report.write_csv(results, target)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        report.write_csv(results, "nowhere/out.csv")
    assert path.read_bytes() == before and not (tmp_path / "another.xlsx").exists()
