"""Where the images of a session can come from: folders named when the server starts, or a bundle.

    with real.opened(per_type) as manifest: ...

Nothing that a user typed is ever used as a path: a source is chosen by its number.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from syntheticcellgan.data.manifest import Manifest, read_manifest
from syntheticcellgan.data.sample import sample_folder
from syntheticcellgan.review.tables import REAL, SYNTHETIC


@dataclass(frozen=True)
class Source:
    """place: a data set's folder, or a bundle that makes synthetic cells when the session is made."""

    title: str
    truth: str
    place: Path | str
    is_bundle: bool = False

    @contextmanager
    def opened(self, per_type: int, cell_types: tuple[str, ...] = (), seed: int = 0) -> Iterator[Manifest]:
        """Its images; a bundle makes `per_type` cells of each type (all that it knows if none are named)."""
        if not self.is_bundle:
            yield read_manifest(self.place)
            return
        from syntheticcellgan.pipeline import SyntheticCellGAN
        from syntheticcellgan.writer import Request, write_cells

        chain = SyntheticCellGAN.load(self.place)
        names = [chain.find_type(name) for name in cell_types] or list(chain.cell_types)
        with tempfile.TemporaryDirectory() as folder:
            write_cells(chain, [Request(name, per_type, seed) for name in names], Path(folder) / "cells")
            yield read_manifest(Path(folder) / "cells")


def known_sources(real: list[Path], synthetic: list[Path], bundles: list[str]) -> list[Source]:
    """The shipped sample, the given folders and bundles. InputError if a folder holds no data set."""
    for folder in (*real, *synthetic):
        read_manifest(folder)
    return [
        Source("Shipped sample: 160 real cells of ten types", REAL, sample_folder()),
        *(Source(f"Folder {folder.resolve().name}", REAL, folder) for folder in real),
        *(Source(f"Made now by {Path(name).stem}", SYNTHETIC, name, True) for name in bundles),
        *(Source(f"Folder {folder.resolve().name}", SYNTHETIC, folder) for folder in synthetic),
    ]
