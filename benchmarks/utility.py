"""The classification tests on held-out cells, with what they cost → docs/results/utility.json and utility.md.

    python benchmarks/utility.py --data FOLDER [--split RUN/split.json] [--bundle pbc-256] [--other NAME=FOLDER …]

The standard protocol and `--quick`, ten types: trained on real, synthetic, both; tested on held-out real cells and on
other laboratories; low-data curves. What is primary is the user CPU time (wall time too, but the machine may have other
work to do). Features and generation are timed apart, as `scg evaluate` needs them for other measures as well.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time
from pathlib import Path

import numpy as np
import torch

import syntheticcellgan
from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.cores import cores
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.data.manifest import Manifest, read_manifest
from syntheticcellgan.data.splits import read_split, split_manifest
from syntheticcellgan.evaluation.classifiers import SIDE, Labelled
from syntheticcellgan.evaluation.features import Extractor, ensure_independent, features_of, get_extractor
from syntheticcellgan.evaluation.utility import HELD_OUT, QUICK, STANDARD, UtilityReport, measure_utility

LIMIT_MINUTES = {"standard": 20, "quick": 3}
FEW = 25  # real cells per type, where the gain over classic augmentation is asked for


class Meter:
    """User CPU seconds and wall seconds since it was made."""

    def __init__(self) -> None:
        self._cpu, self._wall = self._now(), time.perf_counter()

    @staticmethod
    def _now() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_utime

    def read(self) -> dict[str, float]:
        return {
            "user_cpu_seconds": round(self._now() - self._cpu, 1),
            "wall_seconds": round(time.perf_counter() - self._wall, 1),
        }


def real_cells(
    manifest: Manifest, types: tuple[str, ...], per_type: int, extractor: Extractor, cache: Path | None
) -> Labelled:
    """The first `per_type` of each type in the manifest's order."""
    paths, labels = [], []
    for name in types:
        chosen = manifest.of_type(name)
        records = chosen.records[:per_type]
        paths += [chosen.path(record) for record in records]
        labels += [name] * len(records)
    images = np.stack([resize_square(read_image(path), SIDE) for path in paths])
    return Labelled(images, features_of(paths, extractor, cache), tuple(labels))


def summary(report: UtilityReport) -> dict[str, object]:
    found = report.as_dict()
    for score in found["scores"]:  # type: ignore[attr-defined]
        if score["tested_on"] != HELD_OUT:
            del score["confusion"], score["recall"]
    return found


def table(result: dict) -> str:
    standard = result["protocols"]["standard"]["report"]
    n_seeds = standard["settings"]["seeds"], standard["settings"]["low_data_seeds"]

    def shown(interval: dict, sign: str = "") -> str:
        return f"{interval['value']:{sign}.3f} [{interval['low']:{sign}.3f}, {interval['high']:{sign}.3f}]"

    lines = [
        "# Utility of synthetic cells",
        "",
        f"Written by `benchmarks/utility.py` from `utility.json`; bundle `{result['bundle']}`, data `{result['data']}`, features "
        f"of {result['extractor']}. {n_seeds[0]} seeds ({n_seeds[1]} for the low-data curves), 95 % intervals over test cells "
        "and seeds. The generator was trained on the whole training part, so the low-data curves say what its cells add for "
        "a user who has few cells and this bundle, not what a generator of few cells would add.",
        "",
        "| classifier | trained on | tested on | n | balanced accuracy | macro-F1 |",
        "|---|---|---|---:|---|---|",
    ]
    for score in standard["scores"]:
        lines.append(
            f"| {score['classifier']} | {score['trained_on']} | {score['tested_on']} | {score['n_test']} | "
            f"{shown(score['balanced_accuracy'])} | {shown(score['macro_f1'])} |"
        )
    lines += [
        "",
        "| classifier | real cells per type | augmentation | n | macro-F1 | gain over classic alone |",
        "|---|---:|---|---:|---|---|",
    ]
    for point in standard["low_data"]:
        gain = point["gain_over_classic"]
        lines.append(
            f"| {point['classifier']} | {point['per_type']} | {point['arm']} | {point['n_test']} | "
            f"{shown(point['macro_f1'])} | {shown(gain, '+') if gain else '–'} |"
        )
    lines += [
        "",
        "| protocol | user CPU | in two cores' time | limit | wall, shared machine |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, limit in LIMIT_MINUTES.items():
        cost = result["protocols"][name]["cost"]
        cpu = cost["user_cpu_seconds"]
        lines.append(
            f"| {name} | {cpu:.0f} s | {cpu / 120:.1f} min | {limit} min | {cost['wall_seconds'] / 60:.1f} min |"
        )
    features = result["features"]
    lines += [
        "",
        f"Features come on top once, {features['user_cpu_seconds_per_image']:.2f} s of CPU per image, and are cached. "
        f"{result['note']}",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, help="of the bundle's training (default: made anew with seed 0)")
    parser.add_argument("--bundle", default="pbc-256")
    parser.add_argument("--other", action="append", default=[], metavar="NAME=FOLDER", help="another laboratory's set")
    parser.add_argument("--train", type=int, default=150, help="real and synthetic cells of each type to learn from")
    parser.add_argument("--test", type=int, default=100, help="cells of each type to test on")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/results/utility.json"))
    arguments = parser.parse_args()

    chain, extractor = SyntheticCellGAN.load(arguments.bundle), get_extractor("vit-s-focus")
    training = chain.bundle.card.get("training", {})
    ensure_independent(
        extractor.name, training.get("extractors_in_losses", []) + training.get("extractors_in_selection", [])
    )
    manifest, types = read_manifest(arguments.data), chain.cell_types
    split = read_split(arguments.split) if arguments.split else split_manifest(manifest)
    meter = Meter()
    few = [manifest.path(record) for record in manifest.records[:20]]
    features_of(few, extractor)
    per_image = meter.read()["user_cpu_seconds"] / len(few)

    train, test = (
        real_cells(split.part(manifest, part), types, count, extractor, arguments.cache)
        for part, count in (("train", arguments.train), ("test", arguments.test))
    )
    meter = Meter()
    cells = chain.generate(types, arguments.train)
    generation = meter.read() | {"images": len(cells.images)}
    pixels = list(cells.images)
    synthetic = Labelled(
        np.stack([resize_square(image, SIDE) for image in pixels]),
        features_of(pixels, extractor, arguments.cache),
        tuple(cells.cell_types),
    )
    others = {}
    for item in arguments.other:
        name, _, folder = item.partition("=")
        found = read_manifest(Path(folder))
        known = tuple(name for name in types if len(found.of_type(name)))
        others[name] = real_cells(found, known, arguments.test, extractor, arguments.cache)

    protocols = {}
    for name, settings in (("quick", QUICK), ("standard", STANDARD)):
        meter = Meter()
        report = measure_utility(train, test, synthetic, other_laboratories=others, settings=settings, workers=cores())
        protocols[name] = {"cost": meter.read(), "report": summary(report)}
        print(name, protocols[name]["cost"], flush=True)
    gain = report.point("small network", FEW, "both").gain_over_classic
    print(f"gain of both over classic at {FEW} real cells per type, macro-F1: {gain}")

    result = {
        "bundle": chain.bundle.name,
        "data": arguments.data.name,
        "extractor": extractor.name,
        "features": {"user_cpu_seconds_per_image": round(per_image, 3)},
        "generation": generation,
        "protocols": protocols,
        "note": "The machine was shared with other work, which lengthens wall time most and CPU time a little.",
        "machine": f"{os.cpu_count()} CPU cores, {platform.machine()}, torch {torch.__version__}",
        "version": syntheticcellgan.__version__,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    arguments.out.with_suffix(".md").write_text(table(result), encoding="utf-8")


if __name__ == "__main__":
    main()
