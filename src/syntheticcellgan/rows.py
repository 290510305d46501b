"""Rows of images, steps along each, as one grid or one animated image."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.files import write_whole
from syntheticcellgan.provenance import encode_animation, encode_sheet

ENDINGS = (".png", ".gif", ".webp", ".apng")
MOST_PIXELS = 64_000_000  # of a grid, or of all frames


def check_target(out: Path) -> None:
    """InputError unless `out` ends in one of `ENDINGS` and is no folder."""
    if out.suffix.lower() not in ENDINGS:
        raise InputError(f"--out {out} has no known ending; give a grid .png, or an animated {', '.join(ENDINGS[1:])}.")
    if out.is_dir():
        raise InputError(f"{out} is a folder; give a file, such as {out / 'walk.gif'}.")


def write_rows(rows: Sequence[np.ndarray], out: Path, record: Mapping[str, object], delay: int = 120) -> None:
    """Write rows, each (steps, S, S, 3) uint8, to `out`.

    A PNG is a grid. In a GIF, WebP or APNG the rows lie side by side and move from the first step to the last and back.

    Args:
        record: what the images have in common, for the file.
        delay: milliseconds per step.

    Raises:
        InputError: the ending is not known, or there are more pixels than a viewer opens.
        ScgError: the file cannot be written.
    """
    check_target(out)
    stacked = np.stack(rows)
    if stacked[..., 0].size > MOST_PIXELS:
        raise InputError(f"{len(rows)} rows of {stacked.shape[1]} steps are too large for one file; take fewer.")
    ending = out.suffix.lower()
    if ending == ".png":
        grid = np.concatenate([np.concatenate(list(row), axis=1) for row in stacked])
        content = encode_sheet(Image.fromarray(grid), record)
    else:
        columns = int(np.ceil(np.sqrt(len(rows))))
        frames = [Image.fromarray(_tiled(stacked[:, k], columns)) for k in range(stacked.shape[1])]
        content = encode_animation(frames + frames[-2:0:-1], ending, delay, json.loads(json.dumps(dict(record))))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, content)
    except OSError as error:
        raise ScgError(f"{out} could not be written ({error.strerror or error}). Choose another place.") from error


def _tiled(images: np.ndarray, columns: int) -> np.ndarray:
    """(N, S, S, 3) in rows of `columns`, white where there is none left."""
    missing = -len(images) % columns
    padded = np.concatenate([images, np.full((missing, *images.shape[1:]), 255, np.uint8)])
    return np.concatenate(
        [np.concatenate(list(padded[i : i + columns]), axis=1) for i in range(0, len(padded), columns)]
    )
