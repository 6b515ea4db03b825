"""What pytest does here beyond its defaults: notebooks are tests, wherever it is started.

Options added:
    --mutate   after a notebook cell has passed, change each digit of its committed
               outputs, one at a time, and see that nbval's comparison fails each time
"""

import copy
import itertools
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

from guard import problems, promise

ROOT = Path(__file__).parent
SANITIZE = ROOT / "tests" / "nbval_sanitize.cfg"


def pytest_addoption(parser):
    parser.addoption("--mutate", action="store_true", help="see that nbval catches each digit")


def pytest_configure(config):
    # nbval on, with the environment that pytest runs in, whatever kernel a student's
    # editor wrote into the notebook; here and not in pytest.ini, where a path would
    # depend on the folder that pytest is started from.
    config.option.nbval = True
    config.option.nbval_current_env = True
    config.option.nbval_sanitize_with = str(SANITIZE)
    if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
        # Each worker's kernel would take all cores for itself.
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, os.cpu_count() // int(workers))))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With -n, keep the cells of a notebook together and in order."""
    from xdist.scheduler import LoadScopeScheduling

    return LoadScopeScheduling(config, log)


# --- The test "is compared", and sections in reports and in JUnit XML ---------------


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Put "is compared" before a notebook's cells; it stands alone if there are none.

    A notebook that cannot be read, such as an empty file, is that test's failure. As an
    error of pytest's collection it would, without -n, stop the regrading of a whole class.
    """
    report = yield
    if isinstance(collector, IPyNbFile):
        if report.failed:
            report.outcome, report.longrepr, report.result = "passed", None, []
        for item in report.result:
            section = section_of(collector.nb, item.cell_num)
            item.user_properties.append(("section", section))
        report.result.insert(0, Guard.from_parent(collector, name="is compared"))
    return report


class Guard(pytest.Item):
    """The test that a notebook cannot pass without comparing: see tests/guard.py."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.user_properties.append(("section", "the whole notebook"))

    def runtest(self):
        try:
            # Not nbformat.read, which adds ids that are missing.
            notebook = nbformat.reader.reads(self.path.read_text(encoding="utf-8"))
            notebook = nbformat.convert(notebook, 4)
        except Exception as error:  # noqa: BLE001, whatever a student's file makes it raise
            pytest.fail(f"the notebook cannot be read: {error}", pytrace=False)
        if found := problems(notebook, promise(self.path.name)):
            pytest.fail("\n".join(found), pytrace=False)

    def reportinfo(self):
        return self.path, 0, f"{self.path.name}: is compared"


def section_of(notebook, cell_number):
    """The last Markdown heading above the code cell with that number, counted from 0."""
    heading, seen = "", -1
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^#+ (.*)$", cell.source, re.MULTILINE) or [heading])[-1]
        elif cell.cell_type == "code":
            seen += 1
            if seen == cell_number:
                return heading
    return heading


def difference(text):
    """The first line that differs in nbval's report of a failed cell.

    Returns:
        (expected, found); ("", the last line) where the report compares no lines.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    _, explained, lines = text.rpartition("assert reference_output == test_output failed:")
    listed = re.search(
        r"<<<< Reference outputs? from ipynb file:\n(.*)\n *====.*? output:\n(.*)\n *>>>>",
        text,
        re.DOTALL,
    )
    if explained:  # by pytest, as notebook == run: "+" is the left side, "-" the right one
        expected, found = (re.findall(rf"^  [{sign}] (.*)", lines, re.MULTILINE) for sign in "+-")
        if expected or found:
            return (expected or [""])[0], (found or [""])[0]
    elif listed:  # by nbval, because there are more outputs than expected, or fewer
        pairs = itertools.zip_longest(
            *(part.splitlines() for part in listed.groups()), fillvalue=""
        )
        return next((pair for pair in pairs if pair[0] != pair[1]), ("", ""))
    return "", (text.strip().splitlines() or [""])[-1]


def pytest_terminal_summary(terminalreporter):
    """A table of failed cells: notebook, section, what was expected and what was found."""
    failed = [
        (report, dict(report.user_properties)["section"])
        for report in terminalreporter.getreports("failed")
        if "section" in dict(report.user_properties)
    ]
    if failed:
        terminalreporter.section("notebook cells that failed", red=True)
        for report, section in failed:
            notebook, cell = report.nodeid.split("::")
            expected, found = difference(report.longreprtext)
            terminalreporter.line(f"{notebook}  |  {section}  |  {cell}")
            terminalreporter.line(f"    expected: {expected[:150]}")
            terminalreporter.line(f"    found:    {found[:150]}")
    mutations = [
        (report.nodeid, *dict(report.user_properties)["mutations"])
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if "mutations" in dict(report.user_properties)
    ]
    if mutations:
        terminalreporter.section("mutated digits")
        for name in sorted({nodeid.split("::")[0] for nodeid, *_ in mutations}):
            counts = [numbers for nodeid, *numbers in mutations if nodeid.startswith(name)]
            caught, total = map(sum, zip(*counts))
            terminalreporter.line(f"{name}: nbval caught {caught} of {total}")


# --- Mutation ----------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    if item.config.option.mutate and isinstance(item, IPyNbCell) and item.options["check"]:
        total, missed = 0, []
        for mutant, digit in mutants(item.cell.outputs):
            total += 1
            if item.compare_outputs(item.test_outputs, mutant):
                missed.append(digit)
        if total:
            item.user_properties.append(("mutations", (total - len(missed), total)))
        if missed:
            pytest.fail(
                f"nbval does not see {len(missed)} of {total} changed digits: {', '.join(missed)}"
            )
    return result


def mutants(outputs):
    """Copies of a cell's outputs, one digit of a compared text changed in each.

    Yields:
        (outputs, digit): the copy, and the digit with the text around it.
    """
    for k, output in enumerate(outputs):
        for kind, text in output.get("data", output).items():
            if kind not in ("text", "text/plain", "text/html", "text/latex", "text/markdown"):
                continue
            for found in re.finditer(r"\d", text):
                mutant = copy.deepcopy(outputs)
                other = str((int(found[0]) + 1) % 10)
                changed = text[: found.start()] + other + text[found.end() :]
                target = mutant[k].get("data", mutant[k])
                target[kind] = changed
                yield mutant, f"{found[0]} in {text[max(0, found.start() - 8) : found.end() + 8]!r}"
