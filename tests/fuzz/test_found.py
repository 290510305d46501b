"""What the fuzzer found, each in its smallest form: it ended with a stack trace once, and is refused with a sentence now."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from tests.fuzz.guard import memory, watched

from syntheticcellgan.bundle_files import read_files
from syntheticcellgan.data.importers import archives
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.samples import type_of
from syntheticcellgan.data.splits import read_split
from syntheticcellgan.data.upload import keep_upload
from syntheticcellgan.errors import InputError
from syntheticcellgan.review.database import open_database
from syntheticcellgan.review.sessions import Settings, create_session
from syntheticcellgan.shards.plan import has_shards, read_plan
from syntheticcellgan.stain.look import read_look


def archive(*entries: tuple[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as packed:
        for name, content in entries:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = how
            packed.writestr(entry, content)
    return buffer.getvalue()


def damaged(how: int) -> bytes:
    """An archive whose first file cannot be unpacked, though the archive's table is whole."""
    name, content = b"monocyte/1.png", bytes(range(256)) * 8
    made = bytearray(archive((name.decode(), content), how=how))
    start = 30 + len(name)
    made[start + 1 : start + 30] = b"\xff" * 29
    return bytes(made)


ARCHIVES = {
    "deflated data that is none": damaged(zipfile.ZIP_DEFLATED),
    "bzip2 data that is none": damaged(zipfile.ZIP_BZIP2),
    "lzma, which takes what memory it likes": archive(("monocyte/1.png", b"x" * 99), how=zipfile.ZIP_LZMA),
    "a file without a name": archive(("", b"x")),
    "no archive": b"PK\x05\x06 and no more",
}
NAMES = {
    "a name longer than any file's": archive(("monocyte/" + "a" * 300 + ".png", b"x")),
    "a file where a folder must be": archive(("monocyte.csv", b"x"), ("monocyte.csv/1.png", b"x")),
}


@pytest.mark.parametrize("what", [*ARCHIVES, *NAMES])
def test_an_archive(what, tmp_path):
    source = tmp_path / "set.zip"
    source.write_bytes((ARCHIVES | NAMES)[what])
    with watched(tmp_path), memory():
        with pytest.raises(InputError, match=r"set\.zip"):
            archives.unpacked(source, tmp_path / "imported")
        if what in ARCHIVES:  # what is sent gets names of our own, so that its names do no harm
            with pytest.raises(InputError), open(source, "rb") as file:
                keep_upload(file, tmp_path / "kept")
            assert not (tmp_path / "kept").exists()
            with pytest.raises(InputError):
                read_files(source)


def test_a_table_with_a_name_longer_than_any_files(tmp_path: Path):
    (tmp_path / "1.png").write_bytes(b"x")
    (tmp_path / "labels.csv").write_text("file,cell_type\n" + "a" * 300 + ".png,monocyte\n")
    with pytest.raises(InputError, match="there is no file"):
        read_manifest(tmp_path)


DEEP = "[" * 5000


def test_a_plan_of_shards_with_infinity_for_a_count(tmp_path: Path):
    plan = '{"bundle": "b", "bundle_id": "i", "format": "png", "truncation": 1, "per_shard": 9, "requests": [["a", %s, 0]]}'
    (tmp_path / "generation.json").write_text(plan % "Infinity")
    with pytest.raises(InputError, match="not the record"):
        read_plan(tmp_path)
    (tmp_path / "generation.json").write_text(DEEP)
    assert not has_shards(tmp_path)


def test_a_split_that_is_nested_too_deeply_or_names_no_text(tmp_path: Path):
    path = tmp_path / "split.json"
    path.write_text(DEEP)
    with pytest.raises(InputError, match="not a split"):
        read_split(path)
    kept = {
        "format": 1,
        "seed": 0,
        "unit": "image",
        "fingerprint": "",
        "train": ["\ud800"],
        "validation": [],
        "test": [],
    }
    path.write_text(json.dumps(kept))
    with pytest.raises(InputError, match="changed after it was written"):
        read_split(path)


def test_a_label_of_thousands_of_digits():
    assert type_of({}, {"cls": b"9" * 5000}, ["monocyte"]) == ""
    assert type_of({}, {"cls": b"0" * 12 + b"1"}, ["monocyte"]) == ""


def test_a_look_with_a_number_for_a_table(tmp_path: Path):
    (tmp_path / "look.json").write_text(
        '{"format": 1, "name": "x", "tried": 20, "whites": 1, "edges": 1, "diameters": 1, '
        '"colours": {"nucleus": 1, "cytoplasm": 1, "red_cells": 1}}'
    )
    with pytest.raises(InputError, match="damaged"):
        read_look(tmp_path / "look.json")


def test_a_session_of_a_type_without_a_letter(tmp_path: Path):
    for name in ("real", "synthetic"):
        (tmp_path / name / "monocyte").mkdir(parents=True)
        (tmp_path / name / "monocyte" / "1.png").write_bytes(b"x")
    sets = [read_manifest(tmp_path / name) for name in ("real", "synthetic")]
    database = open_database(tmp_path / "room.sqlite")
    with pytest.raises(InputError, match="no name of a cell type"):
        create_session(database, "t", *sets, Settings(1, 1, cell_types=("?",)))
    database.close()


def test_an_address_that_is_no_text(tmp_path: Path):
    """`GET /nowhere?\\xcb`: the page that says so must not fail itself."""
    import asyncio

    from tests.fuzz.targets import Post, status_of
    from tests.web.conftest import open_site

    (tmp_path / "real").mkdir()
    site = open_site(tmp_path, (tmp_path / "real", tmp_path / "real"))
    for path in ("/nowhere", "/enter", "/studio/", "/sessions/new", "/read/x/cell/1/1"):
        assert asyncio.run(status_of(site, Post(path, "", b"", "a=\xcb", "GET"))) == 400
    for path in ("*", ""):
        assert asyncio.run(status_of(site, Post(path, "", b"", "", "GET"))) == 400
    site.database.close()
