"""The learned normaliser: it moves no edge, learns to undo what it never saw, and refuses what it cannot read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.stain.smears import HOME, abroad, home, save
from tests.stain.test_stain_command import run

from syntheticcellgan import InputError, read_normaliser
from syntheticcellgan.config import NormaliserTraining
from syntheticcellgan.cores import one_thread
from syntheticcellgan.networks.normaliser import Normaliser
from syntheticcellgan.stain.learned import LearnedNormaliser
from syntheticcellgan.training.normaliser import Reference, learn, unseen_error
from syntheticcellgan.training.virtual_laboratories import Laboratories

RECORD = {"reference": "none", "white": [value / 255 for value in HOME]}


def test_an_untrained_network_leaves_colours_as_they_are() -> None:
    network = Normaliser().eval()
    image = home(1)
    same = LearnedNormaliser(network, RECORD, "").fitted([image])(image)
    assert np.abs(same.astype(int) - image).max() <= 4  # its empty slide is measured


def test_a_pixel_depends_on_its_own_colour_alone() -> None:
    """What keeps structure is not a loss but the form of the network."""
    network = Normaliser(3).eval()
    with torch.no_grad():
        network.last.weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(0))
    image = home(2)
    recolour = LearnedNormaliser(network, RECORD, "").fitted([image])
    after = recolour(image)
    assert np.abs(after.astype(int) - image).mean() > 2
    _, places = np.unique(image.reshape(-1, 3), axis=0, return_inverse=True)
    order = np.argsort(places.reshape(-1), kind="stable")
    runs = np.split(after.reshape(-1, 3)[order], np.flatnonzero(np.diff(places.reshape(-1)[order])) + 1)
    assert all((pixels == pixels[0]).all() for pixels in runs)


def test_the_cells_of_a_virtual_laboratory_share_its_stain_and_the_same_chance_gives_the_same() -> None:
    images = torch.from_numpy(np.stack([home(i, 64) for i in range(4)])).permute(0, 3, 1, 2).float()[None] / 255
    white = torch.tensor(HOME) / 255
    seen = [Laboratories.drawn(1, 4, torch.Generator().manual_seed(5)) for _ in range(2)]
    first, second = (drawn(drawn.sharpness(images), white) for drawn in seen)
    assert torch.equal(first, second)
    assert (first >= 0).all()
    assert (first <= 1).all()
    assert (first - images).abs().mean() > 0.02


def test_it_learns_to_undo_laboratories_that_it_never_saw_and_the_same_settings_give_the_same_network() -> None:
    reference = Reference.of([home(i) for i in range(60)])
    settings = NormaliserTraining(kimg=0.3, laboratories=4, cells=4, learning_rate=4e-3)
    short = NormaliserTraining(kimg=0.05, laboratories=4, cells=4)
    with one_thread():
        network = learn(reference, settings)
        a, b = (learn(reference, short).state_dict() for _ in range(2))
    before, after = unseen_error(network, reference, 1)
    assert after < 0.85 * before
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_learn_and_apply_by_command(tmp_path: Path, capsys) -> None:
    reference = save([home(i) for i in range(60)], tmp_path / "reference")
    theirs = save([abroad(home(100 + i)) for i in range(3)], tmp_path / "theirs")
    file = tmp_path / "n.safetensors"
    code, text = run("stain", "learn", reference, "--out", file, "--kimg", "0.05", capsys=capsys)
    assert code == 0, text
    assert "48 images of reference" in text
    normaliser = read_normaliser(file)
    assert normaliser.record["images"] == 48
    assert normaliser.record["settings"]["seed"] == 0
    arguments = ("stain", "apply", theirs, "--to", file, "--method", "learned", "--out", tmp_path / "out")
    assert run(*arguments, capsys=capsys)[0] == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 3
    code, text = run(*arguments[:-1], tmp_path / "theirs" / "in", capsys=capsys)
    assert code == 2
    for wrong, said in ((tmp_path / "reference", "no learned normaliser"), ("pbc-265", "no learned normaliser")):
        code, text = run(
            "stain", "apply", theirs, "--to", wrong, "--method", "learned", "--out", tmp_path / "x", capsys=capsys
        )
        assert code == 2
        assert said in text
    code, text = run("stain", "learn", theirs, "--out", tmp_path / "y.safetensors", capsys=capsys)
    assert code == 2
    assert "at least 50" in text


def test_files_that_are_no_normalisers_are_refused(tmp_path: Path) -> None:
    tensors = {key: value.clone() for key, value in Normaliser().state_dict().items()}
    bare = tmp_path / "bare.safetensors"
    save_file(tensors, bare)
    with pytest.raises(InputError, match="no normaliser of this version"):
        read_normaliser(bare)
    tensors["last.bias"][0] = torch.nan
    save_file(tensors, bare)
    with pytest.raises(InputError, match="no numbers"):
        read_normaliser(bare)
    bare.write_bytes(b"PK\x03\x04 nothing at all")
    with pytest.raises(InputError, match="pickle"):
        read_normaliser(bare)
    with pytest.raises(InputError, match="at least one"):
        LearnedNormaliser(Normaliser(), RECORD, "").fitted([])


def test_the_shipped_normaliser_keeps_the_nucleus_and_brings_the_sample_home_from_another_light() -> None:
    """Of real cells (the shipped sample): outlines before against after."""
    from syntheticcellgan.data.images import read_image, resize_square
    from syntheticcellgan.data.sample import sample_folder
    from syntheticcellgan.segmentation import dice, segment

    normaliser = read_normaliser("pbc-256")
    assert normaliser.record["licence"] == "CC BY 4.0"
    originals = [resize_square(read_image(path), 128) for path in sorted(sample_folder().glob("*/*.*"))[::8]]
    theirs = [abroad(image) for image in originals]
    recolour = normaliser.fitted(theirs)
    overlaps, areas, before, after = [], [], [], []
    for image, original in zip(theirs, originals, strict=True):
        back = recolour(image)
        before.append(np.abs(image.astype(int) - original).mean())
        after.append(np.abs(back.astype(int) - original).mean())
        first, second = segment(image), segment(back)
        if first.failure is None and second.failure is None:
            overlaps.append(dice(first.nucleus, second.nucleus))
            areas.append(abs(second.nucleus.sum() / first.nucleus.sum() - 1))
    assert len(overlaps) > 15
    assert np.median(overlaps) >= 0.97
    assert np.median(areas) <= 0.02
    assert np.mean(after) < 0.5 * np.mean(before)
