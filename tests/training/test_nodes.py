"""Two machines, played by two processes of this one: started by torchrun, or as SLURM's srun starts them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.training.test_resume import PROCESSES

from syntheticcellgan.cli import main
from syntheticcellgan.errors import InputError
from syntheticcellgan.exports import export_dataset
from syntheticcellgan.training import hardware
from syntheticcellgan.training.checkpoint import read_progress
from syntheticcellgan.training.launching import environment, is_helper, launch, numbers
from syntheticcellgan.training.randomness import Chance, Process

STEPS, COMPARED = 16, 7
SETTINGS = {
    "generator": {"width": 16, "resolution": 32, "latent_size": 8},
    "translator": {"width": 8, "blocks": 1},
    "checkpoint_minutes": 60,
    "autoencoder": {"kimg": 0.004 * STEPS, "batch": 4},
}
FLOAT32 = hardware.Hardware("cpu", "32-true", "test")
TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8", "RANK": "9", "LOCAL_RANK": "1"}
SRUN = {
    "SLURM_JOB_ID": "1234567",
    "SLURM_STEP_ID": "0",
    "SLURM_NTASKS": "16",
    "SLURM_NTASKS_PER_NODE": "8",
    "SLURM_NNODES": "2",
    "SLURM_PROCID": "8",
}


def command(data: Path, out: Path, settings: Path) -> list[str]:
    settings.write_text(json.dumps(SETTINGS))
    options = ["--config", str(settings), "--stage", "autoencoder", "--threads", "1"]
    return ["train", str(data), "--out", str(out), *options]


def train(arguments: list[str], variables: dict[str, str]) -> None:
    """`scg` in float32, where sums do not depend on how a batch was divided, but for rounding."""
    os.environ.update(variables)
    hardware.find_hardware = lambda: FLOAT32
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the process ends with it
    main(arguments)


def losses(out: Path) -> list[dict[str, float]]:
    lines = map(json.loads, (out / "autoencoder" / "log.jsonl").read_text().splitlines())
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def free_port() -> str:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return str(listening.getsockname()[1])


@pytest.fixture(scope="module")
def shards(drawn_cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards") / "cells"
    export_dataset(drawn_cells, folder, "webdataset")
    return folder


@pytest.fixture(scope="module")
def alone(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float]]:
    """What one process learns with the whole batch."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hardware, "find_hardware", lambda: FLOAT32)
        main(command(shards, folder / "run", folder / "settings.json"))
    return losses(folder / "run")


def same(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> None:
    assert len(ours) == len(theirs) > STEPS
    assert [line["images"] for line in ours] == [line["images"] for line in theirs]
    for a, b in zip(ours, theirs, strict=True):
        if b["images"] > 4 * COMPARED:
            break
        assert a == pytest.approx(b, rel=2e-2)  # a game makes much of a little rounding; another batch differs by more
    assert ours[0] == pytest.approx(theirs[0], rel=1e-5)  # nothing learnt yet: the same images and the same noise


def test_two_nodes_under_torchrun_learn_what_one_process_does(alone, shards: Path, tmp_path: Path) -> None:
    (tmp_path / "start.py").write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from tests.training.test_nodes import train\n"
        "train(sys.argv[1:], {})\n"
    )
    port = free_port()
    nodes = []
    for node in ("0", "1"):
        how = [
            "--nnodes=2",
            "--nproc-per-node=1",
            f"--node-rank={node}",
            "--master-addr=127.0.0.1",
            f"--master-port={port}",
        ]
        own = [str(tmp_path / "start.py"), *command(shards, tmp_path / "run", tmp_path / "settings.json")]
        run = [sys.executable, "-m", "torch.distributed.run", *how, *own, "--devices", "1", "--nodes", "2"]
        nodes.append(subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
    for node in nodes:
        said = node.communicate(timeout=240)[1]
        assert node.returncode == 0, said
    same(losses(tmp_path / "run"), alone)


def test_stopped_under_slurm_and_ended_by_one_process_equals_undisturbed(alone, shards: Path, tmp_path: Path) -> None:
    arguments = command(shards, tmp_path / "run", tmp_path / "settings.json")
    of_all = {
        **SRUN,
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_LOCALID": "0",
        "SLURM_NODELIST": "127.0.0.1",
    }
    port = free_port()
    tasks = []
    for node in ("0", "1"):
        variables = {**of_all, "SLURM_PROCID": node, "SLURM_NODEID": node, "MASTER_PORT": port, "SLURM_JOB_NAME": "scg"}
        tasks.append(PROCESSES.Process(target=train, args=(arguments, variables)))
        tasks[-1].start()
    log = tmp_path / "run" / "autoencoder" / "log.jsonl"
    deadline = time.monotonic() + 120
    while not log.exists() or log.read_text().count('"learning_rate"') < 2:
        assert all(task.is_alive() for task in tasks)
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(tasks[1].pid, signal.SIGTERM)  # of the two, the one that does not write: all must save and end
    for task in tasks:
        task.join(120)
        assert task.exitcode == 130
    assert 8 <= read_progress(log.with_name("last.safetensors"))["images"] < 4 * STEPS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hardware, "find_hardware", lambda: FLOAT32)
        main(arguments)
    same(losses(tmp_path / "run"), alone)


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*TORCHRUN, *SRUN, "SLURM_JOB_NAME"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(("variables", "kind"), [(TORCHRUN, "TorchElastic"), (SRUN, "SLURM")])
def test_what_was_started_is_told_by_the_environment(variables: dict[str, str], kind: str, clean) -> None:
    assert launch() is None
    assert numbers(None, None) == (1, 1)
    assert numbers(8, None) == (8, 1)
    assert not is_helper()
    for name, value in variables.items():
        clean.setenv(name, value)
    assert numbers(None, None) == numbers(8, 2) == (8, 2)
    assert is_helper()
    assert type(environment(8, 2)).__name__ == f"{kind}Environment"
    with pytest.raises(InputError, match="started 8 process"):
        numbers(4, 2)
    with pytest.raises(InputError, match="asks for others"):
        numbers(None, 1)


def test_a_batch_script_that_starts_one_process_itself_is_no_srun(clean) -> None:
    for name, value in SRUN.items():
        if name != "SLURM_STEP_ID":
            clean.setenv(name, value)
    assert numbers(8, None) == (8, 1)
    assert type(environment(8, 1)).__name__ == "LightningEnvironment"
    with pytest.raises(InputError, match="--nodes 2: on several machines, torchrun or srun must start"):
        numbers(8, 2)


def test_processes_that_cannot_be_shared_out_are_refused(clean) -> None:
    for name, value in {**TORCHRUN, "WORLD_SIZE": "15"}.items():
        clean.setenv(name, value)
    with pytest.raises(InputError, match="other numbers of processes on different nodes"):
        numbers(None, None)
    clean.setenv("WORLD_SIZE", "many")
    with pytest.raises(InputError, match="WORLD_SIZE is “many”"):
        numbers(None, None)
    clean.delenv("TORCHELASTIC_RUN_ID")
    for name, value in SRUN.items():
        clean.setenv(name, value)
    clean.delenv("SLURM_NTASKS_PER_NODE")
    with pytest.raises(InputError, match="--ntasks-per-node"):
        numbers(None, None)


def test_an_image_meets_the_same_numbers_in_whichever_process() -> None:
    whole = Chance(3, "step")
    parts = [Chance(3, "step", process=Process(rank, 3)) for rank in range(3)]
    for name, shape, dim in (("normal", (2, 5), 0), ("uniform", (2, 4), 1), ("normal", (2, 3, 1), 1)):
        bounds = [size * (3 if place == dim else 1) for place, size in enumerate(shape)]
        together = getattr(whole, name)(*bounds, dim=dim)
        for rank, part in enumerate(parts):
            own = getattr(part, name)(*shape, dim=dim)
            assert own.equal(together.index_select(dim, own.new_tensor(range(rank, bounds[dim], 3)).long()))
    assert whole.shared(0, 100, 4) == parts[0].shared(0, 100, 4) == parts[2].shared(0, 100, 4)
