"""From a classifier's answers over several seeds to balanced accuracy, macro-F1 and recall with their intervals.

    assess(truth, answers, classes, draws, seed) -> Assessment

The bootstrap draws the test images anew within each type and, at once, the seeds; metrics are means over the seeds
drawn. Two assessments with the same truth, draws and seed saw the same images and seeds, so that their differences and
ratios, draw by draw, are paired.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

from syntheticcellgan.evaluation.intervals import Interval, percentile


@dataclass(frozen=True)
class Assessment:
    """n: test cells. seeds: classifiers. confusion: (classes, classes), rows truth, mean over the seeds.

    values, drawn: per metric ("balanced_accuracy", "macro_f1", "recall") the value, () or (classes,), and its bootstrap
    draws, (draws,) or (draws, classes). Recall of a type that the test set lacks is NaN, and the means pass it over.
    """

    n: int
    seeds: int
    confusion: np.ndarray
    values: dict[str, np.ndarray]
    drawn: dict[str, np.ndarray]

    def interval(self, metric: str) -> Interval:
        return percentile(float(self.values[metric]), self.drawn[metric])

    def recall(self, k: int) -> Interval:
        """Recall of class `k`, which must be in the test set."""
        return percentile(float(self.values["recall"][k]), self.drawn["recall"][:, k])

    def ratio(self, base: Assessment, metric: str = "balanced_accuracy") -> Interval:
        """The metric over that of `base`, paired; NaN where that is 0."""
        below = float(base.values[metric])
        if below == 0:
            return Interval(math.nan, math.nan, math.nan)
        drawn = self.drawn[metric] / np.maximum(base.drawn[metric], 1e-9)
        return percentile(float(self.values[metric]) / below, drawn)

    def gain(self, base: Assessment, metric: str = "balanced_accuracy") -> Interval:
        """The metric minus that of `base`, paired."""
        difference = float(self.values[metric] - base.values[metric])
        return percentile(difference, self.drawn[metric] - base.drawn[metric])


def assess(truth: np.ndarray, answers: np.ndarray, classes: int, draws: int, seed: int) -> Assessment:
    """truth: (n,) int, answers: (seeds, n) int, both below `classes`."""
    cells = truth * classes + answers
    seeds = len(cells)

    def confusion(i: int, weights: np.ndarray | None) -> np.ndarray:
        return np.bincount(cells[i], weights, classes**2).reshape(classes, classes).astype(float)

    whole = np.stack([confusion(i, None) for i in range(seeds)])
    rng = np.random.default_rng(seed)
    groups = [group for k in range(classes) if len(group := np.flatnonzero(truth == k))]
    collected: dict[str, list[np.ndarray]] = {}
    for _ in range(draws):
        weights = np.zeros(len(truth))
        for group in groups:
            weights[group] = rng.multinomial(len(group), np.full(len(group), 1 / len(group)))
        picked = rng.integers(seeds, size=seeds).tolist()
        matrices = {i: confusion(i, weights) for i in set(picked)}
        for name, value in metrics(np.stack([matrices[i] for i in picked])).items():
            collected.setdefault(name, []).append(value)
    drawn = {name: np.array(values) for name, values in collected.items()}
    return Assessment(len(truth), seeds, whole.mean(axis=0), metrics(whole), drawn)


def metrics(confusions: np.ndarray) -> dict[str, np.ndarray]:
    """Means over seeds from confusions (seeds, T, T): balanced accuracy and macro-F1 over types present, recall (T,)."""
    support, answered = confusions.sum(axis=2), confusions.sum(axis=1)
    right = np.diagonal(confusions, axis1=1, axis2=2)
    present = support > 0
    recall = np.where(present, right / np.maximum(support, 1), np.nan)
    f1 = np.where(present, 2 * right / np.maximum(support + answered, 1), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a type that the test set lacks is NaN, as it should be
        return {
            "balanced_accuracy": np.asarray(np.nanmean(recall)),
            "macro_f1": np.asarray(np.nanmean(f1)),
            "recall": np.nanmean(recall, axis=0),
        }
