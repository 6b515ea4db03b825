"""Make everything again that is generated: pictures, workbook, README's tables, notebooks.

    .venv/bin/python .ci/regenerate.py [NOTEBOOK…]

The notebooks are executed in order; with names, just those. CONTRIBUTING.md says when to
run it. The tests check that the committed files are what the code makes.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "experiments")]

import backprop as bp  # noqa: E402
import figures  # noqa: E402
import results  # noqa: E402
import workbook  # noqa: E402
from files import replacing  # noqa: E402
from grading import report, samples, workbooks  # noqa: E402

README = ROOT / "README.md"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def example_report():
    """The checker's report on a workbook with a mistake that is easily made."""
    mistake = {bp.w3: bp.GRADIENTS[bp.w3].subs(bp.a_h2, bp.a_h1)}
    with tempfile.TemporaryDirectory() as folder:
        path = samples.hand_in(Path(folder) / "bob.xlsx", mistake)
        result = workbooks.check_without_limits(path) | {"file": "bob.xlsx"}
    return f"```\n{report.as_text(result)}\n```"


def readme(text):
    """README with its generated parts, which stand between <!-- NAME --> and <!-- end -->."""
    parts = {
        "results": results.results_table(),
        "seconds": results.speed_table(),
        "report": example_report(),
    }
    for name, part in parts.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text, count = re.subn(
            pattern, lambda m, p=part: f"{m[1]}{p}\n{m[2]}", text, flags=re.DOTALL
        )
        if count != 1:
            raise ValueError(f"README.md must hold <!-- {name} --> … <!-- end --> once")
    return text


def remote_address():
    """The web address of the repository, without a password, if this checkout has one, else ""."""
    command = ["git", "config", "--get", "remote.origin.url"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    address = re.sub("//[^/@]*@", "//", found.stdout.strip())
    return address if address.startswith("https://") else ""


def execute(path):
    """Run a notebook from top to bottom and save it, without times of cells and versions."""
    notebook = nbformat.read(path, 4)
    if address := remote_address():  # so that it finds the repository when it comes alone
        for cell in notebook.cells:
            line = rf'\1"{address}"'
            cell.source = re.sub(r'^(REPOSITORY_URL = )"[^"]*"', line, cell.source, flags=re.M)
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    notebook.metadata.language_info = {"name": "python"}
    with replacing(path, "w", encoding="utf-8") as file:
        nbformat.write(notebook, file)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [path.stem for path in NOTEBOOKS]
    what = f"{', '.join(names)}; all, if none is named"
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help=what)
    wanted = parser.parse_args(arguments).notebooks
    for name in wanted:
        if name not in names:
            parser.error(f"no notebook {name!r}; there are {', '.join(names)}")
    for path in (*figures.draw_images(), results.draw()):
        print(path.relative_to(ROOT), flush=True)
    workbook.write_workbook(ROOT / "backprop.xlsx")
    text = readme(README.read_text(encoding="utf-8"))
    with replacing(README, "w", encoding="utf-8") as file:
        file.write(text)
    print("backprop.xlsx\nREADME.md", flush=True)
    for path in NOTEBOOKS:
        if path.stem in (wanted or names):
            execute(path)
            print(path.relative_to(ROOT), flush=True)


if __name__ == "__main__":
    main()
