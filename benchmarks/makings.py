"""The makings of pbc-256 side by side, and the bars that it was to reach → docs/results/look/README.md and bars.md

    python benchmarks/makings.py

Reads the metrics.csv of docs/results/pbc-256 and of its forerunners (`scg evaluate` writes them), speed.json and
newcomer.json. Nothing is measured here.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from figures import RESULTS, between

MAKINGS = {
    "second": "pbc-256-second",
    "third": "pbc-256-third",
    "fourth": "pbc-256-fourth",
    "fifth, spread 1.25": "pbc-256-fifth",
    "shipped": "pbc-256",
}
JUDGES = ("vit-s-focus", "vgg16-hed")
CLASSIFIERS = ("small network", "linear probe")
SYNTHETIC = "synthetic → held-out real"

Line = dict[str, str]


@dataclass(frozen=True)
class Figure:
    """value, low, high: of what the caption says, as a ratio where there is one."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


class Report:
    """The figures of one report."""

    def __init__(self, folder: Path) -> None:
        with open(folder / "metrics.csv", encoding="utf-8", newline="") as file:
            self.lines: list[Line] = list(csv.DictReader(file))

    def find(self, measure: str, by: str = "", detail: str = "", all_types: bool = True) -> list[Line]:
        return [
            line
            for line in self.lines
            if line["measure"] == measure
            and line["by"].startswith(by)
            and line["detail"].startswith(detail)
            and (line["cell_type"] == "all") == all_types
        ]

    def plain(self, measure: str, by: str = "", detail: str = "") -> Figure:
        """Over all types."""
        return _figure(self.find(measure, by, detail)[0], "")

    def worst(self, measure: str, by: str = "", high_is_bad: bool = False) -> tuple[Figure, str]:
        """The ratio to real cells of the type where it is worst, and that type."""
        lines = [line for line in self.find(measure, by, all_types=False) if line["ratio"]]
        chosen = (max if high_is_bad else min)(lines, key=lambda line: float(line["ratio"]))
        return _figure(chosen, "ratio"), chosen["cell_type"]


def _figure(line: Line, of: str) -> Figure:
    names = ("value", "low", "high") if not of else (of, f"{of}_low", f"{of}_high")
    return Figure(*(float(line[name]) for name in names))


ROWS: dict[str, Callable[[Report], float]] = {
    **{
        f"{caption}, {judge}": (lambda report, read=read, judge=judge: read(report, judge))  # type: ignore[misc]
        for judge in JUDGES
        for caption, read in {
            "relative Fréchet distance, mean over types": lambda r, by: r.plain("relative_frechet_distance", by).value,
            "Fréchet distance itself, all types together": lambda r, by: r.plain("frechet_distance", by).value,
            "precision": lambda r, by: r.plain("precision", by).value,
            "recall": lambda r, by: r.plain("recall", by).value,
            "recall of the worst type, of real against real": lambda r, by: r.worst("recall", by)[0].value,
            "coverage of the worst type, of real against real": lambda r, by: r.worst("coverage", by)[0].value,
            "real-or-synthetic AUC": lambda r, by: r.plain("auc", by).value,
        }.items()
    },
    **{
        f"balanced accuracy, trained on synthetic over trained on real, {kind}": (
            lambda report, kind=kind: report.plain("balanced_accuracy_ratio", kind, SYNTHETIC).value  # type: ignore[misc]
        )
        for kind in CLASSIFIERS
    },
    **{
        f"mean colour of the {part} off by, ΔE": (
            lambda report, part=part: report.plain(f"colour_difference_{part}").value  # type: ignore[misc]
        )
        for part in ("nucleus", "cytoplasm")
    },
}


def makings() -> str:
    """Markdown: one column per making."""
    reports = {name: Report(RESULTS / folder) for name, folder in MAKINGS.items()}
    lines = ["| | " + " | ".join(reports) + " |", "|---|" + "---:|" * len(reports)]
    for caption, read in ROWS.items():
        lines.append(f"| {caption} | " + " | ".join(f"{read(report):.3g}" for report in reports.values()) + " |")
    return "\n".join(lines) + "\n"


def bars(report: Report) -> str:
    """Markdown: each bar, what was reached, and whether that meets it."""
    lines = [
        "# The bars",
        "",
        "Written by `benchmarks/makings.py` from the shipped `pbc-256`'s report ([metrics.csv](pbc-256/metrics.csv): 150 cells "
        "of each type or all that there are, held-out images, 95 % intervals). Worst type: of the ten, as a ratio to real cells "
        "against real cells.",
        "",
        "| | bar | reached | |",
        "|---|---|---:|---|",
    ]

    def add(caption: str, bar: str, figure: Figure, met: bool, note: str = "") -> None:
        lines.append(
            f"| {caption} | {bar} | {figure}{f', {note}' if note else ''} | {'met' if met else '**missed**'} |"
        )

    for judge in JUDGES:
        found = report.plain("relative_frechet_distance", judge)
        add(f"relative Fréchet distance, mean over types, {judge}", "≤ 3", found, found.value <= 3)
        for measure in ("recall", "coverage"):
            found, cell_type = report.worst(measure, judge)
            add(f"{measure}, worst type, {judge}", "≥ 0.5", found, found.value >= 0.5, cell_type)
    for kind in CLASSIFIERS:
        found = report.plain("balanced_accuracy_ratio", kind, SYNTHETIC)
        add(f"TSTR / TRTR, balanced accuracy, {kind}", "≥ 0.93", found, found.value >= 0.93)
    for arm, name in (("both", "synthetic and classic"), ("synthetic", "synthetic alone")):
        found = report.plain("low_data_gain_over_classic", "small network", f"25 real per type, augmentation: {arm}")
        points = Figure(*(100 * x for x in (found.value, found.low, found.high)))
        add(
            f"25 real cells per type, {name}: gain over classic augmentation, points of macro-F1",
            "≥ 3",
            points,
            points.value >= 3,
        )
    found = report.plain("copies_beyond_doubt")
    add("copies, share", "0, interval ≤ 0.005", found, found.value == 0 and found.high <= 0.005)
    for measure, caption in {
        "nucleus_area_um2": "nucleus area",
        "nc_ratio": "N:C ratio",
        **{
            f"{part}_{axis}": f"{part} colour, {axis.upper() if axis == 'l' else axis}*"
            for part in ("nucleus", "cytoplasm")
            for axis in "lab"
        },
    }.items():
        found, cell_type = report.worst(measure, high_is_bad=True)
        add(f"Wasserstein distance over the floor, {caption}, worst type", "≤ 3", found, found.value <= 3, cell_type)
    for judge in JUDGES:
        found = report.plain("auc", judge)
        add(f"real-or-synthetic AUC, {judge}", "≤ 0.9", found, found.value <= 0.9)
    speed = json.loads((RESULTS / "speed.json").read_text())
    made = speed["generation"]["images_per_second_in_memory"]
    found = Figure(made["median"], made["low"], made["high"])
    add(f"images a second ({speed['machine']})", "≥ 25", found, found.value >= 25, "lowest and highest of three runs")
    newcomer = json.loads((RESULTS / "newcomer.json").read_text())
    taught = next(row for row in newcomer["figures"] if row["measure"] == "balanced_accuracy_ratio")
    caption = f"a new user's {newcomer['images']:,} images, {newcomer['hours']:g} hours, {newcomer['machine']}"
    lines.append(
        f"| {caption}: TSTR / TRTR, {taught['by']} | "
        f"recognisable cells of each type | {Figure(taught['value'], *taught['interval'])} | [to be seen](newcomer.jpg) |"
    )
    links = {
        "32 beside 32": "look/README.md",
        "recipes": "recipes.md",
        "two hours with a thousand images": "../how-to/train-your-own.md#what-two-hours-give",
    }
    return "\n".join([*lines, "", " · ".join(f"[{name}]({place})" for name, place in links.items())]) + "\n"


def main() -> None:
    page = RESULTS / "look" / "README.md"
    page.write_text(between(page.read_text(), "makings", makings()))
    (RESULTS / "bars.md").write_text(bars(Report(RESULTS / MAKINGS["shipped"])))


if __name__ == "__main__":
    main()
