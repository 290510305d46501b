"""How good a bundle is, on held-out real cells → docs/results/<name>.json, and onto the bundle's card.

    python benchmarks/quality.py --bundle pbc-256 --data FOLDER --split RUN/split.json [--count 150]

Only the *test* part of the split is compared with, which neither training nor the choice of a checkpoint has seen;
classifiers that are tested on it learn from the training part or from synthetic cells. No network that training used
gives the features.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.bundle import find_bundle, read_card, rewrite_card
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.splits import read_split
from syntheticcellgan.evaluation.classifiers import SIDE, Labelled, LinearProbe
from syntheticcellgan.evaluation.copies import Fingerprints, find_copies
from syntheticcellgan.evaluation.features import ensure_independent, features_of, get_extractor
from syntheticcellgan.evaluation.fidelity import Fidelity, by_type, fidelity
from syntheticcellgan.evaluation.probe import probe
from syntheticcellgan.evaluation.statistics import Sample
from syntheticcellgan.evaluation.utility import HELD_OUT, UtilitySettings, measure_utility

ROOT = Path(__file__).resolve().parents[1]
EXTRACTOR = "vit-s-focus"


def labelled(images: list[np.ndarray], labels: list[str], features: np.ndarray) -> Labelled:
    return Labelled(np.stack([resize_square(image, SIDE) for image in images]), features, tuple(labels))


def as_sample(data: Labelled) -> Sample:
    return Sample(data.features, np.array(data.labels))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="pbc-256")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--count", type=int, default=150, help="cells of each type, at most")
    parser.add_argument("--cache", type=Path, help="folder for features that were computed before")
    arguments = parser.parse_args()

    chain = SyntheticCellGAN.load(arguments.bundle)
    extractor = get_extractor(EXTRACTOR)
    training = chain.bundle.card.get("training", {})
    ensure_independent(
        EXTRACTOR, training.get("extractors_in_losses", []) + training.get("extractors_in_selection", [])
    )
    manifest, split = read_manifest(arguments.data), read_split(arguments.split)

    def real(part: str) -> Labelled:
        images, labels = [], []
        for name in chain.cell_types:
            chosen = split.part(manifest, part).of_type(name)
            records = chosen.records[: arguments.count]
            images += [resize_square(read_image(chosen.path(r)), chain.chain.output_size) for r in records]
            labels += [name] * len(records)
        return labelled(images, labels, features_of(images, extractor, arguments.cache))

    cells = chain.generate(chain.cell_types, arguments.count)
    synthetic = labelled(
        list(cells.images), cells.cell_types, features_of(list(cells.images), extractor, arguments.cache)
    )
    train, test = real("train"), real("test")
    rows: list[dict[str, object]] = []

    settings = UtilitySettings(low_data=())
    report = measure_utility(train, test, synthetic, classifiers=(LinearProbe(),), settings=settings)
    n = f"{len(train)} real or {len(synthetic)} synthetic to learn from, {len(test)} held-out to test"
    for trained_on in ("real", "synthetic"):
        interval = report.score("linear probe", trained_on).balanced_accuracy
        name = f"ten-type balanced accuracy, linear probe trained on {trained_on} cells"
        rows.append({"name": name, "value": interval.value, "low": interval.low, "high": interval.high, "n": n})
    for ratio in report.ratios:
        if ratio.trained_on == "synthetic" and ratio.tested_on == HELD_OUT:
            found = ratio.ratio
            name = "ratio of the two (1: synthetic cells teach as well as real ones)"
            rows.append({"name": name, "value": found.value, "low": found.low, "high": found.high, "n": n})

    sides = as_sample(test), as_sample(synthetic)
    found_by_type = by_type(fidelity, *sides, as_sample(train))
    distances = {name: found.frechet for name, found in found_by_type.items() if isinstance(found, Fidelity)}
    mean = float(np.mean([distance.ratio for distance in distances.values()]))
    n = f"{len(distances)} types, {min(d.n for d in distances.values())} to {max(d.n for d in distances.values())} cells each"
    name = "Fréchet distance relative to real against real, mean over the types (1: as near as real cells)"
    rows.append({"name": name, "value": mean, "n": n})
    for cell_type, distance in distances.items():
        row = {
            "name": f"the same, {cell_type}",
            "value": distance.ratio,
            "low": distance.ratio_low,
            "high": distance.ratio_high,
        }
        rows.append(row | {"n": f"{distance.n} each"})

    told = probe(*sides)
    name = "real-or-synthetic AUC of a machine (0.5: cannot tell; a proxy, no expert test)"
    rows.append(
        {"name": name, "value": told.auc.value, "low": told.auc.low, "high": told.auc.high, "n": f"{told.n} each"}
    )

    if chain.bundle.fingerprints is not None:
        stored = arguments.split.parent / "fingerprints.npz"
        stored.write_bytes(chain.bundle.fingerprints)
        copies = find_copies(list(cells.images), Fingerprints.load(stored))
        share = copies.copy_share
        n = f"{copies.n_synthetic} synthetic, {copies.n_training} training images"
        rows.append(
            {
                "name": "share of copies of training images",
                "value": share.value,
                "low": share.low,
                "high": share.high,
                "n": n,
            }
        )

    source = Path(arguments.data).name
    statement = (
        f"Measured on held-out cells of `{source}` with the features of {EXTRACTOR}, a network that training did not use; "
        f"up to {arguments.count} cells of each type, synthetic ones from the seeds 0 to {arguments.count - 1}."
    )
    result = {"bundle": chain.bundle.name, "extractor": EXTRACTOR, "statement": statement, "figures": rows}
    path = ROOT / "docs" / "results" / f"{chain.bundle.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    folder = find_bundle(arguments.bundle)
    rewrite_card(folder, read_card(folder) | {"metrics": {"statement": statement, "figures": rows}})
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
