from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from syntheticcellgan.data.manifest import read_manifest, unlisted_images
from syntheticcellgan.errors import InputError


def put(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20)).save(root / file)
    return root


def table(root: Path, text: str, name: str = "labels.csv", encoding: str = "utf-8") -> Path:
    (root / name).write_bytes(text.encode(encoding))
    return root


def test_one_folder_per_type(tmp_path: Path) -> None:
    put(tmp_path, "Lymphocyte/b.png", "Lymphocyte/a.jpg", "BNE/x.PNG", "my own type/1.tif")
    (tmp_path / "Lymphocyte" / "Thumbs.db").write_text("x")
    (tmp_path / "Lymphocyte" / "._a.jpg").write_text("x")
    manifest = read_manifest(tmp_path)
    assert [record.file for record in manifest.records] == [
        "BNE/x.PNG",
        "Lymphocyte/a.jpg",
        "Lymphocyte/b.png",
        "my own type/1.tif",
    ]
    assert manifest.counts == {"band_neutrophil": 1, "lymphocyte": 2, "my_own_type": 1}
    assert manifest.cell_types == ("band_neutrophil", "lymphocyte", "my_own_type")
    assert len(manifest) == 4
    assert all(manifest.path(record).is_file() for record in manifest.records)
    assert manifest.records[1].patient is None


def test_selection(tmp_path: Path) -> None:
    manifest = read_manifest(put(tmp_path, "EO/1.png", "EO/2.png", "BA/1.png"))
    assert manifest.of_type("Eosinophils").counts == {"eosinophil": 2}
    assert len(manifest.of_type("monocyte")) == 0
    assert [record.file for record in manifest.select([2, 0]).records] == ["EO/2.png", "BA/1.png"]


def test_reading_opens_no_image(tmp_path: Path) -> None:
    (tmp_path / "lymphocyte").mkdir()
    (tmp_path / "lymphocyte" / "broken.png").write_text("text")
    assert len(read_manifest(tmp_path)) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["labels.csv", "metadata.csv"])
def test_table(tmp_path: Path, encoding: str, separator: str, name: str) -> None:
    put(tmp_path, "images/1.png", "images/2.png")
    rows = (
        "File,Cell_Type,patient,laboratory,subtype,stain",
        "images/1.png,SNE,P 1,Barcelona,segmented,MGG",
        "images/2.png,hairy cell,,,,",
    )
    table(tmp_path, "\r\n".join(rows).replace(",", separator) + "\r\n", name, encoding)
    first, second = read_manifest(tmp_path).records
    assert (first.cell_type, first.patient, first.laboratory, first.subtype) == (
        "segmented_neutrophil",
        "P 1",
        "Barcelona",
        "segmented",
    )
    assert dict(first.attributes) == {"stain": "MGG"}
    assert (second.cell_type, second.patient, second.laboratory, second.subtype) == ("hairy_cell", None, None, None)
    assert dict(second.attributes) == {}


def test_hugging_face_columns(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    table(tmp_path, "file_name,label\na.png,monocyte\n", "metadata.csv")
    assert read_manifest(tmp_path).counts == {"monocyte": 1}


def test_labels_win_over_folders_and_metadata(tmp_path: Path) -> None:
    put(tmp_path, "eosinophil/a.png")
    table(tmp_path, "file,cell_type\neosinophil/a.png,basophil\n")
    table(tmp_path, "file,cell_type\neosinophil/a.png,monocyte\n", "metadata.csv")
    assert read_manifest(tmp_path).cell_types == ("basophil",)
    assert read_manifest(tmp_path, table="metadata.csv").cell_types == ("monocyte",)


def test_difficult_names(tmp_path: Path) -> None:
    names = ["cell with spaces.png", "é à ü.png", 'it\'s a "cell".png', "a,b;c.png", "細胞.png"]
    put(tmp_path, *(f"Cellule géante/{name}" for name in names))
    by_folder = read_manifest(tmp_path)
    assert by_folder.counts == {"cellule_géante": 5}
    quoted = [f"Cellule géante/{name}".replace('"', '""') for name in names]
    table(tmp_path, "file,cell_type\n" + "".join(f'"{name}",Cellule géante\n' for name in quoted))
    assert {record.file for record in read_manifest(tmp_path).records} == {record.file for record in by_folder.records}


def test_windows_separators_and_other_spelling_of_accents(tmp_path: Path) -> None:
    put(tmp_path, "B\u00e4/caf\u00e9.png")
    table(tmp_path, "file,cell_type\nBa\u0308\\cafe\u0301.png,basophil\n")
    (record,) = read_manifest(tmp_path).records
    assert record.file == "B\u00e4/caf\u00e9.png"


def test_relative_folder_and_link_to_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "set", "EO/1.png")
    (tmp_path / "link").symlink_to(tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    assert read_manifest("set").root == read_manifest("link").root == tmp_path / "set"


def refused(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_manifest(folder)
    text = str(caught.value)
    assert str(folder) in text
    return text


def test_missing_empty_and_wrong_folders(tmp_path: Path) -> None:
    assert "no such folder" in refused(tmp_path / "none")
    assert "holds no images" in refused(tmp_path)
    (tmp_path / "neutrophil").mkdir()
    assert "holds no images" in refused(tmp_path)
    put(tmp_path, "a.png")
    assert "neither a sub-folder per cell type" in refused(tmp_path)
    assert "is a file" in refused(tmp_path / "a.png")


def test_images_that_lie_too_deep(tmp_path: Path) -> None:
    assert "deeper than one sub-folder" in refused(put(tmp_path, "train/EO/1.png", "train/BA/1.png"))


@pytest.mark.parametrize("names", [("Neutrophil", "neutrophil"), ("own type", "Own-Type"), ("eo", "EO")])
def test_types_that_differ_only_in_case(tmp_path: Path, names: tuple[str, str]) -> None:
    text = refused(put(tmp_path, *(f"{name}/1.png" for name in names)))
    assert "differ only in case" in text
    assert all(name in text for name in names)


def test_types_that_differ_only_in_case_in_a_table(tmp_path: Path) -> None:
    put(tmp_path, "1.png", "2.png")
    assert "differ only in case" in refused(table(tmp_path, "file,cell_type\n1.png,Blast\n2.png,blast\n"))


def test_synonyms_are_one_type(tmp_path: Path) -> None:
    assert read_manifest(put(tmp_path, "EOS/1.png", "eosinophils/1.png")).counts == {"eosinophil": 2}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file,cell_type\na.png,EO\ngone.png,EO\nlost.png,EO\n", r"line 3: there is no file gone.png .* 1 more"),
        ("file,diagnosis\na.png,EO\n", "no column 'cell_type' .*file, diagnosis"),
        ("name,cell_type\na.png,EO\n", "no column 'file'"),
        ("", "no column 'file'"),
        ("file,cell_type\n", "no rows"),
        ("file,cell_type\na.png,EO\nb.png,EO\na.png,BA\n", "lines 2 and 4 both list a.png"),
        ("file,cell_type\na.png,EO\n./a.png,EO\n", "lines 2 and 3 both list a.png"),
        ("file,cell_type\n../a.png,EO\n", "points outside"),
        ("file,cell_type\nx/../../a.png,EO\n", "points outside"),
        ("file,cell_type\n/etc/passwd,EO\n", "points outside"),
        ("file,cell_type\nC:\\a.png,EO\n", "points outside"),
        ("file,cell_type\na.png,\n", "line 2: the cell_type is empty"),
        ("file,cell_type\na.png,EO,more\n", "line 2: 3 fields under 2 columns"),
        ("file,cell_type,File\na.png,EO,a.png\n", "two columns named 'file'"),
        ("file,cell_type\na.png,?\n", "no letter or digit"),
        ("file,cell_type\nnote.txt,EO\n", "is not an image file"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, complaint: str) -> None:
    put(tmp_path / "set", "a.png", "b.png")
    (tmp_path / "set" / "note.txt").write_text("x")
    table(tmp_path / "set", text)
    with pytest.raises(InputError, match=complaint) as caught:
        read_manifest(tmp_path / "set")
    assert "labels.csv" in str(caught.value)


def test_table_in_another_encoding(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    assert "not UTF-8" in refused(table(tmp_path, "file,cell_type\na.png,Zürich\n", encoding="latin-1"))


def test_links(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside", "EO/1.png")
    root = put(tmp_path / "set", "EO/1.png")
    (root / "EO" / "2.png").symlink_to("1.png")
    assert len(read_manifest(root)) == 2
    (root / "EO" / "3.png").symlink_to(outside / "EO" / "1.png")
    assert "3.png is a link to" in refused(root)
    (root / "EO" / "3.png").unlink()
    (root / "BA").symlink_to(outside / "EO")
    assert "BA is a link to" in refused(root)
    (root / "BA").unlink()
    (root / "EO" / "loop").symlink_to(root)
    assert len(read_manifest(root)) == 2


def test_link_out_of_the_folder_in_a_table(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside", "1.png")
    root = put(tmp_path / "set", "a.png")
    os.symlink(outside / "1.png", root / "b.png")
    assert "outside the data set" in refused(table(root, "file,cell_type\na.png,EO\nb.png,EO\n"))


def test_unlisted_images(tmp_path: Path) -> None:
    put(tmp_path, "sheet.png", "EO/1.png")
    assert unlisted_images(read_manifest(tmp_path)) == ["sheet.png"]
