"""Real or synthetic? How well a linear classifier on a network's features tells them apart.

    probe(real, synthetic) -> ProbeResult

A proxy, never a test by experts: a machine finds compression marks and textures that no reader sees, and says nothing
about morphology. An AUC of 0.5 means that it could not tell; near 1 is common for good generators, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.intervals import Interval, percentile
from syntheticcellgan.evaluation.statistics import Sample

MINIMUM = 50
LIMIT = 2000
_FOLDS = 5
_BOOTSTRAPS = 500


@dataclass(frozen=True)
class ProbeResult:
    """auc: probability that the probe finds the synthetic one of a pair, with its 95 % interval; n images of each kind.

    floor: the same for real against real images, `floor_n` of each (half of the real ones), where 0.5 is the truth.
    """

    auc: Interval
    n: int
    floor: Interval
    floor_n: int
    note: str = "A machine's proxy, not a test by experts."


def probe(real: Sample, synthetic: Sample, *, seed: int = 0) -> ProbeResult:
    """Cross-validated (5 folds) area under the ROC curve of logistic regression, synthetic against real.

    Both sides have the same number of each cell type, at most 2,000 images in all. The interval is the bootstrap's over
    images. InputError below 50 images of shared types on either side.
    """
    if real.features.shape[1] != synthetic.features.shape[1]:
        raise InputError(
            f"Features of {real.features.shape[1]} and {synthetic.features.shape[1]} numbers cannot be compared; take "
            "the same extractor for all images."
        )
    rng = np.random.default_rng(seed)
    a, b = _matched(real, synthetic, rng)
    if len(a) < MINIMUM:
        raise InputError(
            f"{len(real)} real and {len(synthetic)} synthetic images leave {len(a)} of the same types on each side; the "
            f"probe needs at least {MINIMUM}."
        )
    half = rng.permutation(len(a))[: len(a) // 2 * 2]
    floor_n = len(half) // 2
    return ProbeResult(
        auc=_auc(real.features[a], synthetic.features[b], rng),
        n=len(a),
        floor=_auc(real.features[a[half[:floor_n]]], real.features[a[half[floor_n:]]], rng),
        floor_n=floor_n,
    )


def _matched(real: Sample, synthetic: Sample, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Indices with the same number of each type from both."""
    shared = sorted({*real.types.tolist()} & {*synthetic.types.tolist()})
    places = [[rng.permutation(np.flatnonzero(s.types == name)) for s in (real, synthetic)] for name in shared]
    total = sum(min(map(len, pair)) for pair in places)
    a: list[np.ndarray] = [np.empty(0, int)]
    b: list[np.ndarray] = [np.empty(0, int)]
    for pair in places:
        count = min(map(len, pair))
        count = count * LIMIT // total if total > LIMIT else count
        a.append(pair[0][:count])
        b.append(pair[1][:count])
    return np.concatenate(a), np.concatenate(b)


def _auc(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Interval:
    """Of y against x from scores out of fold, with its interval."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = np.concatenate([x, y]).astype(float)
    label = np.repeat([0, 1], [len(x), len(y)])
    # Strong shrinkage: there are often more numbers than images.
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=int(rng.integers(2**31)))
    scores = cross_val_predict(model, features, label, cv=folds, method="decision_function")
    of_x, of_y = scores[label == 0], scores[label == 1]
    draws = [area_under_curve(rng.choice(of_x, len(of_x)), rng.choice(of_y, len(of_y))) for _ in range(_BOOTSTRAPS)]
    return percentile(area_under_curve(of_x, of_y), np.array(draws))


def area_under_curve(low: np.ndarray, high: np.ndarray) -> float:
    """Probability that a value of `high` exceeds one of `low`, ties counting half (Mann & Whitney 1947)."""
    ranks = rankdata(np.concatenate([low, high]))[len(low) :]
    return float((ranks.sum() - len(high) * (len(high) + 1) / 2) / (len(low) * len(high)))
