"""A table of attributes beside a data set: what experts said of each cell."""

from __future__ import annotations

import csv
import os
from pathlib import Path, PurePosixPath

from syntheticcellgan.errors import InputError

_NOT_ATTRIBUTES = {"img_name", "file", "label", "cell_type", "path", "subtype", "patient", "laboratory"}


def read_attributes(table: str | os.PathLike[str]) -> dict[str, dict[str, str]]:
    """Attributes per file name (without folders) from a CSV with a column `img_name` or `file`; empty cells left out.

    Columns that identify the cell (label, cell_type, patient …) are no attributes.
    """
    path = Path(table)
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table of attributes: {error}") from error
    key = next((name for name in ("img_name", "file") if rows and name in rows[0]), None)
    if key is None:
        raise InputError(f"{path} needs a header with a column img_name or file, and at least one row")
    return {
        PurePosixPath(row[key]).name: {
            name: value
            for name, value in row.items()
            if name not in _NOT_ATTRIBUTES and isinstance(value, str) and value
        }
        for row in rows
        if row[key]
    }
