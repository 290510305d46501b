"""Where the images of a session can come from: folders named when the server starts, a bundle, an uploaded archive.

    with real.opened(per_type) as manifest: ...

Nothing that a user typed or packed is ever used as a path: a source is chosen by its number, and an archive's images
are unpacked under names of our own.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from syntheticcellgan.cell_types import resolve
from syntheticcellgan.data.images import is_image_file
from syntheticcellgan.data.manifest import Manifest, Record, read_manifest
from syntheticcellgan.data.sample import sample_folder
from syntheticcellgan.errors import InputError
from syntheticcellgan.review.tables import REAL, SYNTHETIC

MAX_FILES = 20_000
MAX_FILE = 64 * 1024 * 1024
MAX_TOTAL = 4 * 1024 * 1024 * 1024
MAX_RATIO = 200
"""Unpacked to packed bytes; images hardly shrink in an archive, a bomb does."""


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


@contextmanager
def unpacked(archive: IO[bytes]) -> Iterator[Manifest]:
    """The images of an uploaded zip, each of the type that its folder is named after; gone afterwards.

    Raises:
        InputError: no zip, no images in folders, too many or too large files, or a compression no image has.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(archive) as packed:
                records = tuple(_unpack(packed, Path(folder)))
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, UnicodeError) as error:
            raise InputError(f"The uploaded file is no zip archive that can be read ({error}).") from error
        try:
            yield Manifest(Path(folder), records)
        except InputError as error:  # about an image: by the name that the user knows
            sentence = str(error)
            for record in records:
                sentence = sentence.replace(str(Path(folder) / record.file), record.attributes["source"])
            raise InputError(sentence) from error


def _unpack(packed: zipfile.ZipFile, folder: Path) -> Iterator[Record]:
    entries = [entry for entry in packed.infolist() if not entry.is_dir()]
    total = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_FILES or total > MAX_TOTAL:
        raise InputError(f"The archive holds {len(entries):,} files of {total / 2**20:,.0f} MiB; that is too much.")
    found = 0
    for number, entry in enumerate(entries):
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        if not is_image_file(name.name) or len(name.parts) < 2 or "__MACOSX" in name.parts:
            continue
        if entry.file_size > MAX_FILE or entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
            raise InputError(f"{name.name[:100]} in the archive is larger than an image of a cell can be.")
        try:
            cell_type = resolve(name.parts[-2]).name
        except ValueError:
            raise InputError("A folder in the archive has no name that could be a cell type's.") from None
        target = f"{number}{name.suffix.lower()}"
        with packed.open(entry) as source, open(folder / target, "wb") as out:
            _copy(source, out)
        found += 1
        yield Record(target, cell_type[:200], attributes={"source": "/".join(name.parts[-2:])[:300]})
    if not found:
        raise InputError("The archive holds no images in folders named after cell types.")


def _copy(source: IO[bytes], out: IO[bytes]) -> None:
    """At most `MAX_FILE` bytes: the size in an archive's table may be a lie."""
    shutil.copyfileobj(_Limited(source), out)


class _Limited:
    def __init__(self, source: IO[bytes]) -> None:
        self.source, self.left = source, MAX_FILE

    def read(self, size: int = -1) -> bytes:
        content = self.source.read(min(size, self.left + 1) if size >= 0 else self.left + 1)
        self.left -= len(content)
        if self.left < 0:
            raise InputError("A file in the archive is larger than it says.")
        return content
