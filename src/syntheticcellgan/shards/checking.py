"""Looking through a generation in shards: what is there, what is missing, what was damaged. One image is in memory at a time."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from syntheticcellgan.data.tar import read_shard
from syntheticcellgan.errors import InputError
from syntheticcellgan.provenance import FORMATS
from syntheticcellgan.shards.plan import Plan, read_plan
from syntheticcellgan.shards.writing import key_of, provenance
from syntheticcellgan.writer import RECORD

SHOWN = 1000
"""Names that a report holds of each kind; the numbers count all."""


@dataclass(frozen=True)
class ShardReport:
    """What `check_shards` found. missing, foreign: file names; damaged: (file name, reason); each at most `SHOWN`.

    counts: images per type in whole shards. unfinished: `.part` files of processes that run or were killed.
    """

    folder: str
    images: int
    expected: int
    shards: int
    counts: dict[str, int]
    missing: tuple[str, ...]
    missing_count: int
    damaged: tuple[tuple[str, str], ...]
    damaged_count: int
    foreign: tuple[str, ...]
    unfinished: int

    @property
    def whole(self) -> bool:
        """Whether every image of the plan is there and nothing else."""
        return self.images == self.expected and not self.damaged_count and not self.foreign

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {**asdict(self), "whole": self.whole}


def check_shards(folder: Path, progress: Callable[[int], None] | None = None) -> ShardReport:
    """Compare every image of every shard with the plan: its place, its record and its SHA-256.

    progress: called with the number of shards done.

    Raises:
        InputError: the folder holds no generation in shards.
    """
    plan = read_plan(folder)
    counts: Counter[str] = Counter()
    missing: list[str] = []
    damaged: list[tuple[str, str]] = []
    missing_count = damaged_count = 0
    for number in range(plan.shards):
        name = plan.name(number)
        if not (folder / name).exists():
            missing_count += 1
            missing += [name] * (len(missing) < SHOWN)
        else:
            try:
                _check_shard(folder / name, plan, number)
                counts.update(cell_type for cell_type, _ in plan.pairs(number))
            except InputError as error:
                damaged_count += 1
                damaged += [(name, str(error))] * (len(damaged) < SHOWN)
        if progress:
            progress(number + 1)
    foreign: list[str] = []
    unfinished = 0
    for path in folder.iterdir():
        if path.name.endswith(".part"):
            unfinished += 1
        elif path.name != RECORD and not path.name.startswith(".") and not _is_planned(path.name, plan):
            foreign += [path.name] * (len(foreign) < SHOWN)
    return ShardReport(
        str(folder),
        sum(counts.values()),
        plan.total,
        plan.shards,
        dict(sorted(counts.items())),
        tuple(missing),
        missing_count,
        tuple(damaged),
        damaged_count,
        tuple(sorted(foreign)),
        unfinished,
    )


def _is_planned(name: str, plan: Plan) -> bool:
    stem = name.removesuffix(".tar")
    return stem.isascii() and stem.isdecimal() and int(stem) < plan.shards and plan.name(int(stem)) == name


def _check_shard(path: Path, plan: Plan, number: int) -> None:
    suffix = FORMATS[plan.image_format].lstrip(".")
    samples = read_shard(path)
    labels = {name: label for label, name in enumerate(plan.cell_types)}
    for cell_type, seed in plan.pairs(number):
        key = key_of(cell_type, seed)
        found, files = next(samples, ("", dict[str, bytes]()))
        if found != key:
            raise InputError(f"{path} lacks {key} in its place.")
        try:
            record = json.loads(files["json"])
            label = int(files["cls"])
            image = files[suffix]
        except (KeyError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: {key} is incomplete ({error}).") from None
        if not isinstance(record, dict) or record.get("sha256") != hashlib.sha256(image).hexdigest():
            raise InputError(f"{path}: the image of {key} is damaged.")
        wanted = json.loads(provenance(plan, cell_type, seed).json)
        # Another version may have made it; which candidate was chosen follows from the rest.
        for name in ("sha256", "software", "candidate", "predicted"):
            record.pop(name, None)
            wanted.pop(name, None)
        if label != labels[cell_type] or record != wanted:
            raise InputError(f"{path}: {key} is another image than the plan asks for.")
    if next(samples, None) is not None:
        raise InputError(f"{path} holds more images than the plan asks for.")
