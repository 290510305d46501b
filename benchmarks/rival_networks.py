"""The layer shapes of published systems at 256×256, restated plainly for timing; they are never trained to any end.

Written from the papers and, for lightweight-gan, from the shapes that its package documents (its module refuses to be
imported without an Nvidia GPU, so it cannot run here). Where something could be left out, it was, in the rival's favour;
each class says what.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 256


def count_parameters(*networks: nn.Module) -> int:
    """Parameters of all networks together."""
    return sum(p.numel() for network in networks for p in network.parameters())


# pix2pix (Isola et al. 2017, appendix 6.1): U-Net-256 generator, 70×70 PatchGAN


class UNet256(nn.Module):
    """Image → image, (N, 3, 256, 256). Dropout, which the paper keeps at use, is left out."""

    WIDTHS = (64, 128, 256, 512, 512, 512, 512, 512)

    def __init__(self) -> None:
        super().__init__()
        sizes = (3, *self.WIDTHS)
        self.down = nn.ModuleList()
        for level, (a, b) in enumerate(pairwise(sizes)):
            layers: list[nn.Module] = [nn.LeakyReLU(0.2)] if level else []
            layers.append(nn.Conv2d(a, b, 4, 2, 1))
            if 0 < level < len(self.WIDTHS) - 1:
                layers.append(nn.BatchNorm2d(b))
            self.down.append(nn.Sequential(*layers))
        self.up = nn.ModuleList()
        for level in range(len(self.WIDTHS) - 1, -1, -1):
            inputs = self.WIDTHS[level] * (1 if level == len(self.WIDTHS) - 1 else 2)
            outputs = self.WIDTHS[level - 1] if level else 3
            layers = [nn.ReLU(), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)]
            layers.append(nn.BatchNorm2d(outputs) if level else nn.Tanh())
            self.up.append(nn.Sequential(*layers))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 256, 256) → the same."""
        kept = []
        for layer in self.down:
            x = layer(x)
            kept.append(x)
        for layer, skip in zip(self.up, [None, *kept[-2::-1]], strict=True):
            x = layer(x if skip is None else torch.cat([x, skip], dim=1))
        return x


class PatchGan70(nn.Sequential):
    """(N, 6, 256, 256) → one value per patch of 70 pixels."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [nn.Conv2d(6, 64, 4, 2, 1), nn.LeakyReLU(0.2)]
        for a, b, stride in ((64, 128, 2), (128, 256, 2), (256, 512, 1)):
            layers += [nn.Conv2d(a, b, 4, stride, 1), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Conv2d(512, 1, 4, 1, 1))


# lightweight-gan 1.2 (an implementation of Liu et al. 2021): 256 px, its default widths


class Blur(nn.Module):
    """A fixed low-pass filter for each channel; kernel: one row of it."""

    def __init__(self, kernel: tuple[float, ...] = (1.0, 2.0, 1.0), gain: float = 1.0) -> None:
        super().__init__()
        row = torch.tensor(kernel)
        square = row[:, None] * row[None, :]
        self.register_buffer("square", gain * square / square.sum())
        self.square: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same, or one pixel smaller for an even kernel."""
        size = len(self.square)
        weight = self.square.to(x.dtype).expand(x.shape[1], 1, size, size)
        return F.conv2d(x, weight, padding=(size - 1) // 2, groups=x.shape[1])


class LightUp(nn.Sequential):
    """1×1 convolution and folding, blur, 4×4 convolution, normalisation, gate."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, 4 * inputs, 1),
            nn.SiLU(),
            nn.PixelShuffle(2),
            Blur(),
            nn.ZeroPad2d((2, 1, 2, 1)),
            nn.Conv2d(inputs, 2 * outputs, 4),
            nn.BatchNorm2d(2 * outputs),
            nn.GLU(dim=1),
        )


class Excite(nn.Module):
    """Global context of a coarse scale gates the channels of a fine one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.where = nn.Conv2d(inputs, 1, 1)
        middle = max(3, outputs // 2)
        self.gate = nn.Sequential(
            nn.Conv2d(inputs, middle, 1), nn.LeakyReLU(0.1), nn.Conv2d(middle, outputs, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) → (N, outputs, 1, 1)."""
        weights = self.where(x).flatten(2).softmax(dim=2)
        gate: Tensor = self.gate((x.flatten(2) * weights).sum(dim=2)[..., None, None])
        return gate


class LightGenerator(nn.Module):
    """Noise (N, 256) → (N, 3, 256, 256)."""

    WIDTHS = (256, 512, 512, 256, 128, 64, 32)  # from 4×4 on

    def __init__(self) -> None:
        super().__init__()
        w = self.WIDTHS
        self.start = nn.Sequential(nn.ConvTranspose2d(256, 512, 4), nn.BatchNorm2d(512), nn.GLU(dim=1))
        self.ups = nn.ModuleList(LightUp(a, b) for a, b in pairwise(w))
        # What leaves the first two blocks (8 and 16 px) gates what enters the sixth (128 px) and leaves it (256 px).
        self.excite = nn.ModuleList([Excite(w[1], w[5]), Excite(w[2], w[6])])
        self.image = nn.Conv2d(w[6], 3, 3, padding=1)

    def forward(self, noise: Tensor) -> Tensor:
        """(N, 256) → (N, 3, 256, 256)."""
        x = F.normalize(self.start(noise[:, :, None, None]), dim=1)
        gates = []
        for level, up in enumerate(self.ups):
            x = up(x)
            if level < 2:
                gates.append(self.excite[level](x))
            elif level > 3:
                x = x * gates[level - 4]
        image: Tensor = self.image(x)
        return image


class LightDown(nn.Module):
    """Two branches that halve the side, summed."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            Blur(),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * inputs, outputs, 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.LeakyReLU(0.1),
        )
        self.coarse = nn.Sequential(Blur(), nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1), nn.LeakyReLU(0.1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, outputs, H/2, W/2)."""
        both: Tensor = self.fine(x) + self.coarse(x)
        return both


class LightCritic(nn.Sequential):
    """(N, 3, 256, 256) → 25 values. Its second head on a small copy of the image and its decoders are left out."""

    def __init__(self) -> None:
        widths = (3, 32, 64, 128, 256, 512)
        downs = [LightDown(a, b) for a, b in pairwise(widths)]
        super().__init__(*downs, nn.Conv2d(512, 512, 1), nn.LeakyReLU(0.1), nn.Conv2d(512, 1, 4))


# StyleGAN2 (Karras et al. 2020), skip generator and residual critic, with the widths that its authors give for 256×256


def stylegan_width(side: int) -> int:
    """512 up to 32 pixels, then halved with each doubling: 64 at 256."""
    return min(512, 16384 // side)


class StyledConv(nn.Module):
    """Modulated 3×3 (or 1×1) convolution with demodulation, noise and leaky rectifier; up doubles the side."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, up: bool = False, plain: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size) / (inputs * size * size) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.affine = nn.Linear(512, inputs)
        self.noise = nn.Parameter(torch.zeros(1))
        self.up, self.plain = up, plain
        self.blur = Blur((1.0, 3.0, 3.0, 1.0), gain=4.0)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x (N, inputs, H, W), w (N, 512)."""
        scale = self.affine(w) + 1
        x = x * scale[:, :, None, None]
        if self.up:
            x = self.blur(F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2))
        else:
            x = F.conv2d(x, self.weight, padding=self.weight.shape[2] // 2)
        if self.plain:
            return x + self.bias[:, None, None]
        energy = scale.square() @ self.weight.square().sum(dim=(2, 3)).t()
        x = x * torch.rsqrt(energy + 1e-8)[:, :, None, None]
        x = x + self.noise * torch.randn(len(x), 1, *x.shape[2:]) + self.bias[:, None, None]
        return F.leaky_relu(x, 0.2)


class StyleGenerator(nn.Module):
    """Noise (N, 512) → (N, 3, 256, 256)."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping = nn.Sequential(*(m for _ in range(8) for m in (nn.Linear(512, 512), nn.LeakyReLU(0.2))))
        self.start = nn.Parameter(torch.randn(1, 512, 4, 4))
        self.convs, self.images = nn.ModuleList([StyledConv(512, 512)]), nn.ModuleList()
        self.images.append(StyledConv(512, 3, 1, plain=True))
        side = 4
        while side < SIDE:
            a, b = stylegan_width(side), stylegan_width(2 * side)
            self.convs.extend([StyledConv(a, b, up=True), StyledConv(b, b)])
            self.images.append(StyledConv(b, 3, 1, plain=True))
            side *= 2

    def forward(self, noise: Tensor) -> Tensor:
        """(N, 512) → (N, 3, 256, 256)."""
        w = self.mapping(F.normalize(noise, dim=1) * 512**0.5)
        x = self.convs[0](self.start.expand(len(w), -1, -1, -1), w)
        image: Tensor = self.images[0](x, w)
        for level in range(1, len(self.images)):
            x = self.convs[2 * level](self.convs[2 * level - 1](x, w), w)
            image = F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False) + self.images[level](
                x, w
            )
        return image


class StyleDown(nn.Module):
    """Residual block of the critic."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.second = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, outputs, H/2, W/2). Blurs before the strides are left out."""
        y = F.leaky_relu(self.second(F.leaky_relu(self.first(x), 0.2)), 0.2)
        return (y + self.skip(F.avg_pool2d(x, 2))) * 0.5**0.5


class StyleCritic(nn.Module):
    """(N, 3, 256, 256) → (N, 1). The standard deviation over the batch is left out."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Conv2d(3, stylegan_width(SIDE), 1)
        sides = [SIDE // 2**k for k in range(6)]
        self.downs = nn.Sequential(*(StyleDown(stylegan_width(s), stylegan_width(s // 2)) for s in sides))
        self.last = nn.Conv2d(512, 512, 3, padding=1)
        self.value = nn.Sequential(nn.Linear(512 * 16, 512), nn.LeakyReLU(0.2), nn.Linear(512, 1))

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, 256, 256) → (N, 1)."""
        x = self.downs(F.leaky_relu(self.start(image), 0.2))
        value: Tensor = self.value(F.leaky_relu(self.last(x), 0.2).flatten(1))
        return value


# Latent diffusion (Rombach et al. 2022, LDM-4 at 256×256: table 12): denoiser of 64×64×3 latents


class TimedResidual(nn.Module):
    """Residual block with the step's embedding."""

    def __init__(self, inputs: int, outputs: int, embedding: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(32, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(embedding, outputs))
        self.second = nn.Sequential(nn.GroupNorm(32, outputs), nn.SiLU(), nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """x (N, inputs, H, W), time (N, embedding) → (N, outputs, H, W)."""
        y = self.first(x) + self.time(time)[:, :, None, None]
        result: Tensor = self.skip(x) + self.second(y)
        return result


class SelfAttention(nn.Module):
    """Every position attends to every other; heads of 32 channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // 32
        self.norm = nn.GroupNorm(32, channels)
        self.qkv, self.out = nn.Conv2d(channels, 3 * channels, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → the same."""
        n, c, height, width = x.shape
        q, k, v = self.qkv(self.norm(x)).view(n, 3, self.heads, 32, height * width).transpose(3, 4).unbind(dim=1)
        y = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(n, c, height, width)
        result: Tensor = x + self.out(y)
        return result


class Denoiser(nn.Module):
    """LDM-4's U-Net: 224 channels × (1, 2, 3, 4), two blocks a scale, attention at 32, 16 and 8. The decoder is left out."""

    WIDTHS = (224, 448, 672, 896)
    BLOCKS = 2

    def __init__(self) -> None:
        super().__init__()
        w, embedding = self.WIDTHS, 4 * self.WIDTHS[0]
        self.time = nn.Sequential(nn.Linear(w[0], embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.start = nn.Conv2d(3, w[0], 3, padding=1)
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        kept, channels = [w[0]], w[0]
        for level, width in enumerate(w):
            for _ in range(self.BLOCKS):
                self.downs.append(self._block(channels, width, embedding, level > 0))
                channels = width
                kept.append(channels)
            if level < len(w) - 1:
                self.downs.append(nn.ModuleList([nn.Conv2d(channels, channels, 3, 2, 1)]))
                kept.append(channels)
        self.middle = nn.ModuleList(
            [
                TimedResidual(channels, channels, embedding),
                SelfAttention(channels),
                TimedResidual(channels, channels, embedding),
            ]
        )
        for level in range(len(w) - 1, -1, -1):
            for block in range(self.BLOCKS + 1):
                layers = self._block(channels + kept.pop(), w[level], embedding, level > 0)
                channels = w[level]
                if level and block == self.BLOCKS:
                    layers.append(nn.Conv2d(channels, channels, 3, padding=1))
                self.ups.append(layers)
        self.out = nn.Sequential(nn.GroupNorm(32, channels), nn.SiLU(), nn.Conv2d(channels, 3, 3, padding=1))

    @staticmethod
    def _block(inputs: int, outputs: int, embedding: int, attends: bool) -> nn.ModuleList:
        layers: list[nn.Module] = [TimedResidual(inputs, outputs, embedding)]
        return nn.ModuleList([*layers, SelfAttention(outputs)] if attends else layers)

    def forward(self, latent: Tensor, step: Tensor) -> Tensor:
        """latent (N, 3, 64, 64), step (N,) → predicted noise of the same shape."""
        half = self.WIDTHS[0] // 2
        angles = step[:, None] * torch.exp(-torch.arange(half) / half * 9.21)[None]
        time = self.time(torch.cat([angles.cos(), angles.sin()], dim=1))
        x = self.start(latent)
        kept = [x]
        for layers in self.downs:
            x = _through(layers, x, time)
            kept.append(x)
        x = _through(self.middle, x, time)
        for layers in self.ups:
            x = _through(layers, torch.cat([x, kept.pop()], dim=1), time)
        noise: Tensor = self.out(x)
        return noise


def _through(layers: nn.ModuleList, x: Tensor, time: Tensor) -> Tensor:
    for layer in layers:
        if isinstance(layer, TimedResidual):
            x = layer(x, time)
        elif isinstance(layer, nn.Conv2d) and layer.stride == (1, 1):
            x = layer(F.interpolate(x, scale_factor=2, mode="nearest"))
        else:
            x = layer(x)
    return x
