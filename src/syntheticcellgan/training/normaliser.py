"""The normaliser learns from one laboratory alone: recoloured at random, its images are to become themselves again.

learn(Reference.of(images), NormaliserTraining()) -> Normaliser
learn_from(folder, out) -> record                     # `scg stain learn`
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from syntheticcellgan.config import NormaliserTraining, to_dict
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.data.manifest import LABEL_FILES, Manifest, Record, image_files, read_manifest
from syntheticcellgan.data.splits import read_split
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.networks.normaliser import DARKEST, VIEW, Normaliser
from syntheticcellgan.provenance import SOFTWARE
from syntheticcellgan.segmentation import background_colour
from syntheticcellgan.stain.colour import difference, to_lab, white_point
from syntheticcellgan.stain.learned import write_normaliser
from syntheticcellgan.stain.look import evenly_spread
from syntheticcellgan.training.ema import Ema
from syntheticcellgan.training.hardware import use_threads
from syntheticcellgan.training.randomness import numpy_generator, torch_generator
from syntheticcellgan.training.virtual_laboratories import Laboratories

KEPT = 96
"""Side of the images in memory: room for other magnifications."""
PIXELS = 1024  # of each image that a step compares: neighbours say much the same
MISTAKEN = 0.03  # standard deviation of the logarithm of a measured empty slide
ZOOMS = (0.7, 1.25)  # so that crowded and sparse fields, small and large cells are seen


@dataclass(frozen=True)
class Reference:
    """The one laboratory. images (N, 96, 96, 3) uint8; white (3,), 0 … 1, sRGB of its empty slide."""

    images: np.ndarray
    white: Tensor

    @classmethod
    def of(cls, images: list[np.ndarray]) -> Reference:
        """Of (H, W, 3) uint8 of any size; the white is the median over at most 200 of them."""
        small = np.stack([resize_square(image, KEPT) for image in images])
        seen = small[evenly_spread(len(small))]
        white = np.median([background_colour(image) for image in seen], axis=0) / 255.0
        return cls(small, torch.tensor(white, dtype=torch.float32))

    def drawn(self, count: int, rng: np.random.Generator) -> Tensor:
        """(count, 3, 64, 64) 0 … 1: by chance, turned, mirrored, nearer or farther."""
        chosen = []
        for i in rng.integers(len(self.images), size=count):
            image = np.rot90(self.images[i], int(rng.integers(4)))
            side = min(round(KEPT * float(rng.uniform(*ZOOMS))), KEPT)
            first = (KEPT - side) // 2
            image = resize_square(np.ascontiguousarray(image[first : first + side, first : first + side]), VIEW)
            chosen.append(image[:, ::-1] if rng.integers(2) else image)
        return torch.from_numpy(np.stack(chosen)).permute(0, 3, 1, 2).float() / 255


def learn(
    reference: Reference, training: NormaliserTraining, report: Callable[[int, int, float], None] | None = None
) -> Normaliser:
    """Train on the CPU; the same images and settings, the same network.

    report: told (images seen, images in all, mean error of the last step in sRGB, 0 … 1).
    """
    network = Normaliser(training.seed)  # float32: whole minutes are not worth another kind of number
    ema = Ema(network, training.ema_kimg * 1000)
    optimizer = torch.optim.AdamW(network.parameters(), lr=training.learning_rate, weight_decay=0.01)
    batch = training.laboratories * training.cells
    steps = max(round(training.kimg * 1000 / batch), 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.learning_rate, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        loss, error = _step(network, reference, training, step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        ema.update(network, batch, (step + 1) * batch)
        if report is not None:
            report((step + 1) * batch, steps * batch, error)
    averaged: Normaliser = ema.module
    return averaged.eval().requires_grad_(False)


def _step(network: Normaliser, reference: Reference, training: NormaliserTraining, step: int) -> tuple[Tensor, float]:
    labs, cells = training.laboratories, training.cells
    chance = torch_generator(training.seed, "normaliser", step)
    images = reference.drawn(labs * cells, numpy_generator(training.seed, "normaliser", step))
    drawn = Laboratories.drawn(labs, cells, chance)
    wanted = drawn.sharpness(images.view(labs, cells, 3, VIEW, VIEW))
    seen = drawn(wanted, reference.white)
    # The empty slide of a crowded field cannot be measured without error.
    error = torch.exp(MISTAKEN * torch.randn(labs, cells, 3, generator=chance))
    seen = seen / (drawn.whites(reference.white) * error).clamp_min(DARKEST)[..., None, None]
    wanted = wanted / reference.white[:, None, None]
    codes = network.codes(seen.flatten(0, 1)).view(labs, cells, -1)
    # What is known of a laboratory: any of its images, from one to all, the very one that is recoloured or not.
    chosen = torch.rand(labs, cells, generator=chance) < torch.rand(labs, 1, generator=chance)
    chosen[torch.arange(labs), torch.randint(cells, (labs,), generator=chance)] = True
    weights = chosen.float() / chosen.sum(dim=1, keepdim=True)
    laboratory = (weights[..., None] * codes).sum(dim=1, keepdim=True).expand_as(codes)
    maps = network.maps(codes.flatten(0, 1), laboratory.flatten(0, 1))
    places = torch.randperm(VIEW * VIEW, generator=chance)[:PIXELS]
    pixels, target = (x.flatten(0, 1).flatten(2)[..., places].transpose(1, 2) for x in (seen, wanted))
    distance = (network.recoloured(pixels, maps) - target).abs().mean(dim=2)
    # The empty slide is most of the picture and the least of the matter.
    weight = 0.1 + (target - 1).abs().mean(dim=2)
    return (distance * weight).mean() / weight.mean(), distance.detach().mean().item()


MINIMUM, HELD_OUT, UNSEEN = 50, 0.1, 12
"""Images that are needed; the share that is learnt by none; laboratories that tell how well it does."""


def learn_from(
    folder: Path,
    out: Path,
    *,
    split: Path | None = None,
    per_type: int = 200,
    kimg: float | None = None,
    threads: int = 1,
    licence: str = "not stated",
    name: str | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Train a normaliser on a folder's images and write it to `out`; returns its record.

    split: file of a training's split; its training part alone is learnt from. Of each type at most `per_type` images.

    Raises:
        InputError: fewer than 50 images, one that cannot be read, or `out` is a folder.
        ScgError: `out` cannot be written.
    """
    if out.is_dir():
        raise InputError(f"{out} is a folder; name the file to write with --out.")
    images = [resize_square(read_image(path), KEPT) for path in _chosen(folder, split, per_type, seed)]
    if len(images) < MINIMUM:
        raise InputError(f"{folder} has {len(images)} images; a normaliser needs at least {MINIMUM} to learn from.")
    use_threads(threads)
    order = np.random.default_rng(seed).permutation(len(images))
    held_out, learnt = np.split(order, [max(round(HELD_OUT * len(images)), UNSEEN)])
    training = NormaliserTraining(seed=seed)
    if kimg is not None:
        training = replace(training, kimg=kimg)
    began = time.perf_counter()
    reference = Reference.of([images[i] for i in learnt])
    network = learn(reference, training, None if progress is None else lambda done, total, error: progress(done, total))
    minutes = (time.perf_counter() - began) / 60
    before, after = unseen_error(network, replace(reference, images=np.stack([images[i] for i in held_out])), seed)
    record = {
        "software": SOFTWARE,
        "reference": name or folder.resolve().name,
        "licence": licence,
        "white": [round(float(value), 4) for value in reference.white],
        "images": len(learnt),
        "settings": to_dict(training),
        "minutes": round(minutes, 1),
        "before": round(before, 2),
        "after": round(after, 2),
    }
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_normaliser(network, record, out)
    except OSError as error:
        raise ScgError(f"{out} cannot be written ({error.strerror}); choose another --out.") from error
    return record


def _chosen(folder: Path, split: Path | None, per_type: int, seed: int) -> list[Path]:
    """Paths of the images, at most `per_type` of each type where types are known."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the one that holds the laboratory's images.")
    files = sorted(image_files(folder.resolve()))
    if any((folder / table).is_file() for table in LABEL_FILES) or any("/" in file for file in files):
        manifest = read_manifest(folder)
    else:
        manifest = Manifest(folder.resolve(), tuple(Record(file, "cell") for file in files))
    if split is not None:
        manifest = read_split(split).part(manifest, "train")
    rng = np.random.default_rng(seed)
    chosen: list[Path] = []
    for cell_type in manifest.cell_types:
        own = manifest.of_type(cell_type).records
        chosen += [manifest.path(own[i]) for i in rng.permutation(len(own))[:per_type]]
    return chosen


@torch.no_grad()
def unseen_error(network: Normaliser, held_out: Reference, seed: int) -> tuple[float, float]:
    """Mean CIEDE2000 between held-out images and what twelve laboratories make of them: as they are, and normalised."""
    cells = min(len(held_out.images), 8)
    chance = torch_generator(seed, "unseen laboratories")
    images = held_out.drawn(UNSEEN * cells, numpy_generator(seed, "unseen laboratories"))
    drawn = Laboratories.drawn(UNSEEN, cells, chance)
    wanted = drawn.sharpness(images.view(UNSEEN, cells, 3, VIEW, VIEW))
    seen = drawn(wanted, held_out.white)
    whites = drawn.whites(held_out.white).clamp_min(DARKEST)
    codes = network.codes((seen / whites[..., None, None]).flatten(0, 1)).view(UNSEEN, cells, -1)
    maps = network.maps(codes.flatten(0, 1), codes.mean(dim=1, keepdim=True).expand_as(codes).flatten(0, 1))
    pixels, target = (x.flatten(0, 1).flatten(2).transpose(1, 2) for x in (seen, wanted))
    white = white_point(held_out.white.numpy() * 255)
    after = network.recoloured(pixels / whites.flatten(0, 1)[:, None], maps) * held_out.white
    labs = [to_lab(x.clamp(0, 1).numpy() * 255, white) for x in (target, pixels, after)]
    return float(difference(labs[0], labs[1]).mean()), float(difference(labs[0], labs[2]).mean())
