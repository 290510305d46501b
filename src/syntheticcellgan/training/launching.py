"""Who started this process, and which of a run's processes it is: told by the environment, before torch is imported.

A single machine's processes are started by the first of them. On several, torchrun or SLURM's srun starts one for each
device, all at once; then the first one decides and writes, and the others wait for what it has written.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from syntheticcellgan.errors import InputError, ScgError

if TYPE_CHECKING:
    from lightning_fabric.plugins.environments import ClusterEnvironment

PATIENCE = 2 * 3600.0
"""Seconds that the others wait for the first one, which may have millions of images to look through."""

_PAGE = "see “Train on a large set, on a cluster” in the documentation"


@dataclass(frozen=True)
class Launch:
    """What started the processes: how many on each node, on how many nodes, and which of all this one is."""

    by: str
    devices: int
    nodes: int
    rank: int


def launch() -> Launch | None:
    """How torchrun or srun started this process; None if neither did.

    Raises:
        InputError: they started processes that cannot be shared out evenly.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        total, here, rank = (_number(name) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK"))
        if total % here:
            raise InputError("torchrun started other numbers of processes on different nodes; start as many on each.")
        return Launch("torchrun", here, total // here, rank)
    # A step is what srun starts; the batch script itself and what it calls directly is none.
    if "SLURM_STEP_ID" not in os.environ or _number("SLURM_NTASKS") == 1:
        return None
    if "SLURM_NTASKS_PER_NODE" not in os.environ:
        raise InputError(
            "SLURM was asked for --ntasks; ask for --nodes and --ntasks-per-node (one task for each device)."
        )
    return Launch("srun", _number("SLURM_NTASKS_PER_NODE"), _number("SLURM_NNODES"), _number("SLURM_PROCID"))


def numbers(devices: int | None, nodes: int | None) -> tuple[int, int]:
    """Devices on each node, and nodes, of a run: as asked for, or as started where nothing is asked.

    Raises:
        InputError: other numbers were started than are asked for, or several nodes and nothing started there.
    """
    started = launch()
    if started is None:
        if (nodes or 1) > 1:
            raise InputError(
                f"--nodes {nodes}: on several machines, torchrun or srun must start one process for each device; {_PAGE}."
            )
        return devices or 1, 1
    if (devices or started.devices, nodes or started.nodes) != (started.devices, started.nodes):
        raise InputError(
            f"{started.by} started {started.devices} process(es) on each of {started.nodes} node(s), but --devices "
            f"{devices or started.devices} --nodes {nodes or started.nodes} asks for others; {_PAGE}."
        )
    return started.devices, started.nodes


def is_helper() -> bool:
    """Whether this is not the first process of its run."""
    started = launch()
    return (_number("LOCAL_RANK") if started is None else started.rank) > 0


def environment(devices: int, nodes: int) -> ClusterEnvironment:
    """Fabric's view of it, said and not guessed: SLURM's variables stand in the environment of a lone process too."""
    from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment

    started = launch()
    if started is None or devices * nodes == 1:
        return LightningEnvironment()
    return TorchElasticEnvironment() if started.by == "torchrun" else SLURMEnvironment(auto_requeue=False)


def wait_for_start(out: Path, pause: float = 0.2) -> None:
    """Until the first process has opened the run folder.

    Raises:
        ScgError: it has not within `PATIENCE`.
    """
    began, told = time.monotonic(), False
    while not ((out / "run.json").exists() and any((out / name).exists() for name in ("split.json", "shards.json"))):
        waited = time.monotonic() - began
        if waited > PATIENCE:
            raise ScgError(
                f"{out}/run.json has not appeared; --out must be a folder that all nodes see under this name."
            )
        if waited > 60 and not told:
            told = True
            print(
                f"Waiting for the first process to write {out}/run.json; all nodes must see this folder.",
                file=sys.stderr,
            )
        time.sleep(pause)


def _number(name: str) -> int:
    text = os.environ.get(name, "")
    if name == "LOCAL_RANK" and not text:
        return 0
    try:
        return int(text)
    except ValueError:
        raise InputError(f"The environment variable {name} is “{text[:40]}” and no number; {_PAGE}.") from None
