"""A Hugging Face image folder with metadata.csv: in the folder itself or in each split (train, validation, test).

Layout: `metadata.csv` with the column file_name, relative to the table, and the type's name in label (or cell_type).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from syntheticcellgan.data.importers.layout import Item, Layout, folders, search
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.errors import InputError

_TABLE = "metadata.csv"


def _tables(folder: Path) -> list[Path]:
    return [place for place in (folder, *folders(folder)) if (place / _TABLE).is_file()]


def _items(root: Path) -> Iterator[Item]:
    for place in _tables(root):
        manifest = read_manifest(place, table=_TABLE)
        if all(name.isdecimal() for name in manifest.cell_types):
            raise InputError(
                f"{place / _TABLE}: the labels are numbers ({', '.join(manifest.cell_types[:3])} …); "
                "add a column cell_type with the types' names, which stand in the set's README."
            )
        split = place.name if place != root else ""
        for record in manifest.records:
            name = record.file.replace("/", "_")
            yield Item(
                f"{split}_{name}" if split else name,
                record.cell_type,
                manifest.path(record),
                f"{split}/{record.file}" if split else record.file,
                subtype=record.subtype,
                patient=record.patient,
                laboratory=record.laboratory,
                attributes={**record.attributes, **({"split": split} if split else {})},
            )


LAYOUT = Layout(
    "huggingface",
    "Hugging Face image folder",
    "metadata.csv with file_name and label, in the folder or in train, validation, test",
    lambda source: search(source, lambda folder: bool(_tables(folder)), depth=1),
    _items,
)
