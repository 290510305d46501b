"""The final answers of a session as flat records, with the truth beside them: what results and exports are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from syntheticcellgan.review.database import Database
from syntheticcellgan.review.sessions import find_session
from syntheticcellgan.review.tables import SYNTHETIC, AnswerRow, CellImage, Item, Reader


@dataclass(frozen=True)
class Judgement:
    """One item with a verdict. position: from 1. changes: answers kept before the final one."""

    reader: str
    image: str
    source: str
    truth: str
    cell_type: str
    round: int
    position: int
    repeat: bool
    verdict: str
    confidence: int | None
    answered_type: str | None
    checklist: Mapping[str, str]
    quality: int | None
    remark: str
    seconds: float | None
    answered_at: datetime
    changes: int

    @property
    def correct(self) -> bool:
        return self.verdict == self.truth

    @property
    def says_synthetic(self) -> bool:
        return self.verdict == SYNTHETIC

    @property
    def type_correct(self) -> bool:
        return self.answered_type == self.cell_type


def read_judgements(database: Database, session_id: str) -> list[Judgement]:
    """Every item of every reader whose last answer has a verdict, by reader, round and position.

    InputError if there is no such session.
    """
    last = (
        sa.select(AnswerRow.item_id, sa.func.max(AnswerRow.id).label("id"), sa.func.count().label("count"))
        .group_by(AnswerRow.item_id)
        .subquery()
    )
    columns = sa.select(
        Reader.label,
        CellImage.id,
        CellImage.source,
        CellImage.truth,
        CellImage.cell_type,
        Item,
        AnswerRow,
        last.c.count,
    )
    with database.reading() as rows:
        find_session(rows, session_id)
        found = rows.execute(
            columns.join(Item, Item.reader_id == Reader.id)
            .join(CellImage, CellImage.id == Item.image_id)
            .join(last, last.c.item_id == Item.id)
            .join(AnswerRow, AnswerRow.id == last.c.id)
            .where(Reader.session_id == session_id, AnswerRow.verdict.is_not(None))
            .order_by(Reader.created_at, Item.round, Item.position)
        )
        return [
            Judgement(
                label,
                image,
                source,
                truth,
                cell_type,
                item.round,
                item.position + 1,
                item.repeat,
                str(answer.verdict),
                answer.confidence,
                answer.cell_type,
                answer.checklist,
                answer.quality,
                answer.remark,
                answer.seconds,
                answer.answered_at,
                count - 1,
            )
            for label, image, source, truth, cell_type, item, answer, count in found.tuples()
        ]
