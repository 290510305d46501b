"""Why do synthetic cells cover so few real ones? Sets that each lose one thing more → docs/results/recall.json, design.md.

    python benchmarks/recall.py --data FOLDER --split RUN/split.json --cell-type promyelocyte --work DIR [--bundle pbc-256]

Recall of held-out real cells by: real cells of the training part; the same made small and translated back; the same through the
autoencoder as well, as generated cells come out of its decoder; and synthetic cells. All of the first three have the variety of
real cells: what is lost between them is lost on the way, not by the generator.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from figures import between
from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.bundle_training import read_training
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.data.manifest import Manifest, read_manifest
from syntheticcellgan.data.splits import read_split
from syntheticcellgan.evaluation.diversity import precision_recall_density_coverage
from syntheticcellgan.evaluation.features import features_of, get_extractor
from syntheticcellgan.networks.autoencoder import Autoencoder
from syntheticcellgan.networks.degradation import degrade, shrink
from syntheticcellgan.pixels import to_tensor, to_uint8

EXTRACTOR = "vit-s-focus"
MOVED = ", moved"
MARKER = "recall"


@torch.no_grad()
def retold(chain: SyntheticCellGAN, cell_type: str, images: list[np.ndarray], sharp: bool) -> list[np.ndarray]:
    """Real cells of the type made small and translated back; sharp: not through the autoencoder."""
    bundle, config = chain.bundle, chain.bundle.chain
    chance = torch.Generator().manual_seed(0)
    autoencoder = Autoencoder(config).eval()
    autoencoder.load_state_dict(read_training(bundle.training, config, bundle.path)["autoencoder"])
    done = []
    for start in range(0, len(images), 16):
        basic = shrink(to_tensor(np.stack(images[start : start + 16])), config.translator.scale)
        if not sharp:
            basic = autoencoder.decoder(autoencoder.encoder(basic))
        types = torch.full((len(basic),), config.cell_types.index(cell_type))
        level = torch.full((len(basic),), 0.0 if sharp else config.translator.level)
        basic = degrade(basic, level, torch.randn(basic.shape, generator=chance))
        noise = torch.randn(len(basic), config.translator.noise_channels, *basic.shape[2:], generator=chance)
        done += list(to_uint8(bundle.translator(basic, types, level, noise)))
    return done


def where_recall_is_lost(
    chain: SyntheticCellGAN,
    cell_type: str,
    made: list[np.ndarray],
    tested: list[np.ndarray],
    learnt: list[np.ndarray],
    cache: Path,
) -> dict[str, float]:
    """Recall of the tested cells by each set; “moved”: its features shifted so that their mean is that of the tested cells."""
    extractor = get_extractor(EXTRACTOR)
    x = features_of(tested, extractor, cache)
    sets = {
        "other real cells": learnt,
        "the same, made small and translated": retold(chain, cell_type, learnt, sharp=True),
        "the same, through the autoencoder too": retold(chain, cell_type, learnt, sharp=False),
        "synthetic cells": made[: len(learnt)],
    }
    found = {}
    for name, images in sets.items():
        y = features_of(images, extractor, cache)
        found[name] = precision_recall_density_coverage(x, y)[1]
        found[name + MOVED] = precision_recall_density_coverage(x, y - y.mean(axis=0) + x.mean(axis=0))[1]
    return {name: round(float(value), 3) for name, value in found.items()}


def of_type(manifest: Manifest, cell_type: str, count: int) -> list[np.ndarray]:
    records = manifest.of_type(cell_type).records[:count]
    return [resize_square(read_image(manifest.path(record)), 256) for record in records]


def block(result: dict) -> str:
    lines = ["| recall of held-out real cells by | as they are | moved |", "|---|---:|---:|"]
    found = result["recall"]
    lines += [
        f"| {name} | {value:.2f} | {found[name + MOVED]:.2f} |" for name, value in found.items() if MOVED not in name
    ]
    about = f"{result['cell_type']}, {result['learnt']} cells of each set, {result['tested']} held out; {EXTRACTOR}"
    return "\n".join([*lines, "", f"`{result['bundle']}`, {about}, five neighbours (`benchmarks/recall.py`)."]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True, help="of the bundle's training")
    parser.add_argument("--cell-type", default="promyelocyte")
    parser.add_argument("--bundle", default="pbc-256")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--work", type=Path, required=True, help="folder where features are kept")
    arguments = parser.parse_args()
    manifest, split = read_manifest(arguments.data), read_split(arguments.split)
    tested, learnt = (
        of_type(split.part(manifest, part), arguments.cell_type, arguments.count) for part in ("test", "train")
    )
    chain = SyntheticCellGAN.load(arguments.bundle)
    made = list(chain.generate(arguments.cell_type, len(learnt)).images)
    result = {
        "bundle": chain.bundle.name,
        "bundle_id": chain.bundle.id,
        "cell_type": arguments.cell_type,
        "tested": len(tested),
        "learnt": len(learnt),
        "recall": where_recall_is_lost(chain, arguments.cell_type, made, tested, learnt, arguments.work),
    }
    docs = Path(__file__).parents[1] / "docs"
    (docs / "results" / "recall.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    page = docs / "explanation" / "design.md"
    page.write_text(between(page.read_text(encoding="utf-8"), MARKER, block(result)), encoding="utf-8")
    print(block(result))


if __name__ == "__main__":
    main()
