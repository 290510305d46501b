"""A folder of images in another look: `scg stain apply`.

The tree and the names stay as they are, a labels.csv goes along, `stain.json` says what was done. The same command
again completes what is missing; a file that cannot be read stops nothing and is named at the end.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from syntheticcellgan.data.images import read_image
from syntheticcellgan.data.manifest import LABEL_FILES
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.files import is_begun, write_json, write_whole
from syntheticcellgan.provenance import SOFTWARE

RECORD = "stain.json"
_FORMATS = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".ppm": "PPM", ".webp": "WEBP"}


class Recolour(Protocol):
    """What takes an image to another look: `Recolouring` or `LearnedRecolouring`. record: from where to where."""

    @property
    def record(self) -> dict[str, object]: ...

    def __call__(self, image: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Standardised:
    """written: images in the folder now. unreadable: a sentence for each that was left out."""

    written: int
    unreadable: tuple[str, ...]


def standardise(
    folder: Path,
    paths: Sequence[Path],
    recolour: Recolour,
    out: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Standardised:
    """Write each of `paths` (below `folder`) into `out`, recoloured.

    PNG, TIFF, BMP, PPM and WebP are written without loss, JPEG with quality 95 and full colour resolution; all with 8 bits.

    Raises:
        InputError: `out` holds something else, or lies within `folder`.
        ScgError: the folder cannot be written.
    """
    if out.resolve() == folder.resolve() or folder.resolve() in out.resolve().parents:
        raise InputError(f"{out} lies within {folder}; choose another --out, so that the originals stay by themselves.")
    record: dict[str, object] = {"software": SOFTWARE} | recolour.record
    if not is_begun(out / RECORD, record, "images standardised otherwise"):
        write_json(out / RECORD, record)
    written, unreadable = 0, []
    try:
        for done, path in enumerate(paths, 1):
            place = out / path.relative_to(folder)
            if not place.exists():
                try:
                    image = read_image(path)
                except InputError as error:
                    unreadable.append(str(error))
                else:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    write_whole(place, encoded(recolour(image), path.suffix.lower()))
                    written += 1
            else:
                written += 1
            if progress is not None:
                progress(done, len(paths))
        for name in LABEL_FILES:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, out / name)
    except OSError as error:
        raise ScgError(
            f"{out} could not be written ({error.strerror or error}). Free some space or choose another --out; the same "
            "command then completes what is missing."
        ) from error
    return Standardised(written, tuple(unreadable))


def encoded(image: np.ndarray, suffix: str) -> bytes:
    """The bytes of a file with this ending (lower case, with its dot); (H, W, 3) uint8."""
    buffer = io.BytesIO()
    if suffix in _FORMATS:
        Image.fromarray(image).save(buffer, _FORMATS[suffix], **({"lossless": True} if suffix == ".webp" else {}))
    else:
        Image.fromarray(image).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()
