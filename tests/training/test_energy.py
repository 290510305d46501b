"""The bank of features: its energy falls where synthetic cells come to be distributed as the real ones of their type."""

import pytest
import torch

from syntheticcellgan.training.energy import FeatureBank
from syntheticcellgan.training.set_features import SetFeatures, scales

TYPES, REAL, KEPT = 2, 64, 32


def chance(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def a_bank() -> FeatureBank:
    centres = torch.tensor([0.0, 6.0])[:, None, None]
    real = [chance(0, TYPES, REAL, 3) + centres, chance(1, TYPES, REAL, 5) + centres]
    return FeatureBank(real, [torch.ones(3), torch.ones(5)], KEPT)


def pushed(spread: float, shift: float, steps: int = 400) -> torch.Tensor:
    """Cells of type 1 in two numbers of spread and shift, moved down the energy's slope: mean and deviation of their features."""
    bank = a_bank()
    log_spread, place = torch.tensor(spread).log().requires_grad_(), torch.tensor(shift).requires_grad_()
    optimizer = torch.optim.Adam([log_spread, place], 0.02)
    for step in range(steps):
        types = torch.arange(8) % TYPES
        at = torch.tensor([0.0, 6.0])[types][:, None] + place
        made = [at + log_spread.exp() * chance(2 + step, 8, d) for d in (3, 5)]
        if bank.full():
            optimizer.zero_grad()
            bank.energy(made, types).backward()
            optimizer.step()
        bank.remember(made, types)
    return torch.stack([log_spread.exp(), place]).detach()


@pytest.mark.parametrize(("spread", "shift"), [(0.3, 0.0), (2.0, 0.0), (1.0, 1.5)])
def test_its_slope_leads_to_the_real_spread_and_place(spread: float, shift: float) -> None:
    found = pushed(spread, shift)
    assert found[0] == pytest.approx(1.0, abs=0.15)
    assert found[1] == pytest.approx(0.0, abs=0.15)


def test_it_remembers_the_latest_of_each_type_and_nothing_of_the_other() -> None:
    bank = a_bank()
    assert not bank.full()
    for k in range(KEPT + 1):
        bank.remember([torch.full((1, 3), float(k)), torch.full((1, 5), float(k))], torch.tensor([1]))
    kept = bank.get_buffer("made_0")
    assert sorted(kept[1, :, 0].tolist()) == [float(k) for k in range(1, KEPT + 1)]
    assert not kept[0].any()
    assert not bank.full()


def test_a_checkpoint_keeps_what_was_made_and_not_what_is_real() -> None:
    assert set(a_bank().state_dict()) == {"made_0", "made_1", "seen"}


def test_features_tell_the_cell_from_its_surroundings() -> None:
    network = SetFeatures()
    plain, inside, around = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    inside[..., 28:36, 28:36] = 1
    around[..., :8, :8] = 1
    pooled = [network(image) for image in (plain, inside, around)]
    assert [x.shape[1] for x in pooled[0]] == [4 * channels for channels in (16, 24, 40, 80)]
    middle, rest = pooled[0][0].shape[1] // 2, slice(pooled[0][0].shape[1] // 2, None)
    changed = [(x[0] - pooled[0][0]).abs()[0] for x in pooled[1:]]
    assert changed[0][:middle].sum() > 3 * changed[1][:middle].sum()
    assert changed[1][rest].sum() > changed[0][rest].sum()


def test_each_depth_counts_alike() -> None:
    features = [chance(7, 3, 50, 4), 100 * chance(8, 3, 50, 90)]
    for x, by in zip(features, scales(features), strict=True):
        assert torch.cdist(x[0] / by, x[0] / by)[0, 1:].mean() == pytest.approx(2**0.5, rel=0.2)
