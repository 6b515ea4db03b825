"""The workbook, recalculated by engines that this repository did not write."""

import multiprocessing
import os
import re
import time
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

import backprop
import derivation
import sheets
import workbook
from backprop import COLUMNS, gradient_descent
from sheets import CURVES_FIRST_COLUMN, CURVES_HEADER_ROW, FIRST_ROW
from workbook import write_workbook

ROOT = Path(workbook.__file__).parent
DEFAULTS = {
    "inputs": backprop.INPUT_VALUES,
    "targets": backprop.TARGET_VALUES,
    "weights": backprop.WEIGHT_VALUES,
}
OTHER = {
    "inputs": (0.9, -0.4),
    "targets": (0.1, 0.8),
    "weights": (-1.2, 0.7, 0.3, -0.5, 1.1, -0.9, 0.6, 2.0),
}
SATURATED = {
    "inputs": (1, -0.5),
    "targets": (0.3, 1),
    "weights": (400, -400, -400, 400, 350, -350, -350, -350),
}


def cells(book):
    """Every non-empty cell, as {(sheet, address): value}."""
    return {
        (sheet.title, cell.coordinate): cell.value
        for sheet in book
        for row in sheet.iter_rows()
        for cell in row
        if cell.value is not None
    }


def table(sheet, header_row, first_column, epochs):
    """A training run read from a sheet of values."""
    rows = sheet.iter_rows(
        header_row + 1, header_row + 1 + epochs, first_column + 1, first_column + len(COLUMNS), True
    )
    header, *values = rows
    assert list(header) == COLUMNS
    return np.array(values, dtype=float)


def change(path, new_path, network, learning_rate):
    """Type other numbers into the input block; openpyxl drops all computed values."""
    book = openpyxl.load_workbook(path)
    sheet = book["Backpropagation"]
    symbols = (*backprop.TARGETS, *backprop.INPUTS, *backprop.WEIGHTS)
    numbers = [*network["targets"], *network["inputs"], *network["weights"]]
    for symbol, number in zip(symbols, numbers):
        sheet[sheets.INPUT_BLOCK[str(symbol)]] = number
    sheet[sheets.RATE_CELL] = learning_rate
    book.save(new_path)
    return new_path


def assert_is_training(book, network, learning_rate, epochs, tolerance=1e-12):
    """Every number of a calculated workbook equals what Python says it must be."""
    run = gradient_descent(**network, learning_rate=learning_rate, epochs=epochs)
    found = table(book["Backpropagation"], sheets.HEADER_ROW, 0, epochs)
    np.testing.assert_allclose(found, run, rtol=0, atol=tolerance)

    sheet = book["Loss curves"]
    for k, rate in enumerate(backprop.LEARNING_RATES):
        expected = gradient_descent(**network, learning_rate=rate, epochs=epochs)
        column = CURVES_FIRST_COLUMN + k * (len(COLUMNS) + 1)
        found = table(sheet, CURVES_HEADER_ROW, column, epochs)
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
        first = CURVES_HEADER_ROW + 2
        losses = [sheet.cell(first + epoch, 2 + k).value for epoch in range(epochs)]
        np.testing.assert_allclose(losses, expected["E_total"], rtol=0, atol=tolerance)
        assert sheet.cell(CURVES_HEADER_ROW + 1, 2 + k).value == f"η = {rate:g}"

    values = derivation.equations_table(**network)
    sheet = book["Equations"]
    shown = {row[0]: row[5] for row in sheet.iter_rows(values_only=True)}
    for _, line in values.iterrows():
        assert shown[line["quantity"]] == pytest.approx(line["value"], rel=0, abs=tolerance)

    assert_is_short_form(book["With deltas"], run)

    sheet = book["Gradient check"]
    finite = backprop.finite_difference_gradients(**network, step=sheets.CHECK_STEP)
    found = [[cell.value for cell in row] for row in sheet["B6:E13"]]
    for line, slope, step in zip(found, gradient_descent(**network, epochs=1).iloc[0, -8:], finite):
        assert line[0] == pytest.approx(slope, rel=0, abs=tolerance)
        assert line[1] == pytest.approx(step, rel=0, abs=tolerance / sheets.CHECK_STEP)
        assert line[2] == pytest.approx(line[0] - line[1], rel=0, abs=tolerance)
        assert line[3] == "OK"
    assert_no_error(book)


def assert_is_short_form(sheet, run, tolerance=1e-12):
    """The sheet With deltas: four deltas, eight gradients, and eight differences of zero."""
    rows = sheet.iter_rows(sheets.HEADER_ROW + 1, FIRST_ROW + len(run), 1, 21, True)
    header, *values = rows
    slopes = [f"∂E/∂w{k}" for k in range(1, 9)]
    assert list(header) == ["epoch", "δ_o1", "δ_o2", "δ_h1", "δ_h2", *slopes, *slopes]
    found = np.array(values, dtype=float)
    np.testing.assert_array_equal(found[:, 0], run["epoch"])
    for k, name in enumerate(slopes):
        np.testing.assert_allclose(found[:, 5 + k], run[name], rtol=0, atol=tolerance)
        np.testing.assert_allclose(found[:, 13 + k], 0, rtol=0, atol=1e-15)
    outputs = {"δ_o1": ("a_o1", "t1"), "δ_o2": ("a_o2", "t2")}
    for k, (a, t) in enumerate(outputs.values(), start=1):
        expected = (run[a] - run[t]) * run[a] * (1 - run[a])
        np.testing.assert_allclose(found[:, k], expected, rtol=0, atol=tolerance)
    for k, (h, i) in enumerate({"δ_h1": ("w1", "i1"), "δ_h2": ("w3", "i1")}.values(), start=3):
        np.testing.assert_allclose(found[:, k] * run[i], run[f"∂E/∂{h}"], rtol=0, atol=tolerance)
    assert sheet["B5"].value == pytest.approx(np.abs(found[:, 13:]).max(), abs=1e-20)


def assert_no_error(book):
    bad = {where: value for where, value in cells(book).items() if str(value).startswith("#")}
    assert not bad


@pytest.fixture(scope="module")
def default_workbook(tmp_path_factory):
    return write_workbook(tmp_path_factory.mktemp("workbook") / "backprop.xlsx")


# --- What stands in the file -------------------------------------------------------


def test_sheets_in_order(default_workbook):
    book = openpyxl.load_workbook(default_workbook)
    assert book.sheetnames == list(sheets.SHEETS)
    assert book["Backpropagation"].freeze_panes == f"B{FIRST_ROW + 1}"
    charts = [len(book[name]._charts) for name in ("Backpropagation", "Loss curves")]
    assert charts == [2, 8]
    assert not book.defined_names
    assert len(book["Equations"]._images) == 1


def test_every_formula_carries_its_value(default_workbook):
    live = cells(openpyxl.load_workbook(default_workbook))
    formulas = {where: value for where, value in live.items() if str(value).startswith("=")}
    cached = cells(openpyxl.load_workbook(default_workbook, data_only=True))
    assert len(formulas) > 20_000
    assert set(formulas) <= set(cached)
    assert not [where for where in formulas if cached[where] == ""]


def test_everything_computed_is_a_formula(default_workbook):
    sheet = openpyxl.load_workbook(default_workbook)["Backpropagation"]
    rows = sheet.iter_rows(FIRST_ROW + 1, FIRST_ROW + backprop.EPOCHS, 2, len(COLUMNS), True)
    assert all(str(value).startswith("=") for row in rows for value in row)


@pytest.mark.parametrize("network", [DEFAULTS, OTHER, SATURATED], ids=["default", "other", "±400"])
def test_cached_values_are_right(tmp_path, network):
    path = write_workbook(tmp_path / "a.xlsx", **network, learning_rate=0.8, epochs=20)
    book = openpyxl.load_workbook(path, data_only=True)
    assert_is_training(book, network, 0.8, 20, tolerance=1e-14)
    verdicts = [cell.value for (cell,) in book["Your turn"]["C11:C18"]]
    assert verdicts == ["NOT DONE"] * 8
    assert book["Backpropagation"]["B10"].value == "Ready."


def test_pandas_reads_the_table(default_workbook):
    frame = pd.read_excel(default_workbook, sheet_name="Backpropagation", header=sheets.HEADER_ROW)
    pd.testing.assert_frame_equal(frame, gradient_descent(), rtol=1e-14, check_dtype=False)


# --- Two independent engines -------------------------------------------------------


def test_libreoffice_agrees(default_workbook, libreoffice):
    """In every cell of every sheet, numbers and texts."""
    book = libreoffice(default_workbook)
    assert_is_training(book, DEFAULTS, 1.0, backprop.EPOCHS)
    stored = cells(openpyxl.load_workbook(default_workbook, data_only=True))
    calculated = cells(book)
    assert stored.keys() == calculated.keys()
    for where, value in stored.items():
        if isinstance(value, (int, float)):
            assert calculated[where] == pytest.approx(value, rel=0, abs=1e-12), where
        else:
            assert calculated[where] == value, where


def test_libreoffice_does_recalculate(default_workbook, libreoffice, tmp_path):
    """Poison the stored values: an engine that only copies them would be found out."""
    poisoned = tmp_path / "poisoned.xlsx"
    with zipfile.ZipFile(default_workbook) as old, zipfile.ZipFile(poisoned, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.startswith("xl/worksheets/sheet"):
                data = re.sub(rb"</f><v>[^<]*</v>", b"</f><v>7</v>", data)
            new.writestr(name, data)
    stored = openpyxl.load_workbook(poisoned, data_only=True)
    assert stored["Backpropagation"].cell(FIRST_ROW + 1, COLUMNS.index("E_total") + 1).value == 7
    assert_is_training(libreoffice(poisoned), DEFAULTS, 1.0, backprop.EPOCHS)


@pytest.mark.parametrize("network", [OTHER, SATURATED], ids=["other", "±400"])
def test_libreoffice_agrees_after_changes(default_workbook, libreoffice, tmp_path, network):
    path = change(default_workbook, tmp_path / "changed.xlsx", network, 0.35)
    assert_is_training(libreoffice(path), network, 0.35, backprop.EPOCHS)


@pytest.mark.parametrize("network", [DEFAULTS, SATURATED], ids=["default", "±400"])
def test_formulas_package_agrees(formulas_engine, tmp_path, network):
    path = write_workbook(tmp_path / "short.xlsx", epochs=2)
    path = change(path, tmp_path / "changed.xlsx", network, 1.7)
    assert_is_training(formulas_engine(path), network, 1.7, 2)


def test_gradient_check_exposes_the_template_bug(default_workbook, libreoffice, tmp_path):
    book = openpyxl.load_workbook(default_workbook)
    sheet = book["Backpropagation"]
    cell = sheet.cell(FIRST_ROW + 1, COLUMNS.index("∂E/∂w3") + 1)
    right, wrong = (f"*{a}{FIRST_ROW + 1}*(1 - {a}{FIRST_ROW + 1})*" for a in ("M", "K"))
    assert right in cell.value
    cell.value = cell.value.replace(right, wrong)
    book.save(tmp_path / "bug.xlsx")
    sheet = libreoffice(tmp_path / "bug.xlsx")["Gradient check"]
    verdicts = [cell.value for (cell,) in sheet["E6:E13"]]
    assert verdicts == ["OK", "OK", "WRONG", "OK", "OK", "OK", "OK", "OK"]


def test_your_turn_verdicts(default_workbook, libreoffice, tmp_path):
    book = openpyxl.load_workbook(default_workbook)
    sheet = book["Your turn"]
    sheet["B11"] = "=((F8-C5)*F8*(1-F8)*I5+(H8-D5)*H8*(1-H8)*K5)*B8*(1-B8)*A5"
    sheet["B12"] = "=B5*POWER(1,2)*(1-B8)*B8*(K5*H8*(1-H8)*(H8-D5)+I5*(F8-C5)*(F8-F8^2))"
    sheet["B13"] = "=((F8-C5)*F8*(1-F8)*J5+(H8-D5)*H8*(1-H8)*L5)*B8*(1-B8)*A5"  # a_h1 for a_h2
    sheet["B14"] = "=(F8-C5)*F8*(1-F8)*J5+(H8-D5)*H8*(1-H8)*L5*D8*(1-D8)*B5"  # no parentheses
    sheet["B15"] = "=(F8-D5)*F8*(1-F8)*B8"  # the other target
    sheet["B16"] = "=1/0"
    sheet["B17"] = "later"
    book.save(tmp_path / "answers.xlsx")
    sheet = libreoffice(tmp_path / "answers.xlsx")["Your turn"]
    verdicts = [cell.value for (cell,) in sheet["C11:C18"]]
    assert verdicts == ["CORRECT"] * 2 + ["INCORRECT"] * 5 + ["NOT DONE"]
    assert sheet["A20"].value == "You have 2 of 8."


ANSWERS = [  # as a student would type them: i1 A5 … w8 L5, h1 A8 … a_o2 H8
    *(f"=((F8-C5)*F8*(1-F8)*{u}5+(H8-D5)*H8*(1-H8)*{v}5)*{a}8*(1-{a}8)*{i}5"
      for u, v, a in ("IKB", "JLD") for i in "AB"),
    *(f"=({o}8-{t}5)*{o}8*(1-{o}8)*{a}8" for o, t in ("FC", "HD") for a in "BD"),
]  # fmt: skip


@pytest.mark.parametrize("given", [{}, {"A5": -0.7, "D5": 0.2, "E5": 1.5, "L5": -2}])
def test_your_turn_all_right(default_workbook, libreoffice, tmp_path, given):
    book = openpyxl.load_workbook(default_workbook)
    sheet = book["Your turn"]
    for row, answer in enumerate(ANSWERS, start=11):
        sheet.cell(row, 2).value = answer
    for cell, number in given.items():
        sheet[cell] = number
    numbers = [cell.value for cell in sheet[5][:12]]
    book.save(tmp_path / "answers.xlsx")
    sheet = libreoffice(tmp_path / "answers.xlsx")["Your turn"]
    assert [cell.value for (cell,) in sheet["C11:C18"]] == ["CORRECT"] * 8
    assert sheet["A20"].value == "You have 8 of 8."
    oracle = backprop.autograd_gradients(numbers[:2], numbers[2:4], numbers[4:])
    for column in "BN":
        found = [cell.value for (cell,) in sheet[f"{column}11:{column}18"]]
        np.testing.assert_allclose(found, oracle, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "cell, value, says",
    [
        ("B3", -1, "η must be positive."),
        ("B3", "fast", "η must be a number."),
        ("D7", None, "Type a number in every yellow cell."),
        ("B9", -701, "Too large: EXP would overflow."),
        ("D5", 3000, "Too large: EXP would overflow."),
        ("B3", 1e7, "η is too large: EXP overflows."),
    ],
)
def test_input_block_says_what_is_wrong(libreoffice, tmp_path, cell, value, says):
    path = write_workbook(tmp_path / "a.xlsx", epochs=2)
    book = openpyxl.load_workbook(path)
    book["Backpropagation"][cell] = value
    book.save(path)
    assert libreoffice(path)["Backpropagation"]["B10"].value == says


@pytest.mark.parametrize(
    "sheet, cell, too_large", [("Backpropagation", "C9", -701), ("Your turn", "I5", 701)]
)
def test_a_number_that_would_overflow_is_refused_where_it_is_typed(
    default_workbook, libreoffice_saved, tmp_path, sheet, cell, too_large
):
    """The validation's own formula, calculated in a cell far right."""
    paths = []
    for name, value in (("fine", 50), ("too large", too_large), ("text", "heavy")):
        book = openpyxl.load_workbook(default_workbook)
        (rule,) = (v for v in book[sheet].data_validations.dataValidation if cell in v.sqref)
        assert rule.type == "custom" and "EXP overflows" in rule.error and rule.showErrorMessage
        book[sheet]["AZ1"], book[sheet][cell] = f"=IF({rule.formula1},1,0)", value
        paths.append(tmp_path / f"{name}.xlsx")
        book.save(paths[-1])
    saved = [openpyxl.load_workbook(path, data_only=True) for path in libreoffice_saved(paths)]
    assert [book[sheet]["AZ1"].value for book in saved] == [1, 0, "#VALUE!"]  # an error refuses too


def test_the_lessons_formula_stands_in_the_cell(default_workbook):
    sheet = openpyxl.load_workbook(default_workbook)["Backpropagation"]
    cells = {name: sheet.cell(FIRST_ROW + 1, k) for k, name in enumerate(COLUMNS, start=1)}
    for activation, weighted_sum in (
        ("a_h1", "h1"),
        ("a_h2", "h2"),
        ("a_o1", "o1"),
        ("a_o2", "o2"),
    ):
        assert cells[activation].value == f"=1/(1 + EXP(-{cells[weighted_sum].coordinate}))"


# --- The file itself ---------------------------------------------------------------


def test_same_bytes_twice(tmp_path):
    first, second = (write_workbook(tmp_path / name, epochs=5) for name in ("a.xlsx", "b.xlsx"))
    assert first.read_bytes() == second.read_bytes()


def test_committed_workbook_is_current(default_workbook):
    """backprop.xlsx is what `python workbook.py write` writes, up to the last digits."""
    committed, fresh = ROOT / "backprop.xlsx", default_workbook
    formulas = [cells(openpyxl.load_workbook(path)) for path in (committed, fresh)]
    assert formulas[0] == formulas[1]
    values = [cells(openpyxl.load_workbook(path, data_only=True)) for path in (committed, fresh)]
    assert values[0].keys() == values[1].keys()
    for where, value in values[0].items():
        if isinstance(value, float):  # another libm may round differently
            assert value == pytest.approx(values[1][where], rel=0, abs=1e-12), where
        else:
            assert value == values[1][where], where
    parts = [set(zipfile.ZipFile(path).namelist()) for path in (committed, fresh)]
    assert parts[0] == parts[1]


def write_for_ever(path, ready, versions):
    """Replace `path` by each version in turn, without end; `ready` after the first round."""
    while True:
        for data in versions:
            workbook._replace(path, data)
        ready.set()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_killed_while_writing(tmp_path):
    """SIGKILL at twenty moments: the workbook is always whole, one version or the other."""
    path = write_workbook(tmp_path / "backprop.xlsx", epochs=3)
    versions = [
        write_workbook(tmp_path / "other.xlsx", learning_rate=rate, epochs=3).read_bytes()
        for rate in (0.1, 0.2)
    ]
    context = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
    for delay in np.random.default_rng(0).uniform(0, 0.05, 20):
        ready = context.Event()
        process = context.Process(target=write_for_ever, args=(path, ready, versions), daemon=True)
        process.start()
        assert ready.wait(60)
        time.sleep(delay)
        assert process.is_alive()  # it never stops writing of its own accord
        process.kill()
        process.join()
        assert path.read_bytes() in versions


def test_crash_before_the_replacement(tmp_path, monkeypatch):
    path = write_workbook(tmp_path / "backprop.xlsx", epochs=3)
    old = path.read_bytes()

    def crash(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(OSError, match="disk full"):
        write_workbook(path, epochs=4)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_somebodys_answers_are_kept(tmp_path):
    path = write_workbook(tmp_path / "backprop.xlsx", epochs=3)
    for number in (1, 2):
        book = openpyxl.load_workbook(path)
        book["Your turn"]["B11"] = f"=answer{number}"
        book.save(path)
        saved = path.read_bytes()
        with pytest.warns(UserWarning, match=rf"kept as backprop\.{number}\.xlsx"):
            write_workbook(path, epochs=3)
        assert (tmp_path / f"backprop.{number}.xlsx").read_bytes() == saved
        write_workbook(path, epochs=4)  # ours, untouched: replaced without a copy
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04half", None], ids=["empty", "half", "cut"])
def test_writing_over_a_half_written_file(tmp_path, damage):
    path = write_workbook(tmp_path / "backprop.xlsx", epochs=3)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    damaged = path.read_bytes()
    if damaged:
        with pytest.warns(UserWarning, match="kept as"):
            write_workbook(path, epochs=3)
        assert (tmp_path / "backprop.1.xlsx").read_bytes() == damaged
    else:
        write_workbook(path, epochs=3)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("lock", [".~lock.backprop.xlsx#", "~$backprop.xlsx"])
def test_writing_over_an_open_workbook(tmp_path, lock):
    path = write_workbook(tmp_path / "backprop.xlsx", epochs=3)
    old = path.read_bytes()
    (tmp_path / lock).touch()
    with pytest.raises(PermissionError, match="seems to be open"):
        write_workbook(path, epochs=4)
    assert path.read_bytes() == old


def test_replacement_refused_by_the_system(tmp_path, monkeypatch):
    """On Windows a workbook open in Excel cannot be replaced."""
    path = write_workbook(tmp_path / "backprop.xlsx", epochs=3)
    book = openpyxl.load_workbook(path)
    book.save(path)  # by another hand: it would be kept
    old = path.read_bytes()

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch, pytest.raises(PermissionError, match="close it"):
        patch.setattr(os, "replace", refuse)
        write_workbook(path, epochs=4)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "name, settings, error, says",
    [
        ("a.xls", {}, ValueError, ".xlsx"),
        ("no/such/a.xlsx", {}, FileNotFoundError, "no such folder"),
        ("a.xlsx", {"epochs": workbook.MAX_EPOCHS + 1}, ValueError, "at most"),
        ("a.xlsx", {"learning_rate": -1}, ValueError, "learning_rate"),
        ("a.xlsx", {"weights": "heavy"}, ValueError, "weights"),
        ("a.xlsx", {"weights": (800, *[0] * 7), "inputs": (1, 0)}, ValueError, "parts of h1.* 800"),
        ("a.xlsx", {"learning_rate": 1e7}, ValueError, "overflows in epoch 1"),
    ],
)
def test_bad_arguments(tmp_path, name, settings, error, says):
    with pytest.raises(error, match=says):
        write_workbook(tmp_path / name, **settings)
    assert not list(tmp_path.iterdir())


def test_command_line(tmp_path, capsys):
    workbook.main(["write", str(tmp_path / "a.xlsx")])
    assert (tmp_path / "a.xlsx").exists()
    with pytest.raises(SystemExit) as stop:
        workbook.main(["write", str(tmp_path / "a.txt")])
    assert stop.value.code == 2
    assert "ends in .xlsx" in capsys.readouterr().err
