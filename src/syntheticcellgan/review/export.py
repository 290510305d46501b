"""Results to pass on: a CSV of all judgements that a spreadsheet opens safely, JSON of all figures, a printable report."""

from __future__ import annotations

import base64
import csv
import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.review.checklist import FEATURES, JUDGEMENTS
from syntheticcellgan.review.database import Database
from syntheticcellgan.review.display import filters
from syntheticcellgan.review.results import Results
from syntheticcellgan.review.tables import CellImage

_COLUMNS = (
    "reader",
    "round",
    "position",
    "repeat",
    "image",
    "source",
    "truth",
    "cell_type",
    "verdict",
    "correct",
    "confidence",
    "answered_type",
    *FEATURES,
    "quality",
    "remark",
    "seconds",
    "answered_at",
    "changes",
)


def safe_cell(text: str) -> str:
    """`text` so that no spreadsheet takes it for a formula: an apostrophe before =, +, -, @, tab and line ends."""
    return (
        f"'{text}" if text.lstrip(" ")[:1] in ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠") else text
    )


def to_csv(results: Results) -> bytes:
    """One line per final answer; UTF-8 with a mark at the beginning, by which spreadsheets know it."""
    buffer = io.StringIO()
    table = csv.writer(buffer)
    table.writerow(_COLUMNS)
    for j in results.judgements:
        row: list[Any] = [j.reader, j.round, j.position, int(j.repeat), j.image, j.source, j.truth, j.cell_type]
        row += [j.verdict, int(j.correct), j.confidence, j.answered_type]
        row += [j.checklist.get(feature) for feature in FEATURES]
        seconds = None if j.seconds is None else round(j.seconds, 2)
        row += [j.quality, j.remark, seconds, j.answered_at.isoformat(timespec="seconds"), j.changes]
        table.writerow([safe_cell(value) if isinstance(value, str) else value for value in row])
    return buffer.getvalue().encode("utf-8-sig")


def to_json(results: Results) -> bytes:
    """All figures with intervals and counts."""
    return (json.dumps(results.as_dict(), indent=2, ensure_ascii=False) + "\n").encode()


def pictures_of(database: Database, results: Results) -> dict[str, str]:
    """data: URLs of the images that the results list, by image."""
    wanted = {line.image for r in results.rounds for line in (*r.unmasked, *r.mistaken)}
    with database.reading() as rows:
        found = rows.execute(sa.select(CellImage.id, CellImage.content).where(CellImage.id.in_(wanted))).tuples()
        return {image: "data:image/jpeg;base64," + base64.b64encode(c.rstrip(b"\0")).decode() for image, c in found}


def to_report(results: Results, pictures: dict[str, str]) -> bytes:
    """One HTML file, complete in itself, to read and to print."""
    page = _environment().get_template("report.html")
    return page.render(results=results, pictures=pictures, features=FEATURES, judgements=JUDGEMENTS).encode()


@cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("syntheticcellgan.review"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(filters())
    return environment


def write_all(database: Database, results: Results, out: Path) -> None:
    """judgements.csv, results.json and report.html into the new or empty folder `out`.

    Raises:
        InputError: the folder holds files.
        ScgError: it cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is there already and not empty; name a new folder with --out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "judgements.csv").write_bytes(to_csv(results))
        (out / "results.json").write_bytes(to_json(results))
        (out / "report.html").write_bytes(to_report(results, pictures_of(database, results)))
    except OSError as error:
        raise ScgError(f"{out} could not be written ({error.strerror or error}).") from error
