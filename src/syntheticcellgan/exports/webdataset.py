"""WebDataset shards: tars of 1,000 samples, each the image, `.cls` (place in labels.json) and `.json` (all that is known)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.data.tar import Sample, write_shard
from syntheticcellgan.exports.common import About, image_files, shuffled
from syntheticcellgan.shards.plan import PER_SHARD


def write(manifest: Manifest, folder: Path, about: About, progress: Callable[[int], None] | None = None) -> str:
    """Fill `folder`; returns a sentence on what to do with it."""
    samples = _samples(manifest, about, progress)
    for number in range(-(-len(manifest) // PER_SHARD)):
        path = folder / f"{number:06d}.tar"
        write_shard(path, islice(samples, PER_SHARD), path.with_suffix(".part"))
    (folder / "labels.json").write_text(json.dumps(manifest.cell_types, indent=1) + "\n", encoding="utf-8")
    return "Read it with webdataset.WebDataset(sorted(glob('*.tar'))); types are mixed already."


def _samples(manifest: Manifest, about: About, progress: Callable[[int], None] | None) -> Iterator[Sample]:
    labels = {name: label for label, name in enumerate(manifest.cell_types)}
    for index, file in enumerate(image_files(shuffled(manifest), progress)):
        name = file.record.cell_type
        record = {**file.facts(), "cell_type": name, "file": file.record.file, "data_set": about.name}
        if about.licence:
            record["licence"] = about.licence
        yield Sample(f"{name}-{index:08d}", file.content, file.suffix, labels[name], record)
