"""`scg generate`: images of the cell types that are asked for."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syntheticcellgan.errors import InputError

if TYPE_CHECKING:
    from syntheticcellgan.engine import Engine, Precision
    from syntheticcellgan.pipeline import SyntheticCellGAN
    from syntheticcellgan.writer import Request

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
@click.option(
    "--with",
    "features",
    multiple=True,
    metavar="NAME=VALUE",
    help="Feature that every cell is to show, of those that `scg bundle show` lists; several times: all of them.",
)
@click.option("--format", "image_format", type=click.Choice(["png", "jpeg", "tiff"]), default="png", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder; the same command again completes it."
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="bfloat16: 1.5 to 2 times as fast on processors with AMX; pixels differ by a few levels of 255 at most.",
)
@click.option(
    "--engine",
    type=click.Choice(["pytorch", "openvino"]),
    default="pytorch",
    show_default=True,
    help="openvino: quicker for hundreds of images and more; needs the extra openvino, without which PyTorch is used.",
)
@click.option("--threads", type=click.IntRange(1), help="CPU threads. [all that this process may use]")
@click.option("--shards", is_flag=True, help="Write WebDataset shards; any number of processes may share the work.")
@click.option("--per-shard", type=int, help="Images of a shard.  [default: 1000]")
@click.option("--part", metavar="I/N", help="Make only every N-th shard, from the I-th on (for job arrays).")
def generate(
    bundle: str,
    cell_types: tuple[str, ...],
    every: bool,
    balance_with: Path | None,
    count: int | None,
    seed: int,
    truncation: float,
    style: str | None,
    features: tuple[str, ...],
    image_format: str,
    out: Path,
    precision: Precision,
    engine: Engine,
    threads: int | None,
    shards: bool,
    per_shard: int | None,
    part: str | None,
) -> None:
    """Make images with BUNDLE: a folder, a zip, or the name of a shipped one (pbc-256).

    \b
    scg generate pbc-256 --cell-type monocyte --with cytoplasm_vacuole=yes --with nucleus_area=large --out cells
    """
    if sum([bool(cell_types), every, balance_with is not None]) != 1:
        raise InputError("Say what to make: --cell-type NAME, --all, or --balance-with DATA (one of the three).")
    if balance_with is not None and count is not None:
        raise InputError("--balance-with says itself how many images each type needs; leave --count out.")
    if not shards and (per_shard is not None or part is not None):
        raise InputError("--per-shard and --part are for --shards; add it, or leave them out.")
    share = _part(part)
    import torch

    from syntheticcellgan.pipeline import SyntheticCellGAN
    from syntheticcellgan.wanted import parse
    from syntheticcellgan.writer import Request, balance, write_cells

    if threads:
        torch.set_num_threads(threads)
    chain = SyntheticCellGAN.load(bundle, precision, engine)
    if balance_with is not None:
        from syntheticcellgan.data.manifest import read_manifest

        requests = balance(read_manifest(balance_with), chain.cell_types, seed)
    else:
        wanted = DEFAULT_COUNT if count is None else count
        requests = [Request(name, wanted, seed) for name in (chain.cell_types if every else cell_types)]
    if features:
        chain = chain.steered(parse(features))
    if style is not None:
        chain = chain.in_style(style)
    if chain.steering is not None:
        for doubt in chain.steering.doubts([chain.find_type(request.cell_type) for request in requests]):
            click.echo(doubt, err=True)
    if shards:
        _write_shards(chain, requests, out, image_format, truncation, per_shard, share)
        return
    with _progress() as report:
        made = write_cells(chain, requests, out, image_format, truncation, report)
    what = "1 image" if made == 1 else f"{made} images"
    click.echo(f"{what} in {out} (metadata.csv, contact_sheet.png). They are synthetic: not for diagnosis.")


def _write_shards(
    chain: SyntheticCellGAN,
    requests: list[Request],
    out: Path,
    image_format: str,
    truncation: float,
    per_shard: int | None,
    part: tuple[int, int],
) -> None:
    from syntheticcellgan.shards.plan import PER_SHARD
    from syntheticcellgan.shards.writing import write_shards

    with _progress() as report:
        done = write_shards(
            chain, requests, out, image_format, truncation, PER_SHARD if per_shard is None else per_shard, part, report
        )
    click.echo(
        f"{done.made:,} shards made, {done.kept:,} were there: {done.images:,} images in {out}. They are synthetic: "
        f"not for diagnosis. Check them with: scg data check {shlex.quote(str(out))}"
    )
    if done.elsewhere:
        click.echo(f"{done.elsewhere:,} shards are in the hands of other processes.")


def _part(given: str | None) -> tuple[int, int]:
    """(i, n) of “i/n”."""
    if given is None:
        return 1, 1
    first, _, last = given.partition("/")
    if not (first.isdecimal() and last.isdecimal()):
        raise InputError(f"--part is “{given}”; write it as i/n, for example 2/8.")
    return int(first), int(last)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on the error stream that takes (images done, images in all)."""
    with ExitStack() as shown:
        bars: list[Any] = []

        def report(done: int, total: int) -> None:
            if not bars:  # not before something was made: until then a sentence may come instead
                bars.append(shown.enter_context(click.progressbar(length=total, label="cells", file=sys.stderr)))
            bars[0].update(done - bars[0].pos)

        yield report
