"""Before the first game: an autoencoder learns to draw basic cell images from few numbers.

What it cannot copy, no cell of the chain can show: nuclear outline, lobes and granules must pass through it. So the
middle of the image, where the white cell lies, weighs more than the red cells around it, and a patch critic keeps the
copies sharp (Esser et al. 2021, section 3.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from syntheticcellgan.config import AutoencoderTraining, ChainConfig
from syntheticcellgan.networks.autoencoder import Autoencoder
from syntheticcellgan.networks.blocks import channels_last
from syntheticcellgan.networks.latents import FOLD
from syntheticcellgan.networks.patch_critic import PatchCritic
from syntheticcellgan.training.critic_step import LearningCritic
from syntheticcellgan.training.ema import Ema
from syntheticcellgan.training.feed import Feed
from syntheticcellgan.training.grids import save_grid
from syntheticcellgan.training.learning import LearningStage
from syntheticcellgan.training.objectives import Relativistic
from syntheticcellgan.training.perceptual import Perceptual
from syntheticcellgan.training.randomness import Chance

SHOWN = 6
SPREAD = 0.23  # of the side: standard deviation of the weight around the middle


class AutoencoderStage(LearningStage[AutoencoderTraining]):
    """Implements `loop.Stage`."""

    name = "autoencoder"
    scoring = "copies of held-out cells"

    def __init__(
        self, fabric: Fabric, chain: ChainConfig, training: AutoencoderTraining, seed: int, feed: Feed, held_out: Feed
    ) -> None:
        super().__init__(fabric, chain, training, seed, feed, held_out)
        network = channels_last(Autoencoder(chain, seed + 4))
        critic = channels_last(PatchCritic(chain, seed + 6))
        self.objective = Relativistic(training.penalty)
        self.ema = Ema(network, training.ema_kimg * 1000)
        self.perceptual = fabric.to_device(channels_last(Perceptual()))
        self.weight = fabric.to_device(centre_weight(chain.generator.resolution, training.centre))
        adam = partial(torch.optim.Adam, lr=training.learning_rate)
        self.network, self.optimizer = fabric.setup(network, adam(network.parameters(), betas=(0.9, 0.99)))
        critic_adam = adam(critic.parameters(), betas=self.objective.betas)
        self.critic = LearningCritic(fabric, critic, critic_adam, self.objective, training.penalty_interval)
        fabric.to_device(self.ema.module)
        self.modules: Mapping[str, nn.Module] = {"autoencoder": network, "critic": critic, "average": self.ema.module}
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {
            "autoencoder": self.optimizer.optimizer,
            "critic": self.critic.optimizer.optimizer,
        }

    def step(self, index: int) -> dict[str, float]:
        t = self.training
        chance = self._chance(index)
        real, types = self._batch(index, self.batch)
        noise = self._latent_noise(len(real), chance)
        made = self.network(real, noise)
        parts = {
            "pixel": self._distance(made, real),
            "perceptual": t.perceptual_weight * self.perceptual(made, real),
        }
        losses: dict[str, float] = {}
        if t.adversarial_weight:
            judged = self.critic.step(index, real, made, types)
            losses = judged.losses
            value = self.critic(made, types)
            parts["adversarial"] = t.adversarial_weight * self.objective.generator_loss(judged.real, value)
        losses |= {name: part.item() for name, part in parts.items()}
        self.optimizer.zero_grad()
        self.fabric.backward(torch.stack(list(parts.values())).sum())
        self.optimizer.step()
        self.ema.update(self.network.module, self.batch, (index + 1) * self.batch)
        return losses

    def _distance(self, made: Tensor, real: Tensor) -> Tensor:
        """Weighted mean absolute error of two sets of images, (N, 3, R, R) → scalar."""
        return ((made - real).abs() * self.weight).mean()

    def _latent_noise(self, count: int, chance: Chance) -> Tensor:
        side = self.chain.generator.resolution // FOLD
        return self.training.noise * self._noise((count, self.chain.generator.latent_channels, side, side), chance)

    @torch.no_grad()
    def sample_grid(self, path: Path) -> None:
        rows = []
        for t in range(len(self.chain.cell_types)):
            real = self.held_out.first(t, SHOWN)
            noise = self._latent_noise(len(real), Chance(self.seed, "samples", t))
            rows.append((self.ema.module(self.fabric.to_device(real), noise).cpu(), real))
        save_grid(rows, path)

    @torch.no_grad()
    def held_out_score(self) -> float:
        """Weighted mean absolute error on held-out images; NaN where nothing was held out."""
        errors = []
        for t in range(len(self.chain.cell_types)):
            for real in self.held_out.first(t).split(32):
                real = self.fabric.to_device(real)
                made = self.ema.module(real, self._latent_noise(len(real), Chance(self.seed, "held-out", t)))
                errors.append(self._distance(made, real).item())
        return sum(errors) / len(errors) if errors else float("nan")


def centre_weight(side: int, centre: float) -> Tensor:
    """(side, side), mean 1: a hill in the middle `centre` times above the plain around it."""
    offset = (torch.arange(side) - (side - 1) / 2) / (SPREAD * side)
    hill = torch.exp(-0.5 * (offset[:, None].square() + offset[None, :].square()))
    weight = 1 + centre * hill
    return weight / weight.mean()
