"""Images in small batches, so that ten thousand of them never lie in memory together.

batches(images, prepare, size) -> batches of prepared images
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from syntheticcellgan.data.images import read_image
from syntheticcellgan.errors import InputError

ImageSource = Iterable[str | os.PathLike[str] | np.ndarray] | np.ndarray
"""Paths of image files, or (H, W, 3) uint8 arrays of any size (also as one array (N, H, W, 3))."""


def pixels_of(image: str | os.PathLike[str] | np.ndarray) -> np.ndarray:
    """One image as (H, W, 3) uint8; InputError if the file cannot be read or the array has another form."""
    if not isinstance(image, np.ndarray):
        return read_image(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(
            f"An image must be an array (height, width, 3) of uint8, not {image.shape} of {image.dtype}; "
            "repeat a grey image three times: np.repeat(grey[..., None], 3, axis=2)."
        )
    return image


def batches(images: ImageSource, prepare: Callable[[np.ndarray], np.ndarray], size: int) -> Iterator[np.ndarray]:
    """`prepare(image)` of up to `size` images at a time, stacked."""
    batch: list[np.ndarray] = []
    for image in images:
        batch.append(prepare(pixels_of(image)))
        if len(batch) == size:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)
