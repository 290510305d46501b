"""What one image says about the look of its laboratory: four colours and two lengths, no picture.

measure(image) -> Measurement
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from syntheticcellgan.data.images import resize_square
from syntheticcellgan.segmentation import LARGEST, SMALLEST, Segmentation, background_colour, segment
from syntheticcellgan.stain.colour import to_lab, white_point

REGIONS = ("nucleus", "cytoplasm", "red_cells")
_FEWEST = 60  # pixels that a region must have to be counted
_BLUREST = 0.05  # of the side: beyond it nothing can be told
_SIDE = 128  # all measuring is done at this size, so that every image has the same say


@dataclass(frozen=True)
class Measurement:
    """One image.

    white: (3,) XYZ of the empty slide. colours: (3, 3), mean L*a*b* of each of `REGIONS` against that white, NaN where
    the image shows none. edge: width of the nucleus's edge (σ of a Gaussian), as a share of the side. diameter: of the
    cell (of a disc of its area), as a share of the side.
    """

    white: np.ndarray
    colours: np.ndarray
    edge: float
    diameter: float


def measure(image: np.ndarray) -> Measurement | None:
    """Measure the centred cell of `image`, (H, W, 3) uint8; None where no nucleus or no empty slide can be found.

    Sides below 64 pixels show too little: None as well.
    """
    side = min(image.shape[:2])
    if side < SMALLEST:
        return None
    if max(image.shape[:2]) > LARGEST:
        image = resize_square(image, LARGEST)
    small = resize_square(image, _SIDE)
    found = segment(small)
    if found.failure is not None or found.background.sum() < _FEWEST:
        return None
    white = white_point(background_colour(small))
    lab = to_lab(small, white)
    masks = _masks(found, lab)
    if masks["nucleus"].sum() < _FEWEST:
        return None
    colours = np.stack(
        [lab[mask].mean(axis=0) if (mask := masks[name]).sum() >= _FEWEST else np.full(3, np.nan) for name in REGIONS]
    )
    return Measurement(
        white.astype(np.float64),
        colours.astype(np.float64),
        _edge(lab[..., 0], found.nucleus),
        float(2 * np.sqrt(found.cell.sum() / np.pi) / _SIDE),
    )


def _masks(found: Segmentation, lab: np.ndarray) -> dict[str, np.ndarray]:
    """The inner parts of the regions: pixels on a border are mixtures of both sides.

    Red cells are what is stained outside the cell and less than half as far from the background as the nucleus is in
    colour (haemoglobin is pale, and platelets and other white cells are not to count).
    """
    nucleus = ndimage.binary_erosion(found.nucleus, iterations=2)
    outside = ~ndimage.binary_dilation(found.cell, iterations=3) & ~ndimage.binary_dilation(found.background)
    depth = np.hypot(np.hypot(lab[..., 0] - 100.0, lab[..., 1]), lab[..., 2])
    limit = 0.6 * float(np.median(depth[nucleus])) if nucleus.any() else 0.0
    return {
        "nucleus": nucleus,
        "cytoplasm": ndimage.binary_erosion(found.cell, iterations=2)
        & ~ndimage.binary_dilation(found.nucleus, iterations=2),
        "red_cells": ndimage.binary_erosion(outside & (depth < limit), iterations=2),
    }


def _edge(lightness: np.ndarray, nucleus: np.ndarray) -> float:
    """σ of the blur of the nucleus's outline, as a share of the side, whatever its contrast.

    A step of height h blurred by σ has, seen through a Gaussian of s, the slope h / √(2π (σ² + s²)): two such Gaussians
    tell σ without h. Taken from the steepest 5 % of the slopes around the outline.
    """
    fine, coarse = 0.7, 2.0
    rim = ndimage.binary_dilation(nucleus, iterations=3) & ~ndimage.binary_erosion(nucleus, iterations=3)
    slopes = [np.percentile(ndimage.gaussian_gradient_magnitude(lightness, s)[rim], 95) for s in (fine, coarse)]
    ratio = float((slopes[0] / max(slopes[1], 1e-6)) ** 2)
    if ratio <= 1.0:
        return _BLUREST
    return min(float(np.sqrt(max((coarse**2 - ratio * fine**2) / (ratio - 1.0), 0.0)) / _SIDE), _BLUREST)
