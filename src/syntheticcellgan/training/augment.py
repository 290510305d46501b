"""What the critic is shown: true symmetries of a smear, and (off by default) colour; latents shifted and partly hidden."""

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


def shift_and_hide(latents: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """DiffAugment (Zhao et al. 2020) for latents: a shift by up to an eighth of the side, then a hidden square of half
    the side; each with this probability, per latent, differentiable. Both players' latents go through it, so that a
    critic of few images learns less by heart and the generator never copies the shifts: their empty rims show.

    Args:
        latents: (N, C, S, S).

    Returns:
        (N, C, S, S).
    """
    if probability == 0:
        return latents
    n, _, side, _ = latents.shape
    reach = max(side // 8, 1)
    shifted, hidden = (torch.rand(2, n, generator=generator) < probability).to(latents.device)
    offset = torch.randint(-reach, reach + 1, (2, n), generator=generator).to(latents.device) * shifted
    position = torch.arange(side, device=latents.device)
    rows, columns = (position + o[:, None] + reach for o in offset)
    padded = torch.nn.functional.pad(latents, (reach,) * 4)
    which = torch.arange(n, device=latents.device)[:, None, None]
    moved = padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    corner = torch.randint(-(side // 4), side - side // 4 + 1, (2, n), generator=generator).to(latents.device)
    inside = [(position >= c[:, None]) & (position < c[:, None] + side // 2) for c in corner]
    square = inside[0][:, :, None] & inside[1][:, None, :] & hidden[:, None, None]
    return moved * ~square[:, None]
