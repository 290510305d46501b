import math

import numpy as np
import pytest
import scipy.linalg

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.fidelity import fidelity, frechet_distance, kernel_distance
from syntheticcellgan.evaluation.statistics import Refused, Sample, by_type


def correlated(n: int, d: int, seed: int, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99 + d).normal(size=(d, d)) / math.sqrt(d)
    return (rng.normal(size=(n, d)) @ mixing + shift).astype(np.float32)


def frechet_by_square_root(x: np.ndarray, y: np.ndarray) -> float:
    """As pytorch-fid and torch-fidelity compute it, restated."""
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(a.astype(complex) @ b.astype(complex)).real
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * np.trace(root))


def kernel_distance_by_sums(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimator of Bińkowski et al. written as its double sums."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((np.dot(a.astype(float), b.astype(float)) / len(a) + 1) ** 3)

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def test_frechet_distance_equals_the_reference_implementations():
    x, y = correlated(400, 24, 0), correlated(300, 24, 1, shift=0.3)
    assert frechet_distance(x, y) == pytest.approx(frechet_by_square_root(x, y), rel=1e-3)


def test_frechet_distance_of_fewer_images_than_dimensions_is_exact():
    # Four points per set along two axes: covariances of rank one, whose product is zero.
    x, y = np.zeros((4, 50), np.float32), np.zeros((4, 50), np.float32)
    x[:, 0], y[:, 1] = (1, -1, 1, -1), (2, -2, 2, -2)
    assert frechet_distance(x, y) == pytest.approx(4 / 3 + 16 / 3, rel=1e-6)
    y[:, 1], y[:, 0] = 0, (2, -2, 2, -2)  # the same axis: (σx − σy)²
    assert frechet_distance(x, y) == pytest.approx(4 / 3, rel=1e-6)


def test_frechet_distance_of_normal_distributions_is_the_closed_form():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (200_000, 4)).astype(np.float32)
    y = rng.normal(0.5, 2, (200_000, 4)).astype(np.float32)
    assert frechet_distance(x, y) == pytest.approx(4 * 0.5**2 + 4 * (2 - 1) ** 2, rel=0.01)


def test_frechet_distance_of_a_set_to_itself_is_zero_and_is_symmetric():
    x, y = correlated(50, 80, 0), correlated(60, 80, 1)
    assert frechet_distance(x, x) < 1e-6 * x.var(axis=0).sum()
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-9)


def test_kernel_distance_equals_the_published_estimator():
    x, y = correlated(20, 6, 0), correlated(30, 6, 1, shift=0.5)
    assert kernel_distance(x, y) == pytest.approx(kernel_distance_by_sums(x, y), rel=1e-6)


def test_kernel_distance_of_two_halves_of_one_distribution_has_mean_zero():
    values = [kernel_distance(correlated(60, 8, i), correlated(60, 8, 1000 + i)) for i in range(60)]
    assert abs(np.mean(values)) < 3 * np.std(values) / math.sqrt(len(values))
    assert min(values) < 0  # unbiased: it may be negative


def test_images_of_the_same_kind_lie_at_the_floor_and_others_beyond():
    real = Sample(correlated(240, 16, 0))
    same = fidelity(real, Sample(correlated(200, 16, 1)))
    far = fidelity(real, Sample(correlated(200, 16, 2, shift=0.6)))
    assert same.frechet.ratio_low < 1 < same.frechet.ratio_high
    assert far.frechet.ratio_low > 1.5
    assert same.kernel.low < 0 < same.kernel.high
    assert far.kernel.low > 0
    assert same.frechet.n == far.kernel.n == 120
    assert (far.frechet.n_real, far.frechet.n_synthetic) == (240, 200)


def test_other_real_images_make_the_floor_and_all_held_out_ones_are_used():
    real, other = Sample(correlated(100, 16, 0)), Sample(correlated(500, 16, 1))
    found = fidelity(real, Sample(correlated(150, 16, 2)), other)
    assert found.frechet.n == 100
    assert found.frechet.low <= found.frechet.value <= found.frechet.high
    # A floor from shifted images is higher: it is really taken from `other`.
    shifted = fidelity(real, Sample(correlated(150, 16, 2)), Sample(correlated(500, 16, 1, shift=0.6)))
    assert shifted.frechet.floor > found.frechet.floor_high


def test_each_type_has_the_same_weight_on_both_sides():
    # Types differ, images within a type do not: only the mixture of types is skewed, which is no lack of fidelity.
    def mixed(of_a: int, of_b: int, seed: int) -> Sample:
        features = np.concatenate([correlated(of_a, 8, seed), correlated(of_b, 8, seed + 1, shift=3)])
        return Sample(features, np.repeat(["a", "b"], [of_a, of_b]))

    found = fidelity(mixed(150, 150, 0), mixed(200, 50, 10))
    assert found.frechet.n == 75 + 50
    assert found.frechet.types == ("a", "b")
    assert found.frechet.ratio_low < 1.2


def test_types_are_compared_one_by_one_and_what_cannot_be_is_refused_with_a_reason():
    real = Sample(correlated(150, 8, 0), np.repeat(["few", "many", "real only"], [20, 100, 30]))
    synthetic = Sample(correlated(200, 8, 1), np.repeat(["few", "many", "synthetic only"], [80, 80, 40]))
    found = by_type(fidelity, real, synthetic)
    assert found["many"].frechet.n == 50
    assert isinstance(found["few"], Refused)
    assert "60 real" in found["few"].reason
    assert "no synthetic images of real only" in found["real only"].reason
    assert "no real images of synthetic only" in found["synthetic only"].reason


def test_the_same_seed_gives_the_same_figures():
    real, synthetic = Sample(correlated(100, 8, 0)), Sample(correlated(60, 8, 1))
    assert fidelity(real, synthetic, seed=3) == fidelity(real, synthetic, seed=3)
    assert fidelity(real, synthetic, seed=3) != fidelity(real, synthetic, seed=4)


@pytest.mark.parametrize(
    ("real", "synthetic", "words"),
    [
        (correlated(59, 8, 0), correlated(100, 8, 1), "at least 60 real and 30 synthetic"),
        (correlated(100, 8, 0), correlated(29, 8, 1), "leave 29"),
        (correlated(100, 8, 0), correlated(100, 9, 1), "8 and 9 numbers"),
        (correlated(100, 8, 0), np.zeros((0, 8), np.float32), "leave 0"),
    ],
)
def test_too_few_images_or_other_features_are_refused(real, synthetic, words):
    with pytest.raises(InputError, match=words):
        fidelity(Sample(real), Sample(synthetic))


def test_features_that_are_not_finite_or_without_types_are_refused():
    bad = correlated(100, 8, 0)
    bad[[3, 7], 2] = np.nan
    with pytest.raises(InputError, match="2 images contain NaN"):
        Sample(bad)
    with pytest.raises(InputError, match="give one for each"):
        Sample(correlated(10, 8, 0), np.array(["a"] * 9))
    with pytest.raises(InputError, match="images, numbers"):
        Sample(np.zeros(10, np.float32))
