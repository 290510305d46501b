"""`scg bundle`: look at a trained bundle, check it, pass it on."""

from __future__ import annotations

import shlex
from pathlib import Path

import click


@click.group()
def bundle() -> None:
    """Show, verify or export a trained bundle (a folder, a zip, or a shipped name such as pbc-256)."""


@bundle.command()
@click.argument("path")
def show(path: str) -> None:
    """Print the card: what it learnt from, how good it is, and its limits."""
    from syntheticcellgan.bundle import read_card
    from syntheticcellgan.card import render_card

    click.echo(render_card(read_card(path)))


@bundle.command()
@click.argument("path")
def verify(path: str) -> None:
    """Check every file and tensor."""
    from syntheticcellgan.bundle import verify_bundle

    found = verify_bundle(path)
    click.echo(f"{path} is whole and unaltered: {found.name} ({found.id}), {len(found.chain.cell_types)} cell types.")


@bundle.command()
@click.argument("path")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--onnx", is_flag=True, help="Write the generator as an ONNX graph, to be used without PyTorch.")
def export(path: str, out: Path, onnx: bool) -> None:
    """Write the bundle as one zip, OUT; or, with --onnx, as a graph OUT.onnx and a small program that runs it."""
    if onnx:
        from syntheticcellgan.bundle import load_bundle
        from syntheticcellgan.onnx_export import export_onnx

        difference = export_onnx(load_bundle(path), out)
        click.echo(
            f"{out} makes the same cells as the bundle (mean difference {difference:.4f} of 255 levels). Without PyTorch: "
            f"python {shlex.quote(str(out.with_name('onnx_runner.py')))} {shlex.quote(str(out))} --help"
        )
        return
    from syntheticcellgan.bundle_writing import export_bundle

    export_bundle(path, out)
    click.echo(f"{out} holds the bundle; it can be used as it is, without unpacking.")
