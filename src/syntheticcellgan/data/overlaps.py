"""Images cut from one field of view that overlap: they show the same cells, shifted, and must not straddle a split.

Each image's strongest blobs and dots (extrema of a band-passed thumbnail) are described by the little picture around
them. Where two images hold descriptions alike at one and the same offset, the part that they would share is compared:
if its correlation reaches `NEAR`, they overlap. On 10,907 cells of one laboratory 37 pairs reached 0.9, and no other pair
more than 0.83; two parts of one image, shifted by 36 of 256 px, were found 99 times in 100, shifted by 84 px 62 times
(docs/results/near_duplicates.json, benchmarks/near_duplicates.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

NEAR = 0.9
"""Correlation of the shared part from which on two images count as one field."""

SIDE = 64
"""Pixels along a thumbnail's side."""

SHARED = 0.4
"""Smallest part of the image's area that an overlap must have."""

_POINTS = 10  # per image
_ALIKE = 0.93  # correlation of two descriptions
_MARGIN = 7  # pixels around a point that its description covers
_BLOCK, _IMAGES = 4096, 512


def overlaps(thumbs: np.ndarray, *, threshold: float = NEAR) -> Iterator[tuple[int, int, float]]:
    """(i, j, correlation of the shared part) with i < j of all overlapping pairs among (N, 64, 64) grey thumbnails.

    Finds images that were shifted, cropped or re-encoded, not turned ones. Time grows with N²: about 30 s on one core
    for 10,000 images.
    """
    if len(thumbs) < 2:
        return
    bands, points, descriptions = _described(thumbs)
    for i, j, y, x in _offsets(points, descriptions).tolist():
        best = _correlation(bands[i], bands[j], y, x)
        if best > threshold / 2:  # worth a look at the offsets beside it
            near = [(y + down, x + right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
            best = max(_correlation(bands[i], bands[j], *offset) for offset in near)
        if best >= threshold:
            yield i, j, best


def _described(thumbs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Band-passed thumbnails (N, 64, 64) int8, points (P, 3) as image, y, x, and their descriptions (P, 64)."""
    from scipy.ndimage import gaussian_filter, maximum_filter

    bands, points, descriptions = [], [], []
    window = np.arange(-_MARGIN, _MARGIN + 1, 2)
    for start in range(0, len(thumbs), _IMAGES):
        smooth = gaussian_filter(thumbs[start : start + _IMAGES].astype(np.float32), (0, 1.6, 1.6))
        band = smooth - gaussian_filter(smooth, (0, 2.0, 2.0))
        strength = np.abs(band)
        strength[(strength < maximum_filter(strength, (1, 5, 5))) | (strength < 1)] = 0
        inner = strength[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN].reshape(len(band), -1)
        chosen = np.argpartition(-inner, _POINTS, axis=1)[:, :_POINTS]
        image, column = np.nonzero(np.take_along_axis(inner, chosen, axis=1))
        y, x = (part + _MARGIN for part in np.divmod(chosen[image, column], SIDE - 2 * _MARGIN))
        around = band[image[:, None, None], (y[:, None] + window)[:, :, None], (x[:, None] + window)[:, None, :]]
        bands.append(np.clip(np.round(2 * band), -127, 127).astype(np.int8))
        points.append(np.stack([image + start, y, x], axis=1))
        descriptions.append(_standard(around.reshape(len(image), len(window) ** 2)))
    return np.concatenate(bands), np.concatenate(points), np.concatenate(descriptions)


def _standard(rows: np.ndarray) -> np.ndarray:
    """Each row with mean 0 and length 1, so that products are correlations."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    result: np.ndarray = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    return result


def _offsets(points: np.ndarray, descriptions: np.ndarray) -> np.ndarray:
    """(C, 4) image, other image, and offset down and right: where at least two points of a pair agree, give or take 1."""
    dark = descriptions[:, descriptions.shape[1] // 2] < 0  # a dark spot is never like a bright one: half the work
    matches = np.concatenate([_matches(points[kind], descriptions[kind]) for kind in (dark, ~dark)])
    # Three grids of 3 px, shifted by one: whatever two offsets that differ by 1, some cell of some grid holds both.
    cells = []
    for shift in range(3):
        centre = (matches[:, 2:] + shift) // 3 * 3 - shift + 1
        cells.append(np.column_stack([matches[:, :2], centre]))
    offsets, votes = np.unique(np.concatenate(cells), axis=0, return_counts=True)
    offsets, votes = offsets[votes > 1], votes[votes > 1]
    shared = (SIDE - np.abs(offsets[:, 2])) * (SIDE - np.abs(offsets[:, 3]))
    offsets, votes = offsets[shared >= SHARED * SIDE**2], votes[shared >= SHARED * SIDE**2]
    order = np.lexsort((-votes, offsets[:, 1], offsets[:, 0]))  # the offset of most votes first
    _, first = np.unique(offsets[order, :2], axis=0, return_index=True)
    return offsets[order][first]


def _matches(points: np.ndarray, descriptions: np.ndarray) -> np.ndarray:
    """(M, 4) image, other image, offset down and right of every two points that look alike."""
    found: list[np.ndarray] = [np.zeros((0, 4), np.int64)]
    for top in range(0, len(points), _BLOCK):
        for left in range(top, len(points), _BLOCK):
            alike = descriptions[top : top + _BLOCK] @ descriptions[left : left + _BLOCK].T > _ALIKE
            one, other = np.nonzero(alike)
            a, b = points[one + top], points[other + left]
            earlier = a[:, 0] < b[:, 0]
            found.append(np.column_stack([a[:, 0], b[:, 0], a[:, 1:] - b[:, 1:]])[earlier])
    return np.concatenate(found)


def _correlation(a: np.ndarray, b: np.ndarray, y: int, x: int) -> float:
    """Of the part that two bands (64, 64) share if a point of `b` lies `y` lower and `x` further right in `a`."""
    first = a[max(y, 0) : SIDE + min(y, 0), max(x, 0) : SIDE + min(x, 0)].astype(np.float32).ravel()
    second = b[max(-y, 0) : SIDE + min(-y, 0), max(-x, 0) : SIDE + min(-x, 0)].astype(np.float32).ravel()
    lengths = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    return float(first @ second) / max(lengths, 1e-6)
