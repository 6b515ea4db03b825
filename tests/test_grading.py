"""The checker of workbooks: names mistakes, accepts right workbooks, survives hostile files."""

from pathlib import Path

import numpy as np
import pytest

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
            ((3, 7), (0.25, 0.26), ": numbers typed over the formulas"),
            ((5,), (0.25173,), ": 0.25173 is typed over the formula"),
            (range(6, 12), 6 * [right[symbol.name][5]], "7 is repeated, not its formula"),
        ]:
            columns = {**right, symbol.name: [*right[symbol.name]]}
            for k, value in zip(rows, values):
                columns[symbol.name][k] = value
            column = [*columns].index(symbol.name) + 1
            live = [(k + 2, column) for k in range(12) if k not in rows]
            result = students.check(columns, network.learning_rate, live)
            assert cause in result[column_name(symbol)]["cause"]


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
    assert result["dE/dw6"]["cause"] == (
        "from AC7 to AC8: numbers typed over the formulas. The formula above, "
        "=(R6 - A6)*R6*(1 - R6)*L6, is right: copy AC6 over them"
    )
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
