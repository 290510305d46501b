from __future__ import annotations

import numpy as np
import pytest

from syntheticcellgan.data.images import read_image
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.sample import sample_folder
from syntheticcellgan.errors import InputError
from syntheticcellgan.segmentation import dice, segment
from tests.evaluation.drawn_cells import draw


def test_dice_of_known_masks() -> None:
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert dice(a, b) == 1.0
    a[0], b[0, :2] = True, True
    assert dice(a, b) == pytest.approx(2 * 2 / (4 + 2))
    assert dice(a, ~a) == 0.0


@pytest.mark.parametrize(
    "background", [(250, 228, 205), (230, 221, 229), (252, 246, 130), (255, 255, 255), (150, 130, 140)]
)
def test_masks_of_drawn_cells_whatever_the_background(background: tuple[int, int, int]) -> None:
    image, nucleus, cell = draw(background=background)
    found = segment(image)
    assert found.failure is None
    assert dice(found.nucleus, nucleus) > 0.96
    assert dice(found.cell, cell) > 0.97
    assert not (found.nucleus & ~found.cell).any()
    assert not (found.cytoplasm & found.nucleus).any()
    assert not (found.background & cell).any()


@pytest.mark.parametrize("side", [64, 120, 512])
def test_other_sizes(side: int) -> None:
    scale = side / 256
    image, nucleus, cell = draw(side, 55 * scale, [(5 * scale, -6 * scale, 32 * scale)])
    found = segment(image)
    assert found.cell.shape == (side, side)
    assert dice(found.nucleus, nucleus) > 0.94
    assert dice(found.cell, cell) > 0.95


def test_uneven_light() -> None:
    image, nucleus, cell = draw()
    light = np.linspace(0.75, 1.0, 256)[:, None, None]
    found = segment((image * light).astype(np.uint8))
    assert dice(found.nucleus, nucleus) > 0.94
    assert dice(found.cell, cell) > 0.95


def test_touching_red_cell_is_left_out() -> None:
    image, _, cell = draw(red_cells=False)
    rows, columns = np.mgrid[:256, :256] - 127.5
    red = (rows**2 + (columns - 90) ** 2 <= 38**2) & ~cell
    for row, column in ((-95, -95), (95, -95), (-95, 95)):  # red cells elsewhere tell what red cells look like
        red |= (rows - row) ** 2 + (columns - column) ** 2 <= 34**2
    image[red] = (205, 165, 160)
    found = segment(image)
    assert dice(found.cell, cell) > 0.95


def test_cell_that_is_nearly_all_nucleus_is_not_split() -> None:
    image, nucleus, cell = draw(cell=38.0, lobes=[(0.0, 0.0, 35.0)])
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.normal(0, 12, (32, 32)), np.ones((8, 8)))[..., None]  # chromatin in lumps
    image = np.where(nucleus[..., None], np.clip(image + coarse, 0, 255), image).astype(np.uint8)
    found = segment(image)
    assert dice(found.nucleus, nucleus) > 0.88  # split into dark and light chromatin it would be about 0.7
    assert dice(found.cell, cell) > 0.93


def test_turning_the_image_turns_the_masks() -> None:
    image, _, _ = draw(lobes=[(-20.0, -10.0, 18.0), (20.0, 5.0, 20.0)])
    upright, turned = segment(image), segment(np.ascontiguousarray(np.rot90(image)))
    assert dice(np.rot90(upright.nucleus), turned.nucleus) > 0.97
    assert dice(np.rot90(upright.cell), turned.cell) > 0.97


def test_central_square_of_an_oblong_image() -> None:
    image, nucleus, _ = draw(side=200, cell=50.0, lobes=[(0.0, 0.0, 30.0)])
    wide = np.pad(image, ((0, 0), (40, 40), (0, 0)), mode="edge")
    found = segment(wide)
    assert found.nucleus.shape == (200, 280)
    assert dice(found.nucleus[:, 40:240], nucleus) > 0.95
    assert not found.cell[:, :40].any()


def test_images_without_a_cell_fail_with_a_reason() -> None:
    rng = np.random.default_rng(0)
    for image in (
        np.full((128, 128, 3), 255, np.uint8),
        np.zeros((128, 128, 3), np.uint8),
        rng.integers(225, 235, (128, 128, 3)).astype(np.uint8),
        draw(cell=0.0, lobes=[], red_cells=False)[0],
    ):
        found = segment(image)
        assert found.failure
        assert not found.cell.any()
        assert not found.nucleus.any()


def test_wrong_arrays_are_refused() -> None:
    for image in (
        np.zeros((32, 32, 3), np.uint8),
        np.zeros((600, 600, 3), np.uint8),
        np.zeros((128, 128), np.uint8),
        np.zeros((128, 128, 3), np.float32),
    ):
        with pytest.raises(InputError, match="segmentation needs"):
            segment(image)


def test_real_cells_of_the_sample() -> None:
    manifest = read_manifest(sample_folder())
    areas: dict[str, list[float]] = {}
    ratios: dict[str, list[float]] = {}
    failures = 0
    for cell_type in ("lymphocyte", "monocyte", "neutrophil", "platelet"):
        own = manifest.of_type(cell_type)
        for record in own.records[:8]:
            found = segment(read_image(own.path(record)))
            failures += found.failure is not None
            if found.failure is None:
                areas.setdefault(cell_type, []).append(found.cell.mean())
                ratios.setdefault(cell_type, []).append(found.nucleus.sum() / found.cell.sum())
    assert failures <= 1
    assert np.median(areas["platelet"]) < 0.5 * np.median(areas["lymphocyte"])
    assert np.median(areas["lymphocyte"]) < np.median(areas["monocyte"])
    assert np.median(ratios["neutrophil"]) < 0.6 < np.median(ratios["lymphocyte"])
