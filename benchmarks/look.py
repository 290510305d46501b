"""32 synthetic cells of each type beside 32 real ones that no network has seen → one picture per type.

    python benchmarks/look.py --bundle BUNDLE --data FOLDER --split RUN/split.json --out docs/results/look/NAME

Nothing is chosen: seeds 0 to 31, and the first 32 test images in the split's order.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.splits import read_split

COUNT, COLUMNS, SIDE, GAP = 32, 8, 112, 16


def sheet(images: list[np.ndarray]) -> np.ndarray:
    """Images (H, W, 3) uint8 → rows of `COLUMNS`, each `SIDE` pixels wide; what is missing is white."""
    small = [np.asarray(Image.fromarray(i).resize((SIDE, SIDE), Image.Resampling.LANCZOS)) for i in images]
    small += [np.full((SIDE, SIDE, 3), 255, np.uint8)] * (COUNT - len(small))
    return np.concatenate([np.concatenate(small[i : i + COLUMNS], axis=1) for i in range(0, COUNT, COLUMNS)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="pbc-256")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--keep-real-to-yourself",
        action="store_true",
        help="a second set of pictures without real cells, in OUT/synthetic",
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    held_out = read_split(arguments.split).part(read_manifest(arguments.data), "test")
    chain = SyntheticCellGAN.load(arguments.bundle)
    for cell_type in chain.cell_types:
        synthetic = sheet(list(chain.generate(cell_type, COUNT).images))
        own = held_out.of_type(cell_type)
        real = sheet([resize_square(read_image(own.path(record)), 256) for record in own.records[:COUNT]])
        between = np.full((len(real), GAP, 3), 255, np.uint8)
        picture = Image.fromarray(np.concatenate([synthetic, between, real], axis=1))
        picture.save(arguments.out / f"{cell_type}.jpg", quality=85)
        if arguments.keep_real_to_yourself:  # their licence may allow looking, but not showing
            shown = arguments.out / "synthetic"
            shown.mkdir(exist_ok=True)
            Image.fromarray(synthetic).save(shown / f"{cell_type}.jpg", quality=80)
        print(arguments.out / f"{cell_type}.jpg")


if __name__ == "__main__":
    main()
