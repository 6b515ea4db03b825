"""Shows the results of checked workbooks: as text, as a table, as a CSV file.

It takes the dicts that `workbooks.check_workbooks` returns, and decides nothing.
"""

import json
from pathlib import Path

import pandas as pd

from files import no_formula, replacing_csv
from grading.columns import missing_result
from grading.reading import shown


def write_csv(results, path):
    """Write `results_table` as CSV, all of it or nothing.

    A text that a spreadsheet program would take for a formula gets an apostrophe before it.

    Raises:
        ValueError: the path is one of the workbooks, or ends in .xlsx.
        FileNotFoundError: no such folder.
    """
    path = Path(path)
    refuse_csv(path, [result["file"] for result in results])
    table = results_table(results)
    texts = table.select_dtypes(exclude="number").columns
    table[texts] = table[texts].map(no_formula)
    with replacing_csv(path) as file:
        table.to_csv(file, index=False)


def as_json(result):
    """A result as JSON on one line."""
    return json.dumps(result, ensure_ascii=False, allow_nan=False)


def refuse_csv(path, files):
    """Raise a ValueError where a CSV file would take the place of a workbook.

    Raises:
        FileNotFoundError: no such folder.
    """
    workbooks = {Path(file).resolve() for file in files}
    if Path(path).suffix.lower() == ".xlsx" or Path(path).resolve() in workbooks:
        raise ValueError(f"{path} is a workbook: name a .csv file to write the verdicts to")
    if not Path(path).resolve().parent.is_dir():
        raise FileNotFoundError(f"no such folder: {Path(path).resolve().parent}")


def results_table(results):
    """All verdicts as a DataFrame: a row for each column of a table, and for each answer.

    Its columns are file, file_verdict, sheet, header_row, eta, eta_source, column, the keys
    of `columns.missing_result`, unchecked (of the table), notes (of the file) and header_column.
    A file that could not be checked has one row, with the reason as its cause.
    """
    lines = []
    for result in results:
        common = {"file": result["file"], "file_verdict": result["verdict"]}
        common["notes"] = " ".join(result.get("notes", ())) or None
        for table in (*result["tables"], *result.get("answers", ())):
            place = {key: value for key, value in table.items() if key != "columns"}
            place["unchecked"] = " ".join(table["unchecked"]) or None
            for name, column in table["columns"].items():
                lines.append({**common, **place, "column": name, **column})
        if not result["tables"]:
            lines.append({**common, "verdict": "unreadable", "cause": result["reason"]})
    keys = [
        "file",
        "file_verdict",
        "sheet",
        "header_row",
        "eta",
        "eta_source",
        "column",
        *missing_result(),
        "unchecked",
        "notes",
        "header_column",
    ]
    return pd.DataFrame(lines, columns=keys).astype(
        {key: "Int64" for key in ("header_row", "rows_checked", "rows_wrong")}
    )


def as_text(result):
    """A result as text: what is wrong, where, why, and the right formula."""
    lines = [f"{shown(result['file'])}: {result['verdict'].upper()}"]
    sentences = (result.get("reason"), *result.get("notes", ()))
    lines += [f"  {sentence}" for sentence in sentences if sentence]
    for table in result["tables"]:
        lines += _table_as_text(table)
    for table in result.get("answers", ()):
        for name, column in table["columns"].items():
            where = f" ({column['first_wrong']})" if column["first_wrong"] else ""
            cause = f": {column['cause']}" if column["cause"] else ""
            lines.append(f"  {table['sheet']}, {name}: {column['verdict']}{where}{cause}")
    return "\n".join(lines)


def _table_as_text(table):
    """The lines about one table: what is right, what is missing, and each wrong column."""
    columns = table["columns"]
    by_verdict = {
        verdict: [name for name, column in columns.items() if column["verdict"] == verdict]
        for verdict in ("right", "wrong", "missing", "unchecked")
    }
    rows = max(c["rows_checked"] for c in columns.values())
    rate = "η unknown" if table["eta"] is None else f"η = {table['eta']:g} ({table['eta_source']})"
    header, lines = f"row {table['header_row']}", "rows"
    if table["header_column"]:
        header, lines = f"column {table['header_column']}", "columns"
    yield f"  {table['sheet']}, header in {header}, {rows} {lines}, {rate}"
    yield f"    right: {len(by_verdict['right'])} of {len(columns)} columns"
    for verdict, what in (("missing", "missing"), ("unchecked", "not checked")):
        if by_verdict[verdict]:
            yield f"    {what}: {', '.join(by_verdict[verdict])}"
    for name in by_verdict["wrong"]:
        column = columns[name]
        error = column["max_relative_error"]
        size = "" if error is None else f", up to {100 * error:.2g} % off"
        yield (
            f"    WRONG {name}: {column['rows_wrong']} of {column['rows_checked']} rows, "
            f"first {column['first_wrong']}{size}"
        )
        yield f"      why:   {column['cause'] or 'no mistake in the catalogue gives these numbers'}"
        yield f"      yours: {column['formula'] or '(empty)'}"
        yield f"      right: {column['expected_formula']}"
