"""The game for one further type: its own few parameters of the low-resolution generator against the bundle's critic.

Only what belongs to the type learns in the generator (its row of the embedding and its adapters); in the critic all but
the first layers (FreezeD, Mo et al. 2020). How much the critic's view is shifted and hidden adapts to how much better it
knows the training images than the held-out ones (r_v of Karras et al. 2020, ADA, eq. 1). A state whose cells come too
close to training images is never kept as the best, and the augmentation rises.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from syntheticcellgan.adaptation.guard import Yardstick
from syntheticcellgan.config import ChainConfig, GameAdaptation
from syntheticcellgan.networks.blocks import channels_last
from syntheticcellgan.networks.critic import Critic
from syntheticcellgan.networks.generator import LowResolutionGenerator
from syntheticcellgan.pixels import to_tensor, to_uint8
from syntheticcellgan.training.augment import shift_and_hide
from syntheticcellgan.training.critic_step import LearningCritic
from syntheticcellgan.training.ema import Ema
from syntheticcellgan.training.grids import save_grid
from syntheticcellgan.training.loop import set_rate
from syntheticcellgan.training.objectives import Relativistic
from syntheticcellgan.training.randomness import Chance
from syntheticcellgan.training.selection import HeldOutScore

SHOWN, REAL_SHOWN = 12, 4
TARGET, PACE, LIMITS = 0.3, 0.02, (0.3, 0.9)
"""r_v that is aimed at, and how far the augmentation moves per look, within which bounds."""
LOOK_EVERY = 8  # steps
CAUTION = 0.15  # added to the augmentation where cells come too close to training images
SMALL = 40  # held-out copies from which the score is taken at most


class Caution(nn.Module):
    """How much the critic's view is augmented now: part of the state, so that a resumed run goes on with it."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.augmentation: Tensor
        self.register_buffer("augmentation", torch.tensor(start, dtype=torch.float64))

    def move(self, by: float) -> None:
        self.augmentation.copy_((self.augmentation + by).clamp(*LIMITS))


class AdaptedGame:
    """Implements `loop.Stage`. real, held_out: latents of the turned images; their basic copies are kept for the checks."""

    name = "low-resolution"
    scoring = "cells of the new type against the autoencoder's copies of held-out ones"

    def __init__(
        self,
        fabric: Fabric,
        chain: ChainConfig,
        training: GameAdaptation,
        seed: int,
        cell_type: str,
        real: Tensor,
        held_out: Tensor,
        copies: tuple[np.ndarray, np.ndarray],
        checked: int,
        say: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.fabric, self.chain, self.training, self.seed, self.say = fabric, chain, training, seed, say
        self.place = chain.cell_types.index(cell_type)
        self.real, self.held_out, self.copies, self.checked = real, held_out, copies, checked
        self.batch = training.batch
        self.total_images = int(training.kimg * 1000)
        self.samples_every = max(self.total_images // 8, self.batch)
        self.objective = Relativistic(training.penalty)
        generator = channels_last(LowResolutionGenerator(chain, seed))
        critic = channels_last(Critic(chain, seed + 1))
        self.ema = Ema(generator, training.ema_kimg * 1000)
        own = own_parameters(generator)
        first = critic.body[0]
        first.requires_grad_(False)
        learnt = [p for p in critic.parameters() if p.requires_grad]
        betas = self.objective.betas
        self.generator, self.generator_optimizer = fabric.setup(
            generator, torch.optim.Adam(own, lr=training.learning_rate, betas=betas)
        )
        critic_adam = torch.optim.Adam(learnt, lr=training.critic_learning_rate, betas=betas)
        self.critic = LearningCritic(fabric, critic, critic_adam, self.objective, training.penalty_interval)
        fabric.to_device(self.ema.module)
        self.caution = Caution(training.augmentation)
        self.modules: Mapping[str, nn.Module] = {
            "generator": generator, "critic": critic, "average": self.ema.module, "caution": self.caution,
        }  # fmt: skip
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {
            "generator": self.generator_optimizer.optimizer,
            "critic": self.critic.optimizer.optimizer,
        }

    def set_learning_rate(self, progress: float) -> float:
        t = self.training
        rate = partial(set_rate, progress=progress, decay_from=t.decay_from)
        rate({"critic": self.optimizers["critic"]}, t.critic_learning_rate)
        return rate({"generator": self.optimizers["generator"]}, t.learning_rate)

    def step(self, index: int) -> dict[str, float]:
        chance = Chance(self.seed, "adapted-game", index)
        types = self._types(self.batch)
        noise = self._to_device(chance.normal(self.batch, self.chain.generator.latent_size))
        shown = self._veiled(self._drawn(self.real, chance), chance)
        fake = self._veiled(self.generator(noise, types, decode=False), chance)
        judged = self.critic.step(index, shown, fake, types)
        losses = judged.losses | {"augmentation": self.caution.augmentation.item()}
        if index % LOOK_EVERY == 0 and len(self.held_out):
            self._look(judged.real.mean().item(), judged.fake.mean().item(), types, chance)

        loss = self.objective.generator_loss(judged.real, self.critic(fake, types))
        losses["generator"] = loss.item()
        self.generator_optimizer.zero_grad()
        self.fabric.backward(loss)
        self.generator_optimizer.step()
        self.ema.update(self.generator.module, self.batch, (index + 1) * self.batch)
        return losses

    @torch.no_grad()
    def _look(self, real: float, fake: float, types: Tensor, chance: Chance) -> None:
        """Does the critic know the training images by heart? Then it gets less to see."""
        other = self.critic(self._veiled(self._drawn(self.held_out, chance), chance), types).mean().item()
        known = (real - other) / max(abs(real - fake), 1e-6)
        self.caution.move(PACE * float(np.sign(known - TARGET)))

    def _drawn(self, latents: Tensor, chance: Chance) -> Tensor:
        return self._to_device(latents[chance.integers(0, len(latents), self.batch)])

    def _types(self, count: int) -> Tensor:
        return self._to_device(torch.full((count,), self.place))

    def _to_device(self, x: Tensor) -> Tensor:
        moved: Tensor = self.fabric.to_device(x)
        return moved

    def _veiled(self, latent: Tensor, chance: Chance) -> Tensor:
        latent = shift_and_hide(latent, self.caution.augmentation.item(), chance)
        return latent + self.training.noise * self._to_device(chance.normal(*latent.shape))

    @torch.no_grad()
    def samples(self, count: int) -> Tensor:
        """The averaged generator's basic cells of fixed noise: (count, 3, R, R) on the CPU."""
        chance = Chance(self.seed, "samples")
        noise = chance.normal(count, self.chain.generator.latent_size)
        parts = [self.ema.module(self._to_device(part), self._types(len(part))).cpu() for part in noise.split(32)]
        return torch.cat(parts)

    def sample_grid(self, path: Path) -> None:
        real = to_tensor(self.copies[0][:REAL_SHOWN])
        save_grid([(self.samples(SHOWN), real)], path)

    def held_out_score(self) -> float:
        """Kernel distance to the copies of the held-out images; infinite while the cells are too close to training images."""
        made = self.samples(self.checked)
        closeness = self._yardstick.judge(to_uint8(made))
        if closeness.too_close:
            self.caution.move(CAUTION)
            self.say(f"{closeness.sentence} This state is not kept; the augmentation rises.")
            return math.inf
        return self._score({self.place: made})

    def distance(self) -> float:
        """The same distance at this state, whatever the guard says."""
        return self._score({self.place: self.samples(self.checked)})

    @cached_property
    def _score(self) -> HeldOutScore:
        return HeldOutScore({self.place: to_tensor(self.copies[1][:SMALL])})

    @cached_property
    def _yardstick(self) -> Yardstick:
        return Yardstick.of(*self.copies)


def own_parameters(network: nn.Module) -> list[nn.Parameter]:
    """What learns when a further type does: the embedding, of which only its row gets a gradient, and the adapters."""
    own = []
    for name, parameter in network.named_parameters():
        mine = name == "types.weight" or "adapter." in name
        parameter.requires_grad_(mine)
        if mine:
            own.append(parameter)
    return own
