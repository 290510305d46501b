"""Croissant 1.1 description (MLCommons) of an image folder: croissant.json beside the images and metadata.csv."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.exports.common import About, synthetic_note
from syntheticcellgan.exports.huggingface import write_images

_CROISSANT = (
    "citeAs column equivalentProperty examples extract field fileObject fileProperty fileSet format includes "
    "isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate separator "
    "source subField transform"
)

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    **{term: f"cr:{term}" for term in _CROISSANT.split()},
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
}
"""As the specification gives it (Croissant Format Specification 1.0, appendix 1)."""


def write(manifest: Manifest, folder: Path, about: About, progress: Callable[[int], None] | None = None) -> str:
    """Fill `folder`; returns a sentence on what to do with it."""
    columns, synthetic = write_images(manifest, folder, progress)
    described = description(folder, columns, about, synthetic_note(synthetic, len(manifest)))
    (folder / "croissant.json").write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return "Read it with mlcroissant.Dataset('croissant.json').records('cells'), or publish it with the images."


def description(folder: Path, columns: list[str], about: About, note: str) -> dict[str, Any]:
    """The JSON-LD of an image folder with a metadata.csv of these columns."""
    table = (folder / "metadata.csv").read_bytes()
    with open(folder / "metadata.csv", newline="", encoding="utf-8") as file:
        suffixes = sorted({Path(row["file_name"]).suffix for row in csv.DictReader(file)})
    images = {
        "@type": "cr:FileSet",
        "@id": "images",
        "name": "images",
        "description": "One image per cell, 8-bit sRGB.",
        "encodingFormat": ["image/png" if suffix == ".png" else "image/jpeg" for suffix in suffixes],
        "includes": [f"**/*{suffix}" for suffix in suffixes],
    }
    from_images = {"fileSet": {"@id": "images"}}
    path = _field("path", "Path of the image.", {**from_images, "extract": {"fileProperty": "fullpath"}})
    # It joins each image to its row of the table. Without a transform mlcroissant compares path objects with text.
    path["source"]["transform"] = {"regex": "^(.*)$"}
    path["references"] = {"fileObject": {"@id": "metadata.csv"}, "extract": {"column": "file_name"}}
    image = _field("image", "The cell.", {**from_images, "extract": {"fileProperty": "content"}})
    image["dataType"] = "sc:ImageObject"
    from_table = {"fileObject": {"@id": "metadata.csv"}}
    fields = [
        _field(name, "Cell type." if name == "label" else name, {**from_table, "extract": {"column": name}})
        for name in columns
        if name != "file_name"
    ]
    described: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": about.name,
        "description": f"Single blood cells, one image each, with their type. {note}",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "creator": {"@type": "sc:Organization", "name": "written by SyntheticCellGAN"},
        "datePublished": datetime.now(timezone.utc).date().isoformat(),
        "version": "1.0.0",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "metadata.csv",
                "name": "metadata.csv",
                "description": "One row per image.",
                "contentUrl": "metadata.csv",
                "contentSize": f"{len(table)} B",
                "encodingFormat": "text/csv",
                "sha256": hashlib.sha256(table).hexdigest(),
            },
            images,
        ],
        "recordSet": [{"@type": "cr:RecordSet", "@id": "cells", "name": "cells", "field": [path, image, *fields]}],
    }
    if about.licence:
        described["license"] = about.licence
    return described


def _field(name: str, description: str, source: dict[str, Any]) -> dict[str, Any]:
    kinds = {"seed": "sc:Integer", "truncation": "sc:Float", "synthetic": "sc:Boolean"}
    return {
        "@type": "cr:Field",
        "@id": f"cells/{name}",
        "name": name,
        "description": description,
        "dataType": kinds.get(name, "sc:Text"),
        "source": source,
    }
