"""Looks: background, nucleus, cytoplasm and red cells of synthetic cells, and of other laboratories', beside the real ones'."""

from __future__ import annotations

from collections.abc import Mapping

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.cell_sets import CellSet
from syntheticcellgan.evaluation.context import Study, Tell
from syntheticcellgan.evaluation.report.rows import Row, Section
from syntheticcellgan.stain.comparison import Comparison, compare
from syntheticcellgan.stain.look import LIMIT, Look, fit

SYNTHETIC = "synthetic"


def measure(study: Study, tell: Tell) -> Section:
    """Per part and side CIEDE2000 to the real cells, whose halves are the floor; sharpness and size over theirs."""
    sides: Mapping[str, CellSet] = {SYNTHETIC: study.synthetic, **study.laboratories}
    total, done = sum(min(len(cells), LIMIT) for cells in (study.real, *sides.values())), 0

    def look_of(name: str, cells: CellSet) -> Look:
        nonlocal done
        before = done
        look = fit(cells.paths, name, lambda now, _: tell(before + now, total))
        done += min(len(cells), LIMIT)
        return look

    try:
        real = look_of("the real cells", study.real)
    except InputError as refusal:
        return Section(refused={"stain": str(refusal)})
    rows: list[Row] = []
    sentences: dict[str, str] = {}
    refused: dict[str, str] = {}
    for name, cells in sides.items():
        try:
            found = compare(real, look_of("the synthetic cells" if name == SYNTHETIC else name, cells))
        except InputError as refusal:
            refused[name] = str(refusal)
            continue
        rows += _rows(name, found)
        sentences[name] = found.sentence
    return Section(tuple(rows), {"sentences": sentences}, refused)


def _rows(name: str, found: Comparison) -> list[Row]:
    figures = {f"look_difference_{part}": figure for part, figure in found.differences.items()}
    ratios = {"look_blur": found.edge, "look_diameter": found.diameter}
    return [
        Row(
            "stain",
            measure,
            detail=name,
            value=figure.value,
            low=figure.low,
            high=figure.high,
            floor=1.0 if measure in ratios else figure.floor,
            n=min(figure.n),
            n_real=figure.n[0],
            n_synthetic=figure.n[1] if name == SYNTHETIC else None,
            better="floor" if measure in ratios else "lower",
        )
        for measure, figure in (figures | ratios).items()
    ]
