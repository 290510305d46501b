"""Images for training: class-balanced, determined by the step, and never all in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.errors import ScgError
from syntheticcellgan.pixels import to_tensor
from syntheticcellgan.training.augment import symmetry
from syntheticcellgan.training.randomness import numpy_generator


class Feed:
    """Draws batches in which every type has the same chance.

    Images of up to 128 pixels are resized once into a memory-mapped file of the run folder; larger ones stay compressed
    on disk and are decoded when drawn.
    """

    def __init__(
        self, manifest: Manifest, cell_types: tuple[str, ...], size: int, seed: int, cache: Path | None
    ) -> None:
        self.manifest, self.size, self.seed = manifest, size, seed
        self.cell_types = cell_types
        labels = np.array([cell_types.index(record.cell_type) for record in manifest.records])
        self.members = [np.flatnonzero(labels == t) for t in range(len(cell_types))]
        self.small = self._resized(cache) if cache is not None else None

    def _resized(self, cache: Path) -> np.ndarray:
        """Every image at `size`, memory-mapped: (N, size, size, 3) uint8."""
        names = "\n".join(f"{r.file}:{self.manifest.path(r).stat().st_size}" for r in self.manifest.records)
        path = cache / f"images-{self.size}-{hashlib.sha256(names.encode()).hexdigest()[:12]}.npy"
        if not path.exists():
            cache.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(".part")
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(self.manifest), self.size, self.size, 3)}
            try:
                # Written and not mapped: on a full disk a write fails, but a mapped page ends the process.
                with open(temporary, "wb") as file:
                    np.lib.format.write_array_header_1_0(file, header)
                    for i in range(len(self.manifest)):
                        file.write(self._read(i).tobytes())
                temporary.replace(path)
            except OSError as error:
                temporary.unlink(missing_ok=True)
                raise ScgError(f"{path} could not be written ({error.strerror}). Free some space.") from error
        mapped: np.ndarray = np.load(path, mmap_mode="r")
        return mapped

    def _read(self, index: int) -> np.ndarray:
        return resize_square(read_image(self.manifest.path(self.manifest.records[index])), self.size)

    def image(self, index: int) -> np.ndarray:
        """One image, (size, size, 3) uint8."""
        return self._read(index) if self.small is None else self.small[index]

    def first(self, cell_type: int, count: int | None = None) -> Tensor:
        """The first `count` images of a type in file order (all of them for None): (count, 3, S, S), white where none is left."""
        members = self.members[cell_type][:count]
        images = [self.image(int(i)) for i in members]
        images += [np.full((self.size, self.size, 3), 255, np.uint8)] * ((count or 0) - len(members))
        return to_tensor(np.stack(images)) if images else torch.empty(0, 3, self.size, self.size)

    def batch(self, stage: str, step: int, count: int, rank: int = 0, crop: int | None = None) -> tuple[Tensor, Tensor]:
        """Images (count, 3, S, S) float32 in −1 … 1 and types (count,) int64, the same whenever asked for this step."""
        rng = numpy_generator(self.seed, "feed", stage, step, rank)
        types = rng.integers(len(self.members), size=count)
        images = []
        for t in types:
            image = symmetry(self.image(int(rng.choice(self.members[t]))), int(rng.integers(8)))
            if crop is not None and crop < self.size:
                # Multiples of 8 keep the basic image's pixels aligned with the crop.
                y, x = (8 * rng.integers(0, (self.size - crop) // 8 + 1, size=2)).tolist()
                image = image[y : y + crop, x : x + crop]
            images.append(image)
        return to_tensor(np.stack(images)), torch.from_numpy(types)
