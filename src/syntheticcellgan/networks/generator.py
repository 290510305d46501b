"""Low-resolution generator: noise and cell type → basic cell image."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from syntheticcellgan.config import ChainConfig
from syntheticcellgan.networks.adapter import Adapter, shares_of
from syntheticcellgan.networks.blocks import (
    Residual,
    TypeEmbedding,
    Up,
    activate,
    adapt_modulations,
    adapted,
    initialise,
)
from syntheticcellgan.networks.decoder import Decoder
from syntheticcellgan.networks.latents import FOLD, normalise

TYPE_SIZE = 64
BLOCKS = 3  # residual blocks at each side above 4


def channels_at(width: int, side: int) -> int:
    """Channels at a given side: `width` at 4, half of it above."""
    return width if side == 4 else width // 2


def from_mean(style: Tensor, mean: Tensor, times: float | Tensor) -> Tensor:
    """Style vectors that lie so many times as far from their type's mean, all (N, style_size)."""
    return mean + times * (style - mean)


class LowResolutionGenerator(nn.Module):
    """Draws a latent of the autoencoder and decodes it; every block is modulated by noise and type.

    In mode `basic` the type is not given to the network at all. Style vectors end with the shares of the types that were
    adapted to few images (`adapter.py`), if there are any: style_size = condition + their number.
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
        self.ups = nn.ModuleList()
        self.blocks = nn.ModuleList()
        side = 4
        while side < g.resolution // FOLD:
            side *= 2
            self.ups.append(Up(channels_at(g.width, side // 2), channels_at(g.width, side)))
            self.blocks.extend(Residual(channels_at(g.width, side), condition) for _ in range(BLOCKS))
        self.latent = nn.Conv2d(channels_at(g.width, side), g.latent_channels, 1)
        initialise(self, torch.Generator().manual_seed(seed))
        self.adapted = config if self.typed and config.adapted else None
        self.style_size = condition + (len(config.adapted) if self.adapted else 0)
        self.start_adapter: Adapter | None = None
        if self.adapted:
            adapt_modulations(self, config, seed + 100)
            self.start_adapter = Adapter(condition, g.width * 16, len(config.adapted), config.adapter_rank, seed + 99)
        self.decoder = Decoder(config)

    def map(self, noise: Tensor, types: Tensor, strength: float = 1.0) -> Tensor:
        """noise (N, latent_size), types (N,) int64 → style vectors (N, style_size)."""
        x = noise * torch.rsqrt(noise.square().mean(dim=1, keepdim=True) + 1e-8)
        if self.types is not None:
            x = torch.cat([x, self.types.faded(types, strength)], dim=1)
        for layer in self.mapping:
            x = activate(layer(x))
        return x if self.adapted is None else torch.cat([x, shares_of(types, self.adapted).to(x.dtype)], dim=1)

    def latents(self, style: Tensor) -> Tensor:
        """Style vectors (N, style_size) → latents (N, latent_channels, R/8, R/8), normalised."""
        x = (
            adapted(self.start, self.start_adapter, style)
            .view(len(style), -1, 4, 4)
            .contiguous(memory_format=torch.channels_last)
        )
        x = self.first(x, style)
        for i, up in enumerate(self.ups):
            x = up(x)
            for block in self.blocks[i * BLOCKS : (i + 1) * BLOCKS]:
                x = block(x, style)
        return normalise(self.latent(activate(x)))

    def synthesise(self, style: Tensor) -> Tensor:
        """Style vectors (N, style_size) → images (N, 3, R, R), about −1 … 1."""
        image: Tensor = self.decoder(self.latents(style))
        return image

    def forward(self, noise: Tensor, types: Tensor, strength: float = 1.0, decode: bool = True) -> Tensor:
        """noise (N, latent_size), types (N,) int64 → images (N, 3, R, R), about −1 … 1, or latents."""
        style = self.map(noise, types, strength)
        return self.synthesise(style) if decode else self.latents(style)
