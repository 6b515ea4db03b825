"""Lesson 1: the sheets of backprop.xlsx, one function each.

`workbook.py` puts them together and writes the file. Addresses are computed: no formula
and no sentence in a cell has a typed one.
"""

from pathlib import Path

from xlsxwriter.utility import (
    xl_cell_to_rowcol,
    xl_col_to_name,
    xl_range,
    xl_range_abs,
    xl_rowcol_to_cell,
)

import backprop
import derivation
from backprop import COLUMN_GROUPS, COLUMNS, EQUATIONS, GRADIENTS, INPUTS, ROLES, TARGETS, WEIGHTS

PICTURE = Path(__file__).parent / "images" / "network.png"

SHEETS = (
    "Equations", "Backpropagation", "With deltas", "Loss curves", "Gradient check", "Your turn",
)  # fmt: skip

# On Backpropagation, the frozen top holds the input block; the table's header is below.
HEADER_ROW = 11  # counted from 0, as pandas.read_excel(header=...) counts
FIRST_ROW = HEADER_ROW + 1
RATE_CELL = "B3"
INPUT_BLOCK = {
    "t1": "B5", "t2": "C5", "i1": "D5", "i2": "E5",
    "w1": "B7", "w2": "C7", "w3": "D7", "w4": "E7",
    "w5": "B9", "w6": "C9", "w7": "D9", "w8": "E9",
}  # fmt: skip
STATE_CELL, STATE_END = "B10", "E10"  # what the input block says of itself

# On Loss curves, E by epoch is on the left, the six calculations are on the far right.
RATES_ROW, CURVES_HEADER_ROW = 3, 4
CURVES_FIRST_COLUMN = 27  # AB

# On Gradient check and Your turn, counted from 0: the first of eight rows, one a weight.
CHECKS_FIRST_ROW = 5
ANSWERS_FIRST_ROW = 10
GIVEN_ROW, COMPUTED_ROW = 4, 7  # on Your turn: the numbers that an answer starts from

# A weighted sum of this size is refused where it is typed: EXP overflows above 709.78.
LARGEST_SUM = 700
# A gradient passes the check when it is this close to the finite difference: rounding
# leaves about 1e-11, a wrong derivative of a sigmoid about 3e-4 of the gradient.
CHECK_STEP, CHECK_ABSOLUTE, CHECK_RELATIVE = 1e-5, 1e-10, 1e-5
# An answer is right when it is this close to ours: only the order of operations differs.
ANSWER_ABSOLUTE, ANSWER_RELATIVE = 1e-15, 1e-9
ZERO_SHORT = "0.0E+00;-0.0E+00;0"  # a number format for differences
# Targets that differ, so that an answer which mixes them up is seen to be wrong.
YOUR_TURN_TARGETS = (0.01, 0.99)

# --- What all sheets share ---------------------------------------------------------


# SLOPES: the name of a weight → the name of its gradient column. FORMULAS: the name of a
# computed column → its Excel formula, with the names of other columns in braces.
SLOPES = {weight.name: symbol.name for weight, symbol in backprop.GRADIENT_SYMBOLS.items()}
FORMULAS = {str(symbol): backprop.to_excel(equation) for symbol, equation in EQUATIONS.items()}
FORMULAS |= {SLOPES[str(w)]: backprop.to_excel(slope) for w, slope in GRADIENTS.items()}


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
    letters = {name: xl_col_to_name(column + k) for k, name in enumerate(COLUMNS)}
    styles = {name: formats.role(role) for name, role in ROLES.items()}
    for epoch, values in enumerate(run.to_dict("records")):
        here = {name: f"{letter}{row + epoch + 2}" for name, letter in letters.items()}
        above = {name: f"{letter}{row + epoch + 1}" for name, letter in letters.items()}
        sheet.write_number(row + 1 + epoch, column, values["epoch"], styles["epoch"])
        for k, name in enumerate(COLUMNS[1:], start=1):
            if name in FORMULAS:
                formula = FORMULAS[name].format(**here)
            elif name in SLOPES and epoch > 0:  # the update rule
                formula = f"{above[name]}-{rate_cell}*{above[SLOPES[name]]}"
            else:
                formula = start[name]
            value = values[name]
            sheet.write_formula(row + 1 + epoch, column + k, "=" + formula, styles[name], value)


def _absolute(cell):
    return xl_rowcol_to_cell(*xl_cell_to_rowcol(cell), True, True)


# --- Equations ---------------------------------------------------------------------


def write_equations(book, formats, network):
    """Write the sheet Equations: the picture, the derivation, and a table of all quantities.

    Args:
        book: the XlsxWriter Workbook, which has the empty sheet already.
        formats: a `Formats`.
        network: a dict with inputs, targets and weights, as `gradient_descent` takes them.
    """
    sheet = book.get_worksheet_by_name("Equations")
    sheet.set_column("A:A", 11)
    widths = {"chain rule": 48, "written out": 48, "with deltas": 34, "why": 46}
    for column, width in enumerate(widths.values(), start=1):
        sheet.set_column(column, column, width)
    sheet.set_column(len(widths) + 1, len(widths) + 1, 14)
    sheet.write_string("A1", "Backpropagation through a 2-2-2 network", formats("title"))
    note = "σ is the sigmoid, σ(x) = 1/(1 + exp(−x)). E is short for E_total."
    sheet.write_string("A2", note, formats("note"))
    sheet.insert_image(
        "A3", str(PICTURE), {"x_scale": 0.85, "y_scale": 0.85, "description": "The network"}
    )
    row = 23
    for number, (title, equalities) in enumerate(derivation.steps().items(), start=1):
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
    variables = {backprop.partial(backprop.E_total, s): s for s in EQUATIONS}
    variables |= {backprop.delta(s): s for s in backprop.SIGMOIDS.values()}
    table = derivation.equations_table(**network)
    for symbol, line in table.iterrows():
        row += 1
        lines = [
            sum(-(-len(part) // width) for part in line[name].split("\n"))
            for name, width in widths.items()
        ]
        sheet.set_row(row, 16 * max(lines) + 2)
        gradient = str(symbol).startswith(("∂", "δ"))
        role = "gradient" if gradient else ("loss" if str(symbol).startswith("E") else "forward")
        sheet.write_string(row, 0, line["quantity"], formats.role(role, "label"))
        for column, name in enumerate(widths, start=1):
            style = formats("text" if name == "why" else "formula text")
            sheet.write(row, column, line[name], style)
        if str(symbol) in cells:
            formula = "=" + cells[str(symbol)]
        else:  # no column of its own on Backpropagation
            formula = _formula(backprop.gradient(variables[symbol]), cells)
        sheet.write_formula(row, len(widths) + 1, formula, formats.role(role), line["value"])
    sheet.print_area(0, 0, row, len(widths) + 1)


# --- Backpropagation ---------------------------------------------------------------


def write_backpropagation(book, formats, run, learning_rate):
    """Write the sheet Backpropagation: the input block, two charts, and a row for each epoch.

    Args:
        run: the DataFrame that `gradient_descent` returns for this learning rate.
    """
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
    rates = "'Loss curves'!" + xl_range_abs(RATES_ROW, 1, RATES_ROW, len(backprop.LEARNING_RATES))
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
        _validate_number(sheet, name, INPUT_BLOCK)
    block = ",".join(INPUT_BLOCK.values())
    last_loss = xl_rowcol_to_cell(FIRST_ROW + len(run) - 1, COLUMNS.index("E_total"))
    state = (
        f'=IF(COUNT({block})<{len(INPUT_BLOCK)},"Type a number in every yellow cell.",'
        f'IF(NOT({_no_overflow(INPUT_BLOCK)}),"Too large: EXP would overflow.",'
        f'IF(COUNT({RATE_CELL})<1,"η must be a number.",'
        f'IF({RATE_CELL}>0,IF(ISERROR({last_loss}),"η is too large: EXP overflows.",'
        '"Ready."),"η must be positive."))))'
    )
    row, column = xl_cell_to_rowcol(STATE_CELL)
    sheet.write_string(row, column - 1, "check", formats("note"))
    sheet.merge_range(f"{STATE_CELL}:{STATE_END}", "", formats("verdict"))
    sheet.write_formula(STATE_CELL, state, formats("verdict"), "Ready.")
    _colour(sheet, f"{STATE_CELL}:{STATE_END}", formats, {"Ready.": "good"}, otherwise="bad")

    _write_table(sheet, formats, HEADER_ROW, 0, run, _absolute(RATE_CELL), block="")
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


def _validate_number(sheet, name, cells):
    """Refuse what is no number, or would make EXP overflow, where it is typed.

    Args:
        cells: a dict, name → cell, of all inputs and weights.
    """
    cell = cells[name]
    sheet.data_validation(
        cell,
        {
            "validate": "custom",
            "value": f"=AND(ISNUMBER({_absolute(cell)}),{_no_overflow(cells)})",
            "error_title": "Not a number, or too large",
            "error_message": (
                "Type a number. The parts of a weighted sum, without their signs, may add up "
                f"to {LARGEST_SUM} at most: EXP overflows above {backprop.LARGEST_EXPONENT:.2f}."
            ),
            "input_message": f"{name}: any number that EXP can take, see the sheet's check",
        },
    )


# The parts of each sigmoid's argument, at their largest: an activation is between 0 and 1.
LARGEST_PARTS = {
    weighted_sum: EQUATIONS[weighted_sum].subs({a: 1 for a in backprop.SIGMOIDS}).args
    for weighted_sum in backprop.SIGMOIDS.values()
}


def _no_overflow(cells):
    """An Excel condition: no sigmoid's argument can be larger than `LARGEST_SUM`."""
    absolute = {name: _absolute(cell) for name, cell in cells.items()}
    sums = (
        "+".join(f"ABS({backprop.to_excel(part).format(**absolute)})" for part in parts)
        for parts in LARGEST_PARTS.values()
    )
    return f"AND({','.join(f'{total}<={LARGEST_SUM}' for total in sums)})"


def refuse_overflow(inputs, targets, weights):
    """Raise a ValueError for numbers that the input block refuses because EXP could overflow."""
    values = backprop.named_values(inputs, targets, weights, one=True)
    for weighted_sum, parts in LARGEST_PARTS.items():
        total = sum(abs(float(part.subs(values))) for part in parts)
        if total > LARGEST_SUM:
            raise ValueError(
                f"the parts of {weighted_sum}, without their signs, add up to {total:.6g}: a "
                f"workbook takes {LARGEST_SUM} at most, because EXP overflows above "
                f"{backprop.LARGEST_EXPONENT:.2f}"
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


# --- With deltas -------------------------------------------------------------------


def write_with_deltas(book, formats, run):
    """Write the sheet With deltas: four deltas, eight gradients, and how far they are off.

    Args:
        run: the DataFrame that `gradient_descent` returns, as on Backpropagation.
    """
    sheet = book.get_worksheet_by_name("With deltas")
    sheet.write_string("A1", "The same gradients with deltas", formats("title"))
    notes = (
        "Each neuron's δ is calculated once, from the outputs back to the inputs. A gradient is "
        "the δ of the neuron that the weight enters, times what the weight was multiplied with.",
        "On the right: this gradient minus the one written out on Backpropagation, in the same "
        "row. Only rounding is left.",
    )
    for row, note in enumerate(notes, start=1):
        sheet.write_string(row, 0, note, formats("note"))

    slopes = {SLOPES[str(w)]: formula for w, formula in backprop.SHORT_GRADIENTS.items()}
    deltas = {str(symbol): formula for symbol, formula in backprop.DELTAS.items()}
    templates = {name: backprop.to_excel(f) for name, f in (deltas | slopes).items()}
    columns = {name: k for k, name in enumerate(templates, start=1)}
    off = {name: columns[name] + len(WEIGHTS) for name in slopes}
    first, last = FIRST_ROW, FIRST_ROW + len(run) - 1
    sheet.set_column(0, 0, 8)
    sheet.set_column(1, max(columns.values()), 11.5)
    sheet.set_column(min(off.values()), max(off.values()), 12.5)
    groups = (("deltas", columns, deltas), ("gradients", columns, slopes))
    groups += (("gradient minus the one written out", off, slopes),)
    sheet.write_string(HEADER_ROW, 0, "epoch", formats.role("epoch", "header"))
    for caption, places, names in groups:
        role = "loss" if places is off else "gradient"
        ends = [places[name] for name in names]
        band = (HEADER_ROW - 1, min(ends), HEADER_ROW - 1, max(ends))
        sheet.merge_range(*band, caption, formats.role(role, "band"))
        for name in names:
            sheet.write_string(HEADER_ROW, places[name], name, formats.role(role, "header"))

    values = {symbol: run[symbol.name].to_numpy() for symbol in (*backprop.GIVEN, *EQUATIONS)}
    short = {str(symbol): numbers for symbol, numbers in backprop.delta_row(values).items()}
    differences = {name: short[name] - run[name].to_numpy() for name in slopes}
    written_out = {name: f"Backpropagation!{xl_col_to_name(k)}" for k, name in enumerate(COLUMNS)}
    letters = written_out | {name: xl_col_to_name(k) for name, k in columns.items()}
    for epoch in range(len(run)):
        row = first + epoch
        cells = {name: f"{letter}{row + 1}" for name, letter in letters.items()}
        sheet.write_formula(row, 0, "=" + cells["epoch"], formats.role("epoch"), epoch)
        for name, template in templates.items():
            formula, value = "=" + template.format(**cells), short[name][epoch]
            sheet.write_formula(row, columns[name], formula, formats.role("gradient"), value)
        for name in slopes:
            formula = f"={cells[name]}-{written_out[name]}{row + 1}"
            value = differences[name][epoch]
            sheet.write_formula(row, off[name], formula, formats("difference", ZERO_SHORT), value)

    block = xl_range(first, min(off.values()), last, max(off.values()))
    largest = max(abs(difference).max() for difference in differences.values())
    sheet.write_string("A5", "largest", formats("header"))
    formula = f"=MAX(MAX({block}),-MIN({block}))"
    sheet.write_formula("B5", formula, formats("verdict", "0.0E+00"), largest)
    sheet.write_string("C5", "  difference between the two forms, in all rows", formats("note"))
    sheet.freeze_panes(first, 1)
    sheet.repeat_rows(HEADER_ROW - 1, HEADER_ROW)
    sheet.set_paper(8)  # A3
    sheet.print_area(0, 0, last, max(off.values()))


# --- Loss curves -------------------------------------------------------------------


def write_loss_curves(book, formats, network, epochs, curve_styles):
    """Write the sheet Loss curves: E by epoch for six learning rates, with eight charts.

    Args:
        curve_styles: for each learning rate its (colour, matplotlib dash style).
    """
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
    sheet.write_string(RATES_ROW, 0, "η", formats("header"))
    sheet.write_string(CURVES_HEADER_ROW, 0, "epoch", formats.role("epoch", "header"))
    for epoch in range(epochs):
        sheet.write_number(first + epoch, 0, epoch, formats.role("epoch"))

    dash_types = {"-": "solid", "--": "dash", "-.": "dash_dot", ":": "round_dot"}
    both = [
        _loss_chart(book, f"Six learning rates, {scale} axis", epochs, scale == "logarithmic")
        for scale in ("linear", "logarithmic")
    ]
    single = []
    for k, (rate, (colour, dash)) in enumerate(zip(rates, curve_styles)):
        rate_cell = xl_rowcol_to_cell(RATES_ROW, 1 + k, True, True)
        sheet.write_number(RATES_ROW, 1 + k, rate, formats("change me", "General"))
        positive = {"validate": "decimal", "criteria": ">", "value": 0}
        sheet.data_validation(
            RATES_ROW,
            1 + k,
            RATES_ROW,
            1 + k,
            {
                **positive,
                "input_message": "any rate > 0",
                "error_message": "Type a positive number.",
            },
        )
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

        series = {
            "name": name_cell,
            "categories": [sheet.name, first, 0, last, 0],
            "values": [sheet.name, first, 1 + k, last, 1 + k],
            "line": {"color": colour, "width": 2, "dash_type": dash_types[dash]},
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
    sheet.repeat_rows(RATES_ROW, CURVES_HEADER_ROW)
    sheet.print_area(0, 0, max(last, 49), CURVES_FIRST_COLUMN - 1)


# --- Gradient check ----------------------------------------------------------------


def write_gradient_check(book, formats, run):
    """Write the sheet Gradient check: each gradient of epoch 0 beside a finite difference."""
    sheet = book.get_worksheet_by_name("Gradient check")
    sheet.set_column(0, 16, 12)
    sheet.write_string("A1", "Is each gradient right? Ask the loss itself", formats("title"))
    note = (
        "Nudge one weight by ±ε, see how E changes, divide: (E(w + ε) − E(w − ε)) / 2ε. "
        "No derivative is used. Checked are the eight gradients of epoch 0, "
        f"row {FIRST_ROW + 1} of Backpropagation."
    )
    sheet.write_string("A2", note, formats("note"))
    step_cell = "B3"
    sheet.write_string("A3", "ε", formats("header"))
    sheet.write_number(step_cell, CHECK_STEP, formats("change me", "0E+00"))
    bounds = {"validate": "decimal", "criteria": "between", "minimum": 1e-7, "maximum": 1e-4}
    message = "From 1E-7 to 1E-4: smaller drowns in rounding, larger is no small step."
    sheet.data_validation(step_cell, {**bounds, "error_message": message, "input_message": message})

    cells = _first_row_cells()
    step = _absolute(step_cell)
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
        given = {symbol: run[str(symbol)].iloc[0] for symbol in backprop.GIVEN}
        given[weight] += CHECK_STEP if sign == "+" else -CHECK_STEP
        row = given | backprop.spreadsheet_row(given)
        values = {str(symbol): value for symbol, value in row.items()}
        here = {name: xl_rowcol_to_cell(r, column) for r, name in enumerate(names, start=top + 1)}
        for r, name in enumerate(names, start=top + 1):
            if name in equations:
                formula = _formula(equations[name], here)
            else:
                formula = "=" + cells[name] + (f"{sign}{step}" if name == str(weight) else "")
            sheet.write_formula(r, column, formula, formats.role(ROLES[name]), values[name])
        losses[weight, sign] = (here["E_total"], values["E_total"])

    headings = ("gradient", "by formula", "by nudging", "difference", "verdict")
    sheet.write_row(CHECKS_FIRST_ROW - 1, 0, headings, formats("header"))
    for row, weight in enumerate(WEIGHTS, start=CHECKS_FIRST_ROW):
        name = SLOPES[str(weight)]
        by_formula, by_nudging, distance = (xl_rowcol_to_cell(row, column) for column in (1, 2, 3))
        analytic = run[name].iloc[0]
        (plus, high), (minus, low) = losses[weight, "+"], losses[weight, "-"]
        difference = (high - low) / (2 * CHECK_STEP)
        number = formats.role("gradient")
        sheet.write_string(row, 0, name, formats.role("gradient", "label"))
        sheet.write_formula(row, 1, "=" + cells[name], number, analytic)
        sheet.write_formula(row, 2, f"=({plus}-{minus})/(2*{step})", number, difference)
        sheet.write_formula(row, 3, f"={by_formula}-{by_nudging}", number, analytic - difference)
        limit = f"{CHECK_ABSOLUTE:.0E}+{CHECK_RELATIVE:.0E}*ABS({by_nudging})"
        close = f'IF(ABS({distance})<={limit},"OK","WRONG")'
        verdict = f'=IF(ISNUMBER({distance}),{close},"WRONG")'
        good = abs(analytic - difference) <= CHECK_ABSOLUTE + CHECK_RELATIVE * abs(difference)
        sheet.write_formula(row, 4, verdict, formats("verdict"), "OK" if good else "WRONG")
    verdicts = xl_range(CHECKS_FIRST_ROW, 4, CHECKS_FIRST_ROW + len(WEIGHTS) - 1, 4)
    _colour(sheet, verdicts, formats, {"OK": "good"}, otherwise="bad")
    slope, right, wrong = (
        xl_rowcol_to_cell(FIRST_ROW, COLUMNS.index(name)) for name in ("∂E/∂w3", "a_h2", "a_h1")
    )
    note = (
        f"A difference of up to {CHECK_ABSOLUTE:.0e} + {CHECK_RELATIVE:.0e}·|gradient| is "
        f"rounding. Try it: in {slope} of Backpropagation, replace a_h2 ({right}) by "
        f"a_h1 ({wrong}), twice. The loss still falls; the verdict here turns to WRONG."
    )
    sheet.write_string(CHECKS_FIRST_ROW + len(WEIGHTS) + 1, 0, note, formats("note"))


# --- Your turn ---------------------------------------------------------------------


def write_your_turn(book, formats, network):
    """Write the sheet Your turn: a yellow cell and a verdict for each of the eight gradients."""
    sheet = book.get_worksheet_by_name("Your turn")
    answers, verdicts, hints, solutions = (1, 2, 3, 13)  # columns
    sheet.set_column(0, 12, 12)
    sheet.set_column(solutions, solutions, 12, None, {"hidden": True})
    sheet.write_string("A1", "Your turn: type the eight gradients", formats("title"))
    network = {**network, "targets": YOUR_TURN_TARGETS}
    values = backprop.gradient_descent(**network, epochs=1).iloc[0]
    given = [str(symbol) for symbol in (*INPUTS, *TARGETS, *WEIGHTS)]
    cells = {name: xl_rowcol_to_cell(GIVEN_ROW, k) for k, name in enumerate(given)}
    for k, name in enumerate(given):
        sheet.write_string(GIVEN_ROW - 1, k, name, formats.role(ROLES[name], "header"))
        sheet.write_number(GIVEN_ROW, k, values[name], formats("change me", "General"))
        _validate_number(sheet, name, cells)
    for k, (symbol, equation) in enumerate(EQUATIONS.items()):
        name = str(symbol)
        cells[name] = xl_rowcol_to_cell(COMPUTED_ROW, k)
        sheet.write_string(COMPUTED_ROW - 1, k, name, formats.role(ROLES[name], "header"))
        formula = _formula(equation, cells)
        sheet.write_formula(COMPUTED_ROW, k, formula, formats.role(ROLES[name]), values[name])

    first, last = ANSWERS_FIRST_ROW, ANSWERS_FIRST_ROW + len(WEIGHTS) - 1
    top, bottom = xl_rowcol_to_cell(first, answers), xl_rowcol_to_cell(last, answers)
    note = (
        f"Type a formula in {top} to {bottom}, using cells of rows {GIVEN_ROW + 1} and "
        f"{COMPUTED_ROW + 1}, such as ={cells['a_o1']}-{cells['t1']}. The targets differ from the "
        f"lesson's. Change a number in row {GIVEN_ROW + 1}: a right formula stays right."
    )
    sheet.write_string("A2", note, formats("note"))
    header = formats("header")
    sheet.write_row(first - 1, 0, ("gradient", "your formula", "verdict"), header)
    sheet.merge_range(first - 1, hints, first - 1, 11, "the chain rule to start from", header)
    sheet.write_string(first - 1, solutions, "right value", header)
    for row, weight in enumerate(WEIGHTS, start=first):
        name = SLOPES[str(weight)]
        sheet.set_row(row, 24)
        sheet.write_string(row, 0, name, formats.role("gradient", "label"))
        sheet.write_blank(row, answers, None, formats("answer", "0.0000E+00"))
        right = _formula(GRADIENTS[weight], cells)
        sheet.write_formula(row, solutions, right, formats.role("gradient"), values[name])
        mine, ours = xl_rowcol_to_cell(row, answers), xl_rowcol_to_cell(row, solutions)
        limit = f"{ANSWER_ABSOLUTE:.0E}+{ANSWER_RELATIVE:.0E}*ABS({ours})"
        close = f'IF(ABS({mine}-{ours})<={limit},"CORRECT","INCORRECT")'
        verdict = f'=IF(ISBLANK({mine}),"NOT DONE",IF(ISNUMBER({mine}),{close},"INCORRECT"))'
        sheet.write_formula(row, verdicts, verdict, formats("verdict"), "NOT DONE")
        hint = backprop.to_text(backprop.chain_rule(weight))
        sheet.merge_range(row, hints, row, 11, hint, formats("formula text"))
    by_text = {"CORRECT": "good", "INCORRECT": "bad", "NOT DONE": "open"}
    all_verdicts = xl_range(first, verdicts, last, verdicts)
    _colour(sheet, all_verdicts, formats, by_text)
    score = f'="You have "&COUNTIF({all_verdicts},"CORRECT")&" of {len(WEIGHTS)}."'
    sheet.write_formula(last + 2, 0, score, formats("step"), f"You have 0 of {len(WEIGHTS)}.")
    note = (
        f"Column {xl_col_to_name(solutions)}, hidden, holds the right values that the verdicts "
        "compare with."
    )
    sheet.write_string(last + 3, 0, note, formats("note"))
