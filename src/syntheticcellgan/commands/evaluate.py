"""`scg evaluate`: how far synthetic images can be trusted, against held-out real ones."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from syntheticcellgan.errors import InputError

LINE_SECONDS = 5
_SECTIONS = ("distribution", "duplicates", "copies", "morphology", "stain", "attributes", "utility", "probe", "map")


@click.command()
@click.argument("reports", nargs=-1, type=click.Path(path_type=Path))
@click.option("--real", type=click.Path(path_type=Path), help="Real images that were not trained on.")
@click.option("--synthetic", type=click.Path(path_type=Path), help="Synthetic images, whoever made them.")
@click.option("--bundle", help="Or a bundle, which makes its cells itself (seeds 0, 1, 2 …).")
@click.option("--train", type=click.Path(path_type=Path), help="Real images that the generator was trained on.")
@click.option(
    "--split",
    type=click.Path(path_type=Path),
    help="Or split.json of a run: REAL's test part is compared with, its train part was trained on.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the report; new or empty.")
@click.option("--quick", is_flag=True, help="Fewer cells and shorter training of classifiers: minutes, wide intervals.")
@click.option("--count", type=click.IntRange(1), help="Cells of each type on each side, at most.  [100; quick: 30]")
@click.option(
    "--extractor",
    "extractors",
    multiple=True,
    metavar="NAME[=FILE.onnx]",
    help="Network whose features judge; several: the first is the headline.  [vit-s-focus, vgg16-hed]",
)
@click.option(
    "--trained-with",
    multiple=True,
    metavar="NAME",
    help="Network that the generator's training used; it may not judge.",
)
@click.option("--attributes", type=click.Path(path_type=Path), help="CSV of expert attributes of real images.")
@click.option("--scale", type=float, metavar="µm", help="Micrometres per pixel of the real images.")
@click.option(
    "--laboratory", "laboratories", multiple=True, metavar="NAME=FOLDER", help="Another laboratory's test set."
)
@click.option("--without", multiple=True, type=click.Choice(_SECTIONS), help="Leave a section out.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Features, generated cells.  [cache in the report's folder]"
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides every draw.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads. [all that this process may use]")
@click.option("--card", is_flag=True, help="Write the chief figures onto the card of the bundle's folder.")
@click.option("--compare", is_flag=True, help="Set the REPORTS (their folders) side by side instead.")
def evaluate(
    reports: tuple[Path, ...],
    real: Path | None,
    synthetic: Path | None,
    bundle: str | None,
    train: Path | None,
    split: Path | None,
    out: Path,
    quick: bool,
    count: int | None,
    extractors: tuple[str, ...],
    trained_with: tuple[str, ...],
    attributes: Path | None,
    scale: float | None,
    laboratories: tuple[str, ...],
    without: tuple[str, ...],
    cache: Path | None,
    seed: int,
    threads: int | None,
    card: bool,
    compare: bool,
) -> None:
    """Measure how far synthetic cell images can be trusted; the same command again goes on where it stopped.

    \b
    scg evaluate --real HELD_OUT --synthetic CELLS --train TRAINED_ON --out REPORT
    scg evaluate --bundle pbc-256 --real DATA --split RUN/split.json --out REPORT
    scg evaluate --compare REPORT_A REPORT_B --out COMPARISON
    """
    if compare:
        from syntheticcellgan.evaluation.report.comparison import compare as side_by_side

        names = side_by_side(reports, out)
        click.echo(f"{' · '.join(names)}: {out / 'comparison.html'}")
        return
    if reports:
        raise InputError(f"{reports[0]}: folders go with an option: --real, --synthetic; reports with --compare.")
    if real is None:
        raise InputError("--real is missing: the folder of real images that were not trained on.")
    import torch

    from syntheticcellgan.evaluation.context import SECTIONS, Settings
    from syntheticcellgan.evaluation.report.card_figures import check_can_be_carded, put_on_card
    from syntheticcellgan.evaluation.study import evaluate as run

    if card:
        check_can_be_carded(bundle)
    if threads:
        torch.set_num_threads(threads)
    start = time.perf_counter()
    with _progress() as progress:
        report = run(
            real,
            synthetic,
            bundle=bundle,
            train=train,
            split=split,
            laboratories=dict(_named(entry) for entry in laboratories),
            attributes=attributes,
            extractors=extractors,
            trained_with=trained_with,
            settings=Settings(count, quick, seed, scale, tuple(name for name in SECTIONS if name not in without)),
            out=out,
            cache=cache,
            progress=progress,
        )
    if card and bundle is not None:
        put_on_card(report, bundle)
    for verdict in report.verdicts:
        click.echo(f"{verdict['use']:13} {verdict['answer']:10} {verdict['reasons'][0]}")
    for warning in report.warnings:
        click.echo(f"Warning: {warning['sentence']}")
    click.echo(f"{len(report.rows)} figures in {time.perf_counter() - start:.0f} s: {out}")


def _named(entry: str) -> tuple[str, Path]:
    name, equals, folder = entry.partition("=")
    if not (name and equals and folder):
        raise InputError(f"--laboratory {entry}: write NAME=FOLDER, for example --laboratory lyon=sets/lyon.")
    return name, Path(folder)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each thing that is done; where there is no terminal, a line for each and one every few seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:30}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    begun: dict[str, tuple[float, int]] = {}
    told = 0.0
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:

        def progress(what: str, done: int, total: int) -> None:
            nonlocal told
            now, new = time.monotonic(), what not in tasks
            if new:
                tasks[what], begun[what] = bars.add_task(what, total=total), (now, done)
            if not console.is_terminal and (new or now > told + LINE_SECONDS):
                told = now
                start, before = begun[what]
                left = (now - start) / (done - before) * (total - done) if done > before else 0
                print(
                    f"{what}: {done} of {total}" + (f", {left:.0f} s left" if left else ""), file=sys.stderr, flush=True
                )
            bars.update(tasks[what], completed=done, total=total)

        yield progress
