"""Looking through a data set before training: what it holds, what cannot be read, what is in it twice."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from syntheticcellgan.config import TrainingConfig
from syntheticcellgan.data.duplicates import NEAR, components, near_pairs
from syntheticcellgan.data.images import open_image, read_image, thumbnail_of
from syntheticcellgan.data.manifest import Manifest, read_manifest, unlisted_images
from syntheticcellgan.data.overlaps import SIDE, overlaps
from syntheticcellgan.errors import InputError

FEW = 100
"""Below this many images of a type a warning: what is learned from so few varies little and may copy them."""

_MODES = {
    "RGB": "RGB",
    "L": "grey",
    "1": "black and white",
    "P": "palette",
    "RGBA": "RGBA",
    "LA": "grey + alpha",
    "CMYK": "CMYK",
    "I;16": "16-bit grey",
    "I;16B": "16-bit grey",
    "I": "16-bit grey",
    "F": "floating point",
}


@dataclass(frozen=True)
class CheckReport:
    """What `check` found. Files are named relative to `folder`; groups of duplicates hold two files or more.

    counts: usable images per type. sizes: "width×height" → images. modes: colour mode → images. unreadable: (file,
    reason). exact_duplicates: the same pixels; near_duplicates: the same cell, re-encoded, cropped or shifted a little.
    contradictions: the groups of either kind whose files bear different types. overlapping: different parts of one field
    of view, which show some of the same cells. blank: images of one shade.
    unlisted: images in the folder that belong to no type.
    """

    folder: str
    images: int
    counts: dict[str, int]
    sizes: dict[str, int]
    modes: dict[str, int]
    unreadable: tuple[tuple[str, str], ...]
    blank: tuple[str, ...]
    exact_duplicates: tuple[tuple[str, ...], ...]
    near_duplicates: tuple[tuple[str, ...], ...]
    overlapping: tuple[tuple[str, ...], ...]
    contradictions: tuple[tuple[str, ...], ...]
    patients: int
    images_without_patient: int
    laboratories: dict[str, int]
    unlisted: tuple[str, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return asdict(self)


def check(
    data: Manifest | str | os.PathLike[str],
    *,
    turned: bool = False,
    minimum: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> CheckReport:
    """Open every image of a data set once and report; goes on past files that cannot be read.

    turned: also find duplicates that were turned or mirrored. minimum: images per type that training needs (default:
    the training configuration's). progress: called with the number of images done. InputError only if the folder or
    its table as a whole cannot be used (see `read_manifest`).
    """
    manifest = data if isinstance(data, Manifest) else read_manifest(data)
    needed = TrainingConfig().minimum_images if minimum is None else minimum
    sizes: Counter[str] = Counter()
    modes: Counter[str] = Counter()
    unreadable: list[tuple[str, str]] = []
    usable: list[int] = []
    thumbs: list[np.ndarray] = []
    for index, record in enumerate(manifest.records):
        try:
            with open_image(manifest.path(record)) as image:
                size, mode = image.size, image.mode
                thumb = thumbnail_of(image, SIDE, str(manifest.path(record)))
        except InputError as error:
            unreadable.append((record.file, str(error)))
        else:
            sizes[f"{size[0]}×{size[1]}"] += 1
            modes[_MODES.get(mode, mode)] += 1
            usable.append(index)
            thumbs.append(thumb)
        if progress is not None:
            progress(index + 1)
    good = manifest.select(usable)
    stack = np.stack(thumbs) if thumbs else np.zeros((0, SIDE, SIDE), np.uint8)
    blank = [number for number, thumb in enumerate(stack) if thumb.min() == thumb.max()]
    exact, near = _duplicates(good, stack, blank, turned)
    overlapping = _overlapping(stack, near)
    contradictions = [group for group in (*exact, *near) if len({good.records[i].cell_type for i in group}) > 1]
    counts = {name: good.counts.get(name, 0) for name in manifest.cell_types}
    patients = {record.patient for record in good.records if record.patient is not None}
    laboratories = Counter(record.laboratory for record in good.records if record.laboratory is not None)
    unlisted = unlisted_images(manifest)
    return CheckReport(
        folder=str(manifest.root),
        images=len(manifest),
        counts=counts,
        sizes=dict(sizes.most_common()),
        modes=dict(modes.most_common()),
        unreadable=tuple(unreadable),
        blank=tuple(good.records[number].file for number in blank),
        exact_duplicates=_named(good, exact),
        near_duplicates=_named(good, near),
        overlapping=_named(good, overlapping),
        contradictions=_named(good, contradictions),
        patients=len(patients),
        images_without_patient=sum(record.patient is None for record in good.records),
        laboratories=dict(laboratories.most_common()),
        unlisted=tuple(unlisted),
        warnings=tuple(
            _warnings(counts, needed, len(unreadable), len(blank), exact, near, overlapping, contradictions, unlisted)
        ),
    )


def _duplicates(
    manifest: Manifest, thumbs: np.ndarray, blank: list[int], turned: bool
) -> tuple[list[list[int]], list[list[int]]]:
    """Groups of indices with equal pixels, and groups of near duplicates that are not all equal."""
    pairs = list(near_pairs(thumbs, threshold=NEAR, turned=turned))
    # Equal pixels give equal thumbnails, so only those candidates are decoded in full.
    candidates = {index for i, j, correlation in pairs if correlation > 0.999 for index in (i, j)} | set(blank)
    by_pixels: dict[str, list[int]] = defaultdict(list)
    for index in sorted(candidates):
        image = read_image(manifest.path(manifest.records[index]))
        by_pixels[hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()].append(index)
    exact = [group for group in by_pixels.values() if len(group) > 1]
    equal = {index: number for number, group in enumerate(exact) for index in group}
    groups = components(len(manifest), [(i, j) for i, j, _ in pairs])
    near = [group for group in groups if len({equal.get(index, -1 - index) for index in group}) > 1]
    return exact, near


def _overlapping(thumbs: np.ndarray, near: list[list[int]]) -> list[list[int]]:
    """Groups of indices that show parts of one field, without those that are near duplicates anyway."""
    group_of = {index: number for number, group in enumerate(near) for index in group}
    pairs = [(i, j) for i, j, _ in overlaps(thumbs) if group_of.get(i, -1) != group_of.get(j, -2)]
    return [group for group in components(len(thumbs), pairs) if len(group) > 1]


def _named(manifest: Manifest, groups: list[list[int]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(manifest.records[index].file for index in group) for group in groups)


def _warnings(
    counts: dict[str, int],
    needed: int,
    unreadable: int,
    blank: int,
    exact: list[list[int]],
    near: list[list[int]],
    overlapping: list[list[int]],
    contradictions: list[list[int]],
    unlisted: list[str],
) -> list[str]:
    """One sentence per thing to mend or to know, the gravest first."""
    warnings = []
    if unreadable:
        warnings.append(f"{unreadable} file(s) cannot be read; mend them or take them out before training.")
    too_few = [f"{name} {count}" for name, count in counts.items() if count < needed]
    few = [f"{name} {count}" for name, count in counts.items() if needed <= count < FEW]
    if too_few:
        warnings.append(f"Too few usable images to train, below {needed} of a type: {', '.join(too_few)}.")
    if few:
        warnings.append(f"Few images, below {FEW}: expect little variety and look for copies: {', '.join(few)}.")
    if contradictions:
        warnings.append(f"{len(contradictions)} group(s) of duplicates bear different types; decide which is right.")
    if exact:
        extra = sum(len(group) - 1 for group in exact)
        warnings.append(f"{extra} image(s) are exact copies of another; delete them.")
    if near:
        warnings.append(f"{len(near)} group(s) of near duplicates; a split keeps each group in one part.")
    if overlapping:
        warnings.append(
            f"{len(overlapping)} group(s) of images overlap, cut from one field; a split keeps each group in one part."
        )
    if blank:
        warnings.append(f"{blank} image(s) are of one shade and show no cell; take them out.")
    if unlisted:
        warnings.append(f"{len(unlisted)} image(s) in the folder belong to no type and are ignored.")
    return warnings
