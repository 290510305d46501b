"""Texture as local statistics, and a score that is least where samples vary as real images do."""

import torch
import torch.nn.functional as F

from syntheticcellgan.training.texture import covariances, energy_score, patches, texture_score


def grain(seed: int, blur: int = 1) -> torch.Tensor:
    noise = torch.randn(8, 3, 66, 66, generator=torch.Generator().manual_seed(seed))
    if blur > 1:
        noise = F.avg_pool2d(F.pad(noise, [blur // 2] * 4, mode="circular"), blur, 1)[..., :66, :66]
    return noise / noise.std()


def score(first: torch.Tensor, second: torch.Tensor) -> float:
    return texture_score(patches(first), patches(second), patches(grain(0)), window=16).item()


def test_windows_hold_the_covariance_of_their_channels() -> None:
    image = grain(0)[:1, :, :32, :32]
    found = covariances(image, window=16, offset=(3, 5))
    assert found.shape == (1, 3, 3)
    wanted = torch.cov(image[0, :, 3:19, 5:21].flatten(1), correction=0)
    assert torch.allclose(found[0], wanted, atol=1e-5)
    assert covariances(image, window=64).shape == (1, 3, 3)  # a map smaller than a window is one
    assert covariances(image, window=30, offset=(7, 7)).isfinite().all()


def test_grain_of_the_same_kind_scores_best() -> None:
    same = score(grain(1), grain(2))
    assert same < 0.8 * score(grain(1, blur=3), grain(2, blur=3))
    flat = torch.zeros_like(grain(0))
    assert same < 0.8 * score(flat, flat)
    assert same < score(0.7 * grain(1), 0.7 * grain(2))
    assert same < score(1.4 * grain(1), 1.4 * grain(2))


def test_the_average_of_all_answers_does_not_win() -> None:
    first, second, real = (torch.randn(4000, generator=torch.Generator().manual_seed(seed)) for seed in range(3))
    average = torch.zeros(4000)
    assert (average - real).abs().mean() < (first - real).abs().mean()  # as a plain distance it does
    assert energy_score(first, second, real) < energy_score(average, average, real)
    assert energy_score(first, second, real) < energy_score(2 * first, 2 * second, real)


def test_the_real_side_gets_no_gradient() -> None:
    made, real = grain(1).requires_grad_(), grain(0).requires_grad_()
    texture_score(patches(made), patches(grain(2)), patches(real), 16).backward()
    assert made.grad is not None
    assert made.grad.isfinite().all()
    assert made.grad.abs().sum() > 0
    assert real.grad is None
