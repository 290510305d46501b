"""Cells of another magnification become as large as the reference's, and images as large as they were."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from tests.stain.smears import abroad, home, save

from syntheticcellgan.cli import main
from syntheticcellgan.stain.look import fit
from syntheticcellgan.stain.size import LIMITS, Resizing, enlarged


def nearer(image: np.ndarray, times: float) -> np.ndarray:
    """As a stronger objective would show it."""
    return enlarged(image, times)


@pytest.mark.parametrize("factor", [0.5, 0.83, 1.0, 1.37])
def test_an_image_stays_as_large_as_it_was_and_its_middle_where_it_was(factor):
    image = np.full((91, 120, 3), 240, np.uint8)
    image[41:50, 55:65] = 20
    made = enlarged(image, factor)
    assert made.shape == image.shape
    dark = np.argwhere(made[..., 0] < 130)
    inner = dark[(np.abs(dark - [45, 59.5]) < 25).all(axis=1)]
    assert inner.mean(axis=0) == pytest.approx([45, 59.5], abs=1)
    assert len(inner) == pytest.approx(90 * factor**2, rel=0.25)
    if factor == 1:
        assert np.array_equal(made, image)


def test_cells_become_as_large_as_there(at_home):
    strangers = [nearer(abroad(home(seed)), 1.25) for seed in range(24)]
    resize = Resizing(fit(strangers, "near"), at_home)
    assert resize.factor == pytest.approx(1 / 1.25, rel=0.06)
    back = fit([resize(image) for image in strangers], "back")
    assert back.diameter == pytest.approx(at_home.diameter, rel=0.06)
    assert LIMITS[0] <= resize.factor <= LIMITS[1]


def test_the_command_says_in_its_record_by_how_much(tmp_path, capsys):
    reference = save([home(seed) for seed in range(20)], tmp_path / "home")
    strangers = save([nearer(abroad(home(seed)), 1.25) for seed in range(20)], tmp_path / "near")
    out = tmp_path / "out"
    main(["stain", "apply", str(strangers), "--to", str(reference), "--size", "--out", str(out)])
    assert json.loads((out / "stain.json").read_text())["enlarged"] == pytest.approx(0.8, rel=0.06)
    with Image.open(next(out.glob("*.png"))) as image:
        assert image.size == (128, 128)
    with pytest.raises(SystemExit) as ended:
        main(["stain", "apply", str(strangers), "--to", str(reference), "--out", str(out)])
    assert ended.value.code == 2, "the same images otherwise"
    with pytest.raises(SystemExit) as ended:
        main(["stain", "apply", str(strangers), "--to", "pbc-256", "--method", "learned", "--size", "--out", str(out)])
    assert ended.value.code == 2
    assert "--method learned" in capsys.readouterr().err
