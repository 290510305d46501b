"""All chance in training is a function of (seed, stage, step, image): a resumed run draws what the undisturbed one drew."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor


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


class Chance:
    """Numbers for the images of one step. Each process draws for the whole batch and keeps what belongs to its own images, so
    that an image meets the same numbers whichever process shows it, however many there are.

    `dim` is the dimension of the images in a shape, which counts this process's alone.
    """

    def __init__(self, seed: int, *names: str | int, process: Process = ALONE) -> None:
        self.generator, self.process = torch_generator(seed, *names), process

    def normal(self, *shape: int, dim: int = 0) -> Tensor:
        """From the standard normal distribution."""
        return self._own(torch.randn, shape, dim)

    def uniform(self, *shape: int, dim: int = 0) -> Tensor:
        """From 0 … 1."""
        return self._own(torch.rand, shape, dim)

    def integers(self, low: int, high: int, *shape: int, dim: int = 0) -> Tensor:
        """From low … high − 1."""
        return self._own(partial(torch.randint, low, high), shape, dim)

    def shared(self, low: int, high: int, count: int) -> list[int]:
        """`count` integers from low … high − 1 that all images have in common."""
        numbers: list[int] = torch.randint(low, high, (count,), generator=self.generator).tolist()
        return numbers

    def _own(self, draw: Callable[..., Tensor], shape: Sequence[int], dim: int) -> Tensor:
        whole = [size * (self.process.count if place == dim else 1) for place, size in enumerate(shape)]
        drawn = draw(whole, generator=self.generator)
        return drawn[(slice(None),) * dim + (self.process.of(shape[dim]),)]


def _key(names: tuple[str | int, ...]) -> int:
    text = "/".join(map(str, names)).encode()
    return zlib.crc32(text) << 32 | zlib.crc32(text[::-1] + b"*")
