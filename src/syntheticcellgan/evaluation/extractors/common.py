"""What all extractors share: finding packaged weights, checking them, bringing images to the network's size."""

from __future__ import annotations

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np

from syntheticcellgan.data.images import resize_square
from syntheticcellgan.errors import InputError


class Extractor(Protocol):
    """A network with fixed weights that gives each image a vector.

    name: as in reports. dim: length of the vector. input_size: side in pixels at which images enter the network.
    licence: of the weights. sha256: of the weights' file, checked on loading.
    """

    name: str
    dim: int
    input_size: int
    licence: str
    sha256: str

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) uint8 sRGB of any size → (N, dim) float32."""
        ...


def packaged_file(package: str, relative: str, install: str) -> Path:
    """Path of a file inside an installed package, found without importing it (its own dependencies may be missing).

    InputError with the pip command `install` where package or file is missing.
    """
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        if (Path(folder) / relative).is_file():
            return Path(folder) / relative
    raise InputError(f"The weights {Path(relative).name} are not installed; install them with: {install}")


def read_verified(path: str | os.PathLike[str], sha256: str) -> bytes:
    """The file's bytes; InputError, naming the file, if their SHA-256 is another."""
    content = Path(path).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise InputError(
            f"{os.fspath(path)} has the SHA-256 {found[:12]}…, not {sha256[:12]}…: the file is damaged or of another "
            "version; install the package anew."
        )
    return content


def to_input(images: np.ndarray, size: int) -> np.ndarray:
    """(N, H, W, 3) uint8 → centre squares (N, size, size, 3) uint8, resized without aliasing."""
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise InputError(f"Images must be (N, height, width, 3) of uint8, not {images.shape} of {images.dtype}.")
    if images.shape[1:3] == (size, size):
        return images
    return np.stack([resize_square(image, size) for image in images])


def normalised(images: np.ndarray, mean: tuple[float, ...], deviation: tuple[float, ...]) -> np.ndarray:
    """(N, H, W, 3) uint8 → (N, 3, H, W) float32, (value / 255 − mean) / deviation per channel."""
    scale = 1 / (255 * np.asarray(deviation, np.float32))
    shift = np.asarray(mean, np.float32) / np.asarray(deviation, np.float32)
    return np.ascontiguousarray((images * scale - shift).transpose(0, 3, 1, 2), np.float32)


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation per channel of ImageNet, as most networks expect their input."""
