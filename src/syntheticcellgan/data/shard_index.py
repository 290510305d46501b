"""Where each image of a folder of WebDataset shards stands: made in one pass over them, and then 35 bytes an image.

With the index an image is read from the middle of its shard, so that a draw is a function of the step as it is from a
folder: nothing needs to be replayed after a stop, and a type of which one image in a thousand is left comes as often as
the others. The index is mapped into memory and not loaded.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from syntheticcellgan.data.images import open_image, read_image
from syntheticcellgan.data.manifest import resolved_names
from syntheticcellgan.data.samples import label_names, record_of, shards_in, type_of
from syntheticcellgan.data.splits import PARTS, aim
from syntheticcellgan.data.tar import Member, image_of, read_members
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.files import settle, write_json

ROW = np.dtype(
    [
        ("shard", "<u4"),
        ("start", "<u8"),  # of the sample's first header
        ("offset", "<u8"),  # of the image
        ("size", "<u4"),
        ("type", "<u2"),
        ("part", "u1"),  # place in PARTS
        ("digest", "<u8"),  # of the image's bytes
    ]
)
_PACK = struct.Struct("<IQQIHBQ")
_MOST_TYPES = 1000
_FORMAT = "shards 1"
_OPEN = 255  # a part that is still to be decided

Progress = Callable[[int], None]


@dataclass(frozen=True)
class ShardIndex:
    """The images of a folder of shards and the part that each belongs to.

    shards: (file name, bytes) in the order of `rows["shard"]`. cell_types: resolved names in the order of `rows["type"]`.
    unit: what was kept whole when parts were made. rows: (N,) of `ROW`, in the order of the shards.
    """

    folder: Path
    shards: tuple[tuple[str, int], ...]
    cell_types: tuple[str, ...]
    unit: Literal["patient", "image"]
    seed: int
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def counts(self, part: str | None = None) -> dict[str, int]:
        """Images per type, of one part or in all; types that have none are left out."""
        types = self.rows["type"] if part is None else self.rows["type"][self.rows["part"] == PARTS.index(part)]
        found = np.bincount(types, minlength=len(self.cell_types)).tolist()
        return {name: count for name, count in zip(self.cell_types, found, strict=True) if count}

    def few(self, part: str, count: int) -> np.ndarray:
        """Row numbers of up to `count` images of each type of a part, drawn by their content."""
        member = self.rows["part"] == PARTS.index(part)
        chosen = []
        for number in range(len(self.cell_types)):
            own = np.flatnonzero(member & (self.rows["type"] == number))
            chosen.append(own[np.argsort(self.rows["digest"][own], kind="stable")[:count]])
        return np.concatenate(chosen)

    def sample(self, row: int) -> tuple[str, str, dict[str, bytes]]:
        """(place, key, {suffix: content}) of the sample that a row stands for.

        Raises:
            InputError: its shard cannot be read there any more.
        """
        path = self.path(row)
        key, files = next(read_members(path, int(self.rows["start"][row])), ("", dict[str, Member]()))
        return f"{path.name}/{key}", key, {suffix: member.content for suffix, member in files.items()}

    def read(self, row: int) -> np.ndarray:
        """The image of a row, (H, W, 3) uint8.

        Raises:
            InputError: its shard was changed since it was indexed, or the image is damaged.
        """
        path, entry = self.path(row), self.rows[row]
        try:
            with open(path, "rb") as file:
                file.seek(int(entry["offset"]))
                content = file.read(int(entry["size"]))
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror or error}).") from None
        if _digest(content) != entry["digest"]:
            raise InputError(
                f"{path} was changed after this run looked through it; put the old shard back, or begin a new run."
            )
        try:
            return read_image(io.BytesIO(content), "The image")
        except InputError as error:
            raise InputError(f"{path}, sample {self.sample(row)[1]}: {error}") from None

    def path(self, row: int) -> Path:
        """The shard in which a row's image stands."""
        return self.folder / self.shards[int(self.rows["shard"][row])][0]


def split_pattern(given: Path) -> tuple[Path, str]:
    """(folder, pattern of names) of a folder of shards or of a pattern such as `cells/train-*.tar`."""
    if given.name.endswith(".tar") and not given.is_dir():
        return given.parent, given.name
    return given, "*.tar"


def has_shards(given: Path) -> bool:
    """Whether this is a folder of shards, or a pattern of their names. A folder of images that holds a tar too is none."""
    if given.name.endswith(".tar") and not given.is_dir():
        return True
    if not given.is_dir() or any((given / name).exists() for name in ("labels.csv", "metadata.csv")):
        return False
    found = [path for path in given.iterdir() if not path.name.startswith(".")]
    return any(path.suffix == ".tar" for path in found) and not any(path.is_dir() for path in found)


def index_shards(
    given: Path, validation: float, test: float, seed: int, progress: Progress | None = None
) -> ShardIndex:
    """Look through all shards once, one sample in memory at a time; every image's header is read, none is decoded.

    An image's part follows from a hash of its patient, where a sample's `.json` names one, or else of its bytes, so that a
    patient, or equal images of a type, are never divided. validation, test: shares of the images; by patient, about.
    progress: called with the number of bytes looked through.

    Raises:
        InputError: no shards, a damaged or foreign one, a sample without a type, an image that cannot be used, two spellings
            of a type that may be two types, or a part that nothing fell to.
    """
    folder, pattern = split_pattern(given)
    paths = shards_in(folder, pattern)
    if not paths:
        raise InputError(f"{given}: there are no such shards; give a folder with *.tar, or a pattern in quotes.")
    names = label_names(folder)
    shards = tuple((path.name, path.stat().st_size) for path in paths)
    spellings: dict[str, int] = {}
    by_patient = False
    rows = bytearray()
    done = 0
    for number, path in enumerate(paths):
        for key, files in read_members(path):
            image = image_of(files)
            if image is None:
                continue  # a sample that tells of the whole, as some tools write
            suffix, member = image
            place = f"{path}, sample {key}"
            with open_image(io.BytesIO(member.content), f"{place}.{suffix}"):
                pass
            spelling, patient = _told(place, files, names)
            if len(spellings) >= _MOST_TYPES and spelling not in spellings:
                raise InputError(f"{given}: more than {_MOST_TYPES} cell types; are {spelling!r} and the others types?")
            by_patient |= patient is not None
            digest = _digest(member.content)
            part = _OPEN if patient is None else _part_of_patient(seed, patient, validation, test)
            start = min(other.start for other in files.values())
            kind = spellings.setdefault(spelling, len(spellings))
            rows += _PACK.pack(number, start, member.offset, len(member.content), kind, part, digest)
        done += shards[number][1]
        if progress:
            progress(done)
    if not rows:
        raise InputError(f"{given}: the shards hold no images (a sample is key.png with key.cls, key.txt or key.json).")
    table = np.frombuffer(rows, ROW)
    cell_types = _renumbered(table, spellings, str(given))
    _divide(table, len(cell_types), seed, validation, test)
    index = ShardIndex(folder, shards, cell_types, "patient" if by_patient else "image", seed, table)
    _refuse_empty_parts(index, given)
    return index


def _told(place: str, files: Mapping[str, Member], names: list[str]) -> tuple[str, str | None]:
    """The type as a sample spells it, and its patient."""
    texts = {suffix: files[suffix].content for suffix in ("json", "cls", "txt") if suffix in files}
    record = record_of(texts)
    spelling = type_of(record, texts, names)
    if not spelling:
        number = texts.get("cls", texts.get("txt", b"")).decode("utf-8", "replace").strip()[:20]
        if number:
            raise InputError(
                f"{place} is of type number {number}, which the folder's labels.json does not name; write into "
                'labels.json the types in the order of their numbers, as in ["basophil", "monocyte"].'
            )
        raise InputError(
            f"{place} has no cell type; write it into the sample's .cls or .txt, or as cell_type in .json."
        )
    patient = record.get("patient")
    return spelling, str(patient) if patient not in (None, "") else None


def _part_of_patient(seed: int, patient: str, validation: float, test: float) -> int:
    """Place in PARTS: a number in 0 … 1 that follows from the patient, against the shares."""
    drawn = int.from_bytes(hashlib.sha256(f"{seed}/{patient}".encode()).digest()[:8], "big") / 2**64
    return PARTS.index("test" if drawn < test else "validation" if drawn < test + validation else "train")


def _divide(rows: np.ndarray, types: int, seed: int, validation: float, test: float) -> None:
    """Give each open row its part: of each type those with the smallest numbers that follow from their content."""
    for number in range(types):
        own = np.flatnonzero((rows["part"] == _OPEN) & (rows["type"] == number))
        drawn = _mixed(rows["digest"][own], seed)
        tested, held_out = (aim(len(own), share) for share in (test, validation))
        # Compared and not counted off, so that equal images stay together.
        ends = np.append(np.sort(drawn), np.uint64(2**64 - 1))[[tested, min(tested + held_out, len(own))]]
        parts = [PARTS.index(part) for part in ("test", "validation", "train")]
        rows["part"][own] = np.array(parts, np.uint8)[np.searchsorted(ends, drawn, side="right")]


def _mixed(digests: np.ndarray, seed: int) -> np.ndarray:
    """Numbers that follow from digest and seed and show no trace of either (the finish of SplitMix64)."""
    x = digests.astype(np.uint64) ^ np.uint64(_digest(str(seed).encode()))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return x ^ (x >> np.uint64(31))


def _digest(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def _renumbered(rows: np.ndarray, spellings: Mapping[str, int], where: str) -> tuple[str, ...]:
    """Resolved names, sorted; the rows' types become their places."""
    resolved = resolved_names(spellings, where)
    cell_types = tuple(sorted(set(resolved.values())))
    places = np.array([cell_types.index(resolved[spelling]) for spelling in spellings], np.uint16)
    rows["type"] = places[rows["type"]]
    return cell_types


def _refuse_empty_parts(index: ShardIndex, given: Path) -> None:
    for part in PARTS:
        counts = index.counts(part)
        lacking = [name for name in index.cell_types if name not in counts]
        if part == "train" and lacking:
            raise InputError(
                f"{given}: by {index.unit}, no image of {lacking[0]} falls to training; choose another --seed, or add images."
            )
        if len(lacking) == len(index.cell_types):
            raise InputError(
                f"{given}: by {index.unit}, no image falls to the {part} part; choose another --seed, or import the shards "
                "as a folder (scg data import), of which small sets are divided with care."
            )


def write_index(index: ShardIndex, table: Path, record: Path) -> None:
    """Write the rows as `table` and all else as `record`, which is written last and whole.

    Raises:
        ScgError: the folder cannot be written.
    """
    partial = table.with_name(table.name + ".part")
    try:
        table.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            np.lib.format.write_array(file, index.rows, allow_pickle=False)
        settle(partial, table)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ScgError(f"{table} cannot be written ({error.strerror}). Free some space.") from error
    kept = {
        "format": _FORMAT,
        "seed": index.seed,
        "unit": index.unit,
        "cell_types": list(index.cell_types),
        "parts": {part: index.counts(part) for part in PARTS},
        "table": _sum(table),
        "shards": [list(shard) for shard in index.shards],
    }
    write_json(record, kept)


def read_index(given: Path, table: Path, record: Path) -> ShardIndex:
    """What `write_index` wrote, with the rows mapped into memory.

    Raises:
        InputError: it was changed, or the shards are others than those that it was made of.
    """
    folder, pattern = split_pattern(given)
    try:
        kept: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        if kept["format"] != _FORMAT or kept["unit"] not in ("patient", "image") or kept["table"] != _sum(table):
            raise ValueError("it was changed, or another version wrote it")
        shards = tuple((str(name), int(size)) for name, size in kept["shards"])
        cell_types = tuple(map(str, kept["cell_types"]))
        rows = np.load(table, mmap_mode="r", allow_pickle=False)
        if rows.dtype != ROW:
            raise ValueError("other columns")
        index = ShardIndex(folder, shards, cell_types, kept["unit"], int(kept["seed"]), rows)
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"{record} and {table.name} cannot be used ({error}); begin a new run.") from error
    now = {path.name: path.stat().st_size for path in shards_in(folder, pattern)}
    if now != dict(shards):
        other = sorted(now.items() ^ dict(shards).items())[0][0]
        raise InputError(
            f"{given} holds other shards than when this run began (see {other}); put the old ones back, or begin a new run."
        )
    return index


def _sum(path: Path) -> str:
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()
