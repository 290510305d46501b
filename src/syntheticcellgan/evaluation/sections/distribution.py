"""Fidelity and diversity, per extractor, for all types together and for each."""

from __future__ import annotations

import math

import numpy as np

from syntheticcellgan.evaluation.context import Study, Tell
from syntheticcellgan.evaluation.diversity import Diversity, diversity
from syntheticcellgan.evaluation.fidelity import Fidelity, fidelity
from syntheticcellgan.evaluation.report.rows import ALL, Row, Section, row_of
from syntheticcellgan.evaluation.statistics import Refused, Sample, by_type


def measure(study: Study, tell: Tell) -> Section:
    """Fréchet and kernel distance, precision, recall, density, coverage, Vendi score, each beside its floor.

    With training images at hand the floor compares them with the held-out ones; otherwise halves of the real images.
    """
    rows: list[Row] = []
    refused: dict[str, str] = {}
    names = (ALL, *sorted({*study.real.labels} | {*study.synthetic.labels}))
    total, done = len(study.extractors) * len(names), 0
    for extractor in study.extractors:
        real = study.real.sample(study.features(extractor, study.real))
        synthetic = study.synthetic.sample(study.features(extractor, study.synthetic))
        other = None if study.train is None else study.train.sample(study.features(extractor, study.train))

        def both(a: Sample, b: Sample, c: Sample | None) -> tuple[Fidelity, Diversity]:
            how = {"replicates": study.settings.replicates, "seed": study.settings.seed}
            return fidelity(a, b, c, **how), diversity(a, b, c, **how)

        results = {ALL: both(real, synthetic, other)}
        tell(done := done + 1, total)
        for name in names[1:]:
            (results[name],) = by_type(both, *_of(name, real, synthetic, other)).values()  # type: ignore[assignment]
            tell(done := done + 1, total)
        for name, found in results.items():
            if isinstance(found, Refused):
                refused[name] = found.reason
                continue
            near, wide = found
            measures = (near.frechet, near.kernel, wide.precision, wide.recall, wide.density, wide.coverage, wide.vendi)
            rows += [row_of("distribution", one, by=extractor.name, cell_type=name) for one in measures]
        if (mean := _mean_ratio(rows, extractor.name)) is not None:
            rows.append(mean)
    return Section(tuple(rows), {"floor": "halves of real" if study.train is None else "training images"}, refused)


def _mean_ratio(rows: list[Row], by: str) -> Row | None:
    """Mean over the types of the Fréchet distance's ratio to its floor.

    Over all types together the n is larger and so the floor smaller: that ratio would say how many images there were.
    The interval takes the types' errors as independent, each from the interval of its own ratio (on the log scale).
    """
    found = [
        row
        for row in rows
        if (row.measure, row.by) == ("frechet_distance", by) and row.cell_type != ALL and row.ratio is not None
    ]
    if not found:
        return None
    ratios = np.array([row.ratio for row in found], float)
    errors = [
        r * math.log((row.ratio_high or r) / (row.ratio_low or r)) / 2 for r, row in zip(ratios, found, strict=True)
    ]
    value, around = float(ratios.mean()), float(np.linalg.norm(errors)) / len(found)
    return Row(
        "distribution",
        "relative_frechet_distance",
        by=by,
        value=value,
        low=max(0.0, value - around),
        high=value + around,
        floor=1.0,
        n=min(row.n for row in found),
        n_real=sum(row.n_real or 0 for row in found),
        n_synthetic=sum(row.n_synthetic or 0 for row in found),
        better="lower",
    )


def _of(name: str, real: Sample, synthetic: Sample, other: Sample | None) -> tuple[Sample, Sample, Sample | None]:
    """One type's part. An empty sample still has its type named, so that `by_type` says what is missing."""
    return real.of_type(name), synthetic.of_type(name), None if other is None else other.of_type(name)
