"""Laboratories that do not exist: other lamps, stains and cameras, drawn at random, for the normaliser to learn from.

    laboratories = Laboratories.drawn(count, cells, chance)
    soft = laboratories.sharpness(images)           # (count, K, 3, H, W) sRGB, 0 … 1
    laboratories(soft, white) -> images             # the same, in other colours

Light is absorbed by dyes, so a stain changes optical density (a matrix on it), a lamp multiplies, glare adds, and a camera
bends the curve and blurs. The cells of one laboratory share all of it but part of the lamp.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

FAINTEST = 2e-3  # light that a camera still tells from none


@dataclass(frozen=True)
class Laboratories:
    """stain (L, 3, 3); lamp (L, K, 3); glare (L, 1, 3); curve (L, 1, 3); mixing (L, 3, 3); sigma (L,) pixels; grain (L,)."""

    stain: Tensor
    lamp: Tensor
    glare: Tensor
    curve: Tensor
    mixing: Tensor
    sigma: Tensor
    grain: Tensor
    chance: torch.Generator

    @classmethod
    def drawn(cls, count: int, cells: int, chance: torch.Generator) -> Laboratories:
        """`count` laboratories for `cells` images of each."""

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=chance)

        def uniform(low: float, high: float, *shape: int) -> Tensor:
            return low + (high - low) * torch.rand(shape, generator=chance)

        eye = torch.eye(3)
        strength = torch.exp(uniform(-1.1, 0.5, count, 1, 1))
        stain = strength * torch.exp(0.2 * normal(count, 1, 3)) * (eye + 0.15 * normal(count, 3, 3))
        lamp = torch.exp(uniform(-1.4, 0.35, count, 1, 1) + 0.2 * normal(count, 1, 3))
        # Lamps of some laboratories are all alike, those of others differ from smear to smear.
        spread = 0.3 * torch.rand(count, 1, 1, generator=chance).square()
        lamp = lamp * torch.exp(spread * (normal(count, cells, 1) + 0.7 * normal(count, cells, 3)))
        # One in ten is the reference itself, whose images are to stay as they are.
        own = (torch.rand(count, 1, 1, generator=chance) < 0.1).float()
        stain = own * eye + (1 - own) * stain
        saturation = uniform(0.5, 1.5, count, 1, 1)
        mixing = saturation * eye + (1 - saturation) / 3 + 0.06 * normal(count, 3, 3)
        glare = 0.25 * torch.rand(count, 1, 1, generator=chance).pow(3) * torch.exp(0.2 * normal(count, 1, 3))
        curve = torch.exp((1 - own) * (0.2 * normal(count, 1, 1) + 0.06 * normal(count, 1, 3)))
        return cls(
            stain,
            lamp,
            (1 - own) * glare,
            curve,
            own * eye + (1 - own) * mixing,
            1.2 * torch.rand(count, generator=chance),
            0.04 * torch.rand(count, generator=chance).square(),
            chance,
        )

    def __call__(self, images: Tensor, white: Tensor) -> Tensor:
        """(L, K, 3, H, W) of the reference, whose empty slide is `white` (3,) sRGB → in the colours of these laboratories."""
        pixels = images.permute(0, 1, 3, 4, 2).flatten(2, 3)
        seen = self._coloured(pixels, white).unflatten(2, images.shape[3:]).permute(0, 1, 4, 2, 3)
        grain = torch.randn(seen.shape, generator=self.chance) * self.grain[:, None, None, None, None]
        return (seen + grain).clamp(0, 1)

    def whites(self, white: Tensor) -> Tensor:
        """(L, K, 3): what the empty slide looks like in each image."""
        count, cells, _ = self.lamp.shape
        return self._coloured(white.expand(count, cells, 1, 3), white)[:, :, 0].clamp(0, 1)

    def _coloured(self, pixels: Tensor, white: Tensor) -> Tensor:
        """Pixels (L, K, P, 3) in the reference's colours → in these laboratories'."""
        density = -torch.log((_light(pixels) / _light(white)).clamp_min(FAINTEST))
        light = torch.exp(-(density @ self.stain[:, None]).clamp(-0.3, 7.0))
        glare, curve = self.glare[:, None], self.curve[:, None]
        light = (light + glare) / (1 + glare) * _light(white) * self.lamp[:, :, None]
        seen = _srgb(light.clamp(0, 1)).clamp_min(FAINTEST) ** curve
        # Mixed about the empty slide: its colour is the lamp's affair.
        middle = _srgb((_light(white) * self.lamp.mean(dim=1)[:, None, None]).clamp(0, 1)) ** curve
        return middle + (seen - middle) @ self.mixing[:, None]

    def sharpness(self, images: Tensor) -> Tensor:
        """(L, K, 3, H, W), as sharp as these laboratories' cameras are."""
        return torch.stack([_blurred(x, float(sigma)) for x, sigma in zip(images, self.sigma, strict=True)])


def _light(srgb: Tensor) -> Tensor:
    return srgb.clamp_min(0) ** 2.2


def _srgb(light: Tensor) -> Tensor:
    return light.clamp_min(1e-7) ** (1 / 2.2)


def _blurred(images: Tensor, sigma: float) -> Tensor:
    """(K, 3, H, W), each channel blurred by a Gaussian of `sigma` pixels."""
    if sigma < 0.3:
        return images
    places = torch.arange(-3, 4, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = kernel / kernel.sum()
    x = F.pad(images.flatten(0, 1)[:, None], (3, 3, 3, 3), mode="reflect")
    x = F.conv2d(F.conv2d(x, kernel.view(1, 1, 1, 7)), kernel.view(1, 1, 7, 1))
    return x.view_as(images)
