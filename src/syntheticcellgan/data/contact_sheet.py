"""A contact sheet: some images of every type of a data set on one page."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.errors import InputError, ScgError


def contact_sheet(manifest: Manifest, path: str | os.PathLike[str], per_type: int = 8, tile: int = 128) -> int:
    """Write a PNG with one row per type: its name and `per_type` images, evenly spaced over the files, `tile` px each.

    Files that cannot be read are passed over. Returns how many images it shows. InputError for counts below 1,
    ScgError if the file cannot be written.
    """
    if per_type < 1 or tile < 16:
        raise InputError(f"A contact sheet needs at least 1 image per type of 16 px (not {per_type} of {tile} px).")
    names = manifest.cell_types
    margin = tile * 3 // 2
    sheet = Image.new("RGB", (margin + per_type * tile, len(names) * tile), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(tile // 8)
    shown = 0
    for row, name in enumerate(names):
        of_type = [record for record in manifest.records if record.cell_type == name]
        label = name.replace("_", "\n") + f"\n{len(of_type):,}"
        draw.multiline_text((tile // 16, row * tile + tile // 8), label, fill="black", font=font)
        readable = _readable([manifest.path(of_type[place]) for place in _spread(len(of_type), per_type)])
        for column, image in enumerate(readable):
            sheet.paste(Image.fromarray(resize_square(image, tile)), (margin + column * tile, row * tile))
            shown += 1
    try:
        sheet.save(path, format="PNG")
    except OSError as error:
        raise ScgError(f"{os.fspath(path)} cannot be written ({error.strerror}); choose another place.") from None
    return shown


def _spread(count: int, wanted: int) -> list[int]:
    """`wanted` places spread evenly over `count`, or all of them."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int)).tolist()


def _readable(paths: Iterable[Path]) -> Iterator[np.ndarray]:
    for path in paths:
        try:
            yield read_image(path)
        except InputError:
            continue
