"""Recipes of each stage at equal compute → docs/results/recipes.json, recipes.md and one grid each.

    python benchmarks/recipes.py --data FOLDER --work FOLDER [--minutes 3] [--only NAME …]

Every recipe gets the same minutes of CPU time on one thread, begins with chance and the same seed, and differs from the
defaults of `scg train` in the named settings alone. It is judged by kernel distance to held-out validation cells, in
features that no loss uses: copies for the autoencoder; generated basic cells for the game, whose autoencoder is the same
for all; for the translator what it makes of copies, and how far the power of its fine detail is from that of real cells.
Recipes that were measured before stay in the table unless they are measured anew, those too whose code was deleted since.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from syntheticcellgan.config import ChainConfig, TrainingConfig, check_chain, check_training, from_dict
from syntheticcellgan.training.checkpoint import save_checkpoint
from syntheticcellgan.training.data_set import prepare_data
from syntheticcellgan.training.hardware import find_hardware
from syntheticcellgan.training.loop import Stage, run_stage
from syntheticcellgan.training.run import (
    Run,
    StageName,
    build_stage,
    make_fabric,
    stage_folder,
)
from syntheticcellgan.training.selection import HeldOutScore

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"

# Settings by dotted name, as `scg train --set` takes them.
RECIPES: dict[str, tuple[StageName, dict[str, Any]]] = {
    "autoencoder: default": ("autoencoder", {}),
    "autoencoder: no patch critic": ("autoencoder", {"autoencoder.adversarial_weight": 0.0}),
    "autoencoder: flat weight": ("autoencoder", {"autoencoder.centre": 0.0}),
    "autoencoder: 32 channels": ("autoencoder", {"generator.latent_channels": 32}),
    "game: default": ("low-resolution", {}),
    "game: penalty 1": ("low-resolution", {"low_resolution.penalty": 1.0}),
    "game: critic sees whole latents only": ("low-resolution", {"low_resolution.augmentation": 0.0}),
    "game: no noise on latents": ("low-resolution", {"low_resolution.noise": 0.0}),
    "game: learning rate 1e-3": ("low-resolution", {"low_resolution.learning_rate": 1e-3}),
    "game: half the width": ("low-resolution", {"generator.width": 128}),
    "game: 32 numbers of noise": ("low-resolution", {"generator.latent_size": 32}),
    "game: average over 1,000 images": ("low-resolution", {"low_resolution.ema_kimg": 1.0}),
    "game: types from the start": ("low-resolution", {"low_resolution.label_fade_kimg": 0.0}),
    "game: wgan-gp": ("low-resolution", {"low_resolution.objective": "wgan-gp"}),
    "game: default, longer": ("low-resolution", {}),
    "game: half the width, longer": ("low-resolution", {"generator.width": 128}),
    "game: types from the start, longer": ("low-resolution", {"low_resolution.label_fade_kimg": 0.0}),
    "translator: default": ("translation", {}),
    "translator: default, longer": ("translation", {}),
    "translator: no score of features, longer": ("translation", {"translation.perceptual_weight": 0.0}),
    "translator: no fine noise": ("translation", {"translator.noise_channels": 4, "translator.fine_noise": 0}),
    "translator: adversarial weight 1": ("translation", {"translation.adversarial_weight": 1.0}),
    "translator: no score of texture": ("translation", {"translation.texture_weight": 0.0}),
    "translator: no feature matching": ("translation", {"translation.matching_weight": 0.0}),
    "translator: no score of features": ("translation", {"translation.perceptual_weight": 0.0}),
    "translator: basic image less degraded": ("translation", {"translator.level": 0.1}),
    "translator: basic image more degraded": ("translation", {"translator.level": 0.3}),
    "translator: wgan-gp": ("translation", {"translation.objective": "wgan-gp"}),
}
LONGER = 3  # times as many minutes, for the autoencoder beneath as well, where the name says so
MARGIN = 0.05  # of distance; less is chance
UNKNOWN = "longer runs were not measured yet"
NARROW = (
    "it is ahead because it sees twice as many images in the time; at the end of whole runs its cells are farther from real "
    "ones, because its autoencoder's copies are ([table](../explanation/design.md#half-the-width-to-the-end))"
)
# Recipes that were nearer than the default by more than that, and why they are not the default.
WHY_NOT = {
    "autoencoder: 32 channels, sub-pixel decoder": "it copies best, but its latents are rough, and the game in them falls behind "
    "([longer tries](../explanation/design.md#a-sharper-autoencoder-tried))",
    "translator: no fine noise": "the power of its fine detail is off by a factor of eight, the default's by one and a half",
    "game: half the width": NARROW,
    "game: half the width, longer": NARROW,
    "game: types from the start": "it saw a fifth more images in its minutes (the machine was busier with the default's); by "
    "the default's own curve that alone brings 0.04, and the rest is within chance",
    "translator: adversarial weight 1": "in longer runs its chromatin became grain ([third bundle](../how-to/make-pbc-256.md))",
    "translator: no score of texture": "its fine detail is farther off",
    "translator: no score of features": "after three times as long the difference is within chance, and fine detail alike",
}
OF_AUTOENCODER = ("width", "latent_channels")
FINE = (32, 112)  # radii of the spectrum that a basic cell does not hold, of 128


class TimeIsUp(Exception):
    """The recipe has had its minutes."""


def spend(stage: Stage, folder: Path, minutes: float) -> int:
    """Train for so many minutes of CPU time; the images seen."""
    began, seen = time.process_time(), 0

    def report(_: str, images: int, *__: Any) -> None:
        nonlocal seen
        seen = images
        if time.process_time() - began > 60 * minutes:
            raise TimeIsUp

    with contextlib.suppress(TimeIsUp):
        run_stage(stage, folder, 1e9, report)
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for the runs; the images' cache is kept there")
    parser.add_argument("--minutes", type=float, default=3.0, help="of CPU time, for each recipe")
    parser.add_argument("--only", nargs="*", help="names of recipes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # CPU time of one thread compares best
    path = RESULTS / "recipes.json"
    for name in RECIPES:
        if arguments.only and name not in arguments.only:
            continue
        row = measure(name, arguments)
        print(name, json.dumps(row), flush=True)
        table: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        table |= {name: row}
        order = [*RECIPES, *table]  # those whose code was deleted come last
        table = {known: table[known] for known in sorted(table, key=order.index)}
        path.write_text(json.dumps(table, indent=2) + "\n")
        (RESULTS / "recipes.md").write_text(render(table))


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One recipe: what it was, how long, how good."""
    kind, settings = RECIPES[name]
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        section, _, setting = key.partition(".")
        tree.setdefault(section, {})[setting] = value
    networks = {key: tree.pop(key) for key in ("generator", "translator") if key in tree}
    training = from_dict(TrainingConfig, tree)
    longer = name.endswith(", longer")
    minutes = arguments.minutes * (LONGER if longer else 1)
    slug = "".join(c if c.isalnum() else "-" for c in name)
    # The data's parts, the cache, and the autoencoder that the later stages share, where their networks fit it.
    own = {key: value for key, value in networks.get("generator", {}).items() if key in OF_AUTOENCODER}
    base = arguments.work / "-".join(
        ["base", *(f"{key}-{value}" for key, value in own.items()), *(["longer"] if longer else [])]
    )
    data = prepare_data(arguments.data, training, base)
    base.mkdir(parents=True, exist_ok=True)
    data.keep(base)
    types = data.cell_types
    chain = check_chain(from_dict(ChainConfig, {"cell_types": types, **networks}))
    run = Run(chain, check_training(training, chain), find_hardware(), str(arguments.data))
    fabric = make_fabric(run.hardware)
    shared = stage_folder(base, "autoencoder")
    if kind != "autoencoder" and not (shared / "best.safetensors").exists():
        first, _ = build_stage("autoencoder", fabric, run, data, base)
        spend(first, shared, minutes)
        whole = {"images": first.total_images, "best_score": first.held_out_score(), "seconds": 0.0}
        for kept in ("last", "best"):
            save_checkpoint(shared / f"{kept}.safetensors", first.modules, {}, whole)
    stage, _ = build_stage(kind, fabric, run, data, base)
    images = spend(stage, arguments.work / slug, minutes)
    grid = RESULTS / "recipes" / f"{slug}.png"
    grid.parent.mkdir(parents=True, exist_ok=True)
    stage.sample_grid(grid)
    small = _reduced(grid)
    return {
        "stage": kind,
        "settings": settings,
        "cpu_minutes": minutes,
        "images_seen": images,
        **judge(kind, stage, len(types)),
        "grid": str(small.relative_to(RESULTS)),
    }


@torch.no_grad()
def judge(kind: StageName, stage: Any, types: int) -> dict[str, float]:
    """Kernel distance to held-out cells, mean over the types; for the translator also the error of its fine detail."""
    real: dict[int, Tensor] = {t: stage.held_out.first(t, 64) for t in range(types)}
    if kind == "autoencoder":
        made = {
            t: torch.cat([stage.ema.module(x, torch.zeros(1)).cpu() for x in images.split(32)])
            for t, images in real.items()
        }
    elif kind == "low-resolution":
        made = {t: stage.samples(t, 64) for t in range(types)}
    else:
        made = {t: torch.cat([stage.samples(t, x)[1] for x in images.split(16)]) for t, images in real.items()}
    found = {"distance": HeldOutScore(real)(made)}
    if kind == "translation":
        found["fine_detail_error"] = detail_error(torch.cat(list(made.values())), torch.cat(list(real.values())))
    return found


def detail_error(made: Tensor, real: Tensor) -> float:
    """Mean |ln(power of synthetic / power of real)| over the rings of the spectrum beyond the basic cell's pixels."""
    spectra = []
    for images in (made, real):
        side = images.shape[-1]
        window = np.hanning(side)
        grey = images.mean(dim=1).double().numpy()
        grey = (grey - grey.mean(axis=(1, 2), keepdims=True)) * window[:, None] * window
        power = np.zeros((side, side))
        for image in grey:
            power += np.abs(np.fft.fftshift(np.fft.fft2(image))) ** 2 / len(grey)
        rows, columns = np.mgrid[:side, :side] - side // 2
        ring = (np.hypot(rows, columns) * 256 / side).astype(int).ravel()
        spectra.append((np.bincount(ring, power.ravel()) / np.maximum(np.bincount(ring), 1))[slice(*FINE)])
    return float(np.abs(np.log(spectra[0] / spectra[1])).mean())


def _reduced(path: Path) -> Path:
    """A JPEG in the picture's place, of a third of the side where it is large: the pictures are for a glance."""
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB")
    if small.width > 1600:
        small = small.resize((small.width // 3, small.height // 3), Image.Resampling.LANCZOS)
    path.unlink()
    small.save(path.with_suffix(".jpg"), quality=80, optimize=True)
    return path.with_suffix(".jpg")


def render(table: Mapping[str, Any]) -> str:
    """Markdown."""
    lines = [
        "# Recipes at equal compute",
        "",
        "Written by `benchmarks/recipes.py`. Every recipe: the same minutes of CPU time on one thread, from chance, one seed; "
        "defaults but for what its name says. Distance: kernel distance to held-out validation cells, features of "
        "EfficientNet-Lite1 (no loss uses it), mean over the types; lower is better. A difference of a few hundredths is "
        "within chance. Detail: mean |ln(power / power of real cells)| of what is finer than a basic cell's pixels; 0 is "
        "alike. So few minutes tell what learns fast, not what ends best.",
        "",
        "| recipe | CPU minutes | images seen | distance | detail | grid |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for name, row in table.items():
        detail = f"{row['fine_detail_error']:.2f}" if "fine_detail_error" in row else ""
        deleted = "" if name in RECIPES else " (deleted since)"
        lines.append(
            f"| {name}{deleted} | {row['cpu_minutes']:g} | {row['images_seen']:,} | {row['distance']:.4f} | {detail} | "
            f"[picture]({row['grid']}) |"
        )
    lines += [
        "",
        "Where the game is played (pixels or latents), a critic on fixed features, phase two and the refinement were measured "
        "apart: [design](../explanation/design.md).",
        "",
    ]
    nearer = [name for name, row in table.items() if row["distance"] < _default(table, name) - MARGIN]
    lines += ["Nearer than the default, and why they are not it:", ""]
    lines += [f"- {name}: {WHY_NOT.get(name, UNKNOWN)}." for name in nearer]
    return "\n".join(lines) + "\n"


def _default(table: Mapping[str, Any], name: str) -> float:
    """Distance of the default of the same stage and minutes."""
    kind, longer = name.split(":")[0], ", longer" if name.endswith(", longer") else ""
    row = table.get(f"{kind}: default{longer}")
    return float(row["distance"]) if row else -1.0


if __name__ == "__main__":
    main()
