"""Cells one at a time for someone who looks on: made in small blocks, kept for a while, looked into, packed.

studio = Studio(["pbc-256"])
studio.picture(0, "eosinophil", seed=7)      # PNG file, with its provenance inside
studio.look_into(0, "eosinophil", seed=7)    # the basic image, measured morphology, nearest training fingerprint
studio.pack(0, [("eosinophil", 7)])          # zip: a folder per type, metadata.csv
"""

from __future__ import annotations

import csv
import io
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from syntheticcellgan.errors import InputError
from syntheticcellgan.provenance import FORMATS, Provenance, encode

if TYPE_CHECKING:
    from syntheticcellgan.evaluation.copies import Fingerprints
    from syntheticcellgan.pipeline import Cell, SyntheticCellGAN

BLOCK = 8
"""Seeds that are made together: two micro-batches, one for each of two cores."""

KEPT = 512
"""Cells that are kept in memory, about 0.2 MB each; any other is made anew, the same."""

MOST_PACKED = 500

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


class Loaded:
    """A bundle, loaded when it is first needed."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def chain(self) -> SyntheticCellGAN:
        from syntheticcellgan.pipeline import SyntheticCellGAN

        return SyntheticCellGAN.load(self.name)

    @cached_property
    def fingerprints(self) -> Fingerprints | None:
        from syntheticcellgan.evaluation.copies import Fingerprints

        content = self.chain.bundle.fingerprints
        return None if content is None else Fingerprints.from_bytes(content)


class Studio:
    """Several bundles; safe to use from many threads, of which one at a time generates."""

    def __init__(self, bundles: Sequence[str]) -> None:
        self._loaded = [Loaded(name) for name in bundles]
        self._cells: OrderedDict[tuple[int, str, int, float], Cell] = OrderedDict()
        self._busy, self._table = threading.Lock(), threading.Lock()

    @property
    def names(self) -> list[str]:
        """Names of the bundles, as given."""
        return [Path(loaded.name).stem for loaded in self._loaded]

    def chain(self, bundle: int) -> SyntheticCellGAN:
        """The loaded bundle of this number; InputError if there is none."""
        if not 0 <= bundle < len(self._loaded):
            raise InputError("There is no such bundle here.")
        with self._busy:
            return self._loaded[bundle].chain

    def warm_up(self) -> None:
        """Load the first bundle and make one block, so that the first visitor need not wait for it."""
        chain = self.chain(0)
        self.cell(0, chain.cell_types[0], 0)

    def cell(self, bundle: int, cell_type: str, seed: int, truncation: float = 1.0) -> Cell:
        """One cell; its neighbours of the same block are made with it.

        Raises:
            InputError: unknown type, or a seed or truncation out of range.
        """
        from syntheticcellgan.pipeline import check_seeds, check_truncation

        chain = self.chain(bundle)
        name = chain.find_type(cell_type)
        check_seeds(seed)
        check_truncation(truncation)
        found = self._kept(bundle, name, seed, truncation)
        if found is not None:
            return found
        with self._busy:
            # Whoever waited for the same block finds it made.
            found = self._kept(bundle, name, seed, truncation)
            if found is not None:
                return found
            first = seed - seed % BLOCK
            cells = list(chain.stream(((name, s) for s in range(first, first + BLOCK)), truncation))
        with self._table:
            for cell in cells:
                self._cells[bundle, name, cell.seed, truncation] = cell
            while len(self._cells) > KEPT:
                self._cells.popitem(last=False)
        return cells[seed - first]

    def _kept(self, bundle: int, name: str, seed: int, truncation: float) -> Cell | None:
        with self._table:
            key = bundle, name, seed, truncation
            if key in self._cells:
                self._cells.move_to_end(key)
            return self._cells.get(key)

    def picture(self, bundle: int, cell_type: str, seed: int, truncation: float = 1.0) -> bytes:
        """The cell as a PNG file, the very one that `scg generate` writes; InputError as `cell`."""
        cell = self.cell(bundle, cell_type, seed, truncation)
        return encode(cell.image, "png", self._provenance(bundle, cell, truncation))

    def _provenance(self, bundle: int, cell: Cell, truncation: float) -> Provenance:
        made_by = self.chain(bundle).bundle
        return Provenance(made_by.name, made_by.id, cell.cell_type, cell.seed, truncation)

    def look_into(self, bundle: int, cell_type: str, seed: int, truncation: float = 1.0) -> Insight:
        """The cell's basic image, morphology and nearest training image; InputError as `cell`."""
        cell = self.cell(bundle, cell_type, seed, truncation)
        buffer = io.BytesIO()
        Image.fromarray(cell.basic).save(buffer, "PNG")
        notes: list[str] = []
        measures = _measured(cell, notes)
        distance, nearer = self._nearest(bundle, cell, notes)
        return Insight(buffer.getvalue(), measures, distance, nearer, tuple(notes))

    def _nearest(self, bundle: int, cell: Cell, notes: list[str]) -> tuple[float | None, float | None]:
        from syntheticcellgan.evaluation.fingerprint import nearest, views

        known = self._loaded[bundle].fingerprints
        if known is None:
            notes.append("The bundle carries no fingerprints of its training images.")
            return None, None
        distance = 1 - float(nearest(views([cell.image]), known.descriptors).similarity[0])
        return distance, float(np.mean(known.baseline < distance))

    def pack(self, bundle: int, wanted: Sequence[tuple[str, int]], truncation: float = 1.0) -> bytes:
        """A zip of these (cell type, seed): a folder per type, each file with its provenance, and metadata.csv.

        Raises:
            InputError: none or too many, or as `cell`.
        """
        from syntheticcellgan.writer import COLUMNS

        wanted = list(dict.fromkeys(wanted))
        if not 1 <= len(wanted) <= MOST_PACKED:
            raise InputError(f"{len(wanted)} cells were chosen; 1 to {MOST_PACKED} fit. Use scg generate for more.")
        table = io.StringIO()
        rows = csv.writer(table)
        rows.writerow(COLUMNS)
        made_by, buffer = self.chain(bundle).bundle, io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as packed:
            for name, seed in wanted:
                cell = self.cell(bundle, name, seed, truncation)
                file = f"{cell.cell_type}/{cell.cell_type}-{seed:08d}{FORMATS['png']}"
                packed.writestr(file, encode(cell.image, "png", self._provenance(bundle, cell, truncation)))
                rows.writerow([file, cell.cell_type, seed, truncation, made_by.name, made_by.id, "yes"])
            packed.writestr("metadata.csv", table.getvalue())
        return buffer.getvalue()

    def card(self, bundle: int) -> dict[str, Any]:
        """What the bundle says of itself."""
        return self.chain(bundle).bundle.card

    def samples(self, bundle: int) -> bytes | None:
        """The bundle's own sheet of samples, a PNG file."""
        from syntheticcellgan.bundle_files import read_files

        return read_files(self.chain(bundle).bundle.path).get("samples.png")


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
