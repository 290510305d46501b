"""A decoder that keeps edges: each pixel of an enlarged map is drawn by weights of its own (Shi et al. 2016).

Beside each enlargement runs a shortcut without weights (Chen et al. 2025, deep compression autoencoder), so that the
convolutions need only learn what is to be added.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from syntheticcellgan.config import ChainConfig
from syntheticcellgan.networks.blocks import Residual, activate, initialise


class Unfold(nn.Module):
    """Doubles the side: a convolution draws each of the four pixels by weights of its own, beside a plain shortcut."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, 4 * outputs, 3, padding=1)
        self.conv.initial_gain = 0.5  # type: ignore[assignment]
        self.copies = 4 * outputs // inputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, outputs, 2H, 2W); C divides 4 outputs."""
        return F.pixel_shuffle(self.conv(activate(x)) + x.repeat_interleave(self.copies, dim=1), 2)


class SubpixelDecoder(nn.Module):
    """Latent → basic image."""

    def __init__(self, config: ChainConfig, seed: int = 5) -> None:
        super().__init__()
        width = config.generator.width // 2
        self.start = nn.Conv2d(config.generator.latent_channels, width, 3, padding=1)
        self.blocks = nn.Sequential(
            Residual(width), Residual(width),
            Unfold(width, width // 2), Residual(width // 2), Residual(width // 2),
            Unfold(width // 2, width // 4), Residual(width // 4), Residual(width // 4),
        )  # fmt: skip
        self.image = nn.Conv2d(width // 4, 12, 3, padding=1)
        initialise(self, torch.Generator().manual_seed(seed))

    def forward(self, latent: Tensor) -> Tensor:
        """(N, latent_channels, R/8, R/8) → (N, 3, R, R), about −1 … 1."""
        x = self.blocks(self.start(latent.contiguous(memory_format=torch.channels_last)))
        return F.pixel_shuffle(self.image(activate(x)), 2)
