"""Morphology of real against synthetic cells: how far apart, beside how far apart real cells are among themselves.

    compare(real, synthetic) -> MorphologyComparison

Per type and feature, the 1-Wasserstein distance (area between the two distribution functions, in the unit of the
feature). It grows as samples shrink, so it is set against a floor of the same n, by half-sampling (McCarthy 1969): each
repeat splits the real cells at random into disjoint halves A and B and draws C from the synthetic cells, all of m cells;
W(A, B) gives the floor, W(A, C) the distance, W(A, C) / mean W(A, B) the ratio. A half sample of n varies about as much
as the full sample's bootstrap, so the 2.5th and 97.5th percentiles over the repeats serve as the 95 % interval.
A difference is notable, and gets its sentence, only if the lower end of its distance exceeds the floor's 97.5th
percentile, and the distance is large enough to matter to an eye at the microscope (`LEAST`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.stats import wasserstein_distance

from syntheticcellgan.cell_types import is_known, resolve
from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.intervals import Interval, percentile
from syntheticcellgan.evaluation.morphology import FEATURES, MorphologyTable

MINIMUM = 30  # cells of a type on each side; below, half samples say nothing

# The least distance worth a sentence: a share of the real mean, or in the unit of the feature. One unit of L*a*b* is about
# what an eye can tell apart.
LEAST_SHARE = 0.02
LEAST = {"lobes": 0.05, "nc_ratio": 0.01}
LEAST |= dict.fromkeys(("cell_circularity", "nucleus_circularity", "nucleus_solidity"), 0.01)
LEAST |= {f"{part}_{axis}": 1.0 for part in ("nucleus", "cytoplasm", "background") for axis in "lab"}

# What more and less of a feature is called; {p} is the difference in percent of the real mean, {real} and {synthetic}
# are the means, {d} the difference of the means.
_WORDS = {
    "cell_area": ("are {p:.0f} % larger", "are {p:.0f} % smaller"),
    "nucleus_area": ("have {p:.0f} % larger nuclei", "have {p:.0f} % smaller nuclei"),
    "nc_ratio": ("have a {p:.0f} % higher N:C ratio", "have a {p:.0f} % lower N:C ratio"),
    "cell_circularity": (
        "have a rounder outline (circularity {synthetic:.2f} against {real:.2f})",
        "have a less round outline (circularity {synthetic:.2f} against {real:.2f})",
    ),
    "nucleus_circularity": (
        "have rounder nuclei (circularity {synthetic:.2f} against {real:.2f})",
        "have less round nuclei (circularity {synthetic:.2f} against {real:.2f})",
    ),
    "nucleus_solidity": (
        "have less indented nuclei (solidity {synthetic:.2f} against {real:.2f})",
        "have more indented nuclei (solidity {synthetic:.2f} against {real:.2f})",
    ),
    "lobes": (
        "have more nuclear lobes (mean {synthetic:.1f} against {real:.1f})",
        "have fewer nuclear lobes (mean {synthetic:.1f} against {real:.1f})",
    ),
    "chromatin_texture": ("have {p:.0f} % coarser chromatin", "have {p:.0f} % smoother chromatin"),
    "granularity": ("have {p:.0f} % more granular cytoplasm", "have {p:.0f} % less granular cytoplasm"),
}
_SAME_WORDS = {"cell_area_um2": "cell_area", "nucleus_area_um2": "nucleus_area"}
_SHADES = {"l": ("lighter", "darker"), "a": ("redder", "greener"), "b": ("yellower", "bluer")}
_PARTS = {"nucleus": "nuclei", "cytoplasm": "cytoplasm", "background": "background"}


@dataclass(frozen=True)
class FeatureComparison:
    """One feature of one type. n_real, n_synthetic: measured cells. distance: W between all cells of both sides, its
    interval from half samples. floor, ratio: at m cells a side, m = half of the smaller n. refusal: None, or why
    nothing is said; then all figures are NaN. sentence: only for a notable difference.
    """

    cell_type: str
    feature: str
    n_real: int
    n_synthetic: int
    m: int
    real_mean: float
    synthetic_mean: float
    distance: Interval
    floor: Interval
    ratio: Interval
    notable: bool
    sentence: str | None
    refusal: str | None


@dataclass(frozen=True)
class MorphologyComparison:
    """All features of all types, and per type the cells whose segmentation failed, as (failed, n) on each side."""

    features: tuple[FeatureComparison, ...]
    failed_real: dict[str, tuple[int, int]]
    failed_synthetic: dict[str, tuple[int, int]]
    minimum: int

    @property
    def sentences(self) -> tuple[str, ...]:
        """Notable differences, the largest ratio to the floor first."""
        notable = [row for row in self.features if row.sentence]
        return tuple(str(row.sentence) for row in sorted(notable, key=lambda row: -row.ratio.value))


def compare(
    real: MorphologyTable, synthetic: MorphologyTable, *, repeats: int = 200, minimum: int = MINIMUM, seed: int = 0
) -> MorphologyComparison:
    """Compares `synthetic` with `real` per type, for the types that both have.

    Areas in µm² are compared where both sides know their scale, in pixels otherwise. Below `minimum` measured cells on
    a side, a feature is refused. InputError: images of differing size (areas and textures would differ by it), or no
    type in common.
    """
    if real.side != synthetic.side:
        raise InputError(
            f"real images have {real.side} pixels a side, synthetic ones {synthetic.side}: resize them to one size"
        )
    shared = [name for name in real.cell_types if name in synthetic.cell_types]
    if not shared:
        raise InputError("real and synthetic cells have no type in common: name the types alike")
    known_scale = None not in (real.micrometres_per_pixel, synthetic.micrometres_per_pixel)
    skipped = {"cell_area", "nucleus_area"} if known_scale else {"cell_area_um2", "nucleus_area_um2"}
    rng = np.random.default_rng(seed)
    rows = [
        _compare_feature(
            name, feature, real.column(feature, name), synthetic.column(feature, name), repeats, minimum, rng
        )
        for name in shared
        for feature in FEATURES
        if feature not in skipped
    ]
    return MorphologyComparison(
        tuple(row for row in rows if row.n_real or row.n_synthetic),  # platelets have no nucleus to compare
        _failures(real, shared),
        _failures(synthetic, shared),
        minimum,
    )


def _compare_feature(
    cell_type: str,
    feature: str,
    real: np.ndarray,
    synthetic: np.ndarray,
    repeats: int,
    minimum: int,
    rng: np.random.Generator,
) -> FeatureComparison:
    n_real, n_synthetic = len(real), len(synthetic)
    m = min(n_real, n_synthetic) // 2
    if min(n_real, n_synthetic) < minimum:
        nothing = Interval(math.nan, math.nan, math.nan)
        refusal = f"{n_real} real and {n_synthetic} synthetic cells measured, {minimum} of each needed"
        means = (math.nan, math.nan)
        return FeatureComparison(
            cell_type, feature, n_real, n_synthetic, m, *means, nothing, nothing, nothing, False, None, refusal
        )
    halves, floors = np.empty(repeats), np.empty(repeats)
    for i in range(repeats):
        shuffled = rng.permutation(real)
        first, second = np.sort(shuffled[:m]), np.sort(shuffled[m : 2 * m])
        # Of samples of one size, W is the mean distance of their sorted values.
        floors[i] = np.abs(first - second).mean()
        halves[i] = np.abs(first - np.sort(rng.choice(synthetic, m, replace=False))).mean()
    distance = percentile(float(wasserstein_distance(real, synthetic)), halves)
    floor = percentile(float(floors.mean()), floors)
    # A feature that does not vary among real cells (one lobe in every lymphocyte) has a floor of 0.
    base = max(floor.value, 1e-9 * max(1.0, float(np.abs(real).max())))
    ratio = percentile(float(halves.mean()) / base, halves / base)
    real_mean, synthetic_mean = float(real.mean()), float(synthetic.mean())
    least = LEAST.get(feature, LEAST_SHARE * abs(real_mean))
    notable = float(np.percentile(halves, 2.5)) > floor.high and distance.value >= max(least, floor.value)
    sentence = None
    if notable:
        # W is at least the difference of the means; where it is much more, the spread differs, not the mean.
        spread = abs(synthetic_mean - real_mean) < 0.5 * distance.value
        said = _spread_words(feature, real, synthetic) if spread else _words(feature, real_mean, synthetic_mean)
        sentence = f"synthetic {_plural(cell_type)} {said}"
    return FeatureComparison(
        cell_type,
        feature,
        n_real,
        n_synthetic,
        m,
        real_mean,
        synthetic_mean,
        distance,
        floor,
        ratio,
        notable,
        sentence,
        None,
    )


def _words(feature: str, real: float, synthetic: float) -> str:
    difference = synthetic - real
    less = int(difference < 0)
    part, _, axis = feature.rpartition("_")
    if part in _PARTS and axis in _SHADES:
        return (
            f"have {_SHADES[axis][less]} {_PARTS[part]} (Δ{axis.upper() if axis == 'l' else axis}* {difference:+.1f})"
        )
    percent = 100 * abs(difference) / abs(real) if real else math.inf
    return _WORDS[_SAME_WORDS.get(feature, feature)][less].format(p=percent, real=real, synthetic=synthetic)


def _spread_words(feature: str, real: np.ndarray, synthetic: np.ndarray) -> str:
    spreads = (float(real.std()), float(synthetic.std()))
    if abs(spreads[1] - spreads[0]) < 0.05 * max(spreads):
        return f"have another distribution of {_readable(feature)}, with nearly the same mean and spread"
    more = "more" if spreads[1] > spreads[0] else "less"
    return f"vary {more} in {_readable(feature)} (standard deviation {spreads[1]:.3g} against {spreads[0]:.3g})"


def _readable(feature: str) -> str:
    part, _, axis = feature.rpartition("_")
    if part in _PARTS and axis in _SHADES:
        return f"the colour of the {part} ({axis.upper() if axis == 'l' else axis}*)"
    names = {"nc_ratio": "N:C ratio", "lobes": "number of nuclear lobes"}
    feature = _SAME_WORDS.get(feature, feature)
    return names.get(feature, feature.replace("_", " "))


def _plural(cell_type: str) -> str:
    title = resolve(cell_type).title
    if not is_known(cell_type) or " of " in title or not title[-1].isalpha():
        return f"cells of type {title}"
    return title[0].lower() + title[1:] + "s"


def _failures(table: MorphologyTable, types: Iterable[str]) -> dict[str, tuple[int, int]]:
    return {name: (table.failed(name), table.labels.count(name)) for name in types}
