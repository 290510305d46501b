"""What is asked for is understood in any spelling; what cannot be is refused with what could."""

from __future__ import annotations

import pytest

from syntheticcellgan.bundle import load_bundle
from syntheticcellgan.errors import InputError
from syntheticcellgan.wanted import parse, spelled, wishes_for


@pytest.fixture(scope="module")
def known(taught):
    return load_bundle(taught).attributes


def test_texts_become_a_mapping():
    assert parse(["dark=yes", " nucleus_area = large ", "dark=yes"]) == {"dark": "yes", "nucleus_area": "large"}


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["dark"], "write NAME=VALUE"),
        (["=yes"], "write NAME"),
        (["dark=yes", "dark=no"], "dark=yes and =no; choose one"),
    ],
)
def test_texts_of_another_form_are_refused(texts, said):
    with pytest.raises(InputError, match=said):
        parse(texts)


def test_any_spelling_is_understood(known):
    assert spelled(known, {"Nucleus size": "LARGE", "DARK": "Yes"}, "b") == {"nucleus_size": "large", "dark": "yes"}
    assert spelled(known, {"nucleus_area": "90 %".replace(" ", "")}, "b") == {"nucleus_area": "90%"}
    assert spelled(known, {"nc_ratio": " 0.50 "}, "b") == {"nc_ratio": "0.5"}
    assert spelled(None, {}, "b") == {}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"drak": "yes"}, "no attribute “drak”; did you mean “dark”"),
        ({"granules": "yes"}, "It knows dark, nucleus_size, cell_area"),
        ({"dark": "yess"}, "dark can be no, yes, not “yess”; did you mean “yes”"),
        ({"nucleus_area": "lagre"}, "did you mean “large”"),
        ({"nucleus_area": "-3"}, "small, medium, large"),
        ({"nucleus_area": "120%"}, "a percentile such as 90%"),
        ({"nucleus_area": "nan"}, "or a number"),
        ({"dark": "yes", "Dark": "no"}, "asked for twice"),
    ],
)
def test_what_is_not_known_is_refused_with_the_nearest(known, wanted, said):
    with pytest.raises(InputError, match=said):
        spelled(known, wanted, "tiny")


def test_a_bundle_without_attributes_says_how_to_teach_it():
    with pytest.raises(InputError, match="scg attributes fit"):
        spelled(None, {"dark": "yes"}, "tiny")


def test_sizes_become_ranges_of_the_type(known):
    small, large = (
        wishes_for(known, "monocyte", {"nucleus_area": text}).ranges["nucleus_area"] for text in ("small", "large")
    )
    assert small[0] == 0
    assert small[1] < large[0]
    assert large[1] == float("inf")
    low, high = wishes_for(known, "monocyte", {"nucleus_area": "50%"}).ranges["nucleus_area"]
    quantiles = known.size("nucleus_area").quantiles["monocyte"]
    assert (low, high) == pytest.approx((quantiles[9], quantiles[11]))
    middle = quantiles[10]
    assert wishes_for(known, "monocyte", {"nucleus_area": f"{middle:g}"}).ranges["nucleus_area"] == pytest.approx(
        (0.95 * middle, 1.05 * middle), rel=1e-3
    )


@pytest.mark.parametrize(
    ("cell_type", "wanted", "said"),
    [
        ("platelet", {"dark": "yes"}, "No cell of the type platelet was labelled with dark.*lymphocyte, monocyte"),
        ("lymphocyte", {"dark": "yes"}, "Of 70 real cells of the type lymphocyte, none showed dark=yes.*monocyte .34%"),
        ("platelet", {"nucleus_area": "large"}, "Too few real cells of the type platelet"),
        ("monocyte", {"nucleus_area": "999999"}, "real cells of the type monocyte have"),
    ],
)
def test_what_real_cells_of_a_type_do_not_show_is_refused(known, cell_type, wanted, said):
    with pytest.raises(InputError, match=said):
        wishes_for(known, cell_type, wanted)


def test_values_that_no_real_cell_shows_together_are_refused(known):
    from dataclasses import replace

    marks = {"monocyte": {"dark": (0.8, 0.8), "nucleus_size": (0.8, 0.8)}}
    apart = replace(known, combinations={"monocyte": {("no", "small"): 40, ("yes", "large"): 30}}, marks=marks)
    assert wishes_for(apart, "monocyte", {"nucleus_size": "small", "dark": "no"}).ranges == {}
    with pytest.raises(
        InputError, match="Of 70 real cells of the type monocyte, none showed nucleus_size=small and dark=yes"
    ):
        wishes_for(apart, "monocyte", {"nucleus_size": "small", "dark": "yes"})
