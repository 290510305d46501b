"""How cost grows with resolution, count, types and processes: the part of rivals.py that has no rival."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

Points = list[dict[str, Any]]
IMAGES = 32


def _chain(types: int = 10, resolution: int = 64, scale: int = 4) -> Any:
    """A chain of the default networks that has learnt nothing; its speed does not know."""
    import torch

    from syntheticcellgan.bundle import Bundle
    from syntheticcellgan.config import ChainConfig
    from syntheticcellgan.networks.blocks import channels_last
    from syntheticcellgan.networks.generator import LowResolutionGenerator
    from syntheticcellgan.networks.translator import Translator
    from syntheticcellgan.pipeline import SyntheticCellGAN

    config = ChainConfig(tuple(f"type_{k}" for k in range(types)))
    config = replace(
        config,
        generator=replace(config.generator, resolution=resolution),
        translator=replace(config.translator, scale=scale),
    )
    generator, translator = (
        channels_last(network).eval().requires_grad_(False)
        for network in (LowResolutionGenerator(config), Translator(config))
    )
    mean = torch.zeros(types, generator.style_size)
    from pathlib import Path

    return SyntheticCellGAN(Bundle(Path("none"), "none", config, {}, generator, translator, mean, None, None))


def _speed(chain: Any, images: int = IMAGES) -> float:
    chain.generate(chain.cell_types[0], 8)
    best = 0.0
    for _ in range(3):
        began = time.perf_counter()
        chain.generate(chain.cell_types[0], images)
        best = max(best, images / (time.perf_counter() - began))
    return best


def with_resolution(quick: bool) -> Points:
    """Output side → images a second."""
    points = []
    for resolution, scale in ((32, 4), (64, 4), (128, 4)):
        speed = _speed(_chain(resolution=resolution, scale=scale), 8 if quick else IMAGES)
        points.append({"side": resolution * scale, "images_per_second": speed})
    return points


def with_count(quick: bool) -> Points:
    """Images in one request → seconds, and peak memory of the process that streams them."""
    from syntheticcellgan import SyntheticCellGAN

    chain = SyntheticCellGAN.load("pbc-256")
    kind, points = chain.cell_types[0], []
    for _ in chain.stream((kind, seed) for seed in range(16)):
        pass
    for count in (16, 64) if quick else (16, 64, 256, 1024):
        began = time.perf_counter()
        for _ in chain.stream((kind, seed) for seed in range(count)):
            pass
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        points.append({"count": count, "seconds": seconds, "peak_memory_mib": round(peak, 1)})
    return points


def with_types(quick: bool) -> Points:
    """Number of types → images a second, and size."""
    points = []
    for types in (2, 100) if quick else (2, 10, 100, 1000):
        chain = _chain(types=types)
        size = sum(p.numel() for n in (chain.bundle.generator, chain.bundle.translator) for p in n.parameters())
        speed = _speed(chain, 8 if quick else IMAGES)
        points.append({"types": types, "images_per_second": speed, "parameters": size})
    return points


def with_processes(quick: bool) -> Points:
    """Processes of one thread each that write shards side by side → images a second of all, start included."""
    count, points = 32 if quick else 256, []
    for processes in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            common = [sys.executable, "-m", "syntheticcellgan", "generate", "pbc-256", "--cell-type", "monocyte"]
            common += ["--count", str(count), "--shards", "--per-shard", "16", "--out", f"{folder}/out"]
            began = time.perf_counter()
            running = [
                subprocess.Popen(common, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_one_thread())
                for _ in range(processes)
            ]
            if any(process.wait() for process in running):
                raise SystemExit("scg generate --shards failed")
            points.append({"processes": processes, "images_per_second": count / (time.perf_counter() - began)})
    return points


def _one_thread() -> dict[str, str]:
    import os

    return {**os.environ, "OMP_NUM_THREADS": "1"}


KINDS: dict[str, Callable[[bool], Points]] = {
    "resolution": with_resolution,
    "count": with_count,
    "types": with_types,
    "processes": with_processes,
}
