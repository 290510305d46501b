"""A report as a whole: report.json and metrics.csv, written into a folder that holds nothing else, and read again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.evaluation.report.rows import ALL, Row, Section, find, to_csv

FORMAT = 1
JSON_NAME, CSV_NAME, HTML_NAME, CACHE_NAME = "report.json", "metrics.csv", "report.html", "cache"
_PARTIAL = ".partial"
_OURS = frozenset({JSON_NAME, CSV_NAME, HTML_NAME, CACHE_NAME})
_KEYS = {
    "format",
    "software",
    "name",
    "key",
    "inputs",
    "settings",
    "extractors",
    "sections",
    "headline",
    "verdicts",
    "warnings",
}


@dataclass(frozen=True)
class Report:
    """The content of report.json (docs/reference/report.md), in plain types."""

    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What was evaluated: the bundle, or the folder of synthetic images."""
        return str(self.content["name"])

    @property
    def sections(self) -> dict[str, Section]:
        return {name: Section.from_dict(part) for name, part in self.content["sections"].items()}

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every figure of every section."""
        return tuple(row for section in self.sections.values() for row in section.rows)

    def row(self, measure: str, cell_type: str = ALL, by: str | None = None, detail: str | None = None) -> Row:
        """The first row of a measure; of the headline extractor unless `by` names another judge.

        KeyError if there is none.
        """
        found = find(self.rows, measure, cell_type, by, detail)
        if not found:
            raise KeyError((measure, cell_type, by, detail))
        return found[0]

    @property
    def warnings(self) -> tuple[dict[str, str], ...]:
        """Each with `kind` and `sentence`."""
        return tuple(self.content["warnings"])

    @property
    def verdicts(self) -> tuple[dict[str, Any], ...]:
        """Each with `use`, `answer` and `reasons`."""
        return tuple(self.content["verdicts"])


def check_folder(folder: Path, ours: Set[str] = _OURS) -> None:
    """InputError if `folder` holds anything but an earlier report: what a user has there is not touched."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; --out needs a folder.")
    if folder.is_dir():
        # A killed evaluation leaves a half-written file.
        names = {path.name for path in folder.iterdir()} - ours - {name + _PARTIAL for name in ours}
        foreign = sorted(names)
        if foreign:
            raise InputError(f"{folder} holds other files ({foreign[0]}); choose an empty or new folder with --out.")


def check_same(folder: Path, key: str) -> None:
    """InputError if `folder` holds the report of other images or settings."""
    if (folder / JSON_NAME).exists() and read_report(folder).content["key"] != key:
        raise InputError(
            f"{folder} holds the report of another evaluation (other images or options); choose another --out, or "
            f"delete its {JSON_NAME}."
        )


def write_report(report: Report, folder: Path, html: str | None = None) -> None:
    """Write report.json, metrics.csv and, if given, report.html; each whole or not at all. ScgError if it cannot be."""
    texts = {
        JSON_NAME: json.dumps(report.content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace(
            '{"section":', '\n{"section":'
        )  # a line per figure, so that versions can be compared
        + "\n",
        CSV_NAME: to_csv(report.rows),
    }
    if html is not None:
        texts[HTML_NAME] = html
    for name, text in texts.items():
        write_whole(folder / name, text)


def write_whole(path: Path, text: str) -> None:
    """A file half written never takes the place of a whole one. ScgError if it cannot be written."""
    partial = path.with_name(path.name + _PARTIAL)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ScgError(
            f"{path} cannot be written ({error.strerror}); free some space or choose another --out."
        ) from None


def read_report(folder: str | os.PathLike[str]) -> Report:
    """The report in a folder (or its report.json). InputError, naming the file, if it is missing or anything else."""
    path = Path(folder)
    path = path / JSON_NAME if path.is_dir() else path
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); give the folder that scg evaluate wrote."
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no report ({error}); evaluate anew.") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT or not set(content) >= _KEYS:
        raise InputError(f"{path} is not a report that this version of scg evaluate wrote; evaluate anew.")
    report = Report(content)
    try:
        _ = report.rows
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not laid out as a report ({error}); evaluate anew.") from None
    return report
