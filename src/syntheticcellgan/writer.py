"""Cells onto disk: a folder per type, metadata.csv, a contact sheet; resumable, and no broken file is ever left."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.pipeline import Cell, SyntheticCellGAN
from syntheticcellgan.provenance import FORMATS, Provenance, encode

RECORD = "generation.json"
COLUMNS = ("file_name", "cell_type", "seed", "truncation", "bundle", "bundle_id", "synthetic")
SHEET_CELLS, SHEET_SIDE = 16, 128
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
        InputError: the folder holds other files or another generation.
        ScgError: the folder cannot be written or the disk is full.
    """
    requests = [Request(chain.find_type(r.cell_type), r.count, r.seed) for r in requests]
    total = sum(r.count for r in requests)
    try:
        _begin(chain, requests, out, image_format, truncation)
        todo = (pair for pair in _pairs(requests) if not (out / _name(*pair, image_format)).exists())
        done = sum((out / _name(*pair, image_format)).exists() for pair in _pairs(requests))
        with ThreadPoolExecutor(1) as disk:
            pending: list[Future[None]] = []
            for cell in chain.stream(todo, truncation):
                pending.append(disk.submit(_write_cell, chain, cell, out, image_format, truncation))
                if len(pending) >= PENDING:
                    pending.pop(0).result()
                done += 1
                if progress:
                    progress(done, total)
            for future in pending:
                future.result()
        _write_table(chain, requests, out, image_format, truncation)
        _write_sheet(requests, out, image_format)
    except OSError as error:
        raise ScgError(
            f"{out} could not be written ({error.strerror}). Free some space or choose another --out; "
            "the same command then completes what is missing."
        ) from error
    return total


def _begin(
    chain: SyntheticCellGAN, requests: Sequence[Request], out: Path, image_format: str, truncation: float
) -> None:
    record = {
        "bundle": chain.bundle.name,
        "bundle_id": chain.bundle.id,
        "format": image_format,
        "truncation": truncation,
        "requests": [[r.cell_type, r.count, r.seed] for r in requests],
    }
    path = out / RECORD
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out needs a folder.")
    if path.exists():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            kept = None
        if kept != record:
            raise InputError(f"{out} holds another generation (other bundle or options); choose another --out.")
        return
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} holds other files; choose an empty or new folder with --out.")
    out.mkdir(parents=True, exist_ok=True)
    _write(path, (json.dumps(record, indent=2) + "\n").encode())


def _pairs(requests: Iterable[Request]) -> Iterator[tuple[str, int]]:
    return ((r.cell_type, r.seed + i) for r in requests for i in range(r.count))


def _name(cell_type: str, seed: int, image_format: str) -> str:
    return f"{cell_type}/{cell_type}-{seed:08d}{FORMATS[image_format]}"


def _write_cell(chain: SyntheticCellGAN, cell: Cell, out: Path, image_format: str, truncation: float) -> None:
    provenance = Provenance(chain.bundle.name, chain.bundle.id, cell.cell_type, cell.seed, truncation)
    path = out / _name(cell.cell_type, cell.seed, image_format)
    path.parent.mkdir(exist_ok=True)
    _write(path, encode(cell.image, image_format, provenance))


def _write(path: Path, content: bytes) -> None:
    """The whole file or none."""
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _write_table(
    chain: SyntheticCellGAN, requests: Sequence[Request], out: Path, image_format: str, truncation: float
) -> None:
    temporary = out / "metadata.csv.part"
    try:
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(COLUMNS)
            for name, seed in _pairs(requests):
                row = [
                    _name(name, seed, image_format),
                    name,
                    seed,
                    truncation,
                    chain.bundle.name,
                    chain.bundle.id,
                    "yes",
                ]
                table.writerow(row)
        os.replace(temporary, out / "metadata.csv")
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _write_sheet(requests: Sequence[Request], out: Path, image_format: str) -> None:
    """One row per type, its first seeds in order."""
    rows = []
    for r in requests:
        row = np.full((SHEET_SIDE, SHEET_SIDE * SHEET_CELLS, 3), 255, np.uint8)
        for i in range(min(r.count, SHEET_CELLS)):
            with Image.open(out / _name(r.cell_type, r.seed + i, image_format)) as image:
                small = image.convert("RGB").resize((SHEET_SIDE, SHEET_SIDE), Image.Resampling.BOX)
            row[:, i * SHEET_SIDE : (i + 1) * SHEET_SIDE] = np.asarray(small)
        rows.append(row)
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).save(buffer, "PNG")
    _write(out / "contact_sheet.png", buffer.getvalue())
