from __future__ import annotations

import numpy as np
import pytest
from tests.evaluation.drawn_cells import NUCLEUS, RED_CELL
from tests.stain.smears import HOME, LAMP, abroad, home

from syntheticcellgan.segmentation import dice, segment
from syntheticcellgan.stain.colour import difference, to_lab, white_point
from syntheticcellgan.stain.look import fit
from syntheticcellgan.stain.recolour import Recolouring
from syntheticcellgan.stain.style import Style, in_many_looks


def test_cells_of_another_laboratory_come_home(at_home, elsewhere) -> None:
    recolour = Recolouring(elsewhere, at_home)
    white = white_point(np.array(HOME))
    for seed in (100, 101):
        original = home(seed)
        far = abroad(original)
        back = recolour(far)
        before, after = (
            float(np.median(difference(to_lab(image, white), to_lab(original, white)))) for image in (far, back)
        )
        assert before > 8
        assert after < 2.5
        for drawn in (NUCLEUS, RED_CELL):
            place = np.abs(original.astype(int) - drawn).max(axis=2) < 8
            assert difference(*(to_lab(i[place].mean(axis=0), white) for i in (back, original))) < 6


def test_the_background_becomes_the_targets(at_home, elsewhere) -> None:
    empty = np.empty((64, 64, 3), np.uint8)
    empty[:] = np.rint(np.array(HOME) * LAMP)
    assert Recolouring(elsewhere, at_home)(empty)[0, 0] == pytest.approx(HOME, abs=3)


def test_the_same_look_changes_nothing(at_home) -> None:
    image = home(7)
    assert np.abs(Recolouring(at_home, at_home)(image).astype(int) - image).max() <= 2


def test_the_nucleus_stays_where_it_is(at_home, elsewhere) -> None:
    recolour = Recolouring(elsewhere, at_home)
    areas = []
    for seed in range(60, 68):
        far = abroad(home(seed, side=256))
        before, after = segment(far), segment(recolour(far))
        assert dice(before.nucleus, after.nucleus) >= 0.97
        areas.append(after.nucleus.sum() / before.nucleus.sum())
    assert np.mean(areas) == pytest.approx(1.0, abs=0.02)


def test_never_black_never_nan_whatever_the_image(at_home, elsewhere) -> None:
    """Crops on which a fit of their own would fail: blank, black, noise, one colour, tiny, without background."""
    recolour = Recolouring(elsewhere, at_home)
    rng = np.random.default_rng(0)
    with np.errstate(all="raise"):
        for image in (
            np.full((16, 16, 3), 255, np.uint8),
            np.zeros((64, 64, 3), np.uint8),
            np.full((64, 64, 3), (90, 50, 140), np.uint8),
            rng.integers(0, 256, (50, 90, 3)).astype(np.uint8),
            abroad(home(3))[56:72, 56:72],
        ):
            out = recolour(image)
            assert out.shape == image.shape
            assert out.dtype == np.uint8
            if image.mean() > 30:
                assert out.mean() > 30


def test_a_crop_of_the_same_laboratory_gets_the_same_map(at_home, elsewhere) -> None:
    """Fitted per laboratory: what else is in the crop does not matter to a pixel."""
    recolour = Recolouring(elsewhere, at_home)
    far = abroad(home(8))
    whole, part = recolour(far), recolour(far[32:96, 32:96])
    assert np.abs(whole[32:96, 32:96].astype(int) - part).max() <= 3


def test_laboratories_without_red_cells_are_mapped_by_what_they_show(at_home) -> None:
    from tests.evaluation.drawn_cells import draw

    bare = fit([abroad(draw(128, 28, ((0, 0, 15),), red_cells=False, seed=i)[0]) for i in range(24)], "bare")
    assert "red_cells" not in bare.regions
    assert np.isfinite(Recolouring(bare, at_home).matrix).all()


def test_a_style_is_the_laboratorys_its_blur_included_and_the_same_for_the_same_number(at_home, elsewhere) -> None:
    from scipy import ndimage

    blurred = [
        np.rint(ndimage.gaussian_filter(abroad(home(i, 256)).astype(float), (4, 4, 0))).astype(np.uint8)
        for i in range(24)
    ]
    style = Style(at_home, fit(blurred, "blurred"))
    assert style.blur == pytest.approx(4 / 256, rel=0.3)
    assert Style(fit(blurred, "blurred"), at_home).blur == 0  # sharpness is not invented
    made = style(home(70), 5)
    assert (made == style(home(70), 5)).all()
    assert np.median(made.reshape(-1, 3), axis=0) == pytest.approx(np.array(HOME) * LAMP, abs=6)


def test_many_looks_by_turns(at_home, elsewhere) -> None:
    made = in_many_looks([home(80)] * 4, at_home, [at_home, elsewhere], seed=1)
    light = [np.median(image.reshape(-1, 3), axis=0) for image in made]
    assert light[0] == pytest.approx(HOME, abs=4)
    assert light[1] == pytest.approx(np.array(HOME) * LAMP, abs=6)
    again = in_many_looks([home(80)] * 4, at_home, [at_home, elsewhere], seed=1)
    assert (np.stack(made) == np.stack(again)).all()
