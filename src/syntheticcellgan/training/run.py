"""A whole training run: one folder, four stages, one bundle. The same call again goes on where it stopped."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from syntheticcellgan.config import to_dict
from syntheticcellgan.errors import InputError
from syntheticcellgan.files import lock, write_json
from syntheticcellgan.networks.autoencoder import Autoencoder
from syntheticcellgan.networks.blocks import channels_last
from syntheticcellgan.networks.generator import LowResolutionGenerator
from syntheticcellgan.networks.translator import Translator
from syntheticcellgan.training.autoencoding import AutoencoderStage
from syntheticcellgan.training.data_set import Data
from syntheticcellgan.training.feed import Feed
from syntheticcellgan.training.hardware import Hardware
from syntheticcellgan.training.launching import environment, is_helper
from syntheticcellgan.training.loop import Report, Stage, images_seen, keep_start, load_best, run_stage
from syntheticcellgan.training.low_resolution import LowResolutionStage
from syntheticcellgan.training.processes import AveragedGradients, leave_together, share
from syntheticcellgan.training.refinement import RefinementStage
from syntheticcellgan.training.run_folder import (
    Run,
    StageName,
    chain_of_bundle,
    images_in_all,
    read_run,
    stage_folder,
    stages_of,
)
from syntheticcellgan.training.start import RECORD, Start, keep_record
from syntheticcellgan.training.translation import TranslationStage


def open_run(out: Path, run: Run) -> Run:
    """Begin a run folder, or make sure that an existing one was begun with the same settings.

    Raises:
        InputError: the folder holds other files, or a run with other settings (the first difference is named).
    """
    path = out / "run.json"
    if not path.exists():
        ours = {"run.lock", RECORD, RECORD + ".part", path.name + ".part"}  # of a start that was killed at once
        if out.exists() and {p.name for p in out.iterdir()} - ours:
            raise InputError(f"{out} holds other files; choose an empty or new folder with --out.")
        keep_record(run.start, out)
        write_json(path, to_dict(run))
        return run
    kept = read_run(out)
    difference = _first_difference(to_dict(kept), to_dict(run))
    if difference:
        raise InputError(
            f"{out} holds a run that was begun with other settings ({difference}). "
            "Leave the options as they were to resume it, or choose another --out folder."
        )
    return kept


def train(
    run: Run,
    data: Data,
    out: Path,
    stages: tuple[StageName, ...] | None = None,
    report: Report | None = None,
    devices: int = 1,
    nodes: int = 1,
) -> None:
    """Train the stages in `out`, all that the run has unless some are named, resuming each; a finished one is left alone.

    devices: processes on each of `nodes` machines. `translation` without a finished low-resolution stage learns phase one only.

    Raises:
        InputError, ScgError, Interrupted: see `loop.run_stage`.
    """
    stages = tuple(name for name in stages_of(run.training) if stages is None or name in stages)
    if devices * nodes > 1 and not is_helper():
        for name in stages:  # refuse before other processes are started or waited for
            share(getattr(run.training, stage_folder(out, name).name), devices * nodes)
            with lock(out / f"{name}.lock"):
                pass
    fabric = make_fabric(run.hardware, devices, nodes)
    for name in stages:
        if finished(run, out, (name,)):  # not even built: that may take a minute
            continue
        with lock(out / f"{name}.lock") if fabric.is_global_zero else contextlib.nullcontext():
            with fabric.rank_zero_first():  # the first one fills the cache
                stage, stop = build_stage(name, fabric, run, data, out)
            if stage.total_images:
                run_stage(stage, stage_folder(out, name), run.training.checkpoint_minutes, report, stop, fabric)
            elif fabric.is_global_zero:
                keep_start(stage, stage_folder(out, name))
            fabric.barrier()  # until the last checkpoint is written


def make_fabric(hardware: Hardware, devices: int = 1, nodes: int = 1) -> Fabric:
    """Lightning Fabric for the run's device and precision, on `devices` of each of `nodes` machines."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it greets once per process
    where: Any = {"accelerator": hardware.accelerator, "devices": devices, "num_nodes": nodes}
    precision: Any = hardware.precision
    # The first process may be busy for long: with small copies of the images, with a score, with a checkpoint.
    strategy: Any = AveragedGradients(timeout=timedelta(hours=2)) if devices * nodes > 1 else "auto"
    fabric = Fabric(strategy=strategy, precision=precision, plugins=[environment(devices, nodes)], **where)
    fabric.launch()
    leave_together(fabric)
    return fabric


def build_stage(
    name: StageName, fabric: Fabric, run: Run, data: Data, out: Path, timing: bool = False
) -> tuple[Stage, int | None]:
    """The stage and the number of images at which it must stop for want of another stage (None: at its end).

    With `timing` the networks of earlier stages may have learnt nothing.
    """
    stage, stop = _new_stage(name, fabric, run, data, out, timing)
    # The refinement begins with what the stages before it have made of that bundle.
    if run.start and name != "refinement" and not (stage_folder(out, name) / "last.safetensors").exists():
        Start(run.start, run.chain).fill(name, stage.modules)
    return stage, stop


def _new_stage(
    name: StageName, fabric: Fabric, run: Run, data: Data, out: Path, timing: bool
) -> tuple[Stage, int | None]:
    chain, training = run.chain, run.training
    cache = out / "cache"

    def feed(part: str, size: int) -> Feed:
        return Feed(data.part(part), chain.cell_types, size, training.seed, cache if size <= 128 else None)

    size, seed, processes = chain.generator.resolution, training.seed, fabric.world_size
    if name == "autoencoder":
        return AutoencoderStage(
            fabric, chain, share(training.autoencoder, processes), seed, feed("train", size), feed("validation", size)
        ), None
    autoencoder = Autoencoder(chain)
    if finished(run, out, ("autoencoder",)):
        load_best(stage_folder(out, "autoencoder"), {"average": autoencoder})
    elif not timing:
        raise InputError(f"{out}: the stage {name} needs the finished autoencoder; run --stage autoencoder first.")
    if name == "low-resolution":
        parts = feed("train", size), feed("validation", size)
        low = share(training.low_resolution, processes)
        return LowResolutionStage(fabric, chain, low, seed, *parts, autoencoder), None
    if name == "refinement":
        return _refinement_stage(fabric, run, feed, out, timing), None
    generator = None
    ready = finished(run, out, ("autoencoder", "low-resolution"))
    if ready or timing:
        generator = channels_last(LowResolutionGenerator(chain)).eval().requires_grad_(False)
        if ready:
            load_best(stage_folder(out, "low-resolution"), {"average": generator})
        fabric.to_device(generator)
    parts = feed("train", chain.output_size), feed("validation", chain.output_size)
    translation = share(training.translation, processes)
    stage = TranslationStage(fabric, chain, translation, seed, *parts, autoencoder, generator)
    return stage, None if generator is not None else stage.paired_images


def _refinement_stage(
    fabric: Fabric, run: Run, feed: Callable[[str, int], Feed], out: Path, timing: bool
) -> RefinementStage:
    chain = chain_of_bundle(run)
    generator, translator = LowResolutionGenerator(chain), Translator(chain)
    if finished(run, out, ("low-resolution", "translation")):
        load_best(stage_folder(out, "low-resolution"), {"average": generator})
        load_best(stage_folder(out, "translation"), {"average": translator})
    elif not timing:
        raise InputError(
            f"{out}: the stage refinement needs the other stages finished; run scg train without --stage first."
        )
    training = share(run.training.refinement, fabric.world_size)
    if timing:
        training = replace(training, compared=8, remembered=2)
    parts = feed("train", chain.output_size), feed("validation", chain.output_size)
    return RefinementStage(fabric, chain, training, run.training.seed, *parts, generator, translator)


def finished(run: Run, out: Path, stages: tuple[StageName, ...] | None = None) -> bool:
    """Whether these stages, or all of the run, have seen all their images."""

    def is_finished(name: StageName) -> bool:
        folder = stage_folder(out, name)
        return (folder / "last.safetensors").exists() and images_seen(folder) >= images_in_all(run.training, name)

    return all(map(is_finished, stages or stages_of(run.training)))


@dataclass(frozen=True)
class Estimate:
    """What a run would take on this machine: images per second of each stage, seconds in all, peak memory in bytes."""

    speeds: dict[StageName, float]
    seconds: float
    memory: int


def estimate(run: Run, data: Data, known: Estimate | None = None) -> Estimate:
    """What `run` would take; speeds are measured, unless they are `known` from a run of the same networks and batches."""
    speeds = known.speeds if known else _speeds(run, data)
    seconds = sum(images_in_all(run.training, name) / speed for name, speed in speeds.items())
    # Lazy penalties, grids and held-out scores were seen to add about a fifth.
    return Estimate(speeds, 1.2 * seconds, peak_memory())


def _speeds(run: Run, data: Data, steps: int = 4) -> dict[StageName, float]:
    """Time a few real steps of each stage; nothing is written to the run folder."""
    import tempfile

    fabric = make_fabric(run.hardware)
    speeds: dict[StageName, float] = {}
    few = data.few(12)
    with tempfile.TemporaryDirectory() as folder:
        for name in stages_of(run.training):
            stage, _ = build_stage(name, fabric, run, few, Path(folder), timing=True)
            stage.step(0)  # the first pays for allocation; it carries a penalty as every sixteenth or eighth does
            start = time.perf_counter()
            for index in range(1, steps + 1):
                stage.step(index)
            speeds[name] = steps * stage.batch / (time.perf_counter() - start)
    return speeds


def peak_memory() -> int:
    """Peak resident memory of this process, bytes."""
    if sys.platform == "win32":
        return 0
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def _first_difference(kept: dict[str, Any], asked: dict[str, Any], prefix: str = "") -> str | None:
    for key, value in asked.items():
        if key in ("version", "data", "hardware"):
            continue
        before = kept.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            difference = _first_difference(before, value, f"{prefix}{key}.")
            if difference:
                return difference
        elif (list(before) if isinstance(before, tuple) else before) != (
            list(value) if isinstance(value, tuple) else value
        ):
            return f"{prefix}{key} was {before}, now {value}"
    return None
