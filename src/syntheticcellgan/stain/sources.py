"""Looks and images from what a user names: a folder of images or the file of a look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from syntheticcellgan.data.manifest import LABEL_FILES, image_files, read_manifest
from syntheticcellgan.errors import InputError
from syntheticcellgan.stain.look import Look, fit, read_look


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
