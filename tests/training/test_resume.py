"""N steps equal k steps + kill + N − k steps, bit for bit, at three different moments and with a real kill −9."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SETTINGS = {
    "generator": {"width": 16, "resolution": 32, "latent_size": 8},
    "translator": {"width": 8, "blocks": 1, "scale": 4},
    "checkpoint_minutes": 0.001,
    "autoencoder": {"kimg": 0.08, "batch": 4},
    "low_resolution": {"kimg": 0.24, "batch": 4, "penalty_interval": 4, "label_fade_kimg": 0.1},
    "translation": {"kimg": 0.12, "paired_kimg": 0.06, "batch": 4, "crop": 64, "penalty_interval": 4},
}


def start(data: Path, out: Path, tmp_path: Path) -> subprocess.Popen:
    config = tmp_path / "settings.json"
    config.write_text(json.dumps(SETTINGS))
    command = [sys.executable, "-m", "syntheticcellgan", "train", str(data), "--out", str(out)]
    command += ["--config", str(config), "--threads", "1"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def outcome(out: Path) -> dict[str, str]:
    stages = ("autoencoder", "low_resolution", "translation")
    files = [f"{stage}/{kept}.safetensors" for stage in stages for kept in ("last", "best")]
    files += ["bundle/generator.safetensors", "bundle/translator.safetensors"]
    digests = {name: hashlib.sha256(_tensors(out / name)).hexdigest() for name in files}
    # The log holds each step once, as in the undisturbed run; only the times differ.
    for stage in stages:
        lines = [json.loads(line) for line in (out / stage / "log.jsonl").read_text().splitlines()]
        digests[stage] = json.dumps([{k: v for k, v in line.items() if k != "seconds"} for line in lines])
    return digests


def _tensors(path: Path) -> bytes:
    """The file without its header, which records how many seconds it took."""
    raw = path.read_bytes()
    return raw[8 + int.from_bytes(raw[:8], "little") :]


def images_seen(out: Path, stage: str) -> int:
    log = out / stage / "log.jsonl"
    return len(log.read_text().splitlines()) * 4 if log.exists() else 0


@pytest.fixture(scope="module")
def undisturbed(drawn_cells: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed")
    process = start(drawn_cells, folder / "run", folder)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return outcome(folder / "run")


@pytest.mark.parametrize(("stage", "images"), [("autoencoder", 40), ("low_resolution", 120), ("translation", 80)])
def test_killed_and_resumed_equals_undisturbed(undisturbed, drawn_cells, tmp_path, stage, images):
    out = tmp_path / "run"
    process = start(drawn_cells, out, tmp_path)
    deadline = time.monotonic() + 120
    while images_seen(out, stage) < images:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (out / "bundle").exists()
    process = start(drawn_cells, out, tmp_path)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert outcome(out) == undisturbed


def test_interrupt_saves_and_says_how_to_go_on(drawn_cells, tmp_path):
    out = tmp_path / "run"
    process = start(drawn_cells, out, tmp_path)
    while images_seen(out, "low_resolution") < 20:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "same command goes on" in errors
    assert (out / "low_resolution" / "last.safetensors").exists()
