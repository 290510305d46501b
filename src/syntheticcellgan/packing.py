"""Cells as a labelled zip, handed on piece by piece while they are made."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from syntheticcellgan.provenance import FORMATS, encode
from syntheticcellgan.writer import columns_of, provenance_of, row_of

if TYPE_CHECKING:
    from syntheticcellgan.pipeline import Cell, SyntheticCellGAN


class _Pipe(io.RawIOBase):
    """What was written and not yet taken; it cannot be sought in, so that the zip never needs to go back."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        self.pieces.append(bytes(content))
        return len(content)

    def take(self) -> bytes:
        content = b"".join(self.pieces)
        self.pieces.clear()
        return content


def pack(chain: SyntheticCellGAN, cells: Iterable[Cell], truncation: float) -> Iterator[bytes]:
    """The pieces of a zip of `cells`, which `chain` has made: a folder per type, each file a PNG with its provenance, and
    metadata.csv at the end.
    """
    table, pipe = io.StringIO(), _Pipe()
    rows = csv.writer(table)
    rows.writerow(columns_of(chain))
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as packed:
        for cell in cells:
            file = f"{cell.cell_type}/{cell.cell_type}-{cell.seed:08d}{FORMATS['png']}"
            made = provenance_of(chain, cell.cell_type, cell.seed, truncation, cell)
            packed.writestr(file, encode(cell.image, "png", made))
            rows.writerow(row_of(chain, file, made))
            yield pipe.take()
        packed.writestr("metadata.csv", table.getvalue())
    yield pipe.take()
