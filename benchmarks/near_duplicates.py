"""How well near duplicates are told from different cells: correlations of fingerprints, to choose the threshold.

    python benchmarks/near_duplicates.py --data FOLDER --out docs/results/near_duplicates.json

FOLDER is a data set without duplicates. Every image is compared with all others, and copies of some, changed in ways
that happen to images, with their originals. The same for parts of one field that overlap.
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

from syntheticcellgan.data.duplicates import NEAR, fingerprint, near_pairs, thumbnails
from syntheticcellgan.data.images import read_image
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.overlaps import NEAR as NEAR_OVERLAP
from syntheticcellgan.data.overlaps import SIDE, overlaps

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


SHIFTS = (12, 36, 60, 84)
"""Pixels, of 256, between two square parts of one image along one side, and a third of it along the other."""


def _parts(image: np.ndarray, shift: int) -> tuple[np.ndarray, np.ndarray]:
    side = image.shape[0] - shift
    return image[:side, :side], _jpeg(image[shift : shift + side, shift // 3 : shift // 3 + side], 85)


def _overlapping(thumbs: np.ndarray, images: list[np.ndarray]) -> dict[str, object]:
    """Overlaps among the data set's own images, and how many of two parts of one image are found."""
    start = time.process_time()
    found = np.sort([correlation for _, _, correlation in overlaps(thumbs, threshold=0.7)])
    seconds = time.process_time() - start
    parts = {}
    for shift in SHIFTS:
        pairs = [_parts(image, shift) for image in images]
        stack = np.stack([_thumbnail(part) for pair in pairs for part in pair])
        right = sum(j == i + 1 and i % 2 == 0 for i, j, _ in overlaps(stack))
        wrong = sum(j != i + 1 or i % 2 == 1 for i, j, _ in overlaps(stack))
        parts[f"{shift} and {shift // 3} px"] = {"n": len(pairs), "found": right / len(pairs), "false_pairs": wrong}
    below = found[found < NEAR_OVERLAP]
    return {
        "threshold": NEAR_OVERLAP,
        "cpu_seconds": round(seconds, 1),
        "pairs_at_or_above_threshold": int((found >= NEAR_OVERLAP).sum()),
        "highest_below": [round(float(value), 3) for value in below[:-6:-1]],
        "parts_of_one_image": parts,
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
    start = time.process_time()
    thumbs = thumbnails(manifest.path(record) for record in manifest.records)
    read = time.process_time() - start
    nearest = np.full(len(manifest), LOOKED_AT)
    start = time.process_time()
    for i, j, correlation in near_pairs(thumbs, threshold=LOOKED_AT):
        nearest[i], nearest[j] = max(nearest[i], correlation), max(nearest[j], correlation)
    compared = time.process_time() - start
    chosen = np.random.default_rng(0).choice(len(manifest), min(arguments.copies, len(manifest)), replace=False)
    copies: dict[str, list[float]] = {name: [] for name in CHANGES}
    originals = [read_image(manifest.path(manifest.records[index])) for index in chosen]
    for index, image in zip(chosen, originals, strict=True):
        original = fingerprint(thumbs[index])
        for name, change in CHANGES.items():
            copies[name].append(float(original @ fingerprint(_thumbnail(change(image)))))
    result = {
        "images": len(manifest),
        "threshold": NEAR,
        "cpu_seconds_to_read": round(read, 1),
        "cpu_seconds_to_compare_all_pairs_and_list_those_above_0.5": round(compared, 1),
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
        "overlapping": _overlapping(thumbs, originals),
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
