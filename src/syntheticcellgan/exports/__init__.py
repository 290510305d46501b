"""Data sets for other programs: each format in a file of its own; a folder is written whole or not at all."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path

from syntheticcellgan.cell_types import nearest
from syntheticcellgan.errors import InputError

FORMATS = {
    "huggingface": "image folder with metadata.csv, as Hugging Face datasets reads it",
    "webdataset": "shards of 1,000 images",
    "coco": "images and outlines of cell and nucleus",
    "dicom": "VL Microscopic Images, with Synthetic Data set",
    "croissant": "image folder with a Croissant description",
}
"""Name → what it is; each is a module of this package."""

NEEDS = {"coco": "evaluation", "dicom": "dicom"}
"""The extra that a format needs."""


def export_dataset(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    format: str,
    *,
    name: str | None = None,
    licence: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> str:
    """Write the data set in `source` for other programs.

    source: a data set (see `read_manifest`), such as `scg generate` writes. out: a new or empty folder. format: a name in
    `FORMATS`. name: what the set calls itself (default: the folder's name). licence: an SPDX identifier or an address.
    progress: called with the number of images done. Images that every reader shows alike (8-bit RGB, upright, PNG or
    JPEG) are copied byte for byte, others become PNG.

    Returns:
        A sentence on what was written.

    Raises:
        InputError: unknown format, a data set or image that cannot be read, `out` not empty, or a library is missing.
        ScgError: `out` cannot be written.
    """
    from syntheticcellgan.data.manifest import read_manifest
    from syntheticcellgan.exports.common import About
    from syntheticcellgan.files import new_folder

    if format not in FORMATS:
        near = nearest(format, FORMATS)
        hint = f"did you mean {near}?" if near else f"the formats are {', '.join(FORMATS)}."
        raise InputError(f"The format “{format}” is not known; {hint}")
    manifest = read_manifest(source)
    if Path(os.path.realpath(out)).is_relative_to(manifest.root):
        raise InputError(f"{out} lies inside the data set; choose a place beside it.")
    try:
        module = importlib.import_module(f"syntheticcellgan.exports.{format}")
    except ImportError as error:
        raise InputError(f"{format} needs {error.name}: pip install 'syntheticcellgan[{NEEDS[format]}]'.") from error
    with new_folder(Path(out)) as folder:
        said: str = module.write(manifest, folder, About(name or manifest.root.name, licence), progress)
    return said
