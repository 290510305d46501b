"""`scg demo`: the main job on the bundled model, with a page to look at."""

from __future__ import annotations

import time
from pathlib import Path

import click


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo-output"), show_default=True, help="Folder.")
@click.option("--count", type=click.IntRange(1, 100), default=16, show_default=True, help="Images of each type.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="First seed.")
def demo(out: Path, count: int, seed: int) -> None:
    """Make cells of every type with the bundled model and show them beside real ones."""
    from syntheticcellgan.demo import make_demo

    start = time.perf_counter()
    page, made = make_demo(out, count, seed, lambda done, total: _say(done, total))
    click.echo(f"{made} synthetic cells in {time.perf_counter() - start:.0f} s. Open this page in a browser:")
    click.echo(str(page.resolve()))


def _say(done: int, total: int) -> None:
    if done == total or done % max(total // 4, 1) == 0:
        click.echo(f"{done} of {total} cells", err=True)
