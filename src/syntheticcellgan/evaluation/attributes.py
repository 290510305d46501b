"""Expert attributes of cells (shape of the nucleus, granules, colour of the cytoplasm …): does the synthetic set show
them as often as the real one?

    fit_attributes(features, attributes) -> AttributePredictors     # real cells only
    compare_attributes(predictors, real, real_types, synthetic, synthetic_types) -> tuple[AttributeShare, ...]

The attributes are those of WBCAtt (Tsutsui, Pang & Wen, NeurIPS Datasets 2023): eleven, for the five mature types. One
logistic regression per attribute on standardised features, trained on real cells; its accuracy and balanced accuracy
come from real cells held out of its training, with Wilson and bootstrap intervals. Shares are counted from predictions
on both sides, so that a predictor's leaning falls on both; give real cells that the predictors were not trained on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.intervals import Interval, percentile, wilson

MINIMUM = 100  # labelled cells per attribute
MINIMUM_VALUE = 10  # cells of one value; rarer values are left out


@dataclass(frozen=True)
class AttributePredictor:
    """How well one attribute is predicted, on n_test real cells that its training did not see.

    values: the values it knows. majority: share of the commonest value there, what guessing would reach.
    """

    attribute: str
    values: tuple[str, ...]
    n_train: int
    n_test: int
    accuracy: Interval
    balanced_accuracy: Interval
    majority: float

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class AttributePredictors:
    """The fitted predictors. left_out: attributes without a predictor, and why."""

    scores: tuple[AttributePredictor, ...]
    left_out: Mapping[str, str]
    models: Mapping[str, Pipeline]

    def predict(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """Predicted value per attribute, each (N,) of str, for `features` (N, d)."""
        if len(features) == 0:
            return {name: np.empty(0, dtype=str) for name in self.models}
        return {name: model.predict(features) for name, model in self.models.items()}

    def as_dict(self) -> dict[str, object]:
        return {"scores": [score.as_dict() for score in self.scores], "left_out": dict(self.left_out)}


@dataclass(frozen=True)
class AttributeShare:
    """Share of cells predicted to show `value`, among real and synthetic cells of a type, with Wilson intervals.

    differs: whether the two intervals do not overlap.
    """

    cell_type: str
    attribute: str
    value: str
    n_real: int
    n_synthetic: int
    real: Interval
    synthetic: Interval
    differs: bool


def fit_attributes(
    features: np.ndarray,
    attributes: Sequence[Mapping[str, str]],
    *,
    held_out: float = 0.25,
    most: int = 4000,
    seed: int = 0,
) -> AttributePredictors:
    """Trains one predictor per attribute on `features` (N, d) of real cells; `attributes` holds one mapping per cell.

    A cell without a value (missing or empty) is passed over for that attribute. `held_out` is the share kept to
    measure with; at most `most` cells train a predictor. InputError: no attribute has enough cells.
    """
    if len(features) != len(attributes):
        raise InputError(f"there are features of {len(features)} cells and attributes of {len(attributes)}")
    if not np.isfinite(features).all():
        raise InputError("features hold NaN or infinite values: attributes cannot be learnt from them")
    rng = np.random.default_rng(seed)
    scores: list[AttributePredictor] = []
    models: dict[str, Pipeline] = {}
    left_out: dict[str, str] = {}
    for name in sorted({name for cell in attributes for name in cell}):
        counts = Counter(cell[name] for cell in attributes if cell.get(name))
        values = tuple(sorted(value for value, count in counts.items() if count >= MINIMUM_VALUE))
        chosen = np.array([i for i, cell in enumerate(attributes) if cell.get(name) in values], dtype=int)
        if len(values) < 2 or len(chosen) < MINIMUM:
            left_out[name] = (
                f"{len(chosen)} cells with {len(values)} values of at least {MINIMUM_VALUE} cells; "
                f"{MINIMUM} cells and two values needed"
            )
            continue
        truth = np.array([attributes[i][name] for i in chosen])
        train, test = _split(truth, held_out, rng)
        train = train[:most]
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=300))
        model.fit(features[chosen[train]], truth[train])
        models[name] = model
        guess = model.predict(features[chosen[test]])
        scores.append(_score(name, values, len(train), truth[test], guess, rng))
    if not models:
        raise InputError(
            f"no attribute has {MINIMUM} cells and two values of {MINIMUM_VALUE} cells: match the table to the images"
        )
    return AttributePredictors(tuple(scores), left_out, models)


def _split(truth: np.ndarray, held_out: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Shuffled indices (train, test), the same share of each value in both, at least one in each."""
    train, test = [], []
    for value in np.unique(truth):
        own = rng.permutation(np.flatnonzero(truth == value))
        cut = min(max(1, round(held_out * len(own))), len(own) - 1)
        test.append(own[:cut])
        train.append(own[cut:])
    return rng.permutation(np.concatenate(train)), np.concatenate(test)


def _score(
    name: str, values: tuple[str, ...], n_train: int, truth: np.ndarray, guess: np.ndarray, rng: np.random.Generator
) -> AttributePredictor:
    right = truth == guess
    groups = [right[truth == value] for value in values]
    # Bootstrap within each value: the balanced accuracy is the mean of independent shares.
    draws = np.mean([rng.binomial(len(group), group.mean(), 2000) / len(group) for group in groups], axis=0)
    balanced = percentile(float(np.mean([group.mean() for group in groups])), draws)
    majority = max(len(group) for group in groups) / len(truth)
    return AttributePredictor(
        name, values, n_train, len(truth), wilson(int(right.sum()), len(right)), balanced, majority
    )


def compare_attributes(
    predictors: AttributePredictors,
    real: np.ndarray,
    real_types: Sequence[str],
    synthetic: np.ndarray,
    synthetic_types: Sequence[str],
) -> tuple[AttributeShare, ...]:
    """Share of every value of every attribute among real and synthetic cells, features (N, d), per type that both have.

    Only types that the predictors were trained on give sense: select them before. InputError: no type in common.
    """
    if len(real) != len(real_types) or len(synthetic) != len(synthetic_types):
        raise InputError("there must be one cell type per row of features")
    types = sorted(set(real_types) & set(synthetic_types))
    if not types:
        raise InputError("real and synthetic cells have no type in common: name the types alike")
    predicted = predictors.predict(real), predictors.predict(synthetic)
    members = [tuple(np.array(labels) == name for labels in (real_types, synthetic_types)) for name in types]
    rows: list[AttributeShare] = []
    for cell_type, (mine, others) in zip(types, members, strict=True):
        for score in predictors.scores:
            left, right = predicted[0][score.attribute][mine], predicted[1][score.attribute][others]
            for value in score.values:
                ours, theirs = (wilson(int((side == value).sum()), len(side)) for side in (left, right))
                apart = ours.high < theirs.low or theirs.high < ours.low
                rows.append(
                    AttributeShare(
                        cell_type, score.attribute, value, len(left), len(right), ours, theirs, differs=apart
                    )
                )
    return tuple(rows)


def total_variation(shares: Sequence[AttributeShare]) -> dict[tuple[str, str], float]:
    """Per (cell type, attribute), half the sum of the absolute differences of shares: 0 alike, 1 nothing in common."""
    sums: dict[tuple[str, str], float] = {}
    for row in shares:
        key = (row.cell_type, row.attribute)
        difference = abs(row.real.value - row.synthetic.value)
        sums[key] = sums.get(key, 0.0) + (0.5 * difference if math.isfinite(difference) else 0.0)
    return sums
