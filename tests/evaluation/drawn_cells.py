"""Drawn smears with known geometry and colours, for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BACKGROUND, CYTOPLASM, NUCLEUS, RED_CELL = (250, 228, 205), (196, 184, 222), (84, 52, 128), (205, 165, 160)

Disc = tuple[float, float, float]  # row and column of the centre relative to the image's, radius; pixels


def disc(side: int, row: float, column: float, radius: float) -> np.ndarray:
    """(side, side) bool, centred on (row, column) relative to the middle of the image."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def draw(
    side: int = 256,
    cell: float = 55.0,
    lobes: Sequence[Disc] = ((5.0, -6.0, 32.0),),
    *,
    background: tuple[int, int, int] = BACKGROUND,
    red_cells: bool = True,
    noise: float = 2.0,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(image, nucleus, cell): one white cell in the middle, four red cells near the corners."""
    image = np.empty((side, side, 3))
    image[:] = background
    tint = np.array(background) / np.array(BACKGROUND)  # another light or stain colours everything
    if red_cells:
        at = 0.38 * side
        for row, column in ((-at, -at), (-at, at), (at, -at), (at, at)):
            image[disc(side, row, column, 0.15 * side)] = RED_CELL * tint
    whole = disc(side, 0.0, 0.0, cell)
    nucleus = np.zeros_like(whole)
    for lobe in lobes:
        nucleus |= disc(side, *lobe)
    nucleus &= whole
    image[whole] = CYTOPLASM * tint
    image[nucleus] = NUCLEUS * tint
    image += np.random.default_rng(seed).normal(0.0, noise, image.shape) if noise else 0.0
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), nucleus, whole
