"""`scg interpolate`: from one cell to another, or one cell whose one feature changes."""

from __future__ import annotations

from pathlib import Path

import click

from syntheticcellgan.errors import InputError


@click.command()
@click.argument("bundle")
@click.option("--cell-type", required=True, help="Type of the first cell.")
@click.option("--to-type", help="Type of the last cell.  [the same]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the first cell.")
@click.option(
    "--to-seed", type=click.IntRange(0), help="Seed of the last cell.  [the next, or the same of another type]"
)
@click.option(
    "--with", "features", multiple=True, metavar="NAME=VALUE", help="Feature of both cells, see scg generate."
)
@click.option("--to-with", "last_features", multiple=True, metavar="NAME=VALUE", help="Of the last cell, instead.")
@click.option(
    "--change",
    "changed",
    metavar="NAME[=VALUE]",
    help="Let this feature of one cell change instead: a size from small to large, an attribute from one value to the "
    "other or to VALUE; the rest stays, as far as it can.",
)
@click.option("--steps", type=int, default=8, show_default=True, help="Images from the first to the last.")
@click.option(
    "--rows", type=click.IntRange(1, 100), default=1, show_default=True, help="Rows, of the seeds that follow."
)
@click.option("--truncation", type=float, default=1.0, show_default=True, help="0: average cells; 1: all variety.")
@click.option("--style", metavar="FOLDER|LOOK.json", help="Look of another laboratory, see scg generate.")
@click.option(
    "--delay", type=click.IntRange(20, 10_000), default=120, show_default=True, help="Milliseconds per image."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="A grid: .png. An animated image, there and back: .gif, .webp or .apng.",
)
@click.option("--threads", type=click.IntRange(1), help="CPU threads. [all that this process may use]")
def interpolate(
    bundle: str,
    cell_type: str,
    to_type: str | None,
    seed: int,
    to_seed: int | None,
    features: tuple[str, ...],
    last_features: tuple[str, ...],
    changed: str | None,
    steps: int,
    rows: int,
    truncation: float,
    style: str | None,
    delay: int,
    out: Path,
    threads: int | None,
) -> None:
    """The way from one cell to another as a grid or an animated image; for teaching.

    \b
    scg interpolate pbc-256 --cell-type monocyte --seed 3 --to-seed 9 --out walk.gif
    scg interpolate pbc-256 --cell-type myelocyte --to-type neutrophil --rows 4 --out maturing.png
    scg interpolate pbc-256 --cell-type lymphocyte --change nucleus_area --rows 4 --out sizes.png
    """
    from syntheticcellgan.rows import check_target, write_rows

    check_target(out)
    if changed is not None and (to_type is not None or to_seed is not None or last_features):
        raise InputError("--change stays with one cell; leave --to-type, --to-seed and --to-with out.")
    import numpy as np
    import torch

    from syntheticcellgan.editing import change
    from syntheticcellgan.pipeline import SyntheticCellGAN
    from syntheticcellgan.wanted import parse
    from syntheticcellgan.writer import manner_of

    if threads:
        torch.set_num_threads(threads)
    chain = SyntheticCellGAN.load(bundle).steered(parse(features))
    if style is not None:
        chain = chain.in_style(style)
    record = manner_of(chain, truncation)
    made: list[np.ndarray] = []
    if changed is not None:
        record |= {"cell_type": chain.find_type(cell_type), "seeds": [seed + k for k in range(rows)], "change": changed}
        for k in range(rows):
            row = change(chain, cell_type, seed + k, changed, steps, truncation)
            made.append(row.images)
            click.echo(f"seed {seed + k}: {row.feature}={row.value}, {row.reading[0]:.3g} → {row.reading[-1]:.3g}")
    else:
        types = chain.find_type(cell_type), chain.find_type(cell_type if to_type is None else to_type)
        last = to_seed if to_seed is not None else seed + (types[0] == types[1])
        last_wanted = parse(last_features, "--to-with") if last_features else None
        ends = [((types[0], seed + k), (types[1], last + k)) for k in range(rows)]
        record |= {"between": ends} | ({"wanted_at_end": last_wanted} if last_wanted else {})
        made = [chain.walk(*pair, steps, truncation, last_wanted) for pair in ends]
    write_rows(made, out, record, delay)
    click.echo(f"{out}: {rows} × {steps} images. They are synthetic: not for diagnosis.")
