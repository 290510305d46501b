"""Stage one: the low-resolution generator against its critic, in the latent space of the autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from syntheticcellgan.config import ChainConfig, LowResolutionTraining
from syntheticcellgan.networks.autoencoder import Autoencoder
from syntheticcellgan.networks.blocks import channels_last
from syntheticcellgan.networks.critic import Critic
from syntheticcellgan.networks.generator import LowResolutionGenerator
from syntheticcellgan.training.augment import shift_and_hide
from syntheticcellgan.training.critic_step import LearningCritic
from syntheticcellgan.training.ema import Ema
from syntheticcellgan.training.feed import Feed
from syntheticcellgan.training.grids import save_grid
from syntheticcellgan.training.learning import LearningStage
from syntheticcellgan.training.objectives import get_objective
from syntheticcellgan.training.randomness import Chance

SCORED = 32  # synthetic images per type for the held-out score
SHOWN, REAL_SHOWN = 12, 4


class LowResolutionStage(LearningStage[LowResolutionTraining]):
    """Implements `loop.Stage`."""

    name = "low-resolution"
    looks = 16
    scoring = "generated cells against the autoencoder's copies of held-out ones"

    def __init__(
        self,
        fabric: Fabric,
        chain: ChainConfig,
        training: LowResolutionTraining,
        seed: int,
        feed: Feed,
        held_out: Feed,
        autoencoder: Autoencoder,
    ) -> None:
        super().__init__(fabric, chain, training, seed, feed, held_out)
        self.objective = get_objective(training.objective, training.penalty)
        generator = channels_last(LowResolutionGenerator(chain, seed))
        generator.decoder.load_state_dict(autoencoder.decoder.state_dict())
        generator.decoder.requires_grad_(False)
        self.encoder = fabric.to_device(channels_last(autoencoder.encoder).requires_grad_(False))
        critic = channels_last(Critic(chain, seed + 1))
        self.ema = Ema(generator, training.ema_kimg * 1000)
        learnt = [p for p in generator.parameters() if p.requires_grad]
        adam = partial(torch.optim.Adam, lr=training.learning_rate, betas=self.objective.betas)
        self.generator, self.generator_optimizer = fabric.setup(generator, adam(learnt))
        critic_adam = adam(critic.parameters())
        self.critic = LearningCritic(fabric, critic, critic_adam, self.objective, training.penalty_interval)
        fabric.to_device(self.ema.module)
        self.modules: Mapping[str, nn.Module] = {"generator": generator, "critic": critic, "average": self.ema.module}
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {
            "generator": self.generator_optimizer.optimizer,
            "critic": self.critic.optimizer.optimizer,
        }

    def step(self, index: int) -> dict[str, float]:
        chance = self._chance(index)
        real, types = self._batch(index, self.batch)
        fade = self.training.label_fade_kimg * 1000
        strength = min(index * self.batch / fade, 1.0) if fade else 1.0

        # The critic moves at every step, the generator at every `critic_steps`-th (n_critic of Gulrajani et al.).
        noise = self._noise((self.batch, self.chain.generator.latent_size), chance)
        generator_moves = (index + 1) % self.objective.critic_steps == 0
        with torch.no_grad():
            shown = self._veiled(self.encoder(real), chance)
        with torch.set_grad_enabled(generator_moves):
            fake = self._veiled(self.generator(noise, types, strength, decode=False), chance)
        judged = self.critic.step(index, shown, fake, types, strength, chance=chance)
        losses = judged.losses

        if generator_moves:
            loss = self.objective.generator_loss(judged.real, self.critic(fake, types, strength))
            losses["generator"] = loss.item()
            self.generator_optimizer.zero_grad()
            self.fabric.backward(loss)
            self.generator_optimizer.step()
            self.ema.update(self.generator.module, self.batch * self.objective.critic_steps, (index + 1) * self.batch)
        return losses

    def _veiled(self, latent: Tensor, chance: Chance) -> Tensor:
        """Latents as the critic sees them: shifted, partly hidden, and with the little noise that the decoder was taught
        to forgive; it smooths both players' distributions.
        """
        latent = shift_and_hide(latent, self.training.augmentation, chance)
        return latent + self.training.noise * self._noise(latent.shape, chance)

    @torch.no_grad()
    def samples(self, cell_type: int, count: int) -> Tensor:
        """The averaged generator's images of fixed noise: (count, 3, R, R) on the CPU."""
        chance = Chance(self.seed, "samples", cell_type)
        noise = self._noise((count, self.chain.generator.latent_size), chance)
        types = self.fabric.to_device(torch.full((count,), cell_type))
        return self.ema.module(noise, types).cpu()

    def sample_grid(self, path: Path) -> None:
        rows = []
        for t in range(len(self.chain.cell_types)):
            rows.append((self.samples(t, SHOWN), self.held_out.first(t, REAL_SHOWN)))
        save_grid(rows, path)

    @torch.no_grad()
    def _to_be_met(self, images: Tensor) -> Tensor:
        """Copies, because the decoder's blur would otherwise outweigh what the game is about."""
        decoder = self.ema.module.decoder
        parts = [decoder(self.encoder(self.fabric.to_device(part))).cpu() for part in images.split(32) if len(part)]
        return torch.cat(parts) if parts else images

    def held_out_score(self) -> float:
        return self._score({t: self.samples(t, SCORED) for t in self._score.real})
