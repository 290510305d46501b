"""The command line on bad input: exit code 2, one sentence that names the place, and nothing lost or left behind."""

from __future__ import annotations

import hashlib
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from syntheticcellgan.cli import main
from syntheticcellgan.data.images import read_image


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def scg(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, what was printed, and what was said of errors."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return int(code or 0), captured.out, captured.err


@pytest.fixture
def data(tmp_path: Path, drawn_cells: Path) -> Path:
    folder = tmp_path / "my “cells” of '98, Übung"
    shutil.copytree(drawn_cells, folder)
    return folder


def truncated_jpeg(data: Path) -> str:
    path = data / "monocyte" / "cut off.jpg"
    Image.open(next((data / "monocyte").glob("*.png"))).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    return path.name


def text_as_png(data: Path) -> str:
    (data / "monocyte" / "notes.png").write_text("no image")
    return "notes.png"


def one_pixel(data: Path) -> str:
    Image.new("RGB", (1, 1)).save(data / "platelet" / "dot.png")
    return "dot.png"


def huge(data: Path) -> str:
    """A PNG that says it has 30,000 × 30,000 pixels, in some bytes: it must be refused before they are allocated."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    parts = (
        b"\x89PNG\r\n\x1a\n",
        chunk(b"IHDR", header),
        chunk(b"IDAT", zlib.compress(bytes(90_001))),
        chunk(b"IEND", b""),
    )
    (data / "platelet" / "slide.png").write_bytes(b"".join(parts))
    return "slide.png"


def only_case(data: Path) -> str:
    shutil.copytree(data / "monocyte", data / "Monocyte")
    return "differ only in case"


def link_outside(data: Path) -> str:
    outside = data.parent / "private.png"
    Image.new("RGB", (64, 64)).save(outside)
    (data / "monocyte" / "link.png").symlink_to(outside)
    return "link.png"


def one_image(data: Path) -> str:
    for image in sorted((data / "monocyte").iterdir())[1:]:
        image.unlink()
    return "monocyte has 1 image"


def table_lists_a_missing_file(data: Path) -> str:
    (data / "labels.csv").write_text("file,cell_type\nmonocyte/gone.png,monocyte\n")
    return "there is no file monocyte/gone.png"


def table_without_a_column(data: Path) -> str:
    (data / "labels.csv").write_text("file,diagnosis\nmonocyte/monocyte 00.png,monocyte\n")
    return "no column 'cell_type'"


def table_with_a_row_twice(data: Path) -> str:
    row = "monocyte/monocyte 00.png,monocyte\n"
    (data / "labels.csv").write_text("file,cell_type\n" + row + row, encoding="utf-8-sig")
    return "lines 2 and 3 both list"


UNREADABLE = (truncated_jpeg, text_as_png, one_pixel, huge)
WRONG = (only_case, link_outside, table_lists_a_missing_file, table_without_a_column, table_with_a_row_twice)


@pytest.mark.parametrize("spoil", [*UNREADABLE, *WRONG, one_image])
def test_training_is_refused(spoil: Callable[[Path], str], data: Path, tmp_path: Path, capsys) -> None:
    said = spoil(data)
    before = contents(tmp_path)
    code, _, errors = scg(capsys, "train", data, "--out", tmp_path / "run", "--threads", "1")
    assert code == 2
    assert errors.startswith("Error: ")
    assert said in errors
    assert contents(tmp_path) == before


@pytest.mark.parametrize("spoil", UNREADABLE)
def test_a_check_goes_on_past_what_cannot_be_read_and_names_it(
    spoil: Callable[[Path], str], data: Path, tmp_path: Path, capsys
) -> None:
    said = spoil(data)
    before = contents(tmp_path)
    code, printed, _ = scg(capsys, "data", "check", data)
    assert code == 0
    assert said in printed.replace("\n", "")
    assert "1 file(s) cannot be read" in printed.replace("\n", " ")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("spoil", WRONG)
@pytest.mark.parametrize("verb", ["check", "split"])
def test_a_data_set_that_cannot_be_meant_is_refused(
    spoil: Callable[[Path], str], verb: str, data: Path, tmp_path: Path, capsys
) -> None:
    said = spoil(data)
    before = contents(tmp_path)
    extra = ("--out", tmp_path / "split.json") if verb == "split" else ()
    code, _, errors = scg(capsys, "data", verb, data, *extra)
    assert code == 2
    assert said in errors
    assert contents(tmp_path) == before


def test_images_of_every_usual_kind_are_one_data_set(data: Path, capsys) -> None:
    cell = Image.open(next((data / "monocyte").glob("*.png")))
    place = data / "monocyte"
    cell.convert("CMYK").save(place / "printed.jpg")
    cell.convert("L").save(place / "grey.png")
    cell.convert("RGBA").save(place / "with alpha.png")
    Image.fromarray(np.asarray(cell.convert("L")).astype(np.uint16) * 257).save(place / "16 bits.tif")
    turned = Image.Exif()
    turned[0x0112] = 6
    cell.save(place / "turned.jpg", exif=turned)
    for name in ("printed.jpg", "grey.png", "with alpha.png", "16 bits.tif", "turned.jpg"):
        image = read_image(place / name)
        assert (image.shape, image.dtype) == ((128, 128, 3), np.uint8)
    code, printed, _ = scg(capsys, "data", "check", data)
    assert code == 0
    assert "cannot be read" not in printed


@pytest.mark.parametrize("what", ["checksum", "cut zip", "no bundle", "misspelt"])
def test_a_wrong_bundle_makes_no_folder(what: str, tmp_path: Path, capsys) -> None:
    from syntheticcellgan.bundle import find_bundle

    place: str | Path = tmp_path / "bundle"
    if what == "checksum":
        shutil.copytree(find_bundle("pbc-256"), place)
        with open(place / "generator.safetensors", "r+b") as file:
            file.seek(-1, 2)
            file.write(b"\x7f")
    elif what == "cut zip":
        place = tmp_path / "bundle.zip"
        place.write_bytes(b"PK\x03\x04 and no more")
    elif what == "no bundle":
        place.mkdir()
    else:
        place = "pcb-256"
    for command in (("generate", place, "--all", "--out", tmp_path / "cells"), ("bundle", "verify", place)):
        code, _, errors = scg(capsys, *command)
        assert code == 2
        assert errors.startswith("Error: ")
        assert ("pbc-256" if what == "misspelt" else str(place)) in errors
    assert not (tmp_path / "cells").exists()
