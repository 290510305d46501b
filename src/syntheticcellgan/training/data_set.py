"""The data set of a run and its parts: a folder, whose images are listed, or WebDataset shards, which are not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from syntheticcellgan.config import TrainingConfig
from syntheticcellgan.data.importers.webdataset import item_of
from syntheticcellgan.data.importers.writing import write_data_set
from syntheticcellgan.data.manifest import Manifest, read_manifest
from syntheticcellgan.data.samples import label_names
from syntheticcellgan.data.shard_index import (
    ShardIndex,
    has_shards,
    index_shards,
    read_index,
    split_pattern,
    write_index,
)
from syntheticcellgan.data.splits import PARTS, Split, read_split, split_manifest, write_split
from syntheticcellgan.errors import InputError
from syntheticcellgan.training.images import FolderImages, Images, ShardImages

HELD_OUT = 128
"""Of shards: validation images of each type that choose the best state; more would only fill the memory."""

LAID_OUT = 500
"""Of shards: test images of each type that are written into the run folder, for evaluation."""

FINGERPRINTED = 100_000
"""Of shards: training images whose fingerprints a bundle carries, 90 MB of them."""

COMPARED = 2000
"""Of shards: test images that say how near to those different cells are."""

Progress = Callable[[int], None]


class Data(Protocol):
    """The data set of a run. name: for the bundle and its card. unit: what parts were made by, "patient" or "image"."""

    @property
    def name(self) -> str: ...

    @property
    def cell_types(self) -> tuple[str, ...]: ...

    @property
    def unit(self) -> str: ...

    @property
    def seed(self) -> int:
        """Of the split."""

    @property
    def limits(self) -> tuple[str, ...]:
        """What the card of a bundle must say of these parts."""

    def counts(self, part: str | None = None) -> Mapping[str, int]:
        """Images per type, of one part or in all."""

    def part(self, name: str) -> Images:
        """The images of `train`, `validation` or `test` that training uses."""

    def described(self) -> tuple[Images, Images]:
        """Training images whose fingerprints a bundle shall carry, and the test images that they are compared with."""

    def few(self, count: int) -> Data:
        """The same with about `count` images of each type."""

    def keep(self, out: Path) -> None:
        """Write into the run folder, once, which image is in which part."""

    def test_folder(self, out: Path) -> Path | None:
        """Where the test part lies as a folder of its own, laid out below `out` if need be; None for a folder's test part,
        of which split.json tells.
        """


class FolderData:
    """Implements `Data`."""

    limits: tuple[str, ...] = ()

    def __init__(self, manifest: Manifest, split: Split, name: str) -> None:
        self.manifest, self.split, self.name = manifest, split, name
        self.cell_types, self.unit, self.seed = manifest.cell_types, split.unit, split.seed

    def counts(self, part: str | None = None) -> Mapping[str, int]:
        return (self.manifest if part is None else self.split.part(self.manifest, part)).counts

    def part(self, name: str) -> FolderImages:
        return FolderImages(self.split.part(self.manifest, name))

    def described(self) -> tuple[FolderImages, FolderImages]:
        return self.part("train"), self.part("test")

    def few(self, count: int) -> FolderData:
        seen: dict[str, int] = {}
        kept = []
        for i, record in enumerate(self.manifest.records):
            seen[record.cell_type] = seen.get(record.cell_type, 0) + 1
            if seen[record.cell_type] <= count:
                kept.append(i)
        return FolderData(self.manifest.select(kept), self.split, self.name)

    def keep(self, out: Path) -> None:
        if not (out / "split.json").exists():
            write_split(self.split, out / "split.json")

    def test_folder(self, out: Path) -> None:
        return None


class ShardData:
    """Implements `Data`. most: images per type and part; None for all (but `HELD_OUT` for validation)."""

    def __init__(self, index: ShardIndex, name: str, most: int | None = None) -> None:
        self.index, self.name, self.most = index, name, most
        self.cell_types, self.unit, self.seed = index.cell_types, index.unit, index.seed

    @property
    def limits(self) -> tuple[str, ...]:
        equal = " if they are of one patient" if self.unit == "patient" else ""
        limits = [
            f"The parts follow from a hash of each {self.unit}: equal images stand in one part{equal}, near duplicates may not."
        ]
        total, known = sum(self.counts("train").values()), len(self.described()[0])
        if known < total:
            limits.append(
                f"Fingerprints of {known:,} of the {total:,} training images are kept; a copy of another one is not found."
            )
        return tuple(limits)

    def counts(self, part: str | None = None) -> Mapping[str, int]:
        return self.index.counts(part)

    def part(self, name: str) -> ShardImages:
        most = self.most or (HELD_OUT if name == "validation" else None)
        if most:
            return ShardImages(self.index, self.index.few(name, most))
        return ShardImages(self.index, np.flatnonzero(self.index.rows["part"] == PARTS.index(name)))

    def described(self) -> tuple[ShardImages, ShardImages]:
        types = len(self.cell_types)
        known = self.part("train")
        if len(known) > FINGERPRINTED:
            known = ShardImages(self.index, self.index.few("train", FINGERPRINTED // types))
        return known, ShardImages(self.index, self.index.few("test", max(COMPARED // types, 1)))

    def few(self, count: int) -> ShardData:
        return ShardData(self.index, self.name, count)

    def keep(self, out: Path) -> None:
        if not (out / "shards.json").exists():
            write_index(self.index, out / "shards.npy", out / "shards.json")

    def test_folder(self, out: Path) -> Path:
        folder = out / "test"
        if not folder.exists():
            names = label_names(self.index.folder)
            samples = map(self.index.sample, self.index.few("test", LAID_OUT).tolist())
            items = (item_of(*sample, names) for sample in samples)
            write_data_set((item for item in items if item is not None), folder, "webdataset", 0)
        return folder


def prepare_data(folder: str | Path, training: TrainingConfig, out: Path, progress: Progress | None = None) -> Data:
    """Read the data set, refuse types with too few images, and split it (or read the split of an earlier start from `out`).

    progress: called with the number of bytes of shards looked through.

    Raises:
        InputError: naming the folder or the type, and the mend.
    """
    given = Path(folder)
    if has_shards(given):
        return _from_shards(given, training, out, progress)
    manifest = read_manifest(given)
    _refuse_few(given, manifest.counts, training.minimum_images)
    path = out / "split.json"
    if path.exists():
        return FolderData(manifest, read_split(path), given.resolve().name)
    split = split_manifest(
        manifest, validation=training.validation_fraction, test=training.test_fraction, seed=training.seed
    )
    return FolderData(manifest, split, given.resolve().name)


def _from_shards(given: Path, training: TrainingConfig, out: Path, progress: Progress | None) -> ShardData:
    name = split_pattern(given)[0].resolve().name
    if (out / "shards.json").exists():
        return ShardData(read_index(given, out / "shards.npy", out / "shards.json"), name)
    shares = training.validation_fraction, training.test_fraction
    index = index_shards(given, *shares, training.seed, progress)
    _refuse_few(given, index.counts(), training.minimum_images)
    return ShardData(index, name)


def _refuse_few(given: Path, counts: Mapping[str, int], minimum: int) -> None:
    for cell_type, count in counts.items():
        if count < minimum:
            raise InputError(
                f"{given}: {cell_type} has {count} image{'s' * (count != 1)}; training needs at least "
                f"{minimum} of each type. Add images, or leave this type out of the folder."
            )
