"""What the organiser sees before the results: the sessions, and how far each reader is."""

from __future__ import annotations

import sqlalchemy as sa

from syntheticcellgan.review.database import Database
from syntheticcellgan.review.sessions import ReaderLine, SessionLine, find_session, settings_of
from syntheticcellgan.review.tables import AnswerRow, CellImage, Item, Reader, ReadingSession


def list_sessions(database: Database) -> list[SessionLine]:
    """All sessions, newest first."""
    with database.reading() as rows:
        counts = dict(
            rows.execute(sa.select(CellImage.session_id, sa.func.count()).group_by(CellImage.session_id)).tuples().all()
        )
        sessions = rows.scalars(sa.select(ReadingSession).order_by(ReadingSession.created_at.desc()))
        return [_line(session, counts.get(session.id, 0)) for session in sessions]


def show_session(database: Database, session_id: str) -> SessionLine:
    """One session; InputError if there is none of this id."""
    with database.reading() as rows:
        session = find_session(rows, session_id)
        count = rows.scalar(sa.select(sa.func.count()).where(CellImage.session_id == session_id))
        return _line(session, count or 0)


def list_readers(database: Database, session_id: str) -> list[ReaderLine]:
    """The readers in the order of their invitation, each with the number of items whose judgement is given."""
    judged = sa.select(AnswerRow.item_id).where(AnswerRow.verdict.is_not(None)).distinct().subquery()
    with database.reading() as rows:
        find_session(rows, session_id)
        found = rows.execute(
            sa.select(Reader, sa.func.count(judged.c.item_id), sa.func.count(Item.id))
            .outerjoin(Item, Item.reader_id == Reader.id)
            .outerjoin(judged, judged.c.item_id == Item.id)
            .where(Reader.session_id == session_id)
            .group_by(Reader.id)
            .order_by(Reader.created_at)
        )
        return [ReaderLine(r.id, r.label, r.token_hash is not None, answered, n) for r, answered, n in found]


def _line(session: ReadingSession, images: int) -> SessionLine:
    return SessionLine(session.id, session.title, settings_of(session), images, session.created_at, session.closed_at)
