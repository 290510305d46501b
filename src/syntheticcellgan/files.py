"""Small files, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from syntheticcellgan.errors import ScgError


def write_json(path: Path, values: Any) -> None:
    """Write a small file whole or not at all.

    Raises:
        ScgError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".part")
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise ScgError(f"{path} cannot be written ({error.strerror}). Choose another folder with --out.") from error
