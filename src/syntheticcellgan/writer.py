"""Cells onto disk: a folder per type, metadata.csv, a contact sheet; resumable, and no broken file is ever left."""

from __future__ import annotations

import csv
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
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
        InputError: a type that the bundle does not know or that is named twice, a count above `limit`, a seed or
            truncation out of range, or wanted features that a type does not show.
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
    chain.check_features(names)
    return found


def _begin(
    chain: SyntheticCellGAN, requests: Sequence[Request], out: Path, image_format: str, truncation: float
) -> None:
    record = manner_of(chain, truncation)
    record |= {"format": image_format, "requests": [[r.cell_type, r.count, r.seed] for r in requests]}
    if not is_begun(out / RECORD, record, "another generation (other bundle or options)"):
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / RECORD, (json.dumps(record, indent=2) + "\n").encode())


def _pairs(requests: Iterable[Request]) -> Iterator[tuple[str, int]]:
    return ((r.cell_type, r.seed + i) for r in requests for i in range(r.count))


def _name(cell_type: str, seed: int, image_format: str) -> str:
    return f"{cell_type}/{cell_type}-{seed:08d}{FORMATS[image_format]}"


def provenance_of(
    chain: SyntheticCellGAN, cell_type: str, seed: int, truncation: float, cell: Cell | None = None
) -> Provenance:
    """What the file of this cell says of itself; with the cell, which candidate was chosen for wanted features, too."""
    style = style_of(chain)
    made = Provenance(
        chain.bundle.name,
        chain.bundle.id,
        cell_type,
        seed,
        truncation,
        style=style.get("style"),
        style_id=style.get("style_id"),
        wanted=dict(chain.wanted) or None,
        precision=unusual_precision(chain),
        engine=chain.networks.engine,
    )
    if cell is None or not chain.wanted:
        return made
    return replace(made, candidate=cell.candidate, predicted=dict(cell.predicted))


def style_of(chain: SyntheticCellGAN) -> dict[str, str]:
    """Which laboratory's look the cells have; nothing where they have the bundle's own."""
    return {} if chain.style is None else {"style": chain.style.look.name, "style_id": chain.style.look.id}


def unusual_precision(chain: SyntheticCellGAN) -> str | None:
    """What a record says of the precision: nothing of float32."""
    return None if chain.networks.precision == "float32" else chain.networks.precision


def manner_of(chain: SyntheticCellGAN, truncation: float) -> dict[str, object]:
    """What cells made together have in common: bundle, truncation, and what of look, wishes and arithmetic is unusual."""
    made: dict[str, object] = {"bundle": chain.bundle.name, "bundle_id": chain.bundle.id, "truncation": truncation}
    computed = {"precision": unusual_precision(chain), "engine": chain.networks.engine}
    made |= style_of(chain) | {name: value for name, value in computed.items() if value is not None}
    return made | {"wanted": dict(chain.wanted)} if chain.wanted else made


def columns_of(chain: SyntheticCellGAN) -> tuple[str, ...]:
    """Of metadata.csv."""
    features = () if chain.steering is None else chain.steering.known.names()
    wanted = ("candidate", *(f"wanted_{name}" for name in chain.wanted)) if features else ()
    return (*COLUMNS, *(STYLE_COLUMNS if chain.style else ()), *wanted, *(f"predicted_{name}" for name in features))


def row_of(chain: SyntheticCellGAN, file: str, made: Provenance) -> list[object]:
    """A cell's line in metadata.csv."""
    row = [file, made.cell_type, made.seed, made.truncation, made.bundle, made.bundle_id, "yes"]
    row += style_of(chain).values()
    if chain.steering is not None:
        read = made.predicted or {}
        row += [made.candidate, *chain.wanted.values(), *(read.get(name, "") for name in chain.steering.known.names())]
    return row


def _is_written(path: Path, provenance: Provenance) -> bool:
    """Whether the whole image with this provenance is there; a power cut can leave an empty file of the right name.

    Which candidate was chosen follows from the rest.
    """
    if not path.exists():
        return False
    try:
        with Image.open(path) as image:
            image.load()
        return replace(read_provenance(path), candidate=None, predicted=None) == provenance
    except (InputError, OSError, SyntaxError, ValueError):
        return False


def _write_cell(chain: SyntheticCellGAN, cell: Cell, out: Path, image_format: str, truncation: float) -> None:
    provenance = provenance_of(chain, cell.cell_type, cell.seed, truncation, cell)
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
                file_name = _name(name, seed, image_format)
                made = provenance_of(chain, name, seed, truncation)
                # What was read from a chosen cell stands in its file.
                made = read_provenance(out / file_name) if chain.wanted else made
                table.writerow(row_of(chain, file_name, made))
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
    write_whole(out / "contact_sheet.png", encode_sheet(sheet, manner_of(chain, truncation)))
