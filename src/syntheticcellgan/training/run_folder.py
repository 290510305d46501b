"""What a run folder says of itself: `run.json`, and where each stage keeps its files. Light, for those who only look on."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from syntheticcellgan import __version__
from syntheticcellgan.config import ChainConfig, TrainingConfig, from_dict
from syntheticcellgan.errors import InputError
from syntheticcellgan.training.hardware import Hardware

StageName = Literal["autoencoder", "low-resolution", "translation", "refinement"]
STAGES: tuple[StageName, ...] = ("autoencoder", "low-resolution", "translation", "refinement")


@dataclass(frozen=True)
class Run:
    """What `run.json` keeps: everything that decides the outcome."""

    chain: ChainConfig
    training: TrainingConfig
    hardware: Hardware
    data: str
    start: str = ""  # the bundle whose weights it begins with
    version: str = __version__


def read_run(out: Path) -> Run:
    """The settings of a run folder.

    Raises:
        InputError: there is no run, or its file was damaged.
    """
    path = out / "run.json"
    try:
        return from_dict(Run, json.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read ({error}); is {out} the folder of a run?") from error


def images_in_all(training: TrainingConfig, name: StageName) -> int:
    """How many images a stage is to see."""
    kimg = {
        "autoencoder": training.autoencoder.kimg,
        "low-resolution": training.low_resolution.kimg,
        "translation": training.translation.kimg,
        "refinement": training.refinement.kimg,
    }
    return int(kimg[name] * 1000)


def stages_of(training: TrainingConfig) -> tuple[StageName, ...]:
    """The stages of a run in order; the last one can be left out."""
    return STAGES if images_in_all(training, "refinement") else STAGES[:-1]


def chain_of_bundle(run: Run) -> ChainConfig:
    """The chain as the bundle will know it: with the spread that the finished generator is given."""
    generator = replace(run.chain.generator, spread=run.training.low_resolution.spread)
    return replace(run.chain, generator=generator)


def stage_folder(out: Path, name: StageName) -> Path:
    """Where a stage keeps its checkpoints, log and grids."""
    return out / name.replace("-", "_")
