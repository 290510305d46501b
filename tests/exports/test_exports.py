"""Exports, each read back by the library that its readers use."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.test_pipeline import make

from syntheticcellgan.cli import main
from syntheticcellgan.data.images import read_image
from syntheticcellgan.data.manifest import Manifest, read_manifest
from syntheticcellgan.errors import InputError
from syntheticcellgan.exports import FORMATS, export_dataset
from syntheticcellgan.exports.coco import run_lengths
from syntheticcellgan.segmentation import segment
from syntheticcellgan.writer import Request, write_cells


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory) -> Path:
    """What `scg generate` writes: 5 monocytes and 3 platelets of an untrained network."""
    place = tmp_path_factory.mktemp("g")
    chain = make(place / "tiny", ("monocyte", "platelet"))
    write_cells(chain, [Request("monocyte", 5, 7), Request("platelet", 3)], place / "synthetic cells")
    return place / "synthetic cells"


@pytest.fixture(scope="module")
def mixed(synthetic, drawn_cells, tmp_path_factory) -> Path:
    """Drawn ("real") cells with a patient each, a grey TIFF and a turned JPEG among them, and synthetic ones."""
    data = tmp_path_factory.mktemp("m") / "my data"
    rows = ["file,cell_type,patient,note"]
    for name in ("monocyte", "platelet"):
        (data / name).mkdir(parents=True)
        for path in sorted((drawn_cells / name).iterdir())[:6]:
            shutil.copy(path, data / name)
            rows.append(f'{name}/{path.name},{name},P-1,"a, b"')
        for path in sorted((synthetic / name).iterdir())[:2]:
            shutil.copy(path, data / name)
            rows.append(f"{name}/{path.name},{name},,")
    first = Image.open(data / "monocyte" / "monocyte 00.png")
    first.convert("L").save(data / "monocyte" / "grey.tif")
    turned = Image.Exif()
    turned[0x0112] = 6
    first.save(data / "monocyte" / "Übung.v2.jpg", exif=turned, quality=95)
    rows += ["monocyte/grey.tif,monocyte,P-2,", "monocyte/Übung.v2.jpg,monocyte,P-2,"]
    (data / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return data


def pixels(data: Path) -> dict[str, str]:
    """SHA-256 of the pixels of each image → cell type."""
    manifest = read_manifest(data)
    return {hashlib.sha256(read_image(manifest.path(r)).tobytes()).hexdigest(): r.cell_type for r in manifest.records}


def same(image: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()


def test_hugging_face_datasets_loads_the_folder(mixed, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="pip install datasets to read the export with it")
    export_dataset(mixed, tmp_path / "hf", "huggingface", licence="CC-BY-4.0")
    read = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "hf"), cache_dir=str(tmp_path / "c"))["train"]
    assert read.num_rows == 18
    expected = pixels(mixed)
    found = {same(np.asarray(row["image"].convert("RGB"))): row["label"] for row in read}
    assert found == expected
    assert sum(row["synthetic"] for row in read) == 4
    assert {row["patient"] for row in read} == {"P-1", "P-2", None}


@pytest.mark.parametrize("format_", ["huggingface", "webdataset"])
def test_what_was_exported_can_be_imported_again(format_, mixed, tmp_path):
    from syntheticcellgan.data.importers import import_dataset
    from syntheticcellgan.provenance import read_provenance

    export_dataset(mixed, tmp_path / "there", format_)
    report = import_dataset(tmp_path / "there", tmp_path / "back")
    assert report.layout == format_
    assert pixels(tmp_path / "back") == pixels(mixed)
    back = read_manifest(tmp_path / "back")
    synthetic = [r for r in back.records if r.attributes["synthetic"] == "True"]
    assert len(synthetic) == 4
    for record in synthetic:
        assert read_provenance(back.path(record)).synthetic
    assert {r.patient for r in back.records} == {"P-1", "P-2", None}


def test_a_shard_that_was_cut_short_is_not_imported_by_half(mixed, tmp_path):
    from syntheticcellgan.data.importers import import_dataset

    export_dataset(mixed, tmp_path / "there", "webdataset")
    shard = tmp_path / "there" / "000000.tar"
    shard.write_bytes(shard.read_bytes()[:-30_000])
    with pytest.raises(InputError, match=r"000000\.tar"):
        import_dataset(tmp_path / "there", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_the_card_of_the_folder_is_yaml_whatever_the_name(mixed, tmp_path):
    yaml = pytest.importorskip("yaml")
    export_dataset(mixed, tmp_path / "hf", "huggingface", name='Cells: "rare" #1', licence="CC-BY-4.0")
    head = (tmp_path / "hf" / "README.md").read_text(encoding="utf-8").split("---")[1]
    assert yaml.safe_load(head) == {
        "pretty_name": 'Cells: "rare" #1',
        "license": "cc-by-4.0",
        "task_categories": ["image-classification"],
        "tags": ["synthetic", "blood", "microscopy"],
    }


def test_webdataset_reads_the_shards(mixed, tmp_path, monkeypatch):
    webdataset = pytest.importorskip("webdataset", reason="pip install webdataset to read the export with it")
    from syntheticcellgan.exports import webdataset as module

    monkeypatch.setattr(module, "PER_SHARD", 7)
    export_dataset(mixed, tmp_path / "wds", "webdataset")
    tars = sorted((tmp_path / "wds").glob("*.tar"))
    sizes = []
    for path in tars:
        with tarfile.open(path) as archive:
            sizes.append(len(archive.getnames()))
    assert sizes == [21, 21, 12]
    labels = json.loads((tmp_path / "wds" / "labels.json").read_text())
    found = {}
    for sample in webdataset.WebDataset([str(path) for path in tars], shardshuffle=False).decode("rgb8"):
        image = sample["png"] if "png" in sample else sample["jpg"]
        found[same(image)] = sample["json"]["cell_type"]
        assert labels[sample["cls"]] == sample["json"]["cell_type"]
        assert sample["json"]["synthetic"] == ("seed" in sample["json"])
    assert found == pixels(mixed)


def test_cocos_own_library_draws_the_masks_that_segmentation_found(mixed, tmp_path, capsys):
    coco = pytest.importorskip("pycocotools.coco", reason="pip install pycocotools to read the export with it")
    said = export_dataset(mixed, tmp_path / "coco", "coco")
    read = coco.COCO(str(tmp_path / "coco" / "annotations.json"))
    capsys.readouterr()
    assert len(read.getImgIds()) == 18
    names = {c["id"]: c["name"] for c in read.loadCats(read.getCatIds())}
    assert set(names.values()) == {"monocyte", "platelet", "nucleus"}
    outlined = 0
    types = pixels(mixed)
    for image in read.loadImgs(read.getImgIds()):
        shown = np.asarray(Image.open(tmp_path / "coco" / "images" / image["file_name"]).convert("RGB"))
        assert shown.shape == (image["height"], image["width"], 3)
        found = segment(shown)
        annotations = read.loadAnns(read.getAnnIds(imgIds=image["id"]))
        if found.failure:
            assert annotations == []
            assert read.dataset["info"]["not_segmented"][image["file_name"]] == found.failure
            continue
        outlined += 1
        masks = {names[a["category_id"]]: (read.annToMask(a).astype(bool), a) for a in annotations}
        cell, about = masks[types[same(shown)]]
        nucleus, _ = masks["nucleus"]
        assert np.array_equal(cell, found.cell)
        assert np.array_equal(nucleus, found.nucleus)
        assert about["area"] == found.cell.sum()
        x, y, width, height = (int(v) for v in about["bbox"])
        assert found.cell[y : y + height, x : x + width].sum() == about["area"]
    assert outlined >= 10
    assert f"outlined in {outlined} of 18" in said


def test_run_lengths_of_full_empty_and_uneven_masks():
    assert run_lengths(np.zeros((2, 3), bool)) == [6]
    assert run_lengths(np.ones((2, 3), bool)) == [0, 6]
    assert run_lengths(np.array([[0, 1, 0], [1, 1, 0]], bool)) == [1, 3, 2]


def dicom_files(mixed: Path, out: Path) -> list[Path]:
    pytest.importorskip("pydicom", reason="pip install 'syntheticcellgan[dicom]' for DICOM")
    export_dataset(mixed, out, "dicom")
    return sorted(out.rglob("*.dcm"))


def test_dicom_holds_the_pixels_and_says_what_is_synthetic(mixed, tmp_path):
    files = dicom_files(mixed, tmp_path / "dicom")
    import pydicom

    expected, found, instances = pixels(mixed), {}, set()
    for path in files:
        d = pydicom.dcmread(path)
        assert d.SOPClassUID.name == "VL Microscopic Image Storage"
        found[same(d.pixel_array)] = d.SeriesDescription.lower()
        instances.add(d.SOPInstanceUID)
        assert all(uid.is_valid for uid in (d.SOPInstanceUID, d.StudyInstanceUID, d.SeriesInstanceUID))
        if d[0x0008, 0x001C].value == "YES":
            assert json.loads(d.ImageComments)["synthetic"] is True
            assert d.PatientID == "SYNTHETIC"
        else:
            assert d[0x0008, 0x001C].value == "NO"
            assert d.PatientID in ("P-1", "P-2")
    assert found == expected
    assert pydicom.datadict.keyword_for_tag(0x0008001C) == "SyntheticData"
    assert len(instances) == 18
    assert sum(pydicom.dcmread(path)[0x0008, 0x001C].value == "YES" for path in files) == 4


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed (Debian: dicom3tools)")
def test_an_independent_validator_finds_no_error(mixed, tmp_path):
    for path in dicom_files(mixed, tmp_path / "dicom"):
        checked = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        said = (checked.stdout + checked.stderr).splitlines()
        assert "VLMicroscopicImage" in said
        # Synthetic Data came into the standard in 2023; the validator's dictionary may be older than that.
        errors = [line for line in said if line.startswith("Error") and "(0x0008,0x001c)" not in line]
        assert errors == []


def test_the_validator_would_see_a_fault(mixed, tmp_path):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (Debian: dicom3tools)")
    path = dicom_files(mixed, tmp_path / "dicom")[0]
    import pydicom

    d = pydicom.dcmread(path)
    del d.ImageType
    d.save_as(path)
    checked = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    assert "Error" in checked.stdout + checked.stderr


def test_dicom_again_gives_the_same_files(mixed, tmp_path):
    first, second = dicom_files(mixed, tmp_path / "a"), dicom_files(mixed, tmp_path / "b")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_croissants_own_library_finds_no_error_and_reads_the_cells(mixed, tmp_path):
    croissant = pytest.importorskip("mlcroissant", reason="pip install mlcroissant to check the description with it")
    export_dataset(mixed, tmp_path / "c", "croissant", licence="https://creativecommons.org/licenses/by/4.0/")
    read = croissant.Dataset(jsonld=str(tmp_path / "c" / "croissant.json"))
    assert list(read.metadata.ctx.issues.errors) == []
    found = {}
    for row in read.records("cells"):
        image = row["cells/image"]
        found[same(np.asarray(image.convert("RGB")))] = row["cells/label"].decode()
    assert found == pixels(mixed)


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_is_whole_or_absent(format_, mixed, tmp_path, monkeypatch):
    pytest.importorskip("pydicom" if format_ == "dicom" else "numpy")
    data = tmp_path / "data"
    shutil.copytree(mixed, data)
    victim = data / "platelet" / "platelet 03.png"
    victim.write_bytes(victim.read_bytes()[:900])
    before = set(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="platelet 03"):
        export_dataset(data, tmp_path / "out", format_)
    assert set(tmp_path.rglob("*")) == before


def test_the_command_explains_what_is_wrong(mixed, synthetic, tmp_path, capsys):
    def scg(*arguments: str | Path) -> tuple[int, str]:
        try:
            code = int(main(["export", *map(str, arguments)]) or 0)
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("years of work")
    for arguments, said in (
        ((mixed, "--format", "hugingface", "--out", tmp_path / "x"), "did you mean huggingface"),
        ((mixed, "--format", "coco", "--out", full), "holds other files"),
        ((mixed, "--format", "coco", "--out", mixed / "coco"), "lies inside the data set"),
        ((tmp_path / "none", "--format", "coco", "--out", tmp_path / "x"), "no such folder"),
    ):
        code, text = scg(*arguments)
        assert code == 2
        assert said in text
    assert not (tmp_path / "x").exists()
    code, text = scg(synthetic, "--format", "huggingface", "--out", tmp_path / "y")
    assert code == 0
    assert "imagefolder" in text
    assert "All images are synthetic" in (tmp_path / "y" / "README.md").read_text()


def test_a_missing_library_is_named_with_the_extra_that_brings_it(mixed, tmp_path, monkeypatch):
    for module in [name for name in sys.modules if name.startswith("pydicom") or name.endswith("exports.dicom")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(InputError, match=r"pip install 'syntheticcellgan\[dicom\]'"):
        export_dataset(mixed, tmp_path / "out", "dicom")
    assert not (tmp_path / "out").exists()


def test_two_names_that_would_become_one_are_refused(drawn_cells, tmp_path):
    place = tmp_path / "data" / "monocyte"
    place.mkdir(parents=True)
    image = Image.open(next((drawn_cells / "monocyte").iterdir()))
    image.save(place / "a.png")
    image.convert("L").save(place / "a.tif")
    with pytest.raises(InputError, match="same name up to its ending"):
        export_dataset(tmp_path / "data", tmp_path / "out", "huggingface")
    assert isinstance(read_manifest(tmp_path / "data"), Manifest)
