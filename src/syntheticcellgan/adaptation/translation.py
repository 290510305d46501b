"""The translator of one further type: its own few parameters learn from crops of the few images, by the losses of training."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from syntheticcellgan.adaptation.game import own_parameters
from syntheticcellgan.config import ChainConfig, TranslationTraining
from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.networks.autoencoder import Autoencoder
from syntheticcellgan.pixels import to_tensor
from syntheticcellgan.training.augment import symmetry
from syntheticcellgan.training.feed import Feed
from syntheticcellgan.training.grids import save_grid
from syntheticcellgan.training.images import FolderImages
from syntheticcellgan.training.randomness import ALONE, Process, numpy_generator
from syntheticcellgan.training.translation import SHOWN, TranslationStage


class FewImages(Feed):
    """A feed of one type, whose images stand in memory: (N, S, S, 3) uint8."""

    def __init__(self, manifest: Manifest, images: np.ndarray, chain: ChainConfig, cell_type: str, seed: int) -> None:
        super().__init__(FolderImages(manifest), chain.cell_types, chain.output_size, seed, None)
        self.pixels, self.place = images, chain.cell_types.index(cell_type)

    def image(self, index: int) -> np.ndarray:
        return self.pixels[index]

    def batch(
        self, stage: str, step: int, count: int, process: Process = ALONE, crop: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `Feed.batch`, of the one type."""
        rng = numpy_generator(self.seed, "few", stage, step, process.rank)
        chosen = []
        for _ in range(count):
            image = symmetry(self.pixels[rng.integers(len(self.pixels))], int(rng.integers(8)))
            if crop is not None and crop < self.size:
                y, x = (8 * rng.integers(0, (self.size - crop) // 8 + 1, size=2)).tolist()
                image = image[y : y + crop, x : x + crop]
            chosen.append(image)
        return to_tensor(np.stack(chosen)), torch.full((count,), self.place)


class AdaptedTranslation(TranslationStage):
    """Implements `loop.Stage`: `TranslationStage` of which only the type's own parameters learn, against the bundle's critic."""

    def __init__(
        self,
        fabric: Fabric,
        chain: ChainConfig,
        training: TranslationTraining,
        seed: int,
        feed: FewImages,
        held_out: FewImages,
        autoencoder: Autoencoder,
        low_resolution: nn.Module,
    ) -> None:
        super().__init__(fabric, chain, training, seed, feed, held_out, autoencoder, low_resolution)
        self.place = feed.place
        self.samples_every = max(self.total_images // 4, self.batch)
        adam = partial(torch.optim.Adam, lr=training.learning_rate, betas=self.objective.betas)
        own = own_parameters(self.modules["translator"])
        self.translator_optimizer = fabric.setup_optimizers(adam(own))
        self.optimizers = dict(self.optimizers) | {"translator": self.translator_optimizer.optimizer}

    def set_learning_rate(self, progress: float) -> float:
        """The critic, which is whole, learns at a fifth of the rate of the few parameters."""
        rate = super().set_learning_rate(progress)
        for group in self.optimizers["critic"].param_groups:
            group["lr"] = rate / 5
        return rate

    def sample_grid(self, path: Path) -> None:
        real = self.feed.first(self.place, SHOWN)
        save_grid([(self.samples(self.place, real)[1], real)], path)
