"""Memory and time of the measures on many images of 256×256 → docs/results/memory.json.

    python benchmarks/memory.py --data FOLDER [--count 10000] [--read N] [--extractor NAME …] [--cache FOLDER]

`count` real and `count` synthetic images, none like another: real files of FOLDER over and over, each time with other
noise of one grey level, made when they are asked for. Stage by stage the peak resident memory of this one process is
noted, and the CPU time. With --read only N images a side are decoded, described and measured: the slow stages, which
go image by image (the peak after the first tenth of the features is noted to show that it stays). What they gave is then
repeated with noise to `count`, so that statistics and the index of fingerprints have their full size; N images are
searched for in it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import syntheticcellgan
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.evaluation.copies import Fingerprints, judge
from syntheticcellgan.evaluation.diversity import diversity, near_duplicates
from syntheticcellgan.evaluation.features import HEADLINE, features_of, get_extractor
from syntheticcellgan.evaluation.fidelity import fidelity
from syntheticcellgan.evaluation.fingerprint import nearest, views
from syntheticcellgan.evaluation.morphology import measure_set
from syntheticcellgan.evaluation.morphology_comparison import compare
from syntheticcellgan.evaluation.statistics import Sample

SIDE = 256
LIMIT_MIB = 4096


class Images(Sequence[np.ndarray]):
    """`count` images that exist only while they are looked at; `seed` tells one set from another."""

    def __init__(self, paths: list[Path], count: int, seed: int) -> None:
        self._paths, self._count, self._seed = paths, count, seed

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, i: Any) -> Any:
        if i >= self._count:
            raise IndexError
        rng = np.random.default_rng([self._seed, i])
        pixels = resize_square(read_image(self._paths[(i * 7 + self._seed) % len(self._paths)]), SIDE).astype(np.int16)
        return (pixels + rng.integers(-1, 2, pixels.shape)).clip(0, 255).astype(np.uint8)

    def first(self, count: int) -> Images:
        return Images(self._paths, count, self._seed)


def peak_mib() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


class Stages:
    """Peak of the whole process so far, and CPU seconds of each stage."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []
        self._start = time.process_time()
        self.note("start, all modules loaded")

    def note(self, what: str, **more: object) -> None:
        spent = time.process_time() - self._start
        row = {"stage": what, "peak_mib_so_far": peak_mib(), "cpu_seconds": round(spent, 1), **more}
        self.rows.append(row)
        print(row, flush=True)
        self._start = time.process_time()


def repeated(features: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    whole = np.resize(features, (count, features.shape[1]))
    return (whole + 0.05 * features.std(axis=0) * rng.standard_normal(whole.shape)).astype(np.float32)


def blended(fingerprints: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, DIM) float16 of length 1: those given, repeated with noise."""
    found = repeated(fingerprints.astype(np.float32), count, rng)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--read", type=int, help="images a side that are decoded, 100 or more (default: all)")
    parser.add_argument("--extractor", action="append", help=f"default: {', '.join(HEADLINE)}")
    parser.add_argument("--cache", type=Path, help="so that an interrupted run goes on; what it holds is not measured")
    parser.add_argument("--out", type=Path, default=Path("docs/results/memory.json"))
    arguments = parser.parse_args()
    count, read = arguments.count, min(arguments.read or arguments.count, arguments.count)
    manifest = read_manifest(arguments.data)
    paths = [manifest.path(record) for record in manifest.records]
    labels = [manifest.records[(i * 7) % len(paths)].cell_type for i in range(count)]
    real, synthetic = Images(paths, count, 0), Images(paths, count, len(paths))
    rng, stages = np.random.default_rng(0), Stages()

    for name in arguments.extractor or HEADLINE:
        extractor = get_extractor(name)
        features_of(real.first(max(read // 10, 1)), extractor, arguments.cache)
        stages.note(f"features, {name}, the first tenth of one side", images=max(read // 10, 1))
        samples = []
        for side in (real, synthetic):
            found = features_of(side.first(read), extractor, arguments.cache)
            samples.append(Sample(found if read == count else repeated(found, count, rng), np.array(labels)))
        del extractor
        stages.note(f"features, {name}", images=2 * read)
        fidelity(*samples)
        stages.note(f"fidelity, {name}", images=2 * count)
        diversity(*samples)
        stages.note(f"diversity, {name}", images=2 * count)

    held_out = Images(paths, min(read, 500), len(paths) + 1)
    few = Fingerprints.of(real.first(read), held_out)
    whole = Fingerprints(blended(few.descriptors, count, rng), few.baseline, few.held_out)
    looks = views(synthetic.first(read))
    judge(nearest(looks, whole.descriptors), whole)
    stages.note("copies", described=2 * read, searched_for=read, index=count)
    near_duplicates(blended(looks[0], count, rng), whole.descriptors)
    stages.note("near duplicates", images=2 * count)

    def one_by_one(side: Images) -> Iterator[np.ndarray]:
        return (side[i] for i in range(read))

    tables = [measure_set(one_by_one(side), labels[:read]) for side in (real, synthetic)]
    compare(*tables)
    stages.note("morphology", images=2 * read)

    peak = peak_mib()
    result = {
        "count_per_side": count,
        "decoded_per_side": read,
        "extractors": arguments.extractor or HEADLINE,
        "side": SIDE,
        "limit_mib": LIMIT_MIB,
        "peak_mib": peak,
        "below_limit": peak < LIMIT_MIB,
        "stages": stages.rows,
        "note": "CPU seconds of a machine that had other work to do as well; memory is not disturbed by that.",
        "machine": f"{os.cpu_count()} CPU cores, {platform.machine()}",
        "torch": torch.__version__,
        "version": syntheticcellgan.__version__,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"peak {peak} MiB of {LIMIT_MIB}")


if __name__ == "__main__":
    main()
