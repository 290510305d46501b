"""Hugging Face image folder: images, metadata.csv with file_name and label, README.md with the set's card.

`datasets.load_dataset("imagefolder", data_dir=…)` reads it, and the Hub shows it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.exports.common import About, image_files, put, synthetic_note, write_table


def write_images(
    manifest: Manifest, folder: Path, progress: Callable[[int], None] | None = None
) -> tuple[list[str], int]:
    """Images and metadata.csv into `folder`; returns the table's columns and how many images are synthetic."""
    rows: list[dict[str, Any]] = []
    for file in image_files(manifest, progress):
        put(file, folder)
        rows.append({**file.facts(), "file_name": file.name, "label": file.record.cell_type})
    columns = write_table(folder / "metadata.csv", rows, ("file_name", "label"))
    return columns, sum(row["synthetic"] for row in rows)


def write(manifest: Manifest, folder: Path, about: About, progress: Callable[[int], None] | None = None) -> str:
    """Fill `folder`; returns a sentence on what to do with it."""
    _, synthetic = write_images(manifest, folder, progress)
    (folder / "README.md").write_text(_card(manifest, about, synthetic), encoding="utf-8")
    return "Load it with datasets.load_dataset('imagefolder', data_dir=…)."


def _card(manifest: Manifest, about: About, synthetic: int) -> str:
    head = {"pretty_name": about.name, "task_categories": ["image-classification"]}
    if about.licence:
        head["license"] = about.licence.lower()
    if synthetic:
        head["tags"] = ["synthetic", "blood", "microscopy"]
    # JSON is YAML: no further library is needed to quote whatever the name holds.
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()]
    counts = "\n".join(f"| {name} | {count:,} |" for name, count in manifest.counts.items())
    return (
        "---\n" + "\n".join(lines) + f"\n---\n\n# {about.name}\n\n{synthetic_note(synthetic, len(manifest))}\n\n"
        f"| label | images |\n|---|---:|\n{counts}\n\nWritten by SyntheticCellGAN.\n"
    )
