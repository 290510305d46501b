import math

import pytest
import torch

from syntheticcellgan.training.objectives import get_objective


def linear_critic(weight):
    return lambda images: (images * weight).flatten(1).sum(dim=1)


@pytest.fixture
def images():
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_relativistic_losses_of_equal_values_are_log_two():
    objective = get_objective("relativistic", 1.0)
    values = torch.zeros(5)
    assert objective.critic_loss(values, values).item() == pytest.approx(math.log(2))
    assert objective.generator_loss(values, values).item() == pytest.approx(math.log(2))


def test_relativistic_critic_prefers_real_above_fake():
    objective = get_objective("relativistic", 1.0)
    real, fake = torch.tensor([3.0]), torch.tensor([-3.0])
    assert objective.critic_loss(real, fake) < objective.critic_loss(fake, real)
    assert objective.generator_loss(real, fake) > objective.generator_loss(fake, real)


def test_relativistic_penalty_of_a_linear_critic_is_gamma_times_its_squared_norm(images):
    # R1 = R2 = ‖w‖², so γ/2 (R1 + R2) = γ ‖w‖².
    weight = torch.full((3, 8, 8), 0.1)
    penalty = get_objective("relativistic", 2.0).penalty(linear_critic(weight), images, -images, torch.rand(4, 1, 1, 1))
    assert penalty.item() == pytest.approx(2.0 * weight.square().sum().item(), rel=1e-5)


def test_gradient_penalty_vanishes_for_a_critic_of_slope_one_and_grows_beyond(images):
    weight = torch.zeros(3, 8, 8)
    weight[0, 0, 0] = 1.0
    objective = get_objective("wgan-gp", 0.0)
    mix = torch.rand(4, 1, 1, 1)
    assert objective.penalty(linear_critic(weight), images, -images, mix).item() == pytest.approx(0, abs=1e-6)
    # λ (‖3w‖ − 1)² = 10 · 4
    assert objective.penalty(linear_critic(3 * weight), images, -images, mix).item() == pytest.approx(40, rel=1e-4)


def test_wgan_gp_keeps_the_published_settings():
    objective = get_objective("wgan-gp", 0.0)
    assert (objective.critic_steps, objective.betas, objective.weight) == (5, (0.0, 0.9), 10.0)
    assert objective.critic_loss(torch.tensor([2.0]), torch.tensor([5.0])).item() == 3.0
    assert objective.generator_loss(torch.tensor([2.0]), torch.tensor([5.0])).item() == -5.0


def test_a_patch_critic_is_penalised_by_its_mean_value(images):
    penalty = get_objective("relativistic", 1.0).penalty(
        lambda x: x.mean(dim=1), images, images, torch.rand(4, 1, 1, 1)
    )
    # mean over 64 patches of the mean over 3 channels: each of 192 gradients is 1/192
    assert penalty.item() == pytest.approx(1 / 192, rel=1e-5)
