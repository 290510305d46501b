"""Dice overlap of the package's segmentation with expert masks, nucleus and whole cell.

    python benchmarks/segmentation.py --data FOLDER [--out docs/results/segmentation.json]

FOLDER holds `labels.csv` with the columns file, cell_type and mask; in a mask 255 is nucleus, 128 cytoplasm, 0 neither
(the layout of the JTSC set of Zheng et al., Micron 107, 2018). An image whose segmentation fails counts as Dice 0.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import time
from pathlib import Path

import numpy as np
from PIL import Image

import syntheticcellgan
from syntheticcellgan.data.images import read_image
from syntheticcellgan.errors import InputError
from syntheticcellgan.segmentation import dice, segment

AIMS = {"nucleus": 0.90, "cell": 0.85}


def summary(values: np.ndarray, rng: np.random.Generator, repeats: int = 2000) -> dict[str, float | int | list[float]]:
    """Mean with its 95 % bootstrap interval over images, median and 5th percentile."""
    means = values[rng.integers(len(values), size=(repeats, len(values)))].mean(axis=1)
    return {
        "n": len(values),
        "mean": round(float(values.mean()), 4),
        "interval_95": [round(float(bound), 4) for bound in np.percentile(means, [2.5, 97.5])],
        "median": round(float(np.median(values)), 4),
        "percentile_5": round(float(np.percentile(values, 5)), 4),
    }


def measure(folder: Path) -> dict[str, object]:
    table = folder / "labels.csv"
    if not table.is_file():
        raise InputError(f"{table} is missing: --data needs a folder with labels.csv (file, cell_type, mask)")
    with table.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    overlap, failures, busy = [], [], 0.0
    for row in rows:
        image = read_image(folder / row["file"])
        mask = np.asarray(Image.open(folder / row["mask"]).convert("L"))
        start = time.process_time()
        found = segment(image)
        busy += time.process_time() - start
        overlap.append((dice(found.nucleus, mask == 255), dice(found.cell, mask > 0)))
        if found.failure:
            failures.append({"file": row["file"], "reason": found.failure})
    values = np.array(overlap)
    types = np.array([row["cell_type"] for row in rows])
    rng = np.random.default_rng(0)
    groups = {"all": np.ones(len(rows), bool)} | {name: types == name for name in sorted(set(types.tolist()))}
    return {
        "data": folder.name,
        "package": syntheticcellgan.__version__,
        "dice": {
            name: {part: summary(values[chosen, i], rng) for i, part in enumerate(AIMS)}
            for name, chosen in groups.items()
        },
        "aims": AIMS,
        "failures": failures,
        "cpu_ms_per_image": round(1000 * busy / len(rows), 1),
        "machine": platform.machine(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv (file, cell_type, mask)")
    parser.add_argument("--out", type=Path, default=Path("docs/results/segmentation.json"))
    options = parser.parse_args()
    result = measure(options.data)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"{'type':<14}{'n':>5}  {'nucleus':<24}{'cell':<24}")
    for name, parts in result["dice"].items():
        cells = [f"{p['mean']:.3f} [{p['interval_95'][0]:.3f}, {p['interval_95'][1]:.3f}]" for p in parts.values()]
        print(f"{name:<14}{parts['cell']['n']:>5}  {cells[0]:<24}{cells[1]:<24}")
    print(f"failed: {len(result['failures'])}; {result['cpu_ms_per_image']} ms of CPU per image")


if __name__ == "__main__":
    main()
