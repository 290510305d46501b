"""The result of a check as tables for the terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from syntheticcellgan.data.checks import CheckReport

_SHOWN = 10
"""Files or groups listed in the terminal; the JSON report has them all."""


def check_table(report: CheckReport) -> RenderableType:
    """The report for the terminal (rich): a table of types, what was found, warnings."""
    types = Table()
    types.add_column("cell type")
    types.add_column("usable images", justify="right")
    for name, count in report.counts.items():
        types.add_row(name, f"{count:,}")
    facts = Table.grid(padding=(0, 2))
    facts.add_row("sizes", _list(report.sizes))
    facts.add_row("colour modes", _list(report.modes))
    facts.add_row("patients", f"{report.patients:,}" if report.patients else "not known: splits are by image")
    if report.patients and report.images_without_patient:
        facts.add_row("without patient", f"{report.images_without_patient:,} images")
    if report.laboratories:
        facts.add_row("laboratories", _list(report.laboratories))
    facts.add_row("exact duplicates", _groups(len(report.exact_duplicates)))
    facts.add_row("near duplicates", _groups(len(report.near_duplicates)))
    facts.add_row("overlapping", f"{_groups(len(report.overlapping))} of images cut from one field")
    parts: list[RenderableType] = [Text(f"{report.images:,} images in {report.folder}", style="bold"), types, facts]
    parts += _excerpt("Cannot be read", [reason for _, reason in report.unreadable])
    parts += _excerpt("Duplicates of different types", [" = ".join(group) for group in report.contradictions])
    parts += _excerpt("Exact duplicates", [" = ".join(group) for group in report.exact_duplicates])
    parts += [Text(f"! {warning}", style="yellow") for warning in report.warnings]
    if not report.warnings:
        parts.append(Text("Nothing to mend.", style="green"))
    return Group(*parts)


def _groups(count: int) -> str:
    return "1 group" if count == 1 else f"{count:,} groups"


def _list(counts: dict[str, int]) -> str:
    shown = ", ".join(f"{name} ({count:,})" for name, count in list(counts.items())[:6])
    return shown + (f" and {len(counts) - 6} more" if len(counts) > 6 else "")


def _excerpt(title: str, lines: list[str]) -> list[RenderableType]:
    if not lines:
        return []
    shown: list[RenderableType] = [Text(f"{title}:", style="bold"), *(Text(f"  {line}") for line in lines[:_SHOWN])]
    if len(lines) > _SHOWN:
        shown.append(Text(f"  … and {len(lines) - _SHOWN} more"))
    return shown
