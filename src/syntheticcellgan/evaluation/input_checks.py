"""What can be wrong with the images of an evaluation before anything is measured: refusals and warnings."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.cell_sets import CellSet
from syntheticcellgan.evaluation.context import Study
from syntheticcellgan.evaluation.statistics import MINIMUM

if TYPE_CHECKING:
    from syntheticcellgan.evaluation.sources import Sources

TOLERATED_OVERLAP = 0.01
"""Share of held-out images that may be byte for byte among the training images before the comparison is refused."""


def check_sets(real: CellSet, synthetic: CellSet, train: CellSet | None) -> None:
    """InputError for too few images of the same types, or grey images against coloured ones."""
    needed_real = MINIMUM if train is not None else 2 * MINIMUM
    shared = set(real.labels) & set(synthetic.labels)
    n_real, n_synthetic = (sum(label in shared for label in cells.labels) for cells in (real, synthetic))
    if n_real < needed_real or n_synthetic < MINIMUM:
        why = "" if train is not None else " (without training images half of the real ones are the yardstick)"
        raise InputError(
            f"{real.manifest.root} has {n_real} and {synthetic.manifest.root} {n_synthetic} images of the types that both "
            f"have; at least {needed_real} real{why} and {MINIMUM} synthetic ones are needed, better 100 of each type."
        )
    greys = real.grey.mean(), synthetic.grey.mean()
    if max(greys) > 0.9 and min(greys) < 0.1:
        grey, coloured = (real, synthetic) if greys[0] > greys[1] else (synthetic, real)
        raise InputError(
            f"The {grey.name} images ({grey.manifest.root}) are grey, the {coloured.name} ones coloured: every figure would "
            "only measure that. Give both in colour, or turn both grey."
        )


def input_warnings(study: Study, opened: Sources) -> list[dict[str, str]]:
    """What the reader must know about the images, each as kind and sentence. InputError if `real` was trained on."""
    notes: list[tuple[str, str]] = []
    real, synthetic = study.real, study.synthetic
    theirs = opened.chain.cell_types if opened.chain is not None else synthetic.counts
    for name in sorted(set(opened.real.cell_types) ^ set(theirs)):
        side, other = ("real", "synthetic") if name in opened.real.cell_types else ("synthetic", "real")
        notes.append(("types", f"There are {side} images of {name} and no {other} ones; the type is left out."))
    for cells in (real, synthetic):
        sizes = Counter(cells.sizes)
        if len(sizes) > 1:
            low, high = min(sizes), max(sizes)
            notes.append(
                (
                    "sizes",
                    f"The {cells.name} images have {len(sizes)} sizes ({low[1]}×{low[0]} to {high[1]}×{high[0]} pixels); all "
                    "are brought to one, so sharpness differs for that reason alone.",
                )
            )
    if real.side != synthetic.side:
        notes.append(
            (
                "sizes",
                f"Real images have {real.side} pixels a side, synthetic ones {synthetic.side}: they are brought to one size "
                "and taken to show the same field. Differences of sharpness and of cell size may come from that.",
            )
        )
    for cells in (real, synthetic):
        share = float(cells.grey.mean())
        if 0 < share < 1:
            notes.append(("grey", f"{share:.0%} of the {cells.name} images are grey, the others coloured."))
    same = sum((Counter(real.hashes) & Counter(synthetic.hashes)).values())
    if same:
        notes.append(("copies", f"{same} synthetic files are byte for byte the same as held-out real ones."))
    notes += _overlap(study)
    if study.train is None:
        notes.append(
            (
                "training",
                "No training images were given: classifiers learn from one half of the real images and are tested on the "
                "other, and distances are taken to half of them.",
            )
        )
    return [{"kind": kind, "sentence": sentence} for kind, sentence in notes]


def _overlap(study: Study) -> list[tuple[str, str]]:
    """Held-out images that are in the training set as well: refused beyond one in a hundred."""
    if not study.training_files:
        return []
    trained = {hashlib.sha256(path.read_bytes()).digest() for path in study.training_files}
    both = [file for file, content in zip(study.real.files, study.real.hashes, strict=True) if content in trained]
    if len(both) > TOLERATED_OVERLAP * len(study.real):
        raise InputError(
            f"{len(both)} of {len(study.real)} real images (the first is {both[0]}) are among the training images; images "
            "that were trained on cannot judge. Divide them with `scg data split` and give --split."
        )
    if both:
        return [("training", f"{len(both)} real images are among the training images as well, such as {both[0]}.")]
    return []
