"""Before the first game: an autoencoder learns to draw basic cell images from few numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import nn

from syntheticcellgan.config import AutoencoderTraining, ChainConfig
from syntheticcellgan.networks.autoencoder import FOLD, Autoencoder
from syntheticcellgan.networks.blocks import channels_last
from syntheticcellgan.training.ema import Ema
from syntheticcellgan.training.feed import Feed
from syntheticcellgan.training.grids import save_grid
from syntheticcellgan.training.loop import set_rate
from syntheticcellgan.training.perceptual import Perceptual
from syntheticcellgan.training.randomness import torch_generator

SHOWN = 6


class AutoencoderStage:
    """Implements `loop.Stage`."""

    name = "autoencoder"
    scoring = "copies of held-out cells"

    def __init__(
        self, fabric: Fabric, chain: ChainConfig, training: AutoencoderTraining, seed: int, feed: Feed, held_out: Feed
    ) -> None:
        self.fabric, self.chain, self.training, self.seed = fabric, chain, training, seed
        self.feed, self.held_out = feed, held_out
        self.batch = training.batch
        self.total_images = int(training.kimg * 1000)
        self.samples_every = max(self.total_images // 8, self.batch)
        network = channels_last(Autoencoder(chain, seed + 4))
        self.ema = Ema(network, training.ema_kimg * 1000)
        self.perceptual = fabric.to_device(channels_last(Perceptual()))
        adam = torch.optim.Adam(network.parameters(), lr=training.learning_rate, betas=(0.9, 0.99))
        self.network, self.optimizer = fabric.setup(network, adam)
        fabric.to_device(self.ema.module)
        self.modules: Mapping[str, nn.Module] = {"autoencoder": network, "average": self.ema.module}
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {"autoencoder": self.optimizer.optimizer}

    def set_learning_rate(self, progress: float) -> float:
        return set_rate(self.optimizers, self.training.learning_rate, progress, self.training.decay_from)

    def step(self, index: int) -> dict[str, float]:
        rank = self.fabric.global_rank
        chance = torch_generator(self.seed, self.name, index, rank)
        real, _ = self.feed.batch(self.name, index, self.batch, rank)
        real = self.fabric.to_device(real)
        made = self.network(real, self._noise(len(real), chance))
        pixel = (made - real).abs().mean()
        perceptual = self.perceptual(made, real)
        self.optimizer.zero_grad()
        self.fabric.backward(pixel + self.training.perceptual_weight * perceptual)
        self.optimizer.step()
        self.ema.update(self.network.module, self.batch, (index + 1) * self.batch)
        return {"pixel": pixel.item(), "perceptual": perceptual.item()}

    def _noise(self, count: int, chance: torch.Generator) -> torch.Tensor:
        side = self.chain.generator.resolution // FOLD
        noise = torch.randn(count, self.chain.generator.latent_channels, side, side, generator=chance)
        on_device: torch.Tensor = self.fabric.to_device(self.training.noise * noise)
        return on_device

    @torch.no_grad()
    def sample_grid(self, path: Path) -> None:
        rows = []
        for t in range(len(self.chain.cell_types)):
            real = self.held_out.first(t, SHOWN)
            noise = self._noise(len(real), torch_generator(self.seed, "samples", t))
            rows.append((self.ema.module(self.fabric.to_device(real), noise).cpu(), real))
        save_grid(rows, path)

    @torch.no_grad()
    def held_out_score(self) -> float:
        """Mean absolute error on held-out images; NaN where nothing was held out."""
        errors = []
        for t in range(len(self.chain.cell_types)):
            for real in self.held_out.first(t).split(32):
                real = self.fabric.to_device(real)
                made = self.ema.module(real, self._noise(len(real), torch_generator(self.seed, "held-out", t)))
                errors.append(F.l1_loss(made, real).item())
        return sum(errors) / len(errors) if errors else float("nan")
