"""What the tests of whole evaluations share: drawn sets on disk, a network of no weight, and the least of effort."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tests.conftest import DRAWN_TYPES, draw_cell

from syntheticcellgan.evaluation.utility_results import UtilitySettings

LEAST = UtilitySettings(seeds=1, effort=0.02, low_data=(5,), low_data_seeds=1, low_data_effort=0.02, draws=20)


class Blocks:
    """Mean colours of 5 × 5 blocks under the name of a real network: quick, and it tells the drawn types apart."""

    name, dim, input_size, licence, sha256 = "vit-s-focus", 75, 20, "none", "0" * 64
    seen = 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        Blocks.seen += len(images)
        return images.reshape(-1, 5, 4, 5, 4, 3).mean(axis=(2, 4)).reshape(len(images), -1).astype(np.float32)


def draw_set(
    root: Path, seed: int, count: int = 34, types: tuple[str, ...] = tuple(DRAWN_TYPES), side: int = 64
) -> Path:
    """A folder per type with `count` drawn cells each."""
    rng = np.random.default_rng(seed)
    for name in types:
        (root / name).mkdir(parents=True)
        for i in range(count):
            draw_cell(*DRAWN_TYPES[name], rng, side=side).save(root / name / f"{root.name}-{i:02d}.png")
    return root
