"""Layers that all networks share. No batch statistics anywhere: an image never depends on its neighbours in the batch."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from syntheticcellgan.config import ChainConfig
from syntheticcellgan.networks.adapter import Adapter

SLOPE = 0.2

M = TypeVar("M", bound=nn.Module)


def channels_last(module: M) -> M:
    """Lay the weights out as CPUs and tensor cores read them fastest."""
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def activate(x: Tensor) -> Tensor:
    """Leaky rectifier."""
    return F.leaky_relu(x, SLOPE)


def summed(fresh: Tensor, kept: Tensor) -> Tensor:
    """fresh + kept, in the place of `fresh` where no gradient is wanted: the same sum, one large tensor less to fill."""
    return fresh + kept if fresh.requires_grad or fresh.dtype != kept.dtype else fresh.add_(kept)


def enlarged(image: Tensor, scale: int) -> Tensor:
    """(N, C, H, W) → (N, C, H·scale, W·scale), float32, bilinear; as two matrix products, a quarter of the usual time."""
    with torch.autocast(image.device.type, enabled=False):
        image = image.float()
        rows, columns = (_bilinear(side, scale, image) for side in image.shape[2:])
        return rows @ image @ columns.t()


def _bilinear(side: int, scale: int, like: Tensor) -> Tensor:
    """(side·scale, side): the weights of each place among the places it lies between."""
    unit = torch.eye(side, dtype=like.dtype, device=like.device)
    return F.interpolate(unit[None, None], size=(side * scale, side), mode="bilinear", align_corners=False)[0, 0]


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """He's normal initialisation for leaky rectifiers (He et al. 2015), drawn from `generator`; biases at zero."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            std = math.sqrt(2.0 / ((1 + SLOPE**2) * layer.weight[0].numel())) * getattr(layer, "initial_gain", 1.0)
            with torch.no_grad():
                layer.weight.normal_(0.0, std, generator=generator)
                if layer.bias is not None:
                    layer.bias.zero_()
        elif isinstance(layer, nn.Embedding):
            with torch.no_grad():
                layer.weight.normal_(0.0, 1.0, generator=generator)


class Up(nn.Module):
    """Doubles the side by 1×1 convolution and bilinear enlargement: no checkerboard can arise, and almost no cost."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, outputs, 2H, 2W)."""
        return F.interpolate(self.conv(x), scale_factor=2, mode="bilinear", align_corners=False)


class Down(nn.Conv2d):
    """Halves the side by a 4×4 convolution of stride 2: (N, C, H, W) → (N, outputs, H/2, W/2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1)


def adapted(layer: nn.Linear, adapter: Adapter | None, x: Tensor) -> Tensor:
    """The layer on x (N, inputs), and what adapted types, whose shares stand behind the inputs, add to it."""
    if adapter is None:
        whole: Tensor = layer(x)
        return whole
    x, shares = x[:, : layer.in_features].contiguous(), x[:, layer.in_features :]
    result: Tensor = layer(x) + adapter(x, shares)
    return result


def adapt_modulations(network: nn.Module, config: ChainConfig, seed: int) -> None:
    """Give each modulation of `network` an adapter for the adapted types, if there are any."""
    if not config.adapted:
        return
    for index, layer in enumerate(m for m in network.modules() if isinstance(m, Modulation)):
        sizes = layer.affine.in_features, layer.affine.out_features
        layer.adapter = Adapter(*sizes, len(config.adapted), config.adapter_rank, seed + index)


class Modulation(nn.Module):
    """Normalises each pixel over its channels, then scales and shifts by a condition (as in feature-wise modulation)."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.affine = nn.Linear(condition, 2 * channels)
        self.affine.initial_gain = 0.25  # type: ignore[assignment]
        self.adapter: Adapter | None = None

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """x (N, C, H, W), condition (N, condition), behind it the shares of adapted types → (N, C, H, W)."""
        both = adapted(self.affine, self.adapter, condition)
        scale, shift = both[:, :, None, None].chunk(2, dim=1)
        x = x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-6)
        return summed(x * (1 + scale), shift)


class Residual(nn.Module):
    """x + conv(activate(x)); with a condition the input of the branch is modulated first."""

    def __init__(self, channels: int, condition: int = 0) -> None:
        super().__init__()
        self.modulation = Modulation(channels, condition) if condition else None
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv.initial_gain = 0.5  # type: ignore[assignment]

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """(N, C, H, W) → the same shape."""
        y = x
        if self.modulation is not None and condition is not None:
            y = self.modulation(x, condition)
        return summed(self.conv(activate(y)), x)


class TypeEmbedding(nn.Embedding):
    """One row per cell type; `strength` in [0, 1] fades its influence in (transitional conditioning, Shahbazi et al. 2022)."""

    def forward(self, types: Tensor) -> Tensor:
        """types (N,) int64, or shares of each type (N, K) float for a form between types → (N, dim)."""
        return types @ self.weight if types.is_floating_point() else super().forward(types)

    def faded(self, types: Tensor, strength: float) -> Tensor:
        """types (N,) int64 → (N, dim)."""
        return self(types) * strength
