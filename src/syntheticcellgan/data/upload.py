"""Data sets that someone sends: a zip with a folder per cell type.

Nothing in the archive is trusted: sizes and ratios are limited, and its images lie under names of our own.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from syntheticcellgan.cell_types import resolve
from syntheticcellgan.data.images import is_image_file
from syntheticcellgan.data.manifest import Manifest, Record
from syntheticcellgan.errors import InputError

MAX_FILES = 20_000
MAX_FILE = 64 * 1024 * 1024
MAX_TOTAL = 4 * 1024 * 1024 * 1024
MAX_RATIO = 200
"""Unpacked to packed bytes; images hardly shrink in an archive, a bomb does."""


@contextmanager
def unpacked(archive: IO[bytes]) -> Iterator[Manifest]:
    """The images of an uploaded zip, each of the type that its folder is named after; gone afterwards.

    Raises:
        InputError: no zip, no images in folders, too many or too large files, or a compression no image has.
    """
    with tempfile.TemporaryDirectory() as folder:
        manifest = _unpack_all(archive, Path(folder))
        try:
            yield manifest
        except InputError as error:  # about an image: by the name that the user knows
            sentence = str(error)
            for record in manifest.records:
                sentence = sentence.replace(str(manifest.path(record)), record.attributes["source"])
            raise InputError(sentence) from error


def keep_upload(archive: IO[bytes], folder: Path) -> None:
    """The images of an uploaded zip as a data set in a new folder, whole or not at all; InputError as `unpacked`."""
    part = folder.with_name(folder.name + ".part")
    part.mkdir(parents=True)
    try:
        manifest = _unpack_all(archive, part)
        with open(part / "labels.csv", "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["file", "cell_type", "source"])
            rows.writerows([r.file, r.cell_type, "./" + r.attributes["source"]] for r in manifest.records)
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _unpack_all(archive: IO[bytes], folder: Path) -> Manifest:
    try:
        with zipfile.ZipFile(archive) as packed:
            return Manifest(folder, tuple(_unpack(packed, folder)))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, UnicodeError) as error:
        raise InputError(f"The uploaded file is no zip archive that can be read ({error}).") from error


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
