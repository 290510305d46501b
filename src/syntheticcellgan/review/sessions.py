"""The organiser's side of a reading session: make it, invite readers, withdraw their links, close it.

session_id = create_session(database, "Spring 2025", real, synthetic, Settings(real_per_type=20))
invitation = invite_reader(database, session_id)     # its token is the personal link's secret, told once
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from syntheticcellgan.cell_types import resolve, slug
from syntheticcellgan.data.manifest import Manifest, Record
from syntheticcellgan.errors import InputError
from syntheticcellgan.review.database import Database
from syntheticcellgan.review.encoding import common_form, encode_blind, pad
from syntheticcellgan.review.tables import REAL, SYNTHETIC, CellImage, Item, Reader, ReadingSession, now

PRIMER, FIRST, SECOND = 0, 1, 2
MAX_IMAGES = 5000
MAX_READERS = 500
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Settings:
    """What a session is like; fixed when it is made, before anyone has answered.

    real_per_type, synthetic_per_type: images of each kind and type in one round. repeated: images of the first round
    that each reader sees twice. primed: a second round, with other cells, after `examples` labelled ones of each kind
    and type were shown. margin: the accuracy counts as equivalent to chance within 0.5 ± margin. side, quality: of the
    pictures, found when the session is made.
    """

    real_per_type: int = 10
    synthetic_per_type: int = 10
    repeated: int = 0
    primed: bool = False
    examples: int = 2
    ask_type: bool = True
    ask_checklist: bool = True
    margin: float = 0.10
    cell_types: tuple[str, ...] = ()
    side: int = 0
    quality: int = 0

    @property
    def rounds(self) -> tuple[int, ...]:
        return (FIRST, SECOND) if self.primed else (FIRST,)

    def needed(self, truth: str) -> dict[int, int]:
        """Images of one type and kind by round."""
        count = self.real_per_type if truth == REAL else self.synthetic_per_type
        return {FIRST: count, **({SECOND: count, PRIMER: self.examples} if self.primed else {})}


@dataclass(frozen=True)
class Invitation:
    """token: the secret of the personal link; only its hash is kept, so it is told here and never again."""

    reader_id: str
    label: str
    token: str


@dataclass(frozen=True)
class ReaderLine:
    """What the organiser sees of a reader while the session runs: how far, never what."""

    id: str
    label: str
    active: bool
    answered: int
    items: int


@dataclass(frozen=True)
class SessionLine:
    """A session in the organiser's list."""

    id: str
    title: str
    settings: Settings
    images: int
    created_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True)
class _Choice:
    round: int
    truth: str
    record: Record
    manifest: Manifest


def create_session(
    database: Database,
    title: str,
    real: Manifest,
    synthetic: Manifest,
    settings: Settings,
    *,
    seed: int | None = None,
    progress: Progress | None = None,
) -> str:
    """Choose the images at random, encode them alike and keep them.

    settings.cell_types: the types to take; empty for all that both data sets have. seed: of all that is drawn; None
    for a random one.

    Raises:
        InputError: too few images of a type (with counts), an image that cannot be read, settings out of range.
    """
    title = " ".join(title.split())[:200]
    if not title:
        raise InputError("The session needs a title.")
    names = _types(settings.cell_types, real, synthetic)
    settings = check_settings(replace(settings, cell_types=names))
    seed = secrets.randbits(62) if seed is None else seed
    rng = np.random.default_rng([seed, 0])
    chosen = [c for name in names for c in _choose(name, REAL, real, settings, rng)]
    chosen += [c for name in names for c in _choose(name, SYNTHETIC, synthetic, settings, rng)]
    side, quality = common_form([c.manifest.path(c.record) for c in chosen])
    settings = replace(settings, side=side, quality=quality)
    contents = _encode(chosen, settings, progress)
    session = ReadingSession(title=title, settings=asdict(settings), seed=seed)
    with database.writing() as rows:
        rows.add(session)
        rows.flush()
        for c, content in zip(chosen, contents, strict=True):
            rows.add(
                CellImage(
                    session_id=session.id,
                    round=c.round,
                    truth=c.truth,
                    cell_type=c.record.cell_type,
                    source=c.record.attributes.get("source", c.record.file),
                    content=content,
                )
            )
    return session.id


def check_settings(settings: Settings) -> Settings:
    """InputError naming the setting that is out of range."""
    s = settings
    per_round = len(s.cell_types) * (s.real_per_type + s.synthetic_per_type)
    total = len(s.cell_types) * sum(sum(s.needed(truth).values()) for truth in (REAL, SYNTHETIC))
    limits = [
        (1 <= s.real_per_type <= 1000, "real_per_type can be 1 to 1000"),
        (1 <= s.synthetic_per_type <= 1000, "synthetic_per_type can be 1 to 1000"),
        (0 <= s.repeated <= per_round // 3, f"repeated can be 0 to {per_round // 3} (a third of {per_round} images)"),
        (1 <= s.examples <= 20, "examples can be 1 to 20"),
        (0.01 <= s.margin <= 0.3, "margin can be 0.01 to 0.3"),
        (total <= MAX_IMAGES, f"{total} images are too many for one session; the most is {MAX_IMAGES}"),
    ]
    for holds, sentence in limits:
        if not holds:
            raise InputError(f"{sentence[0].upper()}{sentence[1:]}.")
    return s


def _types(wanted: Sequence[str], real: Manifest, synthetic: Manifest) -> tuple[str, ...]:
    shared = sorted(set(real.cell_types) & set(synthetic.cell_types))
    if not shared:
        raise InputError(
            f"The real images ({', '.join(real.cell_types)}) and the synthetic ones ({', '.join(synthetic.cell_types)}) "
            "have no cell type in common."
        )
    for name in wanted:
        if not slug(name):
            raise InputError(
                f"“{name}” is no name of a cell type; the types that both sides have: {', '.join(shared)}."
            )
    names = tuple(dict.fromkeys(resolve(name).name for name in wanted)) or tuple(shared)
    for name in names:
        if name not in shared:
            raise InputError(f"“{name}” is not among the types that both sides have: {', '.join(shared)}.")
    return names


def _choose(name: str, truth: str, manifest: Manifest, settings: Settings, rng: np.random.Generator) -> list[_Choice]:
    records, needed = manifest.of_type(name).records, settings.needed(truth)
    if len(records) < sum(needed.values()):
        raise InputError(
            f"{manifest.root.name} has {len(records)} {truth} images of “{name}”; this session needs "
            f"{sum(needed.values())}. Ask for fewer, or leave the type out."
        )
    order = iter(rng.permutation(len(records)))
    return [_Choice(r, truth, records[next(order)], manifest) for r, count in needed.items() for _ in range(count)]


def _encode(chosen: Sequence[_Choice], settings: Settings, progress: Progress | None) -> list[bytes]:
    seen: dict[str, _Choice] = {}
    contents = []
    for i, c in enumerate(chosen):
        content, pixels = encode_blind(c.manifest.path(c.record), settings.side, settings.quality)
        twin = seen.setdefault(hashlib.sha256(pixels).hexdigest(), c)
        if twin is not c:
            raise InputError(
                f"{c.record.file} ({c.truth}) and {twin.record.file} ({twin.truth}) are the same picture; "
                "take one of them out."
            )
        contents.append(content)
        if progress:
            progress(i + 1, len(chosen))
    return pad(contents)


def invite_reader(database: Database, session_id: str, label: str = "") -> Invitation:
    """A new reader with an order of the images of his own. label: a pseudonym; "Reader 1", 2 … if empty.

    Raises:
        InputError: no such session, it is closed, or the label is taken.
    """
    label = " ".join(label.split())[:100]
    token = secrets.token_urlsafe(24)
    with database.writing() as rows:
        session = _open_session(rows, session_id)
        taken = set(rows.scalars(sa.select(Reader.label).where(Reader.session_id == session_id)))
        if label in taken:
            raise InputError(f"There is a reader “{label}” already; choose another label.")
        if len(taken) >= MAX_READERS:
            raise InputError(f"A session can have {MAX_READERS} readers.")
        number = len(taken) + 1
        while not label or label in taken:
            label, number = f"Reader {number}", number + 1
        reader = Reader(session_id=session_id, label=label, token_hash=hash_token(token))
        rows.add(reader)
        rows.flush()
        rng = np.random.default_rng([session.seed, 1 + len(taken)])
        settings = settings_of(session)
        for number in settings.rounds:
            images = rows.execute(
                sa.select(CellImage.id, CellImage.truth)
                .where(CellImage.session_id == session_id, CellImage.round == number)
                .order_by(CellImage.truth, CellImage.cell_type, CellImage.source)  # not by the random ids
            ).all()
            repeated = settings.repeated if number == FIRST else 0
            for position, (image, repeat) in enumerate(draw_order([tuple(i) for i in images], repeated, rng)):
                rows.add(Item(reader_id=reader.id, image_id=image, round=number, position=position, repeat=repeat))
    return Invitation(reader.id, label, token)


def draw_order(images: Sequence[tuple[str, str]], repeated: int, rng: np.random.Generator) -> list[tuple[str, bool]]:
    """(image, whether it is its second showing) in a random order.

    images: (id, truth). Repeated are `repeated` images, half of each kind as far as there are, of the first half of the
    order; their second showing comes anywhere at least a third of the images later.
    """
    order: list[tuple[str, bool]] = [(images[i][0], False) for i in rng.permutation(len(images))]
    truth = dict(images)
    early = [image for image, _ in order[: max(len(order) // 2, repeated)]]
    kinds: dict[str, list[str]] = {kind: [i for i in early if truth[i] == kind] for kind in (SYNTHETIC, REAL)}
    twice = [i for pair in zip(kinds[SYNTHETIC], kinds[REAL], strict=False) for i in pair]
    twice += [i for i in early if i not in twice]
    gap = max(1, len(images) // 3)
    for image in twice[:repeated]:
        first = order.index((image, False))
        order.insert(int(rng.integers(min(first + gap, len(order)), len(order) + 1)), (image, True))
    return order


def renew_link(database: Database, session_id: str, reader_id: str) -> Invitation:
    """A new personal link; the old one no longer works. InputError as `withdraw_link`, or if the session is closed."""
    token = secrets.token_urlsafe(24)
    with database.writing() as rows:
        _open_session(rows, session_id)
        reader = _reader(rows, session_id, reader_id)
        reader.token_hash = hash_token(token)
        return Invitation(reader.id, reader.label, token)


def withdraw_link(database: Database, session_id: str, reader_id: str) -> None:
    """The personal link no longer works; the answers stay. InputError: no such reader in this session."""
    with database.writing() as rows:
        _reader(rows, session_id, reader_id).token_hash = None


def close_session(database: Database, session_id: str) -> None:
    """No answer is taken from now on. InputError: no such session."""
    with database.writing() as rows:
        session = find_session(rows, session_id)
        session.closed_at = session.closed_at or now()


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def settings_of(session: ReadingSession) -> Settings:
    return Settings(**{**session.settings, "cell_types": tuple(session.settings["cell_types"])})


def find_session(rows: Any, session_id: str) -> ReadingSession:
    """InputError if there is none of this id."""
    session: ReadingSession | None = rows.get(ReadingSession, session_id)
    if session is None:
        raise InputError(f"There is no reading session {session_id[:40]}.")
    return session


def _open_session(rows: Any, session_id: str) -> ReadingSession:
    session = find_session(rows, session_id)
    if session.closed_at is not None:
        raise InputError(f"The session “{session.title}” is closed.")
    return session


def _reader(rows: Any, session_id: str, reader_id: str) -> Reader:
    reader: Reader | None = rows.get(Reader, reader_id)
    if reader is None or reader.session_id != session_id:
        raise InputError("There is no such reader in this session.")
    return reader
