"""Sample grids: one row per type, synthetic cells of fixed noise beside real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

GAP = 4


def to_uint8(images: Tensor) -> np.ndarray:
    """(N, 3, H, W), −1 … 1 → (N, H, W, 3) uint8, rounded."""
    scaled = images.detach().float().cpu().add(1).mul(127.5).round().clamp(0, 255).byte()
    result: np.ndarray = scaled.permute(0, 2, 3, 1).contiguous().numpy()
    return result


def save_grid(rows: list[tuple[Tensor, Tensor]], path: Path) -> None:
    """Each row: synthetic (n, 3, H, W) left, real (m, 3, H, W) right of a white bar."""
    lines = []
    for synthetic, real in rows:
        left, right = to_uint8(synthetic), to_uint8(real)
        bar = np.full((left.shape[1], GAP, 3), 255, np.uint8)
        lines.append(np.concatenate([*left, bar, *right], axis=1))
    Image.fromarray(np.concatenate(lines)).save(path)
