"""The images that an evaluation looks at: chosen from a data set, looked through once, and described.

choose(manifest, count, seed) -> Manifest           # at most `count` of each type, by a draw that the seed fixes
read_cells(name, manifest, progress) -> CellSet     # every image is opened once: unreadable files show now
halves(cells, seed) -> (CellSet, CellSet)           # patients and near duplicates stay whole
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.data.splits import split_manifest
from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.classifiers import SIDE, Labelled
from syntheticcellgan.evaluation.statistics import Sample

GREY = 6
"""An image whose channels differ by no more than this anywhere is grey; JPEG compression moves them by a few levels."""


@dataclass(frozen=True)
class CellSet:
    """Images of one side of a comparison, without their full pixels.

    name: what the report calls the set. manifest: its images. thumbnails: (N, 64, 64, 3) uint8.
    hashes: SHA-256 of each file. sizes: (height, width) of each. grey: (N,) bool, images without colour.
    """

    name: str
    manifest: Manifest
    thumbnails: np.ndarray
    hashes: tuple[bytes, ...]
    sizes: tuple[tuple[int, int], ...]
    grey: np.ndarray

    def __len__(self) -> int:
        return len(self.hashes)

    @property
    def counts(self) -> dict[str, int]:
        """Images per type."""
        return self.manifest.counts

    @cached_property
    def labels(self) -> tuple[str, ...]:
        return tuple(record.cell_type for record in self.manifest.records)

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Names relative to the data set."""
        return tuple(record.file for record in self.manifest.records)

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        return tuple(self.manifest.path(record) for record in self.manifest.records)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of contents and labels in their order: the same if and only if the images and types are the same."""
        held = hashlib.sha256()
        for content, label in zip(self.hashes, self.labels, strict=True):
            held.update(content + label.encode() + b"\n")
        return held.hexdigest()

    @property
    def side(self) -> int:
        """The commonest shorter side in pixels."""
        return Counter(min(size) for size in self.sizes).most_common(1)[0][0]

    def select(self, indices: np.ndarray) -> CellSet:
        """The cells at `indices`, in that order."""
        return CellSet(
            self.name,
            self.manifest.select(indices),
            self.thumbnails[indices],
            tuple(self.hashes[i] for i in indices),
            tuple(self.sizes[i] for i in indices),
            self.grey[indices],
        )

    def sample(self, features: np.ndarray) -> Sample:
        """With their features (N, d), for measures of distributions."""
        return Sample(features, np.array(self.labels))

    def labelled(self, features: np.ndarray) -> Labelled:
        """With their features (N, d), for classifiers."""
        return Labelled(self.thumbnails, features, self.labels)


def choose(manifest: Manifest, count: int, seed: int) -> Manifest:
    """At most `count` images of each type, in the manifest's order.

    The draw goes by a hash of seed and file name: independent of the order of files, and fewer are a part of more.
    """
    kept = []
    for name in manifest.cell_types:
        own = [i for i, record in enumerate(manifest.records) if record.cell_type == name]
        kept += sorted(own, key=lambda i: _draw(seed, manifest.records[i].file))[:count]
    return manifest.select(sorted(kept))


def _draw(seed: int, file: str) -> bytes:
    return hashlib.sha256(f"evaluate/{seed}/{file}".encode()).digest()


def read_cells(name: str, manifest: Manifest, progress: Callable[[int], None] | None = None) -> CellSet:
    """Open every image once. `progress` is called with the number of images read since the last call.

    InputError, naming the file, for one that cannot be read; for an empty set.
    """
    if not len(manifest):
        raise InputError(f"{manifest.root} ({name}) holds no images of the types that are compared.")
    thumbnails = np.empty((len(manifest), SIDE, SIDE, 3), np.uint8)
    hashes, sizes, grey = [], [], np.empty(len(manifest), bool)
    for i, record in enumerate(manifest.records):
        path = manifest.path(record)
        pixels = read_image(path)
        hashes.append(hashlib.sha256(path.read_bytes()).digest())
        sizes.append(pixels.shape[:2])
        thumbnails[i] = resize_square(pixels, SIDE)
        spread = thumbnails[i].max(axis=2).astype(int) - thumbnails[i].min(axis=2)
        grey[i] = spread.max() <= GREY
        if progress is not None:
            progress(1)
    return CellSet(name, manifest, thumbnails, tuple(hashes), tuple(sizes), grey)


def halves(cells: CellSet, seed: int) -> tuple[CellSet, CellSet]:
    """Two disjoint halves of each type, to learn from and to test on; patients and near duplicates stay whole.

    InputError where patients are known but there is only one.
    """
    split = split_manifest(cells.manifest, validation=0.0, test=0.5, seed=seed)
    test = set(split.test)
    inside = np.array([file in test for file in cells.files])
    return cells.select(np.flatnonzero(~inside)), cells.select(np.flatnonzero(inside))
