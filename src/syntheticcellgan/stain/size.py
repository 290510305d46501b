"""Cells as large as in another laboratory's images: microscopes, cameras and crops differ as stains do."""

from __future__ import annotations

import numpy as np
from PIL import Image

from syntheticcellgan.stain.look import Look
from syntheticcellgan.stain.recolour import Recolouring

LIMITS = (0.5, 2.0)
"""No more is believed: beyond it the two show other things than single cells."""


class Resizing:
    """A recolouring after which the cell fills as much of the side as the target's cells do. factor: by which it is enlarged.

    The middle value of all measured cells decides, so both looks should come from much the same cell types.
    """

    def __init__(self, source: Look, target: Look) -> None:
        self.recolouring = Recolouring(source, target)
        self.factor = float(np.clip(target.diameter / source.diameter, *LIMITS))

    @property
    def record(self) -> dict[str, object]:
        """From where to where, and by how much."""
        return self.recolouring.record | {"enlarged": round(self.factor, 4)}

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """`image`, (H, W, 3) uint8 of any size, in the look of the target; as large as before."""
        return enlarged(self.recolouring(image), self.factor)


def enlarged(image: np.ndarray, factor: float) -> np.ndarray:
    """About its middle, (H, W, 3) uint8 as large as before: what no longer fits is cut off, what is lacking mirrors the edge."""
    height, width = image.shape[:2]
    rows, columns = max(round(height * factor), 1), max(round(width * factor), 1)
    x = np.asarray(Image.fromarray(image).resize((columns, rows), Image.Resampling.LANCZOS))
    top, left = (rows - height) // 2, (columns - width) // 2
    if factor >= 1:
        return np.ascontiguousarray(x[top : top + height, left : left + width])
    return np.pad(x, ((-top, height - rows + top), (-left, width - columns + left), (0, 0)), mode="symmetric")
