"""Degradation of a basic cell image to a known level: what the translator learns to undo, and what generation applies too."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BLUR = 6.0  # standard deviation of the blur at level 1, pixels at the basic image's scale
GRAIN = 0.25  # standard deviation of the noise at level 1, on the −1 … 1 scale
RADIUS = 12


def degrade(basic: Tensor, level: Tensor, noise: Tensor) -> Tensor:
    """Blur and grain that grow with the level (conditioning augmentation, Ho et al. 2022).

    Args:
        basic: (N, 3, R, R), −1 … 1.
        level: (N,), 0 … 1; 0 leaves the image as it is, 1 leaves a coloured cloud.
        noise: (N, 3, R, R), standard normal.

    Returns:
        (N, 3, R, R).
    """
    n, c, height, width = basic.shape
    sigma = (BLUR * level.square()).clamp_min(1e-3)
    offsets = torch.arange(-RADIUS, RADIUS + 1, device=basic.device, dtype=basic.dtype)
    kernel = torch.exp(-0.5 * (offsets[None] / sigma[:, None]).square())
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(c, dim=0)
    x = F.pad(basic, (RADIUS, RADIUS, RADIUS, RADIUS), mode="replicate").reshape(1, n * c, height + 2 * RADIUS, -1)
    x = F.conv2d(x, kernel[:, None, None, :], groups=n * c)
    x = F.conv2d(x, kernel[:, None, :, None], groups=n * c).reshape(n, c, height, width)
    return x + GRAIN * level[:, None, None, None] * noise


def shrink(image: Tensor, scale: int) -> Tensor:
    """The basic image that belongs to a high-resolution one: the mean over scale × scale pixels."""
    return F.avg_pool2d(image, scale)
