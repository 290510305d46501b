"""Features of whole cells for comparing sets of them, of the packaged network that the other losses use."""

from __future__ import annotations

import torch
from torch import Tensor

from syntheticcellgan.training.perceptual import EarlyLayers

TAPS = (0, 2, 4, 7)
"""Blocks whose output is pooled: positions 2, 4, 8 and 16 pixels apart. Deeper ones can be pleased by what no
other network sees (docs/explanation/design.md)."""

SPREAD = 0.45  # of half the side: standard deviation of the weight around the middle, where the cell lies
FLOOR = 0.02  # of a depth's mean deviation: numbers that hardly differ between cells shall not decide


class SetFeatures(EarlyLayers):
    """Means and standard deviations of each channel at four depths, apart for the cell and for its surroundings."""

    def __init__(self) -> None:
        super().__init__(TAPS)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W), −1 … 1 → for each depth (N, 4 · channels) float32."""
        return [_pooled(x.float()) for x in self.tapped(images.contiguous(memory_format=torch.channels_last))]


def _pooled(features: Tensor) -> Tensor:
    """(N, C, H, W) → (N, 4C): mean and standard deviation under a weight of the middle, then under the rest."""
    y, x = (torch.linspace(-1, 1, side, device=features.device).square() for side in features.shape[2:])
    middle = torch.exp(-(y[:, None] + x) / (2 * SPREAD**2))
    parts = []
    for weight in (middle / middle.sum(), (1 - middle) / (1 - middle).sum()):
        mean = (weight * features).sum(dim=(2, 3))
        variance = (weight * (features - mean[:, :, None, None]).square()).sum(dim=(2, 3))
        parts += [mean, (variance + 1e-6).sqrt()]
    return torch.cat(parts, dim=1)


def scales(features: list[Tensor]) -> list[Tensor]:
    """Of real cells' features, for each depth (types, n, D): what to divide by, (D,), so that each number counts by its
    standard deviation within a type, and two cells are about √2 apart at each depth.
    """
    found = []
    for x in features:
        deviation = x.var(dim=1).mean(dim=0).sqrt()
        found.append((deviation + FLOOR * deviation.mean() + 1e-6) * x.shape[2] ** 0.5)
    return found
