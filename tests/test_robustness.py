"""What a machine can do to a user: links in circles, no home folder, a clock that goes backwards, two starts at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import scg
from tests.test_pipeline import make
from tests.test_writer import contents


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("b") / "tiny", ("monocyte", "platelet")).bundle.path


@pytest.fixture
def tiny_settings(tmp_path: Path) -> str:
    """A configuration that trains in seconds."""
    settings = {
        "generator": {"width": 16, "resolution": 32, "latent_size": 8},
        "translator": {"width": 8, "blocks": 1, "scale": 4},
        "checkpoint_minutes": 0.001,
        "autoencoder": {"kimg": 0.08, "batch": 4},
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    return str(tmp_path / "settings.json")


def circle(place: Path) -> Path:
    """Two links that point at each other."""
    (place / "a").symlink_to(place / "b")
    (place / "b").symlink_to(place / "a")
    return place / "a"


VERBS = {
    "train": lambda loop, out: ["train", loop, "--out", out, "--threads", "1"],
    "generate": lambda loop, out: ["generate", loop, "--all", "--out", out],
    "data check": lambda loop, out: ["data", "check", loop],
    "data import": lambda loop, out: ["data", "import", loop, "--out", out],
    "data split": lambda loop, out: ["data", "split", loop, "--out", out],
    "export": lambda loop, out: ["export", loop, "--format", "huggingface", "--out", out],
    "bundle show": lambda loop, out: ["bundle", "show", loop],
    "bundle verify": lambda loop, out: ["bundle", "verify", loop],
    "bundle export": lambda loop, out: ["bundle", "export", loop, out],
    "evaluate": lambda loop, out: ["evaluate", "--real", loop, "--synthetic", loop, "--out", out],
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_link_in_circles_is_refused_with_a_sentence(verb: str, tmp_path: Path, capsys) -> None:
    loop = circle(tmp_path)
    code, text = scg(capsys, *VERBS[verb](loop, tmp_path / "out"))
    assert code == 2, text
    assert text.startswith("Error: ")
    assert str(loop) in text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["train", "generate", "shards", "data import", "export"])
def test_an_output_that_is_a_link_in_circles_is_refused(verb: str, tmp_path: Path, capsys, bundle, drawn_cells) -> None:
    loop = circle(tmp_path)
    commands = {
        "train": ["train", drawn_cells, "--out", loop, "--threads", "1"],
        "generate": ["generate", bundle, "--all", "--count", "1", "--out", loop],
        "shards": ["generate", bundle, "--all", "--count", "1", "--out", loop, "--shards"],
        "data import": ["data", "import", drawn_cells, "--out", loop],
        "export": ["export", drawn_cells, "--format", "huggingface", "--out", loop],
    }
    code, text = scg(capsys, *commands[verb])
    assert code in (1, 2), text
    assert "Error: " in text
    assert os.path.islink(tmp_path / "a")
    assert os.path.islink(tmp_path / "b")


@pytest.mark.parametrize("verb", ["data check", "data split", "export"])
def test_a_circle_inside_a_data_set_does_not_hang(verb: str, tmp_path: Path, capsys, drawn_cells) -> None:
    data = tmp_path / "data"
    for name in ("monocyte", "platelet"):
        (data / name).mkdir(parents=True)
        for path in drawn_cells.joinpath(name).iterdir():
            (data / name / path.name).write_bytes(path.read_bytes())
    (data / "monocyte" / "again").symlink_to(data)  # a folder that holds itself
    (data / "platelet" / "x.png").symlink_to(data / "platelet" / "y.png")
    (data / "platelet" / "y.png").symlink_to(data / "platelet" / "x.png")
    out = tmp_path / "out"
    command = VERBS[verb](data, out)
    code, text = scg(capsys, *command)
    assert code == 2, text
    assert "is a link that leads nowhere" in text
    for name in ("x.png", "y.png"):
        (data / "platelet" / name).unlink()
    code, text = scg(capsys, *command)
    assert code == 0, text
    if verb == "data check":
        assert "32 images" in text


def test_a_link_out_of_the_folder_is_refused_for_exports_too(tmp_path: Path, capsys, drawn_cells) -> None:
    data = tmp_path / "data" / "monocyte"
    data.mkdir(parents=True)
    (data / "private.png").symlink_to(next((drawn_cells / "monocyte").iterdir()))
    code, text = scg(capsys, "export", tmp_path / "data", "--format", "huggingface", "--out", tmp_path / "out")
    assert code == 2
    assert "outside the data set" in text
    assert not (tmp_path / "out").exists()


EACH = """
import json, sys, torch
torch.set_num_threads(1)
from syntheticcellgan.cli import main
for arguments in json.loads(sys.argv[1]):
    assert not main(arguments)
"""


def test_no_home_folder_is_needed(bundle: Path, drawn_cells: Path, tmp_path: Path) -> None:
    """HOME and every cache below it cannot be made, not even by root."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")} | {"HOME": "/dev/null"}
    commands = (
        ["generate", str(bundle), "--all", "--count", "1", "--out", str(tmp_path / "cells")],
        ["data", "check", str(drawn_cells)],
        ["export", str(tmp_path / "cells"), "--format", "coco", "--out", str(tmp_path / "coco")],
    )
    command = [sys.executable, "-c", EACH, json.dumps(commands)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


BACKWARDS = """
import itertools, sys, time
hours, now = itertools.count(), time.time()
time.time = lambda: now - 3600 * next(hours)  # each look an hour earlier; the steady clocks stay steady
import torch
torch.set_num_threads(1)
from syntheticcellgan.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_clock_that_goes_backwards_changes_nothing(bundle: Path, tmp_path: Path, capsys) -> None:
    arguments = ["generate", bundle, "--all", "--count", "3", "--shards", "--per-shard", "2"]
    assert scg(capsys, *arguments, "--out", tmp_path / "straight")[0] == 0
    command = [sys.executable, "-c", BACKWARDS, *map(str, arguments), "--out", str(tmp_path / "back")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    os.utime(tmp_path / "back" / "generation.json", (0, 0))  # and files from before the epoch of anything
    assert contents(tmp_path / "back") == contents(tmp_path / "straight")
    assert scg(capsys, *arguments, "--out", tmp_path / "back")[0] == 0


def test_training_with_a_clock_that_goes_backwards_learns_the_same(
    tmp_path: Path, capsys, drawn_cells, tiny_settings
) -> None:
    common = ["train", drawn_cells, "--config", tiny_settings, "--stage", "autoencoder", "--threads", "1"]
    assert scg(capsys, *common, "--out", tmp_path / "straight")[0] == 0
    command = [sys.executable, "-c", BACKWARDS, *map(str, common), "--out", str(tmp_path / "back")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    straight, back = (tmp_path / name / "autoencoder" / "last.safetensors" for name in ("straight", "back"))
    assert weights(back.read_bytes()) == weights(straight.read_bytes())


def weights(content: bytes) -> bytes:
    """The tensors of a safetensors file, without its header (which may hold seconds)."""
    length = int.from_bytes(content[:8], "little")
    assert json.loads(content[8 : 8 + length])
    return content[8 + length :]


def test_two_generations_into_one_folder_the_second_is_refused(tmp_path: Path, capsys, bundle) -> None:
    from syntheticcellgan.files import alone

    out = tmp_path / "cells"
    arguments = ["generate", bundle, "--all", "--count", "2", "--out", out]
    assert scg(capsys, *arguments)[0] == 0
    whole = contents(out)
    with alone(out):
        code, text = scg(capsys, *arguments)
        assert code == 2
        assert "in use by another process" in text
    assert scg(capsys, *arguments)[0] == 0
    assert contents(out) == whole  # and no lock is left
