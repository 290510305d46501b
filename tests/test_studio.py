"""The studio: the same cells as the command line makes, made once, packed with their labels."""

from __future__ import annotations

import io
import json
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.errors import InputError
from syntheticcellgan.pipeline import SyntheticCellGAN
from syntheticcellgan.provenance import read_provenance
from syntheticcellgan.studio import BLOCK, WALK, Studio
from syntheticcellgan.writer import Request


@pytest.fixture(scope="module")
def studio() -> Studio:
    made = Studio(["pbc-256"])
    made.warm_up()
    return made


def test_the_cell_is_the_one_that_generate_makes(studio):
    wanted = SyntheticCellGAN.load("pbc-256").generate("eosinophil", 1, seed=5, truncation=0.8).images[0]
    with Image.open(io.BytesIO(studio.picture(0, "EO", 5, 0.8))) as image:
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
    threads = [threading.Thread(target=studio.picture, args=(0, "platelet", seed)) for seed in range(96, 96 + BLOCK)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [("platelet", seed) for seed in range(96, 96 + BLOCK)]


def test_the_zip_is_a_labelled_data_set(studio, tmp_path):
    content = studio.pack(0, [("platelet", 96), ("platelet", 98), ("platelet", 96)])
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        packed.extractall(tmp_path)
    manifest = read_manifest(tmp_path)
    assert manifest.counts == {"platelet": 2}
    found = read_provenance(manifest.path(manifest.records[1]))
    assert (found.cell_type, found.seed, found.synthetic) == ("platelet", 98, True)
    with pytest.raises(InputError, match="0 cells"):
        studio.pack(0, [])


def test_what_is_known_about_a_cell(studio):
    found = studio.look_into(0, "neutrophil", 0)
    assert 0 < found.distance < 1
    assert 0 <= found.nearer <= 1
    assert Image.open(io.BytesIO(found.basic)).size == (64, 64)
    assert found.notes or 0 < found.measures["Nucleus : cell area"] < 1


def test_a_walk_is_made_once_and_says_that_it_is_synthetic(studio, monkeypatch):
    files = studio.walk(0, ("PLT", 3), ("platelet", 9))
    assert len(files) == WALK
    with Image.open(io.BytesIO(files[4])) as picture, Image.open(io.BytesIO(studio.picture(0, "platelet", 3))) as first:
        assert json.loads(picture.info["Description"])["share"] == 0.25
        assert "trainedAlgorithmicMedia" in picture.info["XML:com.adobe.xmp"]
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(files[0]))), np.asarray(first))
    monkeypatch.setattr(type(studio.chain(0)), "walk", None)
    assert studio.walk(0, ("platelet", 3), ("platelet", 9)) is files


def test_a_data_set_is_filled_up_piece_by_piece(studio, tmp_path):
    pieces = list(studio.fill_up(0, [Request("platelet", 3, seed=96), Request("monocyte", 0)]))
    assert len(pieces) == 4, "one for each cell, and the table"
    (tmp_path / "extra.zip").write_bytes(b"".join(pieces))
    with zipfile.ZipFile(tmp_path / "extra.zip") as packed:
        assert packed.testzip() is None
        packed.extractall(tmp_path / "extra")
    assert read_manifest(tmp_path / "extra").counts == {"platelet": 3}
    for wanted in ([Request("platelet", 0)], [Request("hairy", 1)], [Request("platelet", 10**6)]):
        with pytest.raises(InputError):
            studio.fill_up(0, wanted)


@pytest.mark.parametrize(("name", "seed", "truncation"), [("hairy", 0, 1), ("platelet", -1, 1), ("platelet", 0, 2)])
def test_what_cannot_be_made(studio, name, seed, truncation):
    with pytest.raises(InputError):
        studio.picture(0, name, seed, truncation)
    with pytest.raises(InputError):
        studio.picture(7, "platelet", 0)
