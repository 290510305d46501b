from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage
from tests.evaluation.drawn_cells import CYTOPLASM, NUCLEUS, RED_CELL
from tests.stain.smears import HOME, abroad, home

from syntheticcellgan.errors import InputError
from syntheticcellgan.stain.colour import to_lab, white_point
from syntheticcellgan.stain.look import fit, read_look, srgb_of
from syntheticcellgan.stain.measure import measure


def test_a_look_finds_the_colours_that_were_drawn(at_home) -> None:
    assert srgb_of(at_home.white) == pytest.approx(HOME, abs=2)
    white = white_point(np.array(HOME))
    for name, drawn in (("nucleus", NUCLEUS), ("cytoplasm", CYTOPLASM), ("red_cells", RED_CELL)):
        expected = to_lab(np.array([drawn], np.uint8), white)[0]
        assert at_home.regions[name] == pytest.approx(expected, abs=2.5), name
    assert 0.38 < at_home.diameter < 0.50


def test_blur_is_measured_whatever_the_contrast() -> None:
    def edge(sigma: float, contrast: float) -> float:
        found = []
        for seed in range(6):
            image = home(seed, side=256).astype(float)
            image = HOME - contrast * (np.array(HOME) - image)
            image = ndimage.gaussian_filter(image, (sigma, sigma, 0))
            found.append(measure(np.rint(image).astype(np.uint8)).edge)
        return float(np.median(found))

    for sigma in (2.5, 5.0):
        assert edge(sigma, 1.0) == pytest.approx(sigma / 256, rel=0.25)
        assert edge(sigma, 0.5) == pytest.approx(sigma / 256, rel=0.25)


def test_the_file_gives_the_look_back_exactly(at_home, tmp_path) -> None:
    at_home.write(tmp_path / "look.json")
    again = read_look(tmp_path / "look.json")
    assert again.id == at_home.id
    assert (again.whites == at_home.whites).all()
    assert again.name == "home"


def test_one_lamp_is_believed_against_one_image_and_many_lamps_are_not(at_home) -> None:
    """A crowded field in a laboratory of one lamp is an error of measurement; where lamps differ it is the lamp."""
    astray = at_home.white * 0.8
    assert at_home.believed_white(astray) == pytest.approx(at_home.white, rel=0.02)
    lamps = [np.array([1.0, 0.97, 0.95]) * factor for factor in np.linspace(0.4, 1.0, 24)]
    varied = fit([abroad(home(seed), lamp) for seed, lamp in enumerate(lamps)], "varied")
    dark = varied.white * 0.5
    assert varied.believed_white(dark) == pytest.approx(dark, rel=0.05)


def test_too_few_images_and_images_without_cells_get_a_sentence() -> None:
    with pytest.raises(InputError, match="at least 20"):
        fit([home(0)] * 19, "few")
    with pytest.raises(InputError, match="found in 0 of 25"):
        fit([np.full((128, 128, 3), 240, np.uint8)] * 25, "blank")


def test_a_blank_or_tiny_image_has_no_measurement() -> None:
    assert measure(np.zeros((128, 128, 3), np.uint8)) is None
    assert measure(home(0)[:40, :40]) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(format=2),
        lambda v: v.pop("whites"),
        lambda v: v.update(whites=v["whites"][:5]),
        lambda v: v["whites"][0].__setitem__(0, 0.0),
        lambda v: v["whites"].__setitem__(0, ["x", 1, 1]),
        lambda v: v["colours"]["nucleus"].__setitem__(0, [1e9, 0, 0]),
        lambda v: v["colours"].update(nucleus=[[None] * 3] * 24),
        lambda v: v["edges"].__setitem__(0, float("nan")),
        lambda v: v.update(edges=[{}] * 24),
    ],
)
def test_a_damaged_look_is_refused_with_its_name(change, at_home, tmp_path) -> None:
    path = tmp_path / "look.json"
    at_home.write(path)
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"look\.json"):
        read_look(path)


def test_the_look_stands_on_the_card(at_home) -> None:
    from syntheticcellgan.card import render_card

    text = render_card({"data": {"look": at_home.summary()}})
    assert "Look of 24 training images: background sRGB 250, 228, 205; L*a*b* against it: nucleus" in text
    assert "Look of" not in render_card({"data": {}})
