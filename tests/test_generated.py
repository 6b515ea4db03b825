"""What is generated is what the code makes: pictures, README's tables. nbval does the notebooks,
and test_workbook.py the workbook."""

import importlib.util
import re
from pathlib import Path

import matplotlib
import pytest
from matplotlib.testing.compare import compare_images

ROOT = Path(__file__).resolve().parents[1]
TOLERANCE = 2  # root of the mean squared difference of pixel values, 0 to 255

spec = importlib.util.spec_from_file_location("regenerate", ROOT / ".ci" / "regenerate.py")
regenerate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(regenerate)


# Another minor version of matplotlib draws lines and letters a little differently.
PINNED = re.findall(r"^matplotlib==([\d.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
DREW = max(version.split(".")[:2] for version in PINNED)
as_drawn = pytest.mark.skipif(
    matplotlib.__version__.split(".")[:2] != DREW,
    reason=f"the pictures were drawn with matplotlib {'.'.join(DREW)}: NOT compared with this one",
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder with every picture, drawn now."""
    folder = tmp_path_factory.mktemp("images")
    regenerate.figures.draw_images(folder)
    regenerate.results.draw(folder / "accuracy.png")
    return folder


@as_drawn
@pytest.mark.parametrize(
    "path", sorted((ROOT / "images").glob("*.png")), ids=lambda path: path.name
)
def test_every_picture_is_the_one_that_the_code_draws(path, drawn):
    difference = compare_images(str(path), str(drawn / path.name), TOLERANCE)
    assert difference is None, difference


def test_a_changed_picture_would_be_found(drawn, tmp_path):
    """The tolerance is for rounding in fonts and lines: a number that changes is seen."""
    row = regenerate.bp.gradient_descent(epochs=1).iloc[0]
    row["∂E/∂w5"] = row["a_o1"] = 0.999
    regenerate.figures.save(regenerate.figures.draw_gradients(row), tmp_path / "gradients.png")
    images = (str(tmp_path / "gradients.png"), str(drawn / "gradients.png"))
    assert compare_images(*images, TOLERANCE) is not None


def test_readme_shows_what_the_code_prints():
    text = regenerate.README.read_text(encoding="utf-8")
    assert regenerate.readme(text) == text


def test_a_wrong_notebook_name_gets_a_sentence(capsys):
    with pytest.raises(SystemExit):
        regenerate.main(["5_nosuch"])
    assert "no notebook '5_nosuch'; there are 1_backprop" in capsys.readouterr().err
