"""The tables of the reading room.

A session has images; a reader of it has items, his own order of them; an item has answers. The truth of an image stands
in `image` alone, which no page of a reader reads more of than the picture.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

REAL, SYNTHETIC = "real", "synthetic"


def new_id() -> str:
    """24 random hexadecimal digits (96 bits): says nothing, cannot be guessed, never looks like an option."""
    return secrets.token_hex(12)


def now() -> datetime:
    return datetime.now(timezone.utc)


class Utc(TypeDecorator[datetime]):
    """A time in UTC; SQLite forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Any) -> datetime | None:
        return value if value is None or value.tzinfo else value.replace(tzinfo=timezone.utc)


class Base(DeclarativeBase):
    """All tables."""


class ReadingSession(Base):
    """settings: `sessions.Settings` as a dictionary, with the cell types that occur."""

    __tablename__ = "reading_session"
    id: Mapped[str] = mapped_column(String(24), primary_key=True, default=new_id)
    title: Mapped[str] = mapped_column(String(200))
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)
    seed: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(Utc, default=now)
    closed_at: Mapped[datetime | None] = mapped_column(Utc)


class CellImage(Base):
    """round: 0 for a labelled example of the primer, else the round that shows it. source: where from, for people."""

    __tablename__ = "image"
    id: Mapped[str] = mapped_column(String(24), primary_key=True, default=new_id)
    session_id: Mapped[str] = mapped_column(ForeignKey("reading_session.id"), index=True)
    round: Mapped[int] = mapped_column(Integer)
    truth: Mapped[str] = mapped_column(String(9))
    cell_type: Mapped[str] = mapped_column(String(200))
    source: Mapped[str] = mapped_column(Text)
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


class Reader(Base):
    """token_hash: SHA-256 of the personal link's secret, or None after it was withdrawn. No real name is asked for."""

    __tablename__ = "reader"
    id: Mapped[str] = mapped_column(String(24), primary_key=True, default=new_id)
    session_id: Mapped[str] = mapped_column(ForeignKey("reading_session.id"), index=True)
    label: Mapped[str] = mapped_column(String(100))
    token_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(Utc, default=now)
    primed_at: Mapped[datetime | None] = mapped_column(Utc)
    __table_args__ = (UniqueConstraint("session_id", "label"),)


class Item(Base):
    """One showing of an image to a reader. repeat: the second showing, for the agreement with oneself."""

    __tablename__ = "item"
    id: Mapped[str] = mapped_column(String(24), primary_key=True, default=new_id)
    reader_id: Mapped[str] = mapped_column(ForeignKey("reader.id"))
    image_id: Mapped[str] = mapped_column(ForeignKey("image.id"), index=True)
    round: Mapped[int] = mapped_column(Integer)
    position: Mapped[int] = mapped_column(Integer)
    repeat: Mapped[bool] = mapped_column(Boolean)
    __table_args__ = (UniqueConstraint("reader_id", "round", "position"),)


class AnswerRow(Base):
    """One state of an item's answer. key: the browser's own, so that what it sends twice is kept once."""

    __tablename__ = "answer"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("item.id"))
    key: Mapped[str] = mapped_column(String(64))
    verdict: Mapped[str | None] = mapped_column(String(9))
    confidence: Mapped[int | None] = mapped_column(Integer)
    cell_type: Mapped[str | None] = mapped_column(String(200))
    checklist: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    quality: Mapped[int | None] = mapped_column(Integer)
    remark: Mapped[str] = mapped_column(Text, default="")
    seconds: Mapped[float | None] = mapped_column(Float)
    answered_at: Mapped[datetime] = mapped_column(Utc, default=now)
    __table_args__ = (UniqueConstraint("item_id", "key"), Index("ix_answer_item_id_id", "item_id", "id"))
