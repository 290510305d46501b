"""Cells onto disk: a folder per type, metadata.csv, a contact sheet; resumable, and no broken file is ever left."""

from __future__ import annotations

import csv
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from syntheticcellgan.cell_types import resolve
from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.files import alone, is_begun, write_whole
from syntheticcellgan.pipeline import Cell, SyntheticCellGAN, check_seeds, check_truncation
from syntheticcellgan.provenance import FORMATS, Provenance, encode, encode_sheet, read_provenance

RECORD = "generation.json"
COLUMNS = ("file_name", "cell_type", "seed", "truncation", "bundle", "bundle_id", "synthetic")
STYLE_COLUMNS = ("style", "style_id")  # only where the cells were given a laboratory's look
SHEET_CELLS, SHEET_SIDE = 16, 128
MAX_COUNT = 10_000_000  # of one type
PENDING = 64  # encoded images that may wait for the disk

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """`count` cells of one type, seeds seed … seed + count − 1."""

    cell_type: str
    count: int
    seed: int = 0


def balance(manifest: Manifest, known: Sequence[str], seed: int = 0) -> list[Request]:
    """What fills every type of a data set that the bundle knows up to its largest type.

    Raises:
        InputError: nothing is missing, or the bundle knows none of its types.
    """
    counts = manifest.counts
    if not set(counts) & set(known):
        raise InputError(f"{manifest.root}: the bundle knows none of its types ({', '.join(counts)}).")
    largest = max(counts.values())
    missing = [Request(name, largest - n, seed) for name, n in counts.items() if name in known and n < largest]
    if not missing:
        raise InputError(f"{manifest.root} is balanced already: every known type has {largest} images.")
    return missing


def write_cells(
    chain: SyntheticCellGAN,
    requests: Sequence[Request],
    out: Path,
    image_format: str = "png",
    truncation: float = 1.0,
    progress: Progress | None = None,
) -> int:
    """Generate and write; called again with the same arguments it completes what is missing.

    Returns:
        The number of images in the folder.

    Raises:
        InputError: a request out of range, or the folder holds other files or another generation, or another process
            fills it.
        ScgError: the folder cannot be written or the disk is full.
    """
    requests = checked(chain, requests, truncation)
    total = sum(r.count for r in requests)
    kept = made = 0

    def missing() -> Iterator[tuple[str, int]]:
        nonlocal kept
        for name, seed in _pairs(requests):
            if _is_written(out / _name(name, seed, image_format), provenance_of(chain, name, seed, truncation)):
                kept += 1
            else:
                yield name, seed

    try:
        _begin(chain, requests, out, image_format, truncation)
        with alone(out), ThreadPoolExecutor(1) as disk:
            pending: deque[Future[None]] = deque()
            for cell in chain.stream(missing(), truncation):
                pending.append(disk.submit(_write_cell, chain, cell, out, image_format, truncation))
                if len(pending) >= PENDING:
                    pending.popleft().result()
                made += 1
                if progress:
                    progress(kept + made, total)
            for future in pending:
                future.result()
            _write_table(chain, requests, out, image_format, truncation)
            _write_sheet(chain, requests, out, image_format, truncation)
    except OSError as error:
        raise ScgError(
            f"{out} could not be written ({error.strerror or error}). Free some space or choose another --out; "
            "the same command then completes what is missing."
        ) from error
    return total


def checked(
    chain: SyntheticCellGAN, requests: Sequence[Request], truncation: float, limit: int = MAX_COUNT
) -> list[Request]:
    """Everything that can be wrong with a request is said before a folder is touched.

    Raises:
        InputError: a type that the bundle does not know or that is named twice, a count above `limit`, or a seed or
            truncation out of range.
    """
    check_truncation(truncation)
    for r in requests:
        if not 1 <= r.count <= limit:
            more = "; with --shards there can be more." if r.count > 0 and limit == MAX_COUNT else "."
            raise InputError(f"count is {r.count}; it can be 1 to {limit:,}{more}")
        check_seeds(r.seed, r.count)
    found = list(dict.fromkeys(Request(chain.find_type(r.cell_type), r.count, r.seed) for r in requests))
    names = [r.cell_type for r in found]
    if not names or len(set(names)) < len(names):
        raise InputError("Ask for at least one cell type, and for each type once.")
    return found


def _begin(
    chain: SyntheticCellGAN, requests: Sequence[Request], out: Path, image_format: str, truncation: float
) -> None:
    record = {
        "bundle": chain.bundle.name,
        "bundle_id": chain.bundle.id,
        "format": image_format,
        "truncation": truncation,
        "requests": [[r.cell_type, r.count, r.seed] for r in requests],
    } | style_of(chain)
    if not is_begun(out / RECORD, record, "another generation (other bundle or options)"):
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / RECORD, (json.dumps(record, indent=2) + "\n").encode())


def _pairs(requests: Iterable[Request]) -> Iterator[tuple[str, int]]:
    return ((r.cell_type, r.seed + i) for r in requests for i in range(r.count))


def _name(cell_type: str, seed: int, image_format: str) -> str:
    return f"{cell_type}/{cell_type}-{seed:08d}{FORMATS[image_format]}"


def provenance_of(chain: SyntheticCellGAN, cell_type: str, seed: int, truncation: float) -> Provenance:
    """What the file of this cell says of itself."""
    style = style_of(chain)
    return Provenance(
        chain.bundle.name,
        chain.bundle.id,
        cell_type,
        seed,
        truncation,
        style=style.get("style"),
        style_id=style.get("style_id"),
    )


def style_of(chain: SyntheticCellGAN) -> dict[str, str]:
    """Which laboratory's look the cells have; nothing where they have the bundle's own."""
    return {} if chain.style is None else {"style": chain.style.look.name, "style_id": chain.style.look.id}


def columns_of(chain: SyntheticCellGAN) -> tuple[str, ...]:
    """Of metadata.csv."""
    return (*COLUMNS, *(STYLE_COLUMNS if chain.style else ()))


def row_of(chain: SyntheticCellGAN, file: str, cell_type: str, seed: int, truncation: float) -> list[object]:
    """A cell's line in metadata.csv."""
    made_by = chain.bundle
    return [file, cell_type, seed, truncation, made_by.name, made_by.id, "yes", *style_of(chain).values()]


def _is_written(path: Path, provenance: Provenance) -> bool:
    """Whether the whole image with this provenance is there; a power cut can leave an empty file of the right name."""
    if not path.exists():
        return False
    try:
        with Image.open(path) as image:
            image.load()
        return read_provenance(path) == provenance
    except (InputError, OSError, SyntaxError, ValueError):
        return False


def _write_cell(chain: SyntheticCellGAN, cell: Cell, out: Path, image_format: str, truncation: float) -> None:
    provenance = provenance_of(chain, cell.cell_type, cell.seed, truncation)
    path = out / _name(cell.cell_type, cell.seed, image_format)
    path.parent.mkdir(exist_ok=True)
    write_whole(path, encode(cell.image, image_format, provenance))


def _write_table(
    chain: SyntheticCellGAN, requests: Sequence[Request], out: Path, image_format: str, truncation: float
) -> None:
    temporary = out / "metadata.csv.part"
    try:
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(columns_of(chain))
            for name, seed in _pairs(requests):
                table.writerow(row_of(chain, _name(name, seed, image_format), name, seed, truncation))
        os.replace(temporary, out / "metadata.csv")
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _write_sheet(
    chain: SyntheticCellGAN, requests: Sequence[Request], out: Path, image_format: str, truncation: float
) -> None:
    """One row per type: its name and its first seeds in order."""
    columns = min(max(r.count for r in requests), SHEET_CELLS)
    sheet = Image.new("RGB", (SHEET_SIDE * (columns + 1), SHEET_SIDE * len(requests)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(SHEET_SIDE // 9)
    for row, r in enumerate(requests):
        label = resolve(r.cell_type).title.replace(" ", "\n")
        draw.multiline_text((SHEET_SIDE // 16, (row + 0.5) * SHEET_SIDE), label, fill="black", font=font, anchor="lm")
        for i in range(min(r.count, columns)):
            with Image.open(out / _name(r.cell_type, r.seed + i, image_format)) as image:
                small = image.convert("RGB").resize((SHEET_SIDE, SHEET_SIDE), Image.Resampling.BOX)
            sheet.paste(small, (SHEET_SIDE * (i + 1), SHEET_SIDE * row))
    record = {"bundle": chain.bundle.name, "bundle_id": chain.bundle.id, "truncation": truncation} | style_of(chain)
    write_whole(out / "contact_sheet.png", encode_sheet(sheet, record))
