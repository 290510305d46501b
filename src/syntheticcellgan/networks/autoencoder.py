"""Small autoencoder of basic cell images: the space in which the first game is played.

Playing in the latent space of the same cells (Rombach et al. 2022 did so for diffusion) lets a CPU show the critic
several times as many cells in the same time: how to draw an edge is learnt once, by copying real cells, and the game is
about which cell to draw.
"""

from __future__ import annotations

from torch import Tensor, nn

from syntheticcellgan.config import ChainConfig
from syntheticcellgan.networks.autoencoder_bilinear import BilinearDecoder, BilinearEncoder
from syntheticcellgan.networks.autoencoder_subpixel import SubpixelDecoder, SubpixelEncoder


def make_encoder(config: ChainConfig, seed: int = 4) -> nn.Module:
    """Basic image (N, 3, R, R), −1 … 1 → latent (N, latent_channels, R/8, R/8), normalised."""
    return (SubpixelEncoder if config.generator.autoencoder == "subpixel" else BilinearEncoder)(config, seed)


def make_decoder(config: ChainConfig, seed: int = 5) -> nn.Module:
    """Latent (N, latent_channels, R/8, R/8) → basic image (N, 3, R, R), about −1 … 1."""
    return (SubpixelDecoder if config.generator.autoencoder == "subpixel" else BilinearDecoder)(config, seed)


class Autoencoder(nn.Module):
    """Encoder, noise, decoder: the noise makes the decoder forgive latents that are a little off."""

    def __init__(self, config: ChainConfig, seed: int = 4) -> None:
        super().__init__()
        self.encoder, self.decoder = make_encoder(config, seed), make_decoder(config, seed + 1)

    def forward(self, image: Tensor, noise: Tensor) -> Tensor:
        """image (N, 3, R, R), noise (N, latent_channels, R/8, R/8) → reconstruction of the same shape as the image."""
        made: Tensor = self.decoder(self.encoder(image) + noise)
        return made
