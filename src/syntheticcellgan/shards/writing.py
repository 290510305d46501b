"""Generation in shards. Any number of processes run the same command on one folder; none knows of the others.

A process takes the first shard that is neither there nor held by another. It writes beside the final name, has the disk
confirm it, and renames. Killed at any moment it leaves at most a `.part` file, which the next process removes: a dead
process holds no lock. Should two processes make one shard nevertheless, they make the same bytes.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from syntheticcellgan.data.tar import Sample, write_shard
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.files import InUse, NoLocks, lock
from syntheticcellgan.pipeline import Cell, SyntheticCellGAN
from syntheticcellgan.provenance import FORMATS, Provenance, encode
from syntheticcellgan.shards.plan import MAX_PER_SHARD, PER_SHARD, Plan
from syntheticcellgan.writer import RECORD, Request, checked, style_of, unusual_precision

LOCKS = ".locks"
MAX_COUNT = 10**12  # of one type
PENDING = 64  # images that may wait for their turn in the tar

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Written:
    """What `write_shards` did. All counts are of shards: made now, there already, left to other processes."""

    made: int
    kept: int
    elsewhere: int
    images: int  # images in the shards that are there


def write_shards(
    chain: SyntheticCellGAN,
    requests: Sequence[Request],
    out: Path,
    image_format: str = "png",
    truncation: float = 1.0,
    per_shard: int = PER_SHARD,
    part: tuple[int, int] = (1, 1),
    progress: Progress | None = None,
) -> Written:
    """Make the shards of `out` that are missing; the same call again, there or elsewhere, fills the gaps.

    Args:
        part: (i, n): this process takes every n-th shard only, beginning with the i-th; for job arrays, and for file
            systems without locks.
        progress: called with (images done or found, images in all).

    Raises:
        InputError: a request out of range, or the folder holds other files or another generation.
        ScgError: the folder cannot be written or the disk is full.
    """
    requests = checked(chain, requests, truncation, MAX_COUNT)
    if not 1 <= per_shard <= MAX_PER_SHARD:
        raise InputError(f"A shard of {per_shard:,} images; it can have 1 to {MAX_PER_SHARD:,}.")
    if not 1 <= part[0] <= part[1]:
        raise InputError(f"part {part[0]}/{part[1]} is none; give i/n with i from 1 to n, as in 2/8.")
    plan = _plan(chain, requests, image_format, truncation, per_shard)
    made = kept = elsewhere = done = 0
    try:
        _begin(plan, out)
        for number in range(part[0] - 1, plan.shards, part[1]):
            path, held = out / plan.name(number), out / LOCKS / f"{number:06d}"
            if path.exists():
                kept += 1
                done += plan.count(number)
                continue
            try:
                with _hold(held, divided=part[1] > 1):
                    if path.exists():  # finished by another between the two looks
                        kept += 1
                    else:
                        before = done

                        def report(images: int, before: int = before) -> None:
                            if progress:
                                progress(before + images, plan.total)

                        _make(chain, plan, number, path, report)
                        made += 1
            except InUse:
                elsewhere += 1
                continue
            done += plan.count(number)
        if all((out / plan.name(number)).exists() for number in range(plan.shards)):
            shutil.rmtree(out / LOCKS, ignore_errors=True)
    except OSError as error:
        raise ScgError(
            f"{out} could not be written ({error.strerror or error}). Free some space or choose another --out; "
            "the same command then makes the shards that are missing."
        ) from error
    return Written(made, kept, elsewhere, done)


def _plan(
    chain: SyntheticCellGAN, requests: Sequence[Request], image_format: str, truncation: float, per_shard: int
) -> Plan:
    return Plan(
        chain.bundle.name,
        chain.bundle.id,
        image_format,
        truncation,
        tuple(requests),
        per_shard,
        **style_of(chain),
        wanted=dict(chain.wanted) or None,
        precision=unusual_precision(chain),
        engine=chain.networks.engine,
    )


def _begin(plan: Plan, out: Path) -> None:
    path, record = out / RECORD, plan.to_dict()
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out needs a folder.")
    if not path.exists():
        # Another process may be at this very line: its files begin with a dot.
        if out.exists() and any(not p.name.startswith(".") and p.name != RECORD for p in out.iterdir()):
            raise InputError(f"{out} holds other files; choose an empty or new folder with --out.")
        out.mkdir(parents=True, exist_ok=True)
        temporary = out / f".{RECORD}.{secrets.token_hex(4)}.part"
        try:
            temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        kept = None
    if kept != record:
        raise InputError(f"{out} holds another generation (other bundle or options); choose another --out.")


@contextmanager
def _hold(path: Path, divided: bool) -> Iterator[None]:
    """The lock of one shard. Where nothing can be locked, work must be divided beforehand."""
    with ExitStack() as held:
        try:
            held.enter_context(lock(path))
        except NoLocks as error:
            if not divided:
                raise InputError(
                    f"{path.parent.parent} lies on a file system without locks; say with --part i/n which of n "
                    "processes this one is."
                ) from error
        yield


def _make(chain: SyntheticCellGAN, plan: Plan, number: int, path: Path, report: Callable[[int], None]) -> None:
    """Write one shard; what an earlier process left of it is removed first."""
    for left in path.parent.glob(f".{path.name}.*.part"):
        left.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    write_shard(path, _samples(chain, plan, chain.stream(plan.pairs(number), plan.truncation), report), temporary)


def _samples(
    chain: SyntheticCellGAN, plan: Plan, cells: Iterable[Cell], report: Callable[[int], None]
) -> Iterator[Sample]:
    """Encoded in a second thread while the next cells are made."""
    labels = {name: label for label, name in enumerate(plan.cell_types)}

    def sample(cell: Cell) -> Sample:
        made = provenance(plan, cell.cell_type, cell.seed)
        if plan.wanted:
            made = replace(made, candidate=cell.candidate, predicted=dict(cell.predicted))
        image = encode(cell.image, plan.image_format, made)
        suffix = FORMATS[plan.image_format].lstrip(".")
        return Sample(key_of(cell.cell_type, cell.seed), image, suffix, labels[cell.cell_type], json.loads(made.json))

    done = 0
    with ThreadPoolExecutor(1) as encoder:
        waiting: deque[Future[Sample]] = deque()
        try:
            for cell in cells:
                waiting.append(encoder.submit(sample, cell))
                if len(waiting) >= PENDING:
                    done += 1
                    yield waiting.popleft().result()
                    report(done)
            while waiting:
                done += 1
                yield waiting.popleft().result()
                report(done)
        finally:
            encoder.shutdown(cancel_futures=True)


def key_of(cell_type: str, seed: int) -> str:
    """Name of a sample in its shard."""
    return f"{cell_type}-{seed:08d}"


def provenance(plan: Plan, cell_type: str, seed: int) -> Provenance:
    """What an image of the plan says of itself."""
    return Provenance(
        plan.bundle,
        plan.bundle_id,
        cell_type,
        seed,
        plan.truncation,
        style=plan.style,
        style_id=plan.style_id,
        wanted=plan.wanted,
        precision=plan.precision,
        engine=plan.engine,
    )
