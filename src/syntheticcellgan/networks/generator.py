"""Low-resolution generator: noise and cell type → basic cell image."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from syntheticcellgan.config import ChainConfig
from syntheticcellgan.networks.blocks import Residual, TypeEmbedding, Up, activate, initialise

TYPE_SIZE = 64


def channels_at(width: int, side: int) -> int:
    """Channels at a given side: `width` at 4, halved with each doubling, at least 16."""
    return max(width * 4 // side, 16)


class LowResolutionGenerator(nn.Module):
    """A compute-lean generator: modulated at 4 to 16 pixels, where it is cheap, plain above.

    In mode `basic` the type is not given to the network at all.
    """

    def __init__(self, config: ChainConfig, seed: int = 0) -> None:
        super().__init__()
        g = config.generator
        self.latent_size = g.latent_size
        self.typed = g.mode == "typed"
        condition = g.width // 2
        self.types = TypeEmbedding(len(config.cell_types), TYPE_SIZE) if self.typed else None
        sizes = [g.latent_size + (TYPE_SIZE if self.typed else 0)] + [condition] * g.mapping_layers
        self.mapping = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.start = nn.Linear(condition, g.width * 16)
        self.first = Residual(g.width, condition)
        self.ups, self.blocks = nn.ModuleList(), nn.ModuleList()
        side = 4
        while side < g.resolution:
            side *= 2
            outputs = channels_at(g.width, side)
            self.ups.append(Up(channels_at(g.width, side // 2), outputs))
            # Above 16 pixels a modulation costs more than the convolution that it feeds.
            conditions = [condition] * (2 if side <= 8 else 1) if side <= 16 else [0]
            self.blocks.append(nn.ModuleList(Residual(outputs, c) for c in conditions))
        self.image = nn.Conv2d(channels_at(g.width, side), 3, 3, padding=1)
        initialise(self, torch.Generator().manual_seed(seed))

    def map(self, noise: Tensor, types: Tensor, strength: float = 1.0) -> Tensor:
        """noise (N, latent_size), types (N,) int64 → style vectors (N, condition)."""
        x = noise * torch.rsqrt(noise.square().mean(dim=1, keepdim=True) + 1e-8)
        if self.types is not None:
            x = torch.cat([x, self.types.faded(types, strength)], dim=1)
        for layer in self.mapping:
            x = activate(layer(x))
        return x

    def synthesise(self, style: Tensor) -> Tensor:
        """Style vectors (N, condition) → images (N, 3, R, R), about −1 … 1."""
        x = self.start(style).view(len(style), -1, 4, 4).contiguous(memory_format=torch.channels_last)
        x = self.first(x, style)
        for up, blocks in zip(self.ups, self.blocks, strict=True):
            x = up(x)
            for block in blocks:
                x = block(x, style)
        return self.image(activate(x))

    def forward(self, noise: Tensor, types: Tensor, strength: float = 1.0) -> Tensor:
        """noise (N, latent_size), types (N,) int64 → images (N, 3, R, R), about −1 … 1."""
        return self.synthesise(self.map(noise, types, strength))
