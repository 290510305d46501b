from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from syntheticcellgan.data.check_view import check_table
from syntheticcellgan.data.checks import FEW, check
from syntheticcellgan.data.contact_sheet import contact_sheet
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.sample import sample_folder
from syntheticcellgan.errors import InputError, ScgError


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one of everything that a check should find."""
    root = tmp_path_factory.mktemp("a messy set")
    rng = np.random.default_rng(0)

    def cell(side: int = 64) -> Image.Image:
        pattern = rng.integers(0, 256, (16, 16, 3))
        return Image.fromarray(np.kron(pattern, np.ones((side // 16, side // 16, 1))).astype(np.uint8))

    for name in ("monocyte", "basophil"):
        (root / name).mkdir()
        for number in range(12):
            cell().save(root / name / f"{number:02d}.png")
    first = Image.open(root / "monocyte" / "00.png")
    first.save(root / "monocyte" / "00 again.bmp")  # exact
    first.save(root / "basophil" / "00 too.jpg", quality=70)  # near, and of another type
    Image.open(root / "basophil" / "03.png").save(root / "basophil" / "03 near.jpg", quality=70)
    Image.open(root / "basophil" / "04.png").rotate(90).save(root / "basophil" / "04 turned.png")
    cell(128).convert("CMYK").save(root / "monocyte" / "print.jpg")
    cell(128).convert("L").save(root / "monocyte" / "grey.png")
    Image.new("RGB", (64, 64), "pink").save(root / "monocyte" / "blank.png")
    (root / "monocyte" / "text.png").write_text("no image")
    Image.new("RGB", (1, 1)).save(root / "monocyte" / "dot.png")
    (root / "hairy cell").mkdir()
    cell().save(root / "hairy cell" / "only.png")
    cell().save(root / "overview.png")
    return root


def test_everything_is_found_in_one_pass(messy: Path) -> None:
    report = check(messy)
    assert report.images == 34
    assert report.counts == {"basophil": 15, "hairy_cell": 1, "monocyte": 16}
    assert sum(report.sizes.values()) == 32
    assert report.sizes["128×128"] == 2
    assert report.modes == {"RGB": 30, "CMYK": 1, "grey": 1}
    assert [file for file, _ in report.unreadable] == ["monocyte/dot.png", "monocyte/text.png"]
    assert "not an image" in report.unreadable[1][1]
    assert report.blank == ("monocyte/blank.png",)
    assert report.exact_duplicates == (("monocyte/00 again.bmp", "monocyte/00.png"),)
    assert set(map(frozenset, report.near_duplicates)) == {
        frozenset({"monocyte/00 again.bmp", "monocyte/00.png", "basophil/00 too.jpg"}),
        frozenset({"basophil/03.png", "basophil/03 near.jpg"}),
    }
    assert [set(group) for group in report.contradictions] == [
        {"monocyte/00 again.bmp", "monocyte/00.png", "basophil/00 too.jpg"}
    ]
    assert (report.patients, report.images_without_patient) == (0, 32)
    assert report.unlisted == ("overview.png",)


def test_warnings_name_what_to_mend(messy: Path) -> None:
    text = "\n".join(check(messy).warnings)
    assert "2 file(s) cannot be read" in text
    assert "below 10 of a type: hairy_cell 1." in text
    assert f"below {FEW}: expect little variety and look for copies: basophil 15, monocyte 16." in text
    assert "1 group(s) of duplicates bear different types" in text
    assert "1 image(s) are exact copies" in text
    assert "2 group(s) of near duplicates" in text
    assert "1 image(s) are of one shade" in text
    assert "1 image(s) in the folder belong to no type" in text


def test_minimum_can_be_stated(messy: Path) -> None:
    assert "below 16 of a type: basophil 15, hairy_cell 1." in "\n".join(check(messy, minimum=16).warnings)


def test_turned_duplicates_on_request(messy: Path) -> None:
    turned = {"basophil/04.png", "basophil/04 turned.png"}
    assert turned not in [set(group) for group in check(messy).near_duplicates]
    assert turned in [set(group) for group in check(messy, turned=True).near_duplicates]


def test_report_is_json_and_a_table(messy: Path) -> None:
    report = check(messy)
    back = json.loads(json.dumps(report.to_dict()))
    assert back["counts"] == report.counts
    assert back["unreadable"] == [list(entry) for entry in report.unreadable]
    console = Console(record=True, width=200, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(check_table(report))
    text = console.export_text()
    for word in ("hairy_cell", "CMYK (1)", "text.png", "not known: splits are by image", "Exact duplicates"):
        assert word in text


def test_patients_and_laboratories(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = ["file,cell_type,patient,laboratory"]
    for number in range(4):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,EO,{'P1' if number < 2 else ''},{'North' if number else 'South'}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    report = check(tmp_path, minimum=1)
    assert (report.patients, report.images_without_patient) == (1, 2)
    assert report.laboratories == {"North": 3, "South": 1}
    assert "without patient" in _text(report)


def _text(report) -> str:  # type: ignore[no-untyped-def]
    console = Console(record=True, width=200, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(check_table(report))
    return console.export_text()


def test_sample_has_nothing_to_mend_but_its_size() -> None:
    done: list[int] = []
    report = check(sample_folder(), progress=done.append)
    assert done == list(range(1, 161))
    assert set(report.counts.values()) == {16}
    assert len(report.warnings) == 1
    assert report.warnings[0].startswith("Few images")


def test_nothing_readable(tmp_path: Path) -> None:
    (tmp_path / "EO").mkdir()
    (tmp_path / "EO" / "a.png").write_text("x")
    report = check(tmp_path)
    assert report.counts == {"eosinophil": 0}
    assert _text(report)


def test_contact_sheet(messy: Path, tmp_path: Path) -> None:
    shown = contact_sheet(read_manifest(messy), tmp_path / "sheet.png", per_type=4, tile=32)
    sheet = Image.open(tmp_path / "sheet.png")
    assert sheet.size == (48 + 4 * 32, 3 * 32)
    assert 9 - 2 <= shown <= 9
    pixels = np.asarray(sheet)
    assert (pixels[32:64, 48 + 32 :] == 255).all()  # the one hairy cell stands alone in its row
    assert (pixels[:, :48] < 128).any()  # names are written


def test_contact_sheet_refuses(tmp_path: Path) -> None:
    manifest = read_manifest(sample_folder())
    with pytest.raises(InputError, match="at least 1 image"):
        contact_sheet(manifest, tmp_path / "sheet.png", per_type=0)
    with pytest.raises(ScgError, match="cannot be written"):
        contact_sheet(manifest, tmp_path / "none" / "sheet.png", per_type=1)
