"""How far one laboratory's look lies from another's, in figures with intervals and in one sentence.

    compare(reference, other) -> Comparison

The background tells of lamp and camera: its difference is that of the two colours as they stand on a screen. Nucleus,
cytoplasm and red cells tell of the stain: each is compared as seen against its own background, so that a lamp alone
makes no difference there. All differences are CIEDE2000 of medians over the images.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from skimage.color import xyz2lab

from syntheticcellgan.stain.colour import difference
from syntheticcellgan.stain.look import Look
from syntheticcellgan.stain.measure import REGIONS

BACKGROUND = "background"
ALIKE, CLOSE = 3.0, 8.0
"""CIEDE2000: up to the first one must look for a difference; beyond the second nobody overlooks it."""
SIZE_TOLERANCE = 1.15
"""Ratio of cell diameters beyond which the images are to be rescaled."""
_DRAWS = 500


@dataclass(frozen=True)
class Figure:
    """A value with its 95 % interval (bootstrap over the images of both sides) and the numbers of images.

    floor: what two random halves of the reference's own images differ by, the median of the same draws; None for ratios.
    """

    value: float
    low: float
    high: float
    n: tuple[int, int]
    floor: float | None = None


@dataclass(frozen=True)
class Comparison:
    """differences: CIEDE2000 per part, background first. edge, diameter: other over reference, sharpness and cell size
    (of the side; 2 means twice as blurred, twice as large). sentence: the conclusion.
    """

    reference: str
    other: str
    differences: dict[str, Figure]
    edge: Figure
    diameter: Figure
    summary: str
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare(reference: Look, other: Look, seed: int = 0) -> Comparison:
    """Compare two looks; the same seed gives the same intervals."""
    rng = np.random.default_rng(seed)
    parts = [BACKGROUND, *(name for name in REGIONS if name in reference.regions and name in other.regions)]
    differences = {part: _difference(part, reference, other, rng) for part in parts}
    edge = _ratio(np.maximum(reference.edges, 1e-3), np.maximum(other.edges, 1e-3), rng)
    diameter = _ratio(reference.diameters, other.diameters, rng)
    summary, worst = _summary(differences)
    sentence = _sentence(reference.name, other.name, summary, worst, diameter.value)
    return Comparison(reference.name, other.name, differences, edge, diameter, summary, sentence)


def _rows(part: str, look: Look) -> np.ndarray:
    """(n, 3) L*a*b* of the images that show the part."""
    if part == BACKGROUND:
        return np.asarray(xyz2lab(look.whites))
    rows = look.colours[:, REGIONS.index(part)]
    return rows[np.isfinite(rows[:, 0])]


def _difference(part: str, reference: Look, other: Look, rng: np.random.Generator) -> Figure:
    a, b = _rows(part, reference), _rows(part, other)

    def between(x: np.ndarray, y: np.ndarray) -> float:
        return float(difference(np.median(x, axis=0), np.median(y, axis=0)))

    draws, floors = [], []
    for _ in range(_DRAWS):
        draws.append(between(rng.choice(a, len(a)), rng.choice(b, len(b))))
        order = rng.permutation(len(a))
        floors.append(between(a[order[: len(a) // 2]], a[order[len(a) // 2 :]]))
    return _figure(between(a, b), draws, (len(a), len(b)), float(np.median(floors)))


def _ratio(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> Figure:
    draws = [float(np.median(rng.choice(b, len(b))) / np.median(rng.choice(a, len(a)))) for _ in range(_DRAWS)]
    return _figure(float(np.median(b) / np.median(a)), draws, (len(a), len(b)))


def _figure(value: float, draws: list[float], n: tuple[int, int], floor: float | None = None) -> Figure:
    low, high = np.percentile(draws, [2.5, 97.5])
    return Figure(value, min(value, float(low)), max(value, float(high)), n, floor)


def _summary(differences: dict[str, Figure]) -> tuple[str, float]:
    """The chief figures in words, and the largest of them."""
    light = differences[BACKGROUND]
    # The lower bound: a part that varies much from cell to cell (cytoplasm, by type) says little by its value alone.
    part, stain = max(
        ((part, figure) for part, figure in differences.items() if part != BACKGROUND), key=lambda item: item[1].low
    )
    said = (
        f"the background differs by ΔE {_shown(light)} ({_word(light)}), the stain at most by ΔE {_shown(stain)} "
        f"({_word(stain)}; {part.replace('_', ' ')})"
    )
    return said, max(light.value, stain.value)


def _sentence(reference: str, other: str, summary: str, worst: float, size: float) -> str:
    if worst <= ALIKE:
        verb, end = "have the look of", "No standardisation is needed."
    elif worst <= CLOSE:
        verb, end = "come close to the look of", "Standardise before you trust a model that knows one of them alone."
    else:
        verb, end = (
            "have another look than",
            "A model that knows one of them cannot be trusted on the other: standardise.",
        )
    said = f"The images of {other} {verb} {reference}: {summary}. {end}"
    if not (1 / SIZE_TOLERANCE <= size <= SIZE_TOLERANCE):
        said += (
            f" Cells are {size:.2f} times as large a share of the frame's side: colours do not mend that, "
            "`scg stain apply --size` does."
        )
    return said


def _word(figure: Figure) -> str:
    return "alike" if figure.value <= ALIKE else "another shade" if figure.value <= CLOSE else "far off"


def _shown(figure: Figure) -> str:
    return f"{figure.value:.1f} [{figure.low:.1f}, {figure.high:.1f}]"
