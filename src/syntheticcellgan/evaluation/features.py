"""From images to feature vectors: the extractors by name, and their vectors kept in a cache.

get_extractor(name, path=None) -> Extractor
features_of(images, extractor, cache_dir=None, progress=None) -> (N, dim) float32
ensure_independent(extractor, training_extractors)       # a metric never uses a network that training used
EXTRACTORS, HEADLINE                                     # all names; those that judge bundles trained here
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.evaluation.batches import ImageSource, pixels_of
from syntheticcellgan.evaluation.cache import FeatureCache
from syntheticcellgan.evaluation.extractors.common import Extractor, to_input

Progress = Callable[[int], None]
"""Called with the number of images done since the last call."""

_PACKAGED = ("vit-s-focus", "vgg16-hed", "vit-s-focus-last", "efficientnet-lite0")
_FROM_A_FILE = ("inception-v3", "dinov2", "dinobloom")

EXTRACTORS = _PACKAGED + _FROM_A_FILE
"""All names. The first four come in packages and work offline; the others need an ONNX file from the user."""

HEADLINE = ("vit-s-focus", "vgg16-hed")
"""Networks that neither training nor the choice of checkpoints uses."""

_BATCH = 16


def get_extractor(name: str, path: str | os.PathLike[str] | None = None) -> Extractor:
    """The extractor called `name`, its weights loaded and checked.

    path: the ONNX file, for inception-v3, dinov2 and dinobloom only.
    InputError for an unknown name, a missing or superfluous path, or a missing package (with the pip command).
    """
    if name in _FROM_A_FILE:
        if path is None:
            raise InputError(f"{name} needs the path of an ONNX file: {name}=FILE.onnx.")
        from syntheticcellgan.evaluation.extractors.onnx import OnnxExtractor

        return OnnxExtractor(name, path)
    if path is not None and name in _PACKAGED:
        raise InputError(f"{name} comes in a package and takes no path; a file goes with {', '.join(_FROM_A_FILE)}.")
    if name in ("vit-s-focus", "vit-s-focus-last"):
        from syntheticcellgan.evaluation.extractors.onnx import ViTSmallFocus

        return ViTSmallFocus(name)
    if name == "vgg16-hed":
        from syntheticcellgan.evaluation.extractors.vgg import VGG16HED

        return VGG16HED()
    if name == "efficientnet-lite0":
        from syntheticcellgan.evaluation.extractors.efficientnet import EfficientNetLite0

        return EfficientNetLite0()
    raise InputError(f"There is no extractor called {name}; there are {', '.join(EXTRACTORS)}.")


def ensure_independent(extractor: str, training_extractors: Iterable[str]) -> None:
    """InputError if training used the extractor: a network that a generator learned to please cannot judge it."""
    used = {_network(name) for name in training_extractors}
    if _network(extractor) in used:
        free = [name for name in EXTRACTORS if _network(name) not in used]
        raise InputError(
            f"The features of {extractor} were used in training, so they cannot judge the result; "
            f"take one of {', '.join(free)}."
        )


def _network(extractor: str) -> str:
    """Two depths of one network are one network."""
    return extractor.removesuffix("-last")


def features_of(
    images: ImageSource,
    extractor: Extractor,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Features of `images` (paths or (H, W, 3) uint8 arrays), in their order, (N, dim) float32.

    cache_dir: folder where vectors are kept, by the SHA-256 of file or pixels and of the network's weights; images
    found there are not even decoded. Only a batch of images is in memory at a time.
    InputError, naming the file, for one that cannot be read; ScgError if the network gives NaN.
    """
    vectors: list[np.ndarray] = []
    waiting: list[tuple[int, bytes, np.ndarray]] = []
    cache = FeatureCache(cache_dir, extractor.name, extractor.sha256, extractor.dim) if cache_dir is not None else None

    def work_off() -> None:
        if not waiting:
            return
        found = extractor(np.stack([pixels for _, _, pixels in waiting]))
        if not np.isfinite(found).all():
            raise ScgError(f"{extractor.name} gave values that are not finite; check its weights.")
        for (position, _, _), vector in zip(waiting, found, strict=True):
            vectors[position] = vector
        if cache is not None:
            cache.put([key for _, key, _ in waiting], found)
        if progress is not None:
            progress(len(waiting))
        waiting.clear()

    with cache if cache is not None else nullcontext():
        for image in images:
            key = _content_hash(image) if cache is not None else b""
            known = cache.get(key) if cache is not None else None
            vectors.append(known if known is not None else np.empty(0, np.float32))
            if known is not None:
                if progress is not None:
                    progress(1)
                continue
            pixels = to_input(pixels_of(image)[None], extractor.input_size)[0]
            waiting.append((len(vectors) - 1, key, pixels))
            if len(waiting) == _BATCH:
                work_off()
        work_off()
    return np.stack(vectors) if vectors else np.zeros((0, extractor.dim), np.float32)


def _content_hash(image: str | os.PathLike[str] | np.ndarray) -> bytes:
    """SHA-256 of a file's bytes, or of an array's size and pixels."""
    if isinstance(image, np.ndarray):
        pixels = np.ascontiguousarray(pixels_of(image))
        return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).digest()
    try:
        return hashlib.sha256(Path(image).read_bytes()).digest()
    except OSError as error:
        raise InputError(f"{os.fspath(image)} cannot be read ({error.strerror}).") from None
