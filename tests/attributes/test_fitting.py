"""Attributes are learnt from training images alone, measured on others, and kept in the bundle."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from tests.taught import TRAINED

import syntheticcellgan.attributes.fitting as fitting
from syntheticcellgan.attributes.labels import labelled_cells, trained_on
from syntheticcellgan.bundle import load_bundle, read_card, verify_bundle
from syntheticcellgan.bundle_attributes import RECORD, WEIGHTS
from syntheticcellgan.card import render_card
from syntheticcellgan.cli import main
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.errors import InputError


def test_what_is_learnt_is_better_than_the_usual_value_and_comes_back_from_the_bundle(taught):
    known = verify_bundle(taught).attributes
    assert [one.name for one in known.attributes] == ["dark", "nucleus_size"]
    for one in known.attributes:
        assert (one.n_train, one.n_test) == (2 * TRAINED, 180 - 2 * TRAINED)
        assert one.balanced > 0.6
        assert one.accuracy >= one.usual
    assert {one.name for one in known.sizes} == {"cell_area", "nucleus_area", "nc_ratio"}
    assert known.size("nucleus_area").correlation > 0.5
    assert known.counts("monocyte", "dark") == {"yes": 24, "no": 46}
    assert known.counts("platelet", "dark") == {}
    assert known.together("monocyte", {"dark": "yes", "nucleus_size": "large"}) == (12, TRAINED)
    again = load_bundle(taught).attributes.files()
    assert again == {name: (taught / name).read_bytes() for name in (RECORD, WEIGHTS)}


def test_the_card_names_predictors_and_shares(taught):
    page = render_card(read_card(taught))
    assert "| dark=yes | 0.0% | 34.3% |" in page
    assert "| nucleus_size | " in page
    assert "labels (CC0)" in page


def test_training_images_are_known_by_their_fingerprints(untaught, labelled):
    manifest = read_manifest(labelled)
    found = trained_on(load_bundle(untaught), manifest)
    assert found.tolist() == [int(record.file[-7:-4]) < TRAINED for record in manifest.records]


def test_a_bundle_without_attributes_loads_as_before_and_half_of_them_is_refused(taught, untaught, tmp_path):
    assert load_bundle(untaught).attributes is None
    half = tmp_path / "half"
    shutil.copytree(taught, half)
    (half / WEIGHTS).unlink()
    lines = (half / "SHA256SUMS").read_text().splitlines()
    (half / "SHA256SUMS").write_text("".join(f"{line}\n" for line in lines if WEIGHTS not in line))
    with pytest.raises(InputError, match="without its other half"):
        load_bundle(half)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"format":1', b'"format":2'),
        (b'"dark"', b'"../e"'),
        (b'"mean":', b'"main":'),
        (b'"monocyte":[[', b'"monokini":[['),
        (b'{"format"', b'["format"'),
    ],
)
def test_a_damaged_record_is_explained(taught, tmp_path, before, after):
    import hashlib

    copy = tmp_path / "copy"
    shutil.copytree(taught, copy)
    old = (copy / RECORD).read_bytes()
    new = old.replace(before, after)
    assert new != old
    (copy / RECORD).write_bytes(new)
    sums = (copy / "SHA256SUMS").read_text()
    digests = [hashlib.sha256(content).hexdigest() for content in (old, new)]
    (copy / "SHA256SUMS").write_text(sums.replace(*digests))
    with pytest.raises(InputError, match=r"attributes\.json is damaged"):
        load_bundle(copy)


def test_the_command_learns_from_the_table_and_says_what_it_left_out(untaught, labelled, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(fitting, "SEGMENTED", 0)
    monkeypatch.setattr(fitting, "EPOCHS", 1)
    folder = tmp_path / "mine"
    shutil.copytree(untaught, folder)
    assert main(["attributes", "fit", str(folder), str(labelled), "--licence", "CC0"]) == 0
    said = capsys.readouterr().out
    assert "Left out: number (0 values" in said
    assert verify_bundle(folder).attributes.attribute("dark").values == ("no", "yes")


def test_what_cannot_be_learnt_from_is_explained(untaught, drawn_cells, labelled):
    bundle = load_bundle(untaught)
    with pytest.raises(InputError, match="none of the images"):
        trained_on(bundle, read_manifest(drawn_cells))
    manifest = read_manifest(labelled)
    with pytest.raises(InputError, match="knows none of its types"):
        labelled_cells(manifest, ("basophil",), np.ones(len(manifest), bool), None)
