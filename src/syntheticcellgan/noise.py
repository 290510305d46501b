"""The noise that a cell is made of: a function of the cell's own type and seed, of nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def key_of(*names: str | int) -> int:
    """128 bits that stand for one image of a bundle: its cell type, its seed, and the candidate if it is not the first."""
    return int.from_bytes(hashlib.sha256("\n".join(map(str, names)).encode()).digest()[:16], "little")


def noises(cells: Sequence[tuple[str | int, ...]], sizes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Standard normal noise of each size for each cell, float32, (N, *size); `cells` are the names of `key_of`."""
    drawn: list[list[np.ndarray]] = []
    for names in cells:
        rng = np.random.Generator(np.random.Philox(key=key_of(*names)))
        drawn.append([rng.standard_normal(size, dtype=np.float32) for size in sizes])
    return [torch.from_numpy(np.stack(parts)) for parts in zip(*drawn, strict=True)]
