"""A synthetic cell as another laboratory would have stained and photographed it.

    style = Style(source, target)
    style(image, number) -> image
    in_many_looks(images, source, targets, seed) -> images     # for a classifier that is to have seen many

The stain is that of the target's median (`Recolouring`); the lamp is that of one of its images, drawn by the cell's own
number, so that smears that differ in light give cells that differ in light; and where the target's camera is less sharp
than the source's images, its blur is laid on. Sharpness is never invented.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from syntheticcellgan.stain.look import Look
from syntheticcellgan.stain.recolour import Recolouring


class Style:
    """From the look of a bundle's images to that of a laboratory. blur: σ as a share of the side, 0 for none."""

    def __init__(self, source: Look, target: Look) -> None:
        self.look = target
        self._recolour = Recolouring(source, target)
        self.blur = float(np.sqrt(max(target.edge**2 - source.edge**2, 0.0)))

    def __call__(self, image: np.ndarray, number: int) -> np.ndarray:
        """`image`, (H, W, 3) uint8 in the source's look; `number` ≥ 0 draws the lamp."""
        row = int(np.random.default_rng(number).integers(len(self.look)))
        sigma = self.blur * min(image.shape[:2])
        if sigma > 0.2:  # pixels; less changes no value
            smooth = ndimage.gaussian_filter(image.astype(np.float32), (sigma, sigma, 0.0))
            image = np.rint(smooth).astype(np.uint8)
        return self._recolour(image, self._recolour.source.white, self.look.whites[row])


def in_many_looks(
    images: Sequence[np.ndarray], source: Look, targets: Sequence[Look], seed: int = 0
) -> list[np.ndarray]:
    """Each of `images`, (H, W, 3) uint8 in the look `source`, in one of `targets`, by turns; the same seed, the same images.

    Labels keep their place: a training set beside the original one, real or synthetic.
    """
    styles = [Style(source, target) for target in targets]
    numbers = np.random.default_rng(seed).integers(2**31, size=len(images)).tolist()
    return [styles[i % len(styles)](image, numbers[i]) for i, image in enumerate(images)]
