"""The learned normaliser: from how a laboratory's images look to one smooth map of colours.

    codes = normaliser.codes(images)                     # one for each image, of what it says about its stain
    maps = normaliser.maps(own, laboratory)              # own: of the image; laboratory: mean of many
    normaliser.recoloured(pixels, maps)                  # pixels one by one

Images and pixels come divided by the colour of their empty slide: lamps are gone before anything has to be learnt, and the
empty slide becomes that of the reference, whatever the network thinks.

A pixel's new colour depends on its old one and on the map alone, never on its neighbours, so no edge can move: structure
is kept by how the network is built, not by a loss.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

VIEW = 64
"""Side in pixels at which images are looked at."""
CHANNELS = (4, 24, 48, 64, 96)
CODE = 2 * CHANNELS[-1]
HIDDEN = 24  # of the map
SIZES = (3 * HIDDEN, HIDDEN, HIDDEN * HIDDEN, HIDDEN, HIDDEN * 3, 9)
"""Numbers of a map: two hidden layers, the last one, and a matrix beside them."""
DARKEST = 0.05
"""0 … 1: an empty slide darker than that is none."""
BRIGHTEST = 1.3
"""Over the empty slide: what is brighter is a reflection."""
STRENGTH = 0.1  # of a map's numbers beside those that all maps share


class Normaliser(nn.Module):
    """About 0.3 M parameters; images (N, 3, 64, 64), sRGB over that of the empty slide, about 0 … 1; the cell in the middle."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(CHANNELS))
        self.first = nn.Linear(2 * CODE, 128)
        self.last = nn.Linear(128, sum(SIZES))
        chance = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for layer in (*self.layers, self.first):
                fan = layer.weight[0].numel()
                layer.weight.normal_(0.0, (2.0 / fan) ** 0.5, generator=chance)
                layer.bias.zero_()
            self.last.weight.zero_()
            self.last.bias.copy_(_plain_map(chance) / STRENGTH)

    def codes(self, images: Tensor) -> Tensor:
        """(N, 3, 64, 64) → (N, CODE): means and spreads of features, where they are does not count."""
        away = torch.linspace(-1, 1, images.shape[-1], device=images.device).square()
        distance = (away[:, None] + away[None]).expand(len(images), 1, -1, -1)
        x = torch.cat([2 * images - 1, distance - 1], dim=1)
        for layer in self.layers:
            x = F.silu(layer(x))
        return torch.cat([x.mean(dim=(2, 3)), x.std(dim=(2, 3))], dim=1)

    def maps(self, own: Tensor, laboratory: Tensor) -> Tensor:
        """Codes of images (N, CODE) and of what is known of their laboratory (N, CODE) → maps (N, sum(SIZES))."""
        maps: Tensor = self.last(F.silu(self.first(torch.cat([own, laboratory], dim=1)))) * STRENGTH
        return maps

    def recoloured(self, pixels: Tensor, maps: Tensor) -> Tensor:
        """(N, P, 3), over the empty slide → the same; 1 stays 1."""
        a, b, c, d, e, matrix = maps.split(SIZES, dim=1)

        def beyond_the_line(x: Tensor) -> Tensor:
            hidden = F.silu(torch.baddbmm(b[:, None], x, a.view(-1, 3, HIDDEN)))
            hidden = F.silu(torch.baddbmm(d[:, None], hidden, c.view(-1, HIDDEN, HIDDEN)))
            return hidden @ e.view(-1, HIDDEN, 3)

        # Measured from the empty slide, so that it maps to itself.
        x = 2 * (pixels.clamp(0, BRIGHTEST) - 1)
        y = beyond_the_line(x) - beyond_the_line(torch.zeros_like(x[:, :1])) + x @ matrix.view(-1, 3, 3)
        return 1 + y / 2


def _plain_map(chance: torch.Generator) -> Tensor:
    """The map that leaves colours as they are, with hidden layers that can learn."""
    parts = [torch.zeros(size) for size in SIZES]
    parts[0].normal_(0.0, 3**-0.5, generator=chance)
    parts[2].normal_(0.0, (2.0 / HIDDEN) ** 0.5, generator=chance)
    parts[5] = torch.eye(3).flatten()
    return torch.cat(parts)
