"""Energy distance between synthetic cells and real ones of their types, against many of both at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

TINY = 1e-6  # under the root, where two cells are alike: there its slope would have no bound


class FeatureBank(nn.Module):
    """Features of real cells, which stay, and of the latest synthetic ones, by type and depth.

    Only the synthetic ones, and where the next of a type shall stand, are part of the state that a checkpoint keeps.
    """

    def __init__(self, real: Sequence[Tensor], scale: Sequence[Tensor], remembered: int) -> None:
        """real: for each depth (types, n, D); scale: for each depth (D,), to divide by; remembered: synthetic cells of a type."""
        super().__init__()
        self.depths, self.remembered = len(real), remembered
        for i, (x, by) in enumerate(zip(real, scale, strict=True)):
            self.register_buffer(f"scale_{i}", by, persistent=False)
            self.register_buffer(f"real_{i}", x / by, persistent=False)
            self.register_buffer(f"made_{i}", torch.zeros(len(x), remembered, x.shape[2]))
        self.seen: Tensor  # of each type, synthetic cells
        self.register_buffer("seen", torch.zeros(len(real[0]), dtype=torch.int64))

    def energy(self, made: Sequence[Tensor], types: Tensor) -> Tensor:
        """How much farther synthetic cells are from real ones of their type than from other synthetic ones, mean over the cells,
        sum over the depths.

        The slope of the energy distance 2·E|a − r| − E|a − a′| − E|r − r′| in a, both expectations over what is banked
        (half of it, as a stands in two places of E|a − a′|); its value is less than that distance by a part that no cell changes.

        Args:
            made: for each depth (N, D), as `SetFeatures` gives them.
            types: (N,) int64.
        """
        losses = []
        for i, x in enumerate(made):
            a = (x / self.get_buffer(f"scale_{i}"))[:, None]
            real, other = self.get_buffer(f"real_{i}")[types], self.get_buffer(f"made_{i}")[types]
            losses.append((_distance(a, real).mean(dim=1) - _distance(a, other).mean(dim=1)).mean())
        return torch.stack(losses).sum()

    @torch.no_grad()
    def remember(self, made: Sequence[Tensor], types: Tensor) -> None:
        """Keep these cells' features in place of the oldest of their type; arguments as of `energy`."""
        for n, t in enumerate(types.tolist()):
            place = int(self.seen[t]) % self.remembered
            for i, x in enumerate(made):
                self.get_buffer(f"made_{i}")[t, place] = x[n] / self.get_buffer(f"scale_{i}")
            self.seen[t] += 1

    def full(self) -> bool:
        """Whether as many cells of each type were seen as are remembered."""
        return bool((self.seen >= self.remembered).all())


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """(N, 1, D), (N, n, D) → (N, n)."""
    return ((a - b).square().sum(dim=2) + TINY).sqrt()
