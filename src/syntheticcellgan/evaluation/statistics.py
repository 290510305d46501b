"""Synthetic against real beside real against real: the scheme that fidelity and diversity share.

    Sample(features, types=None)                         # (N, dim) float32 and the cell type of each, checked
    against_floor(statistic, ...) -> tuple[Comparison]   # a statistic of two samples, with interval, floor and ratio
    by_type(measure, real, synthetic, other) -> {type: result or Refused}

Statistics of distributions depend on the number of images, so both sides of every comparison, and its floor, have the
same n, and the same number of each cell type. Without other real images the real ones are split at random into halves
A and B: the value compares A with n synthetic images, the floor A with B, so n is at most half of the real images. With
`other` real images (for example those of training, when `real` are held out) B comes from there, and n may be all.
Values are means over a few such draws.

Intervals (95 %) are by half-sampling: statistics are taken anew on random halves (n/2) of every sample, and ± 1.96 times
their standard deviation is laid about the value. Half samples without replacement vary about as much as whole samples
do (McCarthy 1969; Politis & Romano 1994), and unlike the bootstrap they hold no image twice, which biases distances.
Without `other` the halves are quarters of the real images, so intervals err on the wide side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import numpy as np

from syntheticcellgan.errors import InputError

MINIMUM = 30
"""Images on each side below which no distance between distributions is given."""

LIMIT = 5000
"""Images on each side above which a random part is taken: more changes nothing that could be read off."""

Statistic = Callable[[np.ndarray, np.ndarray], Sequence[float]]
"""(reference, candidate), each (n, dim) → one or more numbers."""

_DRAWS = 4
_Z = 1.96


@dataclass(frozen=True)
class Sample:
    """Features of images and their cell types.

    features: (N, dim) float32, finite. types: (N,) str; without, all count as one.
    InputError if the shapes do not fit or a number is not finite.
    """

    features: np.ndarray
    types: np.ndarray = field(default_factory=lambda: np.empty(0, str))

    def __post_init__(self) -> None:
        if self.features.ndim != 2:
            raise InputError(f"Features must be (images, numbers), not {self.features.shape}.")
        if not np.isfinite(self.features).all():
            bad = int((~np.isfinite(self.features)).any(axis=1).sum())
            raise InputError(f"The features of {bad} images contain NaN or infinity; extract them anew.")
        if self.types.shape == (0,):
            object.__setattr__(self, "types", np.full(len(self.features), "all"))
        if self.types.shape != (len(self.features),):
            raise InputError(f"{len(self.features)} images have {len(self.types)} cell types; give one for each.")

    def __len__(self) -> int:
        return len(self.features)

    def of_type(self, name: str) -> Sample:
        """The images of one type."""
        chosen = self.types == name
        return Sample(self.features[chosen], self.types[chosen])


@dataclass(frozen=True)
class Comparison:
    """One measure of synthetic against real images, beside the same of real against real ones.

    value, floor: with the bounds of their 95 % intervals. ratio: value / floor, likewise; None where the floor is zero, or
    about zero by construction. n: images on each side of each comparison; n_real, n_synthetic: images there were.
    types: the cell types that took part. better: "lower" or "higher".
    """

    name: str
    value: float
    low: float
    high: float
    floor: float
    floor_low: float
    floor_high: float
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    n: int
    n_real: int
    n_synthetic: int
    types: tuple[str, ...]
    better: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Refused:
    """Why there is no figure, in one sentence."""

    reason: str


@dataclass(frozen=True)
class Measure:
    """What to call a statistic and how to read it. bounds: its possible values. relative: whether a ratio makes sense."""

    name: str
    better: str
    bounds: tuple[float, float] = (0.0, math.inf)
    relative: bool = True


def against_floor(
    statistic: Statistic,
    measures: Sequence[Measure],
    real: Sample,
    synthetic: Sample,
    other: Sample | None = None,
    *,
    replicates: int = 20,
    seed: int = 0,
    limit: int = LIMIT,
) -> tuple[Comparison, ...]:
    """`statistic` of (real, synthetic) and of (real, other real), one `Comparison` for each of its numbers.

    Only cell types that all sides have take part, each with the same number on all sides.
    InputError if the features differ in length or fewer than 30 images are left on a side.
    """
    counts = _equal_counts(real, synthetic, other, limit)
    n = sum(counts.values())
    rng = np.random.default_rng(seed)

    def both(share: int) -> np.ndarray:
        a, b, s = _draw(real, synthetic, other, {name: max(count // share, 1) for name, count in counts.items()}, rng)
        return np.array([statistic(a, s), statistic(a, b)], float)

    values = np.mean([both(1) for _ in range(_DRAWS)], axis=0)
    halves = np.stack([both(2) for _ in range(replicates)])
    spread = _Z * halves.std(axis=0, ddof=1)
    comparisons = []
    for i, measure in enumerate(measures):
        (value, floor), (around, floor_around) = values[:, i], spread[:, i]
        ratio, ratio_low, ratio_high = _ratio(values[:, i], halves[:, :, i]) if measure.relative else (None, None, None)
        comparisons.append(
            Comparison(
                name=measure.name,
                value=float(value),
                low=_within(value - around, measure.bounds),
                high=_within(value + around, measure.bounds),
                floor=float(floor),
                floor_low=_within(floor - floor_around, measure.bounds),
                floor_high=_within(floor + floor_around, measure.bounds),
                ratio=ratio,
                ratio_low=ratio_low,
                ratio_high=ratio_high,
                n=n,
                n_real=len(real),
                n_synthetic=len(synthetic),
                types=tuple(counts),
                better=measure.better,
            )
        )
    return tuple(comparisons)


def _ratio(values: np.ndarray, halves: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """value / floor with its interval on the logarithmic scale, from (2,) and (replicates, 2); None where there is none."""
    if values[1] <= 0:
        return None, None, None
    ratio = float(values[0] / values[1])
    if not (halves > 0).all():
        return ratio, None, None
    spread = _Z * float(np.log(halves[:, 0] / halves[:, 1]).std(ddof=1))
    return ratio, ratio * math.exp(-spread), ratio * math.exp(spread)


def _within(value: float, bounds: tuple[float, float]) -> float:
    return float(min(max(value, bounds[0]), bounds[1]))


def _equal_counts(real: Sample, synthetic: Sample, other: Sample | None, limit: int) -> dict[str, int]:
    """How many images of each type every side can give."""
    for sample in (synthetic, *(() if other is None else (other,))):
        if sample.features.shape[1] != real.features.shape[1]:
            raise InputError(
                f"Features of {real.features.shape[1]} and {sample.features.shape[1]} numbers cannot be compared; "
                "take the same extractor for all images."
            )
    counts = {}
    for name in sorted({*real.types.tolist()} & {*synthetic.types.tolist()}):
        of_real, of_synthetic = int((real.types == name).sum()), int((synthetic.types == name).sum())
        of_other = int((other.types == name).sum()) if other is not None else None
        count = min(of_real // 2, of_synthetic) if of_other is None else min(of_real, of_synthetic, of_other)
        if count >= 2:
            counts[name] = count
    total = sum(counts.values())
    if total < MINIMUM:
        needed = f"{2 * MINIMUM} real" if other is None else f"{MINIMUM} real, {MINIMUM} other real"
        raise InputError(
            f"{len(real)} real and {len(synthetic)} synthetic images leave {total} of the same types on each side; at "
            f"least {needed} and {MINIMUM} synthetic ones are needed."
        )
    if total > limit:
        counts = {name: max(count * limit // total, 2) for name, count in counts.items()}
    return counts


def _draw(
    real: Sample, synthetic: Sample, other: Sample | None, counts: dict[str, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A and B (real, disjoint) and S (synthetic), each with `counts` images per type, without replacement."""
    a, b, s = [], [], []
    for name, count in counts.items():
        of_real = rng.permutation(np.flatnonzero(real.types == name))
        a.append(real.features[of_real[:count]])
        if other is None:
            b.append(real.features[of_real[count : 2 * count]])
        else:
            b.append(other.features[rng.permutation(np.flatnonzero(other.types == name))[:count]])
        s.append(synthetic.features[rng.permutation(np.flatnonzero(synthetic.types == name))[:count]])
    return np.concatenate(a), np.concatenate(b), np.concatenate(s)


Result = TypeVar("Result")


def by_type(
    measure: Callable[[Sample, Sample, Sample | None], Result],
    real: Sample,
    synthetic: Sample,
    other: Sample | None = None,
) -> dict[str, Result | Refused]:
    """`measure` for each cell type of either side; `Refused` with the reason where it cannot speak."""
    results: dict[str, Result | Refused] = {}
    for name in sorted({*real.types.tolist()} | {*synthetic.types.tolist()}):
        parts = real.of_type(name), synthetic.of_type(name), None if other is None else other.of_type(name)
        missing = [side for side, part in zip(("real", "synthetic"), parts[:2], strict=True) if not len(part)]
        if missing:
            results[name] = Refused(f"There are no {missing[0]} images of {name}.")
            continue
        try:
            results[name] = measure(*parts)
        except InputError as error:
            results[name] = Refused(f"{name}: {error}")
    return results
