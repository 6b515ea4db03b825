"""Batches, augmentation, recipes, training and resuming."""

import multiprocessing
import os
import re
import shutil
import time
from dataclasses import replace

import pytest
import torch
from torch.utils.data import TensorDataset
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

import utils
from mnist import MEAN, STD, load_mnist
from model import Net, build
from utils import RECIPES, RandomAffine, Recipe, TensorLoader


@pytest.fixture(scope="session")
def mnist():
    return load_mnist()


# --- Batches -----------------------------------------------------------------------


def test_loader_gives_every_example_once(mnist):
    images, labels = (tensor[:1000] for tensor in mnist[0].tensors)
    dataset = TensorDataset(images, labels)
    loader = TensorLoader(dataset, 96, shuffle=True)
    batches = list(loader)
    assert len(batches) == len(loader) == 11
    pixels, targets = (torch.cat(parts) for parts in zip(*batches))
    assert pixels.shape == (1000, 1, 28, 28) and pixels.dtype == torch.float32
    back = (pixels * STD + MEAN).mul(255).round().byte().squeeze(1)
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


SMALL = Recipe(4, 100, 0.1, weight_decay=5e-4, augmentation=RandomAffine(10, 0.1, 0.1, 5))


def small_run(mnist, checkpoint=None, seed=0, dropout=0.05, first=0, **changes):
    images, labels = (tensor[first:] for tensor in mnist[0].tensors)
    train_set = TensorDataset(images[:1500], labels[:1500])
    test_set = TensorDataset(images[-500:], labels[-500:])
    network, history = utils.train_network(
        lambda: Net(dropout=dropout), replace(SMALL, **changes), seed, train_set, test_set,
        torch.device("cpu"), checkpoint,
    )  # fmt: skip
    return network.state_dict(), history


def run_and_stop(mnist, checkpoint, result, stage, there):
    """Train in a process of its own; at a stage of epoch 2, say so and wait to be killed."""
    torch.set_num_threads(1)  # a forked process cannot use its parent's threads
    save, train, replace_file, saves = utils._save, utils.train, os.replace, []

    def wait(*_):
        there.set()
        time.sleep(600)

    def save_then_wait(*arguments):
        save(*arguments)
        saves.append(1)
        if stage == "after a checkpoint" and len(saves) == 2:
            wait()

    def train_then_wait(model, device, loader, optimizer, epoch, *more):
        if stage == "in an epoch" and epoch == 2:
            steps = []
            optimizer.register_step_post_hook(
                lambda *_: steps.append(1) or len(steps) == 7 and wait()
            )
        return train(model, device, loader, optimizer, epoch, *more)

    def wait_or_replace(*names):
        if stage == "in a checkpoint" and len(saves) == 1:
            wait()
        replace_file(*names)

    utils._save, utils.train, os.replace = save_then_wait, train_then_wait, wait_or_replace
    torch.save(small_run(mnist, checkpoint)[0], result)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_resume_after_sigkill(mnist, tmp_path, capfd):
    """Killed at three stages, one after the other, and resumed: the same weights, bit for bit."""
    context = multiprocessing.get_context("fork")

    def start(checkpoint, result, stage):
        there = context.Event()
        arguments = (mnist, checkpoint, result, stage, there)
        process = context.Process(target=run_and_stop, args=arguments)
        process.start()
        return process, there

    whole, _ = start(None, tmp_path / "alone.pt", None)
    whole.join()
    expected = torch.load(tmp_path / "alone.pt")
    checkpoint, result = tmp_path / "run.ckpt", tmp_path / "resumed.pt"
    for stage in ("in a checkpoint", "in an epoch", "after a checkpoint"):
        process, there = start(checkpoint, result, stage)
        assert there.wait(120), stage
        process.kill()
        process.join()
        assert checkpoint.exists() and not result.exists()
    last, _ = start(checkpoint, result, None)
    last.join()
    found = torch.load(result)
    assert not checkpoint.exists()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    said = capfd.readouterr().out
    assert said.count("going on after epoch 1,") == 2 and "going on after epoch 3," in said


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
    changes = (
        {"seed": 1}, {"epochs": 3}, {"dropout": 0.5}, {"first": 1}, {"plain_epochs": 1},
        {"augmentation": None}, {"batch_size": 50}, {"schedule": "constant"},
    )  # fmt: skip
    for change in changes:
        with pytest.raises(ValueError, match="another network, seed or setting"):
            small_run(mnist, path, **change)
    assert path.read_bytes() == before


def test_averaged_weights_are_not_in_a_checkpoint(mnist, tmp_path):
    with pytest.raises(ValueError, match="without a checkpoint"):
        small_run(mnist, tmp_path / "run.ckpt", average=0.9)
    assert list(tmp_path.iterdir()) == []


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


# --- Recipes -----------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES)
def test_the_rate_is_the_one_of_the_recipe(name):
    recipe, steps = RECIPES[name], 3
    optimizer, scheduler = utils.make_optimizer(build("TinyNet"), recipe, steps)
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(recipe.epochs * steps - 1):
        optimizer.step()
        scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    assert max(rates) == pytest.approx(recipe.learning_rate, rel=0.02)
    assert (min(rates) == max(rates)) == (recipe.schedule == "constant")


def test_a_recipe_cannot_be_changed_or_make_no_sense():
    with pytest.raises(AttributeError):
        RECIPES["ours"].epochs = 100
    with pytest.raises(ValueError, match="one-cycle or constant"):
        replace(RECIPES["ours"], schedule="cosine")
    with pytest.raises(ValueError, match="13 plain epochs of 12"):
        replace(RECIPES["ours"], plain_epochs=13)


def test_plain_epochs_come_last_and_change_no_loader(mnist, monkeypatch):
    """The last epochs see the images as they are; the loader that was given stays as it is."""
    seen, train = [], utils.train

    def watch(model, device, loader, *rest):
        seen.append(loader.transform)
        return train(model, device, loader, *rest)

    monkeypatch.setattr(utils, "train", watch)
    images, labels = mnist[0].tensors
    loader = TensorLoader(TensorDataset(images[:200], labels[:200]), 100, True, SMALL.augmentation)
    network = build("TinyNet")
    steps = utils.make_optimizer(network, replace(SMALL, epochs=3), len(loader))
    before = dict(vars(loader))
    utils.fit(network, loader, None, *steps, epochs=3, plain_epochs=2)
    assert seen == [SMALL.augmentation, None, None]
    assert vars(loader).keys() == before.keys()
    assert all(value is before[name] for name, value in vars(loader).items())


def test_looks_are_the_mean_over_moved_images():
    """Moves of whole pixels, compared with shifted rows and columns; a turn, with itself."""
    torch.manual_seed(0)
    images = torch.zeros(6, 1, 28, 28)
    images[:, :, 4:24, 4:24] = torch.rand(6, 1, 20, 20)
    network, shifts = Net().eval(), ((0, 0), (2, 0), (-1, 3))
    moved = [images.roll((down, across), (2, 3)) for across, down in shifts]
    expected = torch.stack([network(seen).softmax(1) for seen in moved]).mean(0).log()
    looks = utils.Looks(network, [(*shift, 0, 1) for shift in shifts])
    assert torch.allclose(looks(images), expected, atol=1e-4)
    (turned, halved) = (utils.Looks(network, [(0, 0, *look)]) for look in ((90, 1), (0, 0.5)))
    expected = network(images.rot90(1, (2, 3))).log_softmax(1)
    assert torch.allclose(turned(images), expected, atol=1e-4)
    small = torch.zeros_like(images)
    small[..., 7:21, 7:21] = torch.nn.functional.avg_pool2d(images, 2)
    assert torch.allclose(halved(images), network(small).log_softmax(1), atol=1e-4)


def test_looks_change_what_is_tested_and_not_what_is_trained(mnist, capsys):
    alone, before = small_run(mnist)
    looked, after = small_run(mnist, looks=utils.FIVE_LOOKS)
    assert all(torch.equal(alone[name], looked[f"network.{name}"]) for name in alone)
    assert len(alone) == len(looked)
    assert after["train_loss"].equals(before["train_loss"])
    assert after["test_loss"].iloc[-1] != before["test_loss"].iloc[-1]
    assert capsys.readouterr().out.count("5 looks: Test set") == 1


def test_the_average_of_weights_is_the_one_that_is_tested(mnist, capsys):
    """With decay 0 the average is the last weights, with decay 1 it stays near the first."""
    images, labels = mnist[0].tensors
    test_loader = TensorLoader(TensorDataset(images[-500:], labels[-500:]), 500)
    last = {}
    for average in (None, 0.0, 1.0):
        weights, history = small_run(mnist, epochs=2, average=average)
        last[average] = history.iloc[-1]
        network = Net()
        network.load_state_dict(weights)
        measured = utils.test(network, torch.device("cpu"), test_loader)
        assert measured == pytest.approx(last[average][["test_loss", "test_accuracy"]], rel=1e-4)
    measured = ["train_loss", "test_loss", "test_accuracy"]
    assert last[0.0][measured].tolist() == pytest.approx(last[None][measured].tolist(), rel=1e-4)
    assert last[1.0]["train_loss"] == last[None]["train_loss"]
    assert last[1.0]["test_loss"] > 2 * last[None]["test_loss"]
    assert capsys.readouterr().out.count("averaged: Test set") == 2
