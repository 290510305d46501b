"""PBC Barcelona (Acevedo et al. 2020): eight folders; file prefixes tell band from segmented and the immature apart.

Layout: `PBC_dataset_normal_DIB/<type>/XX_123.jpg`, type one of basophil, eosinophil, erythroblast, ig (immature
granulocytes: PMY, MY, MMY, IG), lymphocyte, monocyte, neutrophil (BNE band, SNE segmented, NEUTROPHIL), platelet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from syntheticcellgan.data.importers.layout import Item, Layout, folders, images, items_of_folders, search

_FOLDERS = frozenset(
    {"basophil", "eosinophil", "erythroblast", "ig", "lymphocyte", "monocyte", "neutrophil", "platelet"}
)
_IMMATURE = {"PMY": "promyelocyte", "MY": "myelocyte", "MMY": "metamyelocyte"}
_SUBTYPES = {"BNE": "band", "SNE": "segmented"}
_NAME = re.compile(r"(BA|EO|ERB|IG|LY|MO|MY|MMY|PMY|BNE|SNE|NEUTROPHIL|PLATELET)_\d+", re.IGNORECASE)


def _here(folder: Path) -> bool:
    types = [child for child in folders(folder) if child.name in _FOLDERS]
    if len(types) < 2:
        return False
    samples = [next(images(child), None) for child in types]
    return any(samples) and all(_NAME.match(sample[0].name) for sample in samples if sample is not None)


def _type(folder: str, file: str) -> tuple[str, str | None]:
    prefix = file.split("_")[0].upper()
    if folder == "ig":
        return _IMMATURE.get(prefix, "immature_granulocyte"), None
    return folder, _SUBTYPES.get(prefix) if folder == "neutrophil" else None


def _items(root: Path) -> Iterator[Item]:
    return items_of_folders(root, _FOLDERS, _type, "Hospital Clinic of Barcelona")


LAYOUT = Layout(
    "pbc",
    "PBC Barcelona (Acevedo et al. 2020)",
    "folders basophil, eosinophil, ig, … with files like BNE_123.jpg",
    lambda source: search(source, _here),
    _items,
)
