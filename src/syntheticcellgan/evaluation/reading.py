"""From data sets to a study: images chosen, opened and checked, cells generated, fingerprints found or made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation import sources as folders
from syntheticcellgan.evaluation.cell_sets import CellSet, choose, halves, read_cells
from syntheticcellgan.evaluation.context import Settings, Study, counted
from syntheticcellgan.evaluation.copies import Fingerprints
from syntheticcellgan.evaluation.extractors.common import Extractor
from syntheticcellgan.evaluation.fingerprint import fingerprint
from syntheticcellgan.evaluation.input_checks import check_sets, input_warnings

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is."""


def read_study(
    opened: folders.Sources,
    extractors: tuple[Extractor, ...],
    attributes: dict[str, dict[str, str]] | None,
    settings: Settings,
    cache: Path,
    progress: Progress,
) -> tuple[Study, list[dict[str, str]]]:
    """Open and check all images; for a bundle, make them first. Warnings about the input come along."""
    count, seed = settings.per_type, settings.seed
    types = folders.shared_types(opened)
    made = opened.synthetic
    if opened.chain is not None:
        made = folders.generated(
            opened.chain, types, count, cache, lambda done, total: progress("making cells", done, total)
        )
    assert made is not None
    trained = opened.train

    def read(name: str, manifest: Manifest, most: int = count) -> CellSet:
        chosen = choose(manifest, most, seed)
        return read_cells(name, chosen, steps(f"reading {name} images", len(chosen), progress))

    # Without training images real ones serve twice: compared with, and as their own floor.
    real = read("real", _of_types(opened.real, types), count if trained is not None else 2 * count)
    synthetic = read("synthetic", _of_types(made, types))
    train = None if trained is None else read("training", _of_types(trained, types))
    laboratories = {name: read(name, _of_types(lab, types)) for name, lab in opened.laboratories.items()}
    check_sets(real, synthetic, train)
    learn, test, no_halves = train, real, ""
    if train is None:
        try:
            learn, test = halves(real, seed)
        except InputError as refusal:
            learn, test, no_halves = None, None, str(refusal)  # type: ignore[assignment]
    prints, files = opened.fingerprints, []
    if trained is not None:
        files = [trained.path(record) for record in trained.records]
        if "copies" in settings.sections and not (prints is not None and _are_of(prints, files)):
            prints = _fingerprints(files, real, cache, progress)
    study = Study(
        real,
        synthetic,
        train,
        learn,
        test,
        no_halves,
        laboratories,
        prints,
        files,
        attributes,
        extractors,
        settings,
        cache,
    )
    return study, input_warnings(study, opened)


def _of_types(manifest: Manifest, types: Iterable[str]) -> Manifest:
    return manifest.select(i for i, record in enumerate(manifest.records) if record.cell_type in types)


def _are_of(prints: Fingerprints, files: Sequence[Path], looked_at: int = 8) -> bool:
    """Whether a bundle's fingerprints are those of these very files in this order, by as many samples."""
    if len(prints.descriptors) != len(files):
        return False
    places = np.linspace(0, len(files) - 1, looked_at).round().astype(int)
    made = fingerprint([files[i] for i in places]).astype(np.float32)
    return bool(np.allclose(made, prints.descriptors[places].astype(np.float32), atol=1e-2))


def _fingerprints(files: Sequence[Path], held_out: CellSet, cache: Path, progress: Progress) -> Fingerprints | None:
    """Of all training images, kept in the cache; None where there are too few."""
    held = hashlib.sha256(held_out.digest.encode())
    for file in files:
        held.update(hashlib.sha256(file.read_bytes()).digest())
    path = cache / "fingerprints" / f"{held.hexdigest()[:16]}.npz"
    if path.exists():
        return Fingerprints.load(path)
    total = len(files) + 2 * len(held_out)
    try:
        found = Fingerprints.of(files, held_out.paths, progress=steps("describing training images", total, progress))
    except InputError:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    found.save(path)
    return found


def steps(what: str, total: int, progress: Progress) -> Callable[[int], None]:
    """`counted`, of one of several things that are done."""
    return counted(partial(progress, what), total)
