"""Raabin-WBC, double-labelled cropped cells (Kouzehkanan et al. 2022): five types in three parts.

Layout: `<Train|TestA|TestB>/<Basophil|Eosinophil|Lymphocyte|Monocyte|Neutrophil>/….jpg`. TestB comes from another
microscope and camera, so it is given as a laboratory of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from syntheticcellgan.data.importers.layout import Item, Layout, folders, images, search

_TYPES = frozenset({"basophil", "eosinophil", "lymphocyte", "monocyte", "neutrophil"})
_PARTS = {"train": "Train", "testa": "TestA", "testb": "TestB"}


def _part(folder: Path) -> str | None:
    return _PARTS.get(re.sub(r"[^a-z]", "", folder.name.casefold()))


def _types(part: Path) -> list[Path]:
    """The type folders of a part; its archive may hold the part's folder once more."""
    found = search(part, lambda folder: any(child.name.casefold() in _TYPES for child in folders(folder)), depth=1)
    return [child for child in folders(found) if child.name.casefold() in _TYPES] if found else []


def _here(folder: Path) -> bool:
    return any(_part(child) is not None and _types(child) for child in folders(folder))


def _items(root: Path) -> Iterator[Item]:
    for folder in folders(root):
        part = _part(folder)
        if part is None:
            continue
        for of_type in _types(folder):
            for path, file in images(of_type):
                yield Item(
                    f"{part}_{path.name}",
                    of_type.name,
                    path,
                    f"{folder.name}/{of_type.name}/{file}",
                    laboratory="Raabin-WBC TestB" if part == "TestB" else "Raabin-WBC",
                    attributes={"part": part},
                )


LAYOUT = Layout(
    "raabin",
    "Raabin-WBC, double-labelled crops (Kouzehkanan et al. 2022)",
    "folders Train, TestA, TestB with Basophil, Eosinophil, … inside",
    lambda source: search(source, _here),
    _items,
)
