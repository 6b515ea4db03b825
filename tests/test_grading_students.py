"""The checker on workbooks that somebody else wrote, who had not seen its catalogue.

`workbooks.tar.xz` holds them, as LibreOffice saved them: 74 as students hand them in, 30 right
ones in unlike styles, and 50 attempts to get "right" for work that is not. `workbooks.csv`
says what is in them, a line a column, in the author's words; `cause` is what the checker
says of it, and a person has compared the two. kind:

    own       a mistake of this column's own; the checker must find it and say this cause
    follows   wrong because of another column; the checker must find it and say so
    accepted  counted as wrong by the author, and not by the checker: rounded to 6 decimals,
              equal numbers (t1 = t2), or a helper column, named where it is used. `cause` is
              what the report says of it; "" where it follows from another one
    right     a workbook without a mistake
    cheat     a workbook that must not be called right
"""

import tarfile
from pathlib import Path

import pandas as pd
import pytest

from grading import report, workbooks

HERE = Path(__file__).parent
TRUTH = pd.read_csv(HERE / "workbooks.csv", keep_default_na=False)


def files(*kinds):
    """The names of the workbooks of some kinds."""
    return sorted(TRUTH[TRUTH["kind"].isin(kinds)]["file"].unique())


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The checker's results: file → dict."""
    folder = tmp_path_factory.mktemp("handed in")
    with tarfile.open(HERE / "workbooks.tar.xz") as archive:
        for member in archive:  # only plain names, written by hand: no extraction filter needed
            (folder / Path(member.name).name).write_bytes(archive.extractfile(member).read())
    names = sorted(TRUTH["file"].unique())
    checked = workbooks.check_workbooks([folder / name for name in names])
    return dict(zip(names, checked))


def wrong_columns(result, lines):
    """(sheet, column) → cause of every wrong column; without sheets where there is only one."""
    sheets = lines["sheet"].unique()
    return {
        (table["sheet"] if len(sheets) > 1 else sheets[0], name): column["cause"]
        for table in result["tables"]
        for name, column in table["columns"].items()
        if column["verdict"] == "wrong"
    }


@pytest.mark.parametrize("name", files("own", "follows", "accepted"))
def test_every_mistake_is_found_and_explained_and_nothing_else_blamed(name, results):
    lines = TRUTH[(TRUTH["file"] == name) & TRUTH["kind"].isin(["own", "follows"])]
    expected = {(line.sheet, line.column): line.cause for line in lines.itertuples()}
    found = wrong_columns(results[name], lines) if len(lines) else {}
    assert found == expected, report.as_text(results[name])
    if expected:
        assert results[name]["verdict"] == "wrong"
    for line in TRUTH[(TRUTH["file"] == name) & (TRUTH["kind"] == "accepted")].itertuples():
        assert line.cause in report.as_text(results[name])


def test_how_many_causes_are_named():
    own = TRUTH[TRUTH["kind"] == "own"]
    mistakes = own.shape[0] + (TRUTH["kind"].eq("accepted") & TRUTH["truth"].ne("")).sum()
    assert len(files("own", "follows", "accepted")) >= 60 and mistakes > 140
    assert own["cause"].ne("").sum() >= 0.95 * mistakes


@pytest.mark.parametrize("name", files("right"))
def test_right_ones_are_right(name, results):
    assert results[name]["verdict"] == "right", report.as_text(results[name])


@pytest.mark.parametrize("name", files("cheat"))
def test_none_is_talked_into_right(name, results):
    result = results[name]
    assert result["verdict"] != "right", report.as_text(result)
    report.as_json(result)
    if result["verdict"] == "wrong":  # it says what was wrong, or not checked
        columns = [c for table in result["tables"] for c in table["columns"].values()]
        assert result["notes"] or any(c["verdict"] == "wrong" for c in columns)
