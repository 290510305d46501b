"""A critic's step against the same step worked out by hand; what rests, and what it leaves untouched."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from syntheticcellgan.training.critic_step import LearningCritic
from syntheticcellgan.training.hardware import Hardware
from syntheticcellgan.training.objectives import get_objective
from syntheticcellgan.training.randomness import Chance
from syntheticcellgan.training.run import make_fabric


class Weighing(nn.Module):
    """D(x) = w · x; a second parameter never learns. As a patch critic it gives features, too."""

    def __init__(self, patches: bool = False) -> None:
        super().__init__()
        self.weight, self.fixed = nn.Parameter(torch.tensor([0.5, -1.0])), nn.Parameter(torch.ones(1), False)
        self.patches = patches

    def forward(self, images: Tensor, strength: float) -> Tensor | tuple[Tensor, list[Tensor]]:
        values = strength * self.fixed * images.flatten(1) @ self.weight
        return (values, [images * self.weight.view(2, 1, 1)]) if self.patches else values


def learning(objective: str = "relativistic", interval: int = 3, patches: bool = False) -> LearningCritic:
    critic = Weighing(patches)
    fabric = make_fabric(Hardware("cpu", "32-true", "test"))
    sgd = torch.optim.SGD([critic.weight], lr=0.1)
    return LearningCritic(fabric, critic, sgd, get_objective(objective, 0.7), interval)


REAL, FAKE = torch.tensor([[1.0, 2.0], [0.0, 1.0]]), torch.tensor([[-1.0, 0.5], [2.0, 2.0]])
IMAGES = REAL.view(2, 2, 1, 1), FAKE.view(2, 2, 1, 1)


def by_hand(penalised: bool, interval: int = 3) -> Tensor:
    """w − 0.1 · gradient; R1 and R2 of D(x) = w · x are both ‖w‖², so that the penalty's gradient is 2 γ w."""
    w = torch.tensor([0.5, -1.0])
    pull = torch.sigmoid((FAKE - REAL) @ w)[:, None] * (FAKE - REAL)
    gradient = pull.mean(dim=0) + (interval * 2 * 0.7 * w if penalised else 0)
    return w - 0.1 * gradient


@pytest.mark.parametrize("patches", [False, True])
@pytest.mark.parametrize(("index", "penalised"), [(0, True), (1, False), (3, True)])
def test_the_penalty_comes_at_its_interval_and_weighs_as_much_more(index, penalised, patches):
    critic = learning(patches=patches)
    w = torch.tensor([0.5, -1.0])
    step = critic.step(index, *IMAGES, 1.0)
    assert torch.allclose(critic.network.module.weight, by_hand(penalised))
    assert step.losses["critic"] == pytest.approx(torch.log1p(torch.exp((FAKE - REAL) @ w)).mean().item())
    assert step.losses.get("penalty") == (pytest.approx(0.7 * 1.25) if penalised else None)
    assert torch.allclose(torch.stack([step.real, step.fake]), torch.stack([REAL @ w, FAKE @ w]))  # of before the step
    assert len(step.features) == patches


def test_a_penalty_of_every_step_knows_no_interval_and_mixes_by_chance():
    critic = learning("wgan-gp")
    step = critic.step(1, *IMAGES, 1.0, chance=Chance(0))
    assert step.losses["penalty"] == pytest.approx(10 * (1.25**0.5 - 1) ** 2)


def test_it_rests_after_its_step_and_the_other_player_gets_no_gradient_from_it():
    critic = learning()
    made = IMAGES[1].clone().requires_grad_()
    step = critic.step(0, IMAGES[0], made, 1.0)
    assert made.grad is None
    assert not any(x.requires_grad for x in (step.real, step.fake, *critic.network.module.parameters()))
    critic(made, 1.0).sum().backward()
    assert made.grad is not None
    critic.step(1, IMAGES[0], made, 1.0)  # and again
    assert not critic.network.module.fixed.requires_grad
