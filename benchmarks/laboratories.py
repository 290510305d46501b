"""A classifier of one laboratory on the cells of others: what helps? → docs/results/laboratories.json and laboratories.md.

    python benchmarks/laboratories.py --reference FOLDER --split RUN/split.json --laboratory NAME=FOLDER … --work DIR

Five mature types, classifiers without BatchNorm, trained on cells of the reference alone. Of each other laboratory, 40
unlabelled images (of other patients, where patients are known) tell its look and are not tested on. Everything happens at
128 × 128 pixels. The same command goes on where it stopped: features and answers are kept in DIR.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torchstain.numpy.normalizers.macenko import NumpyMacenkoNormalizer
from torchstain.numpy.normalizers.reinhard import NumpyReinhardNormalizer

import syntheticcellgan
from laboratory_cells import HOME, LOOK_IMAGES, PIXELS, TYPES, Cells, kept_images
from laboratory_methods import ARMS, Images, in_virtual_laboratories, pooled, strong_colours
from laboratory_page import write
from laboratory_pictures import pictures
from laboratory_scores import KINDS, at_home_there, measured, structure
from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.data.images import resize_square
from syntheticcellgan.evaluation.features import ensure_independent, get_extractor
from syntheticcellgan.stain.learned import LearnedNormaliser, read_normaliser
from syntheticcellgan.stain.look import srgb_of
from syntheticcellgan.stain.recolour import Recolouring
from syntheticcellgan.stain.size import Resizing
from syntheticcellgan.stain.style import in_many_looks

COPIES = 2  # of each training image, in virtual laboratories and in strong colours


def normalised_tests(
    cells: Cells, normaliser: LearnedNormaliser, work: Path
) -> tuple[dict[str, dict[str, Images]], dict[str, dict[str, float]]]:
    """The test images of each laboratory, normalised in each way; and what that does to nuclei."""
    spread = [cells.train[i] for i in np.linspace(0, len(cells.train) - 1, LOOK_IMAGES).astype(int)]
    normalised: dict[str, dict[str, Images]] = {}
    nuclei: dict[str, dict[str, float]] = {}
    for name, (images, _) in cells.raw.items():
        known = cells.look_images.get(name, spread)

        def learned(images: Images = images, known: Images = known) -> Images:
            return list(map(normaliser.fitted(known), images))

        normalised[name] = {"none": images, "learned": kept_images(work / f"{name}-{normaliser.id}.npz", learned)}
        path = work / f"{name}-{normaliser.id}-structure.json"
        nuclei[f"{name}, learned"] = structure(images, normalised[name]["learned"], path)
        if name == HOME:
            continue
        ways = {
            "scg": lambda name=name, images=images: list(map(Recolouring(cells.looks[name], cells.look), images)),
            "scg, size": lambda name=name, images=images: list(map(Resizing(cells.looks[name], cells.look), images)),
            "reinhard": lambda known=known, images=images: pooled(NumpyReinhardNormalizer, spread, known, images),
            "macenko": lambda known=known, images=images: pooled(NumpyMacenkoNormalizer, spread, known, images),
        }
        normalised[name] |= {how: kept_images(work / f"{name}-{how}.npz", make) for how, make in ways.items()}
        nuclei[name] = structure(images, normalised[name]["scg"], work / f"{name}-structure.json")
        print(name, len(images), nuclei[name], nuclei[f"{name}, learned"], flush=True)
    return normalised, nuclei


def training_sets(
    cells: Cells, chain: SyntheticCellGAN, normaliser: LearnedNormaliser, count: int, work: Path
) -> dict[str, tuple[Images, Sequence[str]]]:
    """What classifiers are trained on, by name; `count`: synthetic cells of each type."""
    targets = [cells.look, *cells.looks.values()]

    def styled() -> Images:
        made = chain.generate(TYPES, count).images
        return in_many_looks([resize_square(image, PIXELS) for image in made], chain.look, targets)

    def virtual(k: int) -> Callable[[], Images]:
        return lambda: in_virtual_laboratories(cells.train, normaliser, srgb_of(cells.look.white) / 255, k)

    sets: dict[str, tuple[Images, Sequence[str]]] = {
        "plain": (cells.train, cells.train_labels),
        "styled": (kept_images(work / "styled.npz", styled), np.repeat(TYPES, count).tolist()),
        "recoloured": (in_many_looks(cells.train, cells.look, targets), cells.train_labels),
        "virtual": (
            [
                image
                for k in range(COPIES)
                for image in kept_images(work / f"virtual-{normaliser.id}-{k}.npz", virtual(k))
            ],
            [*cells.train_labels] * COPIES,
        ),
    }
    for k in range(COPIES):
        copy = strong_colours(np.stack(cells.train), np.random.default_rng(k))
        sets[f"strong {k}"] = (list(copy), cells.train_labels)
    return sets


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--split", type=Path, help="of the bundle's training (default: made anew with seed 0)")
    parser.add_argument("--laboratory", action="append", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--bundle", default="pbc-256")
    parser.add_argument(
        "--normaliser", default="pbc-256", help="learned on the same training part: a bundle's or a file's"
    )
    parser.add_argument("--train", type=int, default=100, help="real, and as many synthetic, cells of each type")
    parser.add_argument("--test", type=int, default=40, help="cells of each type to test on, at most")
    parser.add_argument(
        "--kind", action="append", choices=KINDS, help="only this kind of classifier; the others' figures stay"
    )
    parser.add_argument(
        "--arm",
        action="append",
        choices=ARMS,
        help="train on these sets alone, “plain” and “strong” among them (default: all)",
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--effort", type=float, default=1.0, help="1: 400 steps of the small network")
    parser.add_argument("--pictures", type=Path, help="only write looks.png and standardised.png there")
    parser.add_argument("--show", default="", metavar="NAME", help="laboratory whose images may be shown there")
    parser.add_argument("--work", type=Path, required=True, help="folder of what is kept between calls")
    parser.add_argument("--out", type=Path, default=Path("docs/results/laboratories.json"))
    parser.add_argument("--page", type=Path, help="page into whose block the figures are written as well")
    parser.add_argument("--written", action="store_true", help="measure nothing: write tables from --out as it is")
    return parser.parse_args()


def main() -> None:
    arguments = asked()
    if arguments.written:
        write(json.loads(arguments.out.read_text(encoding="utf-8")), arguments.out, arguments.page)
        return
    work = arguments.work / f"train-{arguments.train}-test-{arguments.test}"
    work.mkdir(parents=True, exist_ok=True)

    chain, extractor = SyntheticCellGAN.load(arguments.bundle), get_extractor("vit-s-focus")
    training = chain.bundle.card.get("training", {})
    ensure_independent(
        extractor.name, training.get("extractors_in_losses", []) + training.get("extractors_in_selection", [])
    )
    normaliser = read_normaliser(arguments.normaliser)
    others = {name: Path(folder) for name, _, folder in (item.partition("=") for item in arguments.laboratory)}
    cells = Cells.drawn(arguments.reference, arguments.split, others, arguments.train, arguments.test)

    if arguments.pictures:
        known = cells.look_images.get(arguments.show)
        learned = None if known is None else normaliser.fitted(known)
        pictures(chain, cells, arguments.show, learned, arguments.pictures)
        return

    normalised, nuclei = normalised_tests(cells, normaliser, work)
    sets = training_sets(cells, chain, normaliser, arguments.train, work)
    result = {
        "reference": arguments.reference.name,
        "bundle": chain.bundle.name,
        "normaliser": {"id": normaliser.id} | normaliser.record,
        "extractor": extractor.name,
        "train": len(cells.train),
        "synthetic": len(sets["styled"][0]),
        "seeds": arguments.seeds,
        "effort": arguments.effort,
        "laboratories": {
            name: {"n": len(labels), "types": sorted(set(labels)), "look_images": len(cells.look_images.get(name, []))}
            for name, (_, labels) in cells.raw.items()
        },
        "scores": {},
        "at_home_there": {},
        "structure": nuclei,
        "machine": f"{os.cpu_count()} CPU cores, {platform.machine()}, torch {torch.__version__}",
        "version": syntheticcellgan.__version__,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    if arguments.kind and arguments.out.exists():
        earlier = json.loads(arguments.out.read_text())
        if all(earlier[key] == result[key] for key in ("train", "seeds", "effort", "laboratories", "structure")):
            result["scores"], result["at_home_there"] = earlier["scores"], earlier.get("at_home_there", {})
    for kind in arguments.kind or KINDS:
        result["scores"][kind] = measured(
            kind,
            sets,
            normalised,
            cells.raw,
            extractor,
            work,
            arguments.seeds,
            arguments.effort,
            arguments.arm or ARMS,
        )
        result["at_home_there"][kind] = at_home_there(kind, cells.own, extractor, work, arguments.effort)
        write(result, arguments.out, arguments.page)
        print(f"{kind}: {arguments.out} and {arguments.out.with_suffix('.md')} are written.", flush=True)


if __name__ == "__main__":
    main()
