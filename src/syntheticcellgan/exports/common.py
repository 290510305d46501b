"""What all exports share: the images of a data set as files that any reader opens alike, and what is known of each."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from syntheticcellgan.data.images import open_image, read_image
from syntheticcellgan.data.manifest import Manifest, Record
from syntheticcellgan.errors import InputError
from syntheticcellgan.provenance import Provenance, read_provenance

ORIENTATION = 0x0112


@dataclass(frozen=True)
class About:
    """What the exported set says of itself. licence: an SPDX identifier or an address; None if it was not given."""

    name: str
    licence: str | None = None


@dataclass(frozen=True)
class ImageFile:
    """One image of the set. content: PNG or JPEG, 8-bit sRGB, upright. provenance: None for a real image."""

    record: Record
    content: bytes
    suffix: str
    provenance: Provenance | None

    @property
    def name(self) -> str:
        """A name that is unique in the set: that of the original file, with the suffix of the content."""
        return Path(self.record.file).with_suffix(f".{self.suffix}").as_posix()

    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8."""
        with Image.open(io.BytesIO(self.content)) as image:
            return np.asarray(image.convert("RGB"))

    def facts(self) -> dict[str, Any]:
        """What is known of it, as a flat record."""
        r, p = self.record, self.provenance
        known: dict[str, Any] = {"patient": r.patient, "laboratory": r.laboratory, "subtype": r.subtype}
        facts = {**r.attributes, **{name: value for name, value in known.items() if value}}
        facts["synthetic"] = p is not None
        if p is not None:
            facts |= {"bundle": p.bundle, "bundle_id": p.bundle_id, "seed": p.seed, "truncation": p.truncation}
            facts |= {"style": p.style, "style_id": p.style_id} if p.style else {}
        return facts


def image_files(manifest: Manifest, progress: Callable[[int], None] | None = None) -> Iterator[ImageFile]:
    """Every image of the set, in order, one in memory at a time. progress: called with the number done.

    Raises:
        InputError: an image cannot be read, or two would bear one name.
    """
    names: set[str] = set()
    for done, record in enumerate(manifest.records, start=1):
        path = manifest.path(record)
        content, suffix = _portable(path)
        file = ImageFile(record, content, suffix, _provenance(path))
        if file.name.casefold() in names:
            raise InputError(
                f"{path}: another image of the set has the same name up to its ending; rename one of them."
            )
        names.add(file.name.casefold())
        yield file
        if progress:
            progress(done)


def _portable(path: Path) -> tuple[bytes, str]:
    """(bytes, suffix) of the file itself if every reader shows the same pixels, else of a PNG that was made of it."""
    with open_image(path) as image:
        plain = (
            image.format in ("PNG", "JPEG")
            and image.mode == "RGB"
            and image.getexif().get(ORIENTATION, 1) == 1
            and not image.info.get("icc_profile")
        )
        suffix = "png" if image.format == "PNG" else "jpg"
    pixels = read_image(path)  # also refuses what is cut short
    if plain:
        return path.read_bytes(), suffix
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue(), "png"


def _provenance(path: Path) -> Provenance | None:
    try:
        return read_provenance(path)
    except InputError:
        return None


def put(file: ImageFile, folder: Path) -> None:
    """Write the image at its name below `folder`."""
    path = folder / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.content)


def write_table(path: Path, rows: Iterable[Mapping[str, Any]], first: tuple[str, ...]) -> list[str]:
    """A CSV with the columns `first` and then all others that occur, sorted; returns the columns."""
    kept = list(rows)
    columns = [*first, *sorted({name for row in kept for name in row} - set(first))]
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(kept)
    return columns


def shuffled(manifest: Manifest) -> Manifest:
    """The same records in an order that mixes the types and never changes: that of a hash of the names."""
    keys = [hashlib.sha256(record.file.encode()).digest() for record in manifest.records]
    return manifest.select(sorted(range(len(keys)), key=keys.__getitem__))


def synthetic_note(synthetic: int, total: int) -> str:
    """One sentence on how many of the images are synthetic."""
    if synthetic == total:
        return "All images are synthetic: made by a trained model, never to be used for diagnosis."
    if synthetic:
        return f"{synthetic:,} of {total:,} images are synthetic; the column synthetic says which."
    return "No image carries a record of being synthetic."
