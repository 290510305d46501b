"""Cells on disk: provenance, resuming, refusing, and no broken file."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import syntheticcellgan.writer as writer
from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.cli import main
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.engine import InPyTorch
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.provenance import SOURCE_TYPE, read_provenance
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


def test_a_file_that_a_power_cut_emptied_or_that_is_another_image_is_made_anew(chain, tmp_path):
    write_cells(chain, REQUESTS, tmp_path / "out")
    whole = contents(tmp_path / "out")
    cells = sorted((tmp_path / "out" / "monocyte").iterdir())
    cells[0].write_bytes(b"")
    cells[1].write_bytes(whole["monocyte/" + cells[1].name][:-2000])
    cells[2].write_bytes(whole["monocyte/" + cells[1].name])
    write_cells(chain, REQUESTS, tmp_path / "out")
    assert contents(tmp_path / "out") == whole


def test_completing_a_complete_folder_makes_nothing(chain, tmp_path, monkeypatch):
    write_cells(chain, REQUESTS, tmp_path / "out")
    monkeypatch.setattr(chain.__class__, "_micro_batch", lambda *_: pytest.fail("made again"))
    assert write_cells(chain, REQUESTS, tmp_path / "out") == 5


@pytest.mark.parametrize(
    ("requests", "truncation", "said"),
    [
        ([Request("monocyte", 0)], 1.0, "count is 0"),
        ([Request("monocyte", -1)], 1.0, "count is -1"),
        ([Request("monocyte", 10**9)], 1.0, "10,000,000"),
        ([Request("monocyte", 2, 2**63 - 1)], 1.0, "seeds of 2 images"),
        ([Request("monocyte", 2, -1)], 1.0, "seed is -1"),
        ([Request("monocite", 2)], 1.0, "did you mean “monocyte”"),
        ([Request("monocyte", 2)], 5.0, "truncation is 5.0"),
        ([Request("monocyte", 2), Request("Monocytes", 3)], 1.0, "each type once"),
        ([], 1.0, "at least one cell type"),
    ],
)
def test_a_wrong_request_is_explained_before_a_folder_is_made(chain, tmp_path, requests, truncation, said):
    with pytest.raises(InputError, match=said):
        write_cells(chain, requests, tmp_path / "out", truncation=truncation)
    assert not (tmp_path / "out").exists()


def test_two_names_of_one_type_are_one_request(chain, tmp_path):
    assert write_cells(chain, [Request("monocyte", 2), Request("Monocytes", 2)], tmp_path / "out") == 2
    assert read_manifest(tmp_path / "out").counts == {"monocyte": 2}


def test_the_contact_sheet_says_that_it_is_synthetic(chain, tmp_path):
    write_cells(chain, REQUESTS, tmp_path / "out")
    with Image.open(tmp_path / "out" / "contact_sheet.png") as sheet:
        assert sheet.size == (128 * 4, 128 * 2)  # names, then three columns
        assert json.loads(sheet.info["Description"])["synthetic"] is True
        assert SOURCE_TYPE in sheet.info["XML:com.adobe.xmp"]


def scg(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    try:
        code = int(main(list(arguments)))
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--all", "--count", "0"], "count is 0"),
        (["--all", "--count", "-1"], "count is -1"),
        (["--all", "--count", "1000000000"], "10,000,000"),
        (["--all", "--count", "many"], "not a valid integer"),
        (["--all", "--seed", "-1"], "--seed"),
        (["--all", "--truncation", "9"], "truncation is 9.0"),
        (["--all", "--format", "gif"], "gif"),
        (["--cell-type", "monocite"], "“monocyte”"),
        (["--cell-typ", "monocyte"], "--cell-type"),
        (["--all", "--cell-type", "monocyte"], "one of the three"),
        ([], "one of the three"),
        (["--balance-with", "nowhere"], "nowhere"),
        (["--balance-with", "nowhere", "--count", "3"], "leave --count out"),
    ],
)
def test_the_command_explains_what_is_wrong(chain, tmp_path, capsys, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    code, text = scg(capsys, "generate", str(chain.bundle.path), "--out", "out", *options)
    assert code == 2
    assert said in text
    assert list(tmp_path.iterdir()) == []


def test_the_command_balances_a_data_set(chain, tmp_path, capsys, drawn_cells):
    data = tmp_path / "data"
    shutil.copytree(drawn_cells, data)
    for image in sorted((data / "platelet").iterdir())[2:]:
        image.unlink()
    out = tmp_path / "more"
    code, text = scg(capsys, "generate", str(chain.bundle.path), "--balance-with", str(data), "--out", str(out))
    assert code == 0, text
    assert read_manifest(out).counts == {"platelet": 14}


def test_another_precision_is_another_generation_and_every_file_says_so(chain, tmp_path):
    rough = SyntheticCellGAN(chain.bundle, networks=InPyTorch(chain.bundle, "bfloat16"))
    write_cells(rough, [Request(chain.cell_types[0], 1)], tmp_path / "rough")
    (file,) = (tmp_path / "rough" / chain.cell_types[0]).glob("*.png")
    assert read_provenance(file).precision == "bfloat16"
    with pytest.raises(InputError, match="another generation"):
        write_cells(chain, [Request(chain.cell_types[0], 1)], tmp_path / "rough")
    write_cells(chain, [Request(chain.cell_types[0], 1)], tmp_path / "exact")
    assert "precision" not in json.loads((tmp_path / "exact" / "generation.json").read_text())


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
