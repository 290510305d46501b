"""Colour mathematics against published tables."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import lab2xyz, xyz2lab

from syntheticcellgan.stain.colour import difference, to_lab, to_rgb, white_point

D65 = np.array([0.95047, 1.0, 1.08883])

# Lindbloom's table of chromatic adaptation, Bradford, D50 to D65.
BRADFORD = np.array(
    [[0.9555766, -0.0230393, 0.0631636], [-0.0282895, 1.0099416, 0.0210077], [0.0122982, -0.0204830, 1.3299098]]
)

# Sharma, Wu & Dalal 2005, Table 1: pairs that are known to go wrong in faulty implementations.
SHARMA = [
    ((50.0000, 2.6772, -79.7751), (50.0000, 0.0000, -82.7485), 2.0425),
    ((50.0000, 3.1571, -77.2803), (50.0000, 0.0000, -82.7485), 2.8615),
    ((50.0000, 2.8361, -74.0200), (50.0000, 0.0000, -82.7485), 3.4412),
    ((50.0000, 0.0000, 0.0000), (50.0000, -1.0000, 2.0000), 2.3669),
    ((50.0000, 2.4900, -0.0010), (50.0000, -2.4900, 0.0009), 7.1792),
    ((50.0000, 2.4900, -0.0010), (50.0000, -2.4900, 0.0011), 7.2195),
    ((50.0000, 2.5000, 0.0000), (50.0000, 0.0000, -2.5000), 4.3065),
    ((50.0000, 2.5000, 0.0000), (73.0000, 25.0000, -18.0000), 27.1492),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((90.8027, -2.0831, 1.4410), (91.1528, -1.6435, 0.0447), 1.4441),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]

# The corners of sRGB and its middle grey under D65, from IEC 61966-2-1's primaries (Lindbloom's tables).
SRGB = [
    ((255, 0, 0), (53.24, 80.09, 67.20)),
    ((0, 255, 0), (87.73, -86.18, 83.18)),
    ((0, 0, 255), (32.30, 79.19, -107.86)),
    ((255, 255, 0), (97.14, -21.55, 94.48)),
    ((0, 255, 255), (91.11, -48.09, -14.13)),
    ((255, 0, 255), (60.32, 98.23, -60.82)),
    ((119, 119, 119), (50.03, 0.0, 0.0)),
]

# X-Rite ColorChecker Classic, the maker's table: sRGB, and L*a*b* under D50.
COLORCHECKER = [
    ((115, 82, 68), (37.986, 13.555, 14.059)),
    ((194, 150, 130), (65.711, 18.130, 17.810)),
    ((98, 122, 157), (49.927, -4.880, -21.925)),
    ((87, 108, 67), (43.139, -13.095, 21.905)),
    ((133, 128, 177), (55.112, 8.844, -25.399)),
    ((103, 189, 170), (70.719, -33.397, -0.199)),
    ((214, 126, 44), (62.661, 36.067, 57.096)),
    ((193, 90, 99), (51.124, 48.239, 16.248)),
    ((94, 60, 108), (30.325, 22.976, -21.587)),
    ((157, 188, 64), (72.532, -23.709, 57.255)),
    ((224, 163, 46), (71.941, 19.363, 67.857)),
    ((70, 148, 73), (55.261, -38.342, 31.370)),
    ((175, 54, 60), (42.101, 53.378, 28.190)),
    ((231, 199, 31), (81.733, 4.039, 79.819)),
    ((187, 86, 149), (51.935, 49.986, -14.574)),
    ((243, 243, 242), (96.539, -0.425, 1.186)),
    ((160, 160, 160), (66.766, -0.734, -0.504)),
    ((52, 52, 52), (20.461, -0.079, -0.973)),
]


@pytest.mark.parametrize(("first", "second", "published"), SHARMA)
def test_differences_are_those_of_the_published_table(first, second, published) -> None:
    assert difference(np.array(first), np.array(second)) == pytest.approx(published, abs=1e-4)


@pytest.mark.parametrize(("rgb", "lab"), SRGB)
def test_lab_of_the_corners_of_srgb(rgb, lab) -> None:
    assert to_lab(np.array([rgb], np.uint8), D65)[0] == pytest.approx(lab, abs=0.05)
    assert to_rgb(np.array([lab]), D65)[0].tolist() == list(rgb)


def test_lab_of_the_colour_checker() -> None:
    """Printed colours: the maker's sRGB and L*a*b* themselves agree only so far."""
    xyz = lab2xyz(np.array([lab for _, lab in COLORCHECKER]), illuminant="D50") @ BRADFORD.T
    found = difference(to_lab(np.array([rgb for rgb, _ in COLORCHECKER], np.uint8), D65), xyz2lab(xyz))
    assert found.mean() < 1.6
    assert found.max() < 3.5


def test_against_the_white_of_its_screen_lab_is_the_usual_one() -> None:
    xyz = white_point(np.array([[200.0, 120.0, 60.0]]))
    assert to_lab(np.array([[200, 120, 60]], np.uint8), D65) == pytest.approx(xyz2lab(xyz), abs=1e-3)


@pytest.mark.parametrize("background", [(255, 229, 203), (230, 221, 229), (255, 255, 162), (70, 80, 75), (0, 0, 0)])
def test_the_background_is_white_by_definition_and_every_colour_comes_back(background) -> None:
    white = white_point(np.array(background))
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    image[0, 0] = background
    lab = to_lab(image, white)
    assert np.isfinite(lab).all()
    if max(background):
        assert lab[0, 0] == pytest.approx((100.0, 0.0, 0.0), abs=0.01)
    back = to_rgb(lab, white)
    assert np.abs(back.astype(int) - image).max() <= 1


def test_colours_that_no_screen_shows_are_clipped_and_never_nan() -> None:
    wild = np.array([[150.0, 200.0, -300.0], [-50.0, 0.0, 0.0], [100.0, -300.0, 300.0]])
    assert to_rgb(wild, D65).dtype == np.uint8
