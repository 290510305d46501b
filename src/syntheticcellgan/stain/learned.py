"""The learned normaliser in use: images of any laboratory → the look of the one that it was trained on.

    normaliser = read_normaliser("pbc-256")              # of a shipped bundle, or a file of `scg stain learn`
    recolour = normaliser.fitted(images)                 # tells the laboratory; at least one image
    recolour(image) -> image                             # (H, W, 3) uint8, the same cell

Each image gets one smooth map of colours, from what the image itself and all images of its laboratory look like
(`networks/normaliser.py`). It moves no edge.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as save_tensors
from torch import Tensor

from syntheticcellgan.bundle_tensors import read_tensors
from syntheticcellgan.cores import one_thread
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.errors import InputError
from syntheticcellgan.files import write_whole
from syntheticcellgan.networks.normaliser import DARKEST, VIEW, Normaliser
from syntheticcellgan.segmentation import background_colour
from syntheticcellgan.stain.look import Image, evenly_spread

FORMAT = 1
SUFFIX = ".safetensors"
LARGEST = 4_000_000
MEASURED_AT = 128  # side in pixels, as looks are
_RECORD = "syntheticcellgan"
_STRIP = 1 << 16  # pixels at a time


@dataclass(frozen=True)
class LearnedNormaliser:
    """record: format, software, reference (name), images, licence, settings. id: what was applied, for the record."""

    network: Normaliser
    record: dict[str, Any]
    id: str

    @property
    def name(self) -> str:
        """Of the laboratory whose look images get."""
        return str(self.record["reference"])

    @property
    def white(self) -> Tensor:
        """(3,) 0 … 1, sRGB of the empty slide that images get."""
        return torch.tensor(self.record["white"], dtype=torch.float32)

    def fitted(self, images: Sequence[Image], progress: Callable[[int, int], None] | None = None) -> LearnedRecolouring:
        """The map of one laboratory, from up to 200 of its images (paths or (H, W, 3) uint8), spread evenly.

        Raises:
            InputError: no image at all, or one that cannot be read.
        """
        if not len(images):
            raise InputError("No image tells how the laboratory looks; give at least one, better 20 or more.")
        places = evenly_spread(len(images))
        codes, whites = [], []
        for done, i in enumerate(places, 1):
            image = images[i]
            pixels = image if isinstance(image, np.ndarray) else read_image(image)
            whites.append(empty_slide(pixels))
            codes.append(self.code(pixels, whites[-1]))
            if progress is not None:
                progress(done, len(places))
        bounds = np.percentile(whites, [5, 95], axis=0)
        return LearnedRecolouring(self, torch.cat(codes).mean(dim=0, keepdim=True), bounds)

    @torch.no_grad()
    def code(self, image: np.ndarray, white: np.ndarray) -> Tensor:
        """What an image (H, W, 3) uint8, whose empty slide is `white` (3,), says about its stain: (1, CODE)."""
        small = torch.from_numpy(resize_square(image, VIEW) / np.float32(255) / white.astype(np.float32))
        with one_thread():
            return self.network.codes(small.permute(2, 0, 1)[None])


@dataclass(frozen=True)
class LearnedRecolouring:
    """For the images of one laboratory. laboratory: their mean code, (1, CODE). whites: (2, 3), bounds of their empty slides;
    an image outside of them, such as one filled with cells, is taken to have the nearest.
    """

    normaliser: LearnedNormaliser
    laboratory: Tensor
    whites: np.ndarray

    @property
    def record(self) -> dict[str, object]:
        """From where to where, by ids of the laboratory's code and of the normaliser."""
        source = hashlib.sha256(np.round(self.laboratory.numpy(), 3).tobytes()).hexdigest()[:16]
        return {"method": "learned", "from": source, "to": [self.normaliser.name, self.normaliser.id]}

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> np.ndarray:
        """`image`, (H, W, 3) uint8 of any size, in the look of the reference."""
        network = self.normaliser.network
        white = np.clip(empty_slide(image), *self.whites).astype(np.float32)
        maps = network.maps(self.normaliser.code(image, white), self.laboratory)
        # Equal colours become equal, so each is computed once.
        flat = np.ascontiguousarray(image.reshape(-1, 3)).astype(np.uint32)
        colours, places = np.unique(flat[:, 0] << 16 | flat[:, 1] << 8 | flat[:, 2], return_inverse=True)
        pixels = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1).astype(np.float32) / 255 / white
        with one_thread():
            parts = [network.recoloured(part[None], maps)[0] for part in torch.from_numpy(pixels).split(_STRIP)]
        moved = ((torch.cat(parts) * self.normaliser.white).clamp(0, 1) * 255).round().byte().numpy()
        return np.ascontiguousarray(moved[places.reshape(-1)].reshape(image.shape))


def empty_slide(image: np.ndarray) -> np.ndarray:
    """(3,) 0 … 1, sRGB of the empty slide of (H, W, 3) uint8, as far as it can be seen."""
    small = resize_square(image, MEASURED_AT) if min(image.shape[:2]) > MEASURED_AT else image
    return np.maximum(np.asarray(background_colour(small), float) / 255, DARKEST)


def shipped_normalisers() -> dict[str, Path]:
    """Those inside the package, by the bundle that they belong to."""
    return {path.stem: path for path in sorted((Path(__file__).parent / "normalisers").glob(f"*{SUFFIX}"))}


def write_normaliser(network: Normaliser, record: dict[str, Any], path: Path) -> None:
    """Write it as safetensors in half precision, `record` in its header.

    Raises:
        OSError: the file cannot be written.
    """
    tensors = {key: value.half().contiguous() for key, value in network.state_dict().items()}
    write_whole(path, save_tensors(tensors, {_RECORD: json.dumps({"format": FORMAT} | record, sort_keys=True)}))


def read_normaliser(name_or_path: str | Path) -> LearnedNormaliser:
    """A shipped one by its bundle's name, or what `write_normaliser` wrote.

    Raises:
        InputError: neither; or a file that is damaged or of another version.
    """
    path = Path(name_or_path)
    known = shipped_normalisers()
    if not path.is_file():
        if str(name_or_path) not in known:
            raise InputError(
                f"{name_or_path} is no learned normaliser: give the file that `scg stain learn` wrote, or "
                f"{', '.join(known) or 'none, as none is shipped'}. Looks and folders need --method classic."
            )
        path = known[str(name_or_path)]
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise InputError(f"{path} is too large for a normaliser; write one with `scg stain learn`.")
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in Normaliser().state_dict().items()}
    tensors = read_tensors(content, shapes, path.parent, path.name)
    record = _record(content, path)
    network = Normaliser()
    network.load_state_dict(tensors)
    digest = hashlib.sha256(content).hexdigest()[:16]
    return LearnedNormaliser(network.eval().requires_grad_(False), record, digest)


def _record(content: bytes, path: Path) -> dict[str, Any]:
    length = int.from_bytes(content[:8], "little")
    try:
        record = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][_RECORD])
        white = np.array(record["white"], float)
        if record["format"] != FORMAT or not isinstance(record["reference"], str):
            raise ValueError("another version")
        if white.shape != (3,) or not ((white >= DARKEST) & (white <= 1)).all():
            raise ValueError("no empty slide")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path} holds no normaliser of this version; write one with `scg stain learn`.") from None
    return dict(record)
