"""What is known about one synthetic cell: what the low-resolution stage drew, its morphology, its nearest training image.

look_into(cell, own_look, fingerprints, attributes) -> Insight
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from syntheticcellgan.bundle_attributes import Attributes
    from syntheticcellgan.evaluation.copies import Fingerprints
    from syntheticcellgan.pipeline import Cell

# Name, title, unit, decimals.
_MEASURES = (
    ("nc_ratio", "Nucleus : cell area", "", 2),
    ("lobes", "Lobes of the nucleus", "", 0),
    ("nucleus_solidity", "Solidity of the nucleus (1: without dents)", "", 2),
    ("nucleus_circularity", "Circularity of the nucleus (1: a disc)", "", 2),
    ("cell_circularity", "Circularity of the cell (1: a disc)", "", 2),
    ("cell_area", "Area of the cell", "pixels", 0),
    ("nucleus_area", "Area of the nucleus", "pixels", 0),
    ("chromatin_texture", "Texture of the chromatin (spread of fine detail)", "L*", 1),
    ("granularity", "Granularity of the cytoplasm (spread of fine detail)", "L*", 1),
)
_COMMON = slice(1, 20, 18)  # of 21 quantiles, those of 5 and 95 %


@dataclass(frozen=True)
class Measure:
    """One measured property, as people read it. unit: "" for a ratio or a count; L*: CIE lightness, 0 to 100.

    common: between which values nine of ten real training cells of the type lie; None where the bundle does not know.
    """

    title: str
    unit: str
    value: float
    common: tuple[float, float] | None
    decimals: int

    @property
    def shown(self) -> str:
        """With its unit, “14,544 pixels”."""
        return f"{self._said(self.value)} {self.unit}".rstrip()

    @property
    def common_shown(self) -> str:
        """“10,126 – 18,824”, or nothing."""
        return "" if self.common is None else " – ".join(self._said(value) for value in self.common)

    @property
    def beside(self) -> str:
        """“below” or “above” the common values; else nothing."""
        if self.common is None:
            return ""
        return "below" if self.value < self.common[0] else "above" if self.value > self.common[1] else ""

    def _said(self, value: float) -> str:
        return f"{value:,.{self.decimals}f}"


@dataclass(frozen=True)
class Insight:
    """What is known about one cell.

    basic: the low-resolution stage's image as a PNG file. measures: without those that could not be measured. distance:
    to the nearest training image by fingerprint, 0 (the same picture) to 1; nearer: share of held-out real cells that lie
    nearer to one. None, with a note, where it could not be found out.
    """

    basic: bytes
    measures: tuple[Measure, ...]
    distance: float | None
    nearer: float | None
    notes: tuple[str, ...]


def look_into(
    cell: Cell, own_look: Cell, fingerprints: Fingerprints | None, attributes: Attributes | None = None
) -> Insight:
    """What is known about `cell`; own_look: the same in its bundle's look, in which a copy is looked for (another stain
    must not hide one). fingerprints, attributes: the bundle's, if it has them.
    """
    buffer = io.BytesIO()
    Image.fromarray(cell.basic).save(buffer, "PNG")
    notes: list[str] = []
    measures = _measured(cell, attributes, notes)
    distance, nearer = _nearest(own_look, fingerprints, notes)
    return Insight(buffer.getvalue(), measures, distance, nearer, tuple(notes))


def _nearest(cell: Cell, known: Fingerprints | None, notes: list[str]) -> tuple[float | None, float | None]:
    from syntheticcellgan.evaluation.fingerprint import nearest, views

    if known is None:
        notes.append("The bundle carries no fingerprints of its training images.")
        return None, None
    distance = 1 - float(nearest(views([cell.image]), known.descriptors).similarity[0])
    return distance, float(np.mean(known.baseline < distance))


def _measured(cell: Cell, known: Attributes | None, notes: list[str]) -> tuple[Measure, ...]:
    try:
        from syntheticcellgan.evaluation.morphology import NOT_NUCLEATED, measure
    except ModuleNotFoundError as error:
        notes.append(f"The morphology is not measured: {error.name} is missing (the extra “evaluation” has it).")
        return ()
    found = measure(cell.image, nucleated=cell.cell_type not in NOT_NUCLEATED)
    if found.failure:
        notes.append(f"The morphology could not be measured: {found.failure}.")
    return tuple(
        Measure(title, unit, value, _common(known, name, cell.cell_type), decimals)
        for name, title, unit, decimals in _MEASURES
        if np.isfinite(value := float(getattr(found, name)))
    )


def _common(known: Attributes | None, name: str, cell_type: str) -> tuple[float, float] | None:
    size = None if known is None else known.size(name)
    quantiles = None if size is None else size.quantiles.get(cell_type)
    if quantiles is None:
        return None
    low, high = quantiles[_COMMON]
    return low, high
