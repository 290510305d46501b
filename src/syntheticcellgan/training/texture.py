"""Texture as local statistics: what grain and strands are like within a window, not where each of them lies."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FLOOR = 0.01  # of the mean covariance, under the root: there the root's slope would have no bound


def patches(image: Tensor) -> Tensor:
    """(N, C, H, W) → each position with its eight neighbours, (N, 9·C, H − 2, W − 2): their covariance is the texture's
    autocorrelation, so that the finest grain is judged too.
    """
    n, _, h, w = image.shape
    return F.unfold(image.contiguous(), 3).view(n, -1, h - 2, w - 2)


def covariances(features: Tensor, window: int, offset: tuple[int, int] = (0, 0)) -> Tensor:
    """Covariances of the channels within windows (Gatys et al. 2015; in windows: Sajjadi et al. 2017).

    Args:
        features: (N, C, H, W).
        window: side of the windows in positions; smaller maps are one window.
        offset: rows and columns left out before the first window, as far as one fits after them, so that windows need not
            always lie alike.

    Returns:
        (N · windows, C, C).
    """
    height, width = features.shape[2:]
    window = min(window, height, width)
    x = features[:, :, min(offset[0], height - window) :, min(offset[1], width - window) :]
    rows, columns = x.shape[2] // window, x.shape[3] // window
    x = x[:, :, : rows * window, : columns * window].float()
    x = x.unflatten(3, (columns, window)).unflatten(2, (rows, window)).permute(0, 2, 4, 1, 3, 5)
    x = x.flatten(0, 2).flatten(2)  # (windows, C, positions)
    x = x - x.mean(dim=2, keepdim=True)
    return torch.bmm(x, x.transpose(1, 2)) / x.shape[2]


def texture_score(first: Tensor, second: Tensor, real: Tensor, window: int, offset: tuple[int, int] = (0, 0)) -> Tensor:
    """`energy_score` of the roots of local covariances, signs kept, relative to their mean size in `real`.

    The three are feature maps (N, C, H, W) of the same places. Scalar.
    """
    with torch.no_grad():
        wanted = covariances(real, window, offset)
        floor = FLOOR * wanted.abs().mean() + 1e-12
        wanted = _root(wanted, floor)
    a, b = (_root(covariances(x, window, offset), floor) for x in (first, second))
    return energy_score(a, b, wanted) / (wanted.abs().mean() + 1e-6)


def energy_score(first: Tensor, second: Tensor, real: Tensor) -> Tensor:
    """Mean absolute error of two independent samples less half of the distance between them.

    A strictly proper score of each coordinate's distribution (Gneiting & Raftery 2007, equation 21): its expectation is
    least where samples vary as real images do. Without the second term the average of all possible answers would win,
    which has no texture.
    """
    error = (first - real).abs().mean() + (second - real).abs().mean()
    return (error - (first - second).abs().mean()) / 2


def _root(x: Tensor, floor: Tensor) -> Tensor:
    return x.sign() * ((x.abs() + floor).sqrt() - floor.sqrt())
