"""Degradation of a basic cell image to a known level: what the translator learns to undo, and what generation applies too."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BLUR = 6.0  # standard deviation of the blur at level 1, pixels at the basic image's scale
GRAIN = 0.25  # standard deviation of the noise at level 1, on the −1 … 1 scale
RADIUS = 12
NEAR, CLOUD = 2.5, 3.5  # pixels: how far beyond nuclei a veil reaches, and how far it blurs


def degrade(basic: Tensor, level: Tensor, noise: Tensor) -> Tensor:
    """Blur and grain that grow with the level (conditioning augmentation, Ho et al. 2022).

    Args:
        basic: (N, 3, R, R), −1 … 1.
        level: (N,), 0 … 1; 0 leaves the image as it is, 1 leaves a coloured cloud.
        noise: (N, 3, R, R), standard normal.

    Returns:
        (N, 3, R, R).
    """
    return _blur(basic, BLUR * level.square()) + GRAIN * level[:, None, None, None] * noise


def _blur(image: Tensor, sigma: Tensor) -> Tensor:
    """(N, C, H, W) blurred by a normal curve of standard deviation sigma (N,), in pixels."""
    n, c, height, width = image.shape
    sigma = sigma.clamp_min(1e-3)
    offsets = torch.arange(-RADIUS, RADIUS + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (offsets[None] / sigma[:, None]).square())
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(c, dim=0)
    x = F.pad(image, (RADIUS, RADIUS, RADIUS, RADIUS), mode="replicate").reshape(1, n * c, height + 2 * RADIUS, -1)
    x = F.conv2d(x, kernel[:, None, None, :], groups=n * c)
    return F.conv2d(x, kernel[:, None, :, None], groups=n * c).reshape(n, c, height, width)


def veil(basic: Tensor) -> Tensor:
    """Hides what a basic cell is of: no colours, and nuclei and what lies near them are a soft cloud. Surroundings stay sharp.

    Args:
        basic: (N, 3, R, R), −1 … 1. What is purple, with more blue than green, counts as nucleus.

    Returns:
        (N, 3, R, R), its three colours equal.
    """
    grey = basic.mean(dim=1, keepdim=True)
    purple = ((basic[:, 2:] - basic[:, 1:2]) / 0.2 - 0.6).clamp(0, 1)
    near = (3 * _blur(purple, grey.new_full((len(grey),), NEAR))).clamp_max(1)
    return grey.lerp(_blur(grey, grey.new_full((len(grey),), CLOUD)), near).expand_as(basic)


def disguise(basic: Tensor, strength: Tensor, exponent: Tensor) -> Tensor:
    """Changes how dark what lies before the background is, from place to place, and with it how far it seems to reach.

    A translator that learns from disguised cells finds that their darkness and extent say little, and takes these from the
    type that it is asked for.

    Args:
        basic: (N, 3, R, R), −1 … 1.
        strength, exponent: (N, 1, r, r), standard normal, enlarged smoothly to the image's side.

    Returns:
        (N, 3, R, R), of the same tints.
    """
    grey = basic.mean(dim=1, keepdim=True)
    dark = (1 - grey) / 2
    background = dark.flatten(1).quantile(0.1, dim=1)[:, None, None, None]
    strength, exponent = (
        F.interpolate(x, size=basic.shape[2:], mode="bilinear", align_corners=True) for x in (strength, exponent)
    )
    relief = (dark - background).clamp(1e-4, 1) ** (0.5 * exponent).exp() * (0.35 * strength).exp()
    return basic - grey + 1 - 2 * (background + relief).clamp_max(1)


def shrink(image: Tensor, scale: int) -> Tensor:
    """The basic image that belongs to a high-resolution one: the mean over scale × scale pixels."""
    return F.avg_pool2d(image, scale)
