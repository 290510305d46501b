"""Degradation of a basic cell image to a known level: what the translator learns to undo, and what generation applies too."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BLUR = 6.0  # standard deviation of the blur at level 1, pixels at the basic image's scale
GRAIN = 0.25  # standard deviation of the noise at level 1, on the −1 … 1 scale
REACH = 6.0, 10.0  # pixels: how far a veil reaches beyond nuclei; at random between the two in training
SPECK, CLOUD = 1.5, 3.5  # pixels: what is smaller is no nucleus; how far a veiled cell is blurred
RADIUS, WIDE = 12, 25  # pixels: where the curve of a blur ends; a veil reaches farther


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


def _blur(image: Tensor, sigma: Tensor, radius: int = RADIUS) -> Tensor:
    """(N, C, H, W) blurred by a normal curve of standard deviation sigma (N,), cut off at `radius`; both in pixels."""
    n, c, height, width = image.shape
    sigma = sigma.clamp_min(1e-3)
    offsets = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (offsets[None] / sigma[:, None]).square())
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(c, dim=0)
    x = F.pad(image, (radius,) * 4, mode="replicate").reshape(1, n * c, height + 2 * radius, -1)
    x = F.conv2d(x, kernel[:, None, None, :], groups=n * c)
    return F.conv2d(x, kernel[:, None, :, None], groups=n * c).reshape(n, c, height, width)


def nearness(basic: Tensor, reach: Tensor | None = None) -> Tensor:
    """How far each place belongs to a cell: 1 on nuclei and within about 1.6 times the reach around them, 0 far away.

    Args:
        basic: (N, 3, R, R), −1 … 1. What is purple, with more blue than green, counts as nucleus.
        reach: (N,), pixels, 6 to 10; None: 6, a rim of cytoplasm.

    Returns:
        (N, 1, R, R), 0 … 1.
    """
    tint = basic[:, 2:] - basic[:, 1:2]
    purple = ((_blur(tint, tint.new_full((len(tint),), SPECK)) - 0.12) / 0.2).clamp(0, 1)
    reach = tint.new_full((len(tint),), REACH[0]) if reach is None else reach
    return (20 * _blur(purple, reach, WIDE)).clamp_max(1)


def cloud(basic: Tensor) -> Tensor:
    """A basic cell without colours and edges: (N, 3, R, R) → (N, 1, R, R)."""
    grey = basic.mean(dim=1, keepdim=True)
    return _blur(grey, grey.new_full((len(grey),), CLOUD))


def veil(basic: Tensor, near: Tensor, instead: Tensor) -> Tensor:
    """Hides what a basic cell is of: `instead` (N, 1, R, R) stands where the cell is `near`; surroundings stay as they are."""
    return basic.lerp(instead.expand_as(basic), near)


def disguise(seen: Tensor, strength: Tensor, exponent: Tensor) -> Tensor:
    """Changes how dark what lies before the background is, from place to place, and with it how far it seems to reach.

    A translator that learns from disguised clouds finds that their darkness and extent say little, and takes these from the
    type that it is asked for.

    Args:
        seen: (N, 1, R, R), −1 … 1.
        strength, exponent: (N, 1, r, r), standard normal, enlarged smoothly to the image's side.

    Returns:
        (N, 1, R, R).
    """
    dark = (1 - seen) / 2
    background = dark.flatten(1).quantile(0.1, dim=1)[:, None, None, None]
    strength, exponent = (
        F.interpolate(x, size=seen.shape[2:], mode="bilinear", align_corners=True) for x in (strength, exponent)
    )
    relief = (dark - background).clamp(1e-4, 1) ** (0.5 * exponent).exp() * (0.35 * strength).exp()
    return 1 - 2 * (background + relief).clamp_max(1)


def shrink(image: Tensor, scale: int) -> Tensor:
    """The basic image that belongs to a high-resolution one: the mean over scale × scale pixels."""
    return F.avg_pool2d(image, scale)
