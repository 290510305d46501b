"""Expert attributes: predictors learnt from real cells, and how often real and synthetic cells show each value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.attributes import (
    AttributePredictors,
    AttributeShare,
    compare_attributes,
    fit_attributes,
    total_variation,
)
from syntheticcellgan.evaluation.cell_sets import CellSet
from syntheticcellgan.evaluation.context import Study, Tell
from syntheticcellgan.evaluation.intervals import Interval
from syntheticcellgan.evaluation.report.rows import Row, Section, measured

_DRAWS = 500


def measure(study: Study, tell: Tell) -> Section:
    """Per type and attribute the total variation between real and synthetic shares; per value the shares themselves."""
    if study.attributes is None:
        return Section(refused={"attributes": "No table of expert attributes was given (--attributes)."})
    if study.learn is None or study.test is None:
        return Section(refused={"attributes": study.no_halves})
    known, by = study.attributes, study.headline.name
    learn, test, synthetic = study.learn, study.test, study.synthetic

    def of(cells: CellSet) -> list[dict[str, str]]:
        return [dict(known.get(file.rsplit("/", 1)[-1], {})) for file in cells.files]

    tell(0, 3)
    try:
        predictors = fit_attributes(study.features(study.headline, learn), of(learn), seed=study.settings.seed)
        tell(1, 3)
        # Predictors know only the types that experts labelled.
        types = {label for label, cell in zip(learn.labels, of(learn), strict=True) if cell}
        sides = []
        for cells in (test, synthetic):
            kept = np.flatnonzero([label in types for label in cells.labels])
            sides.append((study.features(study.headline, cells)[kept], [cells.labels[i] for i in kept]))
        shares = compare_attributes(predictors, *sides[0], *sides[1])
    except InputError as refusal:
        return Section(refused={"attributes": str(refusal)})
    tell(2, 3)
    rows = [*_accuracies(predictors, by), *_shares(shares, by, study.settings.seed)]
    tell(3, 3)
    return Section(
        tuple(rows), {"types": sorted(types), "predictors": predictors.as_dict()["scores"]}, {**predictors.left_out}
    )


def _accuracies(predictors: AttributePredictors, by: str) -> list[Row]:
    return [
        Row(
            "attributes",
            "predictor_accuracy",
            by=by,
            detail=score.attribute,
            **measured(score.accuracy, score.majority),
            n=score.n_test,
            n_real=score.n_train + score.n_test,
            better="higher",
        )
        for score in predictors.scores
    ]


def _shares(shares: Sequence[AttributeShare], by: str, seed: int) -> list[Row]:
    """Per type and attribute the total variation, then the share of each value."""
    rows: list[Row] = []
    groups: dict[tuple[str, str], list[AttributeShare]] = {}
    for share in shares:
        groups.setdefault((share.cell_type, share.attribute), []).append(share)
    distances = total_variation(shares)
    rng = np.random.default_rng(seed)
    for (cell_type, attribute), group in groups.items():
        real, synthetic = group[0].n_real, group[0].n_synthetic
        shared: dict[str, Any] = {"cell_type": cell_type, "by": by, "n_real": real, "n_synthetic": synthetic}
        variation = measured(*_variation(group, distances[cell_type, attribute], rng))
        n = min(real, synthetic)
        rows.append(Row("attributes", "total_variation", detail=attribute, **variation, n=n, **shared, better="lower"))
        for share in group:
            value = measured(share.synthetic, share.real)
            detail = f"{attribute}: {share.value}"
            rows.append(Row("attributes", "share", detail=detail, **value, n=synthetic, **shared, better="floor"))
    return rows


def _variation(group: list[AttributeShare], value: float, rng: np.random.Generator) -> tuple[Interval, Interval]:
    """Interval and floor of a total variation by parametric bootstrap: samples of these sizes from these shares.

    The interval is ± 1.96 standard deviations (the bootstrap's own values lie too high, as every distance of noisy
    shares does); the floor is that of two samples from the real shares.
    """
    real = np.array([share.real.value for share in group])
    synthetic = np.array([share.synthetic.value for share in group])
    real, synthetic = real / real.sum(), synthetic / synthetic.sum()
    n, m = group[0].n_real, group[0].n_synthetic
    left = rng.multinomial(n, real, _DRAWS) / n
    drawn = 0.5 * np.abs(left - rng.multinomial(m, synthetic, _DRAWS) / m).sum(axis=1)
    alike = 0.5 * np.abs(left - rng.multinomial(m, real, _DRAWS) / m).sum(axis=1)
    spread = 1.96 * float(drawn.std())
    low, high = np.percentile(alike, [2.5, 97.5])
    return (
        Interval(value, max(0.0, value - spread), min(1.0, value + spread)),
        Interval(float(alike.mean()), float(low), float(high)),
    )
