"""WebDataset shards: tars in which an image and what is known of it share a name (`scg generate --shards` writes such).

Layout: `*.tar` in the folder. The type's name is `cell_type` or `label` in the sample's `.json`, or the line of
`labels.json` that its `.cls` counts to, or the text of its `.cls`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from syntheticcellgan.data.importers.layout import Item, Layout, search
from syntheticcellgan.data.tar import image_of, read_shard
from syntheticcellgan.errors import InputError

_KNOWN = ("subtype", "patient", "laboratory")


def _shards(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.tar") if not path.name.startswith("."))


def _here(folder: Path) -> bool:
    """The first sample tells; other archives may be tars too."""
    for path in _shards(folder)[:1]:
        try:
            _, files = next(read_shard(path), ("", dict[str, bytes]()))
        except InputError:
            return False
        return image_of(files) is not None and bool({"json", "cls"} & files.keys())
    return False


def _items(root: Path) -> Iterator[Item]:
    names = _names(root)
    for path in _shards(root):
        for key, files in read_shard(path):
            image = image_of(files)
            if image is None:
                continue
            suffix, content = image
            record = _record(files)
            known = {name: str(record[name]) for name in _KNOWN if record.get(name)}
            attributes = {
                name: str(value)
                for name, value in record.items()
                if name not in (*_KNOWN, "cell_type", "label") and isinstance(value, (str, int, float))
            }
            file = f"{key.replace('/', '_')}.{suffix}"
            yield Item(file, _type(record, files, names), content, f"{path.name}/{key}", **known, attributes=attributes)


def _names(root: Path) -> list[str]:
    try:
        names = json.loads((root / "labels.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def _record(files: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        record = json.loads(files["json"])
    except (KeyError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _type(record: Mapping[str, Any], files: Mapping[str, bytes], names: list[str]) -> str:
    for column in ("cell_type", "label"):
        if isinstance(record.get(column), str):
            return str(record[column])
    label = files.get("cls", b"").decode("utf-8", "replace").strip()
    if not label.isdecimal() or len(label) > 9:  # Python refuses to read a number of thousands of digits
        return label
    return names[int(label)] if int(label) < len(names) else ""


LAYOUT = Layout(
    "webdataset",
    "WebDataset shards",
    "*.tar with images, and the type in .json or .cls beside each",
    lambda source: search(source, _here, depth=1),
    _items,
)
