"""How well near duplicates are told from different cells: correlations of fingerprints, to choose the threshold.

    python benchmarks/near_duplicates.py --data FOLDER --out docs/results/near_duplicates.json

FOLDER is a data set without duplicates. Every image is compared with all others, and copies of some, changed in ways
that happen to images, with their originals.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from syntheticcellgan.data.duplicates import NEAR, SIDE, fingerprint, near_pairs, thumbnails
from syntheticcellgan.data.images import read_image
from syntheticcellgan.data.manifest import read_manifest

LOOKED_AT = 0.5
"""Pairs below this correlation are not listed."""


def _jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "JPEG, quality 60": lambda image: _jpeg(image, 60),
    "half the size": lambda image: np.asarray(Image.fromarray(image).reduce(2)),
    "8 % brighter": lambda image: np.clip(image * 1.08 + 5, 0, 255).astype(np.uint8),
    "1 % cropped on each side": lambda image: image[3:-3, 3:-3],
    "2 % cropped on each side": lambda image: image[5:-5, 5:-5],
    "shifted by 3 px": lambda image: np.roll(image, (3, 3), (0, 1)),
}


def _thumbnail(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).convert("L").resize((SIDE, SIDE), Image.Resampling.HAMMING))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="JSON file")
    parser.add_argument("--copies", type=int, default=300, help="images to change and find again")
    arguments = parser.parse_args()
    manifest = read_manifest(arguments.data)
    start = time.perf_counter()
    thumbs = thumbnails(manifest.path(record) for record in manifest.records)
    read = time.perf_counter() - start
    nearest = np.full(len(manifest), LOOKED_AT)
    start = time.perf_counter()
    for i, j, correlation in near_pairs(thumbs, threshold=LOOKED_AT):
        nearest[i], nearest[j] = max(nearest[i], correlation), max(nearest[j], correlation)
    compared = time.perf_counter() - start
    chosen = np.random.default_rng(0).choice(len(manifest), min(arguments.copies, len(manifest)), replace=False)
    copies: dict[str, list[float]] = {name: [] for name in CHANGES}
    for index in chosen:
        image = read_image(manifest.path(manifest.records[index]))
        original = fingerprint(thumbs[index])
        for name, change in CHANGES.items():
            copies[name].append(float(original @ fingerprint(_thumbnail(change(image)))))
    result = {
        "images": len(manifest),
        "threshold": NEAR,
        "seconds_to_read": round(read, 1),
        "seconds_to_compare_all_pairs_and_list_those_above_0.5": round(compared, 1),
        "different_cells": {
            "highest_correlation": round(float(nearest.max()), 3),
            "99th_percentile_of_the_nearest": round(float(np.quantile(nearest, 0.99)), 3),
            "at_or_above_threshold": int((nearest >= NEAR).sum()),
        },
        "changed_copies": {
            name: {
                "n": len(values),
                "lowest": round(min(values), 3),
                "median": round(float(np.median(values)), 3),
                "found": round(float(np.mean(np.array(values) >= NEAR)), 3),
            }
            for name, values in copies.items()
        },
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
