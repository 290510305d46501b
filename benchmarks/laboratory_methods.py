"""What laboratories.py compares: on what a classifier is trained, and what is done to the images that it is tested on."""

from __future__ import annotations

import numpy as np
import torch
from torchstain.numpy.normalizers.macenko import NumpyMacenkoNormalizer
from torchstain.numpy.normalizers.reinhard import NumpyReinhardNormalizer

from syntheticcellgan.stain.learned import LearnedNormaliser
from syntheticcellgan.training.virtual_laboratories import Laboratories

METHODS = {
    "plain": ("plain", "none"),
    "strong colour augmentation": ("strong", "none"),
    "normalised": ("plain", "scg"),
    "normalised, size too": ("plain", "scg, size"),
    "style-varied synthetic cells": ("styled", "none"),
    "both: normalised, style-varied synthetic cells": ("styled", "scg"),
    "both: normalised, size too, style-varied synthetic cells": ("styled", "scg, size"),
    "normalised, strong colour augmentation": ("strong", "scg"),
    "style-varied real cells": ("recoloured", "none"),
    "learned normaliser": ("plain", "learned"),
    "learned normaliser, strong colour augmentation": ("strong", "learned"),
    "both: learned normaliser, style-varied synthetic cells": ("styled", "learned"),
    "learned normaliser, normalised virtual laboratories": ("virtual", "learned"),
    "all three: learned normaliser, normalised virtual laboratories, style-varied synthetic cells": (
        "virtual, styled",
        "learned",
    ),
    "Reinhard": ("plain", "reinhard"),
    "Macenko": ("plain", "macenko"),
}
"""Name: what is trained on, and what is done to the images that are tested."""
ARMS = tuple(dict.fromkeys(arm for arm, _ in METHODS.values()))
RIVAL = "strong colour augmentation"

Images = list[np.ndarray]


def strong_colours(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Strong classic augmentation of colour, (B, H, W, 3) uint8: brightness ±40 %, contrast ±40 %, saturation ±50 %, hue
    ±36°, gain per channel ±25 %, gamma 0.7 to 1.4, each drawn anew for each image.
    """
    n = len(images)

    def drawn(low: float, high: float, size: int = 1) -> np.ndarray:
        return rng.uniform(low, high, (n, 1, 1, size)).astype(np.float32)

    x = (images.astype(np.float32) / 255.0) ** drawn(0.7, 1.4)
    x = x * drawn(0.6, 1.4) * drawn(0.75, 1.25, 3)
    x = (x - x.mean(axis=(1, 2), keepdims=True)) * drawn(0.6, 1.4) + x.mean(axis=(1, 2), keepdims=True)
    # Saturation and hue: scaling and turning about the grey axis of YIQ.
    yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32)
    y = x @ yiq.T
    angle, factor = drawn(-0.63, 0.63)[..., 0], drawn(0.5, 1.5)[..., 0]
    i, q = y[..., 1].copy(), y[..., 2].copy()
    y[..., 1], y[..., 2] = (
        (i * np.cos(angle) - q * np.sin(angle)) * factor,
        (i * np.sin(angle) + q * np.cos(angle)) * factor,
    )
    return np.rint(np.clip(y @ np.linalg.inv(yiq).T, 0, 1) * 255).astype(np.uint8)


def pooled(
    make: type[NumpyMacenkoNormalizer | NumpyReinhardNormalizer], target: Images, known: Images, images: Images
) -> Images:
    """A library's normaliser with statistics of pooled pixels: of the reference's images (`target`), and of all that there are
    of the laboratory, those that tell its look (`known`) and those to be normalised.
    """
    normaliser, source = make(), known + images
    normaliser.fit(np.concatenate(target))
    done = normaliser.normalize(np.concatenate(source))
    whole = done[0] if isinstance(done, tuple) else done
    return [np.ascontiguousarray(part) for part in np.split(whole, len(source))][len(known) :]


def in_virtual_laboratories(images: Images, normaliser: LearnedNormaliser, white: np.ndarray, seed: int) -> Images:
    """Each image as one of some laboratories that do not exist would show it (ten images of each), normalised again."""
    chance = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=chance).tolist()
    done: dict[int, np.ndarray] = {}
    for start in range(0, len(order), 10):
        places = order[start : start + 10]
        x = torch.from_numpy(np.stack([images[i] for i in places])).permute(0, 3, 1, 2).float()[None] / 255
        drawn = Laboratories.drawn(1, len(places), chance)
        seen = drawn(drawn.sharpness(x), torch.tensor(white, dtype=torch.float32))[0]
        shown = list((seen * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy())
        done |= zip(places, map(normaliser.fitted(shown), shown), strict=True)
    return [done[i] for i in range(len(images))]
