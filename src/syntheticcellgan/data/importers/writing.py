"""Writing imported images as a data set of this package: a folder per type and labels.csv."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from syntheticcellgan.cell_types import resolve, slug
from syntheticcellgan.data.images import read_image
from syntheticcellgan.data.importers.layout import Item
from syntheticcellgan.errors import InputError
from syntheticcellgan.files import new_folder

_COLUMNS = ("file", "cell_type", "subtype", "patient", "laboratory", "original")


@dataclass(frozen=True)
class ImportReport:
    """What was imported. counts: images per type. untyped: images left out because the set gives them no type.

    unreadable: (place in the source, reason) of images left out because they cannot be read. ignored: image files in
    the source that its layout does not speak of.
    """

    layout: str
    images: int
    counts: dict[str, int]
    untyped: int
    unreadable: tuple[tuple[str, str], ...]
    ignored: int


def write_data_set(
    items: Iterable[Item], out: Path, layout: str, files: int, progress: Callable[[int], None] | None = None
) -> ImportReport:
    """Write the items below `out`, which must not exist or be empty, and report; all or nothing.

    files: number of image files in the source, to say how many are not among the items. progress: called with the
    number of items done. Image files are copied byte for byte after a trial reading. The report is also written, as
    import.json.
    InputError if `out` holds files or no item can be used; ScgError if writing fails.
    """
    with new_folder(out) as partial:
        return _write(items, partial, layout, files, progress)


def _write(
    items: Iterable[Item], folder: Path, layout: str, files: int, progress: Callable[[int], None] | None
) -> ImportReport:
    rows: list[dict[str, str]] = []
    taken: set[str] = set()
    counts: Counter[str] = Counter()
    untyped = seen = 0
    unreadable: list[tuple[str, str]] = []
    for done, item in enumerate(items, start=1):
        if progress is not None:
            progress(done)
        seen += isinstance(item.image, Path)
        if not slug(item.cell_type):  # none, or signs alone
            untyped += 1
            continue
        cell_type = resolve(item.cell_type).name
        file = _free(f"{cell_type}/{item.name}", taken)
        try:
            _put(item, folder / file)
        except InputError as error:
            unreadable.append((item.original, str(error)))
            continue
        taken.add(file.casefold())
        counts[cell_type] += 1
        known = (file, cell_type, item.subtype, item.patient, item.laboratory, item.original)
        rows.append({**item.attributes, **{column: value or "" for column, value in zip(_COLUMNS, known, strict=True)}})
    if not rows:
        raise InputError(
            f"No image could be imported ({len(unreadable)} unreadable, {untyped} without a type); check the source."
        )
    _write_table(rows, folder / "labels.csv")
    report = ImportReport(layout, len(rows), dict(sorted(counts.items())), untyped, tuple(unreadable), files - seen)
    text = json.dumps(asdict(report), indent=1, ensure_ascii=False)
    (folder / "import.json").write_text(text + "\n", encoding="utf-8")
    return report


def _put(item: Item, path: Path) -> None:
    """Write one image; InputError if it cannot be read."""
    if isinstance(item.image, Path):
        read_image(item.image)
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(item.image, path)
    elif isinstance(item.image, bytes):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(item.image)
        try:
            read_image(path)
        except InputError:
            path.unlink()
            raise
    else:
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(item.image).save(path, format="PNG")


def _free(file: str, taken: set[str]) -> str:
    """`file`, or with a number if a file of this name, in any case, is there already."""
    path = Path(file)
    number = 1
    while file.casefold() in taken:
        number += 1
        file = path.with_name(f"{path.stem}_{number}{path.suffix}").as_posix()
    return file


def _write_table(rows: list[dict[str, str]], path: Path) -> None:
    others = sorted({column for row in rows for column in row} - set(_COLUMNS))
    with open(path, "w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, [*_COLUMNS, *others], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
