"""A whole evaluation: sets of images in, a report out. Interrupted, it goes on from its cache.

evaluate(real, synthetic, train=…, out=…) -> Report         # two labelled folders, whoever made the images
evaluate(real, bundle="pbc-256", split=…, out=…) -> Report  # a bundle makes its cells itself
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from syntheticcellgan import __version__
from syntheticcellgan.bundle import Bundle
from syntheticcellgan.data.attribute_table import read_attributes
from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation import sources as folders
from syntheticcellgan.evaluation.context import SECTIONS, Settings, Study, Tell
from syntheticcellgan.evaluation.extractors.common import Extractor
from syntheticcellgan.evaluation.features import HEADLINE, ensure_independent, get_extractor
from syntheticcellgan.evaluation.reading import Progress, read_study, steps
from syntheticcellgan.evaluation.report.page import render
from syntheticcellgan.evaluation.report.pictures import gather
from syntheticcellgan.evaluation.report.rows import Row, Section
from syntheticcellgan.evaluation.report.store import (
    CACHE_NAME,
    FORMAT,
    Report,
    check_folder,
    check_same,
    write_report,
    write_whole,
)
from syntheticcellgan.evaluation.verdicts import headline, verdicts, warnings_of

Folder = str | os.PathLike[str]


def evaluate(
    real: Folder,
    synthetic: Folder | None = None,
    *,
    bundle: Folder | None = None,
    train: Folder | None = None,
    split: Folder | None = None,
    laboratories: Mapping[str, Folder] | None = None,
    attributes: Folder | None = None,
    extractors: Sequence[str] = (),
    trained_with: Iterable[str] = (),
    settings: Settings | None = None,
    out: Folder | None = None,
    cache: Folder | None = None,
    progress: Progress | None = None,
) -> Report:
    """Compare synthetic with real images: fidelity, diversity, copies, morphology, stain, attributes, utility, probe.

    real: real images that the generator was not trained on. synthetic or bundle: what is judged. train: images that the
    generator was trained on; or split: a split.json of `real`, of which only the test part is compared with and the
    train part serves as training images. laboratories: test sets of other laboratories by name. attributes: table of
    expert attributes. extractors: names, or name=FILE.onnx; the first is the headline one. trained_with: networks that
    the generator's training used (a bundle's card says so itself). out: folder of the report. cache: where features,
    generated cells and finished sections are kept; `out`/cache if not given.

    InputError for anything that cannot be compared, ScgError if the report cannot be written.
    """
    settings = settings or Settings()
    report_progress = progress or (lambda what, done, total: None)
    target = None if out is None else Path(out)
    if target is not None:
        check_folder(target)
    names = {name: Path(folder) for name, folder in (laboratories or {}).items()}
    opened = folders.open_sources(
        Path(real), _path(synthetic), None if bundle is None else os.fspath(bundle), _path(train), _path(split), names
    )
    judges = _extractors(extractors, [*opened.trained_with, *trained_with], 1 if settings.quick else len(HEADLINE))
    table = None if attributes is None else read_attributes(attributes)
    with ExitStack() as stack:
        if cache is not None:
            kept = Path(cache)
        elif target is not None:
            kept = target / CACHE_NAME
        else:
            kept = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scg-evaluate-")))
        study, notes = read_study(opened, judges, table, settings, kept, report_progress)
        key = _key(study, opened.name)
        if target is not None:
            check_same(target, key)
        _warm_features(study, report_progress)
        sections = {name: _section(name, study, key, report_progress) for name in SECTIONS if name in settings.sections}
        rows = tuple(row for section in sections.values() for row in section.rows)
        report = Report(_content(opened, study, key, sections, rows, notes))
        if target is not None:
            progress_of_page = steps("report", 1, report_progress)
            write_report(report, target, render(report, gather(study, sections)))
            progress_of_page(1)
    return report


def _path(folder: Folder | None) -> Path | None:
    return None if folder is None else Path(folder)


def _extractors(wanted: Sequence[str], used: Sequence[str], most: int) -> tuple[Extractor, ...]:
    """The extractors by name or name=FILE; without, `most` of the headline ones.

    Asked for, one that training used is refused; by default it is passed over.
    """
    found: dict[str, Extractor] = {}
    for entry in wanted:
        name, _, file = entry.partition("=")
        ensure_independent(name, used)
        found[name] = get_extractor(name, file or None)
    if found:
        return tuple(found.values())
    for name in HEADLINE:
        try:
            ensure_independent(name, used)
        except InputError:
            continue
        if len(found) < most:
            found[name] = get_extractor(name)
    if not found:
        raise InputError(f"Training used all of {', '.join(HEADLINE)}; name another network with --extractor.")
    return tuple(found.values())


def _warm_features(study: Study, progress: Progress) -> None:
    """All features that the sections will ask for, the longest part, with one bar per extractor."""
    needing = {"distribution", "attributes", "utility", "probe", "map"}
    if not needing & set(study.settings.sections):
        return
    for extractor in study.extractors:
        sets = [study.real, study.synthetic, *([study.train] if study.train is not None else [])]
        if extractor is study.headline:
            sets += study.laboratories.values()
        told = steps(f"features, {extractor.name}", sum(len(cells) for cells in sets), progress)
        for cells in sets:
            study.features(extractor, cells, told)


def _section(name: str, study: Study, key: str, progress: Progress) -> Section:
    """A section, from the cache if it was finished before."""
    path = study.cache / "sections" / f"{key}-{_code()}" / f"{name}.json"
    if path.exists():
        try:
            return Section.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            pass  # damaged: made anew
    tell: Tell = lambda done, total: progress(name, done, total)  # noqa: E731
    made = _measures()[name](study, tell)
    write_whole(path, json.dumps(made.as_dict(), ensure_ascii=False, allow_nan=False))
    return Section.from_dict(json.loads(path.read_text(encoding="utf-8")))


def _measures() -> dict[str, Callable[[Study, Tell], Section]]:
    """What makes each section; imported when needed."""
    from syntheticcellgan.evaluation.sections import (
        cell_morphology,
        copying,
        distribution,
        expert_attributes,
        stain,
        usefulness,
    )

    return {
        "distribution": distribution.measure,
        "duplicates": copying.duplicates,
        "copies": copying.copies,
        "morphology": cell_morphology.measure,
        "stain": stain.measure,
        "attributes": expert_attributes.measure,
        "utility": usefulness.utility,
        "probe": usefulness.probe,
        "map": usefulness.feature_map,
    }


@lru_cache(1)
def _code() -> str:
    """Hash of this package's measures: sections that another version left in the cache do not count."""
    held = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        if path.parent.name != "report":
            held.update(path.read_bytes())
    return held.hexdigest()[:8]


def _key(study: Study, name: str) -> str:
    """SHA-256 of all that decides the figures."""
    sets = [
        study.real,
        study.synthetic,
        *([study.train] if study.train is not None else []),
        *study.laboratories.values(),
    ]
    prints = study.fingerprints
    parts = {
        "software": __version__,
        "format": FORMAT,
        "name": name,
        "sets": [[cells.name, cells.digest] for cells in sets],
        "fingerprints": None if prints is None else hashlib.sha256(prints.descriptors.tobytes()).hexdigest(),
        "attributes": study.attributes,
        "extractors": [[extractor.name, extractor.sha256] for extractor in study.extractors],
        "settings": {key: value for key, value in asdict(study.settings).items() if key != "sections"},
        "utility": asdict(study.settings.utility_settings),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def _described(bundle: Bundle, name: str) -> dict[str, Any]:
    """Of a bundle: name, id, the types that it learnt from few images (with their number), and features to be asked for."""
    adaptations = bundle.card.get("training", {}).get("adaptations", [])
    return {
        "name": name,
        "id": bundle.id,
        "adapted": {entry["cell_type"]: entry["images"]["train"] for entry in adaptations},
        "features": [one["name"] for one in bundle.card.get("attributes", {}).get("predictors", [])],
    }


def _content(
    opened: folders.Sources,
    study: Study,
    key: str,
    sections: dict[str, Section],
    rows: tuple[Row, ...],
    notes: list[dict[str, str]],
) -> dict[str, Any]:
    """report.json, in plain types."""
    settings = study.settings
    sets = {"real": study.real, "synthetic": study.synthetic} | (
        {} if study.train is None else {"training": study.train}
    )
    described = {
        name: {
            "folder": opened.name if name == "synthetic" else cells.manifest.root.name,
            "images": len(cells),
            "counts": cells.counts,
            "side": cells.side,
            "digest": cells.digest[:16],
        }
        for name, cells in (sets | dict(study.laboratories)).items()
    }
    found = warnings_of(rows, sections)
    return {
        "format": FORMAT,
        "software": f"syntheticcellgan {__version__}",
        "name": opened.name,
        "key": key,
        "inputs": {
            "sets": described,
            "laboratories": list(study.laboratories),
            "types": list(study.types),
            "bundle": None if opened.chain is None else _described(opened.chain.bundle, opened.name),
            "training_images": len(study.training_files) or None,
            "trained_with": opened.trained_with,
        },
        "settings": {
            "count": settings.per_type,
            "quick": settings.quick,
            "seed": settings.seed,
            "micrometres_per_pixel": settings.micrometres_per_pixel,
            "sections": list(sections),
        },
        "extractors": [
            {"name": one.name, "licence": one.licence, "sha256": one.sha256, "numbers": one.dim}
            for one in study.extractors
        ],
        "headline": [asdict(row) for row in headline(rows)],
        "verdicts": [asdict(verdict) for verdict in verdicts(rows, sections)],
        "warnings": notes + found,
        "sections": {name: section.as_dict() for name, section in sections.items()},
    }
