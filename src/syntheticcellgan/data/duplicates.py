"""Images of the same cell: fingerprints that survive re-encoding, and the groups they form.

Two ways to be near duplicates: alike as a whole (here), or overlapping parts of one field of view (`overlaps.py`).
A fingerprint is the brightness gradient (right and down) between 16×16 grey cells, as a vector of length 1; two images
are near duplicates if the product of their fingerprints, a correlation, reaches `NEAR`. On 10,907 different cells of
one laboratory the nearest other cell reached 0.86 at most; copies that were re-encoded, halved in size, brightened or
cropped by 2 % on each side all stayed above 0.90, and 99 in 100 of those shifted by 3 of 256 px
(docs/results/near_duplicates.json, benchmarks/near_duplicates.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from syntheticcellgan.data.images import read_thumbnail
from syntheticcellgan.data.overlaps import SIDE, overlaps

NEAR = 0.9
"""Correlation of two fingerprints from which on the images count as the same cell."""

_CELLS = 16  # along a fingerprint's side
_BLOCK = 2048


def fingerprint(thumbnail: np.ndarray) -> np.ndarray:
    """Fingerprint, (480,) float32, of a (64, 64) grey thumbnail; all zeros if it is of one shade."""
    fold = len(thumbnail) // _CELLS
    grey = thumbnail.reshape(_CELLS, fold, _CELLS, fold).mean(axis=(1, 3), dtype=np.float32)
    gradient = np.concatenate([np.diff(grey, axis=1).ravel(), np.diff(grey, axis=0).ravel()])
    length = float(np.linalg.norm(gradient))
    return gradient / length if length > 0 else gradient


def thumbnails(paths: Iterable[Path]) -> np.ndarray:
    """(N, 64, 64) uint8 grey thumbnails; InputError if an image cannot be read."""
    images = [read_thumbnail(path, SIDE) for path in paths]
    return np.stack(images) if images else np.zeros((0, SIDE, SIDE), np.uint8)


def near_pairs(
    thumbs: np.ndarray, *, threshold: float = NEAR, turned: bool = False
) -> Iterator[tuple[int, int, float]]:
    """(i, j, correlation) with i < j of all near duplicates among (N, 64, 64) thumbnails.

    turned: also find copies that were turned by quarter turns or mirrored. Time grows with N²: about 2 s on one core
    for 10,000 images (8 times as long if turned).
    """
    if not len(thumbs):
        return
    base = np.stack([fingerprint(thumb) for thumb in thumbs])
    variants = [base]
    if turned:
        variants += [np.stack([fingerprint(thumb) for thumb in other]) for other in _symmetries(thumbs)]
    for top in range(0, len(base), _BLOCK):
        for left in range(top, len(base), _BLOCK):
            best = base[top : top + _BLOCK] @ variants[0][left : left + _BLOCK].T
            for variant in variants[1:]:
                np.maximum(best, base[top : top + _BLOCK] @ variant[left : left + _BLOCK].T, out=best)
            for row, column in zip(*np.nonzero(best >= threshold), strict=True):
                if top + row < left + column:
                    yield int(top + row), int(left + column), float(best[row, column])


def duplicate_groups(paths: Iterable[Path]) -> np.ndarray:
    """(N,) group numbers: near duplicates and overlapping images, also through a third image, share one.

    InputError if an image cannot be read.
    """
    thumbs = thumbnails(paths)
    pairs = [*near_pairs(thumbs), *overlaps(thumbs)]
    return connected(len(thumbs), [(i, j) for i, j, _ in pairs])


def connected(count: int, pairs: list[tuple[int, int]]) -> np.ndarray:
    """(count,) number of the connected component of each item, numbered by first appearance."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    _, first, groups = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[groups]


def components(count: int, pairs: list[tuple[int, int]]) -> list[list[int]]:
    """The items of each connected component, in order; components by first appearance."""
    groups: dict[int, list[int]] = {}
    for item, label in enumerate(connected(count, pairs).tolist()):
        groups.setdefault(label, []).append(item)
    return list(groups.values())


def _symmetries(thumbs: np.ndarray) -> Iterator[np.ndarray]:
    """The seven other views of each square thumbnail under quarter turns and mirroring."""
    for mirrored in (thumbs, thumbs[:, :, ::-1]):
        for turns in range(4):
            if turns or mirrored is not thumbs:
                yield np.rot90(mirrored, turns, axes=(1, 2))
