"""The checker on workbooks that somebody else wrote, who had not seen its catalogue.

Three authors, one after the other, wrote them; most were saved by LibreOffice.
`workbooks.tar.xz` holds 74 as students hand them in, 30 right ones in unlike styles, and 50
attempts to get "right" for work that is not; `workbooks_2.tar.xz` holds 64, 50, and 12 that
can be read in more than one way; `workbooks_3.tar.xz`, in many languages, 47 and 8. The
.csv beside each says what is in them, a line a column, in the author's words; `cause` is what
the checker says of it, and a person has compared the two. kind:

    own       a mistake of this column's own; the checker must find it and say this cause
    follows   wrong because of another column; the checker must find it and say so
    accepted  counted as wrong by the author, and not by the checker: rounded to 6 decimals,
              equal numbers (t1 = t2), a missing epoch, or a helper column, named where it is
              used. `cause` is what the report says of it; "" where it follows from another one
    right     a workbook without a mistake
    cheat     a workbook that must not be called right

Where a workbook has several tables, `sheet` may end in the number of the table, from 0.
"""

import tarfile
from pathlib import Path

import pandas as pd
import pytest

from grading import report, workbooks

HERE = Path(__file__).parent
ARCHIVES = ("workbooks", "workbooks_2", "workbooks_3")
TRUTH = pd.concat([pd.read_csv(HERE / f"{a}.csv", keep_default_na=False) for a in ARCHIVES])


def files(*kinds):
    """The names of the workbooks of some kinds."""
    return sorted(TRUTH[TRUTH["kind"].isin(kinds)]["file"].unique())


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The checker's results: file → dict."""
    folder = tmp_path_factory.mktemp("handed in")
    for name in ARCHIVES:
        with tarfile.open(HERE / f"{name}.tar.xz") as archive:
            for member in archive:  # plain names, written by hand: no extraction filter needed
                (folder / Path(member.name).name).write_bytes(archive.extractfile(member).read())
    names = sorted(TRUTH["file"].unique())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workbooks, "SECONDS", 120)  # what is said is tested here, not how soon
        checked = workbooks.check_workbooks([folder / name for name in names])
    return dict(zip(names, checked))


def wrong_columns(result, sheets):
    """(sheet, column) → cause of every wrong column; see the module's docstring for sheets."""
    found = {}
    for k, table in enumerate(result["tables"]):
        options = (f"{table['sheet']} {k}", table["sheet"])
        sheet = next((s for s in options if s in sheets), sheets[0])
        for name, column in table["columns"].items():
            if column["verdict"] == "wrong":
                found[sheet, name] = column["cause"]
    return found


@pytest.mark.parametrize("name", files("own", "follows", "accepted"))
def test_every_mistake_is_found_and_explained_and_nothing_else_blamed(name, results):
    of_file = TRUTH[TRUTH["file"] == name]
    lines = of_file[of_file["kind"].isin(["own", "follows"])]
    expected = {(line.sheet, line.column): line.cause for line in lines.itertuples()}
    found = wrong_columns(results[name], [*of_file["sheet"].unique()])
    assert found == expected, report.as_text(results[name])
    if expected:
        assert results[name]["verdict"] == "wrong"
    for line in of_file[of_file["kind"] == "accepted"].itertuples():
        assert line.cause in report.as_text(results[name])


def test_how_many_causes_are_named():
    """Of the mistakes that the authors planted: "truth" says which they are."""
    planted = TRUTH[TRUTH["kind"].isin(["own", "accepted"]) & TRUTH["truth"].ne("")]
    assert len(files("own", "follows", "accepted")) >= 180 and len(planted) > 440
    assert planted["cause"].ne("").sum() >= 0.95 * len(planted)


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
