"""What someone sends: a data set as a zip with a folder per cell type, or unlabelled images, loose or in a zip.

Nothing that is sent is trusted: sizes and ratios are limited, and images lie under names of our own.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from syntheticcellgan.cell_types import resolve
from syntheticcellgan.data.images import is_image_file
from syntheticcellgan.data.manifest import Manifest, Record
from syntheticcellgan.errors import InputError
from syntheticcellgan.files import check_packing, unpacking

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
        with _named({manifest.path(r): r.attributes["source"] for r in manifest.records}):
            yield manifest


@contextmanager
def unlabelled(sent: Sequence[tuple[str, IO[bytes]]]) -> Iterator[list[Path]]:
    """Images that were sent as (file name, content), loose or in zips, whatever their folders; gone afterwards.

    Raises:
        InputError: a file that is neither image nor zip by its name, no images in a zip, or as `unpacked`.
    """
    known: dict[Path, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, content) in enumerate(sent):
            place, suffix = Path(folder) / str(number), PurePosixPath(name).suffix.lower()
            place.mkdir()
            if suffix == ".zip":
                with _opened(content) as packed:
                    for k, (entry, inside) in enumerate(_images(packed)):
                        known[_unpacked_one(packed, entry, place / f"{k}{inside.suffix.lower()}")] = inside.name
            elif is_image_file(name):
                with open(place / f"0{suffix}", "wb") as out:
                    _copy(content, out)
                known[place / f"0{suffix}"] = PurePosixPath(name.replace("\\", "/")).name
            else:
                raise InputError(f"{name[:100]} is neither an image nor a zip of images.")
        if not known:
            raise InputError("What was sent holds no images.")
        with _named(known):
            yield list(known)


@contextmanager
def _named(known: Mapping[Path, str]) -> Iterator[None]:
    """What goes wrong with an image is said by the name that the user knows."""
    try:
        yield
    except InputError as error:
        sentence = str(error)
        for path, name in known.items():
            sentence = sentence.replace(str(path), name[:300])
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
    with _opened(archive) as packed:
        return Manifest(folder, tuple(_unpack(packed, folder)))


@contextmanager
def _opened(archive: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    content = archive if hasattr(archive, "seekable") else _Seekable(archive)
    with unpacking("The uploaded file", "."), zipfile.ZipFile(content) as packed:  # type: ignore[arg-type]
        yield packed


class _Seekable:
    """Of the file that holds an upload, Python 3.10 does not say that one can seek in it, which zipfile asks."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def seekable(self) -> bool:
        return True


def _unpack(packed: zipfile.ZipFile, folder: Path) -> Iterator[Record]:
    found = 0
    for number, (entry, name) in enumerate(_images(packed)):
        if len(name.parts) < 2:
            continue
        try:
            cell_type = resolve(name.parts[-2]).name
        except ValueError:
            raise InputError("A folder in the archive has no name that could be a cell type's.") from None
        target = f"{number}{name.suffix.lower()}"
        _unpacked_one(packed, entry, folder / target)
        found += 1
        yield Record(target, cell_type[:200], attributes={"source": "/".join(name.parts[-2:])[:300]})
    if not found:
        raise InputError("The archive holds no images in folders named after cell types.")


def _images(packed: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """The images in an archive that is of bearable size, with their names."""
    entries = [entry for entry in packed.infolist() if not entry.is_dir()]
    total = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_FILES or total > MAX_TOTAL:
        raise InputError(f"The archive holds {len(entries):,} files of {total / 2**20:,.0f} MiB; that is too much.")
    for entry in entries:
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        if not is_image_file(name.name) or "__MACOSX" in name.parts:
            continue
        if entry.file_size > MAX_FILE or entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
            raise InputError(f"{name.name[:100]} in the archive is larger than an image of a cell can be.")
        check_packing(entry, f"{name.name[:100]} in the archive")
        yield entry, name


def _unpacked_one(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> Path:
    with packed.open(entry) as source, open(target, "wb") as out:
        _copy(source, out)
    return target


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
            raise InputError("One of the files is larger than an image of a cell can be, whatever it says.")
        return content
