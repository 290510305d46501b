"""Kernel distance of two sets of features: chooses checkpoints in training and is reported by the evaluation."""

from __future__ import annotations

import numpy as np


def kernel_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (x·y / d + 1)³ of (N, d) and (M, d), N and M ≥ 2.

    Bińkowski et al. 2018 (KID), eq. 4, on all images instead of subsets; may be slightly negative.
    """
    n, m = len(x), len(y)
    x, y = x.astype(float), y.astype(float)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        base = a @ b.T / a.shape[1] + 1
        values: np.ndarray = base * base * base  # a power takes ten times as long
        return values

    within_x, within_y = kernel(x, x), kernel(y, y)
    mean_x = (within_x.sum() - np.trace(within_x)) / (n * (n - 1))
    mean_y = (within_y.sum() - np.trace(within_y)) / (m * (m - 1))
    return float(mean_x + mean_y - 2 * kernel(x, y).mean())
