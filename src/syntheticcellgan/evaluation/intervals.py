"""A measured value with its interval, as every figure of morphology, attributes and utility is given.

Interval(value, low, high).as_dict()
wilson(count, n) -> Interval         # a share of n, Wilson's score interval (1927), 95 %
percentile(value, draws) -> Interval # 95 % between the percentiles of resampled values
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

_Z = 1.959963984540054  # 97.5th percentile of the normal distribution


@dataclass(frozen=True)
class Interval:
    """A value with the bounds of its 95 % interval, all in the unit of the value; NaN where nothing could be said."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def wilson(count: int, n: int) -> Interval:
    """The share count / n with Wilson's score interval (Wilson 1927, JASA 22:209); NaN for n = 0."""
    if n == 0:
        return Interval(math.nan, math.nan, math.nan)
    share = count / n
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return Interval(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


def percentile(value: float, draws: np.ndarray) -> Interval:
    """`value` with the 2.5th and 97.5th percentile of `draws`, (draws,); widened where the value lies outside."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return Interval(float(value), min(float(value), float(low)), max(float(value), float(high)))
