"""The checker of workbooks: names mistakes, accepts right workbooks, survives hostile files."""

import datetime
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
import xlsxwriter

import backprop
import students
from backprop import GRADIENTS, WEIGHTS, a_h1, a_h2, h1, i2, o2, w3
from grading import reading, report, samples, workbooks
from grading.quantities import COLUMN_NAMES, FORMULAS, column_name, compile_formula

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = students.NETWORKS


def expected_causes(result, planted):
    """Every wrong column is one that was planted, or follows from one."""
    wrong = students.wrong(result)
    return {
        n: c for n, c in wrong.items() if not (c or "").startswith("right in itself")
    } == planted


# --- Every mistake is found and named ----------------------------------------------


def planted(every_network):
    """(network, name, planted where, arguments of `numbers`) for every catalogued mistake."""
    cases = [
        (what, column_name(symbol), {"formulas": {symbol: formula}})
        for what, symbol, formula in students.formula_mistakes()
    ]
    cases += [
        (what, f"update {weight}", {"update": {weight: change}})
        for what, weight, change in students.update_mistakes()
    ]
    for k, case in enumerate(cases):
        for network in NETWORKS if every_network else NETWORKS[k % 5 : k % 5 + 1]:
            yield network, *case


def test_every_catalogued_mistake_is_found_and_named(request):
    every_network = request.config.getoption("--mutate")
    total = found = named = alone = 0
    for network, what, column, arguments in planted(every_network):
        result = students.check(samples.numbers(network, 12, **arguments), network.learning_rate)
        total += 1
        found += result[column]["verdict"] == "wrong"
        named += result[column]["cause"] == what
        alone += expected_causes(result, {column: result[column]["cause"]})
    print(f"{total} planted, {found} found, {named} named, {alone} blamed on nothing else")
    assert total > 1000 * (5 if every_network else 1)
    assert found == total
    assert named >= 0.95 * total
    assert alone == total


@pytest.mark.parametrize("network", NETWORKS)
def test_two_mistakes_in_one_workbook(network):
    random = np.random.default_rng(int(1000 * network.learning_rate))
    formulas = [*students.formula_mistakes()]
    for _ in range(60):
        (_, one, formula), (_, other, second) = (
            formulas[k] for k in random.integers(len(formulas), size=2)
        )
        if one == other:
            continue
        columns = samples.numbers(network, 8, {one: formula, other: second})
        result = students.check(columns, network.learning_rate)
        assert result[column_name(one)]["verdict"] == "wrong"
        assert result[column_name(other)]["verdict"] == "wrong"


@pytest.mark.parametrize("network", NETWORKS)
def test_mistaken_references(network):
    """Absolute references, rows that were not copied, and no numbers at all."""
    right = samples.numbers(network, 12)
    for symbol in FORMULAS:
        name = str(symbol)
        for rows, value, cause in [
            (range(5, 12), None, "not copied down: empty from"),
            (range(12), "oops", "text in place of a number"),
            (range(3, 5), "#VALUE!", "the error #VALUE! in place of a number"),
        ]:
            columns = {**right, name: [*right[name]]}
            for k in rows:
                columns[name][k] = value
            result = students.check(columns, network.learning_rate)
            assert result[column_name(symbol)]["cause"].startswith(cause), (name, cause)
        if name.startswith("∂"):
            columns = {**right, name: [right[name][0]] * 12}
            assert students.check(columns)[column_name(symbol)]["cause"] == (
                "every quantity is taken from the first row, as with an absolute reference"
            )
            columns = {**right, name: [right[name][0], *right[name][:-1]]}
            assert students.check(columns)[column_name(symbol)]["cause"].endswith("the row above")


@pytest.mark.parametrize("network", NETWORKS)
def test_numbers_typed_over_any_column(network):
    right = samples.numbers(network, 12)
    for symbol in FORMULAS:
        for rows, values, cause in [
            ((3, 7), (0.25, 0.25), "numbers typed over the formulas"),
            (range(6, 12), 6 * [right[symbol.name][5]], "not copied down: "),
        ]:
            columns = {**right, symbol.name: [*right[symbol.name]]}
            for k, value in zip(rows, values):
                columns[symbol.name][k] = value
            column = [*columns].index(symbol.name) + 1
            live = [(k + 2, column) for k in range(12) if k not in rows]
            result = students.check(columns, network.learning_rate, live)
            assert result[column_name(symbol)]["cause"].startswith(cause)


@pytest.mark.parametrize("network", NETWORKS)
def test_one_absolute_reference(network):
    """In every formula, each quantity that changes from row to row, frozen in the first."""
    right = samples.numbers(network, 12)
    total = named = 0
    for symbol, formula in FORMULAS.items():
        symbols, function = compile_formula(formula)
        for frozen in (s for s in symbols if len(set(right[s.name])) > 1 and len(symbols) > 1):
            values = [
                function(*(right[s.name][0 if s == frozen else k] for s in symbols))[0]
                for k in range(12)
            ]
            column = students.check({**right, symbol.name: values})[column_name(symbol)]
            assert column["verdict"] == "wrong"
            total += 1
            named += (
                column["cause"]
                == f"{frozen} is taken from the first row, as with an absolute reference"
            )
    assert total > 40 and named >= 0.95 * total


def test_numbers_typed_over_formulas(tmp_path):
    network = NETWORKS[3]
    columns = samples.numbers(network, 12)

    def touch(book, page):
        column = samples.COLUMNS.index("∂E/∂w6")
        for k in (6, 7):
            page.write_number(k, column, 0.25)

    path = samples.write(tmp_path / "typed.xlsx", network, columns, touch=touch)
    result = workbooks.check_workbook(path)["tables"][0]["columns"]
    assert result["dE/dw6"]["cause"] == "numbers typed over the formulas"
    assert (result["dE/dw6"]["rows_wrong"], result["dE/dw6"]["first_wrong"]) == (2, "AC7")


def test_another_learning_rate_than_the_sheet_says(tmp_path):
    network = NETWORKS[0]
    columns = samples.numbers(network._replace(learning_rate=0.25), 12)
    path = samples.write(tmp_path / "rate.xlsx", network, columns, live=False)
    result = workbooks.check_workbook(path)
    causes = students.wrong(result["tables"][0]["columns"])
    assert causes == {f"update {w}": "another learning rate: 0.25 in place of 0.1" for w in WEIGHTS}


# What published sheets have wrong, and what students type: in another order than ours,
# with spaces, POWER and dollars. The cause, the column, and the formula with names in braces.
TYPED = {
    "a_h1 in place of a_h2": (
        "∂E/∂w3",
        "=(({a_o1}-{t1})*{a_o1}*(1-{a_o1})*{w6}+({a_o2}-{t2})*{a_o2}*(1-{a_o2})*{w8})*{a_h1}*(1-{a_h1})*{i1}",
    ),
    "h1 in place of a_h1": (
        "∂E/∂w1",
        "= {i1} * {h1}*(1 - {h1}) * ( {w5}*({a_o1}-{t1})*{a_o1}*(1-{a_o1}) + {w7}*({a_o2}-{t2})*{a_o2}*(1-{a_o2}) )",
    ),
    "the parentheses around (a_o1 − t1)·a_o1·(1 − a_o1)·w5 + (a_o2 − t2)·a_o2·(1 − a_o2)·w7 are missing": (
        "∂E/∂w1",
        "=({a_o1}-{t1})*{a_o1}*(1-{a_o1})*{w5}+({a_o2}-{t2})*{a_o2}*(1-{a_o2})*{w7}*{a_h1}*(1-{a_h1})*{i1}",
    ),
    "the parentheses around 1 − a_o2 are missing": (
        "∂E/∂w8",
        "=-({t2}-{a_o2})*{a_o2}*1-{a_o2}*{a_h2}",
    ),
    "the sign is flipped": ("∂E/∂w7", "=({t2}-{a_o2})*{a_o2}*(1-{a_o2})*{a_h1}"),
    "the factor 1 − a_o1 is forgotten": ("∂E/∂w5", "={a_h1}*{a_o1}*({a_o1}-{t1})"),
    "the factor 1/2 is forgotten": ("E1", "=POWER({t1}-{a_o1},2)"),
    "the parentheses around 1 + exp(−h2) are missing": ("a_h2", "=1/1+EXP(-{h2})"),
    "the minus in the exponent is forgotten": ("a_o1", "=1/(1+EXP({o1}))"),
    "i1 in place of i2": ("h2", "={w3}*{i1} + {w4}*{i1}"),
    "w7 in place of w6": ("o1", "={w5}*{a_h1}+{w7}*{a_h2}"),
    "t2 in place of t1": ("∂E/∂w6", "=({a_o1}-{t2})*{a_o1}*(1-{a_o1})*{a_h2}"),
    "the term E2 is forgotten": ("E_total", "={E1}"),
    "1 − a_h2², the slope of tanh, in place of the sigmoid's": (
        "∂E/∂w4",
        "=(1-{a_h2}^2)*{i2}*(({a_o1}-{t1})*{a_o1}*(1-{a_o1})*{w6}+({a_o2}-{t2})*{a_o2}*(1-{a_o2})*{w8})",
    ),
    "a product in place of a_o2 − t2": ("∂E/∂w8", "={a_o2}*{t2}*{a_o2}*(1-{a_o2})*{a_h2}"),
    "w1 is taken from the first row, as with an absolute reference": ("h1", "=$E$5*{i1}+{w2}*{i2}"),
}
RIGHT = {  # right formulas as somebody else would type them
    "h1": "= {i2}*{w2} + {i1}*{w1}",
    "a_h1": "=POWER( 1 + EXP(-{h1}) , -1)",
    "a_h2": "=EXP({h2})/(1+EXP({h2}))",
    "E1": "=0.5*POWER({a_o1} - {t1}, 2)",
    "E_total": "=SUM({E1},{E2})",
    "∂E/∂w5": "=-({t1}-{a_o1})*{a_o1}*(1-{a_o1})*{a_h1}",
    "∂E/∂w1": "={i1}*{a_h1}*(1-{a_h1})*(({a_o1}-{t1})*{a_o1}*(1-{a_o1})*{w5}+({a_o2}-{t2})*{a_o2}*(1-{a_o2})*{w7})",
    "∂E/∂w4": "={i2}*({a_h2}-{a_h2}^2)*(({a_o1}-{t1})*({a_o1}-{a_o1}^2)*{w6}+({a_o2}-{t2})*({a_o2}-{a_o2}^2)*{w8})",
}


def test_formulas_typed_by_hand(tmp_path, libreoffice_saved):
    """Calculated by LibreOffice, from a file whose stored values are all zero."""
    network, files = NETWORKS[4], {}
    zeros = {
        name: values if name[0] in "ti" else [values[0], *([0.0] * 9)]
        for name, values in samples.numbers(network, 10).items()
    }
    symbols = {str(symbol): symbol for symbol in FORMULAS}
    for number, (cause, (name, text)) in enumerate(TYPED.items()):
        files[tmp_path / f"typed{number}.xlsx"] = (column_name(name), cause, {symbols[name]: text})
    files[tmp_path / "right.xlsx"] = (None, None, {symbols[n]: text for n, text in RIGHT.items()})
    for path, (_, _, formulas) in files.items():
        samples.write(path, network, zeros, formulas, at=(3, 0))
    saved = libreoffice_saved(files)
    for result, (column, cause, _) in zip(workbooks.check_workbooks(saved), files.values()):
        assert result["verdict"] == ("wrong" if column else "right"), report.as_text(result)
        assert result["tables"][0]["eta"] == network.learning_rate
        assert expected_causes(result["tables"][0]["columns"], {column: cause} if column else {}), (
            report.as_text(result)
        )


# --- Right workbooks are right -----------------------------------------------------


def right_workbooks(folder):
    """200 right workbooks: layout, headers, precision, length, η and engine all vary."""
    random = np.random.default_rng(0)
    for number in range(200):
        rate = float(random.choice([0.05, 0.1, 0.5, 1, 2]))
        network = samples.Network() if number % 10 == 0 else NETWORKS[number % 5]
        network = network._replace(learning_rate=rate)
        epochs = int(random.choice([1, 2, 5, 30, 100]))
        columns = samples.numbers(network, epochs)
        precision = number % 4
        if precision:  # 15 digits, 6 digits, 6 decimals
            rounding = [None, "{:.15g}", "{:.6g}", "{:.6f}"][precision]
            columns = {n: [float(rounding.format(v)) for v in c] for n, c in columns.items()}
        order = [*samples.COLUMNS]
        if number % 3 == 1:
            order = [*order[:12], *random.permutation(order[12:])]
        if number % 7 == 2:
            order = [name for name in order if name not in ("E1", "E2", "h1", "o2")]
        gradient = students.GRADIENTS[number % len(students.GRADIENTS)]
        header = {f"∂E/∂{w}": gradient.format(w) for w in WEIGHTS} | students.SPELLINGS[number % 5]
        at = [(0, 0), (11, 0), (4, 3), (2, 30)][number % 4]
        eta = ["beside", "title", None][number % 3] if at[0] else None
        live = not precision
        yield samples.write(
            folder / f"right{number:03}.xlsx", network, columns, order=order, at=at, header=header,
            eta=eta, live=live,
        ), network, eta  # fmt: skip


def test_no_false_alarm(tmp_path, libreoffice_saved):
    made = [*right_workbooks(tmp_path)]
    paths = [path for path, *_ in made]
    paths += libreoffice_saved(paths[::8])
    for result in workbooks.check_workbooks(paths):
        assert result["verdict"] == "right", report.as_text(result)
    for (_, network, eta), result in zip(made, workbooks.check_workbooks(paths[:20])):
        table = result["tables"][0]
        if eta:
            assert table["eta"] == network.learning_rate and table["eta_source"] != "inferred"
        elif table["eta"] is not None:
            assert table["eta"] == pytest.approx(network.learning_rate, rel=1e-3)
            assert table["eta_source"] == "inferred"


def test_our_own_workbook_is_right():
    result = workbooks.check_workbook(ROOT / "backprop.xlsx")
    assert result["verdict"] == "right"
    assert [t["eta"] for t in result["tables"]] == [1.0, *backprop.LEARNING_RATES]
    for table in result["tables"]:
        assert {c["verdict"] for c in table["columns"].values()} == {"right"}
        assert [*table["columns"]] == COLUMN_NAMES


def test_the_template_s_bug_as_readme_shows_it(tmp_path):
    path = samples.hand_in(tmp_path / "bob.xlsx", {w3: GRADIENTS[w3].subs(a_h2, a_h1)})
    result = workbooks.check_workbook(path) | {"file": "bob.xlsx"}
    columns = result["tables"][0]["columns"]
    assert students.wrong(columns) == {"dE/dw3": "a_h1 in place of a_h2"}
    assert 2e-4 < columns["dE/dw3"]["max_relative_error"] < 5e-4
    assert report.as_text(result) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_several_sheets_hidden_ones_and_a_missing_column(tmp_path):
    network = NETWORKS[0]
    columns = samples.numbers(network, 6)

    def another(book, page):
        page.hide()
        second = book.add_worksheet("eta=0.5")
        second.activate()
        other = samples.numbers(network._replace(learning_rate=0.5), 6)
        names = [name for name in samples.COLUMNS if name != "∂E/∂w8"]
        second.merge_range(1, 2, 1, 6, "weights and so on")
        second.write_row(2, 2, names)
        for c, name in enumerate(names, start=2):
            second.write_column(3, c, other[name])

    path = samples.write(tmp_path / "two.xlsx", network, columns, touch=another)
    result = workbooks.check_workbook(path)
    first, second = result["tables"]
    assert (first["sheet"], first["eta"]) == ("Sheet1 (hidden)", network.learning_rate)
    assert (second["eta"], second["eta_source"]) == (0.5, "the sheet's name")
    assert second["columns"]["dE/dw8"]["verdict"] == "missing"
    assert second["columns"]["update w8"]["verdict"] == "right"
    assert result["verdict"] == "wrong" and "not found: dE/dw8" in result["notes"][-1]


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
    assert "1 of 8 rows could not be checked, the first is row 5" in result["notes"][0]


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


def test_what_a_file_says_stays_on_its_line(check_grid, tmp_path):
    forged = "bob.xlsx: RIGHT"
    rows = changed("h1", [2], f"x\n{forged}\n\x1b[2J" + 30_000 * "y")
    text = report.as_text(check_grid([SHOWN, *rows]))
    assert forged not in text.splitlines() and "\x1b" not in text and len(text) < 3000


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


# --- Samples, as the notebook makes them -------------------------------------------


def contents(path):
    """All contents (formulas, or else values) and all stored values of a workbook's sheet."""
    (sheet,) = reading.read_workbook(path).sheets
    contents = {n: tuple(sheet.content(n, c) for c in range(1, len(row) + 1))
                for n, row in sheet.rows.items()}  # fmt: skip
    return contents, sheet.rows


def test_a_sample_as_handed_in(tmp_path):
    formulas, values = contents(samples.hand_in(tmp_path / "a.xlsx"))
    run = backprop.gradient_descent()
    assert values[1] == ("η", 1) and values[3] == tuple(backprop.COLUMNS)
    assert [values[row] for row in range(4, 104)] == [*run.itertuples(index=False, name=None)]
    live = {name for name, cell in zip(backprop.COLUMNS, formulas[5]) if str(cell)[0] == "="}
    assert live == {*backprop.COLUMNS} - {"epoch", "t1", "t2", "i1", "i2"}
    assert len(values) == 102


def test_mistakes_are_paired_by_symbol(tmp_path):
    """The order in which formulas are given changes no cell of a sample."""
    wrong = GRADIENTS | {w3: GRADIENTS[w3].subs(a_h2, a_h1), o2: backprop.EQUATIONS[o2] - a_h1}
    for given in (GRADIENTS, wrong):
        one = samples.hand_in(tmp_path / "one.xlsx", given)
        other = samples.hand_in(tmp_path / "other.xlsx", dict(reversed(given.items())))
        assert contents(one) == contents(other)
    assert contents(one) != contents(samples.hand_in(tmp_path / "right.xlsx"))
    with pytest.raises(ValueError, match="no formula computes i2"):
        samples.hand_in(tmp_path / "none.xlsx", {i2: h1})


# --- Hostile files -----------------------------------------------------------------


def _zip(path, parts, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


def _repacked(path, source, changes):
    """A copy of a workbook with some parts changed: name → function of its bytes."""
    with zipfile.ZipFile(source) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for name, change in changes.items():
        parts[name] = change(parts.get(name, b""))
    _zip(path, parts)


SHEET, STRINGS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
LAUGHS = b"<!DOCTYPE x [<!ENTITY a0 'ha'>" + b"".join(
    b"<!ENTITY a%d '%s'>" % (k, b"&a%d;" % (k - 1) * 10) for k in range(1, 10)
) + b"]>"  # fmt: skip


def _hostile(folder):
    """Write hostile files: name → (path, part of the sentence, or None where it is checked)."""
    good = samples.write(folder / "good.xlsx", NETWORKS[0], samples.numbers(NETWORKS[0], 10))
    files = {}

    def add(name, sentence, make):
        path = folder / f"{name}.xlsx"
        make(path)
        files[name] = (path, sentence)

    def repack(**changes):
        parts = {"sheet": SHEET, "strings": STRINGS, "vba": "xl/vbaProject.bin",
                 "link": "xl/externalLinks/externalLink1.xml", "types": "[Content_Types].xml"}  # fmt: skip
        return lambda path: _repacked(path, good, {parts[n]: c for n, c in changes.items()})

    def declare(data):  # after the XML declaration
        head, _, rest = data.partition(b"?>")
        return head + b"?>" + LAUGHS + rest

    def million(data):
        row = b'<row r="%d"><c r="A%d"><v>1</v></c></row>'
        rows = b"".join(row % (n, n) for n in range(20, 1_000_020))
        return data.replace(b"</sheetData>", rows + b"</sheetData>")

    def far(data):
        cells = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
        return data.replace(b"</sheetData>", cells + b"</sheetData>")

    def encrypted(path):
        header = bytes.fromhex("D0CF11E0A1B11AE1") + bytes(1000)
        path.write_bytes(header + "EncryptedPackage".encode("utf-16-le") + bytes(1000))

    def edit(change):
        """Change the sheet by openpyxl, then let nothing be formulas: values stay stored."""

        def make(path):
            book = openpyxl.load_workbook(good, data_only=True)
            change(book.active)
            book.save(path)

        return make

    def dates(page):
        for row in range(2, 12):
            page.cell(row, 10).number_format = "yyyy-mm-dd"  # a_h1
            page.cell(row, 10).value = datetime.date(2026, 1, row)

    def texts(page):
        page["R4"], page["T5"] = "see below", "#DIV/0!"

    def merged(page):
        page.insert_rows(1)
        page.merge_cells("A1:AF1")
        page["A1"] = "Everything"

    add(
        "zip bomb",
        "too large",
        lambda p: _zip(p, {"[Content_Types].xml": "", "_rels/.rels": "", SHEET: bytes(2**27)}),
    )
    add(
        "ten thousand parts",
        "too large",
        lambda p: _zip(
            p, {"[Content_Types].xml": "", "_rels/.rels": ""} | {f"p{k}": "" for k in range(10_000)}
        ),
    )
    add("entities in the sheet", "XML entities", repack(sheet=declare))
    add("entities in the strings", "XML entities", repack(strings=declare))
    add("a text file", "not an .xlsx workbook", lambda p: p.write_text("epoch,w1\n0,1\n"))
    add("encrypted", "encrypted", encrypted)
    add(
        "old xls",
        "old .xls",
        lambda p: p.write_bytes(bytes.fromhex("D0CF11E0A1B11AE1") + bytes(999)),
    )
    add("empty", "empty", lambda p: p.write_bytes(b""))
    add("a truncated workbook", "not an .xlsx", lambda p: p.write_bytes(good.read_bytes()[:3000]))
    add("another zip", "not an .xlsx", lambda p: _zip(p, {"hello.txt": "hi"}))
    add("broken xml", "damaged", repack(sheet=lambda data: data[: len(data) // 2]))
    add("a million rows", "too large", repack(sheet=million))
    add("a cell at the far end", None, repack(sheet=far))
    add("macros", None, repack(vba=lambda data: b"Sub Auto_Open() ... "))
    add("external links", None, repack(link=lambda data: b"<externalLink/>"))
    add("text and errors", None, edit(texts))
    add("dates", None, edit(dates))
    add("merged header", None, edit(merged))
    add("no table", "No table", edit(lambda page: page.delete_rows(1)))
    add("no inputs", "for i1, i2", edit(lambda page: page.delete_cols(3, 2)))
    add("no numbers", "no row under it", edit(lambda page: page.delete_rows(2, 100)))
    (folder / "a folder.xlsx").mkdir()
    files["a folder"] = (folder / "a folder.xlsx", "cannot be opened")
    files["nothing"] = (folder / "not there.xlsx", "cannot be opened")
    return files


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    files = _hostile(tmp_path_factory.mktemp("hostile"))
    results = workbooks.check_workbooks([path for path, _ in files.values()])
    return {
        name: (path, sentence, result)
        for (name, (path, sentence)), result in zip(files.items(), results)
    }


HOSTILE = (
    "zip bomb", "ten thousand parts", "entities in the sheet", "entities in the strings",
    "a text file", "encrypted", "old xls", "empty", "a truncated workbook", "another zip",
    "broken xml", "a million rows", "a cell at the far end", "macros", "external links",
    "text and errors", "dates", "merged header", "no table", "no inputs", "no numbers",
    "a folder", "nothing",
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_gets_a_clear_sentence(name, hostile):
    _, sentence, result = hostile[name]
    if sentence is None:
        assert result["verdict"] in ("right", "wrong"), result
    else:
        assert result["verdict"] == "unreadable"
        assert sentence in result["reason"]
    assert "Traceback" not in report.as_text(result)


def test_what_is_said_of_odd_cells(hostile):
    notes = {name: hostile[name][2]["notes"] for name in ("macros", "external links")}
    assert "macros; they were not run" in notes["macros"][0]
    assert "were not opened" in notes["external links"][0]
    dates = hostile["dates"][2]["tables"][0]["columns"]["a_h1"]
    assert dates["cause"] == "a date in place of a number"
    cells = hostile["text and errors"][2]["tables"][0]["columns"]
    assert cells["a_o1"]["cause"] == "text in place of a number: 'see below'"
    assert cells["a_o2"]["cause"] == "the error #DIV/0! in place of a number"
    for name in ("macros", "external links", "merged header", "a cell at the far end"):
        assert hostile[name][2]["verdict"] == "right", report.as_text(hostile[name][2])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_hostile_files_cost_little(hostile):
    """Each under 10 seconds, and one process that reads them all stays under 1 GB."""
    code = """
import re, sys, time
from grading import workbooks
workbooks.limit_memory()
for path in sys.argv[1:]:
    start = time.perf_counter()
    workbooks.check_without_limits(path)
    print(time.perf_counter() - start)
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""
    paths = [path for path, *_ in hostile.values()]
    done = subprocess.run(
        [sys.executable, "-c", code, *paths], cwd=ROOT, capture_output=True, text=True, check=True
    )
    *seconds, kilobytes = map(float, done.stdout.split())
    assert len(seconds) == len(HOSTILE) and max(seconds) < workbooks.SECONDS
    assert kilobytes * 1024 < 2**30


def test_a_file_that_takes_too_long(tmp_path, monkeypatch):
    """The others are still checked."""
    good = samples.write(tmp_path / "good.xlsx", NETWORKS[0], samples.numbers(NETWORKS[0], 5))
    assert workbooks.check_workbook(good)["verdict"] == "right"
    monkeypatch.setattr(workbooks, "SECONDS", 0.01)
    assert "longer than" in workbooks.check_workbook(ROOT / "backprop.xlsx")["reason"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.xlsx")
    assert "no file" in workbooks.check_workbook(tmp_path / "pipe.xlsx")["reason"]


def test_no_stored_values(tmp_path):
    """openpyxl writes formulas without values: nothing can be compared."""
    good = samples.write(tmp_path / "good.xlsx", NETWORKS[0], samples.numbers(NETWORKS[0], 5))
    book = openpyxl.load_workbook(good)
    book.save(tmp_path / "bare.xlsx")
    result = workbooks.check_workbook(tmp_path / "bare.xlsx")
    assert "carry no values: open it in Excel or LibreOffice" in result["reason"]


# --- The command -------------------------------------------------------------------


def _command(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "workbook.py", "check", *arguments],
        capture_output=True, text=True, encoding="utf-8", check=False,
        env={**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
    )  # fmt: skip


def test_the_command(tmp_path):
    network = NETWORKS[0]
    good = samples.write(tmp_path / "good.xlsx", network, samples.numbers(network, 5))
    mistake = {h1: WEIGHTS[0] * i2 + WEIGHTS[1] * i2}
    columns = samples.numbers(network, 5, mistake)
    bad = samples.write(tmp_path / "bad.xlsx", network, columns, mistake)
    text = tmp_path / "text.xlsx"
    text.write_text("not a workbook")
    done = _command(good)
    assert (done.returncode, done.stderr) == (0, "")
    assert "good.xlsx: RIGHT" in done.stdout
    done = _command(good, bad)
    assert done.returncode == 1
    assert "why:   i2 in place of i1" in done.stdout
    out = tmp_path / "out.csv"
    done = _command(text, bad, good, "--json", "--csv", out)
    assert done.returncode == 2
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["verdict"] for r in results] == ["unreadable", "wrong", "right"]
    assert {*results[1]["tables"][0]} == {
        "sheet", "header_row", "eta", "eta_source", "unchecked", "columns",
    }  # fmt: skip
    assert {*results[1]["tables"][0]["columns"]["h1"]} == {
        "verdict", "rows_checked", "rows_wrong", "first_wrong", "formula", "expected_formula",
        "max_relative_error", "cause",
    }  # fmt: skip
    assert len(out.read_text(encoding="utf-8").splitlines()) == 1 + 1 + 27 + 27


# --- What is loaded ----------------------------------------------------------------


def loaded(*arguments):
    """The names of all modules that Python imports, in this process and those it starts."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    return [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]


def test_lesson_1_and_the_checker_load_no_matplotlib():
    modules = [f"grading.{file.stem}" for file in (ROOT / "grading").glob("[a-z]*.py")]
    names = loaded("-c", f"import {', '.join(['backprop', *modules])}")
    assert {"backprop", "grading.workbooks", *modules} <= {*names}
    assert not {"matplotlib", "torch", "workbook", "figures"} & {*names}


def test_the_processes_that_check_load_no_matplotlib(tmp_path):
    """Each imports workbook.py again: what that imports at its top, each has to load."""
    good = samples.write(tmp_path / "good.xlsx", NETWORKS[0], samples.numbers(NETWORKS[0], 5))
    names = loaded("workbook.py", "check", good)
    assert names.count("grading.workbooks") == 2  # the command and one process
    assert "matplotlib" not in names
