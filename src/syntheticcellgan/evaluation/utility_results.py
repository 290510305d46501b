"""What a measurement of utility costs and what it gives: settings, scores, ratios and points of low-data curves."""

from __future__ import annotations

from dataclasses import dataclass

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.intervals import Interval

HELD_OUT = "held-out real"
ARMS = ("none", "classic", "synthetic", "both")


@dataclass(frozen=True)
class UtilitySettings:
    """How much is spent. effort scales the steps of the network; low_data: real cells per type."""

    seeds: int = 5
    effort: float = 2.0
    low_data: tuple[int, ...] = (10, 25, 50, 100)
    low_data_seeds: int = 5
    low_data_effort: float = 1.0
    draws: int = 500  # of the bootstrap
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.seeds, self.low_data_seeds, self.draws) < 1 or min(self.effort, self.low_data_effort) <= 0:
            raise InputError("utility needs at least one seed and one draw, and an effort greater than 0")
        if any(n < 1 for n in self.low_data):
            raise InputError(f"low_data must be numbers of cells greater than 0, not {self.low_data}")


STANDARD = UtilitySettings()
QUICK = UtilitySettings(seeds=2, effort=0.3, low_data=(10, 50), low_data_seeds=1, low_data_effort=0.2, draws=200)


@dataclass(frozen=True)
class Score:
    """One classifier, trained on one set, tested on another. n_train: cells before a tenth is left out.

    types: of the classifier. recall: per type in the test set. confusion: rows truth, columns answer, in `types`,
    number of test cells averaged over the seeds; rows of types that the test set lacks are 0.
    """

    classifier: str
    trained_on: str
    tested_on: str
    n_train: int
    n_test: int
    seeds: int
    balanced_accuracy: Interval
    macro_f1: Interval
    recall: dict[str, Interval]
    types: tuple[str, ...]
    confusion: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Ratio:
    """Balanced accuracy on a test set after training on `trained_on`, over that after training on real cells."""

    classifier: str
    trained_on: str
    tested_on: str
    ratio: Interval


@dataclass(frozen=True)
class LowDataPoint:
    """One point of a low-data curve, tested on held-out real cells. arm: one of ARMS.

    gain: balanced accuracy over that of "none". gain_over_classic: macro-F1 over that of "classic", what synthetic cells
    add to the augmentation that everyone has; None for "none" and "classic" and where there is no "classic". Both paired.
    """

    classifier: str
    per_type: int
    arm: str
    n_test: int
    seeds: int
    balanced_accuracy: Interval
    macro_f1: Interval
    gain: Interval
    gain_over_classic: Interval | None


@dataclass(frozen=True)
class UtilityReport:
    """All of it. left_out: types or steps that were passed over, each with its reason."""

    types: tuple[str, ...]
    scores: tuple[Score, ...]
    ratios: tuple[Ratio, ...]
    low_data: tuple[LowDataPoint, ...]
    left_out: dict[str, str]
    settings: UtilitySettings
    seconds: float

    def score(self, classifier: str, trained_on: str, tested_on: str = HELD_OUT) -> Score:
        for score in self.scores:
            if (score.classifier, score.trained_on, score.tested_on) == (classifier, trained_on, tested_on):
                return score
        raise KeyError((classifier, trained_on, tested_on))

    def point(self, classifier: str, per_type: int, arm: str) -> LowDataPoint:
        for point in self.low_data:
            if (point.classifier, point.per_type, point.arm) == (classifier, per_type, arm):
                return point
        raise KeyError((classifier, per_type, arm))
