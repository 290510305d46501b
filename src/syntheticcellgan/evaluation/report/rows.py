"""One form for every figure of an evaluation: a row with its n, interval and floor, and sections of such rows.

Row(section, measure, …)              # a line of metrics.csv
Section(rows, details, refused)       # what one part of an evaluation found, ready for JSON
row_of(section, comparison, …), measured(interval, …)
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from syntheticcellgan.evaluation.intervals import Interval
from syntheticcellgan.evaluation.statistics import Comparison

ALL = "all"
"""In the place of a cell type: all types together."""


@dataclass(frozen=True)
class Row:
    """One figure.

    section, measure: what was measured (docs/reference/report.md lists them). by: the extractor or classifier that
    judged, or "". detail: which of several (a value of an attribute, what a classifier learnt from and was tested on).
    value, low, high: the figure with its 95 % interval. floor, floor_low, floor_high: the same for real against real
    cells, or what the section compares with. ratio…: value over floor. None where there is none.
    n: images on each side of the comparison (for a share: of which). better: lower, higher, floor (near the floor) or "".
    """

    section: str
    measure: str
    cell_type: str = ALL
    by: str = ""
    detail: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    floor: float | None = None
    floor_low: float | None = None
    floor_high: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    n: int = 0
    n_real: int | None = None
    n_synthetic: int | None = None
    better: str = ""

    def __post_init__(self) -> None:
        for name in _NUMBERS:  # JSON knows no NaN
            number = getattr(self, name)
            if number is not None:
                object.__setattr__(self, name, float(number) if math.isfinite(number) else None)


_NUMBERS = ("value", "low", "high", "floor", "floor_low", "floor_high", "ratio", "ratio_low", "ratio_high")
COLUMNS = tuple(column.name for column in fields(Row))


@dataclass(frozen=True)
class Section:
    """rows: the figures. details: what is no single figure (confusions, histograms, sentences), plain types only.

    refused: what could not be said, by its name, with the reason.
    """

    rows: tuple[Row, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"rows": [asdict(row) for row in self.rows], "details": self.details, "refused": self.refused}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Section:
        """What `as_dict` gave. KeyError or TypeError for anything else."""
        return cls(tuple(Row(**row) for row in content["rows"]), dict(content["details"]), dict(content["refused"]))


def row_of(section: str, found: Comparison, *, by: str, cell_type: str = ALL) -> Row:
    """The row of a comparison with its floor."""
    shared = {name: getattr(found, name) for name in (*_NUMBERS, "n", "n_real", "n_synthetic", "better")}
    return Row(section, found.name, cell_type, by, **shared)


def measured(
    interval: Interval, floor: Interval | float | None = None, ratio: Interval | None = None
) -> dict[str, Any]:
    """Value, floor and ratio as the fields of a `Row`."""
    held: dict[str, Any] = asdict(interval)
    if isinstance(floor, Interval):
        held |= {"floor": floor.value, "floor_low": floor.low, "floor_high": floor.high}
    else:
        held["floor"] = floor
    if ratio is not None:
        held |= {"ratio": ratio.value, "ratio_low": ratio.low, "ratio_high": ratio.high}
    return held


def to_csv(rows: Iterable[Row]) -> str:
    """metrics.csv: a header and one line per row; numbers with six significant digits."""
    held = io.StringIO()
    table = csv.writer(held, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in rows:
        values = (getattr(row, column) for column in COLUMNS)
        table.writerow(
            "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value) for value in values
        )
    return held.getvalue()


def find(
    rows: Iterable[Row],
    measure: str,
    cell_type: str | None = ALL,
    by: str | None = None,
    detail: str | None = None,
    section: str | None = None,
) -> list[Row]:
    """The rows of a measure; None stands for any."""
    wanted = {"measure": measure, "cell_type": cell_type, "by": by, "detail": detail, "section": section}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    return [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]
