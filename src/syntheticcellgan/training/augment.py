"""What the critic is shown: symmetries of a smear; latents shifted and partly hidden. Colour, which is diagnosis, is left alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from syntheticcellgan.training.randomness import Chance


def symmetry(image: np.ndarray, which: int) -> np.ndarray:
    """One of the eight flips and quarter turns (0 … 7) of an image (H, W, C) with H = W."""
    turned = np.rot90(image, which % 4)
    return turned[:, ::-1] if which >= 4 else turned


def shift_and_hide(latents: Tensor, probability: float, chance: Chance) -> Tensor:
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
    shifted, hidden = (chance.uniform(2, n, dim=1) < probability).to(latents.device)
    offset = chance.integers(-reach, reach + 1, 2, n, dim=1).to(latents.device) * shifted
    position = torch.arange(side, device=latents.device)
    rows, columns = (position + o[:, None] + reach for o in offset)
    padded = torch.nn.functional.pad(latents, (reach,) * 4)
    which = torch.arange(n, device=latents.device)[:, None, None]
    moved = padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    corner = chance.integers(-(side // 4), side - side // 4 + 1, 2, n, dim=1).to(latents.device)
    inside = [(position >= c[:, None]) & (position < c[:, None] + side // 2) for c in corner]
    square = inside[0][:, :, None] & inside[1][:, None, :] & hidden[:, None, None]
    return moved * ~square[:, None]
