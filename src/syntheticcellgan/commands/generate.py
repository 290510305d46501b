"""`scg generate`: images of the cell types that are asked for."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from syntheticcellgan.errors import InputError

DEFAULT_COUNT = 16


@click.command()
@click.argument("bundle")
@click.option("--cell-type", "cell_types", multiple=True, help="Type to make; may be given several times.")
@click.option("--all", "every", is_flag=True, help="Every type that the bundle knows.")
@click.option("--balance-with", type=click.Path(path_type=Path), help="Fill up the rare types of this data set.")
@click.option("--count", type=int, help=f"Images of each type.  [default: {DEFAULT_COUNT}]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="First seed.")
@click.option("--truncation", type=float, default=1.0, show_default=True, help="0: average cells; 1: all variety.")
@click.option(
    "--style",
    metavar="FOLDER|LOOK.json",
    help="Look of another laboratory: at least 20 of its images, unlabelled, or what `scg stain fit` wrote.",
)
@click.option("--format", "image_format", type=click.Choice(["png", "jpeg", "tiff"]), default="png", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder; the same command again completes it."
)
@click.option("--threads", type=click.IntRange(1), help="CPU threads. [all that this process may use]")
def generate(
    bundle: str,
    cell_types: tuple[str, ...],
    every: bool,
    balance_with: Path | None,
    count: int | None,
    seed: int,
    truncation: float,
    style: str | None,
    image_format: str,
    out: Path,
    threads: int | None,
) -> None:
    """Make images with BUNDLE: a folder, a zip, or the name of a shipped one (pbc-256)."""
    if sum([bool(cell_types), every, balance_with is not None]) != 1:
        raise InputError("Say what to make: --cell-type NAME, --all, or --balance-with DATA (one of the three).")
    if balance_with is not None and count is not None:
        raise InputError("--balance-with says itself how many images each type needs; leave --count out.")
    import torch

    from syntheticcellgan.pipeline import SyntheticCellGAN
    from syntheticcellgan.writer import Request, balance, write_cells

    if threads:
        torch.set_num_threads(threads)
    chain = SyntheticCellGAN.load(bundle)
    if balance_with is not None:
        from syntheticcellgan.data.manifest import read_manifest

        requests = balance(read_manifest(balance_with), chain.cell_types, seed)
    else:
        wanted = DEFAULT_COUNT if count is None else count
        requests = [Request(name, wanted, seed) for name in (chain.cell_types if every else cell_types)]
    if style is not None:
        chain = chain.in_style(style)
    with ExitStack() as shown:
        bars: list[Any] = []

        def report(done: int, total: int) -> None:
            if not bars:  # not before something was made: until then a sentence may come instead
                bars.append(shown.enter_context(click.progressbar(length=total, label="cells", file=sys.stderr)))
            bars[0].update(done - bars[0].pos)

        made = write_cells(chain, requests, out, image_format, truncation, report)
    what = "1 image" if made == 1 else f"{made} images"
    click.echo(f"{what} in {out} (metadata.csv, contact_sheet.png). They are synthetic: not for diagnosis.")
