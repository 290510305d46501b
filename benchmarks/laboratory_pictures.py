"""Pictures of laboratories.py: synthetic cells in every look, and real ones before and after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from laboratory_cells import HOME, PIXELS, TYPES, Cells
from laboratory_methods import Images
from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.data.images import resize_square
from syntheticcellgan.stain.look import Look
from syntheticcellgan.stain.recolour import Recolouring


def pictures(
    chain: SyntheticCellGAN,
    cells: Cells,
    show: str,
    learned: Callable[[np.ndarray], np.ndarray] | None,
    out: Path,
) -> None:
    """looks.png: the same synthetic cells (seeds 0 and 1) in every look. standardised.png: real cells of the laboratory
    `show`, whose licence must allow it, before and after, evenly spread; below them real cells of the reference.
    """

    def made(look: Look | None) -> Images:
        return [resize_square(image, PIXELS) for image in chain.generate(TYPES, 2, style=look).images]

    rows = {f"{chain.bundle.name}\nas it is": made(None)}
    sheet(
        rows | {name.replace("_style", "\nstyle"): made(look) for name, look in cells.looks.items()}, out / "looks.png"
    )
    if show in cells.looks:
        before, home = (
            [images[i] for i in np.linspace(0, len(images) - 1, 10).round().astype(int)]
            for images in (cells.raw[show][0], cells.raw[HOME][0])
        )
        rows = {"as they are": before, "standardised": list(map(Recolouring(cells.looks[show], cells.look), before))}
        if learned is not None:
            rows["standardised,\nlearned"] = list(map(learned, before))
        sheet(rows | {"the reference": home}, out / "standardised.png")


def sheet(rows: dict[str, Images], path: Path) -> None:
    """A labelled row of images each."""
    margin, columns = 170, max(map(len, rows.values()))
    page = Image.new("RGB", (margin + columns * PIXELS, len(rows) * PIXELS), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(15)
    for row, (title, images) in enumerate(rows.items()):
        draw.multiline_text((8, (row + 0.5) * PIXELS), title, fill="black", font=font, anchor="lm")
        for column, image in enumerate(images):
            page.paste(Image.fromarray(image), (margin + column * PIXELS, row * PIXELS))
    path.parent.mkdir(parents=True, exist_ok=True)
    page.save(path, optimize=True)
