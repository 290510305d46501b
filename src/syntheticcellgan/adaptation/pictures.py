"""The few images as the game uses them: turned by any angle, made small, and as latents of the bundle's autoencoder.

A smear has no up and no left, so a turned or mirrored cell is another true image of the type, and dozens of them cost
nothing. They are encoded once; a step of the game then only picks latents.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.networks.autoencoder import Autoencoder
from syntheticcellgan.networks.degradation import shrink
from syntheticcellgan.pixels import to_tensor, to_uint8
from syntheticcellgan.training.randomness import numpy_generator


def read_squares(manifest: Manifest, size: int) -> np.ndarray:
    """(N, size, size, 3) uint8, centre squares as in training.

    Raises:
        InputError: an image that cannot be read, by name.
    """
    images = [resize_square(read_image(manifest.path(record)), size) for record in manifest.records]
    return np.stack(images) if images else np.empty((0, size, size, 3), np.uint8)


def turned(image: np.ndarray, degrees: float, mirrored: bool) -> np.ndarray:
    """`image` (S, S, 3) uint8 turned about its middle; what comes in at the corners is its own reflection."""
    side = len(image)
    margin = -(-side * 22 // 100)  # (√2 − 1) / 2 of the side
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
    whole = np.asarray(Image.fromarray(padded).rotate(degrees, Image.Resampling.BICUBIC))
    middle = whole[margin : margin + side, margin : margin + side]
    return np.ascontiguousarray(middle[:, ::-1] if mirrored else middle)


@torch.no_grad()
def encode_turned(images: np.ndarray, autoencoder: Autoencoder, scale: int, turns: int, seed: int) -> Tensor:
    """Latents (N · 2 turns, C, R/8, R/8) of (N, S, S, 3) uint8: evenly turned from a drawn angle on, and mirrored."""
    parts = []
    for i, image in enumerate(images):
        first = numpy_generator(seed, "turns", i).uniform(0, 360)
        views = [turned(image, first + 360 * k / turns, mirrored) for k in range(turns) for mirrored in (False, True)]
        parts.append(autoencoder.encoder(shrink(to_tensor(np.stack(views)), scale)))
    return torch.cat(parts)


@torch.no_grad()
def copies_of(images: np.ndarray, autoencoder: Autoencoder, scale: int) -> np.ndarray:
    """What the autoencoder makes of (N, S, S, 3) uint8: basic images (N, R, R, 3) uint8, as blurred as generated ones."""
    parts = [
        to_uint8(autoencoder.decoder(autoencoder.encoder(shrink(to_tensor(images[i : i + 16]), scale))))
        for i in range(0, len(images), 16)
    ]
    return np.concatenate(parts) if parts else np.empty((0, 0, 0, 3), np.uint8)
