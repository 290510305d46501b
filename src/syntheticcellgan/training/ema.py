"""Exponential moving average of a generator's weights, counted in images and ramped up, so that it helps from the start."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


class Ema(Generic[M]):
    """`module` is the averaged copy; its half-life is `half_life` images, at most a twentieth of the images seen."""

    def __init__(self, module: M, half_life: float) -> None:
        self.module: M = copy.deepcopy(module).eval().requires_grad_(False)
        self.half_life = half_life

    @torch.no_grad()
    def update(self, module: nn.Module, batch: int, images_seen: int) -> None:
        """Move towards `module` after a step of `batch` images, `images_seen` in all."""
        half_life = max(min(self.half_life, 0.05 * images_seen), 1e-8)
        keep = 0.5 ** (batch / half_life)
        for average, current in zip(self.module.parameters(), module.parameters(), strict=True):
            average.lerp_(current, 1 - keep)
