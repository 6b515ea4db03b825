"""The checker on hostile files, its command, and what it loads."""

import datetime
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import openpyxl
import pytest

import students
import workbook
from backprop import WEIGHTS, h1, i2
from grading import report, samples, workbooks

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = students.NETWORKS


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
        "sheet", "header_row", "header_column", "eta", "eta_source", "unchecked", "columns",
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
    names = loaded("-c", "import backprop, grading.samples, grading.workbooks")
    assert {"backprop", "grading.workbooks", "grading.your_turn"} <= {*names}
    assert not {"matplotlib", "torch", "IPython", "workbook", "figures"} & {*names}


def test_the_processes_that_check_load_no_matplotlib(tmp_path):
    """Each imports workbook.py again: what that imports at its top, each has to load."""
    good = samples.write(tmp_path / "good.xlsx", NETWORKS[0], samples.numbers(NETWORKS[0], 5))
    names = loaded("workbook.py", "check", good)
    assert names.count("grading.workbooks") == 2  # the command and one process
    assert "matplotlib" not in names


# --- For a class -------------------------------------------------------------------


def test_patterns_and_lock_files(tmp_path):
    """Where the shell expands no pattern, the command does; ~$bob.xlsx is an open file's lock."""
    for name in ("a.xlsx", "b.xlsx"):
        samples.write(tmp_path / name, NETWORKS[0], samples.numbers(NETWORKS[0], 3))
    (tmp_path / "~$a.xlsx").write_bytes(b"lock")
    done = _command("--json", tmp_path / "*.xlsx", tmp_path / "~$a.xlsx")
    files = [json.loads(line)["file"] for line in done.stdout.splitlines()]
    assert [Path(file).name for file in files] == ["a.xlsx", "b.xlsx"] and done.returncode == 0
    done = _command(tmp_path / "*.none")
    assert done.returncode == 2 and "cannot be opened" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a signal")
def test_ctrl_c_keeps_what_was_done(tmp_path, monkeypatch, capsys):
    results = iter([{"file": "a.xlsx", "verdict": "right", "tables": [], "notes": []}])

    def interrupted(files):
        yield next(results)
        raise KeyboardInterrupt

    monkeypatch.setattr(workbooks, "check_one_by_one", interrupted)
    assert workbooks.check_command(["a.xlsx", "b.xlsx"]) == workbooks.INTERRUPTED
    printed = capsys.readouterr()
    assert "a.xlsx: RIGHT" in printed.out and "1 of 2 files were checked" in printed.err


def test_a_script_without_a_main_guard_gets_a_sentence(tmp_path):
    call = "from grading import workbooks\n{}print(workbooks.check_workbooks([]))\n"
    for guard, status in (("", 1), ('if __name__ == "__main__":\n    ', 0)):
        script = tmp_path / "script.py"
        script.write_text(call.format(guard))
        done = subprocess.run(
            [sys.executable, script], env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        assert ("put the call into a function" in done.stderr) == bool(status)


def test_the_csv_is_for_excel(tmp_path):
    """A byte-order mark; and no formula behind a semicolon, where Germany's cells begin."""
    columns = samples.numbers(NETWORKS[0], 3)

    def typed(book, page):
        page.write(2, samples.COLUMNS.index("h1"), "see;=1+1")

    path = samples.write(tmp_path / "a.xlsx", NETWORKS[0], columns, touch=typed)
    report.write_csv(workbooks.check_workbooks([path]), tmp_path / "out.csv")
    data = (tmp_path / "out.csv").read_bytes()
    assert data.startswith("\ufeff".encode()) and b";=1" not in data and b";'=1" in data


def test_our_own_workbook_of_a_thousand_epochs(tmp_path):
    path = workbook.write_workbook(tmp_path / "long.xlsx", epochs=1000)
    result = workbooks.check_without_limits(path)
    assert result["verdict"] == "right" and len(result["tables"]) == 7


def test_a_sheet_that_hides_behind_another(tmp_path):
    """Only what can be seen makes a workbook complete, whatever a sheet is called."""

    def hide(book, page):
        page.hide()
        other = book.add_worksheet("Sheet1 (hidden)")
        other.write_row(0, 0, samples.COLUMNS)
        other.activate()

    network = NETWORKS[0]
    path = samples.write(tmp_path / "a.xlsx", network, samples.numbers(network, 3), touch=hide)
    assert workbooks.check_workbook(path)["verdict"] == "wrong"


@pytest.mark.parametrize("value", [1e300, "1e999", "inf", "nan", 0, -1])
def test_no_rate_makes_everything_right(tmp_path, value):
    """Weights that never moved, beside a rate that is none."""
    network = NETWORKS[0]
    columns = samples.numbers(network, 8)
    columns = {n: [v[0]] * 8 if n[0] == "w" else v for n, v in columns.items()}

    def rate(book, page):
        page.write_row(0, len(samples.COLUMNS) + 1, ("η", value))

    path = samples.write(tmp_path / "a.xlsx", network, columns, live=False, eta=None, touch=rate)
    result = workbooks.check_without_limits(path)
    assert result["verdict"] == "wrong"
    json.loads(report.as_json(result), parse_constant=pytest.fail)
