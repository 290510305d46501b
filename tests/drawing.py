"""Drawn cells: types differ by size."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw


def draw_cell(radius: float, nucleus: float, rng: np.random.Generator, side: int = 128) -> Image.Image:
    """A disc in a disc on a smear's background, red cells around it, a little noise: types differ by size."""
    image = Image.new("RGB", (side, side), (255, 229, 203))
    draw = ImageDraw.Draw(image)
    for corner in rng.uniform(0, side, (6, 2)):
        draw.ellipse((*(corner - side / 9), *(corner + side / 9)), fill=(235, 190, 180))
    x, y = rng.normal(side / 2, 3, size=2)
    for size, colour in ((radius, (180, 170, 210)), (nucleus, (90, 50, 140))):
        half = size * side / 256 * rng.uniform(0.9, 1.1)
        draw.ellipse((x - half, y - half, x + half, y + half), fill=colour)
    noisy = np.asarray(image, np.int16) + rng.integers(-6, 7, (side, side, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
