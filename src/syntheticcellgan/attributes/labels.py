"""Which real cells show which attributes, and which of them a bundle was trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from syntheticcellgan.bundle import Bundle
from syntheticcellgan.cell_types import slug
from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.errors import InputError

SAME = 0.999
"""Correlation of fingerprints from which two images are one: half precision and other decoders leave 0.9999."""

_ROWS = 512


@dataclass(frozen=True)
class LabelledCells:
    """Real cells: image files, their cell types, what is said of each (maybe nothing), and whether it was trained on."""

    paths: Sequence[Path]
    cell_types: Sequence[str]
    labels: Sequence[Mapping[str, str]]
    trained_on: np.ndarray


def labelled_cells(
    manifest: Manifest,
    known: Sequence[str],
    trained_on: Sequence[bool] | np.ndarray,
    table: Mapping[str, Mapping[str, str]] | None,
) -> LabelledCells:
    """The cells of a data set whose types are among the `known`.

    Args:
        trained_on: (N,) bool, one for each record.
        table: values by file name without folders, as `data.attribute_table.read_attributes` gives them; None: what
            labels.csv says in columns of its own, and the subtype.

    Raises:
        InputError: none of the types is known.
    """
    chosen = [i for i, record in enumerate(manifest.records) if record.cell_type in known]
    if not chosen:
        raise InputError(f"{manifest.root}: the bundle knows none of its types ({', '.join(manifest.counts)}).")
    records = [manifest.records[i] for i in chosen]
    labels: list[Mapping[str, str]] = []
    for record in records:
        if table is not None:
            said = dict(table.get(record.file.rsplit("/", 1)[-1], {}))
        else:
            said = dict(record.attributes) | ({"subtype": record.subtype} if record.subtype else {})
        labels.append({slug(name): value for name, value in said.items() if slug(name)})
    return LabelledCells(
        [manifest.path(record) for record in records],
        [record.cell_type for record in records],
        labels,
        np.asarray(trained_on, bool)[chosen],
    )


def trained_on(bundle: Bundle, manifest: Manifest, progress: Callable[[int], None] | None = None) -> np.ndarray:
    """(N,) bool: which images the bundle was trained on, by its fingerprints.

    Raises:
        InputError: the bundle carries no fingerprints, or none of its training images is here.
    """
    from syntheticcellgan.evaluation.copies import Fingerprints
    from syntheticcellgan.evaluation.fingerprint import fingerprint

    if bundle.fingerprints is None:
        raise InputError(
            f"{bundle.path} carries no fingerprints of its training images; say with --split (split.json of its run) "
            "which images it was trained on."
        )
    known = Fingerprints.from_bytes(bundle.fingerprints).descriptors.astype(np.float32)
    found = fingerprint([manifest.path(record) for record in manifest.records], progress=progress).astype(np.float32)
    blocks = [found[i : i + _ROWS] for i in range(0, len(found), _ROWS)]
    here = np.concatenate([(block @ known.T).max(axis=1) > SAME for block in blocks])
    if not here.any():
        raise InputError(
            f"{manifest.root} holds none of the images that {bundle.path} was trained on; attributes are learnt from those. "
            "Give the data set that it was trained on, with their values in labels.csv or in --table."
        )
    return here
