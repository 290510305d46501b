"""Ways to run the chain, one core, in turns: time of an image and how far its pixels are off → docs/results/engines.json

    python benchmarks/engines.py [--rounds 40] [--bundle pbc-256]

CPU time of this process, so that others on the machine disturb little; each way is set against the first in the same round,
and the median of the ratios is given. Pixels are compared over 12 cells of each type.
OpenVINO needs the extra `openvino`; without it the run stops.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch

from rivals import FABRIC, STAGES, stage
from syntheticcellgan import SyntheticCellGAN, onnx_runner, pipeline
from syntheticcellgan.bundle import load_bundle
from syntheticcellgan.engine import InPyTorch, Precision
from syntheticcellgan.networks import blocks, translator
from syntheticcellgan.onnx_export import export_onnx
from syntheticcellgan.openvino_engine import InOpenVino

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results" / "engines.json"
CELLS = 12


@contextmanager
def whole_sums() -> Iterator[None]:
    """Every sum in a tensor of its own, as it was before."""
    kept = blocks.summed

    def plain(fresh: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return fresh + other

    blocks.summed = translator.summed = plain
    try:
        yield
    finally:
        blocks.summed = translator.summed = kept


@contextmanager
def micro_batches_of(size: int) -> Iterator[None]:
    """So many images at a time through the networks."""
    kept = pipeline.MICRO_BATCH
    pipeline.MICRO_BATCH = size
    try:
        yield
    finally:
        pipeline.MICRO_BATCH = kept


@contextmanager
def together() -> Iterator[None]:
    """The upper scales of the translator too for the whole micro-batch at once."""
    kept = translator._one_by_one
    translator._one_by_one = lambda x: False
    try:
        yield
    finally:
        translator._one_by_one = kept


Way = Callable[[str, int], np.ndarray]


def ways(bundle: str, graph: Path) -> dict[str, Way]:
    """By name: what makes (cell type, count) → (count, S, S, 3)."""
    loaded = load_bundle(bundle)
    exact, rough = SyntheticCellGAN(loaded), SyntheticCellGAN(loaded, networks=InPyTorch(loaded, "bfloat16"))
    export_onnx(loaded, graph)
    runner = onnx_runner.Generator(graph, threads=1)

    def within(context: Callable[[], Any]) -> Way:
        def made(cell_type: str, count: int) -> np.ndarray:
            with context():
                return exact.generate(cell_type, count).images

        return made

    def compiled(precision: Precision) -> Way:
        chain = SyntheticCellGAN(loaded, networks=InOpenVino(loaded, precision, pipeline.MICRO_BATCH))
        return lambda cell_type, count: chain.generate(cell_type, count).images

    def all_rough(cell_type: str, count: int) -> np.ndarray:
        # Autocast belongs to a thread, and the chain works in threads of its own.
        images = []
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            for first in range(0, count, pipeline.MICRO_BATCH):
                chunk = [(cell_type, first + k) for k in range(pipeline.MICRO_BATCH)]
                style, grain, texture = exact._drawn(chunk, 1.0, [0] * len(chunk))
                images.append(rough.rendered(style, exact._types(chunk), grain, texture)[0])
        return np.concatenate(images)[:count]

    return {
        "float32, as it is": lambda cell_type, count: exact.generate(cell_type, count).images,
        "float32, every sum in a tensor of its own": within(whole_sums),
        "float32, upper scales of four images together": within(together),
        "float32, one image at a time": within(lambda: micro_batches_of(1)),
        "float32, eight images at a time": within(lambda: micro_batches_of(8)),
        "ONNX Runtime, float32": lambda cell_type, count: runner.generate(cell_type, count),
        "translator in bfloat16 (--precision bfloat16)": lambda cell_type, count: (
            rough.generate(cell_type, count).images
        ),
        "both networks in bfloat16": all_rough,
        "OpenVINO, float32 (--engine openvino)": compiled("float32"),
        "OpenVINO, translator in bfloat16 (both options)": compiled("bfloat16"),
    }


def share_in_products(work: Callable[[], object]) -> float:
    """Share of the CPU time of `work` that lies in convolutions and matrix products."""
    from torch.profiler import ProfilerActivity, profile

    work()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        work()
    times = {event.key: event.self_cpu_time_total for event in seen.key_averages()}
    products = ("conv", "addmm", "matmul", "aten::mm", "aten::bmm", "linear")
    return sum(t for key, t in times.items() if any(word in key for word in products)) / sum(times.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--bundle", default="pbc-256")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        made = ways(given.bundle, Path(folder) / "cells.onnx")
        chain = SyntheticCellGAN.load(given.bundle)
        first, times = next(iter(made)), {name: list[float]() for name in made}
        for turn in range(given.rounds + 1):
            for name, way in made.items():
                began = time.process_time()
                way(chain.cell_types[turn % len(chain.cell_types)], 8)
                if turn:
                    times[name].append((time.process_time() - began) / 8)
        rows = []
        exact = {kind: made[first](kind, CELLS).astype(int) for kind in chain.cell_types}
        for name, way in made.items():
            off = np.stack([np.abs(way(kind, CELLS).astype(int) - exact[kind]) for kind in chain.cell_types])
            ratios = [mine / theirs for mine, theirs in zip(times[name], times[first], strict=True)]
            row = {
                "way": name,
                "milliseconds": 1000 * statistics.median(times[name]),
                "times": statistics.median(ratios),
            }
            rows.append(row | {"levels_off_on_average": float(off.mean()), "levels_off_at_most": int(off.max())})
            print(json.dumps(rows[-1]), flush=True)
    chunk = [(chain.cell_types[0], seed) for seed in range(pipeline.MICRO_BATCH)]
    result = {
        "bundle": given.bundle,
        "rounds": given.rounds,
        "cells_compared": CELLS * len(chain.cell_types),
        "share_in_products": share_in_products(lambda: [chain._micro_batch(chunk, 1.0) for _ in range(8)]),
        "share_in_products_of_training": {
            part: {name: share_in_products(stage(part, fabric).step) for name, fabric in FABRIC.items()}
            for part in STAGES
        },
        "ways": rows,
        "machine": f"one of {os.cpu_count()} CPU cores, {torch.backends.cpu.get_cpu_capability()}, {platform.system()}",
        "torch": torch.__version__,
        "openvino": openvino.__version__.split("-")[0],
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
