"""The space between encoder and decoder, in which the first game is played."""

from __future__ import annotations

import torch
from torch import Tensor

FOLD = 8
"""Basic image pixels per latent position, along each side."""


def normalise(latent: Tensor) -> Tensor:
    """Unit root mean square over the channels of each position, so that the critic always sees the same scale."""
    return latent * torch.rsqrt(latent.square().mean(dim=1, keepdim=True) + 1e-6)
