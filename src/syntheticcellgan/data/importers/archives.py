"""Unpacking zip archives that come from anywhere, into a scratch folder."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from syntheticcellgan.data.images import is_image_file
from syntheticcellgan.data.importers.layout import folders
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.files import check_packing, unpacking

MAX_BYTES = 200 * 2**30
"""Of all files in an archive, unpacked."""

MAX_RATIO = 100
"""Unpacked bytes per packed byte; images do not pack that well, decompression bombs do."""

MAX_FILES = 2_000_000

_KEPT = (".csv", ".json", ".npz", ".tar", ".zip")


def unpacked(source: Path, scratch: Path) -> Path:
    """The folder to import from: `source` itself, or `scratch` filled from the archive `source` or the ones in it.

    An archive in an archive (as Zenodo packs a whole record) is unpacked too, into a folder named after it; not deeper.
    InputError for an archive that is damaged, locked, too large or reaches outside; ScgError if the disk is too small.
    """
    if source.is_file():
        if source.suffix.lower() in (".rar", ".7z", ".tar", ".gz", ".tgz"):
            raise InputError(f"{source} is not a zip archive; unpack it first and give the folder.")
        if source.suffix.lower() != ".zip":
            return source
        extract(source, scratch)
        for inner in sorted(scratch.rglob("*.zip")):
            extract(inner, inner.with_suffix(""))
            inner.unlink()
        return scratch
    archives = [archive for archive in sorted(source.glob("*.zip")) if not archive.with_suffix("").is_dir()]
    if archives and folders(source):
        raise InputError(f"{source} holds folders and packed archives ({archives[0].name}); unpack all or none.")
    for archive in archives:
        extract(archive, scratch / archive.stem)
    return scratch if archives else source


def extract(archive: Path, target: Path) -> None:
    """Unpack images, tables and archives from `archive` below `target`; see `unpacked` for the errors."""
    with unpacking(str(archive), "; fetch it anew or unpack it yourself."), zipfile.ZipFile(archive) as opened:
        wanted = _wanted(archive, opened)
        needed = sum(entry.file_size for entry in wanted)
        target.mkdir(parents=True, exist_ok=True)
        if needed > shutil.disk_usage(target).free:
            raise ScgError(
                f"{archive} needs {needed / 2**30:.1f} GB unpacked, more than is free for {target}; make room."
            )
        for entry in wanted:
            path = target / entry.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(entry) as packed, open(path, "wb") as file:
                shutil.copyfileobj(packed, file)


def _wanted(archive: Path, opened: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The entries to unpack, all entries checked."""
    entries = opened.infolist()
    total, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    if len(entries) > MAX_FILES or total > MAX_BYTES:
        raise InputError(
            f"{archive} is too large ({len(entries):,} files, {total / 2**30:.0f} GB); unpack it yourself."
        )
    if total > MAX_RATIO * packed + 2**20:
        raise InputError(f"{archive} would grow {total // max(packed, 1):,}-fold; it is no archive of images.")
    wanted = []
    for entry in entries:
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or ":" in entry.filename:
            raise InputError(f"{archive} has an entry {entry.filename!r} that points outside; do not use this archive.")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise InputError(f"{archive} has a link, {entry.filename!r}; unpack it yourself and take the link out.")
        if entry.flag_bits & 1:
            raise InputError(f"{archive} is locked with a password; unpack it yourself.")
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
        check_packing(entry, f"{archive}: {entry.filename!r}")
        if not entry.is_dir() and not hidden and (is_image_file(path.name) or path.suffix.lower() in _KEPT):
            wanted.append(entry)
    return wanted
