"""Morphology of real against synthetic cells, per type and feature, and the difference of their mean colours."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from syntheticcellgan.cell_types import resolve
from syntheticcellgan.cores import cores
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.cache import FeatureCache
from syntheticcellgan.evaluation.cell_sets import CellSet
from syntheticcellgan.evaluation.context import Study, Tell
from syntheticcellgan.evaluation.intervals import percentile, wilson
from syntheticcellgan.evaluation.morphology import FEATURES, NOT_NUCLEATED, MorphologyTable, measure_set
from syntheticcellgan.evaluation.morphology_comparison import compare
from syntheticcellgan.evaluation.parallel import results_of
from syntheticcellgan.evaluation.report.rows import ALL, Row, Section, measured
from syntheticcellgan.segmentation import LARGEST, SMALLEST

SHOWN = (
    "cell_area",
    "nucleus_area",
    "nc_ratio",
    "cell_circularity",
    "nucleus_solidity",
    "lobes",
    "chromatin_texture",
    "granularity",
)
"""Features of which histograms are kept (areas in µm² where the scale is known)."""

_VERSION = "1"  # another when `measure` gives other numbers
_BINS = 24
_CHUNK = 16


def measure(study: Study, tell: Tell) -> Section:
    """Wasserstein distances with floors, differences of colour, histograms, and a sentence per notable difference."""
    side = min(max(study.real.side, SMALLEST), LARGEST)
    scale = study.settings.micrometres_per_pixel
    if scale is not None:
        scale *= study.real.side / side
    total = len(study.real) + len(study.synthetic)
    real = measured_cells(study.real, side, scale, study, lambda done: tell(done, total))
    synthetic = measured_cells(study.synthetic, side, scale, study, lambda done: tell(len(real) + done, total))
    repeats = 10 * study.settings.replicates
    try:
        compared = compare(real, synthetic, repeats=repeats, seed=study.settings.seed)
    except InputError as refusal:
        return Section(refused={"morphology": str(refusal)})
    rows: list[Row] = []
    refused: dict[str, str] = {}
    means: dict[str, dict[str, list[float]]] = {}
    for found in compared.features:
        if found.refusal is not None:
            refused[f"{found.cell_type}, {found.feature}"] = found.refusal
            continue
        # A feature that does not vary among real cells (one lobe in every lymphocyte) has no floor to be a ratio of.
        ratio = found.ratio if found.floor.value > 1e-6 * max(1.0, abs(found.real_mean)) else None
        rows.append(
            Row(
                "morphology",
                found.feature,
                found.cell_type,
                detail="notable" if found.notable else "",
                **measured(found.distance, found.floor, ratio),
                n=found.m,
                n_real=found.n_real,
                n_synthetic=found.n_synthetic,
                better="lower",
            )
        )
        means.setdefault(found.cell_type, {})[found.feature] = [
            float(f"{found.real_mean:.5g}"),
            float(f"{found.synthetic_mean:.5g}"),
        ]
    rows += _failures(compared.failed_real, compared.failed_synthetic)
    rows += _colours(real, synthetic, study.settings.seed)
    details = {
        "side": side,
        "micrometres_per_pixel": scale,
        "sentences": list(compared.sentences),
        "means": means,
        "histograms": _histograms(real, synthetic, study.types),
    }
    return Section(tuple(rows), details, refused)


def measured_cells(
    cells: CellSet, side: int, scale: float | None, study: Study, progress: Callable[[int], None]
) -> MorphologyTable:
    """The morphology of every cell, from the cache where it was measured before; images are brought to `side` pixels."""
    key = hashlib.sha256(f"{_VERSION}/{side}/{scale}".encode()).hexdigest()
    values = np.full((len(cells), len(FEATURES)), np.nan)
    failures: list[str | None] = [None] * len(cells)
    missing: list[int] = []
    with FeatureCache(study.cache / "morphology", "morphology", key, len(FEATURES) + 1) as cache:

        def name_of(i: int) -> bytes:
            flat = resolve(cells.labels[i]).name in NOT_NUCLEATED
            return cells.hashes[i] + bytes([flat])

        for i in range(len(cells)):
            known = cache.get(name_of(i))
            if known is None:
                missing.append(i)
            else:
                values[i], failures[i] = known[:-1], "not segmented" if known[-1] else None
        progress(len(cells) - len(missing))
        chunks = [missing[start : start + _CHUNK] for start in range(0, len(missing), _CHUNK)]
        done = len(cells) - len(missing)
        tasks = [
            partial(_measured, [cells.paths[i] for i in c], [cells.labels[i] for i in c], side, scale) for c in chunks
        ]
        for chunk, table in zip(chunks, results_of(tasks, cores()), strict=True):
            failed = np.array([failure is not None for failure in table.failures])
            # Single precision, as the cache keeps it: a resumed run then finds the very same numbers.
            kept = np.column_stack([table.values, failed]).astype(np.float32)
            cache.put([name_of(i) for i in chunk], kept)
            values[chunk] = kept[:, :-1]
            for i, failure in zip(chunk, table.failures, strict=True):
                failures[i] = failure
            progress(done := done + len(chunk))
    return MorphologyTable(values, cells.labels, tuple(failures), side, scale)


def _measured(paths: Sequence[Path], labels: Sequence[str], side: int, scale: float | None) -> MorphologyTable:
    images = (resize_square(read_image(path), side) for path in paths)
    return measure_set(images, labels, micrometres_per_pixel=scale)


def _failures(real: dict[str, tuple[int, int]], synthetic: dict[str, tuple[int, int]]) -> list[Row]:
    rows = []
    for name, (failed, n) in synthetic.items():
        share, floor = wilson(failed, n), wilson(*real[name])
        rows.append(
            Row(
                "morphology",
                "segmentation_failures",
                name,
                **measured(share, floor),
                n=n,
                n_real=real[name][1],
                n_synthetic=n,
                better="lower",
            )
        )
    return rows


def _colours(real: MorphologyTable, synthetic: MorphologyTable, seed: int, draws: int = 200) -> list[Row]:
    """ΔE (CIE 1976) between the mean colours of a part, all types of both sides together with equal weight per type."""
    rows = []
    shared = [name for name in real.cell_types if name in synthetic.cell_types]
    rng = np.random.default_rng(seed)
    for part in ("background", "cytoplasm", "nucleus"):
        columns = [FEATURES.index(f"{part}_{axis}") for axis in "lab"]
        groups = []
        for name in shared:
            pair = []
            for table in (real, synthetic):
                own = table.values[np.array(table.labels) == name][:, columns]
                pair.append(own[np.isfinite(own).all(axis=1)])
            if min(len(pair[0]), len(pair[1])) >= 4:
                groups.append(pair)
        if not groups:
            continue
        value = _difference([(a, b) for a, b in groups])
        halves, floors = np.empty(draws), np.empty(draws)
        for i in range(draws):
            cut = [
                (rng.permutation(a)[: 2 * m], rng.permutation(b)[:m], m)
                for a, b in groups
                for m in [min(len(a), len(b)) // 2]
            ]
            halves[i] = _difference([(a[:m], b) for a, b, m in cut])
            floors[i] = _difference([(a[:m], a[m:]) for a, _, m in cut])
        n = min(min(len(a), len(b)) for a, b in groups)
        rows.append(
            Row(
                "morphology",
                f"colour_difference_{part}",
                ALL,
                **measured(percentile(value, halves), percentile(float(floors.mean()), floors)),
                n=n * len(groups),
                n_real=sum(len(a) for a, _ in groups),
                n_synthetic=sum(len(b) for _, b in groups),
                better="lower",
            )
        )
    return rows


def _difference(groups: list[tuple[np.ndarray, np.ndarray]]) -> float:
    means = np.mean([a.mean(axis=0) - b.mean(axis=0) for a, b in groups], axis=0)
    return float(np.linalg.norm(means))


def _histograms(real: MorphologyTable, synthetic: MorphologyTable, types: tuple[str, ...]) -> dict[str, Any]:
    """Per type and feature shares per bin on common edges, from the 0.5th to the 99.5th percentile of both sides."""
    known_scale = real.micrometres_per_pixel is not None
    held: dict[str, Any] = {}
    for name in types:
        held[name] = {}
        for feature in SHOWN:
            source = f"{feature}_um2" if known_scale and feature.endswith("_area") else feature
            columns = real.column(source, name), synthetic.column(source, name)
            if min(len(column) for column in columns) < 10:
                continue
            if feature == "lobes":
                edges = np.arange(0.5, max(5.0, *(float(c.max()) for c in columns)) + 1)
            else:
                low, high = np.percentile(np.concatenate(columns), [0.5, 99.5])
                edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
            shares = [np.histogram(np.clip(column, edges[0], edges[-1]), edges)[0] / len(column) for column in columns]
            held[name][source] = {
                "edges": [float(f"{edge:.5g}") for edge in edges],
                "real": shares[0].round(4).tolist(),
                "synthetic": shares[1].round(4).tolist(),
                "n_real": len(columns[0]),
                "n_synthetic": len(columns[1]),
            }
    return held
