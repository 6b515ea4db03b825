"""The one way in which this repository writes files: the whole new file or the whole old one."""

import multiprocessing
import os
import signal
import time

import pytest

from files import replacing

OLD = b"old: " + bytes(range(256)) * 1000
NEW = b"new: " + bytes(range(256)) * 2000


@pytest.fixture
def path(tmp_path):
    """A file with old content, alone in its folder."""
    path = tmp_path / "results.csv"
    path.write_bytes(OLD)
    return path


def refuse(*_):
    raise OSError(28, "No space left on device")


# --- What is written ---------------------------------------------------------------


@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["text", "Path"])
def test_content_is_replaced(path, kind):
    for data in (NEW, b""):
        with replacing(kind(path)) as file:
            file.write(data)
        assert path.read_bytes() == data
    assert [*path.parent.iterdir()] == [path]


def test_a_new_file(tmp_path):
    with replacing(tmp_path / "new.csv") as file:
        file.write(NEW)
        assert not (tmp_path / "new.csv").exists()
    assert (tmp_path / "new.csv").read_bytes() == NEW


@pytest.mark.parametrize(
    "settings, data",
    [
        ({"encoding": "utf-8", "newline": ""}, b"\xce\xb7\n\r\n"),
        ({"encoding": "utf-8", "newline": "\r\n"}, b"\xce\xb7\r\n\r\r\n"),
        ({"encoding": "ascii", "newline": "", "errors": "replace"}, b"?\n\r\n"),
    ],
)
def test_text_and_the_settings_of_open(path, settings, data):
    with replacing(path, "w", **settings) as file:
        file.write("η\n\r\n")
    assert path.read_bytes() == data


def test_a_symbolic_link_is_followed(path, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.csv"
    try:
        link.symlink_to(path)
    except OSError:
        pytest.skip("this system does not allow symbolic links")
    with replacing(link) as file:
        file.write(NEW)
        assert [*link.parent.iterdir()] == [link]  # so the data are beside the file itself
    assert link.is_symlink()
    assert path.read_bytes() == NEW


def test_the_data_reach_the_disk_before_the_old_file_is_replaced(path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace

    def watched_fsync(number):
        steps.append(("fsync", os.fstat(number).st_size))
        fsync(number)

    def watched_replace(source, target):
        steps.append(("replace", os.stat(source).st_size))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    with replacing(path) as file:
        file.write(b"short")  # Python would keep it in memory
    assert steps == [("fsync", 5), ("replace", 5)]


# --- Errors ------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_inside_the_block(path, error):
    with pytest.raises(error, match="half way"), replacing(path) as file:
        file.write(NEW[:1000])
        raise error("half way")
    assert path.read_bytes() == OLD
    assert [*path.parent.iterdir()] == [path]


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_an_error_of_the_system(path, function, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, function, refuse)
        with pytest.raises(OSError, match="No space left"), replacing(path) as file:
            file.write(NEW)
    assert path.read_bytes() == OLD
    assert [*path.parent.iterdir()] == [path]
    test_content_is_replaced(path, str)  # afterwards nothing is in the way


def test_a_missing_folder(tmp_path):
    with pytest.raises(OSError, match="missing"), replacing(tmp_path / "missing" / "a.csv"):
        pytest.fail("there is no file to write to")
    assert not [*tmp_path.iterdir()]


# --- Killed ------------------------------------------------------------------------

STAGES = {  # where the writing process is killed: what is at `path` afterwards
    "half of the data is written": "old",
    "in os.fsync": "old",
    "before os.replace": "old",
    "after os.replace": "new",
}


def write_and_hang(path, stage, reached):
    """Write to `path` up to a stage, say so, and go no further."""
    replace = os.replace

    def hang(*_):
        reached.set()
        time.sleep(300)

    def replace_and_hang(source, target):
        replace(source, target)
        hang()

    if stage == "in os.fsync":
        os.fsync = hang
    elif stage == "before os.replace":
        os.replace = hang
    elif stage == "after os.replace":
        os.replace = replace_and_hang
    with replacing(path) as file:
        file.write(NEW[: len(NEW) // 2])
        if stage == "half of the data is written":
            file.flush()
            hang()
        file.write(NEW[len(NEW) // 2 :])


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(),
    reason="this system has no fork: here no process can be stopped in the middle of writing",
)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("was_there", [True, False], ids=["a file was there", "a new file"])
@pytest.mark.parametrize("stage", STAGES)
def test_killed(path, stage, was_there):
    if not was_there:
        path.unlink()
    context = multiprocessing.get_context("fork")
    reached = context.Event()
    process = context.Process(target=write_and_hang, args=(path, stage, reached), daemon=True)
    process.start()
    try:
        assert reached.wait(60)
    finally:
        process.kill()
        process.join()
    assert process.exitcode == -signal.SIGKILL

    if STAGES[stage] == "new":
        assert path.read_bytes() == NEW
    elif was_there:
        assert path.read_bytes() == OLD
    else:
        assert not path.exists()

    # What the dead process left behind is in nobody's way, not even where the next process
    # has the same number, as in a container.
    left = [other for other in path.parent.iterdir() if other != path]
    assert len(left) == (STAGES[stage] == "old")
    for other in left:
        other.rename(other.with_name(other.name.replace(str(process.pid), str(os.getpid()))))
    with replacing(path) as file:
        file.write(b"again")
    assert path.read_bytes() == b"again"
    assert [*path.parent.iterdir()] == [path]
