"""N steps equal k steps + kill + N − k steps, bit for bit, at three different moments and with a real kill −9."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from syntheticcellgan.cli import main

# Processes of their own, but torch and all that training needs is imported once, by the server that forks them.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["syntheticcellgan.training.run", "syntheticcellgan.training.finish", "torch.utils.tensorboard"]
)

SETTINGS = {
    "generator": {"width": 16, "resolution": 32, "latent_size": 8},
    "translator": {"width": 8, "blocks": 1, "scale": 4},
    "checkpoint_minutes": 0.001,
    "autoencoder": {"kimg": 0.048, "batch": 4},
    "low_resolution": {"kimg": 0.12, "batch": 4, "penalty_interval": 4, "label_fade_kimg": 0.05},
    "translation": {"kimg": 0.08, "paired_kimg": 0.04, "batch": 4, "crop": 64, "penalty_interval": 4},
    "refinement": {"kimg": 0.024, "batch": 4, "crop": 64, "compared": 8, "remembered": 3},
}


def train(data: Path, out: Path, folder: Path) -> None:
    """`scg train` as a user runs it; what it says goes to `folder`/said."""
    config = folder / "settings.json"
    config.write_text(json.dumps(SETTINGS))
    sys.stdout = sys.stderr = open(folder / "said", "w", buffering=1)  # noqa: SIM115 - the process ends with it
    main(["train", str(data), "--out", str(out), "--config", str(config), "--threads", "1"])


def start(data: Path, out: Path, folder: Path) -> BaseProcess:
    process = PROCESSES.Process(target=train, args=(data, out, folder))
    process.start()
    return process


def finish(process: BaseProcess, folder: Path) -> str:
    """Wait for the end and give what was said."""
    process.join(240)
    assert process.exitcode is not None, "it hangs"
    return (folder / "said").read_text()


def wait_for(out: Path, stage: str, images: int, process: BaseProcess, folder: Path) -> None:
    deadline = time.monotonic() + 120
    while images_seen(out, stage) < images:
        assert process.is_alive(), finish(process, folder)
        assert time.monotonic() < deadline
        time.sleep(0.005)


def outcome(out: Path) -> dict[str, str]:
    stages = ("autoencoder", "low_resolution", "translation", "refinement")
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
    said = finish(process, folder)
    assert process.exitcode == 0, said
    return outcome(folder / "run")


@pytest.mark.parametrize(
    ("stage", "images"), [("autoencoder", 28), ("low_resolution", 60), ("translation", 44), ("refinement", 12)]
)
def test_killed_and_resumed_equals_undisturbed(undisturbed, drawn_cells, tmp_path, stage, images):
    out = tmp_path / "run"
    process = start(drawn_cells, out, tmp_path)
    wait_for(out, stage, images, process, tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (out / "bundle").exists()
    process = start(drawn_cells, out, tmp_path)
    said = finish(process, tmp_path)
    assert process.exitcode == 0, said
    assert outcome(out) == undisturbed


def test_interrupt_saves_and_says_how_to_go_on(drawn_cells, tmp_path):
    out = tmp_path / "run"
    process = start(drawn_cells, out, tmp_path)
    wait_for(out, "low_resolution", 20, process, tmp_path)
    os.kill(process.pid, signal.SIGINT)
    said = finish(process, tmp_path)
    assert process.exitcode == 130
    assert "same command goes on" in said
    assert (out / "low_resolution" / "last.safetensors").exists()
