"""Several reports side by side: comparison.csv with every figure that any of them has, comparison.html with the chief ones.

compare(folders, out) -> tuple of names
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.report import plots
from syntheticcellgan.evaluation.report.page import ANSWERS, USES, environment
from syntheticcellgan.evaluation.report.rows import ALL, Row
from syntheticcellgan.evaluation.report.store import Report, check_folder, read_report, write_whole
from syntheticcellgan.evaluation.report.titles import figure_title, shown
from syntheticcellgan.evaluation.verdicts import headline

CSV_NAME, HTML_NAME = "comparison.csv", "comparison.html"
_KEY = ("section", "measure", "cell_type", "by", "detail")
_FIGURES = ("value", "low", "high", "floor", "ratio", "ratio_low", "ratio_high", "n")

Key = tuple[str, ...]


def compare(folders: Sequence[Path], out: Path) -> tuple[str, ...]:
    """Write both files into `out` and return the names of the reports, as they head the columns.

    InputError for fewer than two reports, a folder without one, or an `out` that holds other files.
    """
    if len(folders) < 2:
        raise InputError("A comparison needs at least two reports: scg evaluate --compare A B --out COMPARISON.")
    check_folder(out, ours={CSV_NAME, HTML_NAME})
    reports = dict(zip(_names(folders), (read_report(folder) for folder in folders), strict=True))
    write_whole(out / CSV_NAME, _csv(reports))
    write_whole(out / HTML_NAME, render(reports))
    return tuple(reports)


def _names(folders: Sequence[Path]) -> list[str]:
    """What each report is about; where that is no name of one, its folder too, or its number."""
    names = [read_report(folder).name for folder in folders]
    if max(Counter(names).values()) > 1:
        names = [f"{name} ({folder.resolve().name})" for name, folder in zip(names, folders, strict=True)]
    if max(Counter(names).values()) > 1:
        names = [f"{i}. {name}" for i, name in enumerate(names, 1)]
    return names


def _key(row: Row) -> Key:
    # The probability of a finding is a result, not a name of the figure.
    detail = "" if row.section in ("copies", "morphology") else row.detail
    return row.section, row.measure, row.cell_type, row.by, detail


def _by_key(rows: Mapping[str, Sequence[Row]]) -> dict[Key, dict[str, Row]]:
    held: dict[Key, dict[str, Row]] = {}
    for name, own in rows.items():
        for row in own:
            held.setdefault(_key(row), {})[name] = row
    return held


def _csv(reports: Mapping[str, Report]) -> str:
    held = io.StringIO()
    table = csv.writer(held, lineterminator="\n")
    table.writerow([*_KEY, *(f"{name}: {figure}" for name in reports for figure in _FIGURES)])
    for key, found in _by_key({name: report.rows for name, report in reports.items()}).items():
        cells: list[str] = []
        for name in reports:
            values = [getattr(found[name], figure) if name in found else None for figure in _FIGURES]
            cells += ["" if value is None else f"{value:.6g}" for value in values]
        table.writerow([*key, *cells])
    return held.getvalue()


def render(reports: Mapping[str, Report]) -> str:
    """comparison.html: verdicts, the chief figures, and the distance to real cells by type."""
    found = _by_key({name: headline(report.rows) for name, report in reports.items()})
    lines = [(figure_title(next(iter(rows.values()))), rows, _best(rows)) for rows in found.values()]
    distances = {
        name: [row for row in headline(report.rows) if row.measure == "frechet_distance" and row.cell_type != ALL]
        for name, report in reports.items()
    }
    return (
        environment()
        .get_template("comparison.html.j2")
        .render(
            shown=shown,
            names=list(reports),
            uses=USES,
            answers=ANSWERS,
            verdicts={name: {v["use"]: v for v in report.verdicts} for name, report in reports.items()},
            kinds={name: sorted({w["kind"] for w in report.warnings}) for name, report in reports.items()},
            differences=_differences(reports),
            lines=[line for line in lines if next(iter(line[1].values())).cell_type == ALL],
            typed=[line for line in lines if next(iter(line[1].values())).cell_type != ALL],
            plot=plots.distances_compared(distances) if all(distances.values()) else None,
        )
    )


def _best(rows: Mapping[str, Row]) -> str | None:
    """The report that is better than every other beyond both intervals; None where that cannot be said."""
    first = next(iter(rows.values()))
    if first.better not in ("lower", "higher") or len(rows) < 2 or "trained on real" in figure_title(first):
        return None
    sign = 1 if first.better == "higher" else -1
    bounds = {name: shown(row) for name, row in rows.items()}
    if any(low is None or high is None for _, low, high, _ in bounds.values()):
        return None
    worst = {name: min(sign * low, sign * high) for name, (_, low, high, _) in bounds.items()}  # type: ignore[operator]
    best = {name: max(sign * low, sign * high) for name, (_, low, high, _) in bounds.items()}  # type: ignore[operator]
    leader = max(worst, key=lambda name: worst[name])
    return leader if all(worst[leader] > best[name] for name in rows if name != leader) else None


def _differences(reports: Mapping[str, Report]) -> list[str]:
    """Why the columns may not be comparable, in sentences."""

    def of(report: Report, what: str) -> Any:
        inputs = report.content["inputs"]
        return {
            "real": inputs["sets"]["real"]["digest"],
            "types": tuple(inputs["types"]),
            "extractors": tuple(one["sha256"] for one in report.content["extractors"]),
            "settings": tuple(report.content["settings"][key] for key in ("count", "quick", "seed")),
            "training": inputs["sets"].get("training", {}).get("digest"),
        }[what]

    sentences = {
        "real": "They were compared with different real images: their figures cannot be set against each other.",
        "types": "They hold different cell types: figures over all types are of different things.",
        "extractors": "They were judged by different networks: compare only figures of the same one.",
        "settings": "They were evaluated with different numbers of cells, protocols or seeds.",
        "training": "Different training images were given: floors and classifiers differ for that reason alone.",
    }
    return [text for what, text in sentences.items() if len({of(report, what) for report in reports.values()}) > 1]
