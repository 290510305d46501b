from __future__ import annotations

import math

import numpy as np
import pytest
from drawn_cells import BACKGROUND, CYTOPLASM, NUCLEUS, disc, draw
from scipy.integrate import trapezoid
from scipy.stats import norm, wasserstein_distance

from syntheticcellgan.data.images import read_image
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.sample import sample_folder
from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.intervals import percentile, wilson
from syntheticcellgan.evaluation.morphology import (
    FEATURES,
    MorphologyTable,
    circularity,
    count_lobes,
    measure,
    measure_segmented,
    measure_set,
    solidity,
)
from syntheticcellgan.evaluation.morphology_comparison import compare
from syntheticcellgan.segmentation import Segmentation


def table(columns: dict[str, np.ndarray], label: str = "monocyte", scale: float | None = None) -> MorphologyTable:
    """A table of one type with the given columns; the others are 1 with a little noise."""
    n = len(next(iter(columns.values())))
    values = 1 + np.random.default_rng(n).normal(0, 0.1, (n, len(FEATURES)))
    for name, column in columns.items():
        values[:, FEATURES.index(name)] = column
    return MorphologyTable(values, (label,) * n, (None,) * n, 256, scale)


def test_area_ratio_and_scale_of_a_drawn_cell() -> None:
    image, nucleus, cell = draw()
    found = measure(image, micrometres_per_pixel=0.1)
    assert found.failure is None
    assert found.cell_area == pytest.approx(cell.sum(), rel=0.03)
    assert found.nucleus_area == pytest.approx(nucleus.sum(), rel=0.05)
    assert found.nc_ratio == pytest.approx(found.nucleus_area / found.cell_area)
    assert found.cell_area_um2 == pytest.approx(found.cell_area * 0.01)
    assert math.isnan(measure(image).cell_area_um2)


def test_colours_are_cie_lab() -> None:
    image, nucleus, cell = draw(noise=0.0)
    found = measure_segmented(image, Segmentation(nucleus, cell, ~cell & (image[..., 0] == BACKGROUND[0])))
    # Reference values computed by hand from the CIE formulas (sRGB, D65, 2°).
    for part, colour in (("nucleus", NUCLEUS), ("cytoplasm", CYTOPLASM), ("background", BACKGROUND)):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
        xyz = np.array(
            [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.119192, 0.9503041]]
        )
        x, y, z = (
            t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116
            for t in xyz @ linear / np.array([0.95047, 1.0, 1.08883])
        )
        expected = (116 * y - 16, 500 * (x - y), 200 * (y - z))
        measured = [getattr(found, f"{part}_{axis}") for axis in "lab"]
        assert measured == pytest.approx(expected, abs=0.05)


def test_shape_of_known_masks() -> None:
    round_ = disc(200, 0, 0, 50)
    assert circularity(round_) == pytest.approx(1.0, abs=0.03)
    assert solidity(round_) == pytest.approx(1.0, abs=0.02)
    square = np.zeros((200, 200), bool)
    square[50:150, 50:150] = True
    assert circularity(square) == pytest.approx(math.pi / 4, abs=0.02)
    assert solidity(square) == pytest.approx(1.0, abs=0.02)
    corner = square.copy()
    corner[50:100, 50:100] = False  # an L: three quarters of the square, hull seven eighths of it
    assert solidity(corner) == pytest.approx(0.75 / 0.875, abs=0.02)
    assert math.isnan(solidity(np.zeros((9, 9), bool)))


def test_lobes_of_known_masks() -> None:
    def union(*discs: tuple[float, float, float]) -> np.ndarray:
        return np.any([disc(256, *one) for one in discs], axis=0)

    assert count_lobes(np.zeros((64, 64), bool)) == 0
    assert count_lobes(union((0, 0, 35))) == 1
    assert count_lobes(union((0, 0, 22), (0, 8, 22), (0, 16, 22))) == 1  # an oval
    assert count_lobes(union((0, -25, 20), (0, 25, 20))) == 2  # detached
    bridge = np.zeros((256, 256), bool)
    bridge[123:133, 100:156] = True
    assert count_lobes(union((0, -25, 20), (0, 25, 20)) | bridge) == 2  # joined by a thread
    assert count_lobes(union((-30, -25, 18), (-20, 25, 16), (25, 0, 20))) == 3
    assert count_lobes(union((0, 0, 30), (60, 60, 4))) == 1  # a speck is no lobe
    angles = np.linspace(0.2, 1.4 * math.pi, 60)
    band = union(*((45 * math.sin(a), 45 * math.cos(a), 14.0) for a in angles))
    assert count_lobes(band) == 1  # a band of even width


def test_texture_follows_the_noise() -> None:
    calm, rough = (measure(draw(noise=noise)[0]) for noise in (1.0, 5.0))
    assert rough.granularity > 2 * calm.granularity
    assert rough.chromatin_texture > 2 * calm.chromatin_texture


def test_set_counts_failures_and_leaves_platelets_without_a_nucleus() -> None:
    images = [draw()[0], np.full((256, 256, 3), 255, np.uint8), draw(cell=14.0, lobes=[(0, 0, 9.0)])[0]]
    done: list[int] = []
    found = measure_set(iter(images), ["monocyte", "monocyte", "PLT"], progress=done.append)
    assert done == [1, 2, 3]
    assert len(found) == 3
    assert found.failed() == found.failed("monocyte") == 1
    assert np.isnan(found.values[1]).all()
    assert len(found.column("nucleus_area")) == 1
    assert len(found.column("cell_area", "PLT")) == 1
    assert len(found.column("nucleus_area", "PLT")) == 0


def test_wrong_sets_are_refused() -> None:
    small, large = draw(side=128, cell=28, lobes=[(0, 0, 16)])[0], draw()[0]
    with pytest.raises(InputError, match="resize them to one size"):
        measure_set([small, large], ["monocyte", "monocyte"])
    with pytest.raises(InputError, match="one label per image"):
        measure_set([small], ["monocyte", "monocyte"])
    with pytest.raises(InputError, match="one label per image"):
        measure_set([small, small], ["monocyte"])
    with pytest.raises(InputError, match="micrometres_per_pixel"):
        measure(small, micrometres_per_pixel=0.0)
    assert len(measure_set([], [])) == 0


def test_smaller_nuclei_give_their_sentence() -> None:
    rng = np.random.default_rng(0)
    tables = []
    for scale in (1.0, math.sqrt(0.85)):  # nuclei of 85 % of the area
        lobes = [(2.0, -2.5, 16.0 * scale * rng.uniform(0.97, 1.03)) for _ in range(32)]
        images = [draw(128, 27.5, [lobe], seed=i)[0] for i, lobe in enumerate(lobes)]
        tables.append(measure_set(images, ["monocyte"] * 32))
    found = compare(*tables, repeats=100)
    row = next(row for row in found.features if row.feature == "nucleus_area")
    assert row.notable
    assert row.ratio.low > 1
    percent = 100 * (1 - row.synthetic_mean / row.real_mean)
    assert percent == pytest.approx(15, abs=4)
    assert f"synthetic monocytes have {percent:.0f} % smaller nuclei" in found.sentences
    assert any("lower N:C ratio" in sentence for sentence in found.sentences)
    assert not any("monocytes are" in sentence or "outline" in sentence for sentence in found.sentences)


def test_distance_and_floor_against_known_values() -> None:
    rng = np.random.default_rng(1)
    real, moved = rng.normal(100, 10, 4000), rng.normal(120, 10, 4000)
    row = next(r for r in compare(table({"lobes": real}), table({"lobes": moved})).features if r.feature == "lobes")
    assert row.distance.value == pytest.approx(wasserstein_distance(real, moved))
    assert row.distance.value == pytest.approx(20, abs=0.7)
    assert row.distance.low < 20.3
    assert row.distance.high > 19.7
    # Between two normal samples of m, E W = 2/√π · ∫ √(F(1−F)/m) dx for large m (Brownian bridge).
    x = np.linspace(-6, 6, 4001)
    expected = 2 / math.sqrt(math.pi) * 10 * trapezoid(np.sqrt(norm.cdf(x) * norm.sf(x) / 2000), x)
    assert row.m == 2000
    assert row.floor.value == pytest.approx(expected, rel=0.15)


def test_cells_of_one_distribution_stay_within_the_floor() -> None:
    rng = np.random.default_rng(2)
    false = 0
    for seed in range(20):
        sides = [table({"cell_area": rng.normal(100, 10, 100)}) for _ in range(2)]
        rows = compare(*sides, repeats=60, seed=seed).features
        row = next(row for row in rows if row.feature == "cell_area")
        false += row.notable
        assert 0.4 < row.ratio.value < 4
    assert false <= 1


def test_equal_means_with_another_spread_are_said_so() -> None:
    rng = np.random.default_rng(3)
    found = compare(table({"nucleus_area": rng.normal(100, 15, 300)}), table({"nucleus_area": rng.normal(100, 3, 300)}))
    assert any(sentence.startswith("synthetic monocytes vary less in nucleus area") for sentence in found.sentences)


def test_colour_difference_says_which_way() -> None:
    rng = np.random.default_rng(4)
    found = compare(table({"cytoplasm_b": rng.normal(-10, 2, 100)}), table({"cytoplasm_b": rng.normal(-16, 2, 100)}))
    assert any("have bluer cytoplasm (Δb* -6" in s or "have bluer cytoplasm (Δb* -5" in s for s in found.sentences)


def test_too_few_cells_are_refused_and_scales_must_agree() -> None:
    rng = np.random.default_rng(5)
    few = compare(table({"lobes": rng.normal(size=12)}), table({"lobes": rng.normal(size=80)}))
    assert all(row.refusal and not row.notable and math.isnan(row.distance.value) for row in few.features)
    assert "12 real" in str(few.features[0].refusal)
    assert few.sentences == ()
    real = table({"lobes": rng.normal(size=40)}, scale=0.1)
    names = {row.feature for row in compare(real, real).features}
    assert "cell_area_um2" in names
    assert "cell_area" not in names
    unknown = {row.feature for row in compare(real, table({"lobes": rng.normal(size=40)})).features}
    assert "cell_area" in unknown
    assert "cell_area_um2" not in unknown
    other = MorphologyTable(real.values, real.labels, real.failures, 64)
    with pytest.raises(InputError, match="resize them to one size"):
        compare(real, other)
    with pytest.raises(InputError, match="no type in common"):
        compare(real, table({"lobes": rng.normal(size=40)}, label="basophil"))


def test_wilson_against_published_values() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81/263 and 0/20, method 3.
    for count, n, low, high in ((81, 263, 0.2553, 0.3662), (0, 20, 0.0, 0.1611), (15, 148, 0.0624, 0.1605)):
        found = wilson(count, n)
        assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert math.isnan(wilson(0, 0).value)
    assert percentile(0.5, np.linspace(0, 1, 1001)).low == pytest.approx(0.025)


def test_real_cells_of_the_sample() -> None:
    manifest = read_manifest(sample_folder())
    own = [
        record for name in ("eosinophil", "lymphocyte", "neutrophil") for record in manifest.of_type(name).records[:10]
    ]
    found = measure_set(
        (read_image(manifest.path(r)) for r in own), [r.cell_type for r in own], micrometres_per_pixel=0.1
    )
    assert found.failed() == 0
    assert np.mean(found.column("lobes", "neutrophil")) > np.mean(found.column("lobes", "lymphocyte"))
    assert np.mean(found.column("cytoplasm_a", "eosinophil")) > np.mean(found.column("cytoplasm_a", "neutrophil")) + 5
    assert np.mean(found.column("nc_ratio", "lymphocyte")) > np.mean(found.column("nc_ratio", "neutrophil")) + 0.2
    assert np.mean(found.column("nucleus_circularity", "lymphocyte")) > np.mean(
        found.column("nucleus_circularity", "neutrophil")
    )
