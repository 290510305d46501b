"""What a cell's latent says of its attributes and sizes: one small network with a head for each."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from syntheticcellgan.config import ChainConfig
from syntheticcellgan.networks.blocks import Down, Residual, TypeEmbedding, activate, initialise

WIDTH = 48
TYPE_SIZE = 32
HIDDEN = 128


class AttributeNetwork(nn.Module):
    """Latents of the autoencoder and cell type → scores.

    It reads the latent, before anything is decoded: thousands of cells that might be made can be looked through in the
    time that the translator needs for a few, and gradients reach the noise.
    """

    def __init__(self, config: ChainConfig, outputs: int, seed: int = 6) -> None:
        super().__init__()
        self.types = TypeEmbedding(len(config.cell_types), TYPE_SIZE)
        self.stem = nn.Conv2d(config.generator.latent_channels, WIDTH, 3, padding=1)
        self.fine = nn.Sequential(Residual(WIDTH), Residual(WIDTH))
        self.down = Down(WIDTH, 2 * WIDTH)
        self.coarse = nn.Sequential(Residual(2 * WIDTH), Residual(2 * WIDTH))
        self.hidden = nn.Linear(4 * WIDTH + TYPE_SIZE, HIDDEN)
        self.scores = nn.Linear(HIDDEN, outputs)
        self.scores.initial_gain = 0.1  # type: ignore[assignment]
        initialise(self, torch.Generator().manual_seed(seed))

    def forward(self, latents: Tensor, types: Tensor, dropout: float = 0.0) -> Tensor:
        """latents (N, latent_channels, R/8, R/8), types (N,) int64 → (N, outputs)."""
        x = self.stem(latents.contiguous(memory_format=torch.channels_last))
        x = activate(self.coarse(self.down(activate(self.fine(x)))))
        # The mean says how much there is of something, the maximum whether there is any.
        x = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3)), self.types(types)], dim=1)
        x = nn.functional.dropout(activate(self.hidden(x)), dropout, training=dropout > 0)
        scores: Tensor = self.scores(x)
        return scores
