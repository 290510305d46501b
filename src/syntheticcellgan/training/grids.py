"""Sample grids: one row per type, synthetic cells of fixed noise beside real ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from syntheticcellgan.files import write_whole
from syntheticcellgan.pixels import to_uint8

GAP = 4


def save_grid(rows: list[tuple[Tensor, Tensor]], path: Path) -> None:
    """Each row: synthetic (n, 3, H, W) left, real (m, 3, H, W) right of a white bar."""
    lines = []
    for synthetic, real in rows:
        left, right = to_uint8(synthetic), to_uint8(real)
        bar = np.full((left.shape[1], GAP, 3), 255, np.uint8)
        lines.append(np.concatenate([*left, bar, *right], axis=1))
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(lines)).save(buffer, "PNG")
    write_whole(path, buffer.getvalue())  # others look on while it is written
