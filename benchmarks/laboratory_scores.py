"""The classifiers of laboratories.py, their answers and scores; and what recolouring does to a nucleus."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from skimage.feature import hog
from sklearn.model_selection import StratifiedGroupKFold

from laboratory_cells import TYPES, Own
from laboratory_methods import METHODS, RIVAL, Images, strong_colours
from syntheticcellgan.data.images import resize_square
from syntheticcellgan.evaluation.answers import Assessment, assess
from syntheticcellgan.evaluation.classifiers import SIDE, ConvNet, Labelled, LinearProbe
from syntheticcellgan.evaluation.features import Extractor, features_of
from syntheticcellgan.segmentation import dice, segment
from syntheticcellgan.stain.look import evenly_spread

KINDS = ("colour and gradients", "small network", "linear probe")
STRUCTURE = 40  # cells whose nucleus is compared
DRAWS = 500


def colours_and_gradients(image: np.ndarray) -> np.ndarray:
    """(170,) of (64, 64, 3) uint8: histograms of the middle's colours, means and spreads of colour in four rings about the
    middle, and histograms of oriented gradients (Dalal & Triggs 2005).
    """
    x = image.astype(np.float32) / 255
    y, z = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    radius = np.hypot(y, z)
    middle = x[radius < 0.6]
    parts = [np.histogram(middle[:, c], 8, (0, 1))[0] / len(middle) for c in range(3)]
    for low in (0.0, 0.25, 0.5, 0.75):
        ring = x[(radius >= low) & (radius < low + 0.25)]
        parts += [ring.mean(axis=0), ring.std(axis=0)]
    parts.append(hog(x.mean(axis=2), orientations=8, pixels_per_cell=(16, 16), cells_per_block=(1, 1))[:128])
    return np.concatenate(parts)


def labelled(images: Images, labels: Sequence[str], kind: str, extractor: Extractor, cache: Path) -> Labelled:
    """For the small network features are left out."""
    small = np.stack([resize_square(image, SIDE) for image in images])
    if kind == "small network":
        features = np.zeros((len(small), 1), np.float32)
    elif kind == "linear probe":
        features = features_of(images, extractor, cache)
    else:
        features = np.stack([colours_and_gradients(image) for image in small])
    return Labelled(small, features, tuple(labels))


def structure(before: Images, after: Images, path: Path) -> dict[str, float]:
    """What recolouring does to the nucleus, as segmented before and after; n: cells segmented in both, kept in `path`."""
    if path.exists():
        kept: dict[str, float] = json.loads(path.read_text())
        return kept
    overlaps, areas = [], []
    places = evenly_spread(len(before), STRUCTURE)
    for a, b in ((before[i], after[i]) for i in places):
        first, second = segment(a), segment(b)
        if first.failure is None and second.failure is None:
            overlaps.append(dice(first.nucleus, second.nucleus))
            areas.append(second.nucleus.sum() / first.nucleus.sum())
    found = {
        "n": len(overlaps),
        "median_dice": round(float(np.median(overlaps)), 4),
        "share_dice_at_least_0.97": round(float(np.mean(np.array(overlaps) >= 0.97)), 3),
        "median_area_ratio": round(float(np.median(areas)), 4),
    }
    path.write_text(json.dumps(found))
    return found


def nine_tenths(data: Labelled, rng: np.random.Generator) -> Labelled:
    return data.select(np.sort(rng.permutation(len(data))[: round(0.9 * len(data))]))


def fitted(
    kind: str, parts: list[Labelled], seed: int, effort: float, strong: bool = False
) -> Callable[[Labelled], np.ndarray]:
    """A trained classifier; strong: the small network sees strong colours of its own. The others get copies in them."""
    if kind != "small network":
        return LinearProbe().fit(parts, TYPES, seed, augment=False)
    network = ConvNet(recolour=strong_colours if strong else None)
    return network.fit(parts, TYPES, seed, augment=True, effort=effort)


def asked(arm: str, tests: dict[str, dict[str, Labelled]]) -> set[str]:
    """What classifiers that were trained so are tested on: laboratory/normalisation."""
    ways = {how for trained, how in METHODS.values() if trained == arm}
    return {f"{name}/{how}" for name, by in tests.items() for how in by if how in ways}


def at_home_there(
    kind: str, own: dict[str, Own], extractor: Extractor, folder: Path, effort: float
) -> dict[str, dict[str, float]]:
    """What a classifier reaches that learns from the laboratory itself: five-fold, no patient (or, where none is known, no
    image) on both sides. What labels and cells allow, with so few of them.
    """
    found = {}
    for name, cells in own.items():
        path = folder / f"{kind}-{effort:g}-at-home-in-{name}.npy".replace(" ", "-")
        data = labelled(cells.images, cells.labels, kind, extractor, folder / "features")
        truth = data.codes(TYPES)
        if not path.exists():
            told = np.full(len(truth), -1)
            for learnt, tested in StratifiedGroupKFold(5, shuffle=True, random_state=0).split(
                truth, truth, cells.groups
            ):
                told[tested] = fitted(kind, [data.select(learnt)], 0, effort)(data.select(tested))
            np.save(path, told)
            print(path.stem, flush=True)
        figure = assess(truth, np.load(path)[None], len(TYPES), DRAWS, 0).interval("balanced_accuracy").as_dict()
        found[name] = figure | {"n": len(truth), "groups": len(set(cells.groups))}
    return found


def answers(
    kind: str,
    arm: str,
    parts: list[Labelled],
    tests: dict[str, dict[str, Labelled]],
    folder: Path,
    seeds: int,
    effort: float,
) -> dict[str, np.ndarray]:
    """Answers (seeds, n) on each test set under each normalisation, kept in `folder`, a file for each seed."""
    found: dict[str, list[np.ndarray]] = {}
    for seed in range(seeds):
        path = folder / f"{kind}-{effort:g}-{arm}-{seed}.npz".replace(" ", "-")
        if not path.exists() or not asked(arm, tests) <= set(np.load(path).files):
            fewer = [nine_tenths(part, np.random.default_rng([seed, k])) for k, part in enumerate(parts)]
            predict = fitted(kind, fewer, seed, effort, strong=arm == "strong")
            told = {f"{lab}/{how}": predict(data) for lab, by in tests.items() for how, data in by.items()}
            np.savez(path.with_suffix(".part.npz"), **told)
            os.replace(path.with_suffix(".part.npz"), path)
            print(path.stem, flush=True)
        with np.load(path) as kept:
            for name in kept.files:
                found.setdefault(name, []).append(kept[name])
    return {name: np.stack(rows) for name, rows in found.items()}


def measured(
    kind: str,
    training_sets: dict[str, tuple[Images, Sequence[str]]],
    normalised: dict[str, dict[str, Images]],
    raw: dict[str, tuple[Images, tuple[str, ...]]],
    extractor: Extractor,
    work: Path,
    seeds: int,
    effort: float,
    only: Sequence[str],
) -> dict[str, dict[str, dict]]:
    """Scores of one kind of classifier: method → laboratory → figures."""
    cache = work / "features"
    tests = {
        name: {how: labelled(images, raw[name][1], kind, extractor, cache) for how, images in by.items()}
        for name, by in normalised.items()
    }
    wanted = [name for name in training_sets if kind != "small network" or not name.startswith("strong")]
    sets = {name: labelled(*training_sets[name], kind, extractor, cache) for name in wanted}
    arms = {
        "plain": [sets["plain"]],
        # The network draws new colours for every batch; the probe gets copies.
        "strong": [sets["plain"]] + [sets[name] for name in wanted if name.startswith("strong")],
        "styled": [sets["plain"], sets["styled"]],
        "recoloured": [sets["plain"], sets["recoloured"]],
        "virtual": [sets["plain"], sets["virtual"]],
        "virtual, styled": [sets["plain"], sets["virtual"], sets["styled"]],
    }
    told = {arm: answers(kind, arm, parts, tests, work, seeds, effort) for arm, parts in arms.items() if arm in only}
    found: dict[tuple[str, str], Assessment] = {}
    for method, (arm, how) in METHODS.items():
        for name, by in tests.items() if arm in only else ():
            given = told[arm][f"{name}/{how if how in by else 'none'}"]
            found[method, name] = assess(by["none"].codes(TYPES), given, len(TYPES), DRAWS, 0)
    scores: dict[str, dict[str, dict]] = {}
    for method, name in found:
        scores.setdefault(method, {})[name] = {
            "balanced_accuracy": found[method, name].interval("balanced_accuracy").as_dict(),
            "gain": found[method, name].gain(found[RIVAL, name]).as_dict(),
            "gain_over_plain": found[method, name].gain(found["plain", name]).as_dict(),
        }
    return scores
