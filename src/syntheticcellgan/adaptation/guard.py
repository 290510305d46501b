"""The guard against copying: are new cells of the type nearer to its few training images than real cells are?

    yardstick = Yardstick.of(training, held_out)       # pictures (N, S, S, 3) uint8, of one kind: all sharp, or all basic
    yardstick.judge(synthetic) -> Closeness

The distances are those of the copy check (`evaluation/fingerprint.py`): whatever the turn, flip or stain. Its rules
need a hundred real distances, which few images do not give. So here the order of all distances decides alone: those of
the held-out images to their nearest training image, and of each training image to its nearest other one, are the
yardstick (n distances). If synthetic cells were as near as real ones, the number of N synthetic cells that are nearer
than the j-th smallest of them would be BetaBinomial(N, j, n + 1 − j). Two thresholds are asked: the smallest real
distance, and the one at a tenth; below p = 0.005 at either, the state is called too close.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import betabinom

from syntheticcellgan.evaluation.fingerprint import fingerprint, nearest, views

ALPHA = 0.005
UNCERTAIN = 0.05
"""Below this p the sentence says “perhaps”."""
TENTH = 0.1


@dataclass(frozen=True)
class Closeness:
    """How near `synthetic` cells are to the training images, beside `real` distances (held-out ones are `held_out`).

    nearer_than_all: synthetic cells nearer than the nearest real one; nearer_than_tenth: than a tenth of the real ones.
    expected_*: as many as chance alone puts there. p: the smaller of both probabilities, times two. medians of the
    distances, 0 … 1, and the smallest synthetic one.
    """

    synthetic: int
    real: int
    held_out: int
    nearer_than_all: int
    expected_nearer_than_all: float
    nearer_than_tenth: int
    expected_nearer_than_tenth: float
    p: float
    synthetic_median: float
    real_median: float
    synthetic_nearest: float

    @property
    def too_close(self) -> bool:
        return self.p < 2 * ALPHA

    @property
    def sentence(self) -> str:
        verdict = "Too close to the training images" if self.too_close else "No closer than real cells are"
        if not self.too_close and self.p < UNCERTAIN:
            verdict = "Perhaps closer than real cells are"
        return (
            f"{verdict}: of {self.synthetic} new cells {self.nearer_than_tenth} are nearer to a training image than a "
            f"tenth of {self.real} real cells are ({self.expected_nearer_than_tenth:.0f} by chance), "
            f"{self.nearer_than_all} nearer than all of them ({self.expected_nearer_than_all:.0f} by chance)."
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"too_close": self.too_close, "sentence": self.sentence}


@dataclass(frozen=True)
class Yardstick:
    """Fingerprints of the training images, and the sorted distances of real cells to them."""

    descriptors: np.ndarray
    distances: np.ndarray
    held_out: int

    @classmethod
    def of(cls, training: np.ndarray, held_out: np.ndarray) -> Yardstick:
        """training (N, S, S, 3), held_out (M, S, S, 3), uint8; N ≥ 2."""
        descriptors = fingerprint(list(training))
        own = nearest(views(list(training)), descriptors, own=np.arange(len(training))).similarity
        others = nearest(views(list(held_out)), descriptors).similarity if len(held_out) else np.empty(0)
        return cls(descriptors, np.sort(1 - np.concatenate([others, own])), len(held_out))

    def judge(self, synthetic: np.ndarray) -> Closeness:
        """synthetic (N, S, S, 3) uint8, of any side."""
        found = 1 - nearest(views(list(synthetic)), self.descriptors).similarity
        n, real = len(found), len(self.distances)
        ranks = (1, max(math.floor(TENTH * (real + 1)), 1))
        counts = [int((found < self.distances[rank - 1]).sum()) for rank in ranks]
        expected = [n * rank / (real + 1) for rank in ranks]
        chances = [
            float(betabinom.sf(count - 1, n, rank, real + 1 - rank)) for count, rank in zip(counts, ranks, strict=True)
        ]
        return Closeness(
            n,
            real,
            self.held_out,
            counts[0],
            expected[0],
            counts[1],
            expected[1],
            min(1.0, 2 * min(chances)),
            float(np.median(found)),
            float(np.median(self.distances)),
            float(found.min()),
        )
