"""All chance in training is a function of (seed, stage, step, image): a resumed run draws what the undisturbed one drew."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Process:
    """The `rank`-th of `count` processes that share each batch."""

    rank: int = 0
    count: int = 1

    def of(self, images: int) -> slice:
        """Which images of the whole batch are its own, `images` of them: every `count`-th, so that what a step does with the
        first or the last part of a batch is shared alike.
        """
        return slice(self.rank, images * self.count, self.count)


ALONE = Process()


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """Counter-based generator for one named purpose and step."""
    return np.random.Generator(np.random.Philox(key=[seed & 0xFFFFFFFF, _key(names)]))


def torch_generator(seed: int, *names: str | int) -> torch.Generator:
    """The same for tensors, always on the CPU so that every device draws the same noise."""
    return torch.Generator().manual_seed(int(numpy_generator(seed, *names).integers(2**62)))


def _key(names: tuple[str | int, ...]) -> int:
    text = "/".join(map(str, names)).encode()
    return zlib.crc32(text) << 32 | zlib.crc32(text[::-1] + b"*")
