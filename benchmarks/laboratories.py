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
from PIL import Image, ImageDraw, ImageFont
from skimage.feature import hog
from torchstain.numpy.normalizers.macenko import NumpyMacenkoNormalizer
from torchstain.numpy.normalizers.reinhard import NumpyReinhardNormalizer

import syntheticcellgan
from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.data.manifest import Manifest, Record, read_manifest
from syntheticcellgan.data.splits import read_split, split_manifest
from syntheticcellgan.evaluation.answers import Assessment, assess
from syntheticcellgan.evaluation.classifiers import SIDE, ConvNet, Labelled, LinearProbe
from syntheticcellgan.evaluation.features import Extractor, ensure_independent, features_of, get_extractor
from syntheticcellgan.evaluation.intervals import Interval
from syntheticcellgan.segmentation import dice, segment
from syntheticcellgan.stain.learned import LearnedNormaliser, read_normaliser
from syntheticcellgan.stain.look import Look, evenly_spread, fit, srgb_of
from syntheticcellgan.stain.recolour import Recolouring
from syntheticcellgan.stain.style import in_many_looks
from syntheticcellgan.training.virtual_laboratories import Laboratories

TYPES = ("basophil", "eosinophil", "lymphocyte", "monocyte", "neutrophil")
PIXELS = 128
LOOK_IMAGES, FEWEST, STRUCTURE = 40, 10, 40
DRAWS, COPIES = 500, 2
HOME = "home"
KINDS = ("colour and gradients", "small network", "linear probe")

METHODS = {
    "plain": ("plain", "none"),
    "strong colour augmentation": ("strong", "none"),
    "normalised": ("plain", "scg"),
    "style-varied synthetic cells": ("styled", "none"),
    "both: normalised, style-varied synthetic cells": ("styled", "scg"),
    "normalised, strong colour augmentation": ("strong", "scg"),
    "style-varied real cells": ("recoloured", "none"),
    "learned normaliser": ("plain", "learned"),
    "learned normaliser, strong colour augmentation": ("strong", "learned"),
    "both: learned normaliser, style-varied synthetic cells": ("styled", "learned"),
    "learned normaliser, normalised virtual laboratories": ("virtual", "learned"),
    "all three: learned normaliser, normalised virtual laboratories, style-varied synthetic cells": (
        "virtual, styled",
        "learned",
    ),
    "Reinhard": ("plain", "reinhard"),
    "Macenko": ("plain", "macenko"),
}
"""Name: what is trained on, and what is done to the images that are tested."""
ARMS = tuple(dict.fromkeys(arm for arm, _ in METHODS.values()))
RIVAL = "strong colour augmentation"

BARS = {"pbc_barcelona_style_b": 0.93, "deepapl_jhu": 0.85}
TWICE_THE_PLAIN = ("chula_wbc",)

Images = list[np.ndarray]


def strong_colours(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Strong classic augmentation of colour, (B, H, W, 3) uint8: brightness ±40 %, contrast ±40 %, saturation ±50 %, hue
    ±36°, gain per channel ±25 %, gamma 0.7 to 1.4, each drawn anew for each image.
    """
    n = len(images)

    def drawn(low: float, high: float, size: int = 1) -> np.ndarray:
        return rng.uniform(low, high, (n, 1, 1, size)).astype(np.float32)

    x = (images.astype(np.float32) / 255.0) ** drawn(0.7, 1.4)
    x = x * drawn(0.6, 1.4) * drawn(0.75, 1.25, 3)
    x = (x - x.mean(axis=(1, 2), keepdims=True)) * drawn(0.6, 1.4) + x.mean(axis=(1, 2), keepdims=True)
    # Saturation and hue: scaling and turning about the grey axis of YIQ.
    yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32)
    y = x @ yiq.T
    angle, factor = drawn(-0.63, 0.63)[..., 0], drawn(0.5, 1.5)[..., 0]
    i, q = y[..., 1].copy(), y[..., 2].copy()
    y[..., 1], y[..., 2] = (
        (i * np.cos(angle) - q * np.sin(angle)) * factor,
        (i * np.sin(angle) + q * np.cos(angle)) * factor,
    )
    return np.rint(np.clip(y @ np.linalg.inv(yiq).T, 0, 1) * 255).astype(np.uint8)


def pooled(normaliser: NumpyMacenkoNormalizer | NumpyReinhardNormalizer, target: Images, images: Images) -> Images:
    """A library's normaliser with statistics of pooled pixels: of the reference's images, and of the laboratory's."""
    normaliser.fit(np.concatenate(target))
    done = normaliser.normalize(np.concatenate(images))
    whole = done[0] if isinstance(done, tuple) else done
    return [np.ascontiguousarray(part) for part in np.split(whole, len(images))]


def in_virtual_laboratories(images: Images, normaliser: LearnedNormaliser, white: np.ndarray, seed: int) -> Images:
    """Each image as one of some laboratories that do not exist would show it (ten images of each), normalised again."""
    chance = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=chance).tolist()
    done: dict[int, np.ndarray] = {}
    for start in range(0, len(order), 10):
        places = order[start : start + 10]
        x = torch.from_numpy(np.stack([images[i] for i in places])).permute(0, 3, 1, 2).float()[None] / 255
        drawn = Laboratories.drawn(1, len(places), chance)
        seen = drawn(drawn.sharpness(x), torch.tensor(white, dtype=torch.float32))[0]
        shown = list((seen * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy())
        done |= zip(places, map(normaliser.fitted(shown), shown), strict=True)
    return [done[i] for i in range(len(images))]


def kept_images(path: Path, make: Callable[[], Images]) -> Images:
    """What `make` gives, from `path` where an earlier call has kept it."""
    if not path.exists():
        np.savez(path.with_suffix(".part.npz"), images=np.stack(make()))
        os.replace(path.with_suffix(".part.npz"), path)
    with np.load(path) as held:
        return list(held["images"])


def read(manifest: Manifest, records: Sequence[Record]) -> Images:
    return [resize_square(read_image(manifest.path(record)), PIXELS) for record in records]


def drawn_cells(manifest: Manifest, count: int, rng: np.random.Generator) -> tuple[Images, tuple[str, ...]]:
    """Up to `count` of each of the five types that has ten."""
    records: list[Record] = []
    for name in TYPES:
        own = manifest.of_type(name).records
        if len(own) >= FEWEST:
            records += [own[i] for i in rng.permutation(len(own))[:count]]
    return read(manifest, records), tuple(record.cell_type for record in records)


def apart(manifest: Manifest, rng: np.random.Generator) -> tuple[list[Record], Manifest]:
    """40 images of any type that tell the look, and what may be tested: of other patients where patients are known.

    Where cells lie out of the middle (a column `offset`), only those within 0.15 count.
    """
    usable = [i for i, r in enumerate(manifest.records) if float(r.attributes.get("offset", 0)) <= 0.15]
    order = [manifest.records[i] for i in rng.permutation(usable)]
    if not any(record.patient for record in order):
        return order[:LOOK_IMAGES], Manifest(manifest.root, tuple(order[LOOK_IMAGES:]))
    chosen: list[Record] = []
    patients: list[str | None] = []
    for patient in dict.fromkeys(record.patient for record in order):
        if len(chosen) >= LOOK_IMAGES:
            break
        patients.append(patient)
        chosen += [record for record in order if record.patient == patient][:5]
    rest = tuple(record for record in order if record.patient not in patients)
    return chosen[:LOOK_IMAGES], Manifest(manifest.root, rest)


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
        if not path.exists():
            fewer = [nine_tenths(part, np.random.default_rng([seed, k])) for k, part in enumerate(parts)]
            if kind != "small network":
                predict = LinearProbe().fit(fewer, TYPES, seed, augment=False)
            else:
                network = ConvNet(recolour=strong_colours if arm == "strong" else None)
                predict = network.fit(fewer, TYPES, seed, augment=True, effort=effort)
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


def shown(interval: Interval | dict[str, float], sign: str = "") -> str:
    values = interval if isinstance(interval, dict) else interval.as_dict()
    return f"{values['value']:{sign}.2f} [{values['low']:{sign}.2f}, {values['high']:{sign}.2f}]"


def table(result: dict) -> str:
    laboratories = list(result["laboratories"])
    lines = [
        "# One laboratory's classifier on the cells of others",
        "",
        "Written by `benchmarks/laboratories.py` from `laboratories.json`. Five mature types, trained on "
        f"{result['train']} real cells of `{result['reference']}` alone, {result['seeds']} seeds, no BatchNorm; balanced "
        "accuracy with 95 % intervals over test cells and seeds. “Normalised” is `scg stain apply`, “learned” the same with "
        "`--method learned`. Of each laboratory "
        f"{LOOK_IMAGES} unlabelled images, apart from the test cells, tell the look. Synthetic cells are those of "
        f"`{result['bundle']}` in the looks of all laboratories (`scg generate --style`), {result['synthetic']} of them; "
        "style-varied real cells are the training cells recoloured the same way; virtual laboratories are "
        "training cells in random looks, brought home by the learned normaliser. Reinhard and Macenko: torchstain, "
        "statistics of pooled pixels, those of the test cells included.",
        "",
        "| laboratory | test cells | types |",
        "|---|---:|---|",
    ]
    for name in laboratories:
        about = result["laboratories"][name]
        lines.append(f"| {name} | {about['n']} | {', '.join(about['types'])} |")
    for kind, methods in result["scores"].items():
        lines += ["", f"## {kind}", "", "| | " + " | ".join(laboratories) + " |", "|---|" + "---|" * len(laboratories)]
        for method, by in methods.items():
            lines.append(
                f"| {method} | " + " | ".join(shown(by[lab]["balanced_accuracy"]) for lab in laboratories) + " |"
            )
        lines += ["", f"Gain over {RIVAL}, paired:", "", "| | " + " | ".join(laboratories) + " |"]
        lines.append("|---|" + "---|" * len(laboratories))
        for method, by in methods.items():
            if method != RIVAL:
                lines.append(f"| {method} | " + " | ".join(shown(by[lab]["gain"], "+") for lab in laboratories) + " |")
    lines += ["", "## Aims", "", *bars(result)]
    lines += [
        "",
        "## What `scg stain apply` leaves as it was",
        "",
        "Nuclei as segmented before and after (on images of "
        f"{PIXELS} × {PIXELS} pixels). The map moves no edge; where masks differ, the segmentation saw another contrast.",
        "",
        "| laboratory | n | median Dice | Dice ≥ 0.97 | area after / before, median |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, row in result["structure"].items():
        lines.append(
            f"| {name} | {row['n']} | {row['median_dice']:.3f} | {row['share_dice_at_least_0.97']:.0%} | "
            f"{row['median_area_ratio']:.3f} |"
        )
    return "\n".join(lines) + "\n"


def bars(result: dict) -> list[str]:
    """Each aim as met or missed, with the method that came nearest, whichever kind of classifier."""
    lines = []
    for name, aim in (BARS | dict.fromkeys(TWICE_THE_PLAIN, 2.0)).items():
        for kind, methods in result["scores"].items():
            if name not in methods["plain"]:
                continue
            plain = methods["plain"][name]["balanced_accuracy"]["value"]
            bar = 2 * plain if name in TWICE_THE_PLAIN else aim
            best = max(methods, key=lambda method: methods[method][name]["balanced_accuracy"]["value"])
            score, over = methods[best][name]["balanced_accuracy"], methods[best][name]["gain"]
            said = "met" if score["value"] >= bar else "missed"
            what = f"twice the plain figure, {bar:.2f}" if name in TWICE_THE_PLAIN else f"{bar:.2f}"
            beside = "" if best == RIVAL else f"; over {RIVAL} {shown(over, '+')}"
            lines.append(f"- `{name}`, aim {what}, {kind}: {said}. Best: {best}, {shown(score)}{beside}.")
    return lines


def block(result: dict) -> str:
    """What the how-to says: the scores, and the aims."""
    laboratories = list(result["laboratories"])
    tested = ", ".join(f"{name} {about['n']}" for name, about in result["laboratories"].items())
    lines = [
        f"Five mature types, trained on {result['train']} real cells of `{result['reference']}` alone, tested on others' cells "
        f"({tested}); no BatchNorm, "
        f"{result['seeds']} seeds; balanced accuracy [95 % interval over cells and seeds]. In full, with every gain over strong "
        "classic augmentation: [laboratories.md](../results/laboratories.md).",
    ]
    for kind, methods in result["scores"].items():
        lines += ["", f"**{kind.capitalize()}**", "", "| | " + " | ".join(laboratories) + " |"]
        lines.append("|---|" + "---:|" * len(laboratories))
        for method, by in methods.items():
            lines.append(
                f"| {method} | " + " | ".join(shown(by[lab]["balanced_accuracy"]) for lab in laboratories) + " |"
            )
    lines += ["", "The aims of the project:", "", *bars(result)]
    return "\n".join(lines) + "\n"


def between(text: str, marker: str, content: str) -> str:
    """`text` with `content` between the marker's two comments."""
    start, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    before, rest = text.split(start)
    return f"{before}{start}\n{content}{end}{rest.split(end)[1]}"


def sheet(rows: dict[str, Images], path: Path) -> None:
    """A labelled row of images each."""
    margin, columns = 170, max(map(len, rows.values()))
    page = Image.new("RGB", (margin + columns * PIXELS, len(rows) * PIXELS), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(15)
    for row, (title, images) in enumerate(rows.items()):
        draw.multiline_text((8, (row + 0.5) * PIXELS), title, fill="black", font=font, anchor="lm")
        for column, image in enumerate(images):
            page.paste(Image.fromarray(image), (margin + column * PIXELS, row * PIXELS))
    path.parent.mkdir(parents=True, exist_ok=True)
    page.save(path, optimize=True)


def pictures(
    chain: SyntheticCellGAN,
    looks: dict[str, Look],
    reference: Look,
    show: str,
    raw: dict[str, tuple[Images, tuple[str, ...]]],
    learned: Callable[[np.ndarray], np.ndarray] | None,
    out: Path,
) -> None:
    """looks.png: the same synthetic cells (seeds 0 and 1) in every look. standardised.png: real cells of the laboratory
    `show`, whose licence must allow it, before and after, evenly spread; below them real cells of the reference.
    """

    def made(look: Look | None) -> Images:
        return [resize_square(image, PIXELS) for image in chain.generate(TYPES, 2, style=look).images]

    rows = {f"{chain.bundle.name}\nas it is": made(None)}
    sheet(rows | {name.replace("_style", "\nstyle"): made(look) for name, look in looks.items()}, out / "looks.png")
    if show in looks:
        before, home = (
            [images[i] for i in np.linspace(0, len(images) - 1, 10).round().astype(int)]
            for images in (raw[show][0], raw[HOME][0])
        )
        rows = {"as they are": before, "standardised": list(map(Recolouring(looks[show], reference), before))}
        if learned is not None:
            rows["standardised,\nlearned"] = list(map(learned, before))
        sheet(rows | {"the reference": home}, out / "standardised.png")


def write(result: dict, out: Path, page: Path | None) -> None:
    """The figures, their tables, and the block of the how-to."""
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(table(result), encoding="utf-8")
    if page:
        text = between(page.read_text(encoding="utf-8"), "laboratories", block(result))
        page.write_text(text, encoding="utf-8")


def main() -> None:
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
    arguments = parser.parse_args()
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
    manifest = read_manifest(arguments.reference)
    split = read_split(arguments.split) if arguments.split else split_manifest(manifest)
    rng = np.random.default_rng(0)
    train_images, train_labels = drawn_cells(split.part(manifest, "train"), arguments.train, rng)
    reference = fit(train_images, arguments.reference.name)

    raw = {HOME: drawn_cells(split.part(manifest, "test"), arguments.test, rng)}
    looks: dict[str, Look] = {}
    look_images: dict[str, Images] = {}
    for item in arguments.laboratory:
        name, _, folder = item.partition("=")
        found = read_manifest(Path(folder))
        for_look, rest = apart(found, rng)
        look_images[name] = read(found, for_look)
        looks[name] = fit(look_images[name], name)
        raw[name] = drawn_cells(rest, arguments.test, rng)

    if arguments.pictures:
        known = look_images.get(arguments.show)
        learned = None if known is None else normaliser.fitted(known)
        pictures(chain, looks, reference, arguments.show, raw, learned, arguments.pictures)
        return

    spread = [train_images[i] for i in np.linspace(0, len(train_images) - 1, LOOK_IMAGES).astype(int)]
    normalised: dict[str, dict[str, Images]] = {}
    kept: dict[str, dict[str, float]] = {}
    for name, (images, _) in raw.items():
        known = look_images.get(name, spread)

        def learned(images: Images = images, known: Images = known) -> Images:
            return list(map(normaliser.fitted(known), images))

        normalised[name] = {"none": images, "learned": kept_images(work / f"{name}-{normaliser.id}.npz", learned)}
        path = work / f"{name}-{normaliser.id}-structure.json"
        kept[f"{name}, learned"] = structure(images, normalised[name]["learned"], path)
        if name == HOME:
            continue
        ways = {
            "scg": lambda name=name, images=images: list(map(Recolouring(looks[name], reference), images)),
            "reinhard": lambda name=name, images=images: pooled(
                NumpyReinhardNormalizer(), spread, look_images[name] + images
            )[len(look_images[name]) :],
            "macenko": lambda name=name, images=images: pooled(
                NumpyMacenkoNormalizer(), spread, look_images[name] + images
            )[len(look_images[name]) :],
        }
        normalised[name] |= {how: kept_images(work / f"{name}-{how}.npz", make) for how, make in ways.items()}
        kept[name] = structure(images, normalised[name]["scg"], work / f"{name}-structure.json")
        print(name, len(images), kept[name], kept[f"{name}, learned"], flush=True)

    targets = [reference, *looks.values()]

    def styled() -> Images:
        made = chain.generate(TYPES, arguments.train).images
        return in_many_looks([resize_square(image, PIXELS) for image in made], chain.look, targets)

    def virtual(k: int) -> Callable[[], Images]:
        return lambda: in_virtual_laboratories(train_images, normaliser, srgb_of(reference.white) / 255, k)

    training_sets: dict[str, tuple[Images, Sequence[str]]] = {
        "plain": (train_images, train_labels),
        "styled": (kept_images(work / "styled.npz", styled), np.repeat(TYPES, arguments.train).tolist()),
        "recoloured": (in_many_looks(train_images, reference, targets), train_labels),
        "virtual": (
            [
                image
                for k in range(COPIES)
                for image in kept_images(work / f"virtual-{normaliser.id}-{k}.npz", virtual(k))
            ],
            [*train_labels] * COPIES,
        ),
    }
    for k in range(COPIES):
        copy = strong_colours(np.stack(train_images), np.random.default_rng(k))
        training_sets[f"strong {k}"] = (list(copy), train_labels)

    result = {
        "reference": arguments.reference.name,
        "bundle": chain.bundle.name,
        "normaliser": {"id": normaliser.id} | normaliser.record,
        "extractor": extractor.name,
        "train": len(train_images),
        "synthetic": len(training_sets["styled"][0]),
        "seeds": arguments.seeds,
        "effort": arguments.effort,
        "laboratories": {
            name: {"n": len(labels), "types": sorted(set(labels)), "look_images": len(look_images.get(name, []))}
            for name, (_, labels) in raw.items()
        },
        "scores": {},
        "structure": kept,
        "machine": f"{os.cpu_count()} CPU cores, {platform.machine()}, torch {torch.__version__}",
        "version": syntheticcellgan.__version__,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    if arguments.kind and arguments.out.exists():
        earlier = json.loads(arguments.out.read_text())
        if all(earlier[key] == result[key] for key in ("train", "seeds", "effort", "laboratories", "structure")):
            result["scores"] = earlier["scores"]
    for kind in arguments.kind or KINDS:
        result["scores"][kind] = measured(
            kind,
            training_sets,
            normalised,
            raw,
            extractor,
            work,
            arguments.seeds,
            arguments.effort,
            arguments.arm or ARMS,
        )
        write(result, arguments.out, arguments.page)
        print(f"{kind}: {arguments.out} and {arguments.out.with_suffix('.md')} are written.", flush=True)


if __name__ == "__main__":
    main()
