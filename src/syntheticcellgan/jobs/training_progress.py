"""How far a training is, read from its run folder while it goes on: losses, speed, remaining time, the latest grid."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from syntheticcellgan.files import is_held

if TYPE_CHECKING:
    from syntheticcellgan.training.run_folder import Run

POINTS = 120
"""Of a curve; a log has tens of thousands of lines."""

RECENT = 60
"""Steps from which the present speed and losses are taken."""

_NO_LOSS = {"images", "learning_rate", "seconds", "held_out_score"}


@dataclass(frozen=True)
class StageProgress:
    """One stage. speed: images per second. remaining: seconds. losses: means of the last steps. curves: (images, loss)."""

    name: str
    images: int
    total: int
    speed: float | None = None
    remaining: float | None = None
    losses: dict[str, float] | None = None
    curves: dict[str, list[tuple[float, float]]] | None = None
    grid: Path | None = None

    @property
    def finished(self) -> bool:
        return self.images >= self.total


def read_progress(out: Path) -> list[StageProgress]:
    """Every stage of the run in `out`, in order. InputError if it holds none."""
    from syntheticcellgan.training.run_folder import images_in_all, read_run, stage_folder, stages_of

    run = read_run(out)
    return [
        _stage(stage_folder(out, name), name, images_in_all(run.training, name)) for name in stages_of(run.training)
    ]


def is_training(out: Path) -> bool:
    """Whether a process works on it now, whoever started it."""
    return any(is_held(path) for path in out.glob("*.lock"))


def describe(run: Run) -> str:
    """The types and sizes of a run in a line."""
    chain = run.chain
    types = ", ".join(name.replace("_", " ") for name in chain.cell_types)
    return f"{chain.generator.mode}, {chain.generator.resolution} → {chain.output_size} px: {types}"


def _stage(folder: Path, name: str, total: int) -> StageProgress:
    log = folder / "log.jsonl"
    if not log.exists():
        return StageProgress(name, 0, total)
    steps = [line for line in _last_lines(log, RECENT) if "seconds" in line]
    images = int(steps[-1]["images"]) if steps else 0
    seconds = sum(line["seconds"] for line in steps[1:])
    speed = (steps[-1]["images"] - steps[0]["images"]) / seconds if seconds > 0 else None
    remaining = max(total - images, 0) / speed if speed else None
    grids = sorted(folder.glob("samples-*.png"))
    sampled = [line for line in _sampled_lines(log, POINTS) if "seconds" in line]
    names = [name for name in (steps[-1] if steps else {}) if name not in _NO_LOSS]
    curves = {name: [(line["images"], line[name]) for line in sampled if name in line] for name in names}
    # Penalties are not taken at every step.
    values = {name: [line[name] for line in steps if name in line] for name in names}
    losses = {name: sum(found) / len(found) for name, found in values.items()}
    return StageProgress(name, images, total, speed, remaining, losses, curves, grids[-1] if grids else None)


def _line(text: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(text)
    except ValueError:
        return None  # half-written
    if not isinstance(values, dict) or not all(isinstance(v, int | float) for v in values.values()):
        return None
    return values if "images" in values and all(math.isfinite(v) for v in values.values()) else None


def _last_lines(path: Path, count: int) -> list[dict[str, Any]]:
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 400 * count))
        lines = file.read().splitlines()
    return [line for text in lines[-count:] if (line := _line(text)) is not None]


def _sampled_lines(path: Path, count: int) -> list[dict[str, Any]]:
    """About `count` lines, evenly over the file, without reading the others."""
    found: list[dict[str, Any]] = []
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        for k in range(count):
            file.seek(size * k // count)
            if k:
                file.readline()  # the rest of a line
            line = _line(file.readline())
            if line is not None and (not found or line["images"] > found[-1]["images"]):
                found.append(line)
    return found
