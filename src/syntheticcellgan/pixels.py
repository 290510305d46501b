"""Between images as files hold them, (H, W, 3) uint8, and tensors as networks take them, (3, H, W), −1 … 1."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def to_tensor(images: np.ndarray) -> Tensor:
    """(N, H, W, 3) uint8 → (N, 3, H, W) float32, −1 … 1, channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> np.ndarray:
    """(N, 3, H, W), −1 … 1, on any device → (N, H, W, 3) uint8, rounded; what lies beyond is clipped."""
    scaled = images.detach().float().cpu().add(1).mul_(127.5).round_().clamp_(0, 255).byte()
    result: np.ndarray = scaled.permute(0, 2, 3, 1).contiguous().numpy()
    return result
