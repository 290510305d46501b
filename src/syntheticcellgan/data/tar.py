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
from pathlib import Path
from typing import Any

from syntheticcellgan.errors import InputError
from syntheticcellgan.files import settle

LARGEST = 2**27
"""Bytes of one member; no cell image has more."""


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


def read_shard(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(key, {suffix: content}) of each sample, in the order of the file and one at a time.

    Raises:
        InputError: no tar, cut short, or a member that belongs in no shard; raised when it is reached.
    """
    key, sample = "", dict[str, bytes]()
    for name, content in _members(path):
        folder, _, base = name.rpartition("/")
        stem, _, suffix = base.partition(".")
        here = f"{folder}/{stem}" if folder else stem
        if sample and here != key:
            yield key, sample
            sample = {}
        if suffix in sample:
            raise InputError(f"{path} holds {name} twice; make or fetch this shard anew.")
        key, sample[suffix.lower()] = here, content
    if sample:
        yield key, sample


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(path, "r:") as archive:
            while (member := archive.next()) is not None:
                if member.isdir():
                    continue
                if not member.isreg() or member.size > LARGEST or "." not in Path(member.name).name:
                    raise InputError(f"{path} holds “{member.name[:100]}”, which belongs in no shard.")
                file = archive.extractfile(member)
                content = file.read() if file else b""
                if len(content) != member.size:
                    raise InputError(f"{path} is cut short; make or fetch this shard anew.")
                yield member.name, content
                archive.members.clear()  # type: ignore[attr-defined,unused-ignore]
    except (tarfile.TarError, EOFError, ValueError, UnicodeError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no whole tar ({error}); make or fetch this shard anew.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}).") from None


def image_of(sample: Mapping[str, bytes]) -> tuple[str, bytes] | None:
    """(suffix, content) of the image among a sample's files, None if there is none."""
    for suffix in ("png", "jpg", "jpeg", "tif", "tiff", "webp", "bmp"):
        if suffix in sample:
            return suffix, sample[suffix]
    return None
