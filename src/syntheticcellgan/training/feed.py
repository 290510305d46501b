"""Images for training: class-balanced, determined by the step, and never all in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from syntheticcellgan.data.images import resize_square
from syntheticcellgan.errors import ScgError
from syntheticcellgan.pixels import to_tensor
from syntheticcellgan.training.augment import symmetry
from syntheticcellgan.training.images import Images
from syntheticcellgan.training.randomness import ALONE, Process, numpy_generator

CACHED = 2**32
"""Bytes of resized images that are kept on disk; those of a larger set are resized when drawn."""


class Feed:
    """Draws batches in which every type comes equally often, and every image of a type before one comes again.

    Which images a step shows follows from its number alone, so nothing needs to be remembered to go on in the middle of an
    epoch; and the batch is the same whichever number of processes share it.

    Images of up to 128 pixels are resized once into a memory-mapped file of the run folder, unless it would be larger than
    `CACHED`; others stay compressed on disk and are decoded when drawn.
    """

    def __init__(self, images: Images, cell_types: tuple[str, ...], size: int, seed: int, cache: Path | None) -> None:
        self.images, self.size, self.seed = images, size, seed
        self.cell_types = cell_types
        labels = images.labels(cell_types)
        self.members = [np.flatnonzero(labels == t) for t in range(len(cell_types))]
        small = len(images) * size * size * 3 <= CACHED
        self.small = self._resized(cache) if cache is not None and small else None
        self._orders: dict[int, tuple[str, int, np.ndarray]] = {}

    def _resized(self, cache: Path) -> np.ndarray:
        """Every image at `size`, memory-mapped: (N, size, size, 3) uint8."""
        path = cache / f"images-{self.size}-{hashlib.sha256(self.images.identity().encode()).hexdigest()[:12]}.npy"
        if not path.exists():
            cache.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(".part")
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(self.images), self.size, self.size, 3)}
            try:
                # Written and not mapped: on a full disk a write fails, but a mapped page ends the process.
                with open(temporary, "wb") as file:
                    np.lib.format.write_array_header_1_0(file, header)
                    for i in range(len(self.images)):
                        file.write(self._read(i).tobytes())
                temporary.replace(path)
            except OSError as error:
                temporary.unlink(missing_ok=True)
                raise ScgError(f"{path} could not be written ({error.strerror}). Free some space.") from error
        mapped: np.ndarray = np.load(path, mmap_mode="r")
        return mapped

    def _read(self, index: int) -> np.ndarray:
        return resize_square(self.images.read(index), self.size)

    def image(self, index: int) -> np.ndarray:
        """One image, (size, size, 3) uint8."""
        return self._read(index) if self.small is None else self.small[index]

    def first(self, cell_type: int, count: int | None = None) -> Tensor:
        """The first `count` images of a type in file order (all of them for None): (count, 3, S, S), white where none is left."""
        members = self.members[cell_type][:count]
        images = [self.image(int(i)) for i in members]
        images += [np.full((self.size, self.size, 3), 255, np.uint8)] * ((count or 0) - len(members))
        return to_tensor(np.stack(images)) if images else torch.empty(0, 3, self.size, self.size)

    def batch(
        self, stage: str, step: int, count: int, process: Process = ALONE, crop: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Images (count, 3, S, S) float32 in −1 … 1 and types (count,) int64, the same whenever asked for this step.

        count: images of this process; the step's whole batch is that of all processes together.
        """
        mine = process.of(count)
        drawn, types = self.drawn(stage, step * count * process.count + np.arange(count * process.count)[mine])
        rng = numpy_generator(self.seed, "feed", stage, step)
        turns = rng.integers(8, size=count * process.count)[mine]
        free = 0 if crop is None else max(self.size - crop, 0)
        # Multiples of 8 keep the basic image's pixels aligned with the crop.
        corners = 8 * rng.integers(0, free // 8 + 1, size=(count * process.count, 2))[mine]
        side = self.size if crop is None else min(crop, self.size)
        images = []
        for index, turn, (y, x) in zip(drawn, turns.tolist(), corners.tolist(), strict=True):
            images.append(symmetry(self.image(index), turn)[y : y + side, x : x + side])
        return to_tensor(np.stack(images)), torch.from_numpy(types)

    def drawn(self, stage: str, places: np.ndarray) -> tuple[list[int], np.ndarray]:
        """Numbers of the images at these places of a stage's sequence, and their types.

        The sequence is made of rounds that show each type once, in an order of their own; round r shows image r of a type's
        own sequence, which is made of epochs that show each image once.
        """
        rounds, within = np.divmod(places, len(self.members))
        orders = {
            r: numpy_generator(self.seed, "types", stage, r).permutation(len(self.members))
            for r in set(rounds.tolist())
        }
        types = np.array([orders[r][w] for r, w in zip(rounds.tolist(), within.tolist(), strict=True)], np.int64)
        return [self._member(stage, t, r) for t, r in zip(types.tolist(), rounds.tolist(), strict=True)], types

    def _member(self, stage: str, cell_type: int, place: int) -> int:
        """The image at a place of a type's sequence; the order of the current epoch is remembered."""
        members = self.members[cell_type]
        epoch, within = divmod(place, len(members))
        known = self._orders.get(cell_type)
        if known is None or known[:2] != (stage, epoch):
            order = numpy_generator(self.seed, "order", stage, cell_type, epoch).permutation(len(members))
            known = self._orders[cell_type] = (stage, epoch, order.astype(np.uint32))
        return int(members[known[2][within]])
