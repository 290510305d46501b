"""Mode `basic`: is one generic cell turned into each type that is asked for? → docs/results/basic.json, a picture and a table.

    python benchmarks/basic.py --bundle RUN/bundle --data FOLDER --split RUN/split.json [--cache FOLDER]

Each seed's basic cell, blind to the type, is translated into every type with the same noise. Two classifiers that have
learnt from real cells alone say what the results are; on held-out real cells they show how far they can be trusted.
Beside it, the share of pictures whose basic cell alone would tell: a classifier of basic cells cannot do better than one
in so many types, since all types of a seed share it.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

import syntheticcellgan
from figures import ROOT, between
from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.data.manifest import Manifest, read_manifest
from syntheticcellgan.data.splits import read_split
from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.classifiers import SIDE, ConvNet, Labelled, LinearProbe
from syntheticcellgan.evaluation.features import Extractor, ensure_independent, features_of, get_extractor
from syntheticcellgan.evaluation.intervals import wilson
from syntheticcellgan.evaluation.report.titles import percent
from syntheticcellgan.networks.degradation import cloud, degrade, nearness, veil
from syntheticcellgan.noise import noises
from syntheticcellgan.pipeline import MICRO_BATCH
from syntheticcellgan.pixels import to_uint8

RESULTS = ROOT / "docs" / "results"
PAGE = ROOT / "docs" / "explanation" / "basic-mode.md"
SHOWN, THUMB, LABEL = 8, 112, 20


@torch.inference_mode()
def turned(chain: SyntheticCellGAN, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One seed's basic cell (R, R, 3), what the translator sees of it (R, R, 3), and it as each type (K, S, S, 3); uint8."""
    g, t = chain.chain.generator, chain.chain.translator
    sizes = [(g.latent_size,), (3, g.resolution, g.resolution), (t.noise_channels, g.resolution, g.resolution)]
    latent, grain, texture = (x.expand(MICRO_BATCH, *x.shape[1:]) for x in noises([("generic", seed)], sizes))
    style = chain.bundle.styles(latent, torch.zeros(MICRO_BATCH, dtype=torch.int64), 1.0)
    made = []
    for start in range(0, len(chain.cell_types), MICRO_BATCH):
        types = torch.arange(start, start + MICRO_BATCH).clamp_max(len(chain.cell_types) - 1)
        images, basic = chain.rendered(style, types, grain, texture)
        made.append(images)
    seen = degrade(
        chain.bundle.generator.synthesise(style), torch.full((MICRO_BATCH,), chain.chain.translator.level), grain
    )
    veiled = to_uint8(veil(seen, nearness(seen), cloud(seen)))
    return basic[0], veiled[0], np.concatenate(made)[: len(chain.cell_types)]


def picture(rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]], names: tuple[str, ...]) -> Image.Image:
    """One row per seed: the basic cell, what the translator sees, and each type."""
    columns = [("basic cell", "as seen"), names]
    sheet = Image.new("RGB", (THUMB * (2 + len(names)) + 8, LABEL + THUMB * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    for i, name in enumerate((*columns[0], *columns[1])):
        draw.text((i * THUMB + 8 * (i > 1) + 4, 4), name, fill="black")
    for r, (basic, veiled, made) in enumerate(rows):
        for i, image in enumerate((basic, veiled, *made)):
            small = Image.fromarray(image).resize((THUMB, THUMB), Image.Resampling.LANCZOS)
            sheet.paste(small, (i * THUMB + 8 * (i > 1), LABEL + r * THUMB))
    return sheet


def labelled(
    images: list[np.ndarray] | list[Path], labels: tuple[str, ...], extractor: Extractor, cache: Path | None
) -> Labelled:
    pixels = [resize_square(read_image(i) if isinstance(i, Path) else i, SIDE) for i in images]
    return Labelled(np.stack(pixels), features_of(images, extractor, cache), labels)


def real_cells(manifest: Manifest, types: tuple[str, ...], count: int, extractor: Extractor, cache: Path | None):  # type: ignore[no-untyped-def]
    """The first `count` of each type in the manifest's order."""
    chosen = [(manifest.path(record), name) for name in types for record in manifest.of_type(name).records[:count]]
    paths, labels = zip(*chosen, strict=True)
    return labelled(list(paths), labels, extractor, cache)


def table(result: dict[str, Any]) -> str:
    """What the classifiers said, for the page."""
    kinds, stages = result["classifiers"], result["stages"]
    seen = ", ".join(f"{name.replace('_', ' ')} {state['images_seen_at_best']:,}" for name, state in stages.items())
    lines = [
        f"{result['seeds']} basic cells, seeds 0, 1, 2 …, each turned into all {len(result['types'])} types and named by "
        f"classifiers that learnt from real cells alone (chance: {percent(result['chance'])}); beside it, how often they name "
        "held-out real cells rightly. 95 % intervals in brackets. The bundle was trained on "
        f"{result['trained_on']} (images seen at the best state: {seen}"
        + (f"; its translator began with that of {result['start']}" if result["start"] else "")
        + "); it is not shipped, a command like the above makes it.",
        "",
        "| type asked for | " + " | ".join(f"{kind}: turned cells | real cells" for kind in kinds) + " |",
        "|---|" + "---:|---:|" * len(kinds),
    ]
    whole = [
        f"{percent(one['share'])} [{percent(one['low'])}, {percent(one['high'])}]"
        for found in kinds.values()
        for one in (found["asked_for"], found["real"])
    ]
    lines.append("| all | " + " | ".join(whole) + " |")
    for name in result["types"]:
        shares = [percent(found[what]["by_type"][name]) for found in kinds.values() for what in ("asked_for", "real")]
        lines.append(f"| {name} | " + " | ".join(shares) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--seeds", type=int, default=50)
    arguments = parser.parse_args()
    chain, extractor = SyntheticCellGAN.load(arguments.bundle), get_extractor("vit-s-focus")
    if chain.chain.generator.mode != "basic":
        raise InputError(f"{arguments.bundle} is of mode typed; this benchmark is about mode basic.")
    training = chain.bundle.card.get("training", {})
    ensure_independent(
        extractor.name, training.get("extractors_in_losses", []) + training.get("extractors_in_selection", [])
    )
    manifest, split, types = read_manifest(arguments.data), read_split(arguments.split), chain.cell_types
    train = real_cells(split.part(manifest, "train"), types, 150, extractor, arguments.cache)
    test = real_cells(split.part(manifest, "test"), types, 100, extractor, arguments.cache)
    rows = [turned(chain, seed) for seed in range(arguments.seeds)]
    made = labelled([i for _, _, images in rows for i in images], types * len(rows), extractor, arguments.cache)
    kinds = {}
    for kind in (ConvNet(), LinearProbe()):
        predict = kind.fit([train], types, 0, augment=True)
        found = {}
        for name, cells in (("real", test), ("asked_for", made)):
            right = predict(cells) == cells.codes(types)
            share = wilson(int(right.sum()), len(right))
            each = {t: float(right[[label == t for label in cells.labels]].mean()) for t in types}
            found[name] = {"n": len(right), "share": share.value, "low": share.low, "high": share.high, "by_type": each}
        kinds[kind.name] = found | {"ratio": found["asked_for"]["share"] / found["real"]["share"]}
    result = {
        "bundle": chain.bundle.name,
        "data": arguments.data.name,
        "types": list(types),
        "trained_on": f"{training['machine']}, {training['precision']}",
        "stages": training["stages"],
        "start": (training.get("start") or {}).get("name"),
        "seeds": arguments.seeds,
        "extractor": extractor.name,
        "chance": 1 / len(types),
        "classifiers": kinds,
        "machine": f"{platform.machine()}, torch {torch.__version__}",
        "version": syntheticcellgan.__version__,
    }
    (RESULTS / "basic.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    picture(rows[:SHOWN], types).save(RESULTS.parent / "images" / "basic.jpg", quality=88)
    PAGE.write_text(between(PAGE.read_text(encoding="utf-8"), "basic", table(result)), encoding="utf-8")
    for kind, found in kinds.items():
        print(f"{kind}: asked for {found['asked_for']['share']:.3f}, real held out {found['real']['share']:.3f}")


if __name__ == "__main__":
    main()
