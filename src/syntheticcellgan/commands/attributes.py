"""`scg attributes`: teach a bundle which features its cells can be chosen by."""

from __future__ import annotations

from pathlib import Path

import click

from syntheticcellgan.commands.bars import shown_steps
from syntheticcellgan.errors import InputError


@click.group()
def attributes() -> None:
    """Features by which cells can be chosen: `scg generate --with NAME=VALUE`.

    `scg bundle show` lists those that a bundle knows, and how often each type shows them.
    """


@attributes.command()
@click.argument("bundle")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--table",
    type=click.Path(path_type=Path),
    help="CSV with a column file (or img_name) and one for each attribute.  [further columns of DATA's labels.csv]",
)
@click.option(
    "--split",
    type=click.Path(path_type=Path),
    help="split.json of the bundle's run: says which images it was trained on.  [found by the bundle's fingerprints]",
)
@click.option("--source", help="How the card names the table.  [its file name]")
@click.option("--licence", default="not stated", help="Licence of the table, for the card.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides every draw.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads. [all that this process may use]")
def fit(
    bundle: str,
    data: Path,
    table: Path | None,
    split: Path | None,
    source: str | None,
    licence: str,
    seed: int,
    threads: int | None,
) -> None:
    """Learn attributes from the images in DATA that BUNDLE (its folder) was trained on; others measure how well.

    \b
    scg attributes fit runs/mine/bundle my-cells
    scg attributes fit runs/mine/bundle my-cells --table attributes.csv --licence MIT
    """
    import torch

    from syntheticcellgan.attributes.fitting import fit_attributes
    from syntheticcellgan.attributes.labels import labelled_cells, trained_on
    from syntheticcellgan.bundle import load_bundle
    from syntheticcellgan.bundle_writing import add_attributes
    from syntheticcellgan.data.attribute_table import read_attributes
    from syntheticcellgan.data.manifest import read_manifest

    if threads:
        torch.set_num_threads(threads)
    known = load_bundle(bundle)
    if not known.path.is_dir():
        raise InputError(f"{bundle} is a zip; attributes are written into a bundle's folder. Unpack it first.")
    manifest = read_manifest(data)
    values = read_attributes(table) if table is not None else None
    with shown_steps() as progress:
        if split is not None:
            from syntheticcellgan.data.splits import read_split

            train = set(read_split(split).train)
            own = [record.file in train for record in manifest.records]
        else:
            done = 0

            def looked(count: int) -> None:
                nonlocal done
                done += count
                progress("which were trained on", done, len(manifest))

            own = trained_on(known, manifest, looked).tolist()
        cells = labelled_cells(manifest, known.chain.cell_types, own, values)
        source = source or (table.name if table is not None else f"labels of {manifest.root.name}")
        fitted = fit_attributes(known, cells, source, licence, seed, progress)
    add_attributes(known.path, fitted.attributes)
    for one in fitted.attributes.attributes:
        click.echo(
            f"{one.name:28} {', '.join(one.values)}: {one.accuracy:.3f} of {one.n_test} rightly named "
            f"(usual value of the type {one.usual:.3f})"
        )
    for size in fitted.attributes.sizes:
        click.echo(f"{size.name:28} correlation {size.correlation:.3f} within types, n = {size.n_test}")
    for name, reason in fitted.left_out.items():
        click.echo(f"Left out: {name} ({reason}).")
    click.echo(
        f"{known.path} knows them now. Try: scg generate {known.path} --all --with nucleus_area=large --out cells"
    )
