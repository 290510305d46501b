"""What a sample of a WebDataset shard says of its image: the files beside it that share its name.

The type's name is `cell_type` or `label` in the sample's `.json`, or the line of the folder's `labels.json` that its
`.cls` counts to, or the text of its `.cls` or `.txt`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KNOWN = ("subtype", "patient", "laboratory")
"""Entries of a `.json` that have a meaning of their own; the others are attributes."""


def shards_in(folder: Path, pattern: str = "*.tar") -> list[Path]:
    """The shards of a folder, sorted by name; hidden files are none."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith(".") and path.is_file())


def label_names(folder: Path) -> list[str]:
    """The names that the numbers in `.cls` stand for; empty where no `labels.json` says so."""
    try:
        names = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def record_of(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The sample's `.json`; empty where it is missing or no table."""
    try:
        record = json.loads(files["json"])
    except (KeyError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def type_of(record: Mapping[str, Any], files: Mapping[str, bytes], names: list[str]) -> str:
    """The type's name as the sample spells it; empty where it has none."""
    for column in ("cell_type", "label"):
        if isinstance(record.get(column), str):
            return str(record[column])
    label = files.get("cls", files.get("txt", b"")).decode("utf-8", "replace").strip()
    if not label.isdecimal():
        return label
    number = int(label) if len(label) < 10 else len(names)  # Python reads no number of thousands of digits
    return names[number] if number < len(names) else ""
