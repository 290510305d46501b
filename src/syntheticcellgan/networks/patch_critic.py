"""Patch critic: high-resolution image and cell type → one value per patch, and its features for feature matching."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from syntheticcellgan.config import ChainConfig
from syntheticcellgan.networks.blocks import Down, Residual, TypeEmbedding, activate, initialise


class PatchCritic(nn.Module):
    """Judges overlapping patches (Isola et al. 2017) of about 60 pixels; the type enters by projection at each patch."""

    def __init__(self, config: ChainConfig, seed: int = 3) -> None:
        super().__init__()
        w = config.translator.width
        # Pixels are folded 2×2 into channels first: nothing is lost and the costly full resolution is skipped.
        self.fold = nn.PixelUnshuffle(2)
        self.stem = nn.Conv2d(12, w, 3, padding=1)
        self.downs = nn.ModuleList([Down(w, 2 * w), Down(2 * w, 2 * w), Down(2 * w, 4 * w)])
        self.residual = Residual(4 * w)
        self.value = nn.Conv2d(4 * w, 1, 1)
        self.types = TypeEmbedding(len(config.cell_types), 4 * w)
        self.scale = (4 * w) ** -0.5
        initialise(self, torch.Generator().manual_seed(seed))

    def forward(self, image: Tensor, types: Tensor) -> tuple[Tensor, list[Tensor]]:
        """image (N, 3, H, W) with H, W divisible by 16, types (N,) → values (N, H/16, W/16), features of each scale."""
        x = self.stem(self.fold(image).contiguous(memory_format=torch.channels_last))
        features = [x]
        for down in self.downs:
            x = down(activate(x))
            features.append(x)
        x = activate(self.residual(x))
        projected = (x * self.types(types)[:, :, None, None]).sum(dim=1) * self.scale
        return self.value(x).squeeze(1) + projected, features
