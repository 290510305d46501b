from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

import pytest

from syntheticcellgan.data.importers import archives
from syntheticcellgan.data.importers.archives import extract, unpacked
from syntheticcellgan.errors import InputError, ScgError


def archive(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return path


def test_images_and_tables_are_unpacked_others_left(tmp_path: Path) -> None:
    files = {"a/1.png": b"1", "a/labels.csv": b"2", "a/run.sh": b"3", "__MACOSX/a/._1.png": b"4", "a/.hidden.png": b"5"}
    extract(archive(tmp_path / "set.zip", **files), tmp_path / "out")
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {"a/1.png", "a/labels.csv"}


@pytest.mark.parametrize(
    "name", ["../x.png", "a/../../x.png", "/tmp/x.png", "C:/x.png", "C:\\x.png", "..\\x.png", "../x.txt"]
)
def test_entries_that_point_outside(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "set.zip", **{"a/1.png": b"1", name: b"2"})
    with pytest.raises(InputError, match=r"set\.zip has an entry .* points outside"):
        extract(path, tmp_path / "deep" / "out")
    assert not (tmp_path / "deep").exists()


def test_links(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as opened:
        link = zipfile.ZipInfo("a/link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="has a link"):
        extract(tmp_path / "set.zip", tmp_path / "out")


def test_decompression_bomb(tmp_path: Path) -> None:
    path = archive(tmp_path / "set.zip", **{"a/1.png": bytes(20_000_000)})
    with pytest.raises(InputError, match="would grow"):
        extract(path, tmp_path / "out")


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "set.zip", **{"1.png": os.urandom(1000), "2.png": os.urandom(1000)})
    monkeypatch.setattr(archives, "MAX_BYTES", 1500)
    with pytest.raises(InputError, match="too large"):
        extract(path, tmp_path / "out")
    monkeypatch.undo()
    monkeypatch.setattr(archives, "MAX_FILES", 1)
    with pytest.raises(InputError, match="too large"):
        extract(path, tmp_path / "out")
    monkeypatch.undo()
    monkeypatch.setattr(
        archives.shutil, "disk_usage", lambda _: os.terminal_size((0, 0)) and type("U", (), {"free": 10})
    )
    with pytest.raises(ScgError, match="make room"):
        extract(path, tmp_path / "out")


@pytest.mark.parametrize("cut", [50, 400])
def test_damaged_archives(tmp_path: Path, cut: int) -> None:
    path = archive(tmp_path / "set.zip", **{"1.png": os.urandom(1000)})
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InputError, match="cannot be unpacked"):
        extract(path, tmp_path / "out")


def test_wrong_checksum(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_STORED) as opened:
        opened.writestr("1.png", b"A" * 100)
    content = (tmp_path / "set.zip").read_bytes().replace(b"A" * 100, b"A" * 99 + b"B")
    (tmp_path / "set.zip").write_bytes(content)
    with pytest.raises(InputError, match="cannot be unpacked"):
        extract(tmp_path / "set.zip", tmp_path / "out")


def test_password(tmp_path: Path) -> None:
    path = archive(tmp_path / "set.zip", **{"1.png": b"1"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    path.write_bytes(content)
    with pytest.raises(InputError, match="password"):
        extract(path, tmp_path / "out")


def test_archive_in_an_archive_goes_into_a_folder_of_its_name(tmp_path: Path) -> None:
    inner = archive(tmp_path / "monocyte.zip", **{"1.png": b"1"}).read_bytes()
    outer = archive(tmp_path / "record.zip", **{"record/monocyte.zip": inner})
    root = unpacked(outer, tmp_path / "scratch")
    assert [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()] == [
        "record/monocyte/1.png"
    ]


def test_folder_without_archives_is_used_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert unpacked(tmp_path, tmp_path / "scratch") == tmp_path
