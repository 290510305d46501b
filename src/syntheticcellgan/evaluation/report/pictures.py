"""The pictures of a report, inside the page: cells in rows, and pairs of nearest images.

Real and synthetic images go through the same resizing and the same JPEG encoding, so that neither gives itself away.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.evaluation.cell_sets import CellSet
from syntheticcellgan.evaluation.context import Study
from syntheticcellgan.evaluation.report.rows import Section

SHOWN = 8  # cells per type and side
_SIDE = 128


@dataclass(frozen=True)
class Pictures:
    """samples: per type the first synthetic and real cells in order. copies, duplicates: nearest pairs. All data URIs."""

    samples: Mapping[str, tuple[tuple[str, ...], ...]]
    copies: tuple[tuple[str, str | None], ...] = ()
    duplicates: tuple[tuple[str, str | None], ...] = ()


def gather(study: Study, sections: Mapping[str, Section]) -> Pictures:
    """All pictures that the sections speak of."""

    def closest(name: str) -> Sequence[Mapping[str, Any]]:
        return sections[name].details.get("closest", ()) if name in sections else ()

    made = study.synthetic.paths
    return Pictures(
        samples(study.real, study.synthetic, study.types),
        pairs(closest("copies"), made, study.training_files),
        pairs(closest("duplicates"), made, made),
    )


def samples(real: CellSet, synthetic: CellSet, types: Sequence[str]) -> dict[str, tuple[tuple[str, ...], ...]]:
    """The first `SHOWN` cells of each type in the order of the files, never picked."""
    held = {}
    for name in types:
        sides = []
        for cells in (synthetic, real):
            paths = [path for path, label in zip(cells.paths, cells.labels, strict=True) if label == name]
            sides.append(tuple(data_uri(path) for path in paths[:SHOWN]))
        held[name] = tuple(sides)
    return held


def pairs(
    found: Sequence[Mapping[str, Any]], left: Sequence[Path], right: Sequence[Path]
) -> tuple[tuple[str, str | None], ...]:
    """Pictures of pairs as sections list them; None where the other image is not at hand."""
    return tuple(
        (
            data_uri(left[pair["synthetic_index"]]),
            data_uri(right[pair["other_index"]]) if pair["other_index"] < len(right) else None,
        )
        for pair in found
    )


def data_uri(path: Path, side: int = _SIDE) -> str:
    """The centre square as a JPEG inside an address."""
    held = io.BytesIO()
    Image.fromarray(resize_square(read_image(path), side)).save(held, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(held.getvalue()).decode()
