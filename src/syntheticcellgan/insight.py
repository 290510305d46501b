"""What is known about one synthetic cell: what the low-resolution stage drew, its morphology, its nearest training image.

look_into(cell, own_look, fingerprints) -> Insight
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from syntheticcellgan.evaluation.copies import Fingerprints
    from syntheticcellgan.pipeline import Cell

_MEASURES = {
    "nc_ratio": "Nucleus : cell area",
    "lobes": "Lobes of the nucleus",
    "nucleus_solidity": "Solidity of the nucleus (1: without dents)",
    "nucleus_circularity": "Circularity of the nucleus (1: a disc)",
    "cell_circularity": "Circularity of the cell",
    "cell_area": "Area of the cell, pixels",
    "chromatin_texture": "Texture of the chromatin",
    "granularity": "Granularity of the cytoplasm",
}


@dataclass(frozen=True)
class Insight:
    """What is known about one cell.

    basic: the low-resolution stage's image as a PNG file. measures: by name for people, without those that could not be
    measured. distance: to the nearest training image by fingerprint, 0 (the same picture) to 1; nearer: share of
    held-out real cells that lie nearer to one. None, with a note, where it could not be found out.
    """

    basic: bytes
    measures: dict[str, float]
    distance: float | None
    nearer: float | None
    notes: tuple[str, ...]


def look_into(cell: Cell, own_look: Cell, fingerprints: Fingerprints | None) -> Insight:
    """What is known about `cell`; own_look: the same in its bundle's look, in which a copy is looked for (another stain
    must not hide one).
    """
    buffer = io.BytesIO()
    Image.fromarray(cell.basic).save(buffer, "PNG")
    notes: list[str] = []
    measures = _measured(cell, notes)
    distance, nearer = _nearest(own_look, fingerprints, notes)
    return Insight(buffer.getvalue(), measures, distance, nearer, tuple(notes))


def _nearest(cell: Cell, known: Fingerprints | None, notes: list[str]) -> tuple[float | None, float | None]:
    from syntheticcellgan.evaluation.fingerprint import nearest, views

    if known is None:
        notes.append("The bundle carries no fingerprints of its training images.")
        return None, None
    distance = 1 - float(nearest(views([cell.image]), known.descriptors).similarity[0])
    return distance, float(np.mean(known.baseline < distance))


def _measured(cell: Cell, notes: list[str]) -> dict[str, float]:
    try:
        from syntheticcellgan.evaluation.morphology import NOT_NUCLEATED, measure
    except ModuleNotFoundError as error:
        notes.append(f"The morphology is not measured: {error.name} is missing (the extra “evaluation” has it).")
        return {}
    found = measure(cell.image, nucleated=cell.cell_type not in NOT_NUCLEATED)
    if found.failure:
        notes.append(f"The morphology could not be measured: {found.failure}.")
    values = {title: float(getattr(found, name)) for name, title in _MEASURES.items()}
    return {title: value for title, value in values.items() if np.isfinite(value)}
