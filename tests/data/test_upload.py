"""An uploaded archive becomes a data set, whole or not at all."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.upload import keep_upload, unpacked
from syntheticcellgan.errors import InputError


def archive(*entries: tuple[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in entries:
            packed.writestr(name, content)
    return buffer


def test_it_is_kept_under_names_of_our_own(tmp_path, drawn_cells):
    picture = next(Path(drawn_cells).rglob("*.png")).read_bytes()
    sent = archive(("../../PLT/=x.png", picture), ("set/Eosinophils/b.PNG", picture), ("notes.txt", b""))
    keep_upload(sent, tmp_path / "data")
    kept = read_manifest(tmp_path / "data")
    assert kept.counts == {"eosinophil": 1, "platelet": 1}
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["0.png", "1.png", "labels.csv"]
    assert kept.records[0].attributes["source"] == "./PLT/=x.png"


def test_a_refused_archive_leaves_nothing(tmp_path):
    with pytest.raises(InputError):
        keep_upload(archive(("platelet/a.png", b"x"), ("!!/b.png", b"x")), tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_a_bad_image_is_named_as_the_user_knows_it():
    with (
        pytest.raises(InputError, match=r"^set/platelet/a\.png|^platelet/a\.png"),
        unpacked(archive(("set/platelet/a.png", b"x"))) as found,
    ):
        raise InputError(f"{found.path(found.records[0])} is not an image.")


class Spooled:
    """What the server keeps an upload in, as Python 3.10 has it: one can seek, but it does not say so."""

    def __init__(self, content: io.BytesIO) -> None:
        self.read, self.seek, self.tell, self.close = content.read, content.seek, content.tell, content.close


def test_a_file_that_does_not_say_that_one_can_seek_will_do(tmp_path, drawn_cells):
    picture = next(Path(drawn_cells).rglob("*.png")).read_bytes()
    keep_upload(Spooled(archive(("PLT/x.png", picture))), tmp_path / "data")
    assert read_manifest(tmp_path / "data").counts == {"platelet": 1}
