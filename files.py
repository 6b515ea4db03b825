"""Write a file safely: whole or not at all.

Workbooks, tables of results, weights and checkpoints are written with `replacing`. A
crash or a kill in the middle of writing leaves the file that was there as it was.
`replacing_csv` and `no_formula` do the same for a CSV file that a spreadsheet program opens.
"""

import contextlib
import os
import re
from pathlib import Path


@contextlib.contextmanager
def replacing(path, mode="wb", **settings):
    """Open a new file that takes the place of `path` when the block ends without an error.

    The data go to a temporary file in the same folder, and to the disk, before `path` is
    replaced. After an exception the temporary file is gone and `path` is untouched.

    Args:
        path: the file to write; a symbolic link is followed.
        mode, settings: those of `open`.

    Raises:
        OSError: the folder does not exist, the disk is full, or `path` can't be replaced.
    """
    path = Path(path).resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, mode, **settings) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replacing_csv(path):
    """`replacing` for a CSV file of any texts: UTF-8 with the mark by which Excel knows it.

    Without the byte-order mark Excel shows η as Î·.
    """
    settings = {"encoding": "utf-8-sig", "errors": "backslashreplace", "newline": ""}
    return replacing(path, "w", **settings)


def no_formula(value):
    """A text with an apostrophe before everything that could begin a formula; else the value.

    Also behind a semicolon, where some countries' programs begin a new cell: what a student
    typed must not be run on the instructor's machine.
    """
    if not isinstance(value, str):
        return value
    return re.sub(r"(^|[;\t\r\n])(\s*[\"']?\s*)(?=[=+\-@\t\r])", r"\1'\2", value)
