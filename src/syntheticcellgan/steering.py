"""Cells with wanted features: of the many that a seed could mean, the first that shows them.

For a seed candidates are drawn one after the other, each from a key of its own that type, seed and number give;
candidate 0 is the seed's ordinary cell. Only their latents are made, in a fraction of the time that a finished cell
takes, and read by the bundle's attribute network; the first candidate that shows everything wanted is then decoded and
translated. So chosen cells follow the generator's own distribution, restricted to what was wanted (rejection sampling):
nothing is pushed to where the generator was never trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from syntheticcellgan.bundle import Bundle
from syntheticcellgan.bundle_attributes import Attributes
from syntheticcellgan.errors import InputError
from syntheticcellgan.noise import noises
from syntheticcellgan.wanted import Wishes, spelled, wishes_for

TOGETHER = 32
"""Candidates that go through the networks together, always: with one shape the sums inside are always added alike."""

MOST = 8192
"""Candidates of one seed."""


DOUBTFUL = 0.6
"""Probability below which one cannot speak of a choice."""


@dataclass(frozen=True)
class Choice:
    """The chosen candidate's number (0: the seed's ordinary cell), and what was read from its latent."""

    candidate: int
    predicted: Mapping[str, str]


class Steering:
    """Chooses candidates for one bundle and one set of wanted features (names and values of any spelling).

    Raises:
        InputError: the bundle does not know a name or a value, see `wanted.spelled`.
    """

    def __init__(self, bundle: Bundle, wanted: Mapping[str, str]) -> None:
        self.bundle = bundle
        self.wanted = spelled(bundle.attributes, wanted, bundle.name)
        assert bundle.attributes is not None
        self.known: Attributes = bundle.attributes
        self._wishes: dict[str, Wishes] = {}

    def check(self, cell_type: str) -> Wishes:
        """InputError if real cells of the type do not show what is wanted, see `wanted.wishes_for`."""
        if cell_type not in self._wishes:
            self._wishes[cell_type] = wishes_for(self.known, cell_type, self.wanted)
        return self._wishes[cell_type]

    def doubts(self, cell_types: Iterable[str]) -> list[str]:
        """Sentences on wanted values that the bundle cannot tell well enough in these types."""
        return [
            f"{name}={value} is hard to tell in cells of the type {cell_type.replace('_', ' ')}: expect it of "
            f"{wishes.marks[name]:.0%} or more of the chosen cells, not of all."
            for cell_type in cell_types
            for wishes in [self.check(cell_type)]
            for name, value in wishes.values.items()
            if wishes.marks[name] < DOUBTFUL
        ]

    @torch.inference_mode()
    def choose(self, cell_type: str, seed: int, truncation: float) -> Choice:
        """The first candidate of the seed that shows what is wanted.

        Raises:
            InputError: the type never shows it, or none of `MOST` candidates did.
        """
        wishes = self.check(cell_type)
        for first in range(0, MOST, TOGETHER):
            shares, sizes = self._read(cell_type, seed, truncation, first)
            good = torch.ones(TOGETHER, dtype=torch.bool)
            for name, value in wishes.values.items():
                place = self._attribute(name).index(value)
                good &= shares[name][:, place] >= wishes.marks[name]
            for name, (low, high) in wishes.ranges.items():
                good &= (sizes[name] >= low) & (sizes[name] <= high)
            if good.any():
                place = int(good.nonzero()[0, 0])
                return Choice(first + place, predicted(self.known, shares, sizes, place))
        asked = " and ".join(f"{name}={value}" for name, value in self.wanted.items())
        raise InputError(
            f"None of {MOST:,} candidates of {cell_type}, seed {seed}, showed {asked}: the bundle hardly ever makes such a "
            "cell. Try truncation 1 or a little more, other seeds, or fewer wishes."
        )

    def _attribute(self, name: str) -> tuple[str, ...]:
        found = self.known.attribute(name)
        assert found is not None
        return found.values

    def _read(
        self, cell_type: str, seed: int, truncation: float, first: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """What is read from the candidates first … first + TOGETHER − 1."""
        generator = self.bundle.generator
        names = [cell_of(cell_type, seed, first + k) for k in range(TOGETHER)]
        (noise,) = noises(names, [(generator.latent_size,)])
        types = torch.full((TOGETHER,), self.bundle.chain.cell_types.index(cell_type))
        return self.known.scores(generator.latents(self.bundle.styles(noise, types, truncation)), types)


def cell_of(cell_type: str, seed: int, candidate: int) -> tuple[str | int, ...]:
    """What `noise.key_of` is given for a candidate: nothing is added for the first, which is the ordinary cell."""
    return (cell_type, seed, candidate) if candidate else (cell_type, seed)


def predicted(
    known: Attributes, shares: Mapping[str, Tensor], sizes: Mapping[str, Tensor], place: int
) -> dict[str, str]:
    """The most probable value of each attribute and each size, three digits, of one of the cells that were read."""
    values = {one.name: one.values[int(shares[one.name][place].argmax())] for one in known.attributes}
    return values | {one.name: _short(float(sizes[one.name][place])) for one in known.sizes}


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
