"""Stage two: the translator learns to make a high-resolution cell of a wanted type from a basic one.

Phase one is paired: a real image, made small and either degraded to a random level or passed through the autoencoder
(which blurs as the generator's decoder does), must become itself again. In phase two a part of each batch comes from the
low-resolution generator, so that training sees what generation will feed it.

Paired images are translated twice, with two draws of noise, and judged as samples (`texture.energy_score`): whatever the basic
image leaves open shall vary as it does among real cells, and not be averaged away. In mode `basic` the cell is veiled further
than in generation, its cloud disguised, and its colours are scored as samples too; plainly compared are the surroundings.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from syntheticcellgan.config import ChainConfig, TranslationTraining
from syntheticcellgan.networks.autoencoder import Autoencoder
from syntheticcellgan.networks.blocks import channels_last
from syntheticcellgan.networks.degradation import REACH, cloud, degrade, disguise, nearness, shrink, veil
from syntheticcellgan.networks.patch_critic import PatchCritic
from syntheticcellgan.networks.translator import Translator
from syntheticcellgan.training.critic_step import LearningCritic
from syntheticcellgan.training.ema import Ema
from syntheticcellgan.training.feed import Feed
from syntheticcellgan.training.grids import save_grid
from syntheticcellgan.training.learning import LearningStage
from syntheticcellgan.training.objectives import get_objective
from syntheticcellgan.training.perceptual import Perceptual
from syntheticcellgan.training.randomness import Chance
from syntheticcellgan.training.texture import energy_score

SCORED = 16  # images per type for the held-out score
SHOWN = 4
LATENT_NOISE = 0.1  # on latents of root mean square 1: about what generated latents are off


class TranslationStage(LearningStage[TranslationTraining]):
    """Implements `loop.Stage`. `low_resolution` is the trained generator; None while only phase one is run."""

    name = "translation"
    looks = 16

    def __init__(
        self,
        fabric: Fabric,
        chain: ChainConfig,
        training: TranslationTraining,
        seed: int,
        feed: Feed,
        held_out: Feed,
        autoencoder: Autoencoder,
        low_resolution: nn.Module | None,
    ) -> None:
        super().__init__(fabric, chain, training, seed, feed, held_out)
        self.autoencoder = channels_last(autoencoder).eval().requires_grad_(False)
        fabric.to_device(self.autoencoder)
        self.low_resolution = low_resolution
        self.scoring = "generated cells" if low_resolution is not None else "copies of held-out cells"
        self.scale = chain.translator.scale
        self.blind = chain.generator.mode == "basic"
        self.objective = get_objective(training.objective, training.penalty)
        translator = channels_last(Translator(chain, seed + 2))
        critic = channels_last(PatchCritic(chain, seed + 3))
        self.ema = Ema(translator, training.ema_kimg * 1000)
        self.perceptual = channels_last(Perceptual())
        fabric.to_device(self.perceptual)
        adam = partial(torch.optim.Adam, lr=training.learning_rate, betas=self.objective.betas)
        self.translator, self.translator_optimizer = fabric.setup(translator, adam(translator.parameters()))
        critic_adam = adam(critic.parameters())
        self.critic = LearningCritic(fabric, critic, critic_adam, self.objective, training.penalty_interval)
        fabric.to_device(self.ema.module)
        self.modules: Mapping[str, nn.Module] = {"translator": translator, "critic": critic, "average": self.ema.module}
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {
            "translator": self.translator_optimizer.optimizer,
            "critic": self.critic.optimizer.optimizer,
        }

    @property
    def paired_images(self) -> int:
        """Images of phase one."""
        return min(int(self.training.paired_kimg * 1000), self.total_images)

    def step(self, index: int) -> dict[str, float]:
        t = self.training
        chance = self._chance(index)
        crop = min(t.crop, self.chain.output_size)
        real, types = self._batch(index, self.batch, crop)
        phase_one = index * self.batch < self.paired_images
        paired = self.batch if phase_one else self.batch - max(round(t.generated * self.batch), 1)
        basic, level = self._basic(real, types, paired, chance)
        degraded = degrade(basic, level, self._noise(basic.shape, chance))
        near = self._near(degraded, chance) if self.blind else None
        if near is not None:
            fields = (self._noise((self.batch, 1, 5, 5), chance) for _ in range(2))
            degraded = veil(degraded, near, disguise(cloud(degraded), *fields))
        noise = self._noise((self.batch, self.chain.translator.noise_channels, *basic.shape[2:]), chance)
        made = self.translator(degraded, types, level, noise)

        judged = self.critic.step(index, real, made, types, chance=chance)
        made_value, made_features = self.critic.with_features(made, types)
        # Every other image is translated twice and scored: that is half of the cost of a step. One in four was worse, also in
        # equal time.
        seen = slice(index % min(paired, 2), paired, 2)
        offset = chance.shared(0, 8, 2)
        again = self.translator(degraded[seen], types[seen], level[seen], self._noise(noise[seen].shape, chance))
        perceptual, texture = self.perceptual.scores(made[seen], again, real[seen], (offset[0], offset[1]))
        parts = {
            "adversarial": t.adversarial_weight * self.objective.generator_loss(judged.real, made_value),
            "perceptual": t.perceptual_weight * perceptual,
            "texture": t.texture_weight * texture,
        }
        distance = shrink(made[:paired], self.scale) - shrink(real[:paired], self.scale)
        if near is not None:
            coarse = (near[seen] * shrink(x, self.scale) for x in (made[seen], again, real[seen]))
            around = ((1 - near[:paired]) * distance).abs().mean()
            parts["pixel"] = t.pixel_weight * (energy_score(*coarse) + around)
        else:
            parts["pixel"] = t.pixel_weight * distance.abs().mean()
            parts["matching"] = t.matching_weight * _feature_distance(made_features, judged.features, paired)
        if paired < self.batch:
            far = 1.0 if near is None else 1 - near[paired:]
            parts["consistency"] = t.consistency_weight * inconsistency(made[paired:], basic[paired:], far)
        losses = judged.losses | {name: part.item() for name, part in parts.items()}
        self.translator_optimizer.zero_grad()
        self.fabric.backward(torch.stack(list(parts.values())).sum())
        self.translator_optimizer.step()
        self.ema.update(self.translator.module, self.batch, (index + 1) * self.batch)
        return losses

    @torch.no_grad()
    def _basic(self, real: Tensor, types: Tensor, paired: int, chance: Chance) -> tuple[Tensor, Tensor]:
        """Basic images and the levels to degrade them to: a third of the paired ones shrunken, the others through the
        autoencoder, and the rest of the batch from the generator.
        """
        basic = shrink(real, self.scale)
        # Squared: half of the levels lie below a quarter, near those of generation.
        level = chance.uniform(self.batch).square()
        shrunken = (paired + 1) // 3
        latent = self.autoencoder.encoder(basic[shrunken:paired])
        copied = self.autoencoder.decoder(latent + LATENT_NOISE * self._noise(latent.shape, chance))
        generated = self._generated(types[paired:], basic.shape[-1], chance) if paired < self.batch else basic[:0]
        level[shrunken:] = self.chain.translator.level
        return torch.cat([basic[:shrunken], copied, generated]), self.fabric.to_device(level)

    def _near(self, degraded: Tensor, chance: Chance) -> Tensor:
        """Where the veil lies: of a reach by chance, so that its size says little about the cell's."""
        reach = self.fabric.to_device(chance.uniform(len(degraded)))
        return nearness(degraded, REACH[0] + (REACH[1] - REACH[0]) * reach)

    @torch.no_grad()
    def _generated(self, types: Tensor, side: int, chance: Chance) -> Tensor:
        """The low-resolution generator's own cells of these types, cropped at random to `side`."""
        assert self.low_resolution is not None, "phase two needs the low-resolution generator"
        noise = self._noise((len(types), self.chain.generator.latent_size), chance)
        images: Tensor = self.low_resolution(noise, types)
        y, x = chance.shared(0, images.shape[-1] - side + 1, 2)
        return images[:, :, y : y + side, x : x + side]

    @torch.no_grad()
    def samples(self, cell_type: int, real: Tensor) -> tuple[Tensor, Tensor]:
        """Basic images as generation would use them, and what the averaged translator makes of them.

        While there is no low-resolution generator yet, the autoencoder's copies of real images stand in for its cells.
        """
        chance = Chance(self.seed, "samples", cell_type)
        types = self.fabric.to_device(torch.full((len(real),), cell_type))
        if self.low_resolution is None:
            latent = self.autoencoder.encoder(shrink(self.fabric.to_device(real), self.scale))
            basic = self.autoencoder.decoder(latent + LATENT_NOISE * self._noise(latent.shape, chance))
        else:
            basic = self._generated(types, self.chain.generator.resolution, chance)
        level = self.fabric.to_device(torch.full((len(real),), self.chain.translator.level))
        basic = degrade(basic, level, self._noise(basic.shape, chance))
        noise = self._noise((len(real), self.chain.translator.noise_channels, *basic.shape[2:]), chance)
        return basic.cpu(), self.ema.module(basic, types, level, noise).cpu()

    def sample_grid(self, path: Path) -> None:
        rows = []
        for t in range(len(self.chain.cell_types)):
            real = self.held_out.first(t, SHOWN)
            basic, made = self.samples(t, real)
            enlarged = F.interpolate(basic, scale_factor=self.scale, mode="nearest")
            rows.append((torch.stack([enlarged, made], dim=1).flatten(0, 1), real))
        save_grid(rows, path)

    def held_out_score(self) -> float:
        return self._score({t: self.samples(t, self.held_out.first(t, SCORED))[1] for t in self._score.real})


def inconsistency(made: Tensor, basic: Tensor, where: Tensor | float) -> Tensor:
    """Distance between the finished cell made small again and the basic one, both coarse.

    Finer than that the basic cell is soft, and edges would be dissolved to match it. where: (N, 1, R, R) weights; in mode
    `basic` the cell, which must be free to become one of the asked type, has none.
    """
    small = shrink(made, made.shape[-1] // basic.shape[-1])
    return F.avg_pool2d(where * (small - basic), 4).abs().mean()


def _feature_distance(made: list[Tensor], real: list[Tensor], paired: int) -> Tensor:
    """Feature matching (Wang et al. 2018) over the paired part of the batch, each scale relative to its size.

    The coarser half of the scales alone: a texture that is sampled differs from the real one at every pixel, and to match
    it there would smooth it away.
    """
    distances = []
    for a, b in list(zip(made, real, strict=True))[len(made) // 2 :]:
        distances.append((a[:paired] - b[:paired]).abs().mean() / (b[:paired].abs().mean() + 1e-3))
    return torch.stack(distances).mean()
