"""The statistics of a reading session, each a function of counts or tables, on statsmodels and SciPy.

    share(523, 1000) -> Estimate                    # with Wilson's score interval
    discrimination(hits, signals, false_alarms, noises) -> Estimate   # d′
    equivalence(523, 1000, margin=0.05) -> Equivalence
    cohen(table), fleiss(ratings)                   # kappa with its interval
    sample_size(margin=0.05, power=0.8, readers=4)

Intervals are 95 %. Binomial figures treat judgements as independent; those of several readers on the same images are
not quite, which `equivalence_of_readers` and the bootstrap of `fleiss` (over images) allow for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa
from statsmodels.stats.proportion import (
    binom_tost,
    confint_proportions_2indep,
    power_binom_tost,
    proportion_confint,
)
from statsmodels.stats.weightstats import DescrStatsW

from syntheticcellgan.errors import InputError

ALPHA = 0.05
MOST_JUDGEMENTS = 50_000
_BOOTSTRAPS = 2000


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval and the number of judgements (or images) behind it; NaN where nothing can be said."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests that the accuracy lies within 0.5 ± margin. p: the larger of the two one-sided p-values."""

    p: float
    margin: float
    equivalent: bool
    n: int


def nothing(n: int = 0) -> Estimate:
    """What cannot be said."""
    return Estimate(math.nan, math.nan, math.nan, n)


def share(count: int, n: int) -> Estimate:
    """count / n with Wilson's score interval (Wilson 1927)."""
    if n == 0:
        return nothing()
    low, high = proportion_confint(count, n, ALPHA, method="wilson")
    return Estimate(count / n, max(0.0, float(low)), min(1.0, float(high)), n)


def share_difference(count: int, n: int, other_count: int, other_n: int) -> Estimate:
    """count / n − other_count / other_n with Newcombe's interval (1998, method 10)."""
    if min(n, other_n) == 0:
        return nothing(n + other_n)
    low, high = confint_proportions_2indep(count, n, other_count, other_n, method="newcomb", alpha=ALPHA)
    return Estimate(count / n - other_count / other_n, float(low), float(high), n + other_n)


def discrimination(hits: int, signals: int, false_alarms: int, noises: int) -> Estimate:
    """d′ = z(hit rate) − z(false-alarm rate); 0: cannot tell, 1: telling is possible, above 3: easy.

    Signal: synthetic. Half a judgement is added to each cell, so that 0 and 100 % stay finite (log-linear rule: Hautus
    1995); the interval is that of Gourevitch and Galanter (1967).
    """
    if min(signals, noises) == 0:
        return nothing(signals + noises)
    rates = (hits + 0.5) / (signals + 1), (false_alarms + 0.5) / (noises + 1)
    z = [float(norm.ppf(rate)) for rate in rates]
    variance = sum(
        rate * (1 - rate) / (n * norm.pdf(score) ** 2)
        for rate, score, n in zip(rates, z, (signals, noises), strict=True)
    )
    half = float(norm.ppf(1 - ALPHA / 2)) * math.sqrt(variance)
    value = z[0] - z[1]
    return Estimate(value, value - half, value + half, signals + noises)


def equivalence(correct: int, n: int, margin: float) -> Equivalence:
    """Exact binomial two one-sided tests of correct / n against 0.5 ± margin (Schuirmann 1987), each at 5 %."""
    if n == 0:
        return Equivalence(math.nan, margin, False, 0)
    p = float(binom_tost(correct, n, 0.5 - margin, 0.5 + margin)[0])
    return Equivalence(p, margin, p < ALPHA, n)


def equivalence_of_readers(accuracies: Sequence[float], margin: float) -> Equivalence:
    """The same for readers in general: two one-sided t-tests on the readers' accuracies, so that each reader counts as
    one observation however many images he judged. NaN below three readers, or if all agree exactly."""
    n = len(accuracies)
    if n < 3 or np.ptp(accuracies) == 0:
        return Equivalence(math.nan, margin, False, n)
    p = float(DescrStatsW(np.asarray(accuracies, float)).ttost_mean(0.5 - margin, 0.5 + margin)[0])
    return Equivalence(p, margin, p < ALPHA, n)


def cohen(table: np.ndarray) -> Estimate:
    """Cohen's kappa of a (categories, categories) table of counts; asymptotic interval (Fleiss, Cohen & Everitt 1969)."""
    table = np.asarray(table, float)
    n = int(table.sum())
    expected = float(table.sum(0) @ table.sum(1)) / max(n, 1) ** 2
    if n < 2 or expected >= 1:  # one category only: chance agreement is complete
        return nothing(n)
    with np.errstate(invalid="ignore", divide="ignore"):  # a z-value of 0/0, not used here
        found = cohens_kappa(table)
    if not found.std_kappa > 0:  # complete agreement, or one who always says the same: no asymptotic error
        return Estimate(float(found.kappa), math.nan, math.nan, n)
    return Estimate(float(found.kappa), max(-1.0, float(found.kappa_low)), min(1.0, float(found.kappa_upp)), n)


def fleiss(ratings: np.ndarray, seed: int = 0) -> Estimate:
    """Fleiss' kappa of (images, categories) counts with the same number of readers for each image (Fleiss 1971).

    The interval is that of the bootstrap over images (percentiles of 2,000 draws), as the published standard error
    holds only where the readers do not agree at all.
    """
    ratings = np.asarray(ratings, int)
    n = len(ratings)
    if n < 2 or np.count_nonzero(ratings.sum(0)) < 2 or ratings[0].sum() < 2:
        return nothing(n)
    drawn = ratings[np.random.default_rng(seed).integers(0, n, (_BOOTSTRAPS, n))]
    values = _fleiss_of(drawn)
    low, high = np.nanpercentile(values, [100 * ALPHA / 2, 100 - 100 * ALPHA / 2])
    return Estimate(float(fleiss_kappa(ratings)), float(low), float(high), n)


def _fleiss_of(drawn: np.ndarray) -> np.ndarray:
    """Kappa of each of (draws, images, categories); NaN where all fell into one category."""
    readers = drawn[0, 0].sum()
    agreement = ((drawn**2).sum(2) - readers).mean(1) / (readers * (readers - 1))
    chance = ((drawn.sum(1) / (drawn.shape[1] * readers)) ** 2).sum(1)
    return np.where(chance < 1, (agreement - chance) / np.where(chance < 1, 1 - chance, 1), np.nan)


def judgements_needed(margin: float, power: float = 0.8, expected: float = 0.5) -> int:
    """Independent judgements so that readers whose true accuracy is `expected` are shown to be within 0.5 ± margin with
    this power (exact binomial, two one-sided tests at 5 %).

    Power runs through a saw's teeth as n grows; this is the smallest n from which on it stays above.
    """
    z = float(norm.ppf(1 - ALPHA)) + float(norm.ppf(1 - (1 - power) / (2 if expected == 0.5 else 1)))
    about = int(z**2 * 0.25 / (margin - abs(expected - 0.5)) ** 2)
    if about > MOST_JUDGEMENTS:
        raise InputError(f"More than {MOST_JUDGEMENTS:,} judgements would be needed; take a wider margin.")
    low, high = max(2, int(about * 0.85) - 40), int(about * 1.15) + 120
    enough = [_power(n, margin, expected) >= power for n in range(low, high)]
    return low + max((i for i, holds in enumerate(enough) if not holds), default=-1) + 1


def _power(n: int, margin: float, expected: float) -> float:
    return float(power_binom_tost(0.5 - margin, 0.5 + margin, n, expected, ALPHA))


@dataclass(frozen=True)
class SampleSize:
    """judgements: independent ones that are needed. images_per_reader: with readers who all judge the same images."""

    judgements: int
    images_per_reader: int


def sample_size(
    margin: float, power: float = 0.8, expected: float = 0.5, readers: int = 1, correlation: float = 0.0
) -> SampleSize:
    """How many images a session needs to show equivalence to chance.

    correlation: of different readers' judgements on one image (0: none). Judgements grow by the design effect
    1 + (readers − 1) · correlation (Kish 1965).

    Raises:
        InputError: a value out of range.
    """
    limits = [
        (0.01 <= margin <= 0.3, "The margin can be 0.01 to 0.3."),
        (0.5 <= power <= 0.99, "The power can be 0.5 to 0.99."),
        (
            abs(expected - 0.5) < margin,
            f"An accuracy of {expected} is not within 0.5 ± {margin}; nothing could show it.",
        ),
        (1 <= readers <= 500, "The number of readers can be 1 to 500."),
        (0 <= correlation <= 1, "The correlation can be 0 to 1."),
    ]
    for holds, sentence in limits:
        if not holds:
            raise InputError(sentence)
    judgements = judgements_needed(margin, power, expected)
    return SampleSize(judgements, math.ceil(judgements * (1 + (readers - 1) * correlation) / readers))
