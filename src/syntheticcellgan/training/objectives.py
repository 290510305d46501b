"""The games that generator and critic play, behind one small interface.

`relativistic` is the default: the relativistic pairing loss with zero-centred gradient penalties on real and synthetic
images (Jolicoeur-Martineau 2018; R1 + R2 as in Huang et al. 2024, eq. 5). It is no Wasserstein distance.
`wgan-gp` is the faithful reference (Gulrajani et al. 2017, algorithm 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

CriticFunction = Callable[[Tensor], Tensor]


class Objective(Protocol):
    """Losses over critic values of any shape (one per image, or one per patch)."""

    critic_steps: int
    betas: tuple[float, float]
    every_step_penalty: bool

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Values of real and synthetic images, same shape → scalar that the critic minimises."""

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The same values → scalar that the generator minimises; `real` carries no gradient."""

    def penalty(self, critic: CriticFunction, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
        """Gradient penalty, scalar; images (N, 3, H, W), mix (N, 1, 1, 1) uniform in [0, 1].

        `critic` is the bare module, not what Fabric wraps: it is differentiated twice, in float32, whatever the precision of
        the rest, and Fabric forbids any backward pass but its own through a module of mixed precision.
        """


class Relativistic:
    """softplus(−(D(x) − D(G(z)))) with γ/2 (R1 + R2)."""

    critic_steps = 1
    betas = (0.0, 0.99)
    every_step_penalty = False  # applied lazily, scaled by the interval (Karras et al. 2020, appendix B)

    def __init__(self, gamma: float) -> None:
        self.gamma = gamma

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(fake - real).mean()

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(real - fake).mean()

    def penalty(self, critic: CriticFunction, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
        total = torch.zeros((), device=real.device)
        for images in (real, fake):
            images = images.detach().requires_grad_()
            total = total + self.gamma / 2 * _squared_gradient(critic(images), images).mean()
        return total


class WassersteinGradientPenalty:
    """Wasserstein loss, five critic steps, λ = 10 on lines between real and synthetic images."""

    critic_steps = 5
    betas = (0.0, 0.9)
    every_step_penalty = True
    weight = 10.0

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return -fake.mean()

    def penalty(self, critic: CriticFunction, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
        between = (mix * real + (1 - mix) * fake).detach().requires_grad_()
        norm = (_squared_gradient(critic(between), between) + 1e-12).sqrt()
        return self.weight * (norm - 1).square().mean()


def _squared_gradient(values: Tensor, images: Tensor) -> Tensor:
    """‖∂value/∂image‖² per image: values (N, …), images (N, 3, H, W) → (N,). A patch critic counts by its mean value."""
    (gradient,) = torch.autograd.grad(
        values.flatten(1).mean(dim=1).sum() if values.ndim > 1 else values.sum(), images, create_graph=True
    )
    return gradient.square().flatten(1).sum(dim=1)


def get_objective(name: str, gamma: float) -> Objective:
    """`relativistic` or `wgan-gp`; γ is the weight of R1 + R2."""
    return WassersteinGradientPenalty() if name == "wgan-gp" else Relativistic(gamma)
