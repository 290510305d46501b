"""From a report to the figures on a bundle's card, and the same as a table for a page such as a README."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syntheticcellgan.bundle import find_bundle, read_card
from syntheticcellgan.bundle_writing import rewrite_card
from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.report.rows import Row
from syntheticcellgan.evaluation.report.store import Report
from syntheticcellgan.evaluation.report.titles import figure_title, shown


def card_figures(report: Report) -> dict[str, Any]:
    """The card's `metrics`: a statement, and figures with name, value, low, high, floor and n."""
    inputs, settings = report.content["inputs"], report.content["settings"]
    judges = ", ".join(one["name"] for one in report.content["extractors"])
    seeds = f", synthetic ones from the seeds 0 to {settings['count'] - 1}" if inputs["bundle"] else ""
    statement = (
        f"Measured with `scg evaluate{' --quick' if settings['quick'] else ''}` on held-out cells of "
        f"`{inputs['sets']['real']['folder']}`, up to {settings['count']} of each type{seeds}; judged by {judges}, which "
        "training did not use. In brackets the floor: the same figure for real against real cells."
    )
    rows = [Row(**row) for row in report.content["headline"]]
    return {"statement": statement, "figures": [_figure(row) for row in rows if shown(row)[0] is not None]}


def _figure(row: Row) -> dict[str, Any]:
    value, low, high, floor = shown(row)
    bounds = {} if low is None or high is None else {"low": low, "high": high}
    beside = "" if floor is None or floor == 1 else f" [{floor:.3g}]"
    return {"name": figure_title(row) + beside, "value": value, **bounds, "n": str(row.n)}


def put_on_card(report: Report, bundle: str) -> None:
    """Write the figures onto the card of a bundle's folder. InputError if the report is about another bundle or a zip."""
    folder = find_bundle(bundle)
    card: Mapping[str, Any] = read_card(folder)
    rewrite_card(folder, {**card, "metrics": card_figures(report)})


def check_can_be_carded(bundle: str | None) -> None:
    """InputError where there is no card to write on, before hours are spent."""
    if bundle is None:
        raise InputError("--card writes the figures onto the card of a bundle; give --bundle.")
    if not find_bundle(bundle).is_dir():
        raise InputError(f"{bundle} is a zip; --card needs the bundle's folder. Unpack it, or leave --card out.")
