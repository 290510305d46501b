"""Reading one cell image: any usual file becomes (H, W, 3) uint8 sRGB, or a sentence that names the file."""

from __future__ import annotations

import io
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from syntheticcellgan.errors import InputError

SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp", ".ppm"})
"""File endings (lower case) that count as images."""

MAX_PIXELS = 64_000_000
"""A larger image is refused before a pixel is decoded: no cell crop is that large, a decompression bomb is."""

MIN_SIDE = 16
"""A smaller image shows no cell, pixels."""

# Only plain raster formats: Pillow's EPS reader starts an external program.
_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "PPM")

# What Pillow's readers raise on damaged files, found by changing bytes at random.
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError, struct.error)


@contextmanager
def open_image(path: str | os.PathLike[str] | IO[bytes], name: str = "") -> Iterator[Image.Image]:
    """The opened, not yet decoded image, its size within the limits. `name` is what a file without one is called.

    InputError, naming the file, if it is missing, no image, damaged (also when the damage shows only on decoding
    inside the `with`), too large, too small or has several frames.
    """
    name = _called(path, name)
    try:
        with warnings.catch_warnings():
            # Pillow's own warning comes later than our limit.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path, formats=_FORMATS)
    except FileNotFoundError:
        raise InputError(f"{name}: no such file.") from None
    except IsADirectoryError:
        raise InputError(f"{name} is a folder, not an image.") from None
    except UnidentifiedImageError:
        raise InputError(f"{name} is not an image that can be read; save it as PNG, JPEG or TIFF (8 bits).") from None
    except Image.DecompressionBombError:
        raise InputError(
            f"{name} has more than {MAX_PIXELS // 1_000_000} million pixels; cut single cells out of it first."
        ) from None
    except _DAMAGE as error:
        raise InputError(f"{name} cannot be opened as an image ({error}); save it anew as PNG or JPEG.") from None
    with image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise InputError(
                f"{name} has {width}×{height} pixels, more than {MAX_PIXELS // 1_000_000} million; "
                "cut single cells out of it first."
            )
        if min(width, height) < MIN_SIDE:
            raise InputError(
                f"{name} has {width}×{height} pixels; a cell image needs at least {MIN_SIDE}×{MIN_SIDE}: leave it out."
            )
        try:
            if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
                raise InputError(f"{name} holds several images; save each as a file of its own.")
            yield image
        except InputError:
            raise
        except _DAMAGE as error:
            raise InputError(
                f"{name} is damaged ({error}); fetch or export it anew, or take it out of the folder."
            ) from None


def read_image(path: str | os.PathLike[str] | IO[bytes], name: str = "") -> np.ndarray:
    """The image as (H, W, 3) uint8, sRGB, upright. `name` is what a file without one is called in errors.

    EXIF rotation is applied; transparency is laid on white; grey gets three equal channels; CMYK and embedded colour
    profiles are converted to sRGB; 16-bit grey is scaled so that 65,535 becomes 255. InputError, naming the file, as
    in `open_image`, and for floating-point pixels.
    """
    name = _called(path, name)
    with open_image(path, name) as image:
        upright = ImageOps.exif_transpose(image)
        return np.asarray(_to_srgb(upright, name))


def read_thumbnail(path: str | os.PathLike[str], size: int) -> np.ndarray:
    """The image in grey, squeezed to (size, size) uint8: quick (JPEG files are decoded at reduced size), for comparing.

    InputError as in `read_image`.
    """
    with open_image(path) as image:
        return thumbnail_of(image, size, os.fspath(path))


def thumbnail_of(image: Image.Image, size: int, name: str) -> np.ndarray:
    """As `read_thumbnail`, of an image that `open_image` opened and nothing has decoded yet."""
    image.draft("L", (4 * size, 4 * size))  # no effect but on JPEG
    upright = ImageOps.exif_transpose(image)
    grey = upright if upright.mode == "L" else _to_srgb(upright, name).convert("L")
    return np.asarray(grey.resize((size, size), Image.Resampling.HAMMING))


def resize_square(image: np.ndarray, size: int) -> np.ndarray:
    """Centre square of `image` (H, W, 3) uint8, resized to (size, size, 3) uint8.

    A whole-number reduction is the mean of each block of pixels (what average pooling does); any other change of size
    is Lanczos with its support widened for reductions, so that nothing aliases.
    """
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    if side == size:
        return np.ascontiguousarray(square)
    how = Image.Resampling.BOX if side % size == 0 else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(square).resize((size, size), how))


def _to_srgb(image: Image.Image, name: str) -> Image.Image:
    """`image` in mode RGB."""
    if image.mode == "F":
        raise InputError(f"{name} has floating-point pixels; save it with 8 bits per channel.")
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if np.min(values) < 0 or np.max(values) > 65_535:
            raise InputError(f"{name} has 32-bit pixels; save it with 8 or 16 bits per channel.")
        return Image.fromarray(((values * 255 + 32_767) // 65_535).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    profile = image.info.get("icc_profile")
    if profile:
        return _through_profile(image, profile)
    return image if image.mode == "RGB" else image.convert("RGB")


def _through_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """`image` converted from its embedded colour profile; an unusable profile is passed over, as viewers do."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if image.mode == "RGB" and "sRGB" in ImageCms.getProfileDescription(source):
            return image
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image.convert("RGB")
    assert converted is not None  # None only comes back for in-place conversion
    return converted


def _called(path: str | os.PathLike[str] | IO[bytes], name: str) -> str:
    return name or (os.fspath(path) if isinstance(path, (str, os.PathLike)) else "The image")


def is_image_file(path: Path | str) -> bool:
    """Whether the name looks like an image's (hidden files, such as macOS's `._x.jpg`, do not)."""
    name = Path(path).name
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
