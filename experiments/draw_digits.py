"""Draw the twenty pictures of digits in images/digits, for those who have none of their own.

    python experiments/draw_digits.py

Each digit is set twice, in free handwriting fonts as Debian packages them, and made to look
like a photograph: dark ink on paper, turned a little, not in the middle, with light that
falls from one side, and noise. No network was asked which digits to take: digit d is set in
the fonts number d and d + 3, counted in a circle.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FOLDER = Path(__file__).resolve().parents[1] / "images" / "digits"
FONTS = {  # Debian's package → its file below /usr/share/fonts/truetype
    "fonts-dkg-handwriting": "fifthhorseman/dkg.ttf",
    "fonts-breip": "breip/Breip.ttf",
    "fonts-rufscript": "rufscript/Rufscript010.ttf",
    "fonts-sjfonts, Steve": "sjfonts/SteveHand.ttf",
    "fonts-sjfonts, Delphine": "sjfonts/Delphine.ttf",
    "fonts-kristi": "kristi/Kristi.ttf",
}
WIDTH, HEIGHT = 240, 320


def picture_of(digit, font, generator):
    """A picture of a digit as a PIL image, (HEIGHT, WIDTH), grey.

    Args:
        font: the path of a font.
        generator: a NumPy Generator, for place, size, slant, light and noise.
    """
    paper = Image.new("L", (WIDTH, HEIGHT), 0)
    size = int(generator.uniform(110, 170))
    place = (WIDTH * generator.uniform(0.4, 0.6), HEIGHT * generator.uniform(0.4, 0.6))
    pen = {"fill": 255, "font": ImageFont.truetype(font, size), "stroke_width": 3}
    ImageDraw.Draw(paper).text(place, str(digit), anchor="mm", **pen)
    turned = paper.rotate(generator.uniform(-8, 8), Image.Resampling.BICUBIC)
    ink = np.asarray(turned.filter(ImageFilter.GaussianBlur(1)), float) / 255
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    light = 200 + 35 * generator.uniform(-1, 1) * x + 35 * generator.uniform(-1, 1) * y
    grey = light * (1 - 0.75 * ink) + generator.normal(0, 4, ink.shape)
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8))


def main():
    FOLDER.mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    files = list(FONTS.values())
    for digit in range(10):
        for copy, number in zip("ab", (digit, digit + 3)):
            font = f"/usr/share/fonts/truetype/{files[number % len(files)]}"
            picture = picture_of(digit, font, generator)
            picture.save(FOLDER / f"{digit}{copy}.jpg", quality=70)


if __name__ == "__main__":
    main()
