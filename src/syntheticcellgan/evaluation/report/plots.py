"""The plots of a report: each function turns rows or details of a section into an SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from syntheticcellgan.evaluation.report.drawing import FLOOR, INK, LINE, MUTED, REAL, SYNTHETIC, TYPE_COLOURS, plot, svg
from syntheticcellgan.evaluation.report.rows import ALL, Row
from syntheticcellgan.evaluation.report.titles import measure_title, plain


def distance_by_type(rows: Sequence[Row]) -> Markup:
    """Ratio of the Fréchet distance to its floor, per type, with intervals; several extractors beside each other."""
    judges = list(dict.fromkeys(row.by for row in rows))
    names = list(dict.fromkeys(row.cell_type for row in rows))
    with plot(6.4, 0.7 + 0.3 * len(names)) as (figure, (axes,)):
        for k, by in enumerate(judges):
            own = {row.cell_type: row for row in rows if row.by == by and row.ratio is not None}
            for i, name in enumerate(names):
                row = own.get(name)
                if row is None:
                    continue
                y = len(names) - 1 - i + 0.16 * (len(judges) - 1 - 2 * k) / max(len(judges) - 1, 1)
                if row.ratio_low is not None and row.ratio_high is not None:
                    axes.plot(
                        [row.ratio_low, row.ratio_high], [y, y], color=SYNTHETIC, lw=1.2, alpha=1 - 0.45 * (k > 0)
                    )
                axes.plot(
                    _at(row.ratio),
                    y,
                    "os^D"[k % 4],
                    color=SYNTHETIC,
                    ms=5,
                    alpha=1 - 0.45 * (k > 0),
                    label=by if not i else None,
                )
        axes.axvline(1, color=REAL, lw=1.2)
        axes.set_yticks(range(len(names)), [_type(name) for name in reversed(names)])
        axes.tick_params(axis="y", colors=INK, length=0)
        axes.set_xlim(left=0)
        axes.set_xlabel("Fréchet distance over that of real against real cells (line: 1, as near as real cells)")
        axes.grid(axis="x", lw=0.5)
        if len(judges) > 1:
            axes.legend(loc="lower right")
        return svg(figure, "distance", "Fréchet distance over its floor for each cell type")


def distances_compared(rows: Mapping[str, Sequence[Row]]) -> Markup:
    """As `distance_by_type`, of several generators beside each other, by name."""
    names = list(dict.fromkeys(row.cell_type for own in rows.values() for row in own))
    step = 0.7 / len(rows)
    with plot(6.8, 0.9 + (0.16 + 0.14 * len(rows)) * len(names)) as (figure, (axes,)):
        for k, (generator, own) in enumerate(rows.items()):
            colour = TYPE_COLOURS[k % len(TYPE_COLOURS)]
            y = [len(names) - 1 - names.index(row.cell_type) + 0.35 - step * (k + 0.5) for row in own]
            axes.hlines(
                y, [_at(row.ratio_low) for row in own], [_at(row.ratio_high) for row in own], color=colour, lw=1.2
            )
            axes.plot([_at(row.ratio) for row in own], y, "o", color=colour, ms=4.5, label=generator)
        axes.axvline(1, color=REAL, lw=1.2)
        axes.set_yticks(range(len(names)), [_type(name) for name in reversed(names)])
        axes.tick_params(axis="y", colors=INK, length=0)
        axes.set_xlim(left=0)
        axes.set_xlabel("Fréchet distance over that of real against real cells (line: 1, as near as real cells)")
        axes.grid(axis="x", lw=0.5)
        figure.legend(loc="outside lower center", ncols=3)
        return svg(figure, "distances", "Fréchet distance over its floor for each cell type and generator")


def precision_recall(rows: Sequence[Row], by: str) -> Markup:
    """The plane of precision and recall: an arrow from what real cells reach (floor) to the synthetic ones."""
    chosen = {(row.measure, row.cell_type): row for row in rows if row.by == by}
    names = [name for (measure, name) in chosen if measure == "precision" and ("recall", name) in chosen]
    with plot(5.2, 4.6) as (figure, (axes,)):
        for i, name in enumerate(names):
            precision, recall = chosen["precision", name], chosen["recall", name]
            colour = INK if name == ALL else TYPE_COLOURS[(i - 1) % len(TYPE_COLOURS)]
            x, y = (_at(recall.floor), _at(recall.value)), (_at(precision.floor), _at(precision.value))
            axes.plot(x, y, color=colour, lw=0.7, alpha=0.6)
            axes.plot(x[0], y[0], "o", mfc="none", color=colour, ms=4, alpha=0.8)
            axes.plot(x[1], y[1], "o", color=colour, ms=6, label=_type(name))
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        axes.set_xlabel("recall: real cells that the synthetic ones cover")
        axes.set_ylabel("precision: synthetic cells that look real")
        axes.grid(lw=0.5)
        figure.legend(loc="outside lower center", ncols=3, fontsize=8)
        return svg(figure, "plane", "Precision and recall of synthetic cells per type, and what real cells reach")


def copy_distances(histogram: Mapping[str, Sequence[float]]) -> Markup:
    """Distances to the nearest training image, of synthetic and of held-out real cells."""
    with plot(6.4, 2.2) as (figure, (axes,)):
        _outlines(axes, histogram)
        axes.set_xlabel("distance to the nearest training image (0: the same picture)")
        axes.set_ylabel("share of cells")
        axes.legend(loc="upper left")
        return svg(figure, "copies", "Distances to the nearest training image, real and synthetic")


def histograms(of_type: Mapping[str, Mapping[str, Any]], name: str) -> Markup | None:
    """One type: a small histogram per feature, real and synthetic."""
    if not of_type:
        return None
    columns = 4
    lines = -(-len(of_type) // columns)
    with plot(7.4, 1.55 * lines + 0.3, lines, columns) as (figure, axes):
        for place, (feature, histogram) in zip(axes, of_type.items(), strict=False):
            _outlines(place, histogram)
            n = f"n = {histogram['n_real']} and {histogram['n_synthetic']}"
            place.set_title(f"{measure_title(feature)}\n{n}", fontsize=7.5)
            place.set_yticks([])
            place.tick_params(labelsize=7)
        for place in axes[len(of_type) :]:
            place.set_visible(False)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        return svg(figure, f"morphology-{name}", f"Morphology of {plain(name)}, real and synthetic")


def _outlines(axes: Axes, histogram: Mapping[str, Any]) -> None:
    edges = np.array(histogram["edges"])
    for side, colour in (("real", REAL), ("synthetic", SYNTHETIC)):
        axes.stairs(histogram[side], edges, fill=True, color=colour, alpha=0.18, lw=0)
        axes.stairs(histogram[side], edges, color=colour, lw=1.2, label=side)


def low_data(points: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Balanced accuracy by real cells per type, a panel per classifier, a line per augmentation."""
    kinds = list(dict.fromkeys(point["classifier"] for point in points))
    if not kinds:
        return None
    looks = {"none": (MUTED, "o"), "classic": (REAL, "s"), "synthetic": (SYNTHETIC, "^"), "both": (INK, "D")}
    with plot(3.6 * len(kinds), 2.9, 1, len(kinds), sharey=True) as (figure, axes):
        for place, kind in zip(axes, kinds, strict=True):
            for k, (arm, (colour, marker)) in enumerate(looks.items()):
                own = [point for point in points if point["classifier"] == kind and point["arm"] == arm]
                if not own:
                    continue
                x = [point["per_type"] * (1 + 0.025 * (k - 1.5)) for point in own]
                y = [point["value"] for point in own]
                spread = [[p["value"] - p["low"] for p in own], [p["high"] - p["value"] for p in own]]
                place.errorbar(x, y, spread, color=colour, marker=marker, ms=4, lw=1.2, elinewidth=0.8, label=arm)
            place.set_xscale("log")
            sizes = sorted({point["per_type"] for point in points})
            place.set_xticks(sizes, [str(size) for size in sizes])
            place.minorticks_off()
            place.set_title(kind)
            place.set_xlabel("real cells per type")
            place.grid(lw=0.5)
        axes[0].set_ylabel("balanced accuracy")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, title="augmentation")
        return svg(figure, "low-data", "Balanced accuracy with few real cells, by augmentation")


def attribute_shares(rows: Sequence[Row], name: str) -> Markup:
    """One type: the share of each value of each attribute among real and synthetic cells, with intervals."""
    with plot(6.8, 0.5 + 0.2 * len(rows)) as (figure, (axes,)):
        for i, row in enumerate(rows):
            y = len(rows) - 1 - i
            if i and row.detail.split(":")[0] != rows[i - 1].detail.split(":")[0]:
                axes.axhline(y + 0.5, color=LINE, lw=0.6)
            for value, low, high, colour, shift, side in (
                (row.floor, row.floor_low, row.floor_high, REAL, 0.14, "real"),
                (row.value, row.low, row.high, SYNTHETIC, -0.14, "synthetic"),
            ):
                axes.plot([_at(low), _at(high)], [y + shift] * 2, color=colour, lw=1)
                axes.plot(_at(value), y + shift, "o", color=colour, ms=3.5, label=side if i == 0 else None)
        axes.set_yticks(range(len(rows)), [row.detail.replace("_", " ") for row in reversed(rows)], fontsize=7.5)
        axes.tick_params(axis="y", colors=INK, length=0)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.7, len(rows) - 0.3))
        axes.set_xlabel("share of cells predicted to show the value")
        figure.legend(loc="outside upper right", ncols=2)
        return svg(figure, f"attributes-{name}", f"Shares of expert attributes of {plain(name)}, real and synthetic")


def feature_map(details: Mapping[str, Any]) -> Markup:
    """Two panels on one map: real cells and synthetic cells, coloured by type; the other side in grey behind."""
    x, y = np.array(details["x"]), np.array(details["y"])
    kinds, sides = np.array(details["cell_type"]), np.array(details["side"])
    with plot(7.4, 4.3, 1, 2, sharex=True, sharey=True) as (figure, axes):
        for side, (place, title) in enumerate(zip(axes, ("real", "synthetic"), strict=True)):
            others = sides != side
            place.scatter(x[others], y[others], s=3, color=FLOOR, lw=0, alpha=0.35)
            for k, name in enumerate(details["types"]):
                own = (sides == side) & (kinds == k)
                colour = TYPE_COLOURS[k % len(TYPE_COLOURS)]
                place.scatter(x[own], y[own], s=7, color=colour, lw=0, label=plain(name) if not side else None)
            place.set_title(f"{title} ({int((~others).sum())} cells)")
            place.set_xticks([])
            place.set_yticks([])
            place.spines[:].set_visible(False)
            place.set_aspect("equal")
        figure.legend(loc="outside lower center", ncols=5, fontsize=7.5, markerscale=2)
        return svg(figure, "map", "Map of the features of real and synthetic cells, by type")


def _at(value: float | None) -> float:
    """What is not known is not drawn."""
    return math.nan if value is None else value


def _type(name: str) -> str:
    return "all types" if name == ALL else plain(name)
