"""The demonstration: synthetic cells of every type beside real ones, and a page that shows them."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from syntheticcellgan.cell_types import resolve
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.sample import sample_folder
from syntheticcellgan.pipeline import SyntheticCellGAN
from syntheticcellgan.provenance import FORMATS, encode_sheet
from syntheticcellgan.writer import Progress, Request, write_cells

BUNDLE = "pbc-256"
GAP = 8

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>SyntheticCellGAN: {bundle}</title><style>
:root {{ color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5 }}
body {{ max-width: 72rem; margin: 2rem auto; padding: 0 1rem }}
section {{ display: grid; grid-template-columns: 1fr 1fr; gap: .4rem 1.5rem; margin: 2rem 0 }}
h2, p.note {{ grid-column: 1 / -1; margin: 0 }}
figure {{ margin: 0 }} figcaption {{ font-size: .9rem; opacity: .8 }}
.cells {{ display: grid; grid-template-columns: repeat(4, 1fr); gap: 3px }}
img {{ width: 100%; display: block; border-radius: 3px }}
@media (max-width: 40rem) {{ section {{ grid-template-columns: 1fr }} }}
</style></head><body>
<h1>Synthetic and real cells</h1>
<p>Left: made by the bundle <b>{bundle}</b> ({bundle_id}), seeds {seed} to {last} in order, nothing selected. Right: real
cells that the networks have never seen (PBC Barcelona, Acevedo et al. 2020, CC BY 4.0). The synthetic cells are no
patient's cells and must not be used for diagnosis.</p>
{sections}
</body></html>
"""


def make_demo(out: Path, count: int, seed: int, progress: Progress | None = None) -> tuple[Path, int]:
    """Generate `count` cells of each type into `out`/cells and write the page `out`/index.html.

    Returns:
        The page and the number of synthetic cells.

    Raises:
        InputError, ScgError: as `writer.write_cells`.
    """
    chain = SyntheticCellGAN.load(BUNDLE)
    requests = [Request(name, count, seed) for name in chain.cell_types]
    made = write_cells(chain, requests, out / "cells", progress=progress)
    page = out / "index.html"
    page.write_text(_page(chain, count, seed, _copy_sample(out / "real")), encoding="utf-8")
    side_by_side(chain, 8, out / "contact_sheet.png", seed)
    return page, made


def side_by_side(chain: SyntheticCellGAN, count: int, path: Path, seed: int = 0, side: int = 96) -> None:
    """Picture: one row per type, `count` synthetic cells of the first seeds in order, a bar, `count` real ones in file order."""
    sample = read_manifest(sample_folder())
    rows = []
    for name in chain.cell_types:
        synthetic = list(chain.generate(name, count, seed).images)
        real = [read_image(sample.path(record)) for record in sample.of_type(name).records[:count]]
        real += [np.full((256, 256, 3), 255, np.uint8)] * (count - len(real))
        bar = np.full((side, GAP, 3), 255, np.uint8)
        left, right = ([resize_square(image, side) for image in images] for images in (synthetic, real))
        rows.append(np.concatenate([*left, bar, *right], axis=1))
    about = {"bundle": chain.bundle.name, "shows": "synthetic cells left of the bar, real ones right"}
    path.write_bytes(encode_sheet(Image.fromarray(np.concatenate(rows)), about))


def _copy_sample(folder: Path) -> dict[str, list[str]]:
    """Copies of the real cells, so that the page can be passed on; file names by type."""
    sample = read_manifest(sample_folder())
    files: dict[str, list[str]] = {}
    for record in sample.records:
        target = folder / record.file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(sample.path(record).read_bytes())
        files.setdefault(record.cell_type, []).append(f"{folder.name}/{record.file}")
    notice = sample_folder() / "ATTRIBUTION.md"
    (folder / notice.name).write_bytes(notice.read_bytes())
    return files


def _page(chain: SyntheticCellGAN, count: int, seed: int, real: dict[str, list[str]]) -> str:
    sections = []
    for name in chain.cell_types:
        known = resolve(name)
        synthetic = [f"cells/{name}/{name}-{s:08d}{FORMATS['png']}" for s in range(seed, seed + count)]
        figures = [_figure("synthetic", synthetic), _figure("real", real.get(name, [])[:count])]
        heading = f"<h2>{escape(known.title)}</h2><p class='note'>{escape(known.note)}</p>"
        sections.append(f"<section>{heading}{''.join(figures)}</section>")
    return _PAGE.format(
        bundle=escape(chain.bundle.name),
        bundle_id=chain.bundle.id,
        seed=seed,
        last=seed + count - 1,
        sections="\n".join(sections),
    )


def _figure(caption: str, files: list[str]) -> str:
    images = "".join(f'<img src="{escape(file)}" alt="{caption}" loading="lazy">' for file in files)
    return f'<figure><figcaption>{caption}</figcaption><div class="cells">{images}</div></figure>'
