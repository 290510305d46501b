"""Cells with wanted features: of a seed's candidates the first that shows them, whatever else is made."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch

import syntheticcellgan.steering as steering
import syntheticcellgan.wanted as wanted_module
from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.cli import main
from syntheticcellgan.errors import InputError
from syntheticcellgan.noise import noises
from syntheticcellgan.provenance import read_provenance


@pytest.fixture(scope="module")
def chain(taught) -> SyntheticCellGAN:
    return SyntheticCellGAN.load(taught)


@pytest.fixture(scope="module")
def areas(chain) -> tuple[float, float, float]:
    """Nucleus areas of ordinary monocytes, 60th, 75th and 90th percentile."""
    (noise,) = noises([("monocyte", seed) for seed in range(200)], [(chain.chain.generator.latent_size,)])
    with torch.inference_mode():
        types = torch.full((200,), chain.cell_types.index("monocyte"))
        _, sizes = chain.bundle.attributes.scores(chain.bundle.generator(noise, types, decode=False), types)
    return tuple(np.quantile(sizes["nucleus_area"].numpy(), [0.6, 0.75, 0.9]).tolist())


@pytest.fixture
def wanted(areas, monkeypatch) -> dict[str, str]:
    """A nucleus as a third of the monocytes have it; an untrained generator varies it little."""
    low, middle, high = areas
    monkeypatch.setattr(wanted_module, "AROUND_NUMBER", (high - low) / 2 / middle)
    return {"nucleus_area": f"{middle:g}"}


def test_the_first_candidate_that_shows_it_is_made_and_it_is_the_ordinary_cell_where_that_shows_it(chain, wanted):
    cells = chain.generate("monocyte", 12, wanted=wanted)
    plain = chain.generate("monocyte", 12)
    assert plain.candidates == [0] * 12
    assert len(set(cells.candidates)) > 2
    middle = float(wanted["nucleus_area"])
    for i, candidate in enumerate(cells.candidates):
        assert np.array_equal(cells.images[i], plain.images[i]) == (candidate == 0)
        assert float(cells.predicted[i]["nucleus_area"]) == pytest.approx(middle, rel=0.06)
        assert set(cells.predicted[i]) == set(chain.bundle.attributes.names())


def test_the_seed_alone_decides_whatever_the_batch_the_order_or_the_threads(chain, wanted):
    steered = chain.steered(wanted)
    many = steered.generate("monocyte", 9)
    for seed in (0, 5, 8):
        assert np.array_equal(steered.generate("monocyte", seed=seed).images[0], many.images[seed])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        mixed = list(steered.stream([("monocyte", 8), ("monocyte", 2), ("monocyte", 5)]))
    finally:
        torch.set_num_threads(threads)
    assert [np.array_equal(cell.image, many.images[cell.seed]) for cell in mixed] == [True] * 3
    assert not np.array_equal(
        steered.generate("monocyte", 4, truncation=0.7).images, chain.generate("monocyte", 4, truncation=0.7).images
    )


def test_candidates_beyond_the_first_are_no_other_seed(chain):
    assert steering.cell_of("monocyte", 7, 0) == ("monocyte", 7)
    assert steering.cell_of("monocyte", 7, 3) == ("monocyte", 7, 3)


def test_a_walk_leads_to_a_cell_with_other_features(chain, wanted):
    way = chain.walk(("monocyte", 1), ("monocyte", 2), 3, wanted_at_end=wanted)
    assert np.array_equal(way[0], chain.generate("monocyte", seed=1).images[0])
    assert np.array_equal(way[-1], chain.generate("monocyte", seed=2, wanted=wanted).images[0])


def test_what_is_never_made_is_said_after_a_stated_number_of_candidates(chain, monkeypatch):
    ratio = chain.bundle.attributes.size("nc_ratio").quantiles["monocyte"][10]
    monkeypatch.setattr(wanted_module, "AROUND_NUMBER", 1e-9)
    monkeypatch.setattr(steering, "MOST", 64)
    with pytest.raises(InputError, match=r"None of 64 candidates of monocyte, seed 3, showed nc_ratio=0\."):
        chain.generate("monocyte", seed=3, wanted={"nc_ratio": f"{ratio:g}"})


def test_the_command_writes_what_was_wanted_and_what_was_read_and_resumes(chain, taught, wanted, tmp_path, capsys):
    ((name, value),) = wanted.items()
    arguments = ["generate", str(taught), "--cell-type", "monocyte", "--count", "5", "--with", f"{name}={value}"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    with open(tmp_path / "out" / "metadata.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    before = (tmp_path / "out" / "metadata.csv").read_bytes()
    cells = chain.generate("monocyte", 5, wanted=wanted)
    for i, row in enumerate(rows):
        assert row["wanted_nucleus_area"] == value
        assert int(row["candidate"]) == cells.candidates[i]
        assert row["predicted_nucleus_area"] == cells.predicted[i]["nucleus_area"]
        made = read_provenance(tmp_path / "out" / row["file_name"])
        assert (made.wanted, made.candidate, made.predicted) == (wanted, cells.candidates[i], cells.predicted[i])
    (tmp_path / "out" / rows[2]["file_name"]).unlink()
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "metadata.csv").read_bytes() == before
    with pytest.raises(SystemExit) as stopped:
        main([*arguments[:-2], "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    assert "another generation" in capsys.readouterr().err


def test_shards_hold_chosen_cells_and_can_be_checked(chain, taught, wanted, tmp_path):
    from syntheticcellgan.shards.checking import check_shards

    ((name, value),) = wanted.items()
    arguments = ["generate", str(taught), "--cell-type", "monocyte", "--count", "5", "--with", f"{name}={value}"]
    assert main([*arguments, "--shards", "--per-shard", "3", "--out", str(tmp_path / "s")]) == 0
    assert json.loads((tmp_path / "s" / "generation.json").read_text())["wanted"] == wanted
    check_shards(tmp_path / "s")


@pytest.mark.parametrize(
    ("wish", "said"),
    [("drak=yes", "did you mean “dark”"), ("dark=yes", "none showed dark=yes"), ("dark", "write NAME=VALUE")],
)
def test_impossible_wishes_end_with_a_sentence_before_a_folder_is_made(taught, tmp_path, capsys, wish, said):
    with pytest.raises(SystemExit) as stopped:
        main(["generate", str(taught), "--cell-type", "lymphocyte", "--with", wish, "--out", str(tmp_path / "out")])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
