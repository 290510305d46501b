"""One way of showing for all images of a session, so that nothing but the picture tells where it is from.

Every image is decoded, cut to its centre square, brought to one side, and written anew as JPEG with the same tables and
without metadata; all files of a session are then filled up to one length. A photograph that came through a camera's
JPEG carries its traces: the session's quality is that of its most compressed file, so that all carry the same.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from syntheticcellgan.data.images import open_image, read_image, resize_square

BEST_QUALITY, LEAST_QUALITY = 92, 50
LARGEST_SIDE = 512


def common_form(paths: Sequence[Path]) -> tuple[int, int]:
    """(side, quality) that all of these images can have: the smallest side, and the lowest JPEG quality found.

    InputError, naming the file, if one cannot be opened.
    """
    side, quality = LARGEST_SIDE, BEST_QUALITY
    for path in paths:
        with open_image(path) as image:
            side = min(side, *image.size)
            quality = min(quality, _quality_of(image) or BEST_QUALITY)
    return side, max(quality, LEAST_QUALITY)


def encode_blind(path: Path, side: int, quality: int) -> tuple[bytes, bytes]:
    """(JPEG file, pixels as bytes before compression) of the image at `path`; InputError if it cannot be read."""
    return encode_pixels(read_image(path), side, quality)


def encode_pixels(image: np.ndarray, side: int, quality: int) -> tuple[bytes, bytes]:
    """As `encode_blind`, of (H, W, 3) uint8."""
    square = resize_square(image, side)
    buffer = io.BytesIO()
    Image.fromarray(square).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return buffer.getvalue(), square.tobytes()


def pad(files: Sequence[bytes]) -> list[bytes]:
    """The files, all as long as the longest; what follows a JPEG's end marker is never shown."""
    longest = max(map(len, files))
    return [content + bytes(longest - len(content)) for content in files]


def _quality_of(image: Image.Image) -> int | None:
    """Quality, on the scale of the Independent JPEG Group, whose tables come nearest to the file's; None if no JPEG."""
    tables = getattr(image, "quantization", None)
    if image.format not in ("JPEG", "MPO") or not tables:
        return None
    luminance = sum(tables[min(tables)])
    scale = _scale()
    return min(scale, key=lambda quality: (abs(scale[quality] - luminance), -quality))


@cache
def _scale() -> dict[int, int]:
    """Sum of the luminance table at each quality."""
    sums = {}
    for quality in range(1, 101):
        buffer = io.BytesIO()
        Image.new("L", (8, 8)).save(buffer, "JPEG", quality=quality)
        with Image.open(io.BytesIO(buffer.getvalue())) as image:
            sums[quality] = sum(image.quantization[0])  # type: ignore[attr-defined]
    return sums
