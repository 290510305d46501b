import numpy as np
import pytest

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.diversity import (
    diversity,
    near_duplicates,
    precision_recall_density_coverage,
    vendi_score,
)
from syntheticcellgan.evaluation.fingerprint import DIM
from syntheticcellgan.evaluation.statistics import Sample


def cloud(n: int, d: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, d)) * scale + shift).astype(np.float32)


def prdc_restated(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, float, float, float]:
    """The `prdc` package of Naeem et al., restated with loops and double precision."""

    def kth(x: np.ndarray) -> np.ndarray:
        return np.array([sorted(np.linalg.norm(x - each, axis=1))[k] for each in x])

    real, fake = real.astype(float), fake.astype(float)
    of_real, of_fake = kth(real), kth(fake)
    between = np.array([[np.linalg.norm(r - f) for f in fake] for r in real])
    precision = (between < of_real[:, None]).any(axis=0).mean()
    recall = (between < of_fake[None]).any(axis=1).mean()
    density = (between < of_real[:, None]).sum(axis=0).mean() / k
    coverage = (between.min(axis=1) < of_real).mean()
    return precision, recall, density, coverage


def test_precision_recall_density_coverage_equal_the_reference_implementation():
    real, fake = cloud(90, 5, 0), cloud(70, 5, 1, shift=0.7, scale=0.8)
    found = precision_recall_density_coverage(real, fake)
    assert found == pytest.approx(prdc_restated(real, fake, 5), rel=1e-3)
    assert 0.1 < found[1] < 0.9  # no corner where every implementation agrees


def test_far_from_the_origin_distances_keep_their_digits():
    real, fake = cloud(90, 5, 0), cloud(70, 5, 1, shift=0.7)
    near = precision_recall_density_coverage(real, fake)
    far = precision_recall_density_coverage(real + 1000, fake + 1000)
    assert far == pytest.approx(near, abs=0.03)


def test_identical_sets_are_covered_and_disjoint_ones_not():
    real = cloud(60, 4, 0)
    assert precision_recall_density_coverage(real, real.copy())[0::3] == (1, 1)
    assert precision_recall_density_coverage(real, real + 100) == (0, 0, 0, 0)


def test_a_collapsed_generator_keeps_its_precision_and_loses_recall():
    real = cloud(200, 4, 0)
    one_corner = real[:1] + cloud(200, 4, 1, scale=0.05)
    precision, recall, _, coverage = precision_recall_density_coverage(real, one_corner)
    assert precision > 0.9
    assert recall < 0.1
    assert coverage < 0.2


def test_vendi_score_counts_what_differs():
    assert vendi_score(np.eye(12, dtype=np.float32)) == pytest.approx(12)
    assert vendi_score(np.ones((9, 5), np.float32)) == pytest.approx(1)
    pairs = np.repeat(np.eye(6, dtype=np.float32), 2, axis=0)
    assert vendi_score(pairs) == pytest.approx(6)


def test_vendi_score_equals_the_published_formula():
    x = cloud(40, 7, 0, shift=0.5)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    eigenvalues = np.linalg.eigvalsh((unit @ unit.T).astype(float) / len(x))
    expected = np.exp(-sum(value * np.log(value) for value in eigenvalues if value > 1e-10))
    assert vendi_score(x) == pytest.approx(expected, rel=1e-3)


def test_every_measure_stands_beside_its_floor():
    real, same = Sample(cloud(200, 30, 0)), Sample(cloud(150, 30, 1))
    found = diversity(real, same)
    for comparison in (found.precision, found.recall, found.density, found.coverage, found.vendi):
        assert comparison.n == 100
        assert comparison.ratio_low < 1 < comparison.ratio_high
        assert comparison.low <= comparison.value <= comparison.high
    repeated = diversity(real, Sample(np.repeat(cloud(10, 30, 1), 15, axis=0)))
    assert repeated.recall.value < 0.2
    assert repeated.vendi.value < 0.5 * repeated.vendi.floor
    assert repeated.precision.value > 0.7  # which alone would have praised it


def unit_fingerprints(n: int, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, DIM))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16)


def test_images_that_repeat_among_the_synthetic_ones_are_counted():
    real, synthetic = unit_fingerprints(300, 0), unit_fingerprints(200, 1)
    clean = near_duplicates(synthetic, real)
    assert clean.n == 200
    assert clean.share.value < 0.05
    synthetic[150:160] = synthetic[:10]
    found = near_duplicates(synthetic, real)
    assert found.share.value == pytest.approx(0.10, abs=0.03)
    assert all(pair.training - pair.synthetic == 150 and pair.distance < 0.01 for pair in found.closest)
    assert len(found.closest) == 10


def test_too_few_images_for_near_duplicates_are_refused():
    with pytest.raises(InputError, match="at least 100 of each"):
        near_duplicates(unit_fingerprints(99, 0), unit_fingerprints(300, 1))
