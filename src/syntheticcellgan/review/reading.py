"""The reader's side: what a personal link opens, one cell at a time. Nothing here tells what a cell is.

reader = sign_in(database, token)
position = progress(database, reader).next_open(reader.round)
cell = show_item(database, reader, round, position)
save_answer(database, reader, cell.id, answer, key)
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from syntheticcellgan.cell_types import resolve
from syntheticcellgan.errors import InputError
from syntheticcellgan.review.checklist import Answer, check_answer
from syntheticcellgan.review.database import Database
from syntheticcellgan.review.sessions import FIRST, PRIMER, SECOND, Settings, hash_token, settings_of
from syntheticcellgan.review.tables import AnswerRow, CellImage, Item, Reader, ReadingSession, now


class NotFound(InputError):
    """No such thing for this reader, whether or not it exists for someone else."""


class Closed(InputError):
    """The session or the round takes no more answers."""


@dataclass(frozen=True)
class SignedIn:
    """What a valid personal link opens."""

    reader_id: str
    session_id: str
    label: str
    title: str
    settings: Settings
    closed: bool
    primed: bool

    @property
    def round(self) -> int:
        """The round whose answers can be given: the second once the primer was opened."""
        return SECOND if self.primed else FIRST


@dataclass(frozen=True)
class Progress:
    """done: per round, whether each item's answer is complete, by position."""

    done: dict[int, list[bool]]

    def is_finished(self, number: int) -> bool:
        return all(self.done[number])

    def next_open(self, number: int, start: int = 0) -> int | None:
        """The first position from `start` on, then from the beginning, without a complete answer."""
        flags = self.done[number]
        order = [*range(start, len(flags)), *range(min(start, len(flags)))]
        return next((i for i in order if not flags[i]), None)


@dataclass(frozen=True)
class ShownItem:
    """One cell as the reader meets it. id: of the showing, random; the same cell shown twice has two."""

    id: str
    round: int
    position: int
    answer: Answer


@dataclass(frozen=True)
class Example:
    """A labelled cell of the primer."""

    image_id: str
    truth: str
    cell_type: str


def sign_in(database: Database, token: str) -> SignedIn:
    """The reader whose personal link has this secret; NotFound if it is wrong or was withdrawn."""
    with database.reading() as rows:
        found = rows.execute(
            sa.select(Reader, ReadingSession)
            .join(ReadingSession, ReadingSession.id == Reader.session_id)
            .where(Reader.token_hash == hash_token(token))
        ).one_or_none()
        if found is None:
            raise NotFound("This link does not open a reading session; ask the organiser for a new one.")
        reader, session = found
        return SignedIn(
            reader.id,
            session.id,
            reader.label,
            session.title,
            settings_of(session),
            session.closed_at is not None,
            reader.primed_at is not None,
        )


def progress(database: Database, reader: SignedIn) -> Progress:
    """How far the reader is."""
    done: dict[int, list[bool]] = {number: [] for number in reader.settings.rounds}
    with database.reading() as rows:
        found = rows.execute(
            sa.select(Item.round, AnswerRow.verdict, AnswerRow.confidence, AnswerRow.cell_type)
            .outerjoin(AnswerRow, AnswerRow.id == _last_answer())
            .where(Item.reader_id == reader.reader_id)
            .order_by(Item.round, Item.position)
        )
        for number, *given in found:
            done[number].append(Answer(*given).is_complete(reader.settings.ask_type))
    return Progress(done)


def show_item(database: Database, reader: SignedIn, number: int, position: int) -> ShownItem:
    """The cell at a position of a round and its answer so far.

    Raises:
        NotFound: no such position, or of a round that is not open yet.
        Closed: the session is closed.
    """
    _check_open(reader, number)
    with database.reading() as rows:
        found = rows.execute(
            sa.select(Item, AnswerRow)
            .outerjoin(AnswerRow, AnswerRow.id == _last_answer())
            .where(Item.reader_id == reader.reader_id, Item.round == number, Item.position == position)
        ).one_or_none()
    if found is None:
        raise NotFound(f"This session has no cell {position + 1} in round {number}.")
    item, row = found
    return ShownItem(item.id, number, position, Answer() if row is None else _answer(row))


def picture(database: Database, reader: SignedIn, item_id: str) -> bytes:
    """The JPEG file of one of the reader's own items; NotFound for any other id."""
    with database.reading() as rows:
        found = rows.execute(
            sa.select(Item.round, CellImage.content)
            .join(CellImage, CellImage.id == Item.image_id)
            .where(Item.id == item_id, Item.reader_id == reader.reader_id)
        ).one_or_none()
    if found is None:
        raise NotFound("There is no such picture.")
    _check_open(reader, found[0])
    content: bytes = found[1]
    return content


def save_answer(database: Database, reader: SignedIn, item_id: str, answer: Answer, key: str) -> None:
    """Keep an answer; on return it is on the disk. The same `key` again changes nothing.

    Raises:
        NotFound: the item is not this reader's.
        Closed: the session is closed, or the first round is over because the primer was opened.
        InputError: a value that is not offered.
    """
    check_answer(answer, reader.settings.cell_types)
    if not 1 <= len(key) <= 64:
        raise InputError("The answer's key can have 1 to 64 characters.")
    with database.writing() as rows:
        # Asked anew within the transaction: the organiser may have closed the session, or the link, meanwhile.
        found = rows.execute(
            sa.select(Item.round, Reader.primed_at, Reader.token_hash, ReadingSession.closed_at)
            .join(Reader, Reader.id == Item.reader_id)
            .join(ReadingSession, ReadingSession.id == Reader.session_id)
            .where(Item.id == item_id, Item.reader_id == reader.reader_id)
        ).one_or_none()
        if found is None or found.token_hash is None:
            raise NotFound("There is no such cell in this session.")
        if found.closed_at is not None:
            raise Closed("The session is closed; no more answers are taken. Thank you.")
        if found.round == FIRST and found.primed_at is not None:
            raise Closed("The first round is over since the labelled examples were opened.")
        if found.round == SECOND and found.primed_at is None:
            raise NotFound("There is no such cell in this session.")
        known = rows.scalar(sa.select(AnswerRow.id).where(AnswerRow.item_id == item_id, AnswerRow.key == key))
        if known is None:
            rows.add(_row(item_id, key, answer))


def open_primer(database: Database, reader: SignedIn) -> None:
    """End the first round and open the labelled examples and the second.

    Raises:
        NotFound: the session has no second round.
        Closed: the session is closed, or answers of the first round are missing.
    """
    if not reader.settings.primed:
        raise NotFound("This session has one round.")
    if reader.closed:
        raise Closed("The session is closed.")
    if not progress(database, reader).is_finished(FIRST):
        raise Closed("First answer every cell of the first round; it cannot be changed after the examples were seen.")
    with database.writing() as rows:
        row = rows.get_one(Reader, reader.reader_id)
        row.primed_at = row.primed_at or now()


def examples(database: Database, reader: SignedIn) -> list[Example]:
    """The labelled cells of the primer by type, real ones first; NotFound before it was opened."""
    if not reader.primed or reader.closed:
        raise NotFound("The examples are shown after the first round.")
    with database.reading() as rows:
        found = rows.execute(
            sa.select(CellImage.id, CellImage.truth, CellImage.cell_type)
            .where(CellImage.session_id == reader.session_id, CellImage.round == PRIMER)
            .order_by(CellImage.cell_type, CellImage.truth, CellImage.id)
        )
        return [Example(*row) for row in found.tuples()]


def example_picture(database: Database, reader: SignedIn, image_id: str) -> bytes:
    """The JPEG file of a labelled example; NotFound for any other image and before the primer was opened."""
    with database.reading() as rows:
        content: bytes | None = rows.scalar(
            sa.select(CellImage.content).where(
                CellImage.id == image_id, CellImage.session_id == reader.session_id, CellImage.round == PRIMER
            )
        )
    if content is None or not reader.primed or reader.closed:
        raise NotFound("There is no such picture.")
    return content


def type_titles(settings: Settings) -> dict[str, str]:
    """Names and titles of the types that a reader chooses from, by title."""
    return dict(sorted(((name, resolve(name).title) for name in settings.cell_types), key=lambda pair: pair[1]))


def _last_answer() -> sa.ScalarSelect[int]:
    return sa.select(sa.func.max(AnswerRow.id)).where(AnswerRow.item_id == Item.id).correlate(Item).scalar_subquery()


def _check_open(reader: SignedIn, number: int) -> None:
    if reader.closed:
        raise Closed("The session is closed. Thank you.")
    if number not in reader.settings.rounds or (number == SECOND and not reader.primed):
        raise NotFound("There is no such round in this session, or not yet.")


def _answer(row: AnswerRow) -> Answer:
    return Answer(row.verdict, row.confidence, row.cell_type, row.checklist, row.quality, row.remark, row.seconds)


def _row(item_id: str, key: str, answer: Answer) -> AnswerRow:
    return AnswerRow(
        item_id=item_id,
        key=key,
        verdict=answer.verdict,
        confidence=answer.confidence,
        cell_type=answer.cell_type,
        checklist=dict(answer.checklist),
        quality=answer.quality,
        remark=answer.remark,
        seconds=answer.seconds,
    )
