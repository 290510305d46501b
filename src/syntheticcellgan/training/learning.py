"""What the stages of a run have in common: what they read, how long they learn, how their learning rate falls."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Generic, TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor

from syntheticcellgan.config import (
    AutoencoderTraining,
    ChainConfig,
    LowResolutionTraining,
    RefinementTraining,
    TranslationTraining,
)
from syntheticcellgan.training.feed import Feed
from syntheticcellgan.training.loop import set_rate
from syntheticcellgan.training.randomness import Chance, Process
from syntheticcellgan.training.selection import HeldOutScore

T = TypeVar("T", AutoencoderTraining, LowResolutionTraining, TranslationTraining, RefinementTraining)


class LearningStage(Generic[T]):
    """The head of those implementations of `loop.Stage` that learn from a `Feed`; `looks` is how often in a run samples are
    looked at.
    """

    name: str
    looks = 8
    optimizers: Mapping[str, torch.optim.Optimizer]

    def __init__(self, fabric: Fabric, chain: ChainConfig, training: T, seed: int, feed: Feed, held_out: Feed) -> None:
        self.fabric, self.chain, self.seed = fabric, chain, seed
        self.training: T = training
        self.feed, self.held_out = feed, held_out
        self.process = Process(fabric.global_rank, fabric.world_size)
        self.batch = training.batch
        self.total_images = int(training.kimg * 1000)
        self.samples_every = max(self.total_images // self.looks, self.batch)

    def set_learning_rate(self, progress: float) -> float:
        return set_rate(self.optimizers, self.training.learning_rate, progress, self.training.decay_from)

    def _chance(self, index: int) -> Chance:
        """The draws of step number `index`."""
        return Chance(self.seed, self.name, index, process=self.process)

    def _batch(self, index: int, count: int, crop: int | None = None) -> tuple[Tensor, Tensor]:
        """Real images of step number `index`, (count, 3, S, S), and their types, on the device."""
        images, types = self.feed.batch(self.name, index, count, self.process, crop)
        return self.fabric.to_device(images), self.fabric.to_device(types)

    def _noise(self, shape: tuple[int, ...] | torch.Size, chance: Chance) -> Tensor:
        """Standard normal, on the device."""
        noise: Tensor = self.fabric.to_device(chance.normal(*shape))
        return noise

    @cached_property
    def _score(self) -> HeldOutScore:
        """Made when it is first asked for: a stage that only lends its networks needs none."""
        return HeldOutScore({t: self._to_be_met(self.held_out.first(t)) for t in range(len(self.chain.cell_types))})

    def _to_be_met(self, images: Tensor) -> Tensor:
        """Held-out images (N, 3, S, S) in the form in which they are compared with what the stage makes."""
        return images
