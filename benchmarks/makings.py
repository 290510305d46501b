"""The makings of pbc-256 side by side, and the bars that it was to reach → docs/results/look/README.md and bars.md

    python benchmarks/makings.py

Reads the report.json of docs/results/pbc-256 and of its forerunners (`scg evaluate` writes them), speed.json and
newcomer.json. The words around the tables are not its own. Nothing is measured here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from figures import RESULTS, between
from syntheticcellgan.evaluation.report.rows import ALL, Row, find
from syntheticcellgan.evaluation.report.store import read_report
from syntheticcellgan.evaluation.report.titles import number

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

Rows = Sequence[Row]


def plain(rows: Rows, measure: str, by: str = "", detail: str = "") -> Row:
    """A figure over all types; `by` is how its judge's name begins."""
    return next(row for row in find(rows, measure, detail=detail or None) if row.by.startswith(by))


def worst(rows: Rows, measure: str, by: str | None = None, high_is_bad: bool = False) -> Row:
    """Of the type where the ratio to real cells is worst."""
    known = [row for row in find(rows, measure, None, by) if row.cell_type != ALL and row.ratio is not None]
    return (max if high_is_bad else min)(known, key=lambda row: row.ratio or 0.0)


ROWS: dict[str, Callable[[Rows], float]] = {
    **{
        f"{caption}, {judge}": (lambda rows, read=read, judge=judge: read(rows, judge))  # type: ignore[misc]
        for judge in JUDGES
        for caption, read in {
            "relative Fréchet distance, mean over types": lambda rows, by: (
                plain(rows, "relative_frechet_distance", by).value
            ),
            "Fréchet distance itself, all types together": lambda rows, by: plain(rows, "frechet_distance", by).value,
            "precision": lambda rows, by: plain(rows, "precision", by).value,
            "recall": lambda rows, by: plain(rows, "recall", by).value,
            "recall of the worst type, of real against real": lambda rows, by: worst(rows, "recall", by).ratio,
            "coverage of the worst type, of real against real": lambda rows, by: worst(rows, "coverage", by).ratio,
            "real-or-synthetic AUC": lambda rows, by: plain(rows, "auc", by).value,
        }.items()
    },
    **{
        f"balanced accuracy, trained on synthetic over trained on real, {kind}": (
            lambda rows, kind=kind: plain(rows, "balanced_accuracy_ratio", kind, SYNTHETIC).value  # type: ignore[misc]
        )
        for kind in CLASSIFIERS
    },
    **{
        f"mean colour of the {part} off by, ΔE": (
            lambda rows, part=part: plain(rows, f"colour_difference_{part}").value  # type: ignore[misc]
        )
        for part in ("nucleus", "cytoplasm")
    },
}


def value(row: Row) -> tuple[float, ...]:
    """The figure and its interval."""
    return row.value, row.low, row.high  # type: ignore[return-value]


def ratio(row: Row) -> tuple[float, ...]:
    """Over that of real against real cells."""
    return row.ratio, row.ratio_low, row.ratio_high  # type: ignore[return-value]


def written(middle: float | None, low: float | None, high: float | None) -> str:
    return f"{number(middle)} [{number(low)}, {number(high)}]"


def makings() -> str:
    """Markdown: one column per making."""
    reports = {name: read_report(RESULTS / folder).rows for name, folder in MAKINGS.items()}
    lines = ["| | " + " | ".join(reports) + " |", "|---|" + "---:|" * len(reports)]
    for caption, read in ROWS.items():
        lines.append(f"| {caption} | " + " | ".join(number(read(rows)) for rows in reports.values()) + " |")
    return "\n".join(lines) + "\n"


def bars(rows: Rows) -> str:
    """Markdown: each bar, what was reached, and whether that meets it."""
    lines = [
        "| | bar | reached | |",
        "|---|---|---:|---|",
    ]

    def add(caption: str, bar: str, figure: tuple[float | None, ...], met: bool, note: str = "") -> None:
        reached = written(*figure) + (f", {note}" if note else "")
        lines.append(f"| {caption} | {bar} | {reached} | {'met' if met else '**missed**'} |")

    for judge in JUDGES:
        row = plain(rows, "relative_frechet_distance", judge)
        add(f"relative Fréchet distance, mean over types, {judge}", "≤ 3", value(row), row.value <= 3)
        for measure in ("recall", "coverage"):
            row = worst(rows, measure, judge)
            add(f"{measure}, worst type, {judge}", "≥ 0.5", ratio(row), row.ratio >= 0.5, row.cell_type)
    for kind in CLASSIFIERS:
        row = plain(rows, "balanced_accuracy_ratio", kind, SYNTHETIC)
        add(f"TSTR / TRTR, balanced accuracy, {kind}", "≥ 0.93", value(row), row.value >= 0.93)
    for arm, name in (("both", "synthetic and classic"), ("synthetic", "synthetic alone")):
        row = plain(rows, "low_data_gain_over_classic", "small network", f"25 real per type, augmentation: {arm}")
        points = tuple(100 * x for x in value(row))
        caption = f"25 real cells per type, {name}: gain over classic augmentation, points of macro-F1"
        add(caption, "≥ 3", points, points[0] >= 3)
    row = plain(rows, "copies_beyond_doubt")
    add("copies, share", "0, interval ≤ 0.005", value(row), row.value == 0 and row.high <= 0.005)
    for measure, caption in {
        "nucleus_area_um2": "nucleus area",
        "nc_ratio": "N:C ratio",
        **{
            f"{part}_{axis}": f"{part} colour, {axis.upper() if axis == 'l' else axis}*"
            for part in ("nucleus", "cytoplasm")
            for axis in "lab"
        },
    }.items():
        row = worst(rows, measure, high_is_bad=True)
        caption = f"Wasserstein distance over the floor, {caption}, worst type"
        add(caption, "≤ 3", ratio(row), row.ratio <= 3, row.cell_type)
    for judge in JUDGES:
        row = plain(rows, "auc", judge)
        add(f"real-or-synthetic AUC, {judge}", "≤ 0.9", value(row), row.value <= 0.9)
    speed = json.loads((RESULTS / "speed.json").read_text())
    made = speed["generation"]["images_per_second_in_memory"]
    runs = (made["median"], made["low"], made["high"])
    add(f"images a second ({speed['machine']})", "≥ 25", runs, runs[0] >= 25, "lowest and highest of three runs")
    newcomer = json.loads((RESULTS / "newcomer.json").read_text())
    taught = next(row for row in newcomer["figures"] if row["measure"] == "balanced_accuracy_ratio")
    caption = f"a new user's {newcomer['images']:,} images, {newcomer['hours']:g} hours, {newcomer['machine']}"
    reached = written(taught["value"], *taught["interval"])
    lines.append(
        f"| {caption}: TSTR / TRTR, {taught['by']} | recognisable cells of each type | {reached} | [to be seen](newcomer.jpg) |"
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    shipped = read_report(RESULTS / MAKINGS["shipped"]).rows
    for page, marked, table in (("look/README.md", "makings", makings()), ("bars.md", "bars", bars(shipped))):
        path = RESULTS / page
        path.write_text(between(path.read_text(), marked, table))


if __name__ == "__main__":
    main()
