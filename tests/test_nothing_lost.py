"""A full disk (a small tmpfs), a read-only folder, an interrupted zip, a killed start: a sentence, and nothing is broken."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from syntheticcellgan.bundle import load_bundle, read_card, verify_bundle
from syntheticcellgan.bundle_writing import rewrite_card
from syntheticcellgan.errors import InputError, ScgError
from tests.command import scg
from tests.conftest import draw_cell
from tests.test_pipeline import make
from tests.test_writer import contents

TINY = {
    "generator": {"width": 16, "resolution": 32, "latent_size": 8},
    "translator": {"width": 8, "blocks": 1, "scale": 4},
    "checkpoint_minutes": 0.0001,
    "autoencoder": {"kimg": 0.02, "batch": 4},
}
Command = Callable[[Path], list[str]]


@contextmanager
def mounted(place: Path, kilobytes: int, options: str = "") -> Iterator[Path]:
    """A disk of its own with so much space; skips with a sentence where none can be mounted."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k{options}", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not allow mounting")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("b") / "tiny", ("monocyte", "platelet")).bundle.path


@pytest.fixture
def commands(bundle: Path, drawn_cells: Path, tmp_path: Path) -> dict[str, Command]:
    """Every verb that writes, given where to."""
    (tmp_path / "tiny.json").write_text(json.dumps(TINY))
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as packed:
        table = ["file_name,label"]
        for path in sorted(drawn_cells.rglob("*.png")):
            packed.write(path, f"set/{path.name}")
            table.append(f"{path.name},{path.parent.name}")
        packed.writestr("set/metadata.csv", "\n".join(table))
    train = [
        "train",
        str(drawn_cells),
        "--config",
        str(tmp_path / "tiny.json"),
        "--stage",
        "autoencoder",
        "--threads=1",
    ]
    generate = ["generate", str(bundle), "--all", "--count"]
    return {
        "train": lambda out: [*train, "--out", str(out)],
        "generate": lambda out: [*generate, "40", "--out", str(out)],
        "shards": lambda out: [*generate, "40", "--shards", "--out", str(out)],
        "bundle export": lambda out: ["bundle", "export", str(bundle), f"{out}.zip"],
        "data import": lambda out: ["data", "import", str(tmp_path / "set.zip"), "--out", str(out)],
        "data split": lambda out: ["data", "split", str(drawn_cells), "--out", f"{out}.json"],
        "export": lambda out: ["export", str(drawn_cells), "--format", "huggingface", "--out", str(out)],
    }


VERBS = ("train", "generate", "shards", "bundle export", "data import", "data split", "export")


@pytest.mark.parametrize("verb", VERBS)
def test_a_read_only_folder(verb, commands, tmp_path, capsys):
    with mounted(tmp_path / "disk", 64, ",ro") as disk:
        code, text = scg(capsys, *commands[verb](disk / "out"))
        assert code in (1, 2), text
        assert "Error: " in text
        assert "Read-only file system" in text
        assert "Traceback" not in text


@pytest.mark.parametrize("verb", VERBS)
def test_a_full_disk_and_the_same_command_when_there_is_room(verb, commands, tmp_path, capsys):
    """First with next to no space, then on the same disk made larger."""
    with mounted(tmp_path / "disk", 128) as disk:
        if verb in ("data split", "bundle export"):  # which are small
            (disk / "full").write_bytes(b"x" * (128 if verb == "data split" else 96) * 1024)
        code, text = scg(capsys, *commands[verb](disk / "out"))
        assert code in (1, 2), text
        assert "Error: " in text
        assert "space" in text or "room" in text, text
        assert "Traceback" not in text
        for path in disk.rglob("*.png"):
            with Image.open(path) as image:
                image.load()
        subprocess.run(["mount", "-o", "remount,size=40m", str(disk)], check=True)
        (disk / "full").unlink(missing_ok=True)
        code, text = scg(capsys, *commands[verb](disk / "out"))
        assert code == 0, text
        left = [path for path in disk.rglob("*") if path.name.endswith((".part", ".partial", ".lock"))]
        assert [path for path in left if path.name != "autoencoder.lock"] == []


def test_a_reading_session_on_a_full_disk_keeps_every_confirmed_answer(tmp_path, drawn_cells):
    from syntheticcellgan.data.manifest import read_manifest
    from syntheticcellgan.review import reading
    from syntheticcellgan.review.checklist import Answer
    from syntheticcellgan.review.database import open_database
    from syntheticcellgan.review.judgements import read_judgements
    from syntheticcellgan.review.sessions import Settings, create_session, invite_reader

    cells = read_manifest(drawn_cells)
    halves = [cells.select(range(k, len(cells), 2)) for k in (0, 1)]
    with mounted(tmp_path / "disk", 3000) as disk:
        database = open_database(disk / "room.sqlite")
        made = create_session(database, "Full", *halves, Settings(4, 4), seed=1)
        reader = reading.sign_in(database, invite_reader(database, made).token)
        free = shutil.disk_usage(disk).free
        (disk / "ballast").write_bytes(b"x" * max(free - 120_000, 0))
        kept, refused = [], ""
        for round_of in range(60):
            for position in range(24):
                item = reading.show_item(database, reader, 1, position).id
                try:
                    reading.save_answer(database, reader, item, Answer("real", 2, remark="r" * 900), f"{round_of}")
                    kept.append(item)
                except ScgError as error:
                    refused = str(error)
                    break
            if refused:
                break
        assert "its disk has space" in refused
        assert kept
        (disk / "ballast").unlink()
        reading.save_answer(database, reader, item, Answer("synthetic", 4), "again")
        judged = {j.position: j for j in read_judgements(database, made)}
        assert len(judged) == len({*kept, item})
        assert sum(j.changes + 1 for j in judged.values()) == len(kept) + 1, "every confirmed answer, and the last one"
        database.close()


# What a kill at an unlucky moment leaves behind


def test_a_start_that_was_killed_while_it_wrote_its_record_goes_on(commands, tmp_path, capsys):
    for verb, record in (("train", "run.json"), ("generate", "generation.json")):  # shards' are named by chance
        out = tmp_path / verb
        out.mkdir()
        (out / f"{record}.part").write_bytes(b'{"half')
        code, text = scg(capsys, *commands[verb](out))
        assert code == 0, text
        assert not (out / f"{record}.part").exists()


def test_a_folder_with_half_a_report_is_ones_own(tmp_path):
    from syntheticcellgan.evaluation.report.store import check_folder

    for name in ("report.json", "metrics.csv", "report.html"):
        (tmp_path / f"{name}.partial").write_bytes(b"{")
    check_folder(tmp_path)
    (tmp_path / "thesis.txt").write_bytes(b"x")
    with pytest.raises(InputError, match=r"thesis\.txt"):
        check_folder(tmp_path)


def test_a_bundle_whose_card_was_being_replaced_is_there_again(bundle, tmp_path):
    """Killed between the two renamings of `rewrite_card`."""
    place = tmp_path / "mine"
    shutil.copytree(bundle, tmp_path / "mine.former")
    shutil.copytree(bundle, tmp_path / "mine.part")
    assert load_bundle(place).id == load_bundle(bundle).id
    rewrite_card(place, read_card(place) | {"remark": "new"})
    assert verify_bundle(place).card["remark"] == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95, 0.999])
def test_a_zip_whose_copying_was_interrupted(share, commands, bundle, tmp_path, capsys):
    scg(capsys, *commands["bundle export"](tmp_path / "whole"))
    for name in ("whole.zip", "set.zip"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / f"cut-{name}").write_bytes(content[: int(share * len(content))])
    before = contents(tmp_path)
    verbs = (
        ("generate", tmp_path / "cut-whole.zip", "--all", "--out", tmp_path / "out"),
        ("bundle", "verify", tmp_path / "cut-whole.zip"),
        ("data", "import", tmp_path / "cut-set.zip", "--out", tmp_path / "out"),
    )
    for arguments in verbs:
        code, text = scg(capsys, *arguments)
        assert code == 2, text
        assert "cut-" in text
    assert contents(tmp_path) == before


def test_two_servers_may_share_a_reading_room_but_not_a_job(tmp_path):
    from syntheticcellgan.files import lock
    from syntheticcellgan.jobs.records import Jobs

    jobs = Jobs(tmp_path)
    with lock(jobs.lock_file("training-1")):
        write = {"name": "training-1", "kind": "training", "title": "First", "arguments": [], "state": "running"}
        (jobs.records / "training-1.json").write_text(json.dumps(write | {"began": 0.0, "ended": 0.0}))
        refusals: list[str] = []

        def ask() -> None:
            try:
                Jobs(tmp_path).start("training", "Second", lambda out: [])
            except InputError as error:
                refusals.append(str(error))

        asking = [threading.Thread(target=ask) for _ in range(4)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
    assert len(refusals) == 4
    assert "one at a time" in refusals[0]


def test_an_upload_that_breaks_off_leaves_nothing(tmp_path, drawn_cells):
    from syntheticcellgan.jobs.work_folder import WorkFolder

    class Breaking(io.BytesIO):
        """A disk that fails in the middle of being read."""

        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 9000 and size and size > 4096:
                raise OSError(5, "Input/output error")
            return super().read(size)

    buffer = Breaking()
    with zipfile.ZipFile(buffer, "w") as packed:
        for k in range(4):
            picture = io.BytesIO()
            draw_cell(90, 40, np.random.default_rng(k)).save(picture, "PNG")
            packed.writestr(f"monocyte/{k}.png", picture.getvalue())
    with pytest.raises(ScgError, match="Input/output error"):
        WorkFolder(tmp_path).keep(buffer)
    assert list(tmp_path.iterdir()) == []
