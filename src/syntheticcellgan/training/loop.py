"""The loop that all stages share: resume, log, checkpoint, grids, best by held-out images, interruption, NaN."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from torch import nn

from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.files import write_whole
from syntheticcellgan.training.checkpoint import load_checkpoint, read_progress, save_checkpoint
from syntheticcellgan.training.processes import averaged


class Stage(Protocol):
    """What learns: the autoencoder, one of the two games, or an adaptation of one."""

    name: str
    batch: int
    total_images: int
    samples_every: int  # images between sample grids and held-out scores
    scoring: str  # what the held-out score is taken of; scores of different things are never compared
    modules: Mapping[str, nn.Module]  # everything that a resume needs, the averaged weights included
    optimizers: Mapping[str, torch.optim.Optimizer]

    def step(self, index: int) -> dict[str, float]:
        """Learn from batch number `index` (from 0) and return the losses."""

    def set_learning_rate(self, progress: float) -> float:
        """Set and return the learning rate at `progress` in [0, 1]."""

    def sample_grid(self, path: Path) -> None:
        """Write a picture: one row per type, synthetic beside real."""

    def held_out_score(self) -> float:
        """Distance to held-out images, lower is better; features that training does not use."""


class Interrupted(ScgError):
    """The user pressed Ctrl-C; everything is saved."""

    exit_code = 130


Report = Callable[[str, int, int, float, Mapping[str, float]], None]
"""Called after each step with stage, images seen, images in all, images per second, losses."""


def learning_rate_factor(progress: float, decay_from: float) -> float:
    """1 until `decay_from`, then linear down to a twentieth at the end of the run."""
    if progress <= decay_from:
        return 1.0
    return 1.0 - 0.95 * min((progress - decay_from) / max(1 - decay_from, 1e-9), 1.0)


def set_rate(optimizers: Mapping[str, torch.optim.Optimizer], rate: float, progress: float, decay_from: float) -> float:
    """Give every optimizer the learning rate that belongs to `progress` in [0, 1], and return it."""
    rate *= learning_rate_factor(progress, decay_from)
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = rate
    return rate


def run_stage(
    stage: Stage,
    folder: Path,
    checkpoint_minutes: float,
    report: Report | None = None,
    stop_at: int | None = None,
    fabric: Fabric | None = None,
) -> int:
    """Train `stage` to its end (or to `stop_at` images), resuming from `folder` where a checkpoint lies there.

    `stage` counts the images of this process, everything here those of all processes of `fabric`; the first process
    writes.

    Returns:
        The number of images seen.

    Raises:
        Interrupted: Ctrl-C; the state is saved.
        ScgError: a loss is not finite; the last good checkpoint is kept.
        InputError: the checkpoint does not fit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    last = folder / "last.safetensors"
    progress: dict[str, Any] = {"images": 0, "best_score": math.inf, "seconds": 0.0}
    if last.exists():
        progress |= load_checkpoint(last, stage.modules, stage.optimizers)
    if progress.get("scoring") != stage.scoring:
        progress |= {"scoring": stage.scoring, "best_score": math.inf}
    processes = fabric.world_size if fabric else 1
    batch, total = processes * stage.batch, processes * stage.total_images
    end = min(total, processes * stop_at if stop_at else total)
    if progress["images"] >= end:
        return int(progress["images"])
    log = RunLog(folder, progress["images"]) if fabric is None or fabric.is_global_zero else None
    saved_at = time.monotonic()
    with deferred_interrupt() as interrupted:
        while progress["images"] < end:
            started = time.perf_counter()
            rate = stage.set_learning_rate(progress["images"] / total)
            losses = stage.step(progress["images"] // batch)
            stop = interrupted()
            if fabric is not None:  # all processes must see the same, or one would wait for ever
                losses = averaged(fabric, losses | {"stop": float(stop)})
                stop = losses.pop("stop") > 0
            _refuse_nan(losses, stage.name, progress["images"], last)
            progress["images"] += batch
            finished = progress["images"] >= end
            if log is None:
                if stop and not finished:
                    assert fabric is not None
                    fabric.barrier()  # until the first process has saved: where one ends with an error, launchers end all
                    raise Interrupted("Stopped.")
                continue
            seconds = time.perf_counter() - started
            progress["seconds"] += seconds
            log.write(progress["images"], losses | {"learning_rate": rate, "seconds": seconds})
            if report:
                report(stage.name, progress["images"], total, batch / seconds, losses)
            if progress["images"] % (processes * stage.samples_every) < batch or finished:
                _look_at_samples(stage, folder, log, progress)
            if finished or stop or time.monotonic() - saved_at > 60 * checkpoint_minutes:
                save_checkpoint(last, stage.modules, stage.optimizers, progress)
                saved_at = time.monotonic()
            if stop and not finished:
                if fabric is not None:
                    fabric.barrier()
                raise Interrupted(
                    f"Stopped after {progress['images']} images and saved. The same command goes on from here."
                )
    return int(progress["images"])


def keep_start(stage: Stage, folder: Path) -> None:
    """Finish a stage that sees no images: the weights that it begins with are its best."""
    if (folder / "last.safetensors").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    progress = {"images": 0, "best_score": stage.held_out_score(), "seconds": 0.0, "scoring": stage.scoring}
    for kept in ("best", "last"):
        save_checkpoint(folder / f"{kept}.safetensors", stage.modules, {}, progress)


def _refuse_nan(losses: Mapping[str, float], name: str, images: int, last: Path) -> None:
    if not all(math.isfinite(value) for value in losses.values()):
        raise ScgError(
            f"{name}: a loss is no longer a number after {images} images. "
            f"The last good state is kept in {last}. Begin again with a lower learning rate."
        )


def _look_at_samples(stage: Stage, folder: Path, log: RunLog, progress: dict[str, Any]) -> None:
    """A grid, and the distance to held-out images; the averaged weights are kept if none were nearer."""
    stage.sample_grid(folder / f"samples-{progress['images']:09d}.png")
    score = stage.held_out_score()
    log.write(progress["images"], {"held_out_score": score})
    if math.isnan(score) or score < progress["best_score"]:
        progress["best_score"] = score
        save_checkpoint(folder / "best.safetensors", stage.modules, {}, progress)


def images_seen(folder: Path) -> int:
    """How far a stage has come; 0 where it has not begun."""
    last = folder / "last.safetensors"
    return int(read_progress(last)["images"]) if last.exists() else 0


def load_best(folder: Path, modules: Mapping[str, nn.Module]) -> dict[str, Any]:
    """Load the averaged weights that did best on held-out images, into `modules`.

    Raises:
        InputError: the stage has no such checkpoint yet.
    """
    best = folder / "best.safetensors"
    if not best.exists():
        raise InputError(f"{folder} holds no trained network yet; run the training of that stage first.")
    return load_checkpoint(best, modules, {})


class RunLog:
    """`log.jsonl` and TensorBoard; lines past the resumed position are dropped, so that nothing stands twice."""

    def __init__(self, folder: Path, images: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.path = folder / "log.jsonl"
        if self.path.exists():
            lines = self.path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if _images_of(line) <= images]
            write_whole(self.path, "".join(line + "\n" for line in kept).encode())
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=images)

    def write(self, images: int, values: Mapping[str, float]) -> None:
        """Append one line."""
        rounded = {key: round(value, 6) for key, value in values.items()}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"images": images} | rounded) + "\n")
        for key, value in values.items():
            self.board.add_scalar(key, value, images)


def _images_of(line: str) -> float:
    try:
        return float(json.loads(line)["images"])
    except (ValueError, KeyError, TypeError):
        return math.inf  # the half-written last line of a killed run


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Ctrl-C sets a flag instead of tearing a step apart; a second one ends at once."""
    pressed = False

    def handle(signum: int, frame: object) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    try:
        previous = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: whoever started the thread looks after signals
        yield lambda: False
        return
    try:
        yield lambda: pressed
    finally:
        for s, handler in previous.items():
            signal.signal(s, handler)
