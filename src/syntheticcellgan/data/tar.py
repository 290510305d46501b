"""Samples in a tar as WebDataset lays them out: the files of one sample follow each other and share the name before the dot.

The same samples give the same bytes: no times, owners or machine enter.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeVar

from syntheticcellgan.errors import InputError
from syntheticcellgan.files import settle

T = TypeVar("T")

LARGEST = 2**27
"""Bytes of one member; no cell image has more."""

MOST = 32
"""Files of one sample."""


@dataclass(frozen=True)
class Sample:
    """One image and what is known of it.

    key: unique in the data set, without a dot. image: the file's bytes; suffix: png, jpg or tif. label: place of the
    cell type in the data set's list. record: everything else, as JSON.
    """

    key: str
    image: bytes
    suffix: str
    label: int
    record: Mapping[str, Any]


def write_shard(path: Path, samples: Iterable[Sample], temporary: Path) -> None:
    """Write `path`, whole or not at all, through `temporary` beside it; one sample is in memory at a time.

    Each sample is three files: the image, `.cls` (its label) and `.json` (its record and the SHA-256 of the image).
    OSError on a full disk or without permission; then `path` is untouched and `temporary` is gone.
    """
    try:
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as archive:
            for sample in samples:
                record = {**sample.record, "sha256": hashlib.sha256(sample.image).hexdigest()}
                _add(archive, f"{sample.key}.{sample.suffix}", sample.image)
                _add(archive, f"{sample.key}.cls", str(sample.label).encode())
                _add(archive, f"{sample.key}.json", json.dumps(record).encode())
        settle(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
    archive.members.clear()  # type: ignore[attr-defined,unused-ignore]  # tarfile remembers every member


@dataclass(frozen=True)
class Member:
    """A file of a sample, and the bytes of the shard at which its headers (start) and its content (offset) begin."""

    start: int
    offset: int
    content: bytes


def read_shard(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(key, {suffix: content}) of each sample, in the order of the file and one at a time.

    Raises:
        InputError: no tar, cut short, or a member that belongs in no shard; raised when it is reached.
    """
    for key, sample in read_members(path):
        yield key, {suffix: member.content for suffix, member in sample.items()}


def read_members(path: Path, start: int = 0) -> Iterator[tuple[str, dict[str, Member]]]:
    """The same as `read_shard`, with the place of each file in the shard; from the sample that begins at byte `start`."""
    key, sample = "", dict[str, Member]()
    for name, member in _members(path, start):
        folder, _, base = name.rpartition("/")
        stem, _, suffix = base.partition(".")
        here = f"{folder}/{stem}" if folder else stem
        if sample and here != key:
            yield key, sample
            sample = {}
        if suffix.lower() in sample or len(sample) == MOST:
            raise InputError(f"{path} holds {name} twice, or too much of one name; make or fetch this shard anew.")
        key, sample[suffix.lower()] = here, member
    if sample:
        yield key, sample


def _members(path: Path, start: int) -> Iterator[tuple[str, Member]]:
    try:
        with open(path, "rb") as file_of_shard, _opened(file_of_shard, start) as archive:
            while (member := archive.next()) is not None:
                if member.isdir():
                    continue
                if not _belongs(member):
                    raise InputError(f"{path} holds “{member.name[:100]}”, which belongs in no shard.")
                file = archive.extractfile(member)
                content = file.read() if file else b""
                if len(content) != member.size:
                    raise InputError(f"{path} is cut short; make or fetch this shard anew.")
                yield member.name, Member(member.offset, member.offset_data, content)
                archive.members.clear()  # type: ignore[attr-defined,unused-ignore]
    except (tarfile.TarError, EOFError, ValueError, UnicodeError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no whole tar ({error}); make or fetch this shard anew.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}).") from None


def _opened(file: IO[bytes], start: int) -> tarfile.TarFile:
    file.seek(start)
    return tarfile.open(fileobj=file, mode="r:")


def _belongs(member: tarfile.TarInfo) -> bool:
    """A plain file with an ending, not too large, whose name stays inside."""
    place = PurePosixPath(member.name)
    inside = not place.is_absolute() and ".." not in place.parts
    return inside and member.isreg() and not member.issparse() and member.size <= LARGEST and "." in place.name


def image_of(sample: Mapping[str, T]) -> tuple[str, T] | None:
    """(suffix, content) of the image among a sample's files, None if there is none."""
    for suffix in ("png", "jpg", "jpeg", "tif", "tiff", "webp", "bmp"):
        if suffix in sample:
            return suffix, sample[suffix]
    return None
