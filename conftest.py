"""What pytest does here beyond its defaults: notebooks are tests, wherever it is started.

Options added:
    --mutate   after a notebook cell has passed, change each digit of its committed
               outputs, one at a time, and check that nbval's comparison fails each time
    --grades   write what the handed-in exercises are worth to a .csv file
    --exercise-seconds   how long one exercise may take

A notebook outside of notebooks/ is one that somebody handed in: see tests/handed_in.py.
"""

import copy
import itertools
import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

from grading import grades
from grading.notebooks import SECONDS
from guard import problems, promise
from handed_in import STATUS, HandedIn, LessonCell, grade_of, properties, section_of

ROOT = Path(__file__).resolve().parent
SANITIZE = ROOT / "tests" / "nbval_sanitize.cfg"
SUBMISSIONS = ROOT / "submissions"

for handed_in_program in SUBMISSIONS.rglob("conftest.py"):  # pytest would run it next
    sys.exit(f"{handed_in_program} would run as a part of pytest. Copy notebooks only: remove it.")


def pytest_addoption(parser):
    parser.addoption("--mutate", action="store_true", help="check that nbval sees changed digits")
    parser.addoption("--grades", metavar="FILE.csv", help="write the grades of exercises to it")
    parser.addoption(
        "--exercise-seconds",
        type=float,
        default=SECONDS,
        metavar="N",
        help=f"time limit of one exercise, {SECONDS} if not given; training has more",
    )


def pytest_configure(config):
    # nbval on, with the environment that pytest runs in, whatever kernel a student's
    # editor wrote into the notebook; here and not in pytest.ini, where a path would
    # depend on the folder that pytest is started from.
    config.option.nbval = True
    config.option.nbval_current_env = True
    config.option.nbval_sanitize_with = str(SANITIZE)
    if config.option.grades:  # before the work, not after it
        try:
            grades.refuse_csv(config.option.grades)
        except ValueError as error:
            raise pytest.UsageError(f"--grades: {error}") from None
    if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
        # Each worker's kernel would take all cores for itself.
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, os.cpu_count() // int(workers))))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With -n, keep the cells of a notebook together and in order."""
    from xdist.scheduler import LoadScopeScheduling

    return LoadScopeScheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    """Notebooks that are not ours were handed in. Programs that were handed in are not run."""
    collected = yield
    if file_path.suffix != ".ipynb" or file_path.parent == ROOT / "notebooks":
        return [] if SUBMISSIONS in file_path.parents else collected
    if ".ipynb_checkpoints" in file_path.parts:  # JupyterLab's own copies
        return []
    return [HandedIn.from_parent(parent, path=file_path)]


def pytest_collect_directory(path, parent):
    """What students hand in is no package, so that no __init__.py of theirs is run."""
    if SUBMISSIONS in (path, *path.parents):
        return pytest.Dir.from_parent(parent, path=path)
    return None


# --- The test "is compared", and sections in reports and in JUnit XML ---------------


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Put "is compared" before a notebook's cells; it stands alone if there are none.

    A notebook that cannot be read, such as an empty file, is that test's failure. As an
    error of pytest's collection it would, without -n, stop the regrading of a whole class.
    """
    report = yield
    if isinstance(collector, IPyNbFile) and not isinstance(collector, HandedIn):
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
        if found := problems(notebook, promise(self.path)):
            pytest.fail("\n".join(found), pytrace=False)

    def reportinfo(self):
        return self.path, 0, f"{self.path.name}: is compared"


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
        report
        for report in terminalreporter.getreports("failed")
        if "section" in properties(report)
    ]
    if failed:
        terminalreporter.section("notebook cells that failed", red=True)
        for report in failed:
            notebook, _, cell = report.nodeid.rpartition("::")
            about = properties(report)
            expected, found = difference(report.longreprtext)
            expected, found = about.get("expected", expected), about.get("found", found)
            terminalreporter.line(f"{notebook}  |  {about['section']}  |  {cell}")
            terminalreporter.line(f"    expected: {expected[:150]}")
            terminalreporter.line(f"    found:    {found[:150]}")
    mutations = [
        (report.nodeid, *properties(report)["mutations"])
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if "mutations" in properties(report)
    ]
    if mutations:
        terminalreporter.section("mutated digits")
        for name in sorted({nodeid.split("::")[0] for nodeid, *_ in mutations}):
            counts = [numbers for nodeid, *numbers in mutations if nodeid.startswith(name)]
            caught, total = map(sum, zip(*counts))
            terminalreporter.line(f"{name}: nbval caught {caught} of {total}")
    show_grades(terminalreporter)


# --- Grades of exercises that were handed in ------------------------------------------


def pytest_report_teststatus(report):
    """Call the tests of exercises what they are: correct, incorrect, not done."""
    if grade := grade_of(report):
        return STATUS[grade.verdict]
    return None


def all_grades(terminalreporter):
    """The grades so far, by submission, notebook and exercise."""
    reports = itertools.chain.from_iterable(terminalreporter.stats.values())
    found = [grade for report in reports if (grade := grade_of(report))]
    return sorted(found, key=lambda g: (g.submission, g.notebook, g.exercise))


def pytest_sessionfinish(session):
    """Write the grades. The exit status is 2 when a file could not be graded."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or session.exitstatus not in (0, 1):  # a worker of -n, or interrupted
        return
    found = all_grades(reporter)
    session.exitstatus = max(session.exitstatus, grades.exit_status(found))
    if path := session.config.option.grades:
        try:
            grades.write_csv(found, path)
        except OSError as error:
            reporter.write_line(f"\n{path} could not be written: {error}", red=True)
            session.exitstatus = 2


def show_grades(terminalreporter):
    """A line an exercise, the table of the class, and two lines about it."""
    found = all_grades(terminalreporter)
    notes = [
        f"{report.nodeid.rpartition('::')[0]}: {properties(report)['note']}"
        for reports in terminalreporter.stats.values()
        for report in reports
        if "note" in properties(report)
    ]
    notes += [f"{folder}: no notebook" for folder in without_notebook(terminalreporter.config)]
    if notes:
        terminalreporter.section("notes")
        for note in notes:
            terminalreporter.line(note)
    if found:
        terminalreporter.section("exercises")
        for grade in found:
            terminalreporter.line(grades.line(grade))
        terminalreporter.section("points")
        for line in grades.table(found):
            terminalreporter.line(line)
        terminalreporter.line(grades.most_frequent_mistakes(found))
        terminalreporter.line(grades.seconds_of_each(found))


def without_notebook(config):
    """The folders of students who handed in no notebook, if the whole class is graded."""
    if SUBMISSIONS not in (Path(argument).resolve() for argument in config.args):
        return []
    folders = [folder for folder in sorted(SUBMISSIONS.iterdir()) if folder.is_dir()]
    return [f.relative_to(ROOT) for f in folders if not any(f.rglob("*.ipynb"))]


# --- Mutation ----------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    ours = isinstance(item, IPyNbCell) and not isinstance(item, LessonCell)
    if item.config.option.mutate and ours and item.options["check"]:
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
