"""What the critic is shown: true symmetries of a smear, and (off by default) colour."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def symmetry(image: np.ndarray, which: int) -> np.ndarray:
    """One of the eight flips and quarter turns (0 … 7) of an image (H, W, C) with H = W."""
    turned = np.rot90(image, which % 4)
    return turned[:, ::-1] if which >= 4 else turned


def recolour(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Random gain and offset per channel, both of standard deviation `strength`; differentiable."""
    if strength == 0:
        return images
    chance = strength * torch.randn(2, len(images), 3, 1, 1, generator=generator).to(images.device)
    return images * (1 + chance[0]) + chance[1]
