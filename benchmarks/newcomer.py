"""A new user's own images, few of them, on an office PC → docs/results/newcomer.json and .jpg, docs/how-to/train-your-own.md

    python benchmarks/newcomer.py --data FOLDER --split RUN/split.json --work DIR [--images 100] [--hours 2] [--threads 1]

`--images` of each type, drawn from the training part, are all that the run is given: it begins with nothing, divides them into
its own parts, and is judged against the test part of `--split`, which it never saw. The same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from figures import RESULTS, ROOT, between
from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.splits import read_split
from syntheticcellgan.evaluation.report.rows import Row
from syntheticcellgan.evaluation.report.store import read_report
from syntheticcellgan.training.checkpoint import read_progress
from syntheticcellgan.training.run_folder import stage_folder

PAGE = ROOT / "docs" / "how-to" / "train-your-own.md"
TESTED, SHOWN, SIDE = 50, 12, 112
MEASURES = {
    "balanced_accuracy_ratio": "balanced accuracy on real cells, trained on synthetic over trained on real",
    "relative_frechet_distance": "Fréchet distance over that of real against real",
    "precision": "precision",
    "recall": "recall",
    "coverage": "coverage",
    "copies_beyond_doubt": "copies, share",
}


def few(data: Path, split: Path, part: str, count: int, folder: Path) -> Path:
    """`count` images of each type of a part, by chance, as a folder of their own."""
    if not folder.exists():
        by_type: dict[str, list[str]] = defaultdict(list)
        for record in read_split(split).part(read_manifest(data), part).records:
            by_type[record.cell_type].append(record.file)
        for files in by_type.values():
            random.Random(0).shuffle(files)
            for file in files[:count]:
                place = folder / file
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(data / file, place)
    return folder


def scg(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "syntheticcellgan", *map(str, arguments)], check=True)


def sheet(bundle: Path, out: Path) -> None:
    """One row per type, seeds 0, 1, 2 … in order."""
    chain = SyntheticCellGAN.load(bundle)
    rows = []
    for cell_type in chain.cell_types:
        made = [Image.fromarray(image).resize((SIDE, SIDE)) for image in chain.generate(cell_type, SHOWN).images]
        rows.append(np.concatenate([np.asarray(image) for image in made], axis=1))
    Image.fromarray(np.concatenate(rows)).save(out, quality=85, optimize=True)


def figures(report: Path) -> list[dict[str, Any]]:
    """The chief figures over all types, with their intervals."""
    rows = [Row(**row) for row in read_report(report).content["headline"]]
    return [
        {"measure": row.measure, "by": row.by, "value": row.value, "interval": [row.low, row.high], "real": row.floor}
        for measure in MEASURES
        for row in rows
        if row.measure == measure and row.cell_type == "all" and not row.detail.startswith("both")
    ]


def render(result: dict[str, Any]) -> str:
    """Markdown for the page."""
    seen = ", ".join(f"{stage} {images:,}" for stage, images in result["images_seen"].items())
    lines = [
        f"`benchmarks/newcomer.py`: {result['images']:,} images of {result['types']} types, {result['machine']}, "
        f"`--hours {result['hours']:g}`, begun with nothing; {result['minutes']:.0f} minutes of learning ({seen} images). "
        f"Judged against {result['tested']} held-out cells of each type at most:",
        "",
        "| | by | synthetic | real |",
        "|---|---|---:|---:|",
    ]
    for row in result["figures"]:
        low, high = row["interval"]
        real = "" if row["real"] is None else f"{row['real']:.2f}"
        lines.append(
            f"| {MEASURES[row['measure']]} | {row['by']} | {row['value']:.2f} [{low:.2f}, {high:.2f}] | {real} |"
        )
    alt = "Twelve cells of each type, seeds 0 to 11 in order"
    return "\n".join([*lines, "", f"![{alt}](../results/newcomer.jpg)"]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--images", type=int, default=100, help="of each type")
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the training")
    arguments = parser.parse_args()
    work: Path = arguments.work
    own = few(arguments.data, arguments.split, "train", arguments.images, work / "images")
    held_out = few(arguments.data, arguments.split, "test", TESTED, work / "held-out")
    run, report = work / "run", work / "report"
    scg("train", own, "--out", run, "--hours", f"{arguments.hours:g}", "--threads", f"{arguments.threads}")
    bundle = run / "bundle"
    options = ("--count", f"{TESTED}", "--cache", work / "evaluation")
    scg("evaluate", "--bundle", bundle, "--real", held_out, "--train", own, "--out", report, *options)
    sheet(bundle, RESULTS / "newcomer.jpg")
    card = json.loads((bundle / "card.json").read_text())
    stages = {name: read_progress(stage_folder(run, name) / "last.safetensors") for name in card["training"]["stages"]}
    threads = f"{arguments.threads} CPU thread{'s' if arguments.threads > 1 else ''}"
    result = {
        "data": arguments.data.name,
        "images": len(read_manifest(own).records),
        "types": len(card["data"]["counts"]["train"]),
        "hours": arguments.hours,
        "machine": f"{threads}, {platform.machine()}, {card['training']['precision']}",
        "images_seen": {name: int(last["images"]) for name, last in stages.items()},
        "minutes": sum(last["seconds"] for last in stages.values()) / 60,
        "tested": TESTED,
        "figures": figures(report),
    }
    (RESULTS / "newcomer.json").write_text(json.dumps(result, indent=2) + "\n")
    PAGE.write_text(between(PAGE.read_text(), "newcomer", render(result)))


if __name__ == "__main__":
    main()
