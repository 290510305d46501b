"""Copies: are synthetic images nearer to training images than real cells are that nobody trained on?

    Fingerprints.of(training, held_out) -> Fingerprints      # in a bundle: .to_bytes(), .from_bytes(content)
    find_copies(synthetic, fingerprints) -> CopyReport       # needs the fingerprints only, not the training images
    judge(nearest, fingerprints) -> CopyReport               # the same, from neighbours already found

Each synthetic image gets its nearest training image in the space of `fingerprint.py`. The yardstick is the same
distance for real cells held out of training: it says how alike different cells are in this stain and magnification.
A generator that does not copy gives images that are no nearer to the training images than those.

Three readings, from the crowd to the single image:
1. Thresholds at the 1st percentile of the real distances, beyond which 1 % lie without any copying, and at the smallest.
   For each the share of synthetic images beyond it (Wilson's interval), the share that chance puts there, and the exact
   probability that chance alone puts as many there: if synthetic and real cells are equally near, then of N synthetic
   images the number nearer than the j-th of n real distances is BetaBinomial(N, j, n + 1 − j), as all orders of the
   N + n distances are equally probable.
2. The tail of the real distances, continued beyond the 1st percentile as an exponential through the 10th and the 1st
   (peaks over threshold, Pickands 1975; real tails measured here fall faster, so it errs towards silence), gives each
   image a probability. `copies` are those that Benjamini and Hochberg's rule (1995) picks at a false discovery rate of
   1 %: each is its training image, not merely like it. The percentiles do not heed a few duplicates among the real
   images themselves, which the smallest distance does; those are counted by the same rule.
3. The closest pairs, to be looked at.

Held-out cells may come from donors of the training images (data sets without donor identifiers, such as
pbc_barcelona, are split by image); the yardstick is then a little too lenient, never too strict.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import betabinom

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.batches import ImageSource
from syntheticcellgan.evaluation.fingerprint import DIM, Nearest, Progress, fingerprint, nearest, views
from syntheticcellgan.evaluation.intervals import Interval, wilson
from syntheticcellgan.files import write_whole

MINIMUM_BASELINE = 100
"""Distances of real cells below which there is no 1st percentile."""

MINIMUM_SYNTHETIC = 20
"""Synthetic images below which no share is given."""

_FORMAT = 1
_LARGEST = 2**30  # bytes: a million training images
_ALPHA = 0.005  # at each of two thresholds: a false alarm in at most 1 % of clean sets
_FALSE_DISCOVERIES = 0.01


@dataclass(frozen=True)
class Fingerprints:
    """What a bundle keeps of its training images.

    descriptors: (M, DIM) float16, in the order of the training images.
    baseline: (B,) float32, distances of real cells to their nearest training image, 0 … 1: first those of the
        `held_out` cells, then those of training images to their nearest other training image.
    held_out: how many of the baseline are held-out cells.
    """

    descriptors: np.ndarray
    baseline: np.ndarray
    held_out: int

    def __post_init__(self) -> None:
        good = (
            self.descriptors.ndim == 2
            and self.descriptors.shape[1] == DIM
            and self.descriptors.dtype == np.float16
            and self.baseline.ndim == 1
            and self.baseline.dtype == np.float32
            and 0 <= self.held_out <= len(self.baseline)
            and bool(np.isfinite(self.descriptors).all() and np.isfinite(self.baseline).all())
        )
        if not good:
            raise InputError("These fingerprints do not have the form that this version writes; make them anew.")

    @classmethod
    def of(
        cls, training: Sequence[Any], held_out: ImageSource = (), *, seed: int = 0, progress: Progress | None = None
    ) -> Fingerprints:
        """Fingerprints of the `training` images and the distances of the `held_out` ones to them.

        training: paths or (H, W, 3) uint8 arrays. held_out: likewise, real cells of the same kind, not trained on.
        With fewer than 100 held-out cells, up to 500 training images (drawn by `seed`) join the yardstick, each
        compared with the *other* training images. InputError if that does not make 100 either.
        progress: called with the number of images described or compared since the last call.
        """
        descriptors = fingerprint(training, progress=progress)
        parts = [1 - nearest(views(held_out, progress), descriptors, progress=progress).similarity]
        count = len(parts[0])
        if count < MINIMUM_BASELINE:
            if len(descriptors) < MINIMUM_BASELINE - count:
                raise InputError(
                    f"{count} held-out and {len(descriptors)} training images are too few to say how near different "
                    f"cells are; at least {MINIMUM_BASELINE} together are needed."
                )
            drawn = np.sort(np.random.default_rng(seed).permutation(len(descriptors))[:500])
            left_out = views([training[i] for i in drawn], progress)
            parts.append(1 - nearest(left_out, descriptors, own=drawn, progress=progress).similarity)
        return cls(descriptors, np.concatenate(parts).astype(np.float32), count)

    def to_bytes(self) -> bytes:
        """As the content of an .npz file, for a bundle; plain arrays, no pickle inside."""
        held = io.BytesIO()
        np.savez_compressed(
            held,
            format=np.int64(_FORMAT),
            descriptors=self.descriptors,
            baseline=self.baseline,
            held_out=np.int64(self.held_out),
        )
        return held.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, name: str = "fingerprints.npz") -> Fingerprints:
        """What `to_bytes` gave; InputError with `name` for anything else."""
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if sum(member.file_size for member in archive.infolist()) > _LARGEST:
                    raise InputError("it unpacks to more than a gigabyte")
            with np.load(io.BytesIO(content), allow_pickle=False) as held:
                if int(held["format"]) != _FORMAT:
                    raise InputError("it was written by another version")
                return cls(held["descriptors"], held["baseline"], int(held["held_out"]))
        except Exception as error:  # whatever a damaged zip or array header raises
            raise InputError(f"{name} holds no fingerprints that can be read ({error}).") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write as .npz; a file half written never takes the place of a whole one."""
        write_whole(Path(path), self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Fingerprints:
        """Read what `save` wrote; InputError, naming the file, if it is missing or anything else."""
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"{os.fspath(path)} cannot be read ({error.strerror}).") from None
        return cls.from_bytes(content, os.fspath(path))


@dataclass(frozen=True)
class Beyond:
    """How many synthetic images are nearer to training than a given rank among the real distances.

    distance: the threshold. count: synthetic images nearer than it. share: count / N with its 95 % interval.
    expected: the share without copying. excess: share − expected, with the interval shifted likewise.
    p: probability that chance alone puts at least `count` there.
    """

    distance: float
    count: int
    share: Interval
    expected: float
    excess: Interval
    p: float


@dataclass(frozen=True)
class Pair:
    """A synthetic image and its nearest training image, by their positions; distance 0 (the same picture) … 1."""

    synthetic: int
    training: int
    distance: float


@dataclass(frozen=True)
class CopyReport:
    """What `find_copies` found.

    score: 0 … 1, the share of the synthetic images that are free of suspicion: 1 − the excess beyond the first
        percentile (1: no nearer to training than held-out cells are; 0: all are copies).
    beyond_first_percentile, beyond_nearest: shares beyond the two thresholds.
    copies: images that are copies beyond doubt (reading 2), and their share with its interval.
    copy_distance: how near an image must be to count among them.
    real_duplicates: cells of the baseline that are that near to a training image: the data set itself holds duplicates.
    copies_found: whether there are such copies, or chance is an untenable explanation at a threshold (p < 0.005).
    distances, nearest: per synthetic image, (N,), distance to and position of the nearest training image.
    image_scores: per synthetic image, (N,), the share of real cells at least as near: small means suspicious.
    closest: the pairs with the smallest distances, at most ten, nearest first.
    """

    n_synthetic: int
    n_training: int
    n_baseline: int
    n_held_out: int
    score: float
    beyond_first_percentile: Beyond
    beyond_nearest: Beyond
    copies: int
    copy_share: Interval
    copy_distance: float
    real_duplicates: int
    copies_found: bool
    baseline_median: float
    synthetic_median: float
    distances: np.ndarray
    nearest: np.ndarray
    image_scores: np.ndarray
    closest: tuple[Pair, ...]

    @property
    def sentence(self) -> str:
        """The finding for a reader who wants one sentence."""
        near, first = self.beyond_nearest, self.beyond_first_percentile
        verdict = "No sign of copying"
        if self.copies:
            verdict = "Copies were found"
        elif self.copies_found:
            verdict = "Nearer to training images than different real cells are, so look at the closest pairs"
        return (
            f"{verdict}: of {self.n_synthetic} synthetic images, {self.copies} are copies beyond doubt (95 % interval "
            f"{100 * self.copy_share.low:.2f} to {100 * self.copy_share.high:.2f} %), {near.count} are nearer to a "
            f"training image than any of {self.n_baseline} real cells is ({near.expected * self.n_synthetic:.1f} "
            f"expected by chance), and {100 * first.share.value:.1f} % (95 % interval {100 * first.share.low:.1f} to "
            f"{100 * first.share.high:.1f} %) are beyond the real cells' first percentile "
            f"({100 * first.expected:.1f} % expected)."
        )

    def as_dict(self) -> dict[str, Any]:
        """Everything but the values per image, in plain types."""
        left_out = ("distances", "nearest", "image_scores")
        return {key: value for key, value in asdict(self).items() if key not in left_out} | {"sentence": self.sentence}


def find_copies(
    synthetic: ImageSource, fingerprints: Fingerprints, *, pairs: int = 10, progress: Progress | None = None
) -> CopyReport:
    """Compare synthetic images with the training images behind `fingerprints`.

    synthetic: at least 20 paths or (H, W, 3) uint8 arrays. pairs: how many of the closest to list.
    InputError below the minima.
    """
    looks = views(synthetic, progress)
    return judge(nearest(looks, fingerprints.descriptors, progress=progress), fingerprints, pairs=pairs)


def judge(found: Nearest, fingerprints: Fingerprints, *, pairs: int = 10) -> CopyReport:
    """The report on nearest neighbours already found among `fingerprints.descriptors`; InputError below the minima."""
    baseline, n = np.sort(fingerprints.baseline), len(found.similarity)
    if len(baseline) < MINIMUM_BASELINE:
        raise InputError(
            f"The fingerprints hold {len(baseline)} distances of real cells; at least {MINIMUM_BASELINE} are needed."
        )
    if n < MINIMUM_SYNTHETIC:
        raise InputError(
            f"{n} synthetic images are too few to look for copies; at least {MINIMUM_SYNTHETIC} are needed."
        )
    distances = 1 - found.similarity
    order = np.argsort(distances, kind="stable")
    first = _beyond(distances, baseline, math.floor(0.01 * (len(baseline) + 1)))
    closest_real = _beyond(distances, baseline, 1)
    allowed = _FALSE_DISCOVERIES * np.arange(1, n + 1) / n
    passed = np.flatnonzero(_tail(distances[order], baseline) <= allowed)
    copies = int(passed[-1]) + 1 if len(passed) else 0
    copy_distance = _tail_distance(float(allowed[max(copies, 1) - 1]), baseline)
    return CopyReport(
        n_synthetic=n,
        n_training=len(fingerprints.descriptors),
        n_baseline=len(baseline),
        n_held_out=fingerprints.held_out,
        score=float(1 - np.clip(first.excess.value / (1 - first.expected), 0, 1)),
        beyond_first_percentile=first,
        beyond_nearest=closest_real,
        copies=copies,
        copy_share=wilson(copies, n),
        copy_distance=copy_distance,
        real_duplicates=int((baseline <= copy_distance).sum()),
        copies_found=copies > 0 or min(first.p, closest_real.p) < _ALPHA,
        baseline_median=float(np.median(baseline)),
        synthetic_median=float(np.median(distances)),
        distances=distances,
        nearest=found.index,
        image_scores=(1 + np.searchsorted(baseline, distances, side="right")) / (len(baseline) + 1),
        closest=tuple(Pair(int(i), int(found.index[i]), float(distances[i])) for i in order[:pairs]),
    )


def _scale(baseline: np.ndarray) -> tuple[float, float]:
    """1st percentile of the real distances, and the scale of the exponential tail through the 10th and the 1st."""
    first, tenth = np.quantile(baseline, [0.01, 0.1])
    return float(first), max(float(tenth - first) / math.log(10), 1e-6)


def _tail(distances: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """Probability that a cell that is no copy is as near, by the exponential tail; 1 above the first percentile."""
    first, scale = _scale(baseline)
    return np.where(distances < first, 0.01 * np.exp((np.minimum(distances, first) - first) / scale), 1.0)


def _tail_distance(probability: float, baseline: np.ndarray) -> float:
    """The distance at which `_tail` is `probability`; negative where not even identity is improbable enough."""
    first, scale = _scale(baseline)
    return first + scale * math.log(min(probability, 0.01) / 0.01)


def _beyond(distances: np.ndarray, baseline: np.ndarray, rank: int) -> Beyond:
    """Against the `rank`-th smallest (from 1) of the sorted `baseline`."""
    threshold = float(baseline[rank - 1])
    n, count = len(distances), int((distances < threshold).sum())
    share, expected = wilson(count, n), rank / (len(baseline) + 1)
    excess = Interval(share.value - expected, share.low - expected, share.high - expected)
    p = float(betabinom.sf(count - 1, n, rank, len(baseline) + 1 - rank))
    return Beyond(threshold, count, share, expected, excess, p)
