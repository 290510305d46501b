"""What is shown while something learns: a bar per stage on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import TaskID


def duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{max(minutes, 1)} min"


class TrainingBars:
    """A bar per stage with losses, speed and remaining time; plain lines where there is no terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.console = Console(stderr=True)
        self.bars = Progress(
            TextColumn("{task.description:15}"), BarColumn(), TextColumn("{task.completed:,.0f}/{task.total:,.0f} images"),
            TextColumn("{task.fields[speed]:.0f}/s"), TimeRemainingColumn(), TextColumn("{task.fields[losses]}"),
            console=self.console, disable=not self.console.is_terminal,
        )  # fmt: skip
        self.tasks: dict[str, TaskID] = {}
        self.speed = 0.0
        self.said = time.monotonic()

    def __enter__(self) -> TrainingBars:
        self.bars.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def report(self, stage: str, images: int, total: int, speed: float, losses: Mapping[str, float]) -> None:
        """`loop.Report`."""
        self.speed = speed if not self.speed else 0.95 * self.speed + 0.05 * speed
        text = " ".join(
            f"{key} {value:.2f}" for key, value in losses.items() if key in ("critic", "generator", "pixel", "energy")
        )
        if stage not in self.tasks:
            self.tasks[stage] = self.bars.add_task(stage, total=total, completed=images, speed=speed, losses=text)
            self.speed = speed
        self.bars.update(self.tasks[stage], completed=images, speed=self.speed, losses=text)
        if not self.console.is_terminal and time.monotonic() - self.said > 60:
            self.said = time.monotonic()
            left = duration((total - images) / self.speed)
            click.echo(f"{stage}: {images}/{total} images, {self.speed:.1f}/s, {left} left, {text}", err=True)

    def say(self, sentence: str) -> None:
        """A sentence that stays, above the bars."""
        self.console.print(sentence, markup=False, highlight=False)
