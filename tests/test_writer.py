"""Cells on disk: provenance, resuming, refusing, and no broken file."""

from __future__ import annotations

import csv
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import syntheticcellgan.writer as writer
from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.provenance import SOURCE_TYPE, Provenance, encode, read_provenance
from syntheticcellgan.writer import Request, balance, write_cells
from tests.test_pipeline import make


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> SyntheticCellGAN:
    return make(tmp_path_factory.mktemp("b") / "tiny", ("lymphocyte", "monocyte", "platelet"))


REQUESTS = [Request("monocyte", 3, 7), Request("platelet", 2)]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("image_format", ["png", "jpeg", "tiff"])
def test_every_file_says_how_to_make_it_again(chain, tmp_path, image_format):
    assert write_cells(chain, REQUESTS, tmp_path / "out", image_format, 0.8) == 5
    with open(tmp_path / "out" / "metadata.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    for row in rows:
        path = tmp_path / "out" / row["file_name"]
        found = read_provenance(path)
        assert (found.cell_type, found.seed, found.truncation) == (row["cell_type"], int(row["seed"]), 0.8)
        assert found.bundle_id == chain.bundle.id
        assert found.synthetic
        again = chain.generate(found.cell_type, seed=found.seed, truncation=found.truncation).images[0]
        written = np.asarray(Image.open(path).convert("RGB"))
        # An untrained network paints noise, the hardest thing for JPEG; colours of another image would be 60 away.
        assert np.abs(written.astype(int) - again).mean() < (6 if image_format == "jpeg" else 1e-9)
        assert SOURCE_TYPE.encode() in path.read_bytes()


def test_the_folder_is_a_data_set_that_can_be_trained_on(chain, tmp_path):
    write_cells(chain, REQUESTS, tmp_path / "out")
    assert read_manifest(tmp_path / "out").counts == {"monocyte": 3, "platelet": 2}


def test_an_interrupted_generation_is_completed_to_the_same_bytes(chain, tmp_path):
    write_cells(chain, REQUESTS, tmp_path / "whole")

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cells(chain, REQUESTS, tmp_path / "parts", progress=stop)
    assert not (tmp_path / "parts" / "metadata.csv").exists()
    write_cells(chain, REQUESTS, tmp_path / "parts")
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_another_generation_in_the_same_folder_is_refused(chain, tmp_path):
    write_cells(chain, REQUESTS, tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(InputError, match="another generation"):
        write_cells(chain, REQUESTS, tmp_path / "out", truncation=0.5)
    assert contents(tmp_path / "out") == before


def test_a_folder_with_other_files_and_a_file_are_refused(chain, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds other files"):
        write_cells(chain, REQUESTS, tmp_path)
    with pytest.raises(InputError, match="is a file"):
        write_cells(chain, REQUESTS, tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a tiny disk")
def test_a_full_disk_ends_with_a_sentence_and_leaves_no_broken_file(chain, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("this machine does not allow mounting")
    try:
        with pytest.raises(ScgError, match="No space left"):
            write_cells(chain, [Request("monocyte", 50)], disk / "out")
        images = list((disk / "out").rglob("*.png"))
        assert images
        for path in images:
            Image.open(path).load()
        assert not list((disk / "out").rglob("*.part"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_an_unwritable_folder_ends_with_a_sentence(chain, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(writer.os, "replace", refuse)
    with pytest.raises(ScgError, match="Permission denied"):
        write_cells(chain, REQUESTS, tmp_path / "out")
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


def test_balance_fills_up_the_rare_types_only(tmp_path, drawn_cells):
    manifest = read_manifest(drawn_cells)
    few = manifest.select([i for i, r in enumerate(manifest.records) if r.cell_type != "platelet" or i % 8 == 0])
    assert balance(few, ("platelet", "monocyte", "blast")) == [Request("platelet", 14, 0)]
    with pytest.raises(InputError, match="balanced already"):
        balance(manifest, ("platelet", "monocyte"))
    with pytest.raises(InputError, match="knows none of its types"):
        balance(manifest, ("blast",))


def test_a_record_with_signs_of_markup_survives(tmp_path):
    provenance = Provenance("a <b> & “c”", "0" * 16, "o'neill & sons", 1, 1.0)
    (tmp_path / "x.png").write_bytes(encode(np.zeros((16, 16, 3), np.uint8), "png", provenance))
    assert read_provenance(tmp_path / "x.png") == provenance


def test_a_real_image_carries_no_such_record(drawn_cells):
    with pytest.raises(InputError, match="no record"):
        read_provenance(next(drawn_cells.glob("*/*.png")))
