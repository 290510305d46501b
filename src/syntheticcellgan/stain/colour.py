"""Colours as an eye adapted to the empty slide sees them: CIE 1976 L*a*b* whose reference white is the background.

    white_point(colour) -> XYZ                 # of the empty slide
    to_lab(image, white) -> Lab                # the background becomes (100, 0, 0), whatever lamp and camera
    to_rgb(lab, white) -> image
    difference(lab, lab) -> ΔE                 # CIEDE2000

The reference white is a parameter of L*a*b* by definition (CIE 15:2018, 8.2.1); nothing else is needed to make two
lamps comparable. All conversions are scikit-image's.
"""

from __future__ import annotations

import numpy as np
from skimage.color import deltaE_ciede2000, lab2xyz, rgb2xyz, xyz2lab, xyz2rgb, xyz_tristimulus_values

_D65: np.ndarray = np.asarray(xyz_tristimulus_values(illuminant="D65", observer="2"), np.float32)
DARKEST = 0.01  # of full light: below it a background is no background


def white_point(colour: np.ndarray) -> np.ndarray:
    """Tristimulus values XYZ (…, 3), 0 … about 1, of sRGB colours (…, 3), 0 … 255; none below 0.01."""
    return np.maximum(rgb2xyz(np.asarray(colour, np.float32) / 255.0), DARKEST)


def to_lab(image: np.ndarray, white: np.ndarray) -> np.ndarray:
    """L*a*b* (…, 3) float32 of an sRGB image (…, 3) uint8 or 0 … 255, seen against the white XYZ (3,).

    What is brighter than the white has L* above 100.
    """
    xyz = rgb2xyz(np.asarray(image, np.float32) / np.float32(255.0))
    return xyz2lab(xyz * (_D65 / white).astype(np.float32))


def to_rgb(lab: np.ndarray, white: np.ndarray) -> np.ndarray:
    """The sRGB image (…, 3) uint8 of L*a*b* (…, 3) under the white XYZ (3,); colours that no screen shows are clipped."""
    lab = np.array(lab, np.float32)
    lab[..., 0] = np.maximum(lab[..., 0], 0.0)
    lab[..., 2] = np.minimum(lab[..., 2], (lab[..., 0] + 16.0) * np.float32(200.0 / 116.0))  # else Z is negative
    xyz = lab2xyz(lab)
    rgb = xyz2rgb(np.clip(xyz * (white / _D65).astype(np.float32), 0.0, 2.0))
    return np.rint(np.clip(rgb, 0.0, 1.0) * 255.0).astype(np.uint8)


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """CIEDE2000 colour differences (…) of L*a*b* colours (…, 3) (Sharma, Wu & Dalal 2005)."""
    return np.asarray(deltaE_ciede2000(first, second))
