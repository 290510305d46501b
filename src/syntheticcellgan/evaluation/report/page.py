"""report.html: one file that opens without a network, on a screen, on a phone and on paper, light or dark.

render(report, pictures) -> str
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from syntheticcellgan.evaluation.report import plots, titles
from syntheticcellgan.evaluation.report.pictures import Pictures
from syntheticcellgan.evaluation.report.rows import ALL, Row, Section, find
from syntheticcellgan.evaluation.report.store import Report
from syntheticcellgan.evaluation.report.titles import ANSWERS, USES

KINDS = {
    "collapse": "Too little variety",
    "copies": "Copies",
    "colour": "Colour shift",
    "types": "Types",
    "traces": "Traces",
    "sizes": "Image size",
    "grey": "Grey images",
    "training": "Training images",
}


def environment() -> Environment:
    """Jinja2 with escaping everywhere; an unknown name is an error."""
    made = Environment(
        loader=PackageLoader("syntheticcellgan.evaluation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": titles.number,
        "percent": titles.percent,
        "plain": titles.plain,
        "measure": titles.measure_title,
    }
    made.globals |= {"interval": titles.interval, "ALL": ALL}
    return made


def render(report: Report, pictures: Pictures) -> str:
    """The whole page; everything in it comes from `report` and `pictures`."""
    sections = report.sections
    content = report.content
    types = list(content["inputs"]["types"])
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            content=content,
            report=report,
            sections=sections,
            types=types,
            pictures=pictures,
            uses=USES,
            answers=ANSWERS,
            summary=_summary(report),
            warnings=_grouped(report.warnings),
            key=[(titles.figure_title(row), row) for row in _headline(content)],
            distribution=_distribution(sections.get("distribution")),
            copies=_copies(sections.get("copies")),
            duplicates=sections.get("duplicates"),
            morphology=_morphology(sections.get("morphology"), types),
            stain=sections.get("stain"),
            attributes=_attributes(sections.get("attributes")),
            utility=_utility(sections.get("utility")),
            probe=sections.get("probe"),
            map=_map(sections.get("map")),
            refused=[(name, what, why) for name, part in sections.items() for what, why in part.refused.items() if why],
        )
    )


def _summary(report: Report) -> str:
    """One sentence over all verdicts."""
    by_answer: dict[str, list[str]] = {}
    short = {
        "augmentation": "augmentation",
        "teaching": "teaching",
        "replacement": "replacing real cells",
        "sharing": "sharing",
    }
    for verdict in report.verdicts:
        by_answer.setdefault(verdict["answer"], []).append(short[verdict["use"]])
    if set(by_answer) <= {"no", "unknown"} and "no" in by_answer:
        return "These images are not usable for any of the purposes that were measured."
    parts = [
        f"{words} for {_listed(by_answer[answer])}"
        for answer, words in (
            ("yes", "usable"),
            ("with care", "usable with care"),
            ("no", "not usable"),
            ("unknown", "not measured"),
        )
        if answer in by_answer
    ]
    sentence = "; ".join(parts) + "."
    return sentence[0].upper() + sentence[1:]


def _listed(words: Sequence[str]) -> str:
    """“a, b and c”."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _grouped(warnings: Sequence[dict[str, str]]) -> list[tuple[str, list[str]]]:
    held: dict[str, list[str]] = {}
    for warning in warnings:
        held.setdefault(KINDS.get(warning["kind"], warning["kind"]), []).append(warning["sentence"])
    return list(held.items())


def _headline(content: Any) -> list[Row]:
    """The key figures without those of single types, which have their own plot."""
    rows = [Row(**row) for row in content["headline"]]
    return [row for row in rows if row.cell_type == ALL]


def _distribution(section: Section | None) -> dict[str, Any] | None:
    if section is None or not section.rows:
        return None
    distances = [row for row in find(section.rows, "frechet_distance", cell_type=None) if row.cell_type != ALL]
    judges = list(dict.fromkeys(row.by for row in section.rows))
    return {
        "rows": section.rows,
        "floor": section.details["floor"],
        "distance": plots.distance_by_type(distances),
        "plane": plots.precision_recall(section.rows, judges[0]),
        "judge": judges[0],
    }


def _copies(section: Section | None) -> dict[str, Any] | None:
    if section is None or "sentence" not in section.details:
        return None
    return {"rows": section.rows, **section.details, "plot": plots.copy_distances(section.details["histogram"])}


def _morphology(section: Section | None, types: Sequence[str]) -> dict[str, Any] | None:
    if section is None or not section.rows:
        return None
    typed = [row for row in section.rows if row.cell_type != ALL and row.measure != "segmentation_failures"]
    return {
        "details": section.details,
        "features": list(dict.fromkeys(row.measure for row in typed)),
        "cells": {(row.cell_type, row.measure): row for row in typed},
        "failures": {row.cell_type: row for row in find(section.rows, "segmentation_failures", cell_type=None)},
        "colours": [row for row in section.rows if row.cell_type == ALL],
        "plots": {
            name: plots.histograms(section.details["histograms"].get(name, {}), name)
            for name in types
            if section.details["histograms"].get(name)
        },
        "types": [name for name in types if any(row.cell_type == name for row in typed)],
    }


def _attributes(section: Section | None) -> dict[str, Any] | None:
    if section is None or not section.rows:
        return None
    shares = find(section.rows, "share", cell_type=None)
    names = list(dict.fromkeys(row.cell_type for row in shares))
    variation = find(section.rows, "total_variation", cell_type=None)
    return {
        "accuracy": find(section.rows, "predictor_accuracy"),
        "attributes": list(dict.fromkeys(row.detail for row in variation)),
        "variation": {(row.cell_type, row.detail): row for row in variation},
        "types": names,
        "plots": {name: plots.attribute_shares([r for r in shares if r.cell_type == name], name) for name in names},
        "shares": {name: [row for row in shares if row.cell_type == name] for name in names},
    }


def _utility(section: Section | None) -> dict[str, Any] | None:
    if section is None or not section.rows:
        return None
    matrices = []
    for matrix in section.details["confusions"]:
        shares = [[value / max(sum(line), 1e-9) for value in line] for line in matrix["counts"]]
        matrices.append({**matrix, "shares": shares})
    return {
        "scores": [row for row in section.rows if row.measure in ("balanced_accuracy", "macro_f1")],
        "ratios": find(section.rows, "balanced_accuracy_ratio"),
        "gains": [row for row in section.rows if row.measure.startswith("low_data_gain")],
        "recalls": find(section.rows, "recall", cell_type=None),
        "matrices": matrices,
        "types": section.details["types"],
        "seeds": section.details["seeds"],
        "low_data_seeds": section.details["low_data_seeds"],
        "plot": plots.low_data(section.details["low_data"]),
    }


def _map(section: Section | None) -> dict[str, Any] | None:
    if section is None or "x" not in section.details:
        return None
    return {"by": section.details["by"], "n": len(section.details["x"]), "plot": plots.feature_map(section.details)}
