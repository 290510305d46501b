"""Copies of training images, and near duplicates among the synthetic images themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.context import Study, Tell, counted
from syntheticcellgan.evaluation.copies import Beyond, Pair, find_copies
from syntheticcellgan.evaluation.diversity import near_duplicates
from syntheticcellgan.evaluation.fingerprint import fingerprint
from syntheticcellgan.evaluation.intervals import Interval
from syntheticcellgan.evaluation.report.rows import Row, Section, measured


def duplicates(study: Study, tell: Tell) -> Section:
    """Share of synthetic images nearer to another than the nearest 1 % of real ones are to each other."""
    real, synthetic = study.real, study.synthetic
    progress = counted(tell, 2 * len(synthetic) + len(real))
    try:
        found = near_duplicates(
            fingerprint(synthetic.paths, progress=progress),
            fingerprint(real.paths, progress=progress),
            seed=study.settings.seed,
            progress=progress,
        )
    except InputError as refusal:
        return Section(refused={"near duplicates": str(refusal)})
    n: dict[str, Any] = {"n": found.n, "n_real": len(real), "n_synthetic": len(synthetic)}
    rows = (
        Row(
            "duplicates",
            "near_duplicates",
            by="fingerprint",
            **measured(found.share, found.expected),
            **n,
            better="lower",
        ),
        Row(
            "duplicates",
            "median_distance_to_nearest",
            by="fingerprint",
            value=found.median,
            floor=found.real_median,
            **n,
            better="floor",
        ),
    )
    pairs = [_pair(pair, synthetic.files, synthetic.files) for pair in found.closest]
    return Section(rows, {"closest": pairs, "distance": found.distance})


def copies(study: Study, tell: Tell) -> Section:
    """Each synthetic image's nearest training image, beside that of real cells that were not trained on."""
    if study.fingerprints is None:
        return Section(refused={"copies": "No training images were given, nor a bundle with fingerprints of them."})
    prints, synthetic = study.fingerprints, study.synthetic
    try:
        found = find_copies(synthetic.paths, prints, progress=counted(tell, 2 * len(synthetic)))
    except InputError as refusal:
        return Section(refused={"copies": str(refusal)})
    n: dict[str, Any] = {"n": found.n_synthetic, "n_real": found.n_baseline, "n_synthetic": found.n_synthetic}
    shared: dict[str, Any] = {"by": "fingerprint", **n}
    first = found.beyond_first_percentile
    free = Interval(
        found.score, float(np.clip(1 - first.excess.high, 0, 1)), float(np.clip(1 - first.excess.low, 0, 1))
    )
    rows = (
        Row("copies", "copy_score", **measured(free, 1.0), **shared, better="higher"),
        Row("copies", "copies_beyond_doubt", **measured(found.copy_share, 0.0), **shared, better="lower"),
        _beyond("beyond_first_percentile", first, shared),
        _beyond("beyond_nearest_real", found.beyond_nearest, shared),
        Row(
            "copies",
            "median_distance_to_training",
            value=found.synthetic_median,
            floor=found.baseline_median,
            **shared,
            better="floor",
        ),
    )
    files = [f"{path.parent.name}/{path.name}" for path in study.training_files]
    details = {
        "sentence": found.sentence,
        "copies_found": found.copies_found,
        "copies": found.copies,
        "n_training": found.n_training,
        "n_held_out": found.n_held_out,
        "real_duplicates": found.real_duplicates,
        "closest": [_pair(pair, synthetic.files, files) for pair in found.closest],
        "histogram": _histogram(found.distances, prints.baseline),
    }
    return Section(rows, details)


def _beyond(measure: str, beyond: Beyond, shared: dict[str, Any]) -> Row:
    return Row(
        "copies",
        measure,
        detail=f"p={beyond.p:.3g}",
        **measured(beyond.share, beyond.expected),
        **shared,
        better="lower",
    )


def _pair(pair: Pair, left: Sequence[str], right: Sequence[str]) -> dict[str, Any]:
    return {
        "synthetic": left[pair.synthetic],
        "synthetic_index": pair.synthetic,
        "other": right[pair.training] if pair.training < len(right) else None,
        "other_index": pair.training,
        "distance": round(pair.distance, 4),
    }


def _histogram(synthetic: np.ndarray, real: np.ndarray) -> dict[str, list[float]]:
    """Shares per bin of both sides, on common edges."""
    edges = np.linspace(0, max(float(synthetic.max()), float(real.max()), 1e-3), 31)
    counts = {name: np.histogram(values, edges)[0] for name, values in (("real", real), ("synthetic", synthetic))}
    return {"edges": edges.round(4).tolist()} | {
        name: (count / count.sum()).round(5).tolist() for name, count in counts.items()
    }
