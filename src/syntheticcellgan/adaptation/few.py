"""The few images of a further type: what is in the folder, which of them are held out, and the refusals."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from syntheticcellgan.cell_types import resolve, slug
from syntheticcellgan.config import Adaptation
from syntheticcellgan.data.manifest import LABEL_FILES, Manifest, Record, image_files, read_manifest
from syntheticcellgan.data.splits import Split, split_manifest
from syntheticcellgan.errors import InputError

MOST = 0.4
"""Share of the images that may be held out, where patients are kept whole: with more, too few are left to learn from."""


def read_few(folder: str | Path, cell_type: str, minimum: int) -> Manifest:
    """The images of one type: all of a folder of images alone, or those of that name in a data set.

    Raises:
        InputError: no such folder or type, or fewer than `minimum` different images.
    """
    if not slug(cell_type):
        raise InputError(f"--cell-type “{cell_type}” is no name; letters and digits are needed.")
    name = resolve(cell_type).name
    root = Path(folder)
    if not root.is_dir():
        what = "is a file; give the folder that holds the images." if root.exists() else "is no folder; check the name."
        raise InputError(f"{folder} {what}")
    files = sorted(image_files(root.resolve()))
    if any((root / table).is_file() for table in LABEL_FILES) or any("/" in file for file in files):
        whole = read_manifest(folder)
        found = whole.of_type(name)
        if not len(found):
            raise InputError(f"{folder} holds no cells of the type {name}; it holds {', '.join(whole.cell_types)}.")
    else:
        found = Manifest(root.resolve(), tuple(Record(file, name) for file in files))
    different = {hashlib.sha256(found.path(record).read_bytes()).digest() for record in found.records}
    if len(different) < minimum:
        twice = f" ({len(found)} files, some of them twice)" if len(different) < len(found) else ""
        raise InputError(
            f"{folder} holds {len(different)} image{'s' * (len(different) != 1)} of {name}{twice}; at least {minimum} "
            "different ones are needed. With fewer, nothing could tell a new cell from a copy."
        )
    return found


def hold_out(few: Manifest, settings: Adaptation) -> Split:
    """Which images are learnt from (`train`) and which are held out (`validation`): by patient where at least three are
    known and keeping them whole holds out neither fewer than two images nor more than two fifths; else by image.
    """
    patients = {record.patient for record in few.records if record.patient is not None}
    if len(patients) >= 3:
        split = split_manifest(few, validation=settings.held_out_fraction, test=0.0, seed=settings.seed)
        if 2 <= len(split.validation) <= MOST * len(few):
            return split
    blind = Manifest(few.root, tuple(replace(record, patient=None) for record in few.records))
    return split_manifest(blind, validation=settings.held_out_fraction, test=0.0, seed=settings.seed)
