"""Critic of the low-resolution game: latent and cell type → one number, unbounded (no sigmoid, no batch statistics)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from syntheticcellgan.config import ChainConfig
from syntheticcellgan.networks.blocks import Down, Residual, TypeEmbedding, activate, initialise
from syntheticcellgan.networks.generator import channels_at
from syntheticcellgan.networks.latents import FOLD


class Critic(nn.Module):
    """Mirror of the generator; the type enters by projection (Miyato and Koyama 2018) in mode `typed`."""

    def __init__(self, config: ChainConfig, seed: int = 1) -> None:
        super().__init__()
        g = config.generator
        side = g.resolution // FOLD
        layers: list[nn.Module] = [nn.Conv2d(g.latent_channels, channels_at(g.width, side), 3, padding=1)]
        while side > 4:
            width = channels_at(g.width, side)
            layers += [
                Residual(width),
                Residual(width),
                nn.LeakyReLU(0.2),
                Down(width, channels_at(g.width, side // 2)),
            ]
            side //= 2
        self.body = nn.Sequential(*layers, Residual(g.width))
        self.features = nn.Linear(g.width * 16, g.width)
        self.value = nn.Linear(g.width, 1)
        self.types = TypeEmbedding(len(config.cell_types), g.width) if g.mode == "typed" else None
        self.scale = g.width**-0.5
        initialise(self, torch.Generator().manual_seed(seed))

    def forward(self, latent: Tensor, types: Tensor, strength: float = 1.0) -> Tensor:
        """latent (N, latent_channels, R/8, R/8), types (N,) int64 → values (N,)."""
        x = self.body(latent.contiguous(memory_format=torch.channels_last))
        x = activate(self.features(activate(x).flatten(1)))
        value: Tensor = self.value(x).squeeze(1)
        if self.types is not None:
            value = value + (x * self.types.faded(types, strength)).sum(dim=1) * self.scale
        return value
