"""A picture of your own: read, prepared as MNIST was, and read by the network."""

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import mnist
import model

ROOT = Path(__file__).parents[1]


def stroke(height=300, width=200, ink=0.1, paper=0.9):
    """A picture of a "1" with a foot: a thick stroke, not in the middle."""
    picture = torch.full((height, width), paper)
    picture[60:200, 90:105] = ink
    picture[190:200, 70:125] = ink
    return picture


def same(one, other, pixels=0.02):
    """Whether two prepared images are nearly equal: mean difference of the grey values."""
    return (one.float() - other.float()).abs().mean() / 255 < pixels


def centre(image):
    """The centre of mass, (row, column)."""
    image = image.float()
    return [
        (image.sum(1 - axis) * torch.arange(28)).sum().item() / image.sum().item()
        for axis in (0, 1)
    ]


def test_a_prepared_picture_is_like_those_of_mnist():
    """Black paper, white ink, 20 pixels at most, centred by mass: as in the data set itself."""
    image = mnist.prepare(stroke())
    assert image.shape == (28, 28) and image.dtype == torch.uint8
    rows, columns = ((image > 0).any(axis).nonzero().ravel() for axis in (1, 0))
    assert rows[-1] - rows[0] + 1 == 20 and columns[-1] - columns[0] + 1 <= 20
    assert image.max() == 255
    assert centre(image) == pytest.approx([13.5, 13.5], abs=0.6)
    theirs = mnist.load_mnist()[1].tensors[0][:200]
    middles = torch.tensor([centre(image) for image in theirs])
    assert (middles - 13.5).abs().max() < 1


def test_what_does_not_matter_does_not_change_the_prepared_picture():
    """Light, ink, place, size, white on black, and noise."""
    plain = mnist.prepare(stroke())
    slope = torch.linspace(-0.15, 0.15, 200)
    noise = 0.02 * torch.randn(300, 200, generator=torch.Generator().manual_seed(0))
    speck = stroke()
    speck[20, 20] = 0.2
    others = {
        "pale ink": stroke(ink=0.5),
        "light from the side": stroke(paper=0.8) + slope,
        "white on black": 1 - stroke(),
        "moved": torch.roll(stroke(), (40, -30), (0, 1)),
        "large": stroke().repeat_interleave(3, 0).repeat_interleave(3, 1),
        "noise": (stroke() + noise).clamp(0, 1),
        "a speck": speck,
    }
    assert [
        name for name, picture in others.items() if not same(mnist.prepare(picture), plain)
    ] == []


@pytest.mark.parametrize(
    "picture",
    [torch.ones(100, 80), torch.zeros(5, 5), torch.rand(1, 1), 0.5 + 0.01 * torch.randn(300, 200)],
    ids=["white", "black", "one pixel", "grain"],
)
def test_a_picture_without_a_digit_says_so(picture):
    with pytest.raises(ValueError, match="no digit was found"):
        mnist.prepare(picture)


def png(channels):
    """The bytes of a PNG: transparent or white paper with a black square."""
    picture = torch.full((channels, 40, 30), 255, dtype=torch.uint8)
    if channels in (2, 4):
        picture[:] = 0  # transparent black, as drawing programs write it
    picture[:, 10:20, 10:20] = 0
    if channels in (2, 4):
        picture[-1, 10:20, 10:20] = 255
    file = io.BytesIO()
    array = np.asarray(picture.permute(1, 2, 0)).squeeze()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pictures_of_all_kinds_are_read(channels, tmp_path):
    """Grey, colour, transparent; as bytes and from a file."""
    picture = mnist.read_picture(png(channels))
    assert picture.shape == (40, 30)
    assert picture[0, 0] == 1 and picture[15, 15] == 0
    (tmp_path / "digit.png").write_bytes(png(channels))
    assert torch.equal(mnist.read_picture(tmp_path / "digit.png"), picture)


@pytest.mark.parametrize("data", [b"", b"no picture", png(3)[:60]], ids=["empty", "text", "cut"])
def test_what_is_no_picture_says_so(data):
    with pytest.raises(ValueError, match="PNG, JPEG, GIF or WebP"):
        mnist.read_picture(data)


def test_an_uploaded_file_is_found_in_old_and_new_widgets():
    """ipywidgets 8 gives a tuple of files, ipywidgets 7 a dict."""
    file = {"name": "a.png", "content": memoryview(b"abc")}
    for value, found in (
        ((file,), b"abc"),
        ({"a.png": {"content": b"abc"}}, b"abc"),
        ((), None),
        ({}, None),
    ):
        assert mnist.uploaded(SimpleNamespace(value=value)) == found


def test_the_network_reads_the_pictures_of_the_repository():
    """Prepared, at least 18 of the 20; merely resized, nearly none."""
    network = model.build("Net").eval()
    weights = torch.load(ROOT / "experiments" / "weights" / "Net.pt", weights_only=True)
    network.load_state_dict(weights)
    paths = sorted((ROOT / "images" / "digits").glob("*.jpg"))
    labels = torch.tensor([int(path.stem[0]) for path in paths])
    assert labels.bincount().tolist() == [2] * 10
    right = {}
    for way in (mnist.prepare, mnist.resize):
        images = torch.stack([way(mnist.read_picture(path)) for path in paths])
        with torch.no_grad():
            said = network(mnist.normalise(images.unsqueeze(1) / 255)).argmax(1)
        right[way.__name__] = int((said == labels).sum())
    assert right["prepare"] >= 18
    assert right["resize"] <= 5
