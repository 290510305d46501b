"""`scg interpolate`: walks as grids and animated images, and rows of which one feature changes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

import syntheticcellgan.editing as editing
from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.cli import main
from syntheticcellgan.editing import change
from syntheticcellgan.errors import InputError

SIDE = 128


@pytest.fixture(scope="module")
def chain(taught) -> SyntheticCellGAN:
    return SyntheticCellGAN.load(taught)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(editing, "STEPS", 25)


def test_a_size_grows_along_the_row_and_the_row_is_the_same_on_any_number_of_threads(chain):
    row = change(chain, "monocyte", 3, "nucleus_area", 5)
    assert row.images.shape == (5, SIDE, SIDE, 3)
    assert row.images.dtype == np.uint8
    assert (row.feature, row.value) == ("nucleus_area", "90%")
    assert (np.diff(row.reading) > 0).all()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert np.array_equal(change(chain, "monocyte", 3, "nucleus_area", 5).images, row.images)
    finally:
        torch.set_num_threads(threads)


def test_with_a_value_the_row_begins_with_the_cell_as_it_is(chain):
    row = change(chain, "monocyte", 3, "Nucleus size=large", 3, truncation=0.8)
    assert np.array_equal(row.images[0], chain.generate("monocyte", seed=3, truncation=0.8).images[0])
    assert (row.feature, row.value) == ("nucleus_size", "large")
    assert row.reading[-1] > row.reading[0]


@pytest.mark.parametrize(
    ("cell_type", "feature", "said"),
    [
        ("monocyte", "nukleus_area", "did you mean “nucleus_area”"),
        ("lymphocyte", "dark", "none showed dark=yes"),
        ("platelet", "nucleus_area", "Too few real cells"),
        ("monocyte", "dark=perhaps", "dark can be no, yes"),
    ],
)
def test_what_cannot_change_is_explained(chain, cell_type, feature, said):
    with pytest.raises(InputError, match=said):
        change(chain, cell_type, 0, feature)


def test_a_feature_of_many_values_needs_one_to_go_to(chain):
    from dataclasses import replace

    known = chain.bundle.attributes
    wide = replace(known, attributes=(replace(known.attributes[0], values=("a", "b", "c")), *known.attributes[1:]))
    with pytest.raises(InputError, match="dark has 3 values; say which one to go to: dark=a, dark=b, dark=c"):
        change(SyntheticCellGAN(replace(chain.bundle, attributes=wide)), "monocyte", 0, "dark")


def test_a_grid_has_a_row_for_each_seed_and_says_how_it_was_made(chain, taught, tmp_path):
    out = tmp_path / "walks" / "grid.png"
    arguments = ["interpolate", str(taught), "--cell-type", "monocyte", "--to-type", "platelet", "--seed", "4"]
    assert main([*arguments, "--rows", "2", "--steps", "3", "--out", str(out)]) == 0
    with Image.open(out) as picture:
        assert picture.size == (3 * SIDE, 2 * SIDE)
        record, pixels = json.loads(picture.info["Description"]), np.asarray(picture)
    assert record["synthetic"] is True
    assert record["between"] == [[["monocyte", 4], ["platelet", 4]], [["monocyte", 5], ["platelet", 5]]]
    assert np.array_equal(pixels[SIDE:, :SIDE], chain.generate("monocyte", seed=5).images[0])
    assert np.array_equal(pixels[SIDE:, -SIDE:], chain.generate("platelet", seed=5).images[0])


@pytest.mark.parametrize("ending", ["gif", "webp", "apng"])
def test_an_animated_image_goes_there_and_back(taught, tmp_path, ending):
    out = tmp_path / f"walk.{ending}"
    assert main(["interpolate", str(taught), "--cell-type", "monocyte", "--steps", "3", "--out", str(out)]) == 0
    assert b"trainedAlgorithmicMedia" in out.read_bytes() or ending == "gif"
    assert b'"synthetic": true' in out.read_bytes()
    with Image.open(out) as moving:
        assert (moving.n_frames, moving.size) == (4, (SIDE, SIDE))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", "walk.mp4"], "no known ending"),
        (["--change", "dark", "--to-seed", "3", "--out", "a.png"], "--change stays with one cell"),
        (["--steps", "1", "--out", "a.png"], "steps is 1"),
        (["--to-with", "dark=yes", "--to-type", "lymphocyte", "--out", "a.png"], "none showed dark=yes"),
    ],
)
def test_wrong_use_is_explained_and_leaves_no_file(taught, tmp_path, monkeypatch, capsys, options, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["interpolate", str(taught), "--cell-type", "monocyte", *options])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
