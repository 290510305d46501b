"""COCO-like annotations: for each image the outline of the white cell and of its nucleus, as found by `segmentation.py`.

Categories are the cell types and `nucleus`. Masks are run-length encoded (uncompressed, as COCO's own `annToMask` reads
them), because a nucleus can have holes and several lobes. Where no cell stands out the image has no annotation, and
`info.not_segmented` says why; how exact the outlines are stands in docs/results/segmentation.json.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.errors import InputError
from syntheticcellgan.exports.common import About, image_files, put, synthetic_note
from syntheticcellgan.segmentation import segment

NUCLEUS = "nucleus"


def write(manifest: Manifest, folder: Path, about: About, progress: Callable[[int], None] | None = None) -> str:
    """Fill `folder` with images/ and annotations.json; returns a sentence on what was found."""
    types = manifest.cell_types
    categories = [{"id": i, "name": name, "supercategory": "cell"} for i, name in enumerate(types, start=1)]
    nucleus = len(types) + 1
    categories.append({"id": nucleus, "name": NUCLEUS, "supercategory": "cell part"})
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    failures: dict[str, str] = {}
    for number, file in enumerate(image_files(manifest, progress), start=1):
        put(file, folder / "images")
        pixels = file.pixels()
        height, width = pixels.shape[:2]
        images.append({"id": number, "file_name": file.name, "width": width, "height": height, **file.facts()})
        try:
            found = segment(pixels)
        except InputError as error:  # smaller or larger than segmentation takes
            failures[file.name] = str(error)
            continue
        if found.failure:
            failures[file.name] = found.failure
            continue
        cell = _annotation(len(annotations) + 1, number, types.index(file.record.cell_type) + 1, found.cell)
        annotations.append(cell)
        annotations.append({**_annotation(len(annotations) + 1, number, nucleus, found.nucleus), "cell_id": cell["id"]})
    synthetic = sum(image["synthetic"] for image in images)
    info = {
        "description": f"{about.name}. {synthetic_note(synthetic, len(images))}",
        "contributor": "SyntheticCellGAN; outlines by its segmentation, not by hand",
        "not_segmented": failures,
    }
    licences = [{"id": 1, "name": about.licence, "url": ""}] if about.licence else []
    content = {
        "info": info,
        "licenses": licences,
        "images": images,
        "categories": categories,
        "annotations": annotations,
    }
    (folder / "annotations.json").write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
    done = len(images) - len(failures)
    return f"Cell and nucleus were outlined in {done:,} of {len(images):,} images; annotations.json says why not in others."


def _annotation(number: int, image: int, category: int, mask: np.ndarray) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
        "area": int(mask.sum()),
        "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
        "iscrowd": 0,
    }


def run_lengths(mask: np.ndarray) -> list[int]:
    """Lengths of the runs of a (H, W) bool mask, column by column, beginning with a run of background."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    ends: list[int] = np.diff(np.concatenate([[0], changes, [mask.size]])).tolist()
    return ends
