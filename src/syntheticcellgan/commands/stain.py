"""`scg stain`: fit a laboratory's look, bring images into another's, say how far two lie apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from syntheticcellgan.commands.bars import shown_steps
from syntheticcellgan.errors import InputError, ScgError

if TYPE_CHECKING:
    from syntheticcellgan.stain.look import Look
    from syntheticcellgan.stain.page import Side


@click.group()
def stain() -> None:
    """One standard of colour across laboratories.

    A look is what a laboratory's images have in common: the colour of the empty slide, and those of nuclei, cytoplasm
    and red cells seen against it. It takes at least 20 images, and no labels.
    """


@stain.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON file of the look.")
def fit(folder: Path, out: Path) -> None:
    """Write the look of the images in FOLDER: a small table, no picture, to keep or to pass on."""
    from syntheticcellgan.stain.sources import look_of

    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the one that holds the laboratory's images.")
    with _progress("looking at cells") as progress:
        look = look_of(folder, progress)
    look.write(out)
    click.echo(f"{look.name}: {_colours(look)}; {len(look)} of {look.tried} images: {out}")


@stain.command()
@click.argument("images", type=click.Path(path_type=Path))
@click.option(
    "--to", "target", required=True, metavar="LOOK|BUNDLE|FOLDER", help="Look that the images are to have afterwards."
)
@click.option("--from", "source", metavar="LOOK|FOLDER", help="Look that they have now.  [that of IMAGES themselves]")
@click.option(
    "--method",
    type=click.Choice(["classic", "learned"]),
    default="classic",
    show_default=True,
    help="classic: measured colours, from at least 20 images. learned: a network, from one image on; --to is then a shipped "
    "bundle or a file of `scg stain learn`, --from a folder.",
)
@click.option(
    "--size", is_flag=True, help="Also enlarge or shrink, so that cells fill as much of the side as they do there."
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder; the same command again completes it."
)
def apply(images: Path, target: str, source: str | None, method: str, size: bool, out: Path) -> None:
    """Bring all IMAGES (a folder) into one look: for example into that of the bundle or classifier that is to read them.

    \b
    scg stain apply my-images --to pbc-256 --out standardised
    scg stain apply new-smear --from my-laboratory.json --to reference.json --size --out standardised
    scg stain apply one-smear --to pbc-256 --method learned --out standardised
    """
    if size and method == "learned":
        raise InputError("--size needs two measured looks: leave --method learned out, or --size.")
    from syntheticcellgan.stain.learned import read_normaliser
    from syntheticcellgan.stain.recolour import Recolouring
    from syntheticcellgan.stain.size import Resizing
    from syntheticcellgan.stain.sources import image_paths, look_of
    from syntheticcellgan.stain.standardise import Recolour, standardise

    paths = image_paths(images)
    recolour: Recolour
    if method == "learned":
        normaliser = read_normaliser(target)
        known = paths if source is None else image_paths(source)
        name = normaliser.name
        with _progress("looking at cells") as progress:
            recolour = normaliser.fitted(known, progress)
    else:
        wanted = _side(target).look
        name = wanted.name
        with _progress("looking at cells") as progress:
            recolour = (Resizing if size else Recolouring)(
                look_of(images if source is None else source, progress), wanted
            )
    with _progress("images") as progress:
        done = standardise(images, paths, recolour, out, progress)
    click.echo(f"{done.written} images in the look of {name}: {out}")
    if done.unreadable:
        more = f" (and {len(done.unreadable) - 1} more)" if len(done.unreadable) > 1 else ""
        raise ScgError(f"Left out: {done.unreadable[0]}{more}")


@stain.command()
@click.argument("reference", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File of the normaliser (.safetensors).")
@click.option("--split", type=click.Path(path_type=Path), help="split.json: learn from its training part alone.")
@click.option(
    "--per-type", type=click.IntRange(1), default=200, show_default=True, help="Images of each type, at most."
)
@click.option("--kimg", type=click.FloatRange(0.05, 10_000), help="Thousands of images to look at.  [160]")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [1 is nearly as fast as 2]")
@click.option("--licence", default="not stated", help="Of the images, for the record.")
@click.option("--name", help="Of the laboratory.  [the folder's name]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def learn(
    reference: Path,
    out: Path,
    split: Path | None,
    per_type: int,
    kimg: float | None,
    threads: int | None,
    licence: str,
    name: str | None,
    seed: int,
) -> None:
    """Train a normaliser on the images of one laboratory, REFERENCE, alone, in about ten minutes on a CPU.

    It sees them recoloured at random, as laboratories that do not exist would show them, and learns to undo that.

    \b
    scg stain learn my-images --out normaliser.safetensors
    scg stain apply theirs --to normaliser.safetensors --method learned --out standardised
    """
    from syntheticcellgan.training.normaliser import learn_from

    with _progress("images") as progress:
        made = learn_from(
            reference,
            out,
            split=split,
            per_type=per_type,
            kimg=kimg,
            threads=threads or 1,
            licence=licence,
            name=name,
            seed=seed,
            progress=progress,
        )
    click.echo(
        f"{made['images']} images of {made['reference']}, {made['minutes']:g} minutes; held-out images in looks never "
        f"seen: ΔE {made['before']:.1f}, normalised {made['after']:.1f}: {out}"
    )


@stain.command()
@click.argument("reference", metavar="A")
@click.argument("other", metavar="B")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for a page with pictures (check.html, check.json)."
)
def check(reference: str, other: str, out: Path | None) -> None:
    """Say how far the images of B lie from those of A; each is a bundle, a folder of images or the file of a look.

    \b
    scg stain check pbc-256 my-images --out check
    """
    from syntheticcellgan.stain.comparison import compare
    from syntheticcellgan.stain.page import after_standardising, write_page

    with _progress("looking at cells") as progress:
        a, b = _side(reference, progress), _side(other, progress)
    found = compare(a.look, b.look)
    left = after_standardising(a, b)
    click.echo(found.sentence)
    for part, row in found.differences.items():
        after = ""
        if left is not None and part in left.differences:
            rest = left.differences[part]
            after = f"; standardised {rest.value:.1f} [{rest.low:.1f}, {rest.high:.1f}]"
        click.echo(
            f"  {part.replace('_', ' '):12} ΔE {row.value:5.1f} [{row.low:.1f}, {row.high:.1f}], within A {row.floor:.1f}"
            f"{after}  (n = {row.n[0]}, {row.n[1]})"
        )
    if out is not None:
        click.echo(f"Page: {write_page(found, left, a, b, out)}")


def _colours(look: Look) -> str:
    from syntheticcellgan.stain.look import srgb_of

    white = ", ".join(f"{value:.0f}" for value in srgb_of(look.white))
    parts = [
        f"{name.replace('_', ' ')} L*a*b* {lab[0]:.0f} {lab[1]:.0f} {lab[2]:.0f}" for name, lab in look.regions.items()
    ]
    return "; ".join([f"background sRGB {white}", *parts])


def _side(name: str, progress: Callable[[int, int], None] | None = None) -> Side:
    """A bundle (folder, zip or shipped name), a look's file, or a folder of images."""
    from syntheticcellgan.bundle import shipped_bundles
    from syntheticcellgan.stain.page import Side
    from syntheticcellgan.stain.sources import image_paths, look_of

    path = Path(name)
    bundled = path.suffix == ".zip" or (path / "config.json").is_file() or (path / "card.json").is_file()
    if bundled or (not path.exists() and name in shipped_bundles()):
        from syntheticcellgan.pipeline import SyntheticCellGAN

        chain = SyntheticCellGAN.load(name)
        return Side(chain.look, chain.look_cells)
    if path.is_file():
        return Side(look_of(path))
    if not path.exists():
        raise InputError(
            f"{name} is neither a folder of images, nor the file of a look, nor a bundle "
            f"(shipped: {', '.join(shipped_bundles()) or 'none'})."
        )
    return Side(look_of(path, progress), image_paths(path))


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    with shown_steps() as tell:
        yield partial(tell, what)
