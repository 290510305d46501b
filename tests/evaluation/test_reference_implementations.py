"""The measures against the published implementations themselves, to 1e-3 relative.

torchmetrics, prdc, vendi-score, scikit-learn (utility: see test_utility.py), SciPy, scikit-image. Features are those of
real cells (the shipped sample, reduced to a few colours) and of drawn distributions, more images than numbers and fewer.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from prdc import compute_prdc
from scipy.stats import binomtest
from skimage.measure import regionprops
from sklearn.metrics import f1_score, roc_auc_score
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance
from vendi_score import vendi

import syntheticcellgan
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.evaluation.diversity import precision_recall_density_coverage, vendi_score
from syntheticcellgan.evaluation.fidelity import frechet_distance, kernel_distance
from syntheticcellgan.evaluation.intervals import wilson
from syntheticcellgan.evaluation.morphology import solidity
from syntheticcellgan.evaluation.probe import area_under_curve
from syntheticcellgan.segmentation import dice

SAMPLE = sorted((Path(syntheticcellgan.__file__).parent / "sample").glob("*/*.jpg"))

Pair = tuple[np.ndarray, np.ndarray]


def real_cells(side: int) -> Pair:
    """Colours of side × side squares of real cells: every second cell against the others, darkened by a tenth."""
    squares = np.stack([resize_square(read_image(path), side).ravel() for path in SAMPLE]).astype(np.float32) / 128
    return squares[::2], 0.9 * squares[1::2]


def drawn(n: int, m: int, d: int) -> Pair:
    rng = np.random.default_rng(d)
    mixing = rng.normal(size=(d, d)) / np.sqrt(d)
    x, y = rng.normal(size=(n, d)) @ mixing, 1.2 * rng.normal(size=(m, d)) @ mixing + 0.2
    return x.astype(np.float32), y.astype(np.float32)


PAIRS = {
    "real cells, more than numbers": lambda: real_cells(4),
    "real cells, fewer than numbers": lambda: real_cells(8),
    "drawn, more than numbers": lambda: drawn(300, 300, 20),
    "drawn, fewer than numbers": lambda: drawn(60, 60, 150),
}


@pytest.fixture(params=PAIRS, ids=str)
def pair(request: pytest.FixtureRequest) -> Pair:
    return PAIRS[request.param]()


class AsTheyAre(torch.nn.Module):
    """In the place of Inception-v3: the features are given."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.num_features = dim

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def test_frechet_distance_is_that_of_torchmetrics(pair: Pair) -> None:
    x, y = pair
    reference = FrechetInceptionDistance(feature=AsTheyAre(x.shape[1])).set_dtype(torch.float64)
    reference.update(torch.from_numpy(x).double(), real=True)
    reference.update(torch.from_numpy(y).double(), real=False)
    assert frechet_distance(x, y) == pytest.approx(float(reference.compute()), rel=1e-3)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save")
def test_kernel_distance_is_that_of_torchmetrics(pair: Pair) -> None:
    x, y = pair
    # One subset that is the whole set: the estimator itself, without the chance of the subsets.
    reference = KernelInceptionDistance(feature=AsTheyAre(x.shape[1]), subsets=1, subset_size=len(x))
    reference.update(torch.from_numpy(x).double(), real=True)
    reference.update(torch.from_numpy(y).double(), real=False)
    mean, _ = reference.compute()
    assert kernel_distance(x, y) == pytest.approx(float(mean), rel=1e-3)


def test_precision_recall_density_coverage_are_those_of_prdc(pair: Pair) -> None:
    x, y = pair
    reference = compute_prdc(real_features=x, fake_features=y, nearest_k=5)
    expected = [reference[name] for name in ("precision", "recall", "density", "coverage")]
    assert precision_recall_density_coverage(x, y) == pytest.approx(expected, rel=1e-3)


@pytest.mark.filterwarnings("ignore:Please import `csr_matrix`")  # vendi-score's own
def test_vendi_score_is_that_of_vendi_score(pair: Pair) -> None:
    x, _ = pair
    for centred in (x, x - x.mean(axis=0)):
        wide = centred.astype(float)
        assert vendi_score(centred) == pytest.approx(vendi.score_dual(wide), rel=1e-3)
        assert vendi_score(centred) == pytest.approx(vendi.score_K(_cosines(wide)), rel=1e-3)


def _cosines(x: np.ndarray) -> np.ndarray:
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    return unit @ unit.T


def test_area_under_curve_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=(2, 80)), rng.integers(0, 5, (2, 80)).astype(float)):  # without and with ties
        low, high = values[0], values[1] + 1
        truth, scores = np.repeat([0, 1], 80), np.concatenate([low, high])
        assert area_under_curve(low, high) == pytest.approx(roc_auc_score(truth, scores), rel=1e-9)


@pytest.mark.parametrize(("count", "n"), [(0, 10), (0, 2000), (3, 7), (20, 2000), (50, 50)])
def test_wilson_interval_is_that_of_scipy(count: int, n: int) -> None:
    found, expected = wilson(count, n), binomtest(count, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-3, abs=1e-9)


def test_dice_is_the_f1_score() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 30, 30)) < 0.4
    assert dice(a, b) == pytest.approx(f1_score(a.ravel(), b.ravel()), rel=1e-9)


def test_solidity_is_that_of_scikit_image() -> None:
    rows, columns = np.mgrid[:200, :200] - 99.5
    disc, half = np.hypot(rows, columns) < 60, np.hypot(rows, columns - 50) < 45
    for mask in (disc, disc & ~half, np.abs(rows) + columns < 60):
        (region,) = regionprops(mask.astype(int))
        assert solidity(mask) == pytest.approx(region.solidity, rel=0.01)
