"""Cells one at a time for someone who looks on: made in small blocks, kept for a while, looked into, packed.

studio = Studio(["pbc-256"])
studio.picture(Manner(), "eosinophil", seed=7)      # PNG file, with its provenance inside
studio.look_into(Manner(), "eosinophil", seed=7)    # the basic image, measured morphology, nearest training fingerprint
studio.pack(Manner(truncation=0.8), [("eosinophil", 7)])            # zip: a folder per type, metadata.csv
studio.walk(Manner(), ("monocyte", 1), ("monocyte", 2))             # the way from one cell to another
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from syntheticcellgan.errors import InputError
from syntheticcellgan.heap import give_back
from syntheticcellgan.provenance import encode, encode_sheet

if TYPE_CHECKING:
    from syntheticcellgan.evaluation.copies import Fingerprints
    from syntheticcellgan.insight import Insight
    from syntheticcellgan.pipeline import Cell, SyntheticCellGAN
    from syntheticcellgan.stain.look import Look
    from syntheticcellgan.writer import Request

BLOCK = 8
"""Seeds that are made together: two micro-batches, one for each of two cores."""

KEPT = 512
"""Cells that are kept in memory, about 0.2 MB each; any other is made anew, the same."""

MOST_PACKED, MOST_FILLED = 500, 20_000

WALK, KEPT_WALKS = 17, 16


@dataclass(frozen=True)
class Manner:
    """How cells are made: everything beside their type and seed that determines them.

    bundle: its number in the studio. look: id of the laboratory's look that they get, "" for the bundle's own. features:
    (name, value) of each that they are to show.
    """

    bundle: int = 0
    truncation: float = 1.0
    look: str = ""
    features: tuple[tuple[str, str], ...] = ()


class Loaded:
    """A bundle, loaded when it is first needed. place: folder, zip or shipped name."""

    def __init__(self, place: str, title: str) -> None:
        self.place, self.title = place, title
        self._in_looks: dict[tuple[str, str], SyntheticCellGAN] = {}

    @cached_property
    def chain(self) -> SyntheticCellGAN:
        from syntheticcellgan.pipeline import SyntheticCellGAN

        return SyntheticCellGAN.load(self.place)

    @cached_property
    def fingerprints(self) -> Fingerprints | None:
        from syntheticcellgan.evaluation.copies import Fingerprints

        content = self.chain.bundle.fingerprints
        return None if content is None else Fingerprints.from_bytes(content)

    def in_look(self, look: Look) -> SyntheticCellGAN:
        """The chain whose cells get this look; the first one has the bundle's own look measured, some seconds."""
        key = look.id, look.name
        if key not in self._in_looks:
            self._in_looks[key] = self.chain.in_style(look)
        return self._in_looks[key]


class Studio:
    """Several bundles and looks; safe to use from many threads, of which one at a time generates."""

    def __init__(self, bundles: Sequence[str]) -> None:
        self._loaded: list[Loaded] = []
        self._looks: dict[str, Look] = {}
        self._cells: OrderedDict[tuple[Manner, str, int], Cell] = OrderedDict()
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

    def offer_looks(self, looks: Sequence[Look]) -> None:
        """These looks, and no others, can be asked for by their ids."""
        with self._table:
            self._looks = {look.id: look for look in looks}

    @property
    def names(self) -> list[str]:
        """What the bundles are called."""
        return [loaded.title for loaded in self._loaded]

    @property
    def places(self) -> list[str]:
        """Where they lie, or their shipped names."""
        return [loaded.place for loaded in self._loaded]

    @property
    def looks(self) -> dict[str, Look]:
        """By id."""
        return dict(self._looks)

    def chain(self, bundle: int) -> SyntheticCellGAN:
        """The loaded bundle of this number; InputError if there is none."""
        loaded = self._known(bundle)
        with self._busy:
            return loaded.chain

    def _known(self, bundle: int) -> Loaded:
        if not 0 <= bundle < len(self._loaded):
            raise InputError("There is no such bundle here.")
        return self._loaded[bundle]

    def check(self, manner: Manner) -> None:
        """InputError if there is no such bundle or look, or the truncation is out of range."""
        from syntheticcellgan.pipeline import check_truncation

        self._known(manner.bundle)
        check_truncation(manner.truncation)
        if manner.look and manner.look not in self._looks:
            raise InputError("There is no such look here; choose one of the list, or send it again.")

    def _made(self, manner: Manner) -> SyntheticCellGAN:
        """What makes cells in this manner, truncation apart; InputError as `check`."""
        self.check(manner)
        loaded, look = self._known(manner.bundle), self._looks.get(manner.look)
        with self._busy:
            chain = loaded.chain if look is None else loaded.in_look(look)
        return chain.steered(dict(manner.features)) if manner.features else chain

    def features(self, bundle: int) -> dict[str, tuple[str, ...]]:
        """The features that can be asked for, and the values of each; those of a size are words for thirds."""
        from syntheticcellgan.wanted import THIRDS

        known = self.chain(bundle).bundle.attributes
        if known is None:
            return {}
        return {one.name: one.values for one in known.attributes} | {one.name: tuple(THIRDS) for one in known.sizes}

    def check_features(self, manner: Manner, cell_type: str) -> None:
        """InputError if the bundle does not know the wanted features, or the type does not show them."""
        chain = self._made(manner)
        chain.check_features([chain.find_type(cell_type)])

    def warm_up(self) -> None:
        """Load the first bundle, make one block and look into a cell, so that the first visitor waits for none of it."""
        name = self.chain(0).cell_types[0]
        self.cell(Manner(), name, 0)
        with suppress(ImportError):  # without an extra, the page of a cell says so
            self.look_into(Manner(), name, 0)

    def cell(self, manner: Manner, cell_type: str, seed: int) -> Cell:
        """One cell; its neighbours of the same block are made with it.

        Raises:
            InputError: unknown bundle, look or type, a seed or truncation out of range, or features that cannot be had.
        """
        from syntheticcellgan.pipeline import check_seeds

        chain = self._made(manner)
        name = chain.find_type(cell_type)
        check_seeds(seed)
        found = self._kept(manner, name, seed)
        if found is not None:
            return found
        with self._busy:
            # Whoever waited for the same block finds it made.
            found = self._kept(manner, name, seed)
            if found is not None:
                return found
            first = seed - seed % BLOCK
            cells = list(chain.stream(((name, s) for s in range(first, first + BLOCK)), manner.truncation))
            give_back()
        with self._table:
            for cell in cells:
                self._cells[manner, name, cell.seed] = cell
            while len(self._cells) > KEPT:
                self._cells.popitem(last=False)
        return cells[seed - first]

    def _kept(self, manner: Manner, name: str, seed: int) -> Cell | None:
        with self._table:
            key = manner, name, seed
            if key in self._cells:
                self._cells.move_to_end(key)
            return self._cells.get(key)

    def picture(self, manner: Manner, cell_type: str, seed: int) -> bytes:
        """The cell as a PNG file, the very one that `scg generate` writes; InputError as `cell`."""
        from syntheticcellgan.writer import provenance_of

        cell = self.cell(manner, cell_type, seed)
        return encode(
            cell.image, "png", provenance_of(self._made(manner), cell.cell_type, cell.seed, manner.truncation, cell)
        )

    def look_into(self, manner: Manner, cell_type: str, seed: int) -> Insight:
        """The cell's basic image, morphology and nearest training image; InputError as `cell`."""
        from syntheticcellgan.insight import look_into

        own, bundle = self.cell(replace(manner, look=""), cell_type, seed), self._loaded[manner.bundle]
        return look_into(self.cell(manner, cell_type, seed), own, bundle.fingerprints, bundle.chain.bundle.attributes)

    def walk(self, manner: Manner, start: tuple[str, int], end: tuple[str, int]) -> list[bytes]:
        """The way from one cell (type, seed) to another, `WALK` PNG files; InputError as `SyntheticCellGAN.walk`."""
        from syntheticcellgan.writer import manner_of, style_of

        chain = self._made(manner)
        ends = (chain.find_type(start[0]), start[1]), (chain.find_type(end[0]), end[1])
        key = manner, *ends, tuple(style_of(chain).values())
        with self._table:
            if key in self._walks:
                return self._walks[key]
        with self._busy:
            # Whoever waited for the same walk finds it made.
            if key not in self._walks:
                images = chain.walk(*ends, WALK, manner.truncation)
                give_back()
                made = manner_of(chain, manner.truncation)
                files = [
                    encode_sheet(Image.fromarray(image), {**made, "between": ends, "share": k / (WALK - 1)})
                    for k, image in enumerate(images)
                ]
                with self._table:
                    self._walks[key] = files
                    while len(self._walks) > KEPT_WALKS:
                        self._walks.popitem(last=False)
            return self._walks[key]

    def pack(self, manner: Manner, wanted: Sequence[tuple[str, int]]) -> bytes:
        """A zip of these (cell type, seed), see `packing.pack`.

        Raises:
            InputError: none or too many, or as `cell`.
        """
        from syntheticcellgan.packing import pack

        wanted = list(dict.fromkeys(wanted))
        if not 1 <= len(wanted) <= MOST_PACKED:
            raise InputError(f"{len(wanted)} cells were chosen; 1 to {MOST_PACKED} fit. Use scg generate for more.")
        cells = (self.cell(manner, name, seed) for name, seed in wanted)
        return b"".join(pack(self._made(manner), cells, manner.truncation))

    def fill_up(self, manner: Manner, requests: Sequence[Request]) -> Iterator[bytes]:
        """The pieces of a zip with the cells of all requests, made while they are taken.

        Raises:
            InputError: nothing or too much is asked for, or as `cell`; before the first piece.
        """
        from syntheticcellgan.packing import pack
        from syntheticcellgan.pipeline import check_seeds

        chain = self._made(manner)
        total = sum(r.count for r in requests)
        if not 1 <= total <= MOST_FILLED or any(r.count < 0 for r in requests):
            raise InputError(
                f"{total:,} cells are asked for; 1 to {MOST_FILLED:,} fit into one file. For more: scg generate "
                "--balance-with."
            )
        for r in requests:
            check_seeds(r.seed, max(r.count, 1))
        named = [(chain.find_type(r.cell_type), r) for r in requests]
        pairs = [(name, r.seed + k) for name, r in named for k in range(r.count)]
        return pack(chain, self._in_turns(chain, pairs, manner.truncation), manner.truncation)

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
