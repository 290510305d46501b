"""What an importer is: it recognises a public set's layout and lists its images as items."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from syntheticcellgan.data.manifest import image_files


@dataclass(frozen=True)
class Item:
    """One image of a source. name: file name to write. cell_type: any name that `resolve` knows, or an own one.

    image: the file, its content, or (H, W, 3) uint8 pixels to write as PNG. original: where it was, relative to the source.
    """

    name: str
    cell_type: str
    image: Path | np.ndarray | bytes
    original: str
    subtype: str | None = None
    patient: str | None = None
    laboratory: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """One public set's layout.

    name: as given to --layout. signs: what it looks like, for people. find: the folder (or file) inside the source
    where the layout begins, None if it is not this layout. items: the images below that place; an item whose
    cell_type is "" has no type that can be learned (artefact, unidentified) and is left out, counted.
    """

    name: str
    title: str
    signs: str
    find: Callable[[Path], Path | None]
    items: Callable[[Path], Iterator[Item]]


def search(source: Path, here: Callable[[Path], bool], depth: int = 3) -> Path | None:
    """The first folder for which `here` is true: the source itself or a sub-folder, at most `depth` levels down."""
    level = [source] if source.is_dir() else []
    for _ in range(depth + 1):
        for folder in level:
            if here(folder):
                return folder
        level = [child for folder in level for child in folders(folder)]
    return None


def folders(folder: Path) -> list[Path]:
    """Sub-folders in order of their names, without hidden ones, links and what macOS leaves in archives."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    return [folder / name for name in sorted(names) if not name.startswith(".") and name != "__MACOSX"]


def images(folder: Path) -> Iterator[tuple[Path, str]]:
    """(path, path relative to `folder`) of all images below it, sorted; InputError if a link leaves it."""
    for file in sorted(image_files(folder)):
        yield folder / file, file


def items_of_folders(
    root: Path, names: Container[str], type_of: Callable[[str, str], tuple[str, str | None]], laboratory: str
) -> Iterator[Item]:
    """The images in those sub-folders of `root` that `names` has.

    type_of: (folder's name, file's name) → cell type and subtype.
    """
    for folder in folders(root):
        if folder.name in names:
            for path, file in images(folder):
                cell_type, subtype = type_of(folder.name, path.name)
                place = f"{folder.name}/{file}"
                yield Item(path.name, cell_type, path, place, subtype=subtype, laboratory=laboratory)
