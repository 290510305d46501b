"""The page of `scg stain check`: figures, swatches and pictures in one file that opens without a network.

Side(look, images)                                   # of each that is compared; images to show, where there are any
after_standardising(reference, other)                # what would be left of the difference
write_page(found, left, reference, other, out)       # out/check.html and out/check.json
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.errors import ScgError
from syntheticcellgan.files import write_json
from syntheticcellgan.provenance import SOFTWARE
from syntheticcellgan.stain.colour import to_rgb
from syntheticcellgan.stain.comparison import BACKGROUND, Comparison, compare
from syntheticcellgan.stain.look import MINIMUM, Look, evenly_spread, fit
from syntheticcellgan.stain.look import Image as Source
from syntheticcellgan.stain.recolour import Recolouring

_SHOWN, _TILE = 8, 128
_MEASURED = 60  # images that say what standardisation leaves


@dataclass(frozen=True)
class Side:
    """One of the two that are compared. images: paths or arrays; empty where only the look's file is at hand."""

    look: Look
    images: Sequence[Source] = ()


def after_standardising(reference: Side, other: Side) -> Comparison | None:
    """What is left when `other` is standardised: the map is fitted on every second image, the rest is measured.

    None where `other` has fewer than 40 images at hand, or too few of them show a cell.
    """
    fitted, measured = list(other.images[::2]), list(other.images[1::2])
    if len(measured) < MINIMUM:
        return None
    chosen = [measured[i] for i in evenly_spread(len(measured), _MEASURED)]
    try:
        recolour = Recolouring(fit(fitted, other.look.name), reference.look)
        return compare(reference.look, fit([recolour(_read(image)) for image in chosen], other.look.name))
    except ScgError:
        return None


def write_page(found: Comparison, left: Comparison | None, reference: Side, other: Side, out: Path) -> Path:
    """Write check.html and check.json into `out`; returns the page.

    Raises:
        ScgError: the folder cannot be written.
    """
    write_json(out / "check.json", {"as_they_are": found.as_dict(), "standardised": left.as_dict() if left else None})
    recolour = Recolouring(other.look, reference.look)
    theirs = _shown(other.images)
    rows = [
        (f"{reference.look.name}", _shown(reference.images)),
        (f"{other.look.name}, as they are", theirs),
        (f"{other.look.name}, standardised", [recolour(image) for image in theirs]),
    ]
    environment = Environment(
        loader=PackageLoader("syntheticcellgan.stain"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("check.html.j2").render(
        found=found,
        left=left,
        rows=[(title, _strip(images)) for title, images in rows if images],
        swatches=[swatches(side.look) for side in (reference, other)],
        names=(reference.look.name, other.look.name),
        parts=list(found.differences),
        software=SOFTWARE,
    )
    path = out / "check.html"
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ScgError(f"{path} cannot be written ({error.strerror}); choose another --out.") from error
    return path


def _read(image: Source) -> np.ndarray:
    return image if isinstance(image, np.ndarray) else read_image(image)


def _shown(images: Sequence[Source]) -> list[np.ndarray]:
    """Eight of them, spread evenly: nobody chose them."""
    if not len(images):
        return []
    places = evenly_spread(len(images), _SHOWN)
    return [resize_square(_read(images[i]), 2 * _TILE) for i in places]


def _strip(images: list[np.ndarray]) -> str:
    """A row of tiles as the data address of a PNG."""
    buffer = io.BytesIO()
    row = np.concatenate([resize_square(image, _TILE) for image in images], axis=1)
    Image.fromarray(row).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def swatches(look: Look) -> dict[str, str]:
    """The colour of each part as it stands on a screen, #rrggbb."""
    colours = {BACKGROUND: np.array([100.0, 0.0, 0.0])} | look.regions
    return {part: "#" + to_rgb(lab[None], look.white)[0].tobytes().hex() for part, lab in colours.items()}
