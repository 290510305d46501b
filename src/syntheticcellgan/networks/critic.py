"""Critic of the low-resolution game: image and cell type → one number, unbounded (no sigmoid, no batch statistics)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from syntheticcellgan.config import ChainConfig
from syntheticcellgan.networks.blocks import Down, Residual, TypeEmbedding, activate, initialise
from syntheticcellgan.networks.generator import channels_at


class Critic(nn.Module):
    """Mirror of the generator; the type enters by projection (Miyato and Koyama 2018) in mode `typed`."""

    def __init__(self, config: ChainConfig, seed: int = 1) -> None:
        super().__init__()
        g = config.generator
        side = g.resolution
        self.stem = Down(3, channels_at(g.width, side // 2))
        side //= 2
        self.downs, self.residuals = nn.ModuleList(), nn.ModuleList()
        while side > 4:
            side //= 2
            self.downs.append(Down(channels_at(g.width, 2 * side), channels_at(g.width, side)))
            self.residuals.append(Residual(channels_at(g.width, side)))
        self.features = nn.Linear(g.width * 16, g.width)
        self.value = nn.Linear(g.width, 1)
        self.types = TypeEmbedding(len(config.cell_types), g.width) if g.mode == "typed" else None
        self.scale = g.width**-0.5
        initialise(self, torch.Generator().manual_seed(seed))

    def forward(self, image: Tensor, types: Tensor, strength: float = 1.0) -> Tensor:
        """image (N, 3, R, R), types (N,) int64 → values (N,)."""
        x = self.stem(image.contiguous(memory_format=torch.channels_last))
        for down, residual in zip(self.downs, self.residuals, strict=True):
            x = residual(down(activate(x)))
        x = activate(self.features(activate(x).flatten(1)))
        value = self.value(x).squeeze(1)
        if self.types is not None:
            value = value + (x * self.types.faded(types, strength)).sum(dim=1) * self.scale
        return value
