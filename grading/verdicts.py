"""Checks the cells of one workbook: its tables, column by column, and what is not there.

A workbook is right when every column that is there is right, nothing was left unchecked, and
a sheet that can be seen has all eight gradients.
"""

import numpy as np

from backprop import GRADIENT_SYMBOLS
from grading.columns import CheckedTable, check_column, compare
from grading.constants import place_constants
from grading.filling import Recalculation
from grading.given import check_constants, check_start
from grading.headers import canonical_name
from grading.labels import Labels, stated_rates
from grading.numbering import settle_numbering
from grading.quantities import COMPUTED_NAMES, FORMULAS, UPDATES, column_name
from grading.rates import layer_rates, learning_rate
from grading.reading import RESAVE, Unreadable, number_in, shown
from grading.references import Reader
from grading.rounding import ACCEPTED_DIGITS, ROUNDED_DIGITS, most_decimals
from grading.tables import Table, find_headers
from grading.updates import Updates, check_updates
from grading.views import arranged

MOST_NAMES = 20  # headers that were not recognised, in a sentence


@np.errstate(all="ignore")  # a student's numbers may overflow
def check_table(table, candidates, book, labels, stated=None):
    """Check one table.

    Args:
        table: a `tables.Table`.
        candidates: the learning rates that its sheet states, see `labels.stated_rates`.
        book: its workbook.
        labels: what `labels.Labels.meanings` returns.
        stated: what `labels.Labels.numbers` returns.

    Returns:
        A dict, as in "tables" of `workbooks.check_workbook`.
    """
    checked, reader = CheckedTable(table), Reader(book, table, labels)
    recalculate = Recalculation(book)
    updates = Updates(checked)
    rate = learning_rate(updates, reader, candidates)
    reader.eta = rate.eta
    columns = check_constants(checked, reader)
    if not table.renumbered:  # the labels of first weights have the file's names
        columns |= check_start(checked, reader, stated or {})
    for symbol in FORMULAS:
        columns[column_name(symbol)] = check_column(checked, symbol, reader, recalculate)
    updates.leave_out_jumps()
    rates = layer_rates(updates, reader, rate)
    results = check_updates(updates, rates, reader, recalculate)
    columns |= {column_name(UPDATES[weight]): result for weight, result in results.items()}
    updates.note_unchecked()
    _note_all(checked, columns)
    eta = float(np.ravel(rate.eta)[0]) if rate.source else None
    return {
        "sheet": shown(table.sheet.name),
        "header_row": table.first_row,
        "header_column": table.sheet.line(table.header_row) if table.sheet.across else None,
        "eta": eta if eta and np.isfinite(eta) else None,
        "eta_source": rate.source if eta else None,
        "unchecked": table.unchecked,
        "columns": columns,
    }


def _note_all(checked, columns):
    """Say what was not checked, and what is odd though it is right."""
    _note_rounding(checked)
    _note_copies(checked)
    _note_typed(checked)
    _note_empty_gradients(checked, columns)
    _note_unchecked_columns(checked.table, columns)


def _note_rounding(checked):
    """Numbers as they are shown, with few decimals, hide mistakes."""
    if checked.decimals < ACCEPTED_DIGITS:
        checked.table.unchecked.append(
            f"All numbers are rounded to {checked.decimals} decimals, and there are no formulas: "
            "smaller mistakes cannot be seen. Hand in the formulas, or numbers with more digits."
        )


def _note_copies(checked):
    """A computed column that stands twice must be right in both places."""
    table = checked.table
    for column, text in enumerate(table.sheet.rows[table.header_row], start=1):
        name = canonical_name(text)
        inside = min(table.columns.values()) <= column <= max(table.columns.values())
        if inside and name in COMPUTED_NAMES and column not in table.columns.values():
            got = np.array([number_in(table.sheet.value(row, column)) for row in table.rows])
            tolerance = checked.tolerance[name] + checked.uncertainty[name]
            result, _ = compare(got, checked.right[name], tolerance, table.checkable)
            if result["verdict"] == "wrong":
                table.unchecked.append(
                    f"'{shown(text)}' stands twice. The second has other numbers than the first."
                )


def _note_typed(checked):
    """Right columns of typed numbers, in a table that calculates most of its columns."""
    computed = COMPUTED_NAMES & checked.table.columns.keys()
    if checked.typed and 2 * len(checked.typed) < len(computed):
        names = ", ".join(map(column_name, checked.typed))
        decimals = most_decimals([checked.table.values[name] for name in checked.typed])
        rounded = f", rounded to {decimals} decimals" * (0 < decimals < ROUNDED_DIGITS)
        checked.table.notes.append(
            f"No formula calculates {names}: the right numbers are typed{rounded}."
        )


def _note_empty_gradients(checked, columns):
    """Where most gradients are zero within rounding, typed zeros are no calculation."""
    empty = [name for name in checked.empty if columns[column_name(name)]["verdict"] == "right"]
    if len(empty) > len(GRADIENT_SYMBOLS) / 2:
        checked.table.unchecked.append(
            f"{', '.join(map(column_name, empty))} are 0 within rounding in every row, and no "
            "formula calculates them."
        )


def _note_unchecked_columns(table, columns):
    """Columns of which no row could be compared."""
    names = [name for name, column in columns.items() if column["verdict"] == "unchecked"]
    if names:
        table.unchecked.append(
            f"No row of {', '.join(names)} could be checked: nothing can be calculated from "
            "the numbers, or rounding hides the result."
        )


# --- One workbook ------------------------------------------------------------------


def check_book(book):
    """Check all tables of a workbook.

    Returns:
        (verdict, results of the tables, notes).

    Raises:
        Unreadable: no table can be checked; the message says why.
    """
    book = arranged(book)
    tables, problems, labels = _find_tables(book)
    _refuse_without_tables(book, tables, problems)
    results, notes = [], [*problems]
    for table in tables:
        alone = sum(other.sheet is table.sheet for other in tables) == 1
        candidates = stated_rates(table, labels, alone)
        result = check_table(table, candidates, book, labels.meanings(table), labels.numbers(table))
        results.append(result)
        _note_unknown_headers(table, result)
        where = table.where
        if table.sheet.across:
            table.notes.append("Its epochs run across: what is said of a row is true of a column.")
        notes += [f"{where}: {note}" for note in table.notes]
        notes += [f"{where}: not checked: {sentence}" for sentence in table.unchecked]
    incomplete = _incomplete(tables, results)
    wrong = any(c["verdict"] == "wrong" for t in results for c in t["columns"].values())
    unchecked = problems or any(table.unchecked for table in tables)
    verdict = "wrong" if wrong or unchecked or incomplete else "right"
    return verdict, results, notes + incomplete


def _refuse_without_tables(book, tables, problems):
    """Say why nothing can be checked: no table, or formulas that were never calculated.

    Raises:
        Unreadable: the message says why.
    """
    empty = any(
        not np.isfinite(table.values[name]).any()
        for table in tables
        for name in COMPUTED_NAMES & table.values.keys()
    )
    if (not tables or empty) and _without_values(book):
        raise Unreadable(f"Its formulas carry no values: {RESAVE}.")
    if not tables:
        raise Unreadable(
            " ".join(problems)
            or "No table of this network was found. Its header row must name the weights "
            "w1 to w8, i1, i2, t1, t2 and computed columns such as h1, a_h1 or dE/dw1."
        )


def _note_unknown_headers(table, result):
    """Headers that nobody could read, where columns are missing."""
    unknown = [
        text
        for text in table.sheet.rows[table.header_row]
        if isinstance(text, str) and not canonical_name(text)
    ]
    if unknown and any(c["verdict"] == "missing" for c in result["columns"].values()):
        names = ", ".join(f"'{shown(text, 30)}'" for text in unknown[:MOST_NAMES])
        table.notes.append(f"Headers that were not recognised: {names}.")


def _incomplete(tables, results):
    """A sentence where no table that can be seen has all eight gradients."""
    gradients = [column_name(symbol) for symbol in GRADIENT_SYMBOLS.values()]
    seen = [r for t, r in zip(tables, results) if not t.sheet.hidden]
    if not seen:
        return ["Incomplete: every table of the network is on a hidden sheet."]
    absent = min(
        ([g for g in gradients if t["columns"][g]["verdict"] == "missing"] for t in seen), key=len
    )
    if not absent:
        return []
    return [f"Incomplete: no table has all eight gradients; not found: {', '.join(absent)}."]


def _find_tables(book):
    """Find all tables that can be checked, and say why others cannot.

    Returns:
        (tables, sentences, a `labels.Labels`).
    """
    headers = {sheet.title: find_headers(sheet) for sheet in book.sheets}
    labels = Labels(book, headers)
    tables, problems = [], []
    for sheet in book.sheets:
        for number, columns in headers[sheet.title]:
            span = range(min(columns.values()), max(columns.values()) + 1)
            later = [n for n, c in headers[sheet.title] if n > number and {*span} & {*c.values()}]
            last_row = min(later, default=max(sheet.rows) + 1) - 1
            table = Table(sheet, number, columns, last_row)
            if problem := place_constants(table, tables, labels):
                problems.append(problem)
            else:
                settle_numbering(table)
                table.note_what_is_left()
                tables.append(table)
    return tables, problems, labels


def _without_values(book):
    """Say whether most formulas have no stored value."""
    cells = [sheet.value(*place) is None for sheet in book.sheets for place in sheet.formulas]
    return sum(cells) > len(cells) / 2
