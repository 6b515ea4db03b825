"""What pytest does here beyond its defaults: notebooks are tests, wherever it is started.

Options added:
    --mutate   after a notebook cell has passed, change each digit of its committed
               outputs, one at a time, and see that nbval's comparison fails each time
"""

import copy
import os
import re
from pathlib import Path

import pytest
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


# --- Which section a cell belongs to, in reports and in JUnit XML -------------------


def is_cell(item):
    return hasattr(item, "cell_num")


def pytest_collection_modifyitems(items):
    for position in reversed(range(len(items))):
        item = items[position]
        if is_cell(item):
            item.user_properties.append(("section", section_of(item.parent.nb, item.cell_num)))
            if item.cell_num == 0:
                items.insert(position, Guard.from_parent(item.parent, name="is compared"))


class Guard(pytest.Item):
    """The test that a notebook cannot pass without comparing: see tests/guard.py."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.user_properties.append(("section", "the whole notebook"))

    def runtest(self):
        if found := problems(self.parent.nb, promise(self.path.name)):
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
    """The first expected and found line of nbval's report, or the error's last line."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # nbval asks pytest to explain notebook == run: "+" is the left side, "-" the right one.
    expected = [line[1:].strip() for line in lines if line.startswith("+ ")]
    found = [line[1:].strip() for line in lines if line.startswith("- ")]
    if expected or found:
        return (expected or [""])[0], (found or [""])[0]
    return "", lines[-1] if lines else ""


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
        for report in terminalreporter.getreports("passed")
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
    if item.config.option.mutate and is_cell(item) and item.options["check"]:
        total, missed = 0, []
        for mutant, where in mutants(item.cell.outputs):
            total += 1
            if item.compare_outputs(item.test_outputs, mutant):
                missed.append(where)
        if total:
            item.user_properties.append(("mutations", (total - len(missed), total)))
        assert not missed, f"nbval does not see these changed digits: {missed}"
    return result


def mutants(outputs):
    """Yield copies of a cell's outputs, one digit of a compared text changed in each."""
    for k, output in enumerate(outputs):
        places = output.get("data", output)
        for kind, text in places.items():
            if kind not in ("text", "text/plain", "text/html", "text/latex", "text/markdown"):
                continue
            for found in re.finditer(r"\d", text):
                mutant = copy.deepcopy(outputs)
                other = str((int(found[0]) + 1) % 10)
                changed = text[: found.start()] + other + text[found.end() :]
                target = mutant[k].get("data", mutant[k])
                target[kind] = changed
                yield mutant, (kind, found.start(), found[0])
