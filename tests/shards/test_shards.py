"""Generation in shards: one process or several, killed or not, the same bytes; and a check that sees every fault."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tests.command import scg
from tests.test_pipeline import make

import syntheticcellgan.shards.writing as writing
from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.data.tar import read_shard
from syntheticcellgan.engine import InPyTorch
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.files import NoLocks, lock
from syntheticcellgan.shards.checking import check_shards
from syntheticcellgan.shards.plan import Plan
from syntheticcellgan.shards.writing import write_shards
from syntheticcellgan.writer import Request

REQUESTS = [Request("monocyte", 7, 7), Request("platelet", 4), Request("lymphocyte", 7)]


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> SyntheticCellGAN:
    return make(tmp_path_factory.mktemp("b") / "tiny", ("lymphocyte", "monocyte", "platelet"))


@pytest.fixture(scope="module")
def whole(chain, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shards") / "whole"
    done = write_shards(chain, REQUESTS, folder, per_shard=5)
    assert (done.made, done.kept, done.elsewhere, done.images) == (4, 0, 0, 18)
    return folder


def sums(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()
    }


def test_types_take_turns_and_every_image_has_one_place():
    plan = Plan("b", "id", "png", 1.0, (Request("a", 5, 10), Request("b", 2), Request("c", 3)), per_shard=4)
    pairs = [list(plan.pairs(number)) for number in range(plan.shards)]
    assert [len(shard) for shard in pairs] == [4, 4, 2]
    expected = [("a", 10), ("b", 0), ("c", 0), ("a", 11), ("b", 1), ("c", 1), ("a", 12), ("c", 2), ("a", 13), ("a", 14)]
    assert list(itertools.chain(*pairs)) == expected


def test_a_plan_of_a_billion_images_is_made_at_once():
    plan = Plan("b", "id", "png", 1.0, tuple(Request(f"t{i}", 10**8, i) for i in range(10)), per_shard=10_000)
    assert plan.shards == 100_000
    assert list(plan.pairs(99_999))[-1] == ("t9", 10**8 - 1 + 9)


def test_webdataset_reads_the_shards_and_finds_the_images_of_the_chain(chain, whole):
    webdataset = pytest.importorskip("webdataset", reason="pip install webdataset to read the shards with it")
    urls = [str(path) for path in sorted(whole.glob("*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("rgb8"))
    assert len(samples) == 18
    for sample in samples:
        record = sample["json"]
        assert record["synthetic"] is True
        again = chain.generate(record["cell_type"], seed=record["seed"]).images[0]
        assert np.array_equal(sample["png"], again)
        assert ["lymphocyte", "monocyte", "platelet"][sample["cls"]] == record["cell_type"]


def test_the_image_in_a_shard_says_itself_that_it_is_synthetic(whole):
    for _, files in read_shard(whole / "000000.tar"):
        said = json.loads(Image.open(io.BytesIO(files["png"])).info["Description"])
        assert said["synthetic"] is True
        assert said == {k: v for k, v in json.loads(files["json"]).items() if k != "sha256"}


@pytest.mark.parametrize("image_format", ["jpeg", "tiff"])
def test_other_formats_are_whole_too(chain, tmp_path, image_format):
    write_shards(chain, [Request("monocyte", 3)], tmp_path / "out", image_format, per_shard=2)
    assert check_shards(tmp_path / "out").whole


def test_a_laboratorys_look_is_part_of_the_plan(chain, tmp_path):
    class Inverted:
        look = SimpleNamespace(name="inverted", id="0123")

        def __call__(self, image, key):
            return 255 - image

    styled = SyntheticCellGAN(chain.bundle, Inverted())
    write_shards(styled, [Request("monocyte", 3)], tmp_path / "out", per_shard=2)
    assert check_shards(tmp_path / "out").whole
    for _, files in read_shard(tmp_path / "out" / "000000.tar"):
        assert json.loads(files["json"])["style"] == "inverted"
    with pytest.raises(InputError, match="another generation"):
        write_shards(chain, [Request("monocyte", 3)], tmp_path / "out", per_shard=2)


def test_parts_of_a_job_array_make_what_one_process_makes(chain, whole, tmp_path):
    for part in ((2, 3), (1, 3), (3, 3)):
        write_shards(chain, REQUESTS, tmp_path / "out", per_shard=5, part=part)
    assert sums(tmp_path / "out") == sums(whole)


def test_a_shard_that_another_process_makes_is_left_to_it(chain, whole, tmp_path):
    with lock(tmp_path / "out" / writing.LOCKS / "000001"):
        done = write_shards(chain, REQUESTS, tmp_path / "out", per_shard=5)
    assert (done.made, done.elsewhere, done.images) == (3, 1, 13)
    assert not check_shards(tmp_path / "out").whole
    done = write_shards(chain, REQUESTS, tmp_path / "out", per_shard=5)
    assert (done.made, done.kept, done.images) == (1, 3, 18)
    assert sums(tmp_path / "out") == sums(whole)


COMMAND = """
import sys, torch
torch.set_num_threads(1)
from syntheticcellgan.cli import main
main(sys.argv[1:])
"""


def test_two_processes_killed_at_random_end_like_an_undisturbed_one(chain, tmp_path):
    """Each is killed several times with SIGKILL in the middle of a shard, and started again."""
    requests = [Request("monocyte", 300), Request("platelet", 300)]
    write_shards(chain, requests, tmp_path / "whole", per_shard=20)
    out = tmp_path / "out"
    arguments = ["generate", str(chain.bundle.path), "--cell-type", "monocyte", "--cell-type", "platelet"]
    arguments += ["--count", "300", "--shards", "--per-shard", "20", "--out", str(out), "--threads", "1"]
    chance = random.Random(0)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        return process

    kills = unfinished = 0
    for _ in range(3):
        before = set(out.glob(".*.part"))
        pair = [start(), start()]
        end = time.monotonic() + 60
        while set(out.glob(".*.part")) <= before and time.monotonic() < end:  # until one of them writes
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.3))
        for process in pair:
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
            assert "Traceback" not in process.communicate()[1]
        unfinished += len(list(out.glob(".*.part")))
        for path in out.glob("*.tar"):  # whole or absent, at any moment
            assert path.read_bytes() == (tmp_path / "whole" / path.name).read_bytes()
    assert kills >= 3
    assert unfinished  # at least once in the middle of a shard
    pair = [start(), start()]
    for process in pair:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    write_shards(chain, requests, out, per_shard=20)
    assert sums(out) == sums(tmp_path / "whole")
    assert check_shards(out).whole


def test_memory_does_not_grow_with_the_count(chain, tmp_path, monkeypatch):
    """What waits for its turn is bounded, however many images a shard has."""
    most = 0
    real = writing.encode

    def counting(*arguments):
        nonlocal most
        most = max(most, started[0] - taken[0])
        return real(*arguments)

    started, taken = [0], [0]
    original = chain.stream

    def stream(pairs, truncation):
        for cell in original(pairs, truncation):
            started[0] += 1
            yield cell

    monkeypatch.setattr(writing, "encode", counting)
    monkeypatch.setattr(writing, "PENDING", 8)
    monkeypatch.setattr(chain, "stream", stream)
    write_shards(
        chain,
        [Request("monocyte", 40)],
        tmp_path / "out",
        per_shard=40,
        progress=lambda done, _: taken.__setitem__(0, done),
    )
    assert 1 <= most <= 9


def damage(path: Path, what: str) -> None:
    content = bytearray(path.read_bytes())
    if what == "a byte of an image":
        content[1500] ^= 1
    elif what == "cut short":
        del content[len(content) // 2 :]
    elif what == "cut between members":
        with tarfile.open(path) as archive:
            del content[archive.getmembers()[-3].offset :]
    elif what == "empty":
        content.clear()
    elif what == "no tar":
        content[:] = b"to be or not to be " * 1000
    elif what == "another shard":
        content[:] = (path.parent / "000002.tar").read_bytes()
    path.write_bytes(content)


@pytest.mark.parametrize(
    "what", ["a byte of an image", "cut short", "cut between members", "empty", "no tar", "another shard"]
)
def test_the_check_sees_what_was_damaged_and_a_rerun_mends_it(chain, whole, tmp_path, capsys, what):
    out = tmp_path / "out"
    write_shards(chain, REQUESTS, out, per_shard=5)
    damage(out / "000001.tar", what)
    report = check_shards(out)
    assert not report.whole
    assert [name for name, _ in report.damaged] == ["000001.tar"]
    code, text = scg(capsys, "data", "check", out)
    assert code == 1
    assert "13 of 18 images in 4 shards: 0 shards are missing, 1 damaged" in text
    assert "000001.tar" in text
    (out / "000001.tar").unlink()
    write_shards(chain, REQUESTS, out, per_shard=5)
    assert sums(out) == sums(whole)


def test_the_check_names_what_is_missing_and_what_does_not_belong(whole, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    for path in whole.iterdir():
        if path.name != "000003.tar":
            (out / path.name).write_bytes(path.read_bytes())
    (out / "notes.txt").write_text("mine")
    (out / "00001.tar").write_bytes(b"")
    report = check_shards(out)
    assert (report.missing, report.foreign) == (("000003.tar",), ("00001.tar", "notes.txt"))
    code, text = scg(capsys, "data", "check", out, "--json", tmp_path / "report.json")
    assert code == 1
    assert "notes.txt" in text
    assert json.loads((tmp_path / "report.json").read_text())["whole"] is False


def test_the_command_writes_checks_and_explains(chain, tmp_path, capsys):
    common = ["generate", chain.bundle.path, "--all", "--count", "4", "--out", tmp_path / "my cells"]
    code, text = scg(capsys, *common, "--shards", "--per-shard", "5")
    assert code == 0, text
    assert "3 shards made, 0 were there: 12 images" in text
    code, text = scg(capsys, "data", "check", tmp_path / "my cells")
    assert code == 0, text
    assert "12 of 12 images in 3 shards" in text
    for options, said in (
        (["--shards", "--per-shard", "6"], "another generation"),
        (["--shards", "--per-shard", "0"], "A shard of 0 images"),
        (["--shards", "--per-shard", "5", "--part", "3/2"], "part 3/2 is none"),
        (["--shards", "--part", "two"], "for example 2/8"),
        (["--per-shard", "5"], "are for --shards"),
        ([], "another generation"),
    ):
        code, text = scg(capsys, *common, *options)
        assert code == 2
        assert said in text


def test_a_folder_with_other_files_is_refused(chain, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds other files"):
        write_shards(chain, REQUESTS, tmp_path)
    with pytest.raises(InputError, match="is a file"):
        write_shards(chain, REQUESTS, tmp_path / "thesis.txt")


def test_a_full_disk_ends_with_a_sentence_and_leaves_no_broken_shard(chain, whole, tmp_path, monkeypatch):
    real = tarfile.TarFile.addfile
    calls = itertools.count()

    def full(*arguments):
        if next(calls) == 20:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "addfile", full)
        with pytest.raises(ScgError, match="No space left"):
            write_shards(chain, REQUESTS, tmp_path / "out", per_shard=5)
    assert not list((tmp_path / "out").rglob("*.part"))
    write_shards(chain, REQUESTS, tmp_path / "out", per_shard=5)
    assert sums(tmp_path / "out") == sums(whole)


def test_without_locks_the_work_must_be_divided(chain, whole, tmp_path, monkeypatch):
    def none(path):
        raise NoLocks("no locks here")

    monkeypatch.setattr(writing, "lock", none)
    with pytest.raises(InputError, match="--part i/n"):
        write_shards(chain, REQUESTS, tmp_path / "out", per_shard=5)
    for part in ((1, 2), (2, 2)):
        write_shards(chain, REQUESTS, tmp_path / "out", per_shard=5, part=part)
    assert sums(tmp_path / "out") == sums(whole)


def test_shards_in_another_precision_say_so_and_are_whole(chain, tmp_path):
    rough = SyntheticCellGAN(chain.bundle, networks=InPyTorch(chain.bundle, "bfloat16"))
    write_shards(rough, REQUESTS[:1], tmp_path, per_shard=4)
    assert check_shards(tmp_path).whole
    _, sample = next(read_shard(tmp_path / "000000.tar"))
    assert json.loads(sample["json"])["precision"] == "bfloat16"
    with pytest.raises(InputError, match="other"):
        write_shards(chain, REQUESTS[:1], tmp_path, per_shard=4)
