"""The critic's step, the same in every game: learn to tell real from synthetic images, then rest while the other player moves."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from syntheticcellgan.training.objectives import Objective
from syntheticcellgan.training.randomness import Chance


class CriticStep(NamedTuple):
    """What a step leaves to the other player: all of before the step, so that one pass through the critic is saved.

    real, fake: values, without gradient; features: of the real images, where the critic gives them; losses: by name.
    """

    real: Tensor
    fake: Tensor
    features: list[Tensor]
    losses: dict[str, float]


class LearningCritic:
    """A critic with its optimizer: calling it judges images, `step` teaches it; between steps its parameters rest.

    interval: steps between two penalties of an objective that is content with lazy ones.
    """

    def __init__(
        self, fabric: Fabric, critic: nn.Module, optimizer: torch.optim.Optimizer, objective: Objective, interval: int
    ) -> None:
        self.learnt = [p for p in critic.parameters() if p.requires_grad]
        self.fabric, self.objective = fabric, objective
        self.interval = 1 if objective.every_step_penalty else interval
        self.network, self.optimizer = fabric.setup(critic, optimizer)

    def __call__(self, images: Tensor, *conditions: Any) -> Tensor:
        """Values of the images: (N,), or of a patch critic (N, H, W)."""
        return _values(self.network(images, *conditions))

    def with_features(self, images: Tensor, *conditions: Any) -> tuple[Tensor, list[Tensor]]:
        """A patch critic's values and its features of each scale."""
        judged: tuple[Tensor, list[Tensor]] = self.network(images, *conditions)
        return judged

    def step(
        self, index: int, real: Tensor, fake: Tensor, *conditions: Any, chance: Chance | None = None
    ) -> CriticStep:
        """Learn from one batch, both (N, C, H, W) as the critic is to see them; at every `interval`-th `index` with a penalty.

        conditions: what else the critic is told (types; strength of the type).
        chance: mixes real and synthetic images for a penalty on lines between them; None for one that is taken of the images.
        """
        self._rest(False)
        fake = fake.detach()
        judged = self.network(real, *conditions)
        real_value, fake_value = _values(judged), self(fake, *conditions)
        loss = self.objective.critic_loss(real_value, fake_value)
        losses = {"critic": loss.item()}
        if index % self.interval == 0:
            mix = torch.empty(0) if chance is None else self.fabric.to_device(chance.uniform(len(real), 1, 1, 1))
            bare = self.network.module  # see `Objective.penalty`
            penalty = self.objective.penalty(lambda x: _values(bare(x, *conditions)), real, fake, mix)
            losses["penalty"] = penalty.item()
            loss = loss + self.interval * penalty
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        self.optimizer.step()
        self._rest(True)
        features = [] if isinstance(judged, Tensor) else [x.detach() for x in judged[1]]
        return CriticStep(real_value.detach(), fake_value.detach(), features, losses)

    def _rest(self, rest: bool) -> None:
        for parameter in self.learnt:
            parameter.requires_grad_(not rest)


def _values(judged: Any) -> Tensor:
    values: Tensor = judged if isinstance(judged, Tensor) else judged[0]
    return values
