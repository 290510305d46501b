"""Small autoencoder of basic cell images: the space in which the first game is played.

Playing in the latent space of the same cells (Rombach et al. 2022 did so for diffusion) lets a CPU show the critic
several times as many cells in the same time: how to draw an edge is learnt once, by copying real cells, and the game is
about which cell to draw.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from syntheticcellgan.config import ChainConfig
from syntheticcellgan.networks.blocks import Down, Residual, activate, initialise
from syntheticcellgan.networks.decoder import Decoder
from syntheticcellgan.networks.latents import normalise


class Encoder(nn.Module):
    """Basic image → latent."""

    def __init__(self, config: ChainConfig, seed: int = 4) -> None:
        super().__init__()
        width = config.generator.width // 2
        self.downs = nn.ModuleList([Down(3, width // 4), Down(width // 4, width // 2), Down(width // 2, width)])
        self.block = Residual(width)
        self.latent = nn.Conv2d(width, config.generator.latent_channels, 1)
        initialise(self, torch.Generator().manual_seed(seed))

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, R, R), −1 … 1 → (N, latent_channels, R/8, R/8), normalised."""
        x = image.contiguous(memory_format=torch.channels_last)
        for down in self.downs:
            x = activate(down(x))
        return normalise(self.latent(activate(self.block(x))))


class Autoencoder(nn.Module):
    """Encoder, noise, decoder: the noise makes the decoder forgive latents that are a little off."""

    def __init__(self, config: ChainConfig, seed: int = 4) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(config, seed), Decoder(config, seed + 1)

    def forward(self, image: Tensor, noise: Tensor) -> Tensor:
        """image (N, 3, R, R), noise (N, latent_channels, R/8, R/8) → reconstruction of the same shape as the image."""
        made: Tensor = self.decoder(self.encoder(image) + noise)
        return made
