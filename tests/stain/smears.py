"""Drawn cells of two laboratories: the same geometry, another lamp and another stain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from tests.evaluation.drawn_cells import draw

LAMP, STAIN = np.array([0.72, 0.80, 0.95]), np.array([0.7, 0.9, 1.25])
HOME = (250, 228, 205)


def home(seed: int, side: int = 128) -> np.ndarray:
    """(side, side, 3) uint8: one cell with red cells, sizes and place of the nucleus by the seed."""
    rng = np.random.default_rng(seed)
    lobes = ((*rng.normal(0, 2, 2), side * rng.uniform(0.11, 0.13)),)
    return draw(side, side * rng.uniform(0.20, 0.24), lobes, seed=seed)[0]


def abroad(image: np.ndarray, lamp: np.ndarray = LAMP) -> np.ndarray:
    """The same cell under another lamp, its absorbances multiplied per channel (Beer and Lambert's law)."""
    through = np.clip(image / np.array(HOME), 0.004, 1.0) ** STAIN
    return np.rint(np.clip(through * np.array(HOME) * lamp, 0, 255)).astype(np.uint8)


def save(images: list[np.ndarray], folder: Path) -> Path:
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"cell {i:02d}.png")
    return folder
