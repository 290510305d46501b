"""The studio: the same cells as the command line makes, made once, packed with their labels."""

from __future__ import annotations

import csv
import io
import json
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.errors import InputError
from syntheticcellgan.heap import give_back
from syntheticcellgan.pipeline import SyntheticCellGAN
from syntheticcellgan.provenance import read_provenance
from syntheticcellgan.stain.look import fit
from syntheticcellgan.studio import BLOCK, WALK, Manner, Studio
from syntheticcellgan.writer import Request
from tests.stain.smears import abroad, home


@pytest.fixture(scope="module")
def studio() -> Studio:
    made = Studio(["pbc-256"])
    made.warm_up()
    return made


def test_the_cell_is_the_one_that_generate_makes(studio):
    wanted = SyntheticCellGAN.load("pbc-256").generate("eosinophil", 1, seed=5, truncation=0.8).images[0]
    with Image.open(io.BytesIO(studio.picture(Manner(truncation=0.8), "EO", 5))) as image:
        np.testing.assert_array_equal(np.asarray(image), wanted)


def test_many_who_look_on_have_each_block_made_once(studio, monkeypatch):
    chain = studio.chain(0)
    made = []
    plain = type(chain).stream

    def counted(self, requests, truncation=1.0):
        requests = list(requests)
        made.extend(requests)
        return plain(self, requests, truncation)

    monkeypatch.setattr(type(chain), "stream", counted)
    threads = [
        threading.Thread(target=studio.picture, args=(Manner(), "platelet", seed)) for seed in range(96, 96 + BLOCK)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [("platelet", seed) for seed in range(96, 96 + BLOCK)]


def test_memory_goes_back_after_a_block_and_not_for_a_cell_that_is_there(studio, monkeypatch):
    given_back = []
    monkeypatch.setattr("syntheticcellgan.studio.give_back", lambda: given_back.append(True))
    studio.cell(Manner(), "platelet", 160)
    assert len(given_back) == 1
    studio.cell(Manner(), "platelet", 161)
    assert len(given_back) == 1
    give_back()  # and the real one can be called


def test_the_zip_is_a_labelled_data_set(studio, tmp_path):
    content = studio.pack(Manner(), [("platelet", 96), ("platelet", 98), ("platelet", 96)])
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        packed.extractall(tmp_path)
    manifest = read_manifest(tmp_path)
    assert manifest.counts == {"platelet": 2}
    found = read_provenance(manifest.path(manifest.records[1]))
    assert (found.cell_type, found.seed, found.synthetic) == ("platelet", 98, True)
    with pytest.raises(InputError, match="0 cells"):
        studio.pack(Manner(), [])


def test_what_is_known_about_a_cell(studio):
    found = studio.look_into(Manner(), "neutrophil", 0)
    assert 0 < found.distance < 1
    assert 0 <= found.nearer <= 1
    assert Image.open(io.BytesIO(found.basic)).size == (64, 64)
    assert found.notes or 0 < found.measures[0].value < 1


def test_a_walk_is_made_once_and_says_that_it_is_synthetic(studio, monkeypatch):
    files = studio.walk(Manner(), ("PLT", 3), ("platelet", 9))
    assert len(files) == WALK
    with (
        Image.open(io.BytesIO(files[4])) as picture,
        Image.open(io.BytesIO(studio.picture(Manner(), "platelet", 3))) as first,
    ):
        assert json.loads(picture.info["Description"])["share"] == 0.25
        assert "trainedAlgorithmicMedia" in picture.info["XML:com.adobe.xmp"]
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(files[0]))), np.asarray(first))
    monkeypatch.setattr(type(studio.chain(0)), "walk", None)
    assert studio.walk(Manner(), ("platelet", 3), ("platelet", 9)) is files


def test_a_data_set_is_filled_up_piece_by_piece(studio, tmp_path):
    pieces = list(studio.fill_up(Manner(), [Request("platelet", 3, seed=96), Request("monocyte", 0)]))
    assert len(pieces) == 4, "one for each cell, and the table"
    (tmp_path / "extra.zip").write_bytes(b"".join(pieces))
    with zipfile.ZipFile(tmp_path / "extra.zip") as packed:
        assert packed.testzip() is None
        packed.extractall(tmp_path / "extra")
    assert read_manifest(tmp_path / "extra").counts == {"platelet": 3}
    for wanted in ([Request("platelet", 0)], [Request("hairy", 1)], [Request("platelet", 10**6)]):
        with pytest.raises(InputError):
            studio.fill_up(Manner(), wanted)


def test_cells_in_a_laboratorys_look(studio, tmp_path):
    look = fit([abroad(home(seed)) for seed in range(24)], "Ward =5")
    studio.offer_looks([look])
    there = Manner(look=look.id)
    wanted = SyntheticCellGAN.load("pbc-256").generate("platelet", 1, seed=97, style=look).images[0]
    with Image.open(io.BytesIO(studio.picture(there, "platelet", 97))) as image:
        np.testing.assert_array_equal(np.asarray(image), wanted)
        made = json.loads(image.info["Description"])
    assert (made["style"], made["style_id"]) == ("Ward =5", look.id)
    assert "style" not in json.loads(
        Image.open(io.BytesIO(studio.picture(Manner(), "platelet", 97))).info["Description"]
    )

    for k, content in enumerate(
        (studio.pack(there, [("platelet", 97)]), b"".join(studio.fill_up(there, [Request("platelet", 1, 97)])))
    ):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            (row,) = csv.DictReader(io.StringIO(packed.read("metadata.csv").decode()))
            packed.extractall(tmp_path / str(k))
        assert (row["style"], row["style_id"]) == ("Ward =5", look.id)
        assert read_provenance(tmp_path / str(k) / row["file_name"]).style_id == look.id

    files = studio.walk(there, ("platelet", 97), ("platelet", 98))
    with Image.open(io.BytesIO(files[0])) as first:
        np.testing.assert_array_equal(np.asarray(first), wanted)
        assert json.loads(first.info["Description"])["style_id"] == look.id
    own, other = studio.look_into(Manner(), "platelet", 97), studio.look_into(there, "platelet", 97)
    assert own.distance == other.distance, "another stain hides no copy"

    studio.offer_looks([])
    with pytest.raises(InputError, match="no such look"):
        studio.picture(there, "platelet", 97)


@pytest.mark.parametrize(("name", "seed", "truncation"), [("hairy", 0, 1), ("platelet", -1, 1), ("platelet", 0, 2)])
def test_what_cannot_be_made(studio, name, seed, truncation):
    with pytest.raises(InputError):
        studio.picture(Manner(truncation=truncation), name, seed)
    with pytest.raises(InputError):
        studio.picture(Manner(7), "platelet", 0)
