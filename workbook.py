"""Lesson 1: writes backprop.xlsx, a spreadsheet whose cells are live formulas, and checks others.

The formulas are those of `backprop.py`, rendered for Excel; none is typed here. Every
formula cell also carries its computed value, so that a preview, protected view, a
phone and `pandas.read_excel` show numbers without calculating.

    python workbook.py write [FILE]
    python workbook.py check FILE… [--json] [--csv OUT]

How a workbook is checked stands in `checker.py`.
"""

import argparse
import datetime
import io
import json
import os
import re
import shutil
import sys
import warnings
import zipfile
from pathlib import Path

import matplotlib.pyplot as plt
import xlsxwriter
from xlsxwriter.utility import xl_cell_to_rowcol, xl_col_to_name, xl_range_abs, xl_rowcol_to_cell

import backprop
import checker
from backprop import COLUMN_GROUPS, COLUMNS, EQUATIONS, GRADIENTS, INPUTS, ROLES, TARGETS, WEIGHTS

check_workbook = checker.check_workbook
ROOT = Path(__file__).parent
PICTURE = ROOT / "images" / "network.png"

SHEETS = ("Equations", "Backpropagation", "Loss curves", "Gradient check", "Your turn")

# On Backpropagation, the frozen top holds the input block; the table's header is below.
HEADER_ROW = 11  # counted from 0, as pandas.read_excel(header=...) counts
FIRST_ROW = HEADER_ROW + 1
RATE_CELL = "$B$3"
INPUT_BLOCK = {  # symbol → cell
    **dict(zip(map(str, TARGETS + INPUTS), ("B5", "C5", "D5", "E5"))),
    **dict(zip(map(str, WEIGHTS), ("B7", "C7", "D7", "E7", "B9", "C9", "D9", "E9"))),
}

# On Loss curves, E by epoch stands on the left; the six calculations stand far right.
CURVES_HEADER_ROW = 4
CURVES_FIRST_COLUMN = 27  # AB

MAX_EPOCHS = 5000  # seven tables of that length: about a million formulas
CREATED = datetime.datetime(2026, 1, 1)  # fixed, so that equal content gives equal bytes

# A gradient passes the check when it is this close to the finite difference: rounding
# leaves about 1e-11, a wrong derivative of a sigmoid about 3e-4 of the gradient.
CHECK_STEP, CHECK_ABSOLUTE, CHECK_RELATIVE = 1e-5, 1e-10, 1e-5
# An answer is right when it is this close to ours: only the order of operations differs.
ANSWER_ABSOLUTE, ANSWER_RELATIVE = 1e-15, 1e-9
# Targets that differ, so that an answer which mixes them up is seen to be wrong.
YOUR_TURN_TARGETS = (0.01, 0.99)


# --- Writing a file without losing one ---------------------------------------------


def write_workbook(
    path,
    inputs=backprop.INPUT_VALUES,
    targets=backprop.TARGET_VALUES,
    weights=backprop.WEIGHT_VALUES,
    learning_rate=1.0,
    epochs=backprop.EPOCHS,
):
    """Write the five-sheet workbook; the arguments are those of `gradient_descent`.

    The same arguments give the same bytes. The file is written beside `path` and then
    put in its place, so that a crash leaves the old one whole. A workbook that somebody
    has saved since we wrote it (with answers in it, perhaps), and any other file of
    that name, is kept under the next free name, backprop.1.xlsx, and a warning says so.

    Returns:
        The path written.

    Raises:
        ValueError: the numbers make no sense, more than `MAX_EPOCHS` epochs, or a name
            that does not end in .xlsx.
        PermissionError: the workbook is open in Excel or LibreOffice.
        FileNotFoundError: no such folder, or the picture in images/ is missing.
    """
    path = Path(path)
    if path.suffix.lower() != ".xlsx":
        raise ValueError(f"a workbook's name ends in .xlsx: {path}")
    if not path.resolve().parent.is_dir():
        raise FileNotFoundError(f"no such folder: {path.resolve().parent}")
    network = {"inputs": inputs, "targets": targets, "weights": weights}
    _replace(path, _workbook_bytes(network, learning_rate, epochs))
    return path


def _replace(path, data):
    """Put `data` at `path`: all of it or nothing, and never over somebody's work."""
    target = path.resolve()  # through a symbolic link
    for lock in (target.with_name(f".~lock.{target.name}#"), target.with_name(f"~${target.name}")):
        if lock.exists():
            raise PermissionError(
                f"{path.name} seems to be open: close it, then write again. "
                f"Nothing was changed. (If it is not open, delete {lock.name}.)"
            )
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    kept = None
    try:
        old = target.read_bytes() if target.exists() else None
        if old == data:
            return
        with open(beside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if old and not _untouched(old):
            numbers = (target.with_suffix(f".{n}.xlsx") for n in range(1, 10**6))
            kept = next(name for name in numbers if not name.exists())
            shutil.copy2(target, kept)
        os.replace(beside, target)
    except OSError as error:
        if kept is not None:
            kept.unlink(missing_ok=True)
        if not isinstance(error, PermissionError):
            raise
        raise PermissionError(
            f"{path.name} cannot be replaced ({error.strerror}): close it if it is open, "
            "or choose another folder. Nothing was changed."
        ) from error
    finally:
        beside.unlink(missing_ok=True)
    if kept is not None:
        warnings.warn(f"the {path.name} that was here is kept as {kept.name}", stacklevel=3)


def _untouched(data):
    """Say whether a workbook still is as we wrote it: a spreadsheet program dates its own."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            core = archive.read("docProps/core.xml").decode()
            return archive.testzip() is None and _modified(core) == CREATED.isoformat() + "Z"
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError):
        return False


def _modified(core):
    found = re.search(r"<dcterms:modified[^>]*>([^<]*)<", core)
    return found and found.group(1)


# --- The workbook ------------------------------------------------------------------


class _Formats:
    """The cell formats, made on first use and shared: one look for all sheets."""

    BASE = {"font_name": "Calibri", "font_size": 11, "valign": "vcenter"}
    BORDER = {"border": 1, "border_color": "#BFBFBF"}
    YELLOW = {"bg_color": "#FFEB3B", "border": 2, "border_color": "#BF9000"}
    STYLES = {
        "title": {"bold": True, "font_size": 16},
        "note": {"font_color": "#595959", "italic": True},
        "step": {"bold": True},
        "text": {"text_wrap": True, **BORDER},
        "formula text": {"text_wrap": True, "font_name": "Cambria", **BORDER},
        "header": {"bold": True, "align": "center", "bg_color": "#404040", "font_color": "#FFFFFF"},
        "change me": {**YELLOW, "align": "center"},
        "answer": YELLOW,
        "verdict": {"bold": True, "align": "center", **BORDER},
        "good": {"bg_color": "#C6EFCE", "font_color": "#006100"},
        "bad": {"bg_color": "#FFC7CE", "font_color": "#9C0006"},
        "open": {"bg_color": "#E7E6E6", "font_color": "#595959"},
    }
    NUMBERS = {"epoch": "0", "loss": "0.0000E+00", "gradient": "0.0000E+00"}
    NUMBERS |= {role: "0.000000" for role in ("target", "input", "weight", "forward")}

    def __init__(self, book):
        self.book, self.made = book, {}

    def __call__(self, style, number=None):
        key = (style, number)
        if key not in self.made:
            settings = {**self.BASE, **self.STYLES[style]}
            self.made[key] = self.book.add_format({**settings, **self._number(number)})
        return self.made[key]

    def role(self, role, kind="cell"):
        """The format of a column or row by its role. kind: band, header, label or cell."""
        key = (role, kind)
        if key not in self.made:
            colour = {"bg_color": backprop.COLOURS[role]}
            heading = {"bold": True, "align": "center", **colour}
            settings = {
                "band": {**heading, "border": 1},
                "header": {**heading, "bottom": 2},
                "label": {**heading, **self.BORDER},
                "cell": {**colour, **self.BORDER, **self._number(self.NUMBERS[role])},
            }[kind]
            self.made[key] = self.book.add_format({**self.BASE, **settings})
        return self.made[key]

    @staticmethod
    def _number(number):
        return {"num_format": number} if number else {}


def _workbook_bytes(network, learning_rate, epochs):
    """Build the workbook in memory."""
    learning_rate, epochs = backprop.check_training(learning_rate, epochs)
    if epochs > MAX_EPOCHS:
        raise ValueError(f"a workbook holds at most {MAX_EPOCHS} epochs, not {epochs}")
    if not PICTURE.exists():
        raise FileNotFoundError(f"{PICTURE} is missing: `python backprop.py` draws it")
    run = backprop.gradient_descent(**network, learning_rate=learning_rate, epochs=epochs)
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    book.set_properties({"title": "Backpropagation, step by step", "created": CREATED})
    formats = _Formats(book)
    for name in SHEETS:
        sheet = book.add_worksheet(name)
        sheet.hide_gridlines(2)
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        sheet.fit_to_pages(1, 0)
    _write_equations(book, formats, network)
    _write_backpropagation(book, formats, run, learning_rate)
    _write_loss_curves(book, formats, network, epochs)
    _write_gradient_check(book, formats, run)
    _write_your_turn(book, formats, network)
    book.get_worksheet_by_name("Backpropagation").activate()
    book.close()
    return buffer.getvalue()


def _formula(expression, cells):
    """Render a SymPy expression as an Excel formula over the cells of its symbols."""
    return "=" + backprop.to_excel(expression).format(**cells)


def _first_row_cells():
    """The cells of epoch 0 on Backpropagation, by column name, from another sheet."""
    return {
        name: "Backpropagation!" + xl_rowcol_to_cell(FIRST_ROW, column, True, True)
        for column, name in enumerate(COLUMNS)
    }


def _write_header(sheet, formats, row, column):
    """Write the band of groups and the column names, the names in `row`."""
    captions = {"epoch": "", "target": "targets", "input": "inputs", "weight": "weights"}
    captions |= {"forward": "forward pass", "loss": "loss", "gradient": "gradients"}
    for role, names in COLUMN_GROUPS:
        band = formats.role(role, "band")
        if len(names) > 1:
            last = column + len(names) - 1
            sheet.merge_range(row - 1, column, row - 1, last, captions[role], band)
        else:
            sheet.write(row - 1, column, captions[role], band)
        for name in names:
            sheet.write_string(row, column, name, formats.role(role, "header"))
            column += 1


def _write_table(sheet, formats, row, column, run, rate_cell, block):
    """Write one training run as live formulas, the header in `row`.

    Args:
        run: the DataFrame of `gradient_descent`, the cached values.
        rate_cell: the absolute address of η.
        block: prefix of the input block's addresses, "" on the block's own sheet.
    """
    _write_header(sheet, formats, row, column)
    start = {name: block + _absolute(cell) for name, cell in INPUT_BLOCK.items()}
    names = {name: xl_col_to_name(column + k) for k, name in enumerate(COLUMNS)}
    templates = _templates(EQUATIONS, GRADIENTS)
    styles = {name: formats.role(role) for name, role in ROLES.items()}
    weights = {str(weight) for weight in WEIGHTS}
    for epoch, values in enumerate(run.itertuples(index=False)):
        here = {name: f"{letters}{row + epoch + 2}" for name, letters in names.items()}
        above = {name: f"{letters}{row + epoch + 1}" for name, letters in names.items()}
        for k, (name, value) in enumerate(zip(COLUMNS, values)):
            if name == "epoch":
                sheet.write_number(row + 1 + epoch, column, value, styles[name])
                continue
            if name in templates:
                formula = templates[name].format(**here)
            elif epoch == 0 or name not in weights:
                formula = start[name]
            else:  # the update rule
                formula = f"{above[name]}-{rate_cell}*{above[f'∂E/∂{name}']}"
            sheet.write_formula(row + 1 + epoch, column + k, "=" + formula, styles[name], value)


def _templates(equations, gradients):
    """Excel formulas with names in braces, by the column that they calculate."""
    computed = {**equations, **dict(zip(COLUMNS[-8:], gradients.values()))}
    return {str(symbol): backprop.to_excel(rhs) for symbol, rhs in computed.items()}


def _absolute(cell):
    return xl_rowcol_to_cell(*xl_cell_to_rowcol(cell), True, True)


def write_submission(
    path, equations=EQUATIONS, gradients=GRADIENTS, learning_rate=1.0, epochs=backprop.EPOCHS
):
    """Write a workbook such as students hand in: η, one table, and whatever mistakes are wanted.

    Args:
        equations, gradients, learning_rate, epochs: those of `gradient_descent`.

    Returns:
        The path written. A file that was there is replaced.
    """
    settings = {"equations": equations, "gradients": gradients, "epochs": epochs}
    run = backprop.gradient_descent(learning_rate=learning_rate, **settings)
    names = {name: xl_col_to_name(column) for column, name in enumerate(COLUMNS)}
    templates = _templates(equations, gradients)
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row("A1", ("η", learning_rate))
        sheet.write_row("A3", COLUMNS)
        for epoch, values in enumerate(run.itertuples(index=False)):
            here = {name: f"{letters}{epoch + 4}" for name, letters in names.items()}
            for column, (name, value) in enumerate(zip(COLUMNS, values)):
                formula = templates.get(name, "").format(**here)
                if epoch and name in map(str, WEIGHTS):
                    formula = f"{names[name]}{epoch + 3}-$B$1*{names[f'∂E/∂{name}']}{epoch + 3}"
                if formula:
                    sheet.write_formula(epoch + 3, column, "=" + formula, None, value)
                else:
                    sheet.write_number(epoch + 3, column, value)
    return path


# --- Equations ---------------------------------------------------------------------


def _write_equations(book, formats, network):
    sheet = book.get_worksheet_by_name("Equations")
    sheet.set_column("A:A", 11)
    widths = {"chain rule": 48, "simplified": 48, "why": 46}
    for column, width in enumerate(widths.values(), start=1):
        sheet.set_column(column, column, width)
    sheet.set_column("E:E", 14)
    sheet.write_string("A1", "Backpropagation through a 2-2-2 network", formats("title"))
    note = "σ is the sigmoid, σ(x) = 1/(1 + exp(−x)). E is short for E_total."
    sheet.write_string("A2", note, formats("note"))
    sheet.insert_image(
        "A3", str(PICTURE), {"x_scale": 0.85, "y_scale": 0.85, "description": "The network"}
    )
    row = 23
    for number, (title, equalities) in enumerate(backprop.derivation().items(), start=1):
        sheet.write_string(row, 0, f"Step {number}. {title}", formats("step"))
        for equality in equalities:
            row += 1
            sheet.write_string(row, 1, " = ".join(map(backprop.to_text, equality)))
        row += 2

    sheet.write_string(row, 0, "All quantities, with their values at epoch 0", formats("step"))
    row += 1
    headings = ("quantity", *widths, "value now")
    sheet.write_row(row, 0, headings, formats("header"))
    cells = _first_row_cells()
    table = backprop.equations_table(**network)
    for symbol, line in table.iterrows():
        row += 1
        lines = [
            sum(-(-len(part) // width) for part in line[name].split("\n"))
            for name, width in widths.items()
        ]
        sheet.set_row(row, 16 * max(lines) + 2)
        gradient = str(symbol).startswith("∂")
        role = "gradient" if gradient else ("loss" if str(symbol).startswith("E") else "forward")
        sheet.write_string(row, 0, line["quantity"], formats.role(role, "label"))
        sheet.write(row, 1, line["chain rule"], formats("formula text"))
        sheet.write_string(row, 2, line["simplified"], formats("formula text"))
        sheet.write_string(row, 3, line["why"], formats("text"))
        if str(symbol) in cells:
            formula = "=" + cells[str(symbol)]
        else:  # ∂E/∂a_h1 and ∂E/∂a_h2 have no column of their own
            variable = next(s for s in EQUATIONS if backprop.partial(backprop.E_total, s) == symbol)
            formula = _formula(backprop.gradient(variable), cells)
        sheet.write_formula(row, 4, formula, formats.role(role), line["value"])
    sheet.print_area(0, 0, row, 4)


# --- Backpropagation ---------------------------------------------------------------


def _write_backpropagation(book, formats, run, learning_rate):
    sheet = book.get_worksheet_by_name("Backpropagation")
    sheet.set_paper(8)  # A3
    sheet.set_column(0, 0, 8)
    sheet.set_column(1, len(COLUMNS) - 1, 11.5)
    sheet.write_string("A1", "Backpropagation, epoch by epoch", formats("title"))
    note = (
        "Yellow means: change me. All cells drive this sheet; inputs, targets and weights drive "
        "the sheets Equations, Loss curves and Gradient check too."
    )
    sheet.write_string("A2", note, formats("note"))
    for row in range(2, 10):
        sheet.set_row(row, 19)

    sheet.write_string("A3", "η", formats("header"))
    sheet.write_number(RATE_CELL, learning_rate, formats("change me", "General"))
    sheet.write_string("C3", "  learning rate: pick or type one", formats("note"))
    rates = "'Loss curves'!" + xl_range_abs(3, 1, 3, len(backprop.LEARNING_RATES))
    sheet.data_validation(
        RATE_CELL,
        {
            "validate": "list",
            "source": "=" + rates,
            "error_type": "warning",
            "error_title": "Not one of the six rates",
            "error_message": "Any positive number works too. Keep yours?",
            "input_title": "Learning rate η",
            "input_message": "Pick one of the six, or type any positive number.",
        },
    )
    for name, cell in INPUT_BLOCK.items():
        row, column = xl_cell_to_rowcol(cell)
        sheet.write_string(row - 1, column, name, formats.role(ROLES[name], "header"))
        sheet.write_number(row, column, run[name].iloc[0], formats("change me", "General"))
        _any_number(sheet, cell, f"{name}: any number")
    state = (
        '=IF(COUNT(B5:E5,B7:E7,B9:E9)<12,"Type a number in every yellow cell.",'
        'IF(COUNT(B3)<1,"η must be a number.",IF(B3>0,"Ready.","η must be positive.")))'
    )
    sheet.write_string("A10", "check", formats("note"))
    sheet.merge_range("B10:E10", "", formats("verdict"))
    sheet.write_formula("B10", state, formats("verdict"), "Ready.")
    _colour(sheet, "B10:E10", formats, {"Ready.": "good"}, otherwise="bad")

    _write_table(sheet, formats, HEADER_ROW, 0, run, RATE_CELL, block="")
    sheet.freeze_panes(FIRST_ROW, 1)
    sheet.repeat_rows(HEADER_ROW - 1, HEADER_ROW)
    sheet.repeat_columns(0)
    sheet.fit_to_pages(2, 0)
    for cell, logarithmic in (("G3", False), ("L3", True)):
        scale = "logarithmic" if logarithmic else "linear"
        chart = _loss_chart(book, f"E_total by epoch, {scale} axis", len(run), logarithmic)
        column = COLUMNS.index("E_total")
        chart.add_series(
            {
                "name": "E_total",
                "categories": ["Backpropagation", FIRST_ROW, 0, FIRST_ROW + len(run) - 1, 0],
                "values": ["Backpropagation", FIRST_ROW, column, FIRST_ROW + len(run) - 1, column],
                "line": {"color": "#0D0887", "width": 2},
            }
        )
        chart.set_legend({"none": True})
        chart.set_size({"width": 410, "height": 196})
        sheet.insert_chart(cell, chart, {"object_position": 3})


def _any_number(sheet, cell, message):
    sheet.data_validation(
        cell,
        {
            "validate": "decimal",
            "criteria": "between",
            "minimum": -1e6,
            "maximum": 1e6,
            "error_title": "Not a number",
            "error_message": "Type a number between -1,000,000 and 1,000,000.",
            "input_message": message,
        },
    )


def _colour(sheet, cells, formats, by_text, otherwise=None):
    """Colour verdict cells by what they say."""
    first = cells.split(":")[0]
    for text, style in by_text.items():
        rule = {"type": "formula", "criteria": f'=${first}="{text}"'}
        sheet.conditional_format(cells, {**rule, "format": formats(style), "stop_if_true": True})
    if otherwise:
        sheet.conditional_format(cells, {"type": "no_blanks", "format": formats(otherwise)})


def _loss_chart(book, title, epochs, logarithmic):
    chart = book.add_chart({"type": "scatter", "subtype": "straight"})
    chart.set_title({"name": title, "name_font": {"size": 11}, "overlay": False})
    grid = {"visible": True, "line": {"color": "#E0E0E0", "width": 0.5}}
    x = {"name": "epoch", "min": 0, "max": max(epochs, 2), "label_position": "low"}
    chart.set_x_axis({**x, "major_gridlines": grid, "name_font": {"size": 9, "bold": False}})
    y = {"major_gridlines": grid, "name": "E", "name_font": {"size": 9, "bold": False}}
    if logarithmic:
        y |= {"log_base": 10, "num_format": "0E+00", "crossing": "min"}
    else:
        y |= {"min": 0}
    chart.set_y_axis(y)
    return chart


# --- Loss curves -------------------------------------------------------------------


def _write_loss_curves(book, formats, network, epochs):
    sheet = book.get_worksheet_by_name("Loss curves")
    rates = backprop.LEARNING_RATES
    first, last = CURVES_HEADER_ROW + 1, CURVES_HEADER_ROW + epochs
    far_left = xl_col_to_name(CURVES_FIRST_COLUMN)
    sheet.set_column(0, 0, 8)
    sheet.set_column(1, len(rates), 12)
    sheet.set_column(CURVES_FIRST_COLUMN, CURVES_FIRST_COLUMN + 200, 11.5)
    sheet.write_string("A1", "E_total by epoch for six learning rates", formats("title"))
    note = (
        "Inputs, targets and weights come from Backpropagation. The rates below can be "
        f"changed here. The six calculations stand from column {far_left} on."
    )
    sheet.write_string("A2", note, formats("note"))
    sheet.write_string(3, 0, "η", formats("header"))
    sheet.write_string(CURVES_HEADER_ROW, 0, "epoch", formats.role("epoch", "header"))
    for epoch in range(epochs):
        sheet.write_number(first + epoch, 0, epoch, formats.role("epoch"))

    with plt.style.context(backprop.STYLE):
        cycle = plt.rcParams["axes.prop_cycle"].by_key()
    dashes = {"-": "solid", "--": "dash", "-.": "dash_dot", ":": "round_dot"}
    looks = list(zip(cycle["color"], map(dashes.get, cycle["linestyle"])))
    both = [
        _loss_chart(book, f"Six learning rates, {scale} axis", epochs, scale == "logarithmic")
        for scale in ("linear", "logarithmic")
    ]
    single = []
    for k, rate in enumerate(rates):
        rate_cell = xl_rowcol_to_cell(3, 1 + k, True, True)
        sheet.write_number(3, 1 + k, rate, formats("change me", "General"))
        positive = {"validate": "decimal", "criteria": ">", "value": 0}
        sheet.data_validation(3, 1 + k, 3, 1 + k, {**positive, "input_message": "any rate > 0"})
        name_cell = [sheet.name, CURVES_HEADER_ROW, 1 + k]
        header = formats.role("loss", "header")
        sheet.write_formula(*name_cell[1:], f'="η = "&{rate_cell}', header, f"η = {rate:g}")

        run = backprop.gradient_descent(**network, learning_rate=rate, epochs=epochs)
        column = CURVES_FIRST_COLUMN + k * (len(COLUMNS) + 1)
        title = f'="The calculation for η = "&{rate_cell}'
        sheet.write_formula(2, column, title, formats("step"), f"The calculation for η = {rate:g}")
        arguments = (CURVES_HEADER_ROW, column, run, rate_cell, "Backpropagation!")
        _write_table(sheet, formats, *arguments)
        loss_column = xl_col_to_name(column + COLUMNS.index("E_total"))
        for epoch, loss in enumerate(run["E_total"]):
            row = first + epoch
            formula = f"={loss_column}{row + 1}"
            sheet.write_formula(row, 1 + k, formula, formats.role("loss"), loss)

        colour, dash = looks[k]
        series = {
            "name": name_cell,
            "categories": [sheet.name, first, 0, last, 0],
            "values": [sheet.name, first, 1 + k, last, 1 + k],
            "line": {"color": f"#{colour.lstrip('#')}", "width": 2, "dash_type": dash},
        }
        for chart in both:
            chart.add_series(series)
        one = _loss_chart(book, f"η = {rate:g}", epochs, False)
        one.add_series({**series, "line": {**series["line"], "dash_type": "solid"}})
        one.set_title({"name": name_cell, "name_font": {"size": 11}})
        one.set_legend({"none": True})
        single.append(one)

    for k, chart in enumerate(both):
        chart.set_legend({"position": "right"})
        chart.set_size({"width": 570, "height": 360})
        sheet.insert_chart(first, 8 + 9 * k, chart)
    for k, chart in enumerate(single):
        chart.set_size({"width": 376, "height": 230})
        sheet.insert_chart(first + 19 + 12 * (k // 3), 8 + 6 * (k % 3), chart)
    sheet.freeze_panes(first, 1)
    sheet.repeat_rows(3, CURVES_HEADER_ROW)
    sheet.print_area(0, 0, max(last, 49), CURVES_FIRST_COLUMN - 1)


# --- Gradient check ----------------------------------------------------------------


def _write_gradient_check(book, formats, run):
    sheet = book.get_worksheet_by_name("Gradient check")
    sheet.set_column(0, 16, 12)
    sheet.write_string("A1", "Is each gradient right? Ask the loss itself", formats("title"))
    note = (
        "Nudge one weight by ±ε, see how E changes, divide: (E(w + ε) − E(w − ε)) / 2ε. No derivative "
        "is used. Checked are the eight gradients of epoch 0, row 13 of Backpropagation."
    )
    sheet.write_string("A2", note, formats("note"))
    sheet.write_string("A3", "ε", formats("header"))
    sheet.write_number("B3", CHECK_STEP, formats("change me", "0E+00"))
    bounds = {"validate": "decimal", "criteria": "between", "minimum": 1e-7, "maximum": 1e-4}
    message = "From 1E-7 to 1E-4: smaller drowns in rounding, larger is no small step."
    sheet.data_validation("B3", {**bounds, "error_message": message, "input_message": message})

    cells = _first_row_cells()
    names = [name for name in COLUMNS if ROLES[name] not in ("epoch", "gradient")]
    equations = {str(symbol): equation for symbol, equation in EQUATIONS.items()}
    top = 18  # header of the nudged networks: a column each, a row a quantity
    sheet.write_string(top - 1, 0, "The sixteen nudged networks", formats("step"))
    sheet.write_string(top, 0, "nudge", formats("header"))
    for r, name in enumerate(names, start=top + 1):
        sheet.write_string(r, 0, name, formats.role(ROLES[name], "label"))
    losses = {}
    nudges = [(weight, sign) for weight in WEIGHTS for sign in "+-"]
    for column, (weight, sign) in enumerate(nudges, start=1):
        sheet.write_string(top, column, f"{weight} {sign} ε".replace("-", "−"), formats("header"))
        values = {str(s): run[str(s)].iloc[0] for s in (*TARGETS, *INPUTS, *WEIGHTS)}
        values[str(weight)] += CHECK_STEP if sign == "+" else -CHECK_STEP
        values |= zip(equations, backprop.spreadsheet_row(*values.values()))
        here = {name: xl_rowcol_to_cell(r, column) for r, name in enumerate(names, start=top + 1)}
        for r, name in enumerate(names, start=top + 1):
            if name in equations:
                formula = _formula(equations[name], here)
            else:
                formula = "=" + cells[name] + (f"{sign}$B$3" if name == str(weight) else "")
            sheet.write_formula(r, column, formula, formats.role(ROLES[name]), values[name])
        losses[weight, sign] = (here["E_total"], values["E_total"])

    headings = ("gradient", "by formula", "by nudging", "difference", "verdict")
    sheet.write_row("A5", headings, formats("header"))
    for k, weight in enumerate(WEIGHTS):
        row = 5 + k
        name = f"∂E/∂{weight}"
        analytic = run[name].iloc[0]
        (plus, high), (minus, low) = losses[weight, "+"], losses[weight, "-"]
        difference = (high - low) / (2 * CHECK_STEP)
        number = formats.role("gradient")
        sheet.write_string(row, 0, name, formats.role("gradient", "label"))
        sheet.write_formula(row, 1, "=" + cells[name], number, analytic)
        sheet.write_formula(row, 2, f"=({plus}-{minus})/(2*$B$3)", number, difference)
        sheet.write_formula(row, 3, f"=B{row + 1}-C{row + 1}", number, analytic - difference)
        limit = f"{CHECK_ABSOLUTE:.0E}+{CHECK_RELATIVE:.0E}*ABS(C{row + 1})"
        close = f'IF(ABS(D{row + 1})<={limit},"OK","WRONG")'
        verdict = f'=IF(ISNUMBER(D{row + 1}),{close},"WRONG")'
        good = abs(analytic - difference) <= CHECK_ABSOLUTE + CHECK_RELATIVE * abs(difference)
        sheet.write_formula(row, 4, verdict, formats("verdict"), "OK" if good else "WRONG")
    _colour(sheet, "E6:E13", formats, {"OK": "good"}, otherwise="bad")
    gradient_cell = xl_rowcol_to_cell(FIRST_ROW, COLUMNS.index("∂E/∂w3"))
    note = (
        f"A difference of up to {CHECK_ABSOLUTE:.0e} + {CHECK_RELATIVE:.0e}·|gradient| is rounding. "
        f"Try it: in {gradient_cell} of Backpropagation, replace a_h2 (M13) by a_h1 (K13), twice. "
        "The loss still falls; the verdict here turns to WRONG."
    )
    sheet.write_string("A15", note, formats("note"))


# --- Your turn ---------------------------------------------------------------------


def _write_your_turn(book, formats, network):
    sheet = book.get_worksheet_by_name("Your turn")
    sheet.set_column(0, 0, 12)
    sheet.set_column(1, 12, 12)
    sheet.write_string("A1", "Your turn: type the eight gradients", formats("title"))
    known = [str(s) for s in (*INPUTS, *TARGETS, *WEIGHTS)]
    network = {**network, "targets": YOUR_TURN_TARGETS}
    row_values = backprop.gradient_descent(**network, epochs=1).iloc[0]
    cells = {}
    for k, name in enumerate(known):
        cells[name] = xl_rowcol_to_cell(4, k)
        sheet.write_string(3, k, name, formats.role(ROLES[name], "header"))
        sheet.write_number(4, k, row_values[name], formats("change me", "General"))
        _any_number(sheet, cells[name], f"{name}: any number")
    for k, (symbol, equation) in enumerate(EQUATIONS.items()):
        name = str(symbol)
        cells[name] = xl_rowcol_to_cell(7, k)
        sheet.write_string(6, k, name, formats.role(ROLES[name], "header"))
        formula = _formula(equation, cells)
        sheet.write_formula(7, k, formula, formats.role(ROLES[name]), row_values[name])

    note = (
        f"Type a formula in B11 to B18, using cells of rows 5 and 8, such as ={cells['a_o1']}-{cells['t1']}. "
        "The targets differ from the lesson's. Change a number in row 5: a right formula stays right."
    )
    sheet.write_string("A2", note, formats("note"))
    sheet.write_row("A10", ("gradient", "your formula", "verdict"), formats("header"))
    sheet.merge_range("D10:L10", "the chain rule to start from", formats("header"))
    sheet.write_string("N10", "right value", formats("header"))
    sheet.set_column("N:N", 12, None, {"hidden": True})
    for k, weight in enumerate(WEIGHTS):
        row = 10 + k
        name = f"∂E/∂{weight}"
        sheet.set_row(row, 24)
        sheet.write_string(row, 0, name, formats.role("gradient", "label"))
        sheet.write_blank(row, 1, None, formats("answer", "0.0000E+00"))
        right = _formula(GRADIENTS[weight], cells)
        sheet.write_formula(row, 13, right, formats.role("gradient"), row_values[name])
        mine, ours = f"B{row + 1}", f"N{row + 1}"
        limit = f"{ANSWER_ABSOLUTE:.0E}+{ANSWER_RELATIVE:.0E}*ABS({ours})"
        close = f'IF(ABS({mine}-{ours})<={limit},"CORRECT","INCORRECT")'
        verdict = f'=IF(ISBLANK({mine}),"NOT DONE",IF(ISNUMBER({mine}),{close},"INCORRECT"))'
        sheet.write_formula(row, 2, verdict, formats("verdict"), "NOT DONE")
        hint = backprop.to_text(backprop.chain_rule(weight))
        sheet.merge_range(row, 3, row, 11, hint, formats("formula text"))
    by_text = {"CORRECT": "good", "INCORRECT": "bad", "NOT DONE": "open"}
    _colour(sheet, "C11:C18", formats, by_text)
    score = '="You have "&COUNTIF(C11:C18,"CORRECT")&" of 8."'
    sheet.write_formula("A20", score, formats("step"), "You have 0 of 8.")
    note = "Column N, hidden, holds the right values that the verdicts compare with."
    sheet.write_string("A21", note, formats("note"))


def main(arguments=None):
    """The command line. Exit status of check: 0 all right, 1 something wrong, 2 unreadable."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("write", help="write the workbook")
    write.add_argument("file", nargs="?", default=str(ROOT / "backprop.xlsx"))
    check = commands.add_parser("check", help="check workbooks, anybody's")
    check.add_argument("files", nargs="+", metavar="FILE", help="an .xlsx file")
    check.add_argument("--json", action="store_true", help="one JSON object a line")
    check.add_argument("--csv", metavar="OUT", help="write all verdicts to a CSV file too")
    arguments = parser.parse_args(arguments)
    try:
        if arguments.command == "write":
            print(f"wrote {write_workbook(arguments.file)}")
            return 0
        return _check_command(arguments)
    except (OSError, RuntimeError, ValueError) as error:
        parser.exit(2, f"workbook.py: {error}\n")


def _check_command(arguments):
    for stream in (sys.stdout, sys.stderr):  # whatever a console or a pipe is set to
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    if arguments.csv:  # before the work, not after it
        checker.refuse_csv(arguments.csv, arguments.files)
    results = checker.check_workbooks(arguments.files, progress=len(arguments.files) > 1)
    for result in results:
        print(json.dumps(result, ensure_ascii=False) if arguments.json else checker.report(result))
    if arguments.csv:
        checker.write_csv(results, arguments.csv)
    verdicts = {result["verdict"] for result in results}
    return 2 if "unreadable" in verdicts else 1 if "wrong" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
