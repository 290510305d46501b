"""The reading room: sessions, images, readers, items, and answers that can only be added."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SQLITE = [
    f"CREATE TRIGGER answer_no_{verb.lower()} BEFORE {verb} ON answer "
    "BEGIN SELECT RAISE(ABORT, 'answers are append-only'); END"
    for verb in ("UPDATE", "DELETE")
]
_POSTGRESQL = [
    "CREATE FUNCTION answers_are_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'answers are append-only'; END $$",
    "CREATE TRIGGER answer_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON answer "
    "FOR EACH STATEMENT EXECUTE FUNCTION answers_are_append_only()",
]


def _id() -> sa.Column:
    return sa.Column("id", sa.String(24), primary_key=True)


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "reading_session",
        _id(),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("closed_at", time),
    )
    op.create_table(
        "image",
        _id(),
        sa.Column("session_id", sa.String(24), sa.ForeignKey("reading_session.id"), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("truth", sa.String(9), nullable=False),
        sa.Column("cell_type", sa.String(200), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_image_session_id", "image", ["session_id"])
    op.create_table(
        "reader",
        _id(),
        sa.Column("session_id", sa.String(24), sa.ForeignKey("reading_session.id"), nullable=False),
        sa.Column("label", sa.String(100), nullable=False),
        sa.Column("token_hash", sa.String(64), unique=True),
        sa.Column("created_at", time, nullable=False),
        sa.Column("primed_at", time),
        sa.UniqueConstraint("session_id", "label"),
    )
    op.create_index("ix_reader_session_id", "reader", ["session_id"])
    op.create_table(
        "item",
        _id(),
        sa.Column("reader_id", sa.String(24), sa.ForeignKey("reader.id"), nullable=False),
        sa.Column("image_id", sa.String(24), sa.ForeignKey("image.id"), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("repeat", sa.Boolean(), nullable=False),
        sa.UniqueConstraint("reader_id", "round", "position"),
    )
    op.create_index("ix_item_image_id", "item", ["image_id"])
    op.create_table(
        "answer",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("item_id", sa.String(24), sa.ForeignKey("item.id"), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("verdict", sa.String(9)),
        sa.Column("confidence", sa.Integer()),
        sa.Column("cell_type", sa.String(200)),
        sa.Column("checklist", sa.JSON(), nullable=False),
        sa.Column("quality", sa.Integer()),
        sa.Column("remark", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Float()),
        sa.Column("answered_at", time, nullable=False),
        sa.UniqueConstraint("item_id", "key"),
    )
    op.create_index("ix_answer_item_id_id", "answer", ["item_id", "id"])
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("Going back would delete answers; use a backup instead.")
