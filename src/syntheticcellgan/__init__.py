"""SyntheticCellGAN: artificial high-resolution images of white blood cells, and the evidence of how far to trust them.

The public API; each name is imported when first used, so that `import syntheticcellgan` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from syntheticcellgan.adaptation.run import adapt
    from syntheticcellgan.bundle import Bundle, load_bundle, verify_bundle
    from syntheticcellgan.cell_types import CELL_TYPES, CellType, resolve
    from syntheticcellgan.data.manifest import Manifest, Record, read_manifest
    from syntheticcellgan.errors import InputError, ScgError
    from syntheticcellgan.evaluation.study import evaluate
    from syntheticcellgan.pipeline import Cells, SyntheticCellGAN
    from syntheticcellgan.stain.comparison import compare
    from syntheticcellgan.stain.learned import LearnedNormaliser, read_normaliser
    from syntheticcellgan.stain.look import Look
    from syntheticcellgan.stain.recolour import Recolouring
    from syntheticcellgan.stain.size import Resizing
    from syntheticcellgan.stain.sources import look_of

_HOMES = {
    "adaptation.run": ("adapt",),
    "bundle": ("Bundle", "load_bundle", "verify_bundle"),
    "cell_types": ("CELL_TYPES", "CellType", "resolve"),
    "data.manifest": ("Manifest", "Record", "read_manifest"),
    "errors": ("InputError", "ScgError"),
    "evaluation.study": ("evaluate",),
    "pipeline": ("Cells", "SyntheticCellGAN"),
    "stain.comparison": ("compare",),
    "stain.learned": ("LearnedNormaliser", "read_normaliser"),
    "stain.look": ("Look",),
    "stain.recolour": ("Recolouring",),
    "stain.size": ("Resizing",),
    "stain.sources": ("look_of",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CELL_TYPES",
    "Bundle",
    "CellType",
    "Cells",
    "InputError",
    "LearnedNormaliser",
    "Look",
    "Manifest",
    "Recolouring",
    "Record",
    "Resizing",
    "ScgError",
    "SyntheticCellGAN",
    "adapt",
    "compare",
    "evaluate",
    "load_bundle",
    "look_of",
    "read_manifest",
    "read_normaliser",
    "resolve",
    "verify_bundle",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
