"""Latent → basic image. Bilinear enlargements leave edges soft, and the latents smooth, among which the game finds its way."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from syntheticcellgan.config import ChainConfig
from syntheticcellgan.networks.blocks import Residual, Up, activate, initialise


class Decoder(nn.Module):
    """Also the last part of the generator, which takes it over as it was learnt."""

    def __init__(self, config: ChainConfig, seed: int = 5) -> None:
        super().__init__()
        width = config.generator.width // 2
        self.start = nn.Conv2d(config.generator.latent_channels, width, 3, padding=1)
        self.blocks = nn.ModuleList([
            nn.Sequential(Residual(width), Residual(width)),
            nn.Sequential(Up(width, width // 2), Residual(width // 2)),
            nn.Sequential(Up(width // 2, width // 4), Residual(width // 4)),
        ])  # fmt: skip
        self.image = nn.Conv2d(width // 4, 12, 3, padding=1)
        initialise(self, torch.Generator().manual_seed(seed))

    def forward(self, latent: Tensor) -> Tensor:
        """(N, latent_channels, R/8, R/8) → (N, 3, R, R), about −1 … 1."""
        x = self.start(latent.contiguous(memory_format=torch.channels_last))
        for block in self.blocks:
            x = block(x)
        return F.pixel_shuffle(self.image(activate(x)), 2)
