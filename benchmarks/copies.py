"""How well copies of training images are found among real cells: planted copies against cells that are no copies.

    python benchmarks/copies.py --data FOLDER [--out docs/results/copies.json]

FOLDER is a labelled data set. It is split as for training (seed 0); the training part is fingerprinted, the validation
and test parts are cells that nobody trained on. Of those, some make the yardstick (the baseline), the others play
synthetic images that are no copies. Changed training images are the copies. Then 20 copies are hidden among 1,980
clean cells, many times over.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

import syntheticcellgan
from syntheticcellgan.data.images import read_image
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.splits import split_manifest
from syntheticcellgan.evaluation.copies import CopyReport, Fingerprints, judge
from syntheticcellgan.evaluation.fingerprint import DIM, Nearest, fingerprint, nearest, views

Change = Callable[[Image.Image, np.random.Generator], Image.Image]
HIDDEN, AMONG, REPEATS = 20, 2000, 100


def turned(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.transpose(Image.Transpose(int(rng.integers(7))))


def tilted(degrees: float) -> Change:
    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        background = tuple(int(value) for value in np.median(np.asarray(image).reshape(-1, 3), axis=0))
        return image.rotate(float(rng.uniform(-degrees, degrees)), Image.Resampling.BICUBIC, fillcolor=background)

    return change


def blurred(radius: float) -> Change:
    return lambda image, rng: image.filter(ImageFilter.GaussianBlur(radius))


def cropped(share: float) -> Change:
    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = (round(side * share) for side in image.size)
        x, y = (int(rng.integers(whole - part + 1)) for whole, part in zip(image.size, (width, height), strict=True))
        return image.resize(image.size, Image.Resampling.BICUBIC, (x, y, x + width, y + height))

    return change


def recoloured(hue: float) -> Change:
    """Hue turned by up to `hue` of the circle, saturation and brightness by up to 25 and 12 %."""

    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        hsv = np.asarray(image.convert("HSV")).astype(float)
        hsv[..., 0] = (hsv[..., 0] + 255 * rng.uniform(-hue, hue)) % 256
        hsv[..., 1:] *= 1 + rng.uniform(-1, 1, 2) * (0.25, 0.12)
        return Image.fromarray(hsv.clip(0, 255).astype(np.uint8), "HSV").convert("RGB")

    return change


def restained(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Each channel with a gamma, gain and offset of its own."""
    values = 255 * (np.asarray(image) / 255) ** rng.uniform(0.7, 1.4, 3) * rng.uniform(0.8, 1.15, 3)
    return Image.fromarray((values + rng.uniform(-15, 15, 3)).clip(0, 255).astype(np.uint8))


def jpeg(quality: int) -> Change:
    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return change


def noisy(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    values = np.asarray(image)
    return Image.fromarray((values + rng.normal(0, 20, values.shape)).clip(0, 255).astype(np.uint8))


def coarse(side: int) -> Change:
    return lambda image, rng: image.resize((side, side), Image.Resampling.BOX).resize(
        image.size, Image.Resampling.BICUBIC
    )


def in_turn(*changes: Change) -> Change:
    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        for each in changes:
            image = each(image, rng)
        return image

    return change


CHANGES: dict[str, Change] = {
    "exact": lambda image, rng: image,
    "turned or flipped (quarter turns)": turned,
    "tilted by up to 45°": tilted(45),
    "hue ± 0.1, saturation, brightness": recoloured(0.1),
    "any hue": recoloured(0.5),
    "gamma, gain, offset per channel": restained,
    "grey": lambda image, rng: image.convert("L").convert("RGB"),
    "blurred, σ 2 px": blurred(2),
    "blurred, σ 4 px": blurred(4),
    "cropped to 95 %": cropped(0.95),
    "cropped to 90 %": cropped(0.90),
    "cropped to 80 %": cropped(0.80),
    "cropped to 70 %": cropped(0.70),
    "noise, σ 20": noisy,
    "JPEG, quality 10": jpeg(10),
    "reduced to 64 px": coarse(64),
    "cropped 90 %, recoloured, turned, blurred σ 1.5": in_turn(cropped(0.9), recoloured(0.1), turned, blurred(1.5)),
}


def area_under_curve(copies: np.ndarray, clean: np.ndarray) -> float:
    """Probability that a copy lies nearer than a clean image (Mann-Whitney)."""
    clean = np.sort(clean)
    above = len(clean) - (np.searchsorted(clean, copies, "left") + np.searchsorted(clean, copies, "right")) / 2
    return float(above.mean() / len(clean))


def verdict(report: CopyReport) -> dict[str, object]:
    found = report.as_dict()
    return {key: found[key] for key in ("score", "copies", "real_duplicates", "copies_found", "sentence")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/results/copies.json"))
    parser.add_argument("--copies", type=int, default=150, help="training images to copy for each kind of change")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    manifest = read_manifest(arguments.data)
    split = split_manifest(manifest, seed=0)
    parts = {
        name: [manifest.path(r) for r in split.part(manifest, name).records] for name in ("train", "validation", "test")
    }

    start = time.process_time()
    descriptors = fingerprint(parts["train"])
    per_image = (time.process_time() - start) / len(descriptors)
    unseen = parts["validation"] + parts["test"]
    looks = views(unseen)
    start = time.process_time()
    real = 1 - nearest(looks, descriptors).similarity
    per_search = (time.process_time() - start) / len(unseen)

    shuffled = rng.permutation(len(unseen))
    clean, baseline = real[shuffled[: AMONG - HIDDEN]], real[shuffled[AMONG - HIDDEN :]]
    fingerprints = Fingerprints(descriptors, baseline, len(baseline))
    with tempfile.TemporaryDirectory() as folder:
        fingerprints.save(Path(folder) / "fingerprints.npz")
        size = (Path(folder) / "fingerprints.npz").stat().st_size
    nothing = np.zeros(len(clean), np.int64)
    unplanted = judge(Nearest(1 - clean, nothing), fingerprints)

    rows = {}
    print(
        f"{'change':50s} {'AUC':>7s} {'< 1 %':>6s} {'< all':>6s} {'original':>8s} {'20 in 2,000':>11s} {'picked':>6s}"
    )
    for name, change in CHANGES.items():
        chosen = rng.permutation(len(descriptors))[: arguments.copies]
        images = [np.asarray(change(Image.fromarray(read_image(parts["train"][i])), rng)) for i in chosen]
        found = nearest(views(images), descriptors)
        distance = 1 - found.similarity
        caught, picked = 0, []
        for _ in range(REPEATS):
            mixed = np.concatenate([clean, rng.choice(distance, HIDDEN, replace=False)])
            report = judge(Nearest(1 - mixed, np.zeros(len(mixed), np.int64)), fingerprints)
            caught += report.copies_found
            picked.append(int((report.distances[-HIDDEN:] <= report.copy_distance).sum()))
        rows[name] = {
            "n": len(chosen),
            "auc": round(area_under_curve(distance, clean), 4),
            "beyond_first_percentile": round(float((distance < np.quantile(baseline, 0.01)).mean()), 3),
            "beyond_nearest": round(float((distance < baseline.min()).mean()), 3),
            "original_found": round(float((found.index == chosen).mean()), 3),
            "median_distance": round(float(np.median(distance)), 3),
            "sets_of_2000_with_20_copies_caught": f"{caught} of {REPEATS}",
            "of_20_copies_picked_out": round(float(np.mean(picked)), 1),
        }
        row = rows[name]
        print(
            f"{name:50s} {row['auc']:7.4f} {row['beyond_first_percentile']:6.2f} {row['beyond_nearest']:6.2f}"
            f" {row['original_found']:8.2f} {caught:5d} / {REPEATS} {np.mean(picked):6.1f}",
            flush=True,
        )

    result = {
        "data": arguments.data.name,
        "counts": {"training": len(descriptors), "baseline": len(baseline), "clean": len(clean)},
        "numbers_per_fingerprint": DIM,
        "file_bytes": size,
        "cpu_ms_per_fingerprint": round(1000 * per_image, 2),
        "cpu_ms_per_search": round(1000 * per_search, 2),
        "processor": platform.processor() or platform.machine(),
        "version": syntheticcellgan.__version__,
        "real_distance_percentiles": {str(q): round(float(np.percentile(real, q)), 3) for q in (0, 0.1, 1, 5, 50, 99)},
        "no_copies_planted": verdict(unplanted),
        "copies_planted": rows,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(unplanted.sentence)
    print(f"{per_image * 1000:.1f} ms per fingerprint, {per_search * 1000:.1f} ms per search, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
