"""Utility: what a classifier that learnt from synthetic cells knows about real ones.

    measure_utility(train_real, test_real, synthetic, other_laboratories={}, settings=STANDARD) -> UtilityReport

- Trained on real, on synthetic, on both; tested on held-out real cells and on other laboratories' sets. Trained on
  synthetic, tested on real is TSTR (Esteban et al. 2017); its ratio to trained on real is the headline figure.
- Trained on real, tested on synthetic: whether synthetic cells look like their types.
- Low-data curves: few real cells per type, with no augmentation, classic augmentation, synthetic cells, and both.
  Fair only if the generator itself was trained on no more real cells than that; the caller knows.

Intervals, 95 %: percentiles of a bootstrap that draws the test images anew within each type and, at once, the seeds, so
that both kinds of chance are in them. Each seed leaves another random tenth of the training images out and starts the
network afresh. Ratios are paired: numerator and denominator see the same draws.
The caller must not give features that the generator was trained with.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.answers import Assessment, assess
from syntheticcellgan.evaluation.classifiers import Classifier, ConvNet, Labelled, LinearProbe
from syntheticcellgan.evaluation.parallel import results_of
from syntheticcellgan.evaluation.utility_results import (
    ARMS,
    HELD_OUT,
    STANDARD,
    LowDataPoint,
    Ratio,
    Score,
    UtilityReport,
    UtilitySettings,
)

MINIMUM_TRAIN, MINIMUM_TEST = 10, 10  # cells per type; a type with fewer on any side is left out
_WITH_SYNTHETIC = ("synthetic", "both")


def measure_utility(
    train_real: Labelled,
    test_real: Labelled,
    synthetic: Labelled,
    *,
    other_laboratories: Mapping[str, Labelled] | None = None,
    classifiers: Sequence[Classifier] | None = None,
    settings: UtilitySettings = STANDARD,
    progress: Callable[[int, int, str], None] | None = None,
    workers: int = 1,
) -> UtilityReport:
    """The whole protocol; see the top of this module. `progress` gets (fits done, fits in all, what was done last);
    `workers` fits are done at once.

    Types are matched by name; those with too few cells in any of the three sets are left out and named. Test sets of
    other laboratories count only types that the classifier knows. InputError: fewer than two types remain.
    """
    began = time.perf_counter()
    types, left_out = _shared_types(train_real, test_real, synthetic)
    real, test, made = (data.of_types(types) for data in (train_real, test_real, synthetic))
    kinds: Sequence[Classifier] = (ConvNet(), LinearProbe()) if classifiers is None else classifiers
    tests = {HELD_OUT: test}
    for name, data in (other_laboratories or {}).items():
        if name in (HELD_OUT, "synthetic"):
            raise InputError(f"a laboratory cannot be called {name!r}: give it another name")
        known = data.of_types(types)
        if len(known) < MINIMUM_TEST or len(known.types) < 2:
            left_out[name] = f"{len(known)} cells of known types; {MINIMUM_TEST} cells of two types needed"
        else:
            tests[name] = known
    sizes = [n for n in settings.low_data if n <= min(real.labels.count(name) for name in types)]
    for n in sorted(set(settings.low_data) - set(sizes)):
        left_out[f"low-data, {n} per type"] = "not all types have that many real cells to train on"
    fits = _Fits(_count(kinds, sizes, settings), progress, workers)
    scores: list[Score] = []
    ratios: list[Ratio] = []
    points: list[LowDataPoint] = []
    for kind in kinds:
        told, compared = _train_and_test(kind, types, real, made, tests, settings, fits)
        scores += told
        ratios += compared
        points += _low_data(kind, types, real, made, test, sizes, settings, fits)
    return UtilityReport(
        types, tuple(scores), tuple(ratios), tuple(points), left_out, settings, time.perf_counter() - began
    )


@dataclass(frozen=True)
class _Fit:
    """One classifier to be fitted, and what it is then tested on."""

    name: str
    kind: Classifier
    parts: list[Labelled]
    types: tuple[str, ...]
    seed: int
    augment: bool
    effort: float
    tests: Mapping[str, Labelled]

    def __call__(self) -> dict[str, np.ndarray]:
        predict = self.kind.fit(self.parts, self.types, self.seed, augment=self.augment, effort=self.effort)
        return {name: predict(data) for name, data in self.tests.items()}


class _Fits:
    """Does fits, several at once, counts them and tells of them."""

    def __init__(self, total: int, progress: Callable[[int, int, str], None] | None, workers: int) -> None:
        self._done, self._total, self._progress, self._workers = 0, total, progress, workers

    def answers(self, fits: Sequence[_Fit]) -> list[dict[str, np.ndarray]]:
        """Of each fit, by test set: (N,) int64."""
        found = []
        for fit, answer in zip(fits, results_of(fits, self._workers), strict=True):
            found.append(answer)
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._total, fit.name)
        return found


def _count(kinds: Sequence[Classifier], sizes: Sequence[int], settings: UtilitySettings) -> int:
    low_data = sum(settings.low_data_seeds * len(sizes) * len(_arms(kind)) for kind in kinds)
    return 3 * settings.seeds * len(kinds) + low_data


def _arms(kind: Classifier) -> tuple[str, ...]:
    """Without images there is nothing to augment classically: the probe has two arms."""
    return ARMS if kind.augments else ("none", "synthetic")


def _shared_types(train: Labelled, test: Labelled, synthetic: Labelled) -> tuple[tuple[str, ...], dict[str, str]]:
    kept, left_out = [], {}
    for name in sorted({*train.types, *test.types, *synthetic.types}):
        counts = {
            "real to train on": (train.labels.count(name), MINIMUM_TRAIN),
            "real to test on": (test.labels.count(name), MINIMUM_TEST),
            "synthetic": (synthetic.labels.count(name), MINIMUM_TRAIN),
        }
        short = [f"{n} {what}, {least} needed" for what, (n, least) in counts.items() if n < least]
        if short:
            left_out[name] = "; ".join(short)
        else:
            kept.append(name)
    if len(kept) < 2:
        raise InputError(
            f"utility needs two types with {MINIMUM_TRAIN} real cells to train on, {MINIMUM_TEST} to test on and "
            f"{MINIMUM_TRAIN} synthetic ones; there are {len(kept)}"
        )
    return tuple(kept), left_out


def _train_and_test(
    kind: Classifier,
    types: tuple[str, ...],
    real: Labelled,
    synthetic: Labelled,
    tests: Mapping[str, Labelled],
    settings: UtilitySettings,
    fits: _Fits,
) -> tuple[list[Score], list[Ratio]]:
    scores, ratios = [], []
    answered: dict[tuple[str, str], Assessment] = {}
    arms = {"real": [real], "synthetic": [synthetic], "both": [real, synthetic]}
    own_tests = {arm: {**tests, "synthetic": synthetic} if arm == "real" else tests for arm in arms}
    planned = []
    for arm, parts in arms.items():
        for seed in range(settings.seeds):
            rng = np.random.default_rng([settings.seed, seed])
            fewer = [_without_a_tenth(part, rng) for part in parts]
            name = f"{kind.name}, trained on {arm}, seed {seed + 1} of {settings.seeds}"
            planned.append(_Fit(name, kind, fewer, types, settings.seed + seed, True, settings.effort, own_tests[arm]))
    rows = iter(fits.answers(planned))
    for trained_on, parts in arms.items():
        answers = [next(rows) for _ in range(settings.seeds)]
        n_train = sum(len(part) for part in parts)
        for name, data in own_tests[trained_on].items():
            stacked = np.stack([answer[name] for answer in answers])
            found = assess(data.codes(types), stacked, len(types), settings.draws, settings.seed)
            answered[trained_on, name] = found
            scores.append(_score(kind.name, trained_on, name, n_train, found, types))
            if trained_on != "real":
                ratios.append(Ratio(kind.name, trained_on, name, found.ratio(answered["real", name])))
    return scores, ratios


def _without_a_tenth(data: Labelled, rng: np.random.Generator) -> Labelled:
    """A random nine tenths of each type, rounded up."""
    labels = np.array(data.labels)
    kept = []
    for name in data.types:
        own = rng.permutation(np.flatnonzero(labels == name))
        kept.append(own[: math.ceil(0.9 * len(own))])
    return data.select(np.sort(np.concatenate(kept)))


def _score(
    classifier: str, trained_on: str, tested_on: str, n_train: int, found: Assessment, types: tuple[str, ...]
) -> Score:
    present = found.confusion.sum(axis=1) > 0
    return Score(
        classifier,
        trained_on,
        tested_on,
        n_train,
        found.n,
        found.seeds,
        found.interval("balanced_accuracy"),
        found.interval("macro_f1"),
        {name: found.recall(k) for k, name in enumerate(types) if present[k]},
        types,
        tuple(tuple(round(float(x), 3) for x in row) for row in found.confusion),
    )


def _low_data(
    kind: Classifier,
    types: tuple[str, ...],
    real: Labelled,
    synthetic: Labelled,
    test: Labelled,
    sizes: Sequence[int],
    settings: UtilitySettings,
    fits: _Fits,
) -> list[LowDataPoint]:
    truth, labels = test.codes(types), np.array(real.labels)
    arms = _arms(kind)
    planned = []
    for per_type in sizes:
        for seed in range(settings.low_data_seeds):
            # The same few cells for every arm, and those of a smaller size within those of a larger.
            rng = np.random.default_rng([settings.seed, 1, seed])
            chosen = [rng.permutation(np.flatnonzero(labels == name))[:per_type] for name in types]
            few = real.select(np.concatenate(chosen))
            for arm in arms:
                planned.append(
                    _Fit(
                        f"{kind.name}, {per_type} real cells per type, augmentation: {arm}",
                        kind,
                        [few, synthetic] if arm in _WITH_SYNTHETIC else [few],
                        types,
                        settings.seed + seed,
                        arm in ("classic", "both"),
                        settings.low_data_effort,
                        {HELD_OUT: test},
                    )
                )
    rows = iter(fits.answers(planned))
    points = []
    for per_type in sizes:
        answers: dict[str, list[np.ndarray]] = {arm: [] for arm in arms}
        for _ in range(settings.low_data_seeds):
            for arm in arms:
                answers[arm].append(next(rows)[HELD_OUT])
        found = {
            arm: assess(truth, np.stack(of_arm), len(types), settings.draws, settings.seed)
            for arm, of_arm in answers.items()
        }
        classic = found.get("classic")
        points += [
            LowDataPoint(
                kind.name,
                per_type,
                arm,
                result.n,
                result.seeds,
                result.interval("balanced_accuracy"),
                result.interval("macro_f1"),
                result.gain(found["none"]),
                result.gain(classic, "macro_f1") if classic is not None and arm in _WITH_SYNTHETIC else None,
            )
            for arm, result in found.items()
        ]
    return points
