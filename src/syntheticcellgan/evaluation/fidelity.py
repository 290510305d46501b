"""Fidelity: how far the distribution of synthetic images lies from that of real ones, in a network's features.

    fidelity(real, synthetic, other=None) -> Fidelity(frechet, kernel)    # each a Comparison with floor and interval
    by_type(fidelity, real, synthetic, other) -> {type: Fidelity or Refused}
    frechet_distance(x, y), kernel_distance(x, y) -> float

Always name these by their network ("Fréchet distance, vit-s-focus"); only Inception-v3 gives what the literature calls
FID and KID. The Fréchet distance of few images is mostly bias (its floor is far above zero, and falls with n), so what
counts is the ratio to the floor on the same n. The kernel distance is unbiased: its floor is zero, give or take.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from syntheticcellgan.evaluation.statistics import Comparison, Measure, Sample, against_floor, by_type
from syntheticcellgan.kernel_distance import kernel_distance

__all__ = ["Fidelity", "by_type", "fidelity", "frechet_distance", "kernel_distance"]

_FRECHET = Measure("frechet_distance", "lower")
_KERNEL = Measure("kernel_distance", "lower", bounds=(-math.inf, math.inf), relative=False)
_KERNEL_LIMIT = 2000  # unbiased at any n, so more images cost time and change little


@dataclass(frozen=True)
class Fidelity:
    """Both distances, each beside its floor."""

    frechet: Comparison
    kernel: Comparison


def fidelity(
    real: Sample, synthetic: Sample, other: Sample | None = None, *, replicates: int = 20, seed: int = 0
) -> Fidelity:
    """Both distances of `synthetic` from `real`; the floor from halves of `real`, or from `other` real images.

    InputError below 30 images on a side (60 real ones without `other`).
    """
    compare = partial(against_floor, real=real, synthetic=synthetic, other=other, replicates=replicates, seed=seed)
    (frechet,) = compare(lambda x, y: (frechet_distance(x, y),), (_FRECHET,))
    (kernel,) = compare(lambda x, y: (kernel_distance(x, y),), (_KERNEL,), limit=_KERNEL_LIMIT)
    return Fidelity(frechet, kernel)


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Squared Fréchet distance of the normal distributions with the means and covariances of (N, d) and (M, d).

    ‖μx − μy‖² + Tr Σx + Tr Σy − 2 Tr (Σx Σy)^½ (Dowson & Landau 1982; as FID: Heusel et al. 2017, eq. 6), covariances
    with N − 1. With Σx = AᵀA and Σy = BᵀB the last trace is the sum of the singular values of A Bᵀ, the roots of the
    eigenvalues of A Bᵀ B Aᵀ: a symmetric problem of side min(N, M, d), exact where covariances are singular (N < d).
    """
    a, b = _root(x), _root(y)
    product = a @ b.T
    gram = product @ product.T if len(product) <= product.shape[1] else product.T @ product
    eigenvalues = np.linalg.eigvalsh(gram)
    # What rounding leaves of zero eigenvalues would be enlarged by the root.
    eigenvalues = eigenvalues[eigenvalues > eigenvalues[-1] * len(gram) * np.finfo(float).eps]
    means = x.mean(axis=0, dtype=float) - y.mean(axis=0, dtype=float)
    distance = means @ means + (a**2).sum() + (b**2).sum() - 2 * np.sqrt(eigenvalues).sum()
    return max(float(distance), 0.0)


def _root(x: np.ndarray) -> np.ndarray:
    """A with AᵀA the covariance of (N, d), of min(N, d) rows."""
    centred = (x - x.mean(axis=0, dtype=float)) / math.sqrt(len(x) - 1)
    if len(x) <= x.shape[1]:
        return centred
    return np.asarray(np.linalg.qr(centred, mode="r"))
