"""Importers of public image sets: each layout in a file of its own, all written as one kind of data set."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from syntheticcellgan.cell_types import nearest
from syntheticcellgan.data.importers import bloodmnist, deepapl, huggingface, lmu, mll23, pbc, raabin, webdataset
from syntheticcellgan.data.importers.archives import unpacked
from syntheticcellgan.data.importers.layout import Item, Layout
from syntheticcellgan.data.importers.writing import ImportReport, write_data_set
from syntheticcellgan.data.manifest import image_files
from syntheticcellgan.errors import InputError, ScgError

LAYOUTS: dict[str, Layout] = {
    module.LAYOUT.name: module.LAYOUT
    for module in (bloodmnist, deepapl, lmu, mll23, pbc, raabin, webdataset, huggingface)
}
"""In the order in which they are tried; the last is the least particular."""

__all__ = ["LAYOUTS", "ImportReport", "Item", "Layout", "detect_layout", "import_dataset"]


def import_dataset(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    layout: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Turn a public set, as its authors publish it, into a data set of this package.

    source: the folder, or the .zip or .npz file. out: a new or empty folder. layout: a name in `LAYOUTS`; None
    recognises it. progress: called with the number of images done. Image bytes are copied unchanged.
    InputError: source or layout not recognised, `out` not empty, an archive that is not safe. ScgError: disk full.
    """
    source, out = Path(source), Path(out)
    if not source.exists():
        raise InputError(f"{source}: no such file or folder; check the name.")
    if layout is not None and layout not in LAYOUTS:
        near = nearest(layout, LAYOUTS)
        hint = f"did you mean {near}?" if near else f"the layouts are {', '.join(LAYOUTS)}."
        raise InputError(f"The layout {layout!r} is not known; {hint}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} holds other files; give a new or empty folder.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".scg-import-", dir=out.parent) as scratch:
            place = unpacked(source, Path(scratch))
            chosen, root = _choose(source, place, layout)
            files = sum(1 for _ in image_files(root)) if root.is_dir() else 0
            return write_data_set(chosen.items(root), out, chosen.name, files, progress)
    except OSError as error:
        raise ScgError(f"{source} cannot be imported to {out} ({error.strerror or error}).") from None


def detect_layout(folder: Path) -> str | None:
    """Name of the layout of a folder or .npz file, None if it is none of the known ones."""
    for layout in LAYOUTS.values():
        if layout.find(folder) is not None:
            return layout.name
    return None


def _choose(source: Path, place: Path, name: str | None) -> tuple[Layout, Path]:
    """The layout and the folder where it begins."""
    if (place / "labels.csv").is_file():
        raise InputError(f"{source} has a labels.csv and is a data set already; use it as it is.")
    name = name or detect_layout(place)
    if name is None:
        raise InputError(
            f"{source} has none of the known layouts ("
            + "; ".join(f"{layout.name}: {layout.signs}" for layout in LAYOUTS.values())
            + "). A folder with one sub-folder per cell type needs no import."
        )
    root = LAYOUTS[name].find(place)
    if root is None:
        found = detect_layout(place)
        hint = f"it looks like {found}" if found else f"expected: {LAYOUTS[name].signs}"
        raise InputError(f"{source} does not have the layout {name}; {hint}.")
    return LAYOUTS[name], root
