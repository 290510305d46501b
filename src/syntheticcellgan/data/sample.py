"""The sample of real cells that comes with the package: ten types, 16 images each."""

from __future__ import annotations

from pathlib import Path

import syntheticcellgan


def sample_folder() -> Path:
    """The folder of the shipped sample, a data set for `read_manifest`; its licence is in its ATTRIBUTION.md."""
    return Path(syntheticcellgan.__file__).parent / "sample"
