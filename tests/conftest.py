"""What the tests share: two spreadsheet engines that this repository did not write."""

import os
import shutil
import subprocess

import openpyxl
import pytest

# LibreOffice keeps the values stored in a file unless it is told to recalculate.
ALWAYS_RECALCULATE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load">
<prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop>
</item>
</oor:items>
"""

MAC = "/Applications/LibreOffice.app/Contents/MacOS/soffice"
SOFFICE = shutil.which("soffice") or (MAC if os.path.exists(MAC) else None)
MISSING = (
    "LibreOffice is not installed: the workbook was NOT recalculated by it "
    "(only by the package `formulas`). Install it (Debian: libreoffice-calc) and run again."
)


def pytest_terminal_summary(terminalreporter):
    if not SOFFICE:
        terminalreporter.section("not checked", red=True)
        terminalreporter.line(MISSING)


@pytest.fixture(scope="session")
def libreoffice_saved(tmp_path_factory):
    """A function: paths of workbooks → paths of copies that LibreOffice recalculated and saved."""
    if not SOFFICE:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    profile = tmp_path_factory.mktemp("profile")
    (profile / "user").mkdir()
    (profile / "user" / "registrymodifications.xcu").write_text(ALWAYS_RECALCULATE)

    def save(paths):
        folder = tmp_path_factory.mktemp("recalculated")
        command = [SOFFICE, f"-env:UserInstallation={profile.as_uri()}", "--headless"]
        command += ["--convert-to", "xlsx:Calc MS Excel 2007 XML", "--outdir", str(folder)]
        subprocess.run([*command, *map(str, paths)], check=True, capture_output=True, timeout=180)
        return [folder / path.name for path in paths]

    return save


@pytest.fixture(scope="session")
def libreoffice(libreoffice_saved):
    """A function: path of a workbook → openpyxl workbook of values, all recalculated."""
    return lambda path: openpyxl.load_workbook(*libreoffice_saved([path]), data_only=True)


@pytest.fixture(scope="session")
def formulas_engine(tmp_path_factory):
    """The same by the package `formulas`, pure Python: slow, so for short workbooks."""
    import formulas

    def recalculate(path):
        folder = tmp_path_factory.mktemp("recalculated")
        model = formulas.ExcelModel().loads(str(path)).finish()
        model.calculate()
        model.write(dirpath=str(folder))
        (written,) = folder.iterdir()
        book = openpyxl.load_workbook(written, data_only=True)
        for name in openpyxl.load_workbook(path, read_only=True).sheetnames:
            sheet = book[name.upper()]  # it writes names in capitals
            sheet.title = "taken"  # openpyxl takes two spellings of one name for a clash
            sheet.title = name
        return book

    return recalculate
