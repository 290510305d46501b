"""Each importer on a small fixture that follows the published set's layout; no set is downloaded."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from syntheticcellgan.data.importers import LAYOUTS, detect_layout, import_dataset
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.errors import InputError

_RNG = np.random.default_rng(0)


def put(root: Path, *files: str, mode: str = "RGB") -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_RNG.integers(0, 256, (20, 20, 3)).astype(np.uint8)).convert(mode).save(root / file)
    return root


def pbc(root: Path) -> Path:
    return put(
        root,
        *(
            f"PBC_dataset_normal_DIB/{file}.jpg"
            for file in (
                "basophil/BA_100102",
                "ig/IG_1",
                "ig/PMY_2",
                "ig/MY_3",
                "ig/MMY_4",
                "neutrophil/BNE_5",
                "neutrophil/SNE_6",
                "neutrophil/NEUTROPHIL_7",
                "platelet/PLATELET_8",
            )
        ),
    )


def deepapl(root: Path) -> Path:
    put(
        root,
        *(
            f"Data/All/{file}.jpg"
            for file in (
                "Patient_00/Signed slides/Blast, no lineage spec/BL_1",
                "Patient_00/Signed slides/Promyelocyte/PMY_2",
                "Patient_00/Signed slides/Smudge cells/SMU_3",
                "Patient_00/Signed slides/Young Unidentified/UNI_4",
                "Patient_00/Unsigned slides/D000_001",
                "Patient_01/Signed slides/Blast, no lineage spec/BL_5",
                "Patient_01/Signed slides/Promyelocyte/PMY_6",
                "Patient_01/Signed slides/Band neutrophils/BNE_7",
                "Patient_01/Signed slides/Lymphocyte, variant/LYA_8",
                "Patient_01/Signed slides/Giant thrombocyte/GT_9",
                "Patient_01/Signed slides/Artifact/ART_10",
            )
        ),
    )
    (root / "Data" / "All" / "Patient_00" / "Signed slides" / "Erythroblast").mkdir()
    (root / "Data" / "All" / "Patient_00" / "Signed slides" / "Erythroblast" / "Thumbs.db").write_text("x")
    (root / "Data" / "master.csv").write_text(
        "Patient_ID,Diagnosis,Cohort,Age at Diagnosis,Gender\n"
        "Patient_00,APL,Discovery,29,Female\nPatient_01,AML,Validation,28,Male\n"
    )
    return root


def lmu(root: Path) -> Path:
    put(
        root,
        *(
            f"AML-Cytomorphology/{code}/{code}_0001.tiff"
            for code in [
                "BAS",
                "EBO",
                "EOS",
                "KSC",
                "LYA",
                "LYT",
                "MMZ",
                "MOB",
                "MON",
                "MYB",
                "MYO",
                "NGB",
                "NGS",
                "PMB",
                "PMO",
            ]
        ),
        mode="RGBA",
    )
    (root / "annotations.dat").write_text("BAS/BAS_0001.tiff BAS BAS BAS\n")
    return root


def mll23(root: Path) -> Path:
    """A record as downloaded: one archive per type, some with the type's folder twice."""
    root.mkdir(parents=True, exist_ok=True)
    for number, (name, inner) in enumerate(
        [
            ("hairy_cell", "hairy_cell"),
            ("neutrophil_band", "neutrophil_band/neutrophil_band"),
            ("promyelocyte_atypical", "promyelocyte_atypical"),
            ("lymphocyte_reactive", "lymphocyte_reactive"),
            ("normoblast", "normoblast"),
        ]
    ):
        image = put(root.parent / "tif", f"{number}.tif") / f"{number}.tif"
        with zipfile.ZipFile(root / f"{name}.zip", "w") as archive:
            archive.write(image, f"{inner}/{number}.tif")
            archive.writestr(f"__MACOSX/{inner}/._{number}.tif", b"x")
    return root


def raabin(root: Path) -> Path:
    return put(
        root,
        "Train/Basophil/20190526_1.jpg",
        "Train/Neutrophil/20190526_2.jpg",
        "TestA/TestA/Basophil/20190526_1.jpg",
        "Test-B/Lymphocyte/95-5-1.jpg",
    )


def huggingface(root: Path) -> Path:
    for split, name in (("train", "a"), ("test", "a")):
        put(root / split, f"images/{name}.png")
        (root / split / "metadata.csv").write_text(f"file_name,label,patient\nimages/{name}.png,Hairy cell,P1\n")
    return root


def bloodmnist(root: Path, side: int = 28, labels: int = 8, **arrays: np.ndarray) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    content: dict[str, np.ndarray] = {}
    for part, count in (("train", labels), ("val", 2), ("test", 3)):
        content[f"{part}_images"] = _RNG.integers(0, 256, (count, side, side, 3)).astype(np.uint8)
        content[f"{part}_labels"] = (np.arange(count, dtype=np.uint8))[:, None]
    np.savez_compressed(root / "bloodmnist.npz", **{**content, **arrays})
    return root


def webdataset(root: Path) -> Path:
    """The type in the .json, as a number of labels.json, and as text."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "labels.json").write_text('["monocyte", "platelet"]')
    known = ({"json": b'{"label": "Hairy cell", "patient": "P1"}'}, {"cls": b"1"}, {"cls": b"BAS"})
    with tarfile.open(root / "shard-000.tar", "w") as archive:
        for number, files in enumerate(known):
            put(root, f"{number}.png")
            archive.add(root / f"{number}.png", f"images/{number}.png")
            (root / f"{number}.png").unlink()
            for suffix, content in files.items():
                member = tarfile.TarInfo(f"images/{number}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return root


FIXTURES: dict[str, Callable[[Path], Path]] = {
    "pbc": pbc,
    "deepapl": deepapl,
    "lmu": lmu,
    "mll23": mll23,
    "raabin": raabin,
    "huggingface": huggingface,
    "webdataset": webdataset,
    "bloodmnist": bloodmnist,
}

EXPECTED = {
    "webdataset": {"basophil": 1, "hairy_cell": 1, "platelet": 1},
    "pbc": {
        "basophil": 1,
        "immature_granulocyte": 1,
        "metamyelocyte": 1,
        "myelocyte": 1,
        "neutrophil": 3,
        "platelet": 1,
        "promyelocyte": 1,
    },
    "deepapl": {
        "blast_aml": 1,
        "blast_apl": 1,
        "giant_platelet": 1,
        "lymphocyte_variant": 1,
        "neutrophil": 1,
        "promyelocyte_aml": 1,
        "promyelocyte_apl": 1,
        "smudge_cell": 1,
    },
    "lmu": {
        "basophil": 1,
        "eosinophil": 1,
        "erythroblast": 1,
        "lymphocyte": 1,
        "lymphocyte_variant": 1,
        "metamyelocyte": 1,
        "monoblast": 1,
        "monocyte": 1,
        "myeloblast": 1,
        "myelocyte": 1,
        "neutrophil": 2,
        "promyelocyte": 2,
        "smudge_cell": 1,
    },
    "mll23": {
        "erythroblast": 1,
        "hairy_cell": 1,
        "lymphocyte_variant": 1,
        "neutrophil": 1,
        "promyelocyte_apl": 1,
    },
    "raabin": {"basophil": 2, "lymphocyte": 1, "neutrophil": 1},
    "huggingface": {"hairy_cell": 2},
    "bloodmnist": {
        "basophil": 3,
        "eosinophil": 3,
        "erythroblast": 2,
        "immature_granulocyte": 1,
        "lymphocyte": 1,
        "monocyte": 1,
        "neutrophil": 1,
        "platelet": 1,
    },
}


def test_every_layout_has_a_fixture() -> None:
    assert set(FIXTURES) == set(EXPECTED) == set(LAYOUTS)


@pytest.mark.parametrize("layout", FIXTURES)
@pytest.mark.parametrize("stated", [False, True])
def test_layout_is_recognised_and_imported(tmp_path: Path, layout: str, stated: bool) -> None:
    source = FIXTURES[layout](tmp_path / "source")
    report = import_dataset(source, tmp_path / "a set" / "out", layout=layout if stated else None)
    assert report.layout == layout
    assert report.counts == EXPECTED[layout]
    assert report.unreadable == ()
    manifest = read_manifest(tmp_path / "a set" / "out")
    assert manifest.counts == EXPECTED[layout]
    assert all(record.file.startswith(f"{record.cell_type}/") for record in manifest.records)
    assert all(record.attributes["original"] for record in manifest.records)
    assert json.loads((manifest.root / "import.json").read_text())["images"] == len(manifest)
    assert sorted(path.name for path in (tmp_path / "a set").iterdir()) == ["out"]


@pytest.mark.parametrize("layout", FIXTURES)
def test_from_one_archive(tmp_path: Path, layout: str) -> None:
    source = FIXTURES[layout](tmp_path / "source")
    with zipfile.ZipFile(tmp_path / "download.zip", "w") as archive:
        for path in sorted(source.rglob("*")):
            archive.write(path, f"download/{path.relative_to(source)}")
    assert import_dataset(tmp_path / "download.zip", tmp_path / "out").counts == EXPECTED[layout]


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with open(folder / "labels.csv", newline="", encoding="utf-8") as table:
        return {row["original"]: row for row in csv.DictReader(table)}


def test_bytes_are_copied(tmp_path: Path) -> None:
    source = pbc(tmp_path / "source")
    import_dataset(source, tmp_path / "out")
    original = source / "PBC_dataset_normal_DIB" / "ig" / "PMY_2.jpg"
    assert (tmp_path / "out" / "promyelocyte" / "PMY_2.jpg").read_bytes() == original.read_bytes()


def test_pbc_subtypes(tmp_path: Path) -> None:
    import_dataset(pbc(tmp_path / "source"), tmp_path / "out")
    table = rows(tmp_path / "out")
    assert table["neutrophil/BNE_5.jpg"]["subtype"] == "band"
    assert table["neutrophil/SNE_6.jpg"]["subtype"] == "segmented"
    assert table["neutrophil/NEUTROPHIL_7.jpg"]["subtype"] == ""
    assert table["ig/PMY_2.jpg"]["cell_type"] == "promyelocyte"
    assert {row["laboratory"] for row in table.values()} == {"Hospital Clinic of Barcelona"}


def test_deepapl_patients_and_what_is_left_out(tmp_path: Path) -> None:
    report = import_dataset(deepapl(tmp_path / "source"), tmp_path / "out")
    assert report.untyped == 2  # young unidentified, artefact
    assert report.ignored == 1  # unsigned
    table = rows(tmp_path / "out")
    band = table["Patient_01/Signed slides/Band neutrophils/BNE_7.jpg"]
    assert (band["patient"], band["subtype"], band["diagnosis"]) == ("Patient_01", "band", "AML")
    assert "Gender" not in band
    assert {record.patient for record in read_manifest(tmp_path / "out").records} == {"Patient_00", "Patient_01"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "master.csv with the patients' diagnoses is missing"),
        ("Patient_ID,Diagnosis\nPatient_00,APL\n", "no row for Patient_01"),
        ("Patient_ID,Age\nPatient_00,APL\n", "no column Diagnosis"),
        ("Patient_ID,Diagnosis\nPatient_00,ALL\nPatient_01,AML\n", "'ALL' is neither APL nor AML"),
    ],
)
def test_deepapl_without_diagnoses(tmp_path: Path, text: str | None, complaint: str) -> None:
    source = deepapl(tmp_path / "source")
    table = source / "Data" / "master.csv"
    table.unlink()
    if text is not None:
        table.write_text(text)
    with pytest.raises(InputError, match=complaint):
        import_dataset(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_lmu_codes_that_are_easily_confused(tmp_path: Path) -> None:
    import_dataset(lmu(tmp_path / "source"), tmp_path / "out")
    table = rows(tmp_path / "out")
    assert table["MYB/MYB_0001.tiff"]["cell_type"] == "myelocyte"
    assert table["MYO/MYO_0001.tiff"]["cell_type"] == "myeloblast"
    assert table["PMB/PMB_0001.tiff"]["subtype"] == "bilobed"


def test_raabin_keeps_equal_names_apart(tmp_path: Path) -> None:
    import_dataset(raabin(tmp_path / "source"), tmp_path / "out")
    manifest = read_manifest(tmp_path / "out")
    assert {record.file for record in manifest.of_type("basophil").records} == {
        "basophil/Train_20190526_1.jpg",
        "basophil/TestA_20190526_1.jpg",
    }
    assert {record.laboratory for record in manifest.of_type("lymphocyte").records} == {"Raabin-WBC TestB"}


def test_mll23_unpacked_or_half_unpacked(tmp_path: Path) -> None:
    source = mll23(tmp_path / "source")
    for archive in sorted(source.glob("*.zip")):
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(source)
    assert import_dataset(source, tmp_path / "out").counts == EXPECTED["mll23"]
    (source / "monocyte.zip").write_bytes((source / "normoblast.zip").read_bytes())
    with pytest.raises(InputError, match=r"packed archives \(monocyte\.zip\)"):
        import_dataset(source, tmp_path / "out2")


def test_hugging_face_numbers_as_labels(tmp_path: Path) -> None:
    put(tmp_path / "set", "a.png")
    (tmp_path / "set" / "metadata.csv").write_text("file_name,label\na.png,3\n")
    with pytest.raises(InputError, match="labels are numbers"):
        import_dataset(tmp_path / "set", tmp_path / "out")


@pytest.mark.parametrize("side", [28, 64])
def test_bloodmnist_pixels_are_kept(tmp_path: Path, side: int) -> None:
    source = bloodmnist(tmp_path / "source", side) / "bloodmnist.npz"
    import_dataset(source, tmp_path / "out")
    with np.load(source, allow_pickle=False) as arrays:
        expected = arrays["val_images"][1]
    assert (np.asarray(Image.open(tmp_path / "out" / "eosinophil" / "val_00001.png")) == expected).all()


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"train_images": np.zeros((8, 28, 28), np.uint8)}, "not BloodMNIST's"),
        ({"train_images": np.zeros((7, 28, 28, 3), np.uint8)}, "not BloodMNIST's"),
        ({"train_images": np.zeros((8, 28, 28, 3), np.float32)}, "arrays are of float32"),
        ({"train_labels": np.full((8, 1), 9, np.uint8)}, "label 9"),
        ({"train_labels": np.zeros((8, 3), np.uint8)}, "not one number per image"),
        ({"train_images": np.array([{"a": 1}] * 8, dtype=object)}, "arrays are of object"),
    ],
)
def test_other_npz(tmp_path: Path, arrays: dict[str, np.ndarray], complaint: str) -> None:
    source = bloodmnist(tmp_path / "source", **arrays)
    with pytest.raises(InputError, match=complaint):
        import_dataset(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_several_npz_in_a_folder(tmp_path: Path) -> None:
    source = bloodmnist(tmp_path / "source")
    (source / "bloodmnist_64.npz").write_bytes((source / "bloodmnist.npz").read_bytes())
    with pytest.raises(InputError, match=r"holds bloodmnist\.npz and bloodmnist_64\.npz; give one"):
        import_dataset(source, tmp_path / "out")


def test_truncated_npz(tmp_path: Path) -> None:
    source = bloodmnist(tmp_path / "source") / "bloodmnist.npz"
    with zipfile.ZipFile(source) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["train_images.npy"] = content["train_images.npy"][:2000]
    with zipfile.ZipFile(source, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    with pytest.raises(InputError, match="is damaged"):
        import_dataset(source, tmp_path / "out")


def test_unreadable_images_are_left_out_and_named(tmp_path: Path) -> None:
    source = raabin(tmp_path / "source")
    (source / "Train" / "Basophil" / "broken.jpg").write_text("text")
    report = import_dataset(source, tmp_path / "out")
    assert [place for place, _ in report.unreadable] == ["Train/Basophil/broken.jpg"]
    assert report.images == 4


def test_nothing_readable_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "source" / "Train" / "Basophil").mkdir(parents=True)
    (tmp_path / "source" / "Train" / "Basophil" / "broken.jpg").write_text("text")
    with pytest.raises(InputError, match="No image could be imported"):
        import_dataset(tmp_path / "source", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_output_with_other_files_is_refused(tmp_path: Path) -> None:
    source = raabin(tmp_path / "source")
    (tmp_path / "out").mkdir()
    assert import_dataset(source, tmp_path / "out").images == 4  # empty is fine
    with pytest.raises(InputError, match="holds other files"):
        import_dataset(source, tmp_path / "out")
    with pytest.raises(InputError, match="holds other files"):
        import_dataset(source, tmp_path / "out" / "labels.csv")


def test_unknown_sources_and_layouts(tmp_path: Path) -> None:
    source = raabin(tmp_path / "source")
    with pytest.raises(InputError, match="no such file or folder"):
        import_dataset(tmp_path / "none", tmp_path / "out")
    with pytest.raises(InputError, match="did you mean raabin"):
        import_dataset(source, tmp_path / "out", layout="Rabin")
    with pytest.raises(InputError, match="the layouts are bloodmnist"):
        import_dataset(source, tmp_path / "out", layout="qqqq")
    with pytest.raises(InputError, match="does not have the layout pbc; it looks like raabin"):
        import_dataset(source, tmp_path / "out", layout="pbc")
    with pytest.raises(InputError, match="none of the known layouts"):
        import_dataset(put(tmp_path / "own", "mine/1.png"), tmp_path / "out")
    (tmp_path / "set.rar").write_bytes(b"x")
    with pytest.raises(InputError, match="unpack it first"):
        import_dataset(tmp_path / "set.rar", tmp_path / "out")


def test_a_finished_data_set_needs_no_import(tmp_path: Path) -> None:
    import_dataset(raabin(tmp_path / "source"), tmp_path / "out")
    with pytest.raises(InputError, match="is a data set already"):
        import_dataset(tmp_path / "out", tmp_path / "again")
    assert detect_layout(put(tmp_path / "own", "mine/1.png")) is None


def test_link_out_of_the_source(tmp_path: Path) -> None:
    source = raabin(tmp_path / "source")
    put(tmp_path, "secret.jpg")
    (source / "Train" / "Basophil" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(InputError, match="outside the data set"):
        import_dataset(source, tmp_path / "out")
