"""Which image stands in which shard: a function of the request alone, so that processes need not talk to each other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from syntheticcellgan.errors import InputError
from syntheticcellgan.pipeline import check_seeds
from syntheticcellgan.provenance import FORMATS
from syntheticcellgan.writer import RECORD, Request

PER_SHARD = 1000
MAX_PER_SHARD = 100_000


@dataclass(frozen=True)
class Plan:
    """A generation in shards. Types take turns, so that a shard, and a reader's buffer, holds all of them.

    bundle, bundle_id, image_format, truncation, style, style_id, wanted, precision, engine: as in `Provenance`. per_shard:
    images of a shard; the last may have fewer.
    """

    bundle: str
    bundle_id: str
    image_format: str
    truncation: float
    requests: tuple[Request, ...]
    per_shard: int = PER_SHARD
    style: str | None = None
    style_id: str | None = None
    wanted: Mapping[str, str] | None = None
    precision: str | None = None
    engine: str | None = None

    @property
    def total(self) -> int:
        """Images in all."""
        return sum(request.count for request in self.requests)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.total // self.per_shard)

    @property
    def cell_types(self) -> list[str]:
        """Their names, sorted; an image's label is its type's place here."""
        return sorted(request.cell_type for request in self.requests)

    def name(self, number: int) -> str:
        """File name of a shard."""
        return f"{number:06d}.tar"

    def count(self, number: int) -> int:
        """Images in a shard."""
        return min(self.per_shard, self.total - number * self.per_shard)

    def pairs(self, number: int) -> Iterator[tuple[str, int]]:
        """(cell type, seed) of each image of a shard, in order."""
        first = number * self.per_shard
        for index in range(first, first + self.count(number)):
            yield self._pair(index)

    def _pair(self, index: int) -> tuple[str, int]:
        for first, turn, active in self._rounds:
            if index >= first:
                over, place = divmod(index - first, len(active))
                return active[place].cell_type, active[place].seed + turn + over
        raise AssertionError(index)

    @cached_property
    def _rounds(self) -> list[tuple[int, int, list[Request]]]:
        """(index of the first image, turn, types that still take turns) of each stretch with the same types; last first."""
        rounds, first, turn = [], 0, 0
        for end in sorted({request.count for request in self.requests}):
            active = [request for request in self.requests if request.count >= end]
            rounds.append((first, turn, active))
            first += (end - turn) * len(active)
            turn = end
        return rounds[::-1]

    def to_dict(self) -> dict[str, Any]:
        """What `generation.json` keeps."""
        more: dict[str, Any] = {} if self.style is None else {"style": self.style, "style_id": self.style_id}
        if self.wanted:
            more["wanted"] = dict(self.wanted)
        if self.precision:
            more["precision"] = self.precision
        if self.engine:
            more["engine"] = self.engine
        return {
            "bundle": self.bundle,
            "bundle_id": self.bundle_id,
            "format": self.image_format,
            "truncation": self.truncation,
            "requests": [[r.cell_type, r.count, r.seed] for r in self.requests],
            "per_shard": self.per_shard,
            **more,
        }


def has_shards(folder: Path) -> bool:
    """Whether `folder` holds a generation in shards."""
    try:
        return "per_shard" in json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def read_plan(folder: Path) -> Plan:
    """The plan that `scg generate --shards` left in `folder`.

    Raises:
        InputError: there is none, or it was altered.
    """
    path = folder / RECORD
    try:
        kept: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        requests = tuple(Request(str(name), int(count), int(seed)) for name, count, seed in kept["requests"])
        plan = Plan(
            str(kept["bundle"]),
            str(kept["bundle_id"]),
            str(kept["format"]),
            float(kept["truncation"]),
            requests,
            int(kept["per_shard"]),
            kept.get("style"),
            kept.get("style_id"),
            kept.get("wanted"),
            kept.get("precision"),
            kept.get("engine"),
        )
        _check(plan.requests, plan.per_shard)
        if plan.image_format not in FORMATS:
            raise ValueError(plan.image_format)
    except (OSError, ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise InputError(f"{path} is not the record of a generation in shards ({error}).") from error
    return plan


def _check(requests: Sequence[Request], per_shard: int) -> None:
    if not requests or not 1 <= per_shard <= MAX_PER_SHARD:
        raise ValueError("no requests, or a size of shards out of range")
    for request in requests:
        if request.count < 1:
            raise ValueError(f"count {request.count}")
        check_seeds(request.seed, request.count)
