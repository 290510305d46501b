"""Labelled images as training asks for them: one at a time, by number. From a folder, or from WebDataset shards."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from syntheticcellgan.data.images import read_image
from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.data.shard_index import ShardIndex


class Images(Sequence[Any]):
    """A part of a data set. As a sequence it gives what describes images one after the other: paths, or pixels."""

    @abstractmethod
    def labels(self, cell_types: tuple[str, ...]) -> np.ndarray:
        """(N,) place of each image's type in `cell_types`."""

    @abstractmethod
    def read(self, number: int) -> np.ndarray:
        """One image, (H, W, 3) uint8; InputError if it is damaged."""

    @abstractmethod
    def identity(self) -> str:
        """A text that changes when another image takes the place of one; names the copies that are kept of them."""


class FolderImages(Images):
    """Those of a folder with a sub-folder per type, or with a table."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest

    def __len__(self) -> int:
        return len(self.manifest)

    def __getitem__(self, number: Any) -> Any:
        return self.manifest.path(self.manifest.records[number])

    def labels(self, cell_types: tuple[str, ...]) -> np.ndarray:
        places = {name: place for place, name in enumerate(cell_types)}
        return np.array([places[record.cell_type] for record in self.manifest.records], np.int16)

    def read(self, number: int) -> np.ndarray:
        return read_image(self[number])

    def identity(self) -> str:
        return "\n".join(f"{r.file}:{self.manifest.path(r).stat().st_size}" for r in self.manifest.records)


class ShardImages(Images):
    """Some rows of an index of shards."""

    def __init__(self, shards: ShardIndex, rows: np.ndarray) -> None:
        self.shards, self.rows = shards, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: Any) -> Any:
        return self.read(number)

    def labels(self, cell_types: tuple[str, ...]) -> np.ndarray:
        places = np.array([cell_types.index(name) for name in self.shards.cell_types], np.int16)
        chosen: np.ndarray = places[self.shards.rows["type"][self.rows]]
        return chosen

    def read(self, number: int) -> np.ndarray:
        return self.shards.read(int(self.rows[number]))

    def identity(self) -> str:
        return hashlib.sha256(self.shards.rows["digest"][self.rows].tobytes()).hexdigest()
