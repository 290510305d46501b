"""What the critic is shown: true symmetries of a smear, small shifts, and (off by default) colour."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def symmetry(image: np.ndarray, which: int) -> np.ndarray:
    """One of the eight flips and quarter turns (0 … 7) of an image (H, W, C) with H = W."""
    turned = np.rot90(image, which % 4)
    return turned[:, ::-1] if which >= 4 else turned


def shift(images: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Shift each image (N, 3, H, W) by up to ±pixels in both directions, mirrored at the border; differentiable."""
    if pixels == 0:
        return images
    n, _, height, width = images.shape
    padded = F.pad(images, (pixels,) * 4, mode="reflect")
    offsets = torch.randint(0, 2 * pixels + 1, (n, 2), generator=generator).tolist()
    return torch.stack([image[:, y : y + height, x : x + width] for image, (y, x) in zip(padded, offsets, strict=True)])


def recolour(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Random gain and offset per channel, both of standard deviation `strength`; differentiable."""
    if strength == 0:
        return images
    chance = strength * torch.randn(2, len(images), 3, 1, 1, generator=generator).to(images.device)
    return images * (1 + chance[0]) + chance[1]
