"""AML-Cytomorphology_LMU (Matek et al. 2019): one folder per three-letter code, TIFF.

Layout: `AML-Cytomorphology/<BAS|EBO|EOS|KSC|LYA|LYT|MMZ|MOB|MON|MYB|MYO|NGB|NGS|PMB|PMO>/XXX_0001.tiff`. Beware of two
codes: MYB is a myelocyte, MYO a myeloblast. The set does not say which image is which patient's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from syntheticcellgan.data.importers.layout import Item, Layout, folders, items_of_folders, search

_CODES: dict[str, tuple[str, str | None]] = {
    "BAS": ("basophil", None),
    "EBO": ("erythroblast", None),
    "EOS": ("eosinophil", None),
    "KSC": ("smudge_cell", None),
    "LYA": ("lymphocyte_variant", None),
    "LYT": ("lymphocyte", None),
    "MMZ": ("metamyelocyte", None),
    "MOB": ("monoblast", None),
    "MON": ("monocyte", None),
    "MYB": ("myelocyte", None),
    "MYO": ("myeloblast", None),
    "NGB": ("neutrophil", "band"),
    "NGS": ("neutrophil", "segmented"),
    "PMB": ("promyelocyte", "bilobed"),
    "PMO": ("promyelocyte", None),
}


def _here(folder: Path) -> bool:
    return sum(child.name in _CODES for child in folders(folder)) >= 2


def _items(root: Path) -> Iterator[Item]:
    return items_of_folders(root, _CODES, lambda folder, _: _CODES[folder], "Munich University Hospital (LMU)")


LAYOUT = Layout(
    "lmu",
    "AML-Cytomorphology_LMU (Matek et al. 2019)",
    "folders BAS, EBO, EOS, … with TIFF files",
    lambda source: search(source, _here),
    _items,
)
