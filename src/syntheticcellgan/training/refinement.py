"""The last stage: the translator learns that whole cells of the generator, as a set, be like the real ones of each type.

In the stage before it learnt mostly from real cells made small. The generator's are softer, and what the translator makes of
them has faults that nothing paired can show: edges of nuclei dissolve, a difference in contrast or grain is common to
all cells. Here the energy distance (Székely & Rizzo 2013) between features of finished cells and of real cells of the same
type is made less, at four depths of a packaged network. To learn from features of whole sets goes back to Li et al. 2015 and
Santos et al. 2019: it needs no critic, and is least where the distributions are equal, so that variety counts as much as
likeness. Real cells' features are taken once, those of the latest synthetic cells are remembered; so each cell is compared
with hundreds.

Beside it go the paired scores of the stage before, lest the translator draw what only that network takes for a cell. Tried
and left out (docs/explanation/design.md): features of greater depth, and a generator that learns with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from syntheticcellgan.bundle_writing import mean_styles
from syntheticcellgan.config import ChainConfig, RefinementTraining
from syntheticcellgan.networks.blocks import channels_last
from syntheticcellgan.networks.degradation import degrade, nearness, shrink
from syntheticcellgan.networks.generator import LowResolutionGenerator, from_mean
from syntheticcellgan.networks.translator import Translator
from syntheticcellgan.training.ema import Ema
from syntheticcellgan.training.energy import FeatureBank
from syntheticcellgan.training.feed import Feed
from syntheticcellgan.training.grids import save_grid
from syntheticcellgan.training.learning import LearningStage
from syntheticcellgan.training.perceptual import Perceptual
from syntheticcellgan.training.randomness import Chance
from syntheticcellgan.training.set_features import SetFeatures, scales
from syntheticcellgan.training.texture import energy_score
from syntheticcellgan.training.translation import inconsistency

SCORED = 48  # synthetic images per type for the held-out score
SHOWN, REAL_SHOWN = 6, 2
TOGETHER = 8  # images that go through the networks at once where nothing is learnt


class RefinementStage(LearningStage[RefinementTraining]):
    """Implements `loop.Stage`. `generator` and `translator` are those of the finished stages; the translator learns on."""

    name = "refinement"
    scoring = "finished cells"

    def __init__(
        self,
        fabric: Fabric,
        chain: ChainConfig,
        training: RefinementTraining,
        seed: int,
        feed: Feed,
        held_out: Feed,
        generator: LowResolutionGenerator,
        translator: Translator,
    ) -> None:
        super().__init__(fabric, chain, training, seed, feed, held_out)
        self.blind = chain.generator.mode == "basic"
        self.generator = channels_last(generator).eval().requires_grad_(False)
        self.style_mean: Tensor = fabric.to_device(mean_styles(generator, chain).float())
        self.features, self.perceptual = channels_last(SetFeatures()), channels_last(Perceptual())
        for fixed in (self.generator, self.features, self.perceptual):
            fabric.to_device(fixed)
        channels_last(translator).train()
        self.ema = Ema(translator, training.ema_kimg * 1000)
        adam = torch.optim.Adam(translator.parameters(), training.learning_rate, betas=(0.5, 0.99))
        self.translator, self.optimizer = fabric.setup(translator, adam)
        fabric.to_device(self.ema.module)
        self.bank = self._new_bank()
        self.modules: Mapping[str, nn.Module] = {
            "translator": translator,
            "average": self.ema.module,
            "bank": self.bank,
        }
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {"translator": self.optimizer.optimizer}

    def step(self, index: int) -> dict[str, float]:
        t = self.training
        if not self.bank.full():
            self._fill_bank()
        chance = self._chance(index)
        first = index * self.batch * self.process.count
        places = torch.arange(first, first + self.batch * self.process.count)[self.process.of(self.batch)]
        types = self.fabric.to_device(places % len(self.chain.cell_types))
        basic, made = self._made(self.translator, types, chance)
        features = self._features(made)
        parts = {
            "energy": t.energy_weight * self.bank.energy(features, types),
            "consistency": t.consistency_weight * inconsistency(made, basic, self._far(basic)),
            **self._paired(index, chance),
        }
        losses = {name: part.item() for name, part in parts.items()}
        self.optimizer.zero_grad()
        self.fabric.backward(torch.stack(list(parts.values())).sum())
        self.optimizer.step()
        self.ema.update(self.translator.module, self.batch, (index + 1) * self.batch)
        self.bank.remember(*self._of_all(features, types))
        return losses

    def _paired(self, index: int, chance: Chance) -> dict[str, Tensor]:
        """Scores of crops of real images, made small and translated twice; see `TranslationStage.step`."""
        t = self.training
        count = max(self.batch // 2, 1)
        crop = min(t.crop, self.chain.output_size)
        real, types = self._batch(index, count, crop)
        # Half at the level of generation, half at any.
        level = chance.uniform(count).square()
        level[::2] = self.chain.translator.level
        level = self.fabric.to_device(level)
        basic = shrink(real, self.chain.translator.scale)
        degraded = degrade(basic, level, self._noise(basic.shape, chance))
        degraded, types, level = (torch.cat([x, x]) for x in (degraded, types, level))  # in one pass, which is quicker
        noise = self._noise((2 * count, self.chain.translator.noise_channels, *basic.shape[2:]), chance)
        made: Tensor = self.translator(degraded, types, level, noise)
        one, two = made.chunk(2)
        offset = chance.shared(0, 8, 2)
        perceptual, texture = self.perceptual.scores(one, two, real, (offset[0], offset[1]))
        coarse = (shrink(x, self.chain.translator.scale) for x in (one, two, real))
        return {
            "perceptual": t.perceptual_weight * perceptual,
            "texture": t.texture_weight * texture,
            "pixel": t.pixel_weight * energy_score(*coarse),
        }

    def _made(self, translator: nn.Module, types: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
        """Whole cells of these types as generation makes them: basic (N, 3, R, R) and finished (N, 3, S, S)."""
        with torch.no_grad():
            style = self.generator.map(self._noise((len(types), self.chain.generator.latent_size), chance), types)
            style = from_mean(style, self.style_mean[types], self.chain.generator.spread)  # as `Bundle.styles`
            basic = self.generator.synthesise(style)
            level = basic.new_full((len(types),), self.chain.translator.level)
            degraded = degrade(basic, level, self._noise(basic.shape, chance))
        noise = self._noise((len(types), self.chain.translator.noise_channels, *basic.shape[2:]), chance)
        return basic, translator(degraded, types, level, noise)

    def _far(self, basic: Tensor) -> Tensor | float:
        """Where a finished cell shall agree with the basic one; in mode `basic` only around the cell."""
        return 1 - nearness(basic) if self.blind else 1.0

    def _features(self, images: Tensor) -> list[Tensor]:
        with self.fabric.autocast():
            features: list[Tensor] = self.features(images)
        return features

    @torch.no_grad()
    def _new_bank(self) -> FeatureBank:
        """Features of `compared` real cells of each type, turned; the images of a small set come in several turns."""
        count, kinds = self.training.compared, len(self.chain.cell_types)
        pooled, labels = [], []
        for step in range(-(-count * kinds // TOGETHER)):
            images, types = self.feed.batch(f"{self.name}, compared", step, TOGETHER)
            pooled.append(self._features(self.fabric.to_device(images)))
            labels.append(types)
        of = torch.cat(labels)
        depths = [torch.cat(parts) for parts in zip(*pooled, strict=True)]
        real = [torch.stack([x[(of == t).to(x.device)][:count] for t in range(kinds)]) for x in depths]
        bank = FeatureBank(real, scales(real), self.training.remembered)
        self.fabric.to_device(bank)
        return bank

    @torch.no_grad()
    def _fill_bank(self) -> None:
        """Remember a first set of synthetic cells of each type."""
        for t in range(len(self.chain.cell_types)):
            for images, types in self._made_by_average(t, self.training.remembered):
                self.bank.remember(self._features(images), types)

    @torch.no_grad()
    def _made_by_average(self, cell_type: int, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Cells of the averaged translator and of fixed noise, on the device, and their type, some at a time."""
        chance = Chance(self.seed, "samples", cell_type)
        for begin in range(0, count, TOGETHER):
            types = self.fabric.to_device(torch.full((min(TOGETHER, count - begin),), cell_type))
            yield self._made(self.ema.module, types, chance)[1], types

    def _of_all(self, features: list[Tensor], types: Tensor) -> tuple[list[Tensor], Tensor]:
        """The cells that the processes made in this step, so that all remember the same."""
        if self.process.count == 1:
            return features, types
        *pooled, labels = (cast(Tensor, self.fabric.all_gather(x.detach())).flatten(0, 1) for x in (*features, types))
        return pooled, labels

    def samples(self, cell_type: int, count: int) -> Tensor:
        """Finished cells of the averaged translator and of fixed noise: (count, 3, S, S) on the CPU."""
        return torch.cat([images.cpu() for images, _ in self._made_by_average(cell_type, count)])

    def sample_grid(self, path: Path) -> None:
        types = range(len(self.chain.cell_types))
        save_grid([(self.samples(t, SHOWN), self.held_out.first(t, REAL_SHOWN)) for t in types], path)

    def held_out_score(self) -> float:
        return self._score({t: self.samples(t, SCORED) for t in self._score.real})
