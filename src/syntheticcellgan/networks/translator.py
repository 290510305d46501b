"""Translator: basic cell image, cell type and noise → high-resolution cell of that type."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from syntheticcellgan.config import ChainConfig
from syntheticcellgan.networks.adapter import shares_of
from syntheticcellgan.networks.blocks import (
    Down,
    Residual,
    TypeEmbedding,
    Up,
    activate,
    adapt_modulations,
    enlarged,
    initialise,
    summed,
)
from syntheticcellgan.networks.degradation import cloud, nearness, veil

CONDITION = 64


class Translator(nn.Module):
    """A small U-shaped network whose work is done at and below the input's resolution, where it is cheap.

    The type and the level of degradation modulate the two lower scales (conditioning augmentation, Ho et al. 2022: a
    network that knows how far to trust its input mends the imperfect images of the first stage). Noise enters with the
    image, so that texture is sampled and not averaged, and once more at half the output's side: grain finer than the
    input's pixels cannot be made from noise on its grid. The output is a correction to the enlarged input.

    In mode `basic` it sees a veiled cell, since the basic cell is of any type; and the means of its noise enter with the type,
    so that a whole cell can be drawn anew, not only its grain.
    """

    def __init__(self, config: ChainConfig, seed: int = 2) -> None:
        super().__init__()
        t = config.translator
        w = t.width
        self.scale = t.scale
        self.coarse_noise = t.noise_channels - t.fine_noise * (t.scale // 2) ** 2
        self.types = TypeEmbedding(len(config.cell_types), CONDITION)
        self.level = nn.Linear(2, CONDITION)
        self.condition = nn.Linear(CONDITION, CONDITION)
        self.whole = nn.Linear(self.coarse_noise, CONDITION) if config.generator.mode == "basic" else None
        self.stem = nn.Conv2d(3 + self.coarse_noise, w, 3, padding=1)
        self.down_half, self.down_quarter = Down(w, 2 * w), Down(2 * w, 4 * w)
        self.quarter_blocks = nn.ModuleList(Residual(4 * w, CONDITION) for _ in range(t.blocks))
        self.up_half = Up(4 * w, 2 * w)
        self.half_blocks = nn.ModuleList(Residual(2 * w, CONDITION) for _ in range(t.blocks))
        self.up_full = Up(2 * w, w)
        self.full_blocks = nn.ModuleList(Residual(w) for _ in range(t.blocks))
        self.up_two = Up(w, w) if t.scale == 4 else nn.Identity()
        self.grain = nn.Conv2d(t.fine_noise, w, 1) if t.fine_noise else None
        self.two = nn.ModuleList(Residual(w) for _ in range(2))
        # The last doubling folds four output pixels into the channels of each position (Shi et al. 2016): the costly
        # full resolution is never computed on, and native pixels are finer than the optics resolve.
        self.image = nn.Conv2d(w, 12, 3, padding=1)
        self.image.initial_gain = 0.1  # type: ignore[assignment]
        if self.whole is not None:
            self.whole.initial_gain = 0.1  # type: ignore[assignment]  # more of it, and each image has wild colours of its own
        initialise(self, torch.Generator().manual_seed(seed))
        self.adapted = config if config.adapted else None
        adapt_modulations(self, config, seed + 100)

    def forward(self, basic: Tensor, types: Tensor, level: Tensor, noise: Tensor) -> Tensor:
        """Translate.

        Args:
            basic: (N, 3, R, R), −1 … 1, already degraded to `level`; R divisible by 4.
            types: (N,) int64.
            level: (N,), 0 … 1.
            noise: (N, noise_channels, R, R), standard normal; its last channels are those of the finer grid, folded.

        Returns:
            (N, 3, R·scale, R·scale), about −1 … 1.
        """
        levels = torch.stack([level, level.sqrt()], dim=1)
        condition = self.types(types) + self.level(levels)
        noise, fine = noise[:, : self.coarse_noise], noise[:, self.coarse_noise :]
        if self.whole is not None:
            basic = veil(basic, nearness(basic), cloud(basic))
            condition = condition + self.whole(noise.mean(dim=(2, 3)) * (noise.shape[2] * noise.shape[3]) ** 0.5)
        condition = activate(self.condition(activate(condition)))
        if self.adapted is not None:
            condition = torch.cat([condition, shares_of(types, self.adapted).to(condition.dtype)], dim=1)
        x = torch.cat([basic, noise], dim=1).contiguous(memory_format=torch.channels_last)
        full = self.stem(x)
        half = self.down_half(activate(full))
        x = self.down_quarter(activate(half))
        for block in self.quarter_blocks:
            x = block(x, condition)
        x = summed(self.up_half(x), half)
        for block in self.half_blocks:
            x = block(x, condition)
        x = summed(self.up_full(x), full)
        for block in self.full_blocks:
            x = block(x)
        if not _one_by_one(x):
            return self._finished(x, fine, basic)
        parts = [part.split(1) for part in (x, fine, basic)]
        return torch.cat([self._finished(*part) for part in zip(*parts, strict=True)])

    def _finished(self, x: Tensor, fine: Tensor, basic: Tensor) -> Tensor:
        """The upper scales: features (N, width, R, R), finer noise, folded, and basic images → what `forward` gives."""
        x = self.up_two(x)
        if self.grain is not None:
            x = summed(_pointwise(self.grain, _unfolded(fine, self.scale // 2)), x)
        for block in self.two:
            x = block(x)
        correction = F.pixel_shuffle(_level(self.image(activate(x))), 2)
        return summed(enlarged(basic, self.scale), correction)


def _one_by_one(x: Tensor) -> bool:
    """In use on a CPU the large tensors of one image stay in the core's cache, those of four do not; the bits are the same."""
    return not x.requires_grad and x.device.type == "cpu" and not torch.compiler.is_compiling()


def _unfolded(folded: Tensor, factor: int) -> Tensor:
    """As `F.pixel_shuffle`, (N, C·factor², H, W) → (N, C, H·factor, W·factor), channels last in memory by the same copy."""
    n, channels, height, width = folded.shape
    x = folded.view(n, channels // factor**2, factor, factor, height, width).permute(0, 4, 2, 5, 3, 1)
    return x.reshape(n, height * factor, width * factor, -1).permute(0, 3, 1, 2)


def _pointwise(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A 1×1 convolution as the matrix product that it is: of few channels, convolutions are four times as slow."""
    return F.linear(x.permute(0, 2, 3, 1), conv.weight[:, :, 0, 0], conv.bias).permute(0, 3, 1, 2)


def _level(folded: Tensor) -> Tensor:
    """Gives the four pixels of a fold one mean over the image (N, 3·4, H, W): no photograph is lighter on every second
    pixel, and that chequered pattern is what folding would leave.
    """
    means = folded.mean(dim=(2, 3)).unflatten(1, (3, 4))
    excess = (means - means.mean(dim=2, keepdim=True)).flatten(1)
    return folded - excess[:, :, None, None]
