"""Utility (classifiers), the real-or-synthetic probe, and a map of the features in two dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from syntheticcellgan.cores import cores
from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.context import Study, Tell
from syntheticcellgan.evaluation.probe import probe as tell_apart
from syntheticcellgan.evaluation.report.rows import Row, Section, measured
from syntheticcellgan.evaluation.utility import measure_utility
from syntheticcellgan.evaluation.utility_results import HELD_OUT, Score, UtilityReport


def utility(study: Study, tell: Tell) -> Section:
    """Trained on real, synthetic and both; tested on held-out real cells and other laboratories'; low-data curves."""
    if study.learn is None or study.test is None:
        return Section(refused={"utility": study.no_halves})
    sets = [
        cells.labelled(study.features(study.headline, cells)) for cells in (study.learn, study.test, study.synthetic)
    ]
    others = {name: cells.labelled(study.features(study.headline, cells)) for name, cells in study.laboratories.items()}
    try:
        found = measure_utility(
            *sets,
            other_laboratories=others,
            settings=study.settings.utility_settings,
            progress=lambda done, total, _: tell(done, total),
            workers=cores(),
        )
    except InputError as refusal:
        return Section(refused={"utility": str(refusal)})
    return Section(tuple(_rows(found, study.headline.name)), _details(found), found.left_out)


def _rows(found: UtilityReport, extractor: str) -> list[Row]:
    def judge(classifier: str) -> str:
        return f"{classifier}, {extractor}" if classifier == "linear probe" else classifier

    rows = []
    for score in found.scores:
        # What real training cells reach on the same test is the floor; tested on synthetic cells, on held-out ones.
        base = found.score(score.classifier, "real", HELD_OUT if score.tested_on == "synthetic" else score.tested_on)
        shared: dict[str, Any] = {
            "by": judge(score.classifier),
            "detail": f"{score.trained_on} → {score.tested_on}",
            "n_real": base.n_train if score.trained_on != "synthetic" else None,
            "n_synthetic": score.n_train - (base.n_train if score.trained_on == "both" else 0)
            if score.trained_on != "real"
            else None,
            "better": "higher",
        }
        for measure in ("balanced_accuracy", "macro_f1"):
            value, floor = getattr(score, measure), getattr(base, measure)
            rows.append(Row("utility", measure, **measured(value, floor), n=score.n_test, **shared))
        for name, recall in score.recall.items():
            n = round(sum(score.confusion[score.types.index(name)]))
            rows.append(Row("utility", "recall", name, **measured(recall, base.recall.get(name)), n=n, **shared))
    for ratio in found.ratios:
        rows.append(
            Row(
                "utility",
                "balanced_accuracy_ratio",
                by=judge(ratio.classifier),
                detail=f"{ratio.trained_on} → {ratio.tested_on}",
                **measured(ratio.ratio, 1.0),
                n=found.score(ratio.classifier, ratio.trained_on, ratio.tested_on).n_test,
                better="higher",
            )
        )
    for point in found.low_data:
        detail = f"{point.per_type} real per type, augmentation: {point.arm}"
        base_point = found.point(point.classifier, point.per_type, "none")
        shared = {"by": judge(point.classifier), "detail": detail, "n": point.n_test, "better": "higher"}
        for measure in ("balanced_accuracy", "macro_f1"):
            value, floor = getattr(point, measure), getattr(base_point, measure)
            rows.append(Row("utility", f"low_data_{measure}", **measured(value, floor), **shared))
        if point.arm != "none":
            rows.append(Row("utility", "low_data_gain", **measured(point.gain, 0.0), **shared))
        if point.gain_over_classic is not None:
            rows.append(
                Row("utility", "low_data_gain_over_classic", **measured(point.gain_over_classic, 0.0), **shared)
            )
    return rows


def _details(found: UtilityReport) -> dict[str, object]:
    """Confusion matrices and the points of the low-data curves, for the report's figures."""
    return {
        "types": list(found.types),
        "seeds": found.settings.seeds,
        "low_data_seeds": found.settings.low_data_seeds,
        "confusions": [_confusion(score) for score in found.scores if score.tested_on in (HELD_OUT, "synthetic")],
        "low_data": [
            {
                "classifier": p.classifier,
                "per_type": p.per_type,
                "arm": p.arm,
                "n": p.n_test,
                "value": round(p.balanced_accuracy.value, 4),
                "low": round(p.balanced_accuracy.low, 4),
                "high": round(p.balanced_accuracy.high, 4),
            }
            for p in found.low_data
        ],
    }


def _confusion(score: Score) -> dict[str, object]:
    return {
        "classifier": score.classifier,
        "trained_on": score.trained_on,
        "tested_on": score.tested_on,
        "n": score.n_test,
        "seeds": score.seeds,
        "counts": [[round(value, 1) for value in row] for row in score.confusion],
    }


def probe(study: Study, tell: Tell) -> Section:
    """How well a machine tells real from synthetic, by each extractor; never a test by experts."""
    rows: list[Row] = []
    refused: dict[str, str] = {}
    note = ""
    for i, extractor in enumerate(study.extractors):
        real, synthetic = (cells.sample(study.features(extractor, cells)) for cells in (study.real, study.synthetic))
        try:
            found = tell_apart(real, synthetic, seed=study.settings.seed)
        except InputError as refusal:
            refused[extractor.name] = str(refusal)
            continue
        note = found.note
        n: dict[str, Any] = {"n": found.n, "n_real": len(real), "n_synthetic": len(synthetic)}
        rows.append(Row("probe", "auc", by=extractor.name, **measured(found.auc, found.floor), **n, better="floor"))
        tell(i + 1, len(study.extractors))
    return Section(tuple(rows), {"note": note}, refused)


def feature_map(study: Study, tell: Tell) -> Section:
    """t-SNE (van der Maaten & Hinton 2008) of the headline features, started from their principal components.

    At most 800 images of each side (quick: 300), the same number of each type as far as there are.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    most = 300 if study.settings.quick else 800
    rng = np.random.default_rng(study.settings.seed)
    parts, labels, sides = [], [], []
    for side, cells in (("real", study.real), ("synthetic", study.synthetic)):
        features, own = study.features(study.headline, cells), np.array(cells.labels)
        for name in study.types:
            places = np.flatnonzero(own == name)
            chosen = np.sort(rng.permutation(places)[: max(most // len(study.types), 1)])
            parts.append(features[chosen])
            labels += [name] * len(chosen)
            sides += [side] * len(chosen)
    joined = np.concatenate(parts).astype(np.float64)
    if len(joined) < 40:
        return Section(refused={"map": f"{len(joined)} images are too few for a map; at least 40 are needed."})
    tell(0, 1)
    reduced = PCA(min(50, *joined.shape), random_state=0).fit_transform(joined)
    placed = TSNE(perplexity=min(30.0, len(joined) / 4), init="pca", random_state=0).fit_transform(reduced)
    placed = (placed - placed.min(axis=0)) / np.maximum(np.ptp(placed, axis=0), 1e-9)
    tell(1, 1)
    return Section(
        details={
            "by": study.headline.name,
            "x": placed[:, 0].round(3).tolist(),
            "y": placed[:, 1].round(3).tolist(),
            "cell_type": [study.types.index(label) for label in labels],
            "side": [int(side == "synthetic") for side in sides],
            "types": list(study.types),
        }
    )
