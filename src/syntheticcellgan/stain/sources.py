"""Looks and images from what a user names: a folder of images or the file of a look."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from syntheticcellgan.data.manifest import LABEL_FILES, image_files, read_manifest
from syntheticcellgan.data.upload import unlabelled
from syntheticcellgan.errors import InputError
from syntheticcellgan.stain.look import LARGEST_FILE, Look, fit, read_look


def image_paths(folder: str | Path) -> list[Path]:
    """The images that the folder's labels.csv or metadata.csv lists (a folder can hold masks and sheets as well), or, where
    there is no table, all image files below it, sorted. What type a cell is of does not matter.

    Raises:
        InputError: no such folder, no images in it, or a table that cannot be read.
    """
    root = Path(folder)
    if not root.is_dir():
        what = "is a file; give the folder that holds the images." if root.exists() else "is no folder; check the name."
        raise InputError(f"{folder} {what}")
    if any((root / name).is_file() for name in LABEL_FILES):
        manifest = read_manifest(root)
        return [root / record.file for record in manifest.records]
    found = sorted(image_files(root.resolve()))
    if not found:
        raise InputError(f"{folder} holds no images.")
    return [root / name for name in found]


def look_of(source: str | Path, progress: Callable[[int, int], None] | None = None) -> Look:
    """The look in a file that `scg stain fit` wrote, or that of the images in a folder.

    Raises:
        InputError: as `read_look`, `image_paths` and `fit`.
    """
    if Path(source).is_file():
        return read_look(source)
    return fit(image_paths(source), Path(source).resolve().name, progress)


def look_of_upload(sent: Sequence[tuple[str, IO[bytes]]], name: str = "") -> Look:
    """The look of what was sent as (file name, content): images, zips of images, or one file of a look.

    name: what the look is called; "" for what the file says of itself, or "Sent images".

    Raises:
        InputError: nothing was sent, or as `read_look`, `data.upload.unlabelled` and `fit`.
    """
    if not sent:
        raise InputError("Choose at least 20 images of the laboratory, a zip of them, or the file of a look.")
    if len(sent) == 1 and sent[0][0].lower().endswith(".json"):
        with tempfile.NamedTemporaryFile(suffix=".json", delete=False) as file:
            file.write(sent[0][1].read(LARGEST_FILE + 1))
        try:
            found = read_look(file.name)
        except InputError as error:
            raise InputError(str(error).replace(file.name, sent[0][0][:100])) from None
        finally:
            Path(file.name).unlink()
        return replace(found, name=_plain(name) or _plain(found.name) or "Unnamed")
    with unlabelled(sent) as paths:
        return fit(paths, _plain(name) or "Sent images")


def _plain(name: str) -> str:
    """A line that stands in tables and pages: nothing that a spreadsheet takes for a formula, no line ends."""
    line = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return line.lstrip("=+-@＝＋－＠ ")[:100]
