"""What single types may add to the shared networks: few parameters that act for one type and leave all others alone.

A bundle that learnt a further type from few images keeps every shared weight; where the type enters, that type alone has
a shift and a change of low rank of its own (after Hu et al. 2022, LoRA, and Noguchi and Harada 2019, who adapted
generators to small data by scale and shift alone). For every other type what is added is zero, so its images stay the
same bit for bit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from syntheticcellgan.config import ChainConfig


class Adapter(nn.Module):
    """The addition to a linear layer of `inputs` → `outputs` numbers, for each of `types` adapted types."""

    def __init__(self, inputs: int, outputs: int, types: int, rank: int, seed: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.empty(types, inputs, rank))
        self.up = nn.Parameter(torch.empty(types, rank, outputs))
        self.shift = nn.Parameter(torch.empty(types, outputs))
        with torch.no_grad():
            self.down.normal_(0.0, inputs**-0.5, generator=torch.Generator().manual_seed(seed))
            self.up.zero_()  # begins as no change
            self.shift.zero_()

    def forward(self, x: Tensor, shares: Tensor) -> Tensor:
        """x (N, inputs), shares (N, types) of each adapted type → (N, outputs), zero where all shares are."""
        # One by one: in a joint product the sums of a type would be added in another order once a further type is there.
        parts = [(x @ self.down[k] @ self.up[k] + self.shift[k]) * shares[:, k, None] for k in range(shares.shape[1])]
        return torch.stack(parts).sum(dim=0)


def shares_of(types: Tensor, config: ChainConfig) -> Tensor:
    """types (N,) int64, or shares of each type (N, K) float → shares of the adapted types, (N, A) float."""
    places = [config.cell_types.index(name) for name in config.adapted]
    if types.is_floating_point():
        return types[:, places]
    return torch.stack([types == place for place in places], dim=1).float()
