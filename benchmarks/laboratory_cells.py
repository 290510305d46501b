"""The cells that laboratories.py trains and tests on, and those that tell a laboratory's look."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from laboratory_methods import Images
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.data.manifest import Manifest, Record, read_manifest
from syntheticcellgan.data.splits import read_split, split_manifest
from syntheticcellgan.stain.look import Look, fit

TYPES = ("basophil", "eosinophil", "lymphocyte", "monocyte", "neutrophil")
PIXELS = 128
LOOK_IMAGES, FEWEST = 40, 10
HOME = "home"


@dataclass(frozen=True)
class Own:
    """Cells of a laboratory from which classifiers of its own can learn; groups: patients, or images where none are known."""

    images: Images
    labels: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Cells:
    """Training cells of the reference with its look; what is tested, by laboratory (the reference is `HOME`), with the types;
    of each other laboratory its look, the images that tell it, and cells to learn from there, with their patients.
    """

    train: Images
    train_labels: tuple[str, ...]
    look: Look
    raw: dict[str, tuple[Images, tuple[str, ...]]]
    looks: dict[str, Look]
    look_images: dict[str, Images]
    own: dict[str, Own]

    @classmethod
    def drawn(cls, reference: Path, split_file: Path | None, others: dict[str, Path], train: int, test: int) -> Cells:
        """train, test: cells of each type, at most."""
        manifest = read_manifest(reference)
        split = read_split(split_file) if split_file else split_manifest(manifest)
        rng = np.random.default_rng(0)
        train_images, train_labels = drawn_cells(split.part(manifest, "train"), train, rng)
        look = fit(train_images, reference.name)
        raw = {HOME: drawn_cells(split.part(manifest, "test"), test, rng)}
        looks: dict[str, Look] = {}
        look_images: dict[str, Images] = {}
        own: dict[str, Own] = {}
        for name, folder in others.items():
            found = read_manifest(folder)
            for_look, rest = apart(found, rng)
            look_images[name] = read(found, for_look)
            looks[name] = fit(look_images[name], name)
            raw[name] = drawn_cells(rest, test, rng)
            records = drawn_records(rest, train, np.random.default_rng(1))
            groups = tuple(record.patient or record.file for record in records)
            own[name] = Own(read(rest, records), tuple(record.cell_type for record in records), groups)
        return cls(train_images, train_labels, look, raw, looks, look_images, own)


def read(manifest: Manifest, records: Sequence[Record]) -> Images:
    return [resize_square(read_image(manifest.path(record)), PIXELS) for record in records]


def drawn_cells(manifest: Manifest, count: int, rng: np.random.Generator) -> tuple[Images, tuple[str, ...]]:
    """Images and types of `drawn_records`."""
    records = drawn_records(manifest, count, rng)
    return read(manifest, records), tuple(record.cell_type for record in records)


def drawn_records(manifest: Manifest, count: int, rng: np.random.Generator) -> list[Record]:
    """Up to `count` of each of the five types that has ten."""
    records: list[Record] = []
    for name in TYPES:
        own = manifest.of_type(name).records
        if len(own) >= FEWEST:
            records += [own[i] for i in rng.permutation(len(own))[:count]]
    return records


def apart(manifest: Manifest, rng: np.random.Generator) -> tuple[list[Record], Manifest]:
    """40 images of any type that tell the look, and what may be tested: of other patients where patients are known.

    Where cells lie out of the middle (a column `offset`), only those within 0.15 count.
    """
    usable = [i for i, r in enumerate(manifest.records) if float(r.attributes.get("offset", 0)) <= 0.15]
    order = [manifest.records[i] for i in rng.permutation(usable)]
    if not any(record.patient for record in order):
        return order[:LOOK_IMAGES], Manifest(manifest.root, tuple(order[LOOK_IMAGES:]))
    chosen: list[Record] = []
    patients: list[str | None] = []
    for patient in dict.fromkeys(record.patient for record in order):
        if len(chosen) >= LOOK_IMAGES:
            break
        patients.append(patient)
        chosen += [record for record in order if record.patient == patient][:5]
    rest = tuple(record for record in order if record.patient not in patients)
    return chosen[:LOOK_IMAGES], Manifest(manifest.root, rest)


def kept_images(path: Path, make: Callable[[], Images]) -> Images:
    """What `make` gives, from `path` where an earlier call has kept it."""
    if not path.exists():
        np.savez(path.with_suffix(".part.npz"), images=np.stack(make()))
        os.replace(path.with_suffix(".part.npz"), path)
    with np.load(path) as held:
        return list(held["images"])
