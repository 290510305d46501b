"""MLL23 (Shetab Boushehri et al. 2025): 18 types, one archive per type, TIFF.

Layout: `<type>.zip`, each with a folder `<type>/` of TIFF files (some hold `<type>/<type>/`), or the unpacked folders.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from syntheticcellgan.data.importers.layout import Item, Layout, folders, items_of_folders, search

_TYPES: dict[str, tuple[str, str | None]] = {
    "basophil": ("basophil", None),
    "eosinophil": ("eosinophil", None),
    "hairy_cell": ("hairy_cell", None),
    "lymphocyte": ("lymphocyte", None),
    "lymphocyte_large_granular": ("large_granular_lymphocyte", None),
    "lymphocyte_neoplastic": ("lymphocyte_neoplastic", None),
    "lymphocyte_reactive": ("lymphocyte_variant", None),
    "metamyelocyte": ("metamyelocyte", None),
    "monocyte": ("monocyte", None),
    "myeloblast": ("myeloblast", None),
    "myelocyte": ("myelocyte", None),
    "neutrophil_band": ("neutrophil", "band"),
    "neutrophil_segmented": ("neutrophil", "segmented"),
    "normoblast": ("erythroblast", None),
    "plasma_cell": ("plasma_cell", None),
    "promyelocyte": ("promyelocyte", None),
    "promyelocyte_atypical": ("promyelocyte_apl", None),
    "smudge_cell": ("smudge_cell", None),
}
# Names that no other set uses: by them the layout is recognised.
_OWN = frozenset(
    {
        "lymphocyte_large_granular",
        "lymphocyte_neoplastic",
        "lymphocyte_reactive",
        "neutrophil_band",
        "neutrophil_segmented",
        "promyelocyte_atypical",
    }
)


def _here(folder: Path) -> bool:
    return any(child.name in _OWN for child in folders(folder))


def _items(root: Path) -> Iterator[Item]:
    return items_of_folders(root, _TYPES, lambda folder, _: _TYPES[folder], "Munich Leukemia Laboratory")


LAYOUT = Layout(
    "mll23",
    "MLL23 (Shetab Boushehri et al. 2025)",
    "archives or folders named after 18 types, such as neutrophil_band",
    lambda source: search(source, _here),
    _items,
)
