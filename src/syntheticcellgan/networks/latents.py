"""The space between encoder and decoder, in which the first game is played."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FOLD = 8
"""Basic image pixels per latent position, along each side."""


def normalise(latent: Tensor) -> Tensor:
    """Unit root mean square over the channels of each position, so that the critic always sees the same scale."""
    return latent * torch.rsqrt(latent.square().mean(dim=1, keepdim=True) + 1e-6)


def shrunk(x: Tensor, side: int) -> Tensor:
    """Latents or images (N, C, S, S) → (N, C, side, side), side at most S; float32."""
    return F.interpolate(x.float(), size=(side, side), mode="bilinear", antialias=True, align_corners=False)
