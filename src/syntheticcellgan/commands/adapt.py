"""`scg adapt`: a further cell type from few images."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from syntheticcellgan.commands.training_bars import TrainingBars
from syntheticcellgan.errors import InputError


@click.command()
@click.argument("bundle")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--cell-type", required=True, metavar="NAME", help="The new type; any name that the bundle does not know."
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Run folder; the same command again resumes."
)
@click.option("--effort", type=click.FloatRange(0.01, 20), default=1.0, show_default=True, help="Scales the minutes.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides split and every draw.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads. [all that this process may use]")
@click.option("--name", help="Name of the new bundle. [that of BUNDLE + the type]")
@click.option("--licence", default="not stated", help="Licence of the images, for the card.")
def adapt(
    bundle: str,
    data: Path,
    cell_type: str,
    out: Path,
    effort: float,
    seed: int,
    threads: int | None,
    name: str | None,
    licence: str,
) -> None:
    """Teach BUNDLE a further cell type from 20 to 100 images in DATA.

    DATA is a folder of images of the type alone, or a data set of which only NAME is taken. The types that BUNDLE knows
    stay as they are, image for image. The new bundle is OUT/bundle.
    """
    from syntheticcellgan.adaptation.run import adapt as learn
    from syntheticcellgan.config import Adaptation, lengthened
    from syntheticcellgan.training.hardware import use_threads

    use_threads(threads)
    if not data.exists():
        raise InputError(f"{data}: no such folder; check the name.")
    with TrainingBars() as bars:
        made = learn(
            bundle,
            data,
            cell_type,
            out,
            lengthened(Adaptation(seed=seed), effort),
            name=name,
            licence=licence,
            report=bars.report,
            say=bars.say,
        )
    click.echo(
        f"The bundle is {made}. Try: scg generate {shlex.quote(str(made))} --cell-type {cell_type} --count 16 --out cells"
    )
