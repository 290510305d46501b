import numpy as np
import pytest

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.probe import area_under_curve, probe
from syntheticcellgan.evaluation.statistics import Sample


def cloud(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    features = np.random.default_rng(seed).normal(size=(n, 10)).astype(np.float32)
    features[:, 0] += shift
    return features


def test_area_under_curve_of_known_values():
    assert area_under_curve(np.array([0, 1]), np.array([2, 3])) == 1
    assert area_under_curve(np.array([2, 3]), np.array([0, 1])) == 0
    assert area_under_curve(np.array([1, 1]), np.array([1, 1])) == 0.5
    assert area_under_curve(np.array([0, 2]), np.array([1, 3])) == 0.75


def test_the_same_distribution_cannot_be_told_apart():
    found = probe(Sample(cloud(300, 0)), Sample(cloud(300, 1)))
    assert found.auc.low < 0.5 < found.auc.high or abs(found.auc.value - 0.5) < 0.05
    assert found.n == 300
    assert found.floor_n == 150
    assert abs(found.floor.value - 0.5) < 0.1


def test_the_area_agrees_with_that_of_two_shifted_normals():
    # AUC = Φ(shift / √2) = Φ(√2) = 0.921 for a shift of two standard deviations.
    found = probe(Sample(cloud(1000, 0)), Sample(cloud(1000, 1, shift=2)))
    assert found.auc.low < 0.921 < found.auc.high
    assert found.auc.high - found.auc.low < 0.05


def test_types_are_balanced_so_that_a_skewed_mixture_does_not_give_it_away():
    def mixed(a: int, b: int, seed: int) -> Sample:
        return Sample(np.concatenate([cloud(a, seed), cloud(b, seed + 1, 4)]), np.repeat(["a", "b"], [a, b]))

    found = probe(mixed(200, 100, 0), mixed(100, 200, 10))
    assert found.n == 200
    assert abs(found.auc.value - 0.5) < 0.1


def test_too_few_images_or_other_features_are_refused():
    with pytest.raises(InputError, match="at least 50"):
        probe(Sample(cloud(49, 0)), Sample(cloud(100, 1)))
    with pytest.raises(InputError, match="10 and 9"):
        probe(Sample(cloud(60, 0)), Sample(cloud(60, 1)[:, :9]))
    with pytest.raises(InputError, match="leave 0"):
        probe(Sample(cloud(60, 0), np.full(60, "a")), Sample(cloud(60, 1), np.full(60, "b")))
