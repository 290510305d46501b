"""`scg export`: a data set for other programs."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--format", "format_", required=True, help="huggingface, webdataset, coco, dicom or croissant.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new or empty folder.")
@click.option("--name", help="What the set calls itself.  [default: the folder's name]")
@click.option("--licence", help="SPDX identifier (CC-BY-4.0) or address of the licence.")
def export(folder: Path, format_: str, out: Path, name: str | None, licence: str | None) -> None:
    """Write the data set in FOLDER (real or synthetic cells) in a format that other programs read."""
    from syntheticcellgan.commands.bars import shown_progress
    from syntheticcellgan.exports import export_dataset

    with shown_progress("Exporting", None) as progress:
        said = export_dataset(folder, out, format_, name=name, licence=licence, progress=progress)
    click.echo(f"{out}: {said}")
