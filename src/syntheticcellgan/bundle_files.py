"""The files of a bundle, from a folder or a zip: bounded, checked against SHA256SUMS, and never executed or unpacked."""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

from syntheticcellgan.errors import InputError
from syntheticcellgan.files import check_packing, unpacking

SUMS = "SHA256SUMS"
REQUIRED = ("config.json", "generator.safetensors", "translator.safetensors", "card.json", "card.md", SUMS)
OPTIONAL = ("samples.png", "fingerprints.npz", "training.safetensors", "attributes.json", "attributes.safetensors")
DRAWING = (
    "config.json",
    "generator.safetensors",
    "translator.safetensors",
    "attributes.json",
    "attributes.safetensors",
)
"""What decides how its cells look, wanted features among them."""
LIMITS = {"config.json": 2**20, "attributes.json": 2**22, "card.json": 2**20, "card.md": 2**20, SUMS: 2**16}
"""Bytes; every other file may have `LARGEST`."""
LARGEST = 2**30
RATIO = 200
"""A zip member that unpacks to more than this many times its size is a bomb, no bundle."""
TOTAL = 2**31
"""Bytes of a whole bundle."""


def read_files(path: Path) -> dict[str, bytes]:
    """Every file of the bundle at `path` (a folder or a zip), after its checksum was found right.

    Raises:
        InputError: not a bundle, a missing, foreign, oversized or altered file.
    """
    if path.is_dir():
        files = _of_folder(path)
    elif path.is_file() and zipfile.is_zipfile(path):
        files = _of_zip(path)
    elif path.exists():
        raise InputError(f"{path} is neither a bundle's folder nor a whole zip; was the download or copy interrupted?")
    else:
        raise InputError(f"{path}: no such bundle.")
    missing = [name for name in REQUIRED if name not in files]
    if missing:
        raise InputError(f"{path} is no complete bundle: {', '.join(missing)} is missing. Copy the bundle anew.")
    check_sums(files, path)
    return files


def check_sums(files: Mapping[str, bytes], path: Path) -> None:
    """Compare every file with SHA256SUMS.

    Raises:
        InputError: naming the first file that differs, is not listed, or is listed and missing.
    """
    listed: dict[str, str] = {}
    for line in files[SUMS].decode("utf-8", "replace").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    for name in sorted(set(files) | set(listed)):
        if name == SUMS:
            continue
        if name not in files:
            raise InputError(f"{path}: {name} is listed in {SUMS} but missing. Copy the bundle anew.")
        if listed.get(name) != hashlib.sha256(files[name]).hexdigest():
            raise InputError(
                f"{path}: the checksum of {name} is wrong; it was altered or damaged. Copy the bundle anew."
            )


def sums_of(files: Mapping[str, bytes]) -> bytes:
    """The content of SHA256SUMS for these files."""
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items())]
    return "".join(lines).encode()


def id_of(files: Mapping[str, bytes]) -> str:
    """16 hexadecimal digits that are the same as long as a type and a seed give the same image: a hash of the checksums of
    what decides that. A card that is completed or corrected, or training networks that are left out, change nothing.
    """
    lines = files[SUMS].decode("utf-8", "replace").splitlines()
    decisive = sorted(line for line in lines if line.partition("  ")[2] in DRAWING)
    return hashlib.sha256("\n".join(decisive).encode()).hexdigest()[:16]


def write_zip(files: Mapping[str, bytes], path: Path) -> None:
    """One zip with fixed times and order, so that the same bundle gives the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)


def place_of_former(folder: Path) -> Path:
    """Where a bundle lies for the moment in which another state of it takes its place."""
    return folder.with_name(folder.name + ".former")


def take_back(folder: Path) -> None:
    """If that moment was the last of a killed process, the former state stands again."""
    if folder.name and not folder.exists() and place_of_former(folder).is_dir():
        os.replace(place_of_former(folder), folder)


def _limit(name: str) -> int:
    return LIMITS.get(name, LARGEST)


def _refuse_large(path: Path, sizes: Mapping[str, int]) -> None:
    for name, size in sizes.items():
        if size > _limit(name):
            raise InputError(f"{path}: {name} has {size:,} bytes, more than the {_limit(name):,} that it may have.")
    if sum(sizes.values()) > TOTAL:
        raise InputError(f"{path} has {sum(sizes.values()):,} bytes, more than the {TOTAL:,} of the largest bundle.")


def _of_folder(path: Path) -> dict[str, bytes]:
    try:
        present = [name for name in (*REQUIRED, *OPTIONAL) if (path / name).is_file()]
        _refuse_large(path, {name: (path / name).stat().st_size for name in present})
        return {name: (path / name).read_bytes() for name in present}
    except OSError as error:
        raise InputError(f"{error.filename or path} cannot be read ({error.strerror}).") from error


def _of_zip(path: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    with unpacking(str(path), ". Copy the bundle anew."), zipfile.ZipFile(path) as archive:
        sizes: dict[str, int] = {}
        for member in archive.infolist():
            name = member.filename
            if name not in REQUIRED + OPTIONAL or stat.S_ISLNK(member.external_attr >> 16):
                raise InputError(f"{path} holds “{name}”, which belongs in no bundle; nothing was unpacked.")
            if name in sizes:
                raise InputError(f"{path} holds {name} twice; nothing was unpacked.")
            check_packing(member, f"{path}: {name}")
            sizes[name] = member.file_size
        _refuse_large(path, sizes)
        for member in archive.infolist():
            name = member.filename
            if member.file_size > 2**20 and member.file_size > RATIO * max(member.compress_size, 1):
                raise InputError(f"{path}: {name} unpacks to more than {RATIO} times its size; it is no bundle.")
            with archive.open(member) as file:
                content = file.read(member.file_size + 1)
            if len(content) != member.file_size:
                raise InputError(f"{path}: {name} is longer than the archive says; it is no bundle.")
            files[name] = content
    return files
