"""One feature of a cell changes, the rest stays.

The noise of a cell is moved, by gradient, to where the bundle's attribute network reads more (and less) of the feature
in the cell's latent, while the other readings, the latent itself and the noise are held where they are; grain and
texture are the cell's own throughout. Every step is a cell that the generator could have drawn: noise only ever changes
its direction, and the generator heeds nothing else of it. (Shen et al. 2020, Interpreting the Latent Space of GANs, move
along one straight line for all cells; here each cell has its own way, since what keeps the rest still differs.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from syntheticcellgan.bundle_attributes import Attributes
from syntheticcellgan.cores import one_thread
from syntheticcellgan.errors import InputError
from syntheticcellgan.noise import key_of, noises
from syntheticcellgan.steering import cell_of
from syntheticcellgan.wanted import name_of, spelled, wishes_for

if TYPE_CHECKING:
    from syntheticcellgan.pipeline import SyntheticCellGAN

STEPS, RATE = 120, 0.05  # of Adam, on noise of root mean square 1
SURE = 0.9  # probability at which an attribute counts as reached
KEEP_READINGS, KEEP_LATENT, KEEP_NOISE = 0.5, 1.0, 0.5
EXTREMES = ("10%", "90%")  # percentiles of the type's real cells between which a size goes

_STAYS = {"cell_area": ("nc_ratio",), "nucleus_area": ("cell_area",), "nc_ratio": ("cell_area",)}
"""Sizes that stay while this one changes: of cell, nucleus and their ratio two decide the third."""


@dataclass(frozen=True)
class Change:
    """images (steps, S, S, 3) uint8; reading: at each step, the probability of the value or the size (steps,)."""

    feature: str
    value: str
    images: np.ndarray
    reading: np.ndarray


def change(
    chain: SyntheticCellGAN, cell_type: str, seed: int, feature: str, steps: int = 8, truncation: float = 1.0
) -> Change:
    """A cell on its way from less to more of one feature.

    Args:
        feature: a size (`nucleus_area`: from the smallest to the largest of the type) or an attribute of two values
            (`cytoplasm_vacuole`: from the first to the second); `NAME=VALUE`: from the cell as it is to this value.

    Raises:
        InputError: an unknown feature, one that the type does not show, or a type, seed, truncation or number of steps
            out of range.
    """
    from syntheticcellgan.pipeline import MAX_STEPS, MICRO_BATCH, check_seeds, check_truncation

    if not 2 <= steps <= MAX_STEPS:
        raise InputError(f"steps is {steps}; a row can have 2 to {MAX_STEPS}.")
    check_truncation(truncation)
    check_seeds(seed)
    name = chain.find_type(cell_type)
    chain.check_features([name])
    known, own = name_of(chain.bundle.attributes, feature.partition("=")[0], chain.bundle.name)
    start, goal = _ends(known, name, feature, own)
    with one_thread():
        candidate = chain.chosen(name, seed, truncation).candidate
        noise, grain, texture = noises([cell_of(name, seed, candidate)], chain.chain.noise_sizes)
        way = _Way(chain, known, name, truncation, noise)
        first = noise if start is None else way.moved(start)
        last = way.moved(goal)
        shares = torch.linspace(0, 1, steps)[:, None]
        path = (1 - shares) * _unit(first) + shares * _unit(last)
        with torch.inference_mode():
            images = []
            for chunk in path.split(MICRO_BATCH):
                padded = torch.cat([chunk, chunk[-1:].expand(MICRO_BATCH - len(chunk), -1)])
                types = torch.full((MICRO_BATCH,), chain.cell_types.index(name))
                again = (MICRO_BATCH, -1, -1, -1)
                made, _ = chain.rendered(way.style(padded), types, grain.expand(*again), texture.expand(*again))
                images += list(made[: len(chunk)])
            reading = goal.reading(*known.split(way.outputs(path)))
    if chain.style is not None:
        images = [chain.style(image, key_of(name, seed)) for image in images]
    return Change(goal.name, goal.value, np.stack(images), reading.numpy())


@dataclass(frozen=True)
class _Goal:
    """What is to be reached: the value at `place` of the attribute `name`, or the number `size` of the size `name`."""

    name: str
    value: str
    place: int | None = None
    size: float = 0.0

    def reading(self, shares: Mapping[str, Tensor], sizes: Mapping[str, Tensor]) -> Tensor:
        return sizes[self.name] if self.place is None else shares[self.name][:, self.place]

    def loss(self, shares: Mapping[str, Tensor], sizes: Mapping[str, Tensor], scale: float) -> Tensor:
        """0 where it is reached."""
        reading = self.reading(shares, sizes)
        if self.place is None:
            return ((reading.log() - np.log(self.size)) / scale).square().sum()
        return F.relu(np.log(SURE) - reading.clamp_min(1e-6).log()).sum()


def _ends(known: Attributes, cell_type: str, feature: str, name: str) -> tuple[_Goal | None, _Goal]:
    """Where the row begins (None: with the cell as it is) and ends."""
    _, equals, value = feature.partition("=")
    attribute, size = known.attribute(name), known.size(name)
    if attribute is not None:
        if not equals and len(attribute.values) > 2:
            raise InputError(
                f"{name} has {len(attribute.values)} values; say which one to go to: "
                f"{', '.join(f'{name}={one}' for one in attribute.values)}."
            )
        values = [spelled(known, {name: value}, "")[name]] if equals else list(attribute.values)
        for one in values:
            wishes_for(known, cell_type, {name: one})
        goals = [_Goal(name, one, attribute.values.index(one)) for one in values]
    else:
        assert size is not None
        texts = [spelled(known, {name: value}, "")[name]] if equals else list(EXTREMES)
        goals = []
        for text in texts:
            low, high = wishes_for(known, cell_type, {name: text}).ranges[name]
            row = size.quantiles[cell_type]
            goals.append(_Goal(name, text, size=(max(low, row[1]) + min(high, row[-2])) / 2))
    return (None, goals[0]) if equals else (goals[0], goals[-1])


def _unit(noise: Tensor) -> Tensor:
    return noise * torch.rsqrt(noise.square().mean(dim=1, keepdim=True))


class _Way:
    """From one cell's noise to others near it."""

    def __init__(
        self, chain: SyntheticCellGAN, known: Attributes, cell_type: str, truncation: float, noise: Tensor
    ) -> None:
        self.bundle, self.known, self.truncation, self.noise = chain.bundle, known, truncation, _unit(noise)
        self.types = torch.tensor([chain.cell_types.index(cell_type)])
        with torch.no_grad():
            self.latent = self.bundle.generator.latents(self.style(self.noise))
            self.shares, self.sizes = known.scores(self.latent, self.types)

    def style(self, noise: Tensor) -> Tensor:
        return self.bundle.styles(noise, self.types.expand(len(noise)), self.truncation)

    def outputs(self, noise: Tensor) -> Tensor:
        """What the attribute network says, (N, outputs)."""
        latents = self.bundle.generator.latents(self.style(noise))
        return self.known.network(latents, self.types.expand(len(noise)))

    def moved(self, goal: _Goal) -> Tensor:
        """Noise (1, latent_size) near the cell's own at which the goal is reached, as far as it can be."""
        noise = self.noise.clone().requires_grad_(True)
        optimizer = torch.optim.Adam([noise], RATE)
        scale = {one.name: one.scale for one in self.known.sizes}
        stays = _STAYS.get(goal.name, ("cell_area", "nucleus_area"))
        for _ in range(STEPS):
            unit = _unit(noise)
            latent = self.bundle.generator.latents(self.style(unit))
            shares, sizes = self.known.scores(latent, self.types)
            rest = [
                (self.shares[name] * (self.shares[name].clamp_min(1e-6).log() - share.clamp_min(1e-6).log())).sum()
                for name, share in shares.items()
                if name != goal.name
            ]
            rest += [
                ((sizes[name].log() - self.sizes[name].log()) / scale[name]).square().sum()
                for name in stays
                if name in sizes and name != goal.name
            ]
            loss = goal.loss(shares, sizes, scale.get(goal.name, 1.0))
            loss = loss + KEEP_LATENT * (latent - self.latent).square().mean()
            loss = loss + KEEP_NOISE * (unit - self.noise).square().mean()
            loss = loss + KEEP_READINGS * torch.stack([loss.new_zeros(()), *rest]).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return _unit(noise.detach())
