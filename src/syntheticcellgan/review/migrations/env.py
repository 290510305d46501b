"""Alembic's entry: runs the migrations on the connection that `database.open_database` hands over."""

from alembic import context

from syntheticcellgan.review.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transaction_per_migration=False,
)
context.run_migrations()
