"""Shared by all tests: one thread (small networks are faster so), and a tiny data set of drawn cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

torch.set_num_threads(1)

DRAWN_TYPES = {"lymphocyte": (90, 40), "monocyte": (110, 70), "platelet": (30, 8)}


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


@pytest.fixture(scope="session")
def drawn_cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder data set of three types with 16 drawn cells each."""
    root = tmp_path_factory.mktemp("drawn cells")
    rng = np.random.default_rng(0)
    for name, (radius, nucleus) in DRAWN_TYPES.items():
        (root / name).mkdir()
        for i in range(16):
            draw_cell(radius, nucleus, rng).save(root / name / f"{name} {i:02d}.png")
    return root
