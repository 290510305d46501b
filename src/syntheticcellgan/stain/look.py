"""A laboratory's look: what its images say of its lamp, camera and stain, as a small table; and the file that holds it.

fit(paths, name) -> Look                   # from at least 20 images, unlabelled
read_look(path), look.write(path)
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from syntheticcellgan import __version__
from syntheticcellgan.data.images import read_image
from syntheticcellgan.errors import InputError
from syntheticcellgan.files import write_json
from syntheticcellgan.stain.colour import DARKEST
from syntheticcellgan.stain.measure import REGIONS, Measurement, measure

FORMAT = 1
MINIMUM = 20
"""Images in which a cell is found: fewer say too little about a laboratory."""
LIMIT = 200
"""Images that are looked at, spread evenly over those given: more change nothing that can be seen."""
_FEWEST_REGIONS = 10  # images that must show a region for it to count
_NOISE = 0.03  # standard deviation of the logarithm of one image's white point around the truth
LARGEST_FILE = 4_000_000

Image = str | os.PathLike[str] | np.ndarray


@dataclass(frozen=True)
class Look:
    """The measurements of n images of one laboratory, a row each; see `stain.measure.Measurement`.

    whites: (n, 3) XYZ. colours: (n, 3 regions, 3) L*a*b*, NaN where an image shows none. edges, diameters: (n,), shares
    of the side. tried: images looked at, those without a cell included.
    """

    name: str
    whites: np.ndarray
    colours: np.ndarray
    edges: np.ndarray
    diameters: np.ndarray
    tried: int

    def __len__(self) -> int:
        return len(self.whites)

    @cached_property
    def white(self) -> np.ndarray:
        """(3,) XYZ of the empty slide, the median over the images."""
        return np.median(self.whites, axis=0)

    @cached_property
    def regions(self) -> dict[str, np.ndarray]:
        """L*a*b* (3,) of each region that at least ten images show, the median over the images."""
        seen = np.isfinite(self.colours[..., 0]).sum(axis=0)
        return {
            name: np.nanmedian(self.colours[:, k], axis=0)
            for k, name in enumerate(REGIONS)
            if seen[k] >= _FEWEST_REGIONS
        }

    @property
    def edge(self) -> float:
        return float(np.median(self.edges))

    @property
    def diameter(self) -> float:
        return float(np.median(self.diameters))

    @cached_property
    def _gain(self) -> np.ndarray:
        """(3, 3): how much of an image's own deviation from the laboratory's white is believed.

        Where all images agree, a deviation is an error of measurement (a crowded field); where lamps differ from
        smear to smear, it is the lamp. In between, the linear estimate of least square error: T (T + N)⁻¹ with the
        covariance T of the logarithms among the images (the outermost tenth drawn in) and N that of the error.
        """
        logs = np.log(self.whites)
        low, high = np.percentile(logs, [5, 95], axis=0)
        error = _NOISE**2 * np.eye(3)
        total = np.cov(np.clip(logs, low, high).T) + 1e-12 * np.eye(3)
        # The spread that is seen contains the error already.
        values, vectors = np.linalg.eigh(total - error)
        truth = vectors @ np.diag(np.maximum(values, 0.0)) @ vectors.T
        return truth @ np.linalg.inv(truth + error)

    def believed_white(self, measured: np.ndarray) -> np.ndarray:
        """The white XYZ (3,) of one image of this laboratory whose background was measured as `measured`."""
        centre = np.log(self.white)
        return np.exp(centre + self._gain @ (np.log(np.maximum(measured, DARKEST)) - centre))

    @cached_property
    def id(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the numbers: what a style was, for the record."""
        return hashlib.sha256(json.dumps(self._table()).encode()).hexdigest()[:16]

    def _table(self) -> dict[str, Any]:
        def listed(values: np.ndarray) -> Any:
            return json.loads(json.dumps(values.tolist()).replace("NaN", "null"))

        return {
            "whites": listed(self.whites),
            "colours": {name: listed(self.colours[:, k]) for k, name in enumerate(REGIONS)},
            "edges": listed(self.edges),
            "diameters": listed(self.diameters),
        }

    def summary(self) -> dict[str, Any]:
        """For a reader and for cards: images measured, background in sRGB, L*a*b* of the regions, cells' share of the side."""
        return {
            "images": len(self),
            "white_srgb": [round(float(v), 1) for v in srgb_of(self.white)],
            "lab": {name: [round(float(v), 1) for v in lab] for name, lab in self.regions.items()},
            "diameter": round(self.diameter, 3),
        }

    def write(self, path: Path) -> None:
        """Write it as JSON.

        Raises:
            ScgError: the file cannot be written.
        """
        record = {"format": FORMAT, "software": f"syntheticcellgan {__version__}", "name": self.name}
        write_json(path, record | {"summary": self.summary(), "tried": self.tried} | self._table())


def srgb_of(white: np.ndarray) -> np.ndarray:
    """sRGB 0 … 255, not rounded, of a white XYZ (3,)."""
    from skimage.color import xyz2rgb

    return np.asarray(xyz2rgb(white)) * 255.0


def evenly_spread(count: int, most: int = LIMIT) -> np.ndarray:
    """Places of up to `most` of `count` things, evenly spread from the first to the last."""
    return np.unique(np.linspace(0, count - 1, most).round().astype(int))


def fit(images: Sequence[Image], name: str, progress: Callable[[int, int], None] | None = None) -> Look:
    """The look of the laboratory that made `images` (paths or (H, W, 3) uint8), measured on up to 200 of them.

    Raises:
        InputError: an image that cannot be read, or fewer than 20 images in which a cell is found.
    """
    if len(images) < MINIMUM:
        raise InputError(
            f"{name} has {len(images)} images; a laboratory's look needs at least {MINIMUM} of them (unlabelled will do)."
        )
    chosen = [images[i] for i in evenly_spread(len(images))]
    found: list[Measurement] = []
    for done, image in enumerate(chosen, 1):
        result = measure(image if isinstance(image, np.ndarray) else read_image(image))
        if result is not None:
            found.append(result)
        if progress is not None:
            progress(done, len(chosen))
    if len(found) < MINIMUM:
        raise InputError(
            f"{name}: a white cell on an empty slide was found in {len(found)} of {len(chosen)} images; a look needs "
            f"{MINIMUM}. Give crops of single cells, centred, of at least 64 pixels a side."
        )
    return Look(
        name,
        # Rounded here, not in the file, so that a folder and the file fitted on it give the same images.
        np.round([m.white for m in found], 5),
        np.round([m.colours for m in found], 2),
        np.round([m.edge for m in found], 5),
        np.round([m.diameter for m in found], 4),
        len(chosen),
    )


def read_look(path: str | os.PathLike[str]) -> Look:
    """Read what `Look.write` wrote.

    Raises:
        InputError: no such file, no look, or one of another version.
    """
    where = os.fspath(path)
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(f"{where} cannot be read ({error.strerror}).") from None
    if len(content) > LARGEST_FILE:
        raise InputError(f"{where} is too large for a look; write one with `scg stain fit`.")
    try:
        values = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise InputError(f"{where} is no JSON; write a look with `scg stain fit`.") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT or "whites" not in values:
        raise InputError(f"{where} holds no look of this version; write one with `scg stain fit`.")
    try:
        colours = np.stack([np.array(values["colours"][name], float) for name in REGIONS], axis=1)
        look = Look(
            str(values["name"]),
            np.array(values["whites"], float),
            colours,
            np.array(values["edges"], float),
            np.array(values["diameters"], float),
            int(values["tried"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{where} is damaged ({type(error).__name__}: {error}); write it anew with `scg stain fit`."
        ) from None
    _check(look, where)
    return look


def _check(look: Look, where: str) -> None:
    """Nothing in a file may lead to a NaN or a black image."""
    n = len(look.whites) if look.whites.ndim else 0
    shapes = look.whites.shape == (n, 3) and look.colours.shape == (n, len(REGIONS), 3)
    shapes = shapes and look.edges.shape == look.diameters.shape == (n,)
    if not shapes or n < MINIMUM:
        raise InputError(f"{where} is damaged: its columns differ in length or hold fewer than {MINIMUM} images.")
    fine = (look.whites >= DARKEST / 2) & (look.whites <= 2.0)
    seen = np.isfinite(look.colours)
    fine_colours = (np.abs(look.colours) <= 300) | ~seen
    lengths = np.concatenate([look.edges, look.diameters])
    if not (fine.all() and fine_colours.all() and ((lengths >= 0) & (lengths <= 2)).all()):
        raise InputError(f"{where} holds values that no image has; write it anew with `scg stain fit`.")
    if "nucleus" not in look.regions:
        raise InputError(f"{where} says nothing about nuclei; write it anew with `scg stain fit`.")
