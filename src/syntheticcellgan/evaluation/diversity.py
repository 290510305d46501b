"""Diversity: do the synthetic images cover what real cells look like, or a part of it, or one image many times?

    diversity(real, synthetic, other=None) -> Diversity    # precision, recall, density, coverage, Vendi score
    by_type(diversity, real, synthetic, other) -> {type: Diversity or Refused}
    near_duplicates(synthetic, real) -> NearDuplicates     # of fingerprints (evaluation/fingerprint.py)
    precision_recall_density_coverage(x, y), vendi_score(x)

Every figure stands beside that of real against real images on the same n (see `statistics.py`): the best a perfect
generator could reach.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.copies import Pair
from syntheticcellgan.evaluation.fingerprint import Progress, nearest
from syntheticcellgan.evaluation.intervals import Interval, wilson
from syntheticcellgan.evaluation.statistics import LIMIT, Comparison, Measure, Sample, against_floor, by_type

__all__ = [
    "Diversity",
    "NearDuplicates",
    "by_type",
    "diversity",
    "near_duplicates",
    "precision_recall_density_coverage",
    "vendi_score",
]

NEIGHBOURS = 5
MINIMUM_FOR_DUPLICATES = 100

_MEASURES = (
    Measure("precision", "higher", bounds=(0, 1)),
    Measure("recall", "higher", bounds=(0, 1)),
    Measure("density", "higher"),
    Measure("coverage", "higher", bounds=(0, 1)),
    Measure("vendi_score", "higher", bounds=(1, np.inf)),
)


@dataclass(frozen=True)
class Diversity:
    """Precision and density: how many synthetic images look real; recall, coverage and Vendi score: how much is covered."""

    precision: Comparison
    recall: Comparison
    density: Comparison
    coverage: Comparison
    vendi: Comparison


def diversity(
    real: Sample, synthetic: Sample, other: Sample | None = None, *, replicates: int = 20, seed: int = 0
) -> Diversity:
    """The five measures of `synthetic` against `real`; the floor from halves of `real`, or from `other` real images.

    For the Vendi score features are centred on the real mean first: the part that all images share would drown the rest.
    InputError below 30 images on a side (60 real ones without `other`).
    """

    def statistic(x: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
        return (*precision_recall_density_coverage(x, y), vendi_score(y - x.mean(axis=0)))

    return Diversity(*against_floor(statistic, _MEASURES, real, synthetic, other, replicates=replicates, seed=seed))


def precision_recall_density_coverage(
    x: np.ndarray, y: np.ndarray, neighbours: int = NEIGHBOURS
) -> tuple[float, float, float, float]:
    """Of synthetic y (M, d) against real x (N, d), more than `neighbours` each.

    With r(·) the distance to the `neighbours`-th nearest of its own set:
    precision, the share of y within r(x) of some x, and recall, the share of x within r(y) of some y (Kynkäänniemi et
    al. 2019); density, in how many such spheres a y lies, over `neighbours`, and coverage, the share of x with a y
    within r(x) (Naeem et al. 2020, eqs. 3 and 4).
    """
    centre = x.mean(axis=0)  # distances of single precision lose digits far from the origin
    x, y = x - centre, y - centre
    between = _squared_distances(x, y)
    radius_x, radius_y = _radii(x, neighbours), _radii(y, neighbours)
    in_sphere_of_x = between < radius_x[:, None]
    return (
        float(in_sphere_of_x.any(axis=0).mean()),
        float((between < radius_y[None]).any(axis=1).mean()),
        float(in_sphere_of_x.sum() / (neighbours * len(y))),
        float((between.min(axis=1) < radius_x).mean()),
    )


def _squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    distances: np.ndarray = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
    return distances


def _radii(x: np.ndarray, neighbours: int) -> np.ndarray:
    """Squared distance of each row to its `neighbours`-th nearest other row."""
    distances = _squared_distances(x, x)
    np.fill_diagonal(distances, -np.inf)
    radii: np.ndarray = np.partition(distances, neighbours, axis=1)[:, neighbours]
    return radii


def vendi_score(x: np.ndarray) -> float:
    """Effective number of different images in (N, d): exp of the entropy of the eigenvalues of the cosines over N.

    Friedman & Dieng 2023, eq. 2, with the cosine as similarity: 1 if all are alike, N if none is like another.
    """
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    gram = unit @ unit.T if len(unit) <= unit.shape[1] else unit.T @ unit
    eigenvalues = np.linalg.eigvalsh(gram.astype(float) / len(unit))
    eigenvalues = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-(eigenvalues * np.log(eigenvalues)).sum()))


@dataclass(frozen=True)
class NearDuplicates:
    """Synthetic images that are nearly alike (turned, flipped, recoloured ones included).

    share: of `n` synthetic images, those nearer to another synthetic one than `distance`, with its interval.
    expected: the share of n real images that are as near to another real one (0.01: `distance` is their 1st percentile).
    median, real_median: distances to the nearest other image. closest: pairs of positions in the synthetic set (their
    `training` is the other synthetic image), nearest first, each pair once.
    """

    n: int
    share: Interval
    expected: float
    distance: float
    median: float
    real_median: float
    closest: tuple[Pair, ...]


def near_duplicates(
    synthetic: np.ndarray, real: np.ndarray, *, seed: int = 0, progress: Progress | None = None
) -> NearDuplicates:
    """Near duplicates among synthetic images, by fingerprints (N, DIM) and (M, DIM); both thinned to the same n.

    InputError below 100 images on either side.
    """
    n = min(len(synthetic), len(real), LIMIT)
    if n < MINIMUM_FOR_DUPLICATES:
        raise InputError(
            f"{len(synthetic)} synthetic and {len(real)} real images are too few to speak of near duplicates; at least "
            f"{MINIMUM_FOR_DUPLICATES} of each are needed."
        )
    rng = np.random.default_rng(seed)
    positions = np.sort(rng.permutation(len(synthetic))[:n])
    chosen, reference = synthetic[positions], real[np.sort(rng.permutation(len(real))[:n])]
    found = nearest(chosen, chosen, own=np.arange(n), progress=progress)
    among_real = 1 - nearest(reference, reference, own=np.arange(n), progress=progress).similarity
    distances, threshold = 1 - found.similarity, float(np.quantile(among_real, 0.01))
    pairs: dict[tuple[int, int], Pair] = {}
    for i in np.argsort(distances, kind="stable")[:20]:
        a, b = sorted((int(positions[i]), int(positions[found.index[i]])))
        pairs.setdefault((a, b), Pair(a, b, float(distances[i])))
    return NearDuplicates(
        n=n,
        share=wilson(int((distances < threshold).sum()), n),
        expected=float((among_real < threshold).mean()),
        distance=threshold,
        median=float(np.median(distances)),
        real_median=float(np.median(among_real)),
        closest=tuple(pairs.values())[:10],
    )
