"""What a data set holds: one record per image, read from the folder's own layout without opening an image.

Two layouts: one sub-folder per cell type, or a `labels.csv` (or `metadata.csv`) beside the images with the columns
file (file_name), cell_type (label) and, if known, patient, laboratory, subtype; any other column is an attribute.
"""

from __future__ import annotations

import csv
import io
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path, PurePosixPath

from syntheticcellgan.cell_types import is_known, resolve
from syntheticcellgan.data.images import SUFFIXES, is_image_file
from syntheticcellgan.errors import InputError

LABEL_FILES = ("labels.csv", "metadata.csv")
"""Looked for in this order; the first one found is read."""

_COLUMNS = {
    "file": ("file", "file_name", "filename", "image"),
    "cell_type": ("cell_type", "label", "celltype", "class"),
    "patient": ("patient", "patient_id"),
    "laboratory": ("laboratory", "lab"),
    "subtype": ("subtype",),
}


@dataclass(frozen=True)
class Record:
    """One image. file: path relative to the data set, with forward slashes. cell_type: resolved name."""

    file: str
    cell_type: str
    patient: str | None = None
    laboratory: str | None = None
    subtype: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """The images of one data set, in a fixed order (by type folder and name, or as in labels.csv)."""

    root: Path
    records: tuple[Record, ...]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def cell_types(self) -> tuple[str, ...]:
        """Names of the types that occur, sorted."""
        return tuple(sorted({record.cell_type for record in self.records}))

    @property
    def counts(self) -> dict[str, int]:
        """Images per type, types sorted."""
        return dict(sorted(Counter(record.cell_type for record in self.records).items()))

    def path(self, record: Record) -> Path:
        """Where the record's image lies."""
        return self.root / record.file

    def select(self, indices: Iterable[int]) -> Manifest:
        """The records at `indices`, in that order."""
        return Manifest(self.root, tuple(self.records[int(index)] for index in indices))

    def of_type(self, name: str) -> Manifest:
        """The records of one type, given by any of its names; may be empty."""
        wanted = resolve(name).name
        return Manifest(self.root, tuple(record for record in self.records if record.cell_type == wanted))


def read_manifest(folder: str | os.PathLike[str], *, table: str | None = None) -> Manifest:
    """The data set in `folder`. Lists files, opens none.

    table: name of the table in the folder; None looks for labels.csv and metadata.csv, then for sub-folders per type.
    InputError: no such folder, no images in it, a link that leaves it, two types that differ only in case, and what
    can be wrong in labels.csv: a missing file or column, a row given twice or pointing out of the folder.
    """
    given = Path(folder)
    if not given.exists():
        raise InputError(f"{given}: no such folder; check the name.")
    if not given.is_dir():
        raise InputError(f"{given} is a file; give the folder that holds the images.")
    root = given.resolve()
    files = sorted(image_files(root))
    for name in LABEL_FILES if table is None else (table,):
        if (root / name).is_file():
            return Manifest(root, tuple(_records_of_table(root, root / name, files)))
    return Manifest(root, tuple(_records_of_folders(given, files)))


def unlisted_images(manifest: Manifest) -> list[str]:
    """Image files in the folder that the manifest leaves out: not in labels.csv, or beside the types' sub-folders."""
    return sorted(set(image_files(manifest.root)) - {record.file for record in manifest.records})


def image_files(root: Path) -> Iterator[str]:
    """Relative names of the image files below `root`; InputError if a link among them leads outside."""
    pending = [""]
    while pending:
        inside = pending.pop()
        with os.scandir(root / inside) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name == "__MACOSX":
                    continue
                name = f"{inside}{entry.name}"
                if entry.is_symlink() and (os.path.isdir(entry.path) or is_image_file(entry.name)):
                    target = Path(os.path.realpath(entry.path))  # unlike resolve, it bears links in circles
                    if not target.is_relative_to(root):
                        raise InputError(
                            f"{entry.path} is a link to {target}, outside the data set; copy the images into it."
                        )
                    if not os.path.exists(entry.path):
                        raise InputError(f"{entry.path} is a link that leads nowhere; remove it.")
                    if entry.is_dir():
                        continue  # the images are found where they really lie
                if not entry.is_symlink() and entry.is_dir():
                    pending.append(f"{name}/")
                elif is_image_file(entry.name) and entry.is_file():
                    yield name


def _records_of_folders(root: Path, files: list[str]) -> Iterator[Record]:
    inside = [file for file in files if "/" in file]
    if not inside:
        if files:
            raise InputError(
                f"{root} holds images but neither a sub-folder per cell type nor a labels.csv; "
                "sort the images into sub-folders named after the types."
            )
        raise InputError(
            f"{root} holds no images ({', '.join(sorted(SUFFIXES))}); give a folder with a sub-folder per cell type."
        )
    for file in inside:
        if file.count("/") > 1:
            raise InputError(
                f"{root / file} lies deeper than one sub-folder per cell type; "
                f"give {root / file.split('/')[0]} as the data set, or write a labels.csv."
            )
    names = resolved_names({file.split("/")[0] for file in inside}, str(root))
    for file in inside:
        yield Record(file, names[file.split("/")[0]])


def resolved_names(spellings: Iterable[str], where: str) -> dict[str, str]:
    """Type name of each spelling; InputError if two spellings would be mixed up without anyone having meant it."""
    names: dict[str, str] = {}
    by_name: dict[str, list[str]] = defaultdict(list)
    for spelling in sorted(set(spellings)):
        try:
            names[spelling] = resolve(spelling).name
        except ValueError as error:
            raise InputError(f"{where}: {error}; rename it.") from None
        by_name[names[spelling]].append(spelling)
    for name, same in by_name.items():
        for first, second in combinations(same, 2):
            # Two spellings of a known type are synonyms; of an unknown one they may be two types.
            if first.casefold() == second.casefold() or not is_known(name):
                raise InputError(
                    f"{where}: the cell types {first!r} and {second!r} differ only in case or punctuation; "
                    "give them one name."
                )
    return names


def _records_of_table(root: Path, table: Path, files: list[str]) -> list[Record]:
    rows = list(_rows(table))
    if not rows:
        raise InputError(f"{table} has no rows below its header; list the images in it or delete it.")
    existing = {unicodedata.normalize("NFC", file): file for file in files}
    exact = set(files)
    names = resolved_names({row["cell_type"] for _, row, _ in rows}, str(table))
    seen: dict[str, int] = {}
    records: list[Record] = []
    missing: list[tuple[int, str]] = []
    for line, row, attributes in rows:
        file = _inside(row["file"], table, line)
        if file not in exact:
            # Tables from macOS and Windows spell accents otherwise than the file system.
            known = existing.get(unicodedata.normalize("NFC", file))
            if known is None and not _is_file(root / file):
                missing.append((line, file))
                continue
            if known is None:
                raise InputError(f"{table}, line {line}: {file} is not an image file; remove the row.")
            file = known
        if file in seen:
            raise InputError(f"{table}: lines {seen[file]} and {line} both list {file}; delete one of them.")
        seen[file] = line
        records.append(
            Record(file, names[row["cell_type"]], row["patient"], row["laboratory"], row["subtype"], attributes)
        )
    if missing:
        line, file = missing[0]
        more = f" (and {len(missing) - 1} more are missing)" if len(missing) > 1 else ""
        raise InputError(f"{table}, line {line}: there is no file {file} in {root}{more}; add it or delete the row.")
    return records


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # no name that a file can have
        return False


def _inside(file: str, table: Path, line: int) -> str:
    """`file` as a clean relative path; Windows separators become slashes."""
    path = PurePosixPath(file.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise InputError(
            f"{table}, line {line}: {file} points outside the data set; give paths relative to the folder of the table."
        )
    return path.as_posix()


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str], dict[str, str]]]:
    """(line number, the known columns, the other columns) of each row that is not empty."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{table} is not UTF-8 text; save it as “CSV UTF-8”.") from None
    header_line = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [name.strip() for name in next(reader, [])]
        places = _places(header, table)
        others = {i: name for i, name in enumerate(header) if i not in places.values() and name}
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            line = reader.line_num
            if len(cells) != len(header):
                raise InputError(
                    f"{table}, line {line}: {len(cells)} fields under {len(header)} columns; put names with a "
                    f"“{delimiter}” in quotes."
                )
            row = {column: cells[place].strip() or None for column, place in places.items()}
            for column in ("file", "cell_type"):
                if row[column] is None:
                    raise InputError(f"{table}, line {line}: the {column} is empty; fill it in or delete the row.")
            for column in _COLUMNS:
                row.setdefault(column, None)
            yield line, row, {name: cells[i].strip() for i, name in others.items() if cells[i].strip()}  # type: ignore[misc]
    except csv.Error as error:
        raise InputError(f"{table}, line {reader.line_num}: {error}; save the table anew as CSV.") from None


def _places(header: list[str], table: Path) -> dict[str, int]:
    """Index of each known column that the header has."""
    folded = [name.casefold().replace(" ", "_") for name in header]
    twice = [name for name, count in Counter(folded).items() if count > 1 and name]
    if twice:
        raise InputError(f"{table} has two columns named {twice[0]!r}; delete one of them.")
    places = {}
    for column, spellings in _COLUMNS.items():
        found = [folded.index(spelling) for spelling in spellings if spelling in folded]
        if found:
            places[column] = found[0]
    for column in ("file", "cell_type"):
        if column not in places:
            raise InputError(
                f"{table} has no column {column!r} (it has: {', '.join(header) or 'none'}); "
                f"add one named {' or '.join(_COLUMNS[column][:2])}."
            )
    return places
