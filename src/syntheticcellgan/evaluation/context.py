"""What every section of an evaluation gets: the sets of cells, the settings, and features on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.cell_sets import CellSet
from syntheticcellgan.evaluation.copies import Fingerprints
from syntheticcellgan.evaluation.extractors.common import Extractor
from syntheticcellgan.evaluation.features import features_of
from syntheticcellgan.evaluation.utility_results import QUICK, STANDARD, UtilitySettings

SECTIONS = ("distribution", "duplicates", "copies", "morphology", "stain", "attributes", "utility", "probe", "map")
"""All parts of an evaluation, in their order."""

Tell = Callable[[int, int], None]
"""Called with what is done and what there is in all."""

STANDARD_COUNT, QUICK_COUNT = 100, 30


def counted(tell: Tell, total: int) -> Callable[[int], None]:
    """From steps since the last call to steps so far."""
    done = 0

    def more(steps: int) -> None:
        nonlocal done
        done = min(done + steps, total)
        tell(done, total)

    return more


@dataclass(frozen=True)
class Settings:
    """How much is spent, and on what. None: by `quick`.

    count: cells of each type on each side, at most. sections: some of `SECTIONS`. micrometres_per_pixel: of the real
    images. utility: of the classifiers.
    """

    count: int | None = None
    quick: bool = False
    seed: int = 0
    micrometres_per_pixel: float | None = None
    sections: tuple[str, ...] = SECTIONS
    utility: UtilitySettings | None = None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise InputError(f"count is {self.count}; it can be 1 or more.")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; it can be 0 or more.")
        scale = self.micrometres_per_pixel
        if scale is not None and not 0 < scale < 100:
            raise InputError(f"The scale is {scale} µm per pixel; it lies between 0 and 100, usually near 0.1.")
        for name in self.sections:
            if name not in SECTIONS:
                raise InputError(f"There is no section {name}; there are {', '.join(SECTIONS)}.")

    @property
    def per_type(self) -> int:
        return self.count or (QUICK_COUNT if self.quick else STANDARD_COUNT)

    @property
    def replicates(self) -> int:
        """Half samples behind the intervals of distances."""
        return 10 if self.quick else 20

    @property
    def utility_settings(self) -> UtilitySettings:
        return self.utility or (QUICK if self.quick else STANDARD)


@dataclass(frozen=True)
class Study:
    """The sets of an evaluation. real: held out of the generator's training. train: images of that training, if any
    are at hand. learn, test: real cells that classifiers learn from and are tested on: train and real, or halves of real;
    None, and why, where there are none. fingerprints: of all training images. training_files: their paths, where known.
    """

    real: CellSet
    synthetic: CellSet
    train: CellSet | None
    learn: CellSet | None
    test: CellSet | None
    no_halves: str
    laboratories: Mapping[str, CellSet]
    fingerprints: Fingerprints | None
    training_files: Sequence[Path]
    attributes: Mapping[str, Mapping[str, str]] | None
    extractors: tuple[Extractor, ...]
    settings: Settings
    cache: Path
    _features: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)

    @property
    def headline(self) -> Extractor:
        """The extractor of everything that is judged by one only."""
        return self.extractors[0]

    @property
    def types(self) -> tuple[str, ...]:
        """Types that both sides have."""
        return tuple(sorted(set(self.real.labels) & set(self.synthetic.labels)))

    def features(
        self, extractor: Extractor, cells: CellSet, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Features (N, d), from memory or cache where they are known."""
        key = (extractor.name, cells.digest)
        if key not in self._features:
            self._features[key] = features_of(cells.paths, extractor, self.cache / "features", progress)
        return self._features[key]
