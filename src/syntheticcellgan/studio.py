"""Cells one at a time for someone who looks on: made in small blocks, kept for a while, looked into, packed.

studio = Studio(["pbc-256"])
studio.picture(0, "eosinophil", seed=7)      # PNG file, with its provenance inside
studio.look_into(0, "eosinophil", seed=7)    # the basic image, measured morphology, nearest training fingerprint
studio.pack(0, [("eosinophil", 7)])          # zip: a folder per type, metadata.csv
studio.walk(0, ("monocyte", 1), ("monocyte", 2))  # the way from one cell to another
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from syntheticcellgan.errors import InputError
from syntheticcellgan.provenance import Provenance, encode, encode_sheet

if TYPE_CHECKING:
    from syntheticcellgan.evaluation.copies import Fingerprints
    from syntheticcellgan.pipeline import Cell, SyntheticCellGAN
    from syntheticcellgan.writer import Request

BLOCK = 8
"""Seeds that are made together: two micro-batches, one for each of two cores."""

KEPT = 512
"""Cells that are kept in memory, about 0.2 MB each; any other is made anew, the same."""

MOST_PACKED, MOST_FILLED = 500, 20_000

WALK, KEPT_WALKS = 17, 16

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
    """A bundle, loaded when it is first needed. place: folder, zip or shipped name."""

    def __init__(self, place: str, title: str) -> None:
        self.place, self.title = place, title

    @cached_property
    def chain(self) -> SyntheticCellGAN:
        from syntheticcellgan.pipeline import SyntheticCellGAN

        return SyntheticCellGAN.load(self.place)

    @cached_property
    def fingerprints(self) -> Fingerprints | None:
        from syntheticcellgan.evaluation.copies import Fingerprints

        content = self.chain.bundle.fingerprints
        return None if content is None else Fingerprints.from_bytes(content)


class Studio:
    """Several bundles; safe to use from many threads, of which one at a time generates."""

    def __init__(self, bundles: Sequence[str]) -> None:
        self._loaded: list[Loaded] = []
        self._cells: OrderedDict[tuple[int, str, int, float], Cell] = OrderedDict()
        self._walks: OrderedDict[Any, list[bytes]] = OrderedDict()
        self._busy, self._table = threading.Lock(), threading.Lock()

        for place in bundles:
            self.offer(place)

    def offer(self, place: str, title: str = "") -> int:
        """Add a bundle, if it is not there yet; its number."""
        with self._table:
            known = [loaded.place for loaded in self._loaded]
            if place not in known:
                path = Path(place)
                own = path.parent.name if path.name == "bundle" else path.stem
                self._loaded.append(Loaded(place, title or own or place))
                known.append(place)
            return known.index(place)

    @property
    def names(self) -> list[str]:
        """What the bundles are called."""
        return [loaded.title for loaded in self._loaded]

    @property
    def places(self) -> list[str]:
        """Where they lie, or their shipped names."""
        return [loaded.place for loaded in self._loaded]

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

    def walk(self, bundle: int, start: tuple[str, int], end: tuple[str, int], truncation: float = 1.0) -> list[bytes]:
        """The way from one cell (type, seed) to another, `WALK` PNG files; InputError as `SyntheticCellGAN.walk`."""
        chain = self.chain(bundle)
        ends = (chain.find_type(start[0]), start[1]), (chain.find_type(end[0]), end[1])
        key = bundle, *ends, truncation
        with self._table:
            if key in self._walks:
                return self._walks[key]
        with self._busy:
            # Whoever waited for the same walk finds it made.
            if key not in self._walks:
                images = chain.walk(*ends, WALK, truncation)
                made = {"bundle": chain.bundle.name, "bundle_id": chain.bundle.id, "truncation": truncation}
                files = [
                    encode_sheet(Image.fromarray(image), {**made, "between": ends, "share": k / (WALK - 1)})
                    for k, image in enumerate(images)
                ]
                with self._table:
                    self._walks[key] = files
                    while len(self._walks) > KEPT_WALKS:
                        self._walks.popitem(last=False)
            return self._walks[key]

    def pack(self, bundle: int, wanted: Sequence[tuple[str, int]], truncation: float = 1.0) -> bytes:
        """A zip of these (cell type, seed), see `packing.pack`.

        Raises:
            InputError: none or too many, or as `cell`.
        """
        from syntheticcellgan.packing import pack

        wanted = list(dict.fromkeys(wanted))
        if not 1 <= len(wanted) <= MOST_PACKED:
            raise InputError(f"{len(wanted)} cells were chosen; 1 to {MOST_PACKED} fit. Use scg generate for more.")
        made_by = self.chain(bundle).bundle
        cells = (self.cell(bundle, name, seed, truncation) for name, seed in wanted)
        return b"".join(pack(cells, made_by.name, made_by.id, truncation))

    def fill_up(self, bundle: int, requests: Sequence[Request], truncation: float = 1.0) -> Iterator[bytes]:
        """The pieces of a zip with the cells of all requests, made while they are taken.

        Raises:
            InputError: nothing or too much is asked for, or as `cell`; before the first piece.
        """
        from syntheticcellgan.packing import pack
        from syntheticcellgan.pipeline import check_seeds, check_truncation

        chain = self.chain(bundle)
        total = sum(r.count for r in requests)
        if not 1 <= total <= MOST_FILLED or any(r.count < 0 for r in requests):
            raise InputError(
                f"{total:,} cells are asked for; 1 to {MOST_FILLED:,} fit into one file. For more: scg generate "
                "--balance-with."
            )
        check_truncation(truncation)
        for r in requests:
            check_seeds(r.seed, max(r.count, 1))
        named = [(chain.find_type(r.cell_type), r) for r in requests]
        pairs = [(name, r.seed + k) for name, r in named for k in range(r.count)]
        return pack(self._in_turns(chain, pairs, truncation), chain.bundle.name, chain.bundle.id, truncation)

    def _in_turns(self, chain: SyntheticCellGAN, pairs: Sequence[tuple[str, int]], truncation: float) -> Iterator[Cell]:
        """Cells in blocks, between which others have their turn."""
        for first in range(0, len(pairs), 4 * BLOCK):
            with self._busy:
                block = list(chain.stream(pairs[first : first + 4 * BLOCK], truncation))
            yield from block

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
