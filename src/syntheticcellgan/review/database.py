"""Where reading sessions and answers live: SQLite by default, PostgreSQL by a URL; migrated on opening, backed up by a call.

    database = open_database("reading-room.sqlite")
    with database.writing() as session: ...

Pictures lie in the database as well, so that one file (or one dump) is the whole reading room and no path is ever built
from what a user typed. Answers are append-only: triggers refuse to change or delete one; the last of an item counts.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from syntheticcellgan.errors import InputError, ScgError

WAIT_SECONDS = 20
"""How long a writer waits for another one before it gives up."""


@dataclass(frozen=True)
class Database:
    """An opened reading room; to be shared by all threads of a process.

    turn: SQLite has one writer at a time and lets others knock again and again; threads that queue here wait far less.
    """

    engine: sa.Engine
    turn: AbstractContextManager[Any] = field(default_factory=threading.Lock)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only looks."""
        with _said(self), Session(self.engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction: all of it is on the disk when the `with` ends without an error, or nothing."""
        with _said(self), self.turn, self.engine.connect() as connection:
            connection = connection.execution_options(writes=True)
            with connection.begin(), Session(connection, expire_on_commit=False) as session:
                yield session
                session.flush()

    @property
    def place(self) -> str:
        """File name or URL without the password, for people."""
        url = self.engine.url
        return str(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)

    def close(self) -> None:
        self.engine.dispose()


@contextmanager
def _said(database: Database) -> Iterator[None]:
    """Failures of the database as sentences."""
    try:
        yield
    except sa.exc.OperationalError as error:
        raise ScgError(
            f"The database {database.place} could not be used ({error.orig}). Nothing of what was kept before is lost; "
            "see that it can be reached and that its disk has space, then try again."
        ) from error


def open_database(place: str | os.PathLike[str]) -> Database:
    """Open, and bring to the present layout, the reading room at `place`: a file's name or a postgresql:// URL.

    Raises:
        InputError: no such folder, no database of ours, or one of a later version.
        ScgError: it cannot be reached or written.
    """
    url = _url(os.fspath(place))
    if url.get_backend_name() == "sqlite":
        engine = _sqlite(url)
    else:
        engine = sa.create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=30)
    database = Database(engine) if engine.dialect.name == "sqlite" else Database(engine, nullcontext())
    try:
        with _said(database):
            _migrate(engine, database.place)
    except sa.exc.DatabaseError as error:
        engine.dispose()
        raise InputError(f"{database.place} is no database of a reading room ({error.orig}); name another.") from error
    except ScgError:
        engine.dispose()
        raise
    return database


def _url(place: str) -> sa.URL:
    if "://" not in place:
        path = Path(place)
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise InputError(f"{place} cannot be the database's file; give a file name in a folder that exists.")
        return sa.URL.create("sqlite", database=str(path))
    try:
        url = sa.make_url(place)
    except sa.exc.ArgumentError:
        raise InputError("The database's URL cannot be read; write postgresql://user:password@host/name.") from None
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        try:
            import psycopg  # noqa: F401
        except ImportError:
            raise InputError("PostgreSQL needs one more package: pip install 'syntheticcellgan[postgresql]'.") from None
        return url.set(drivername="postgresql+psycopg")
    raise InputError(f"{url.drivername} is not supported; use a file's name (SQLite) or postgresql://….")


def _sqlite(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": WAIT_SECONDS}, pool_size=10, max_overflow=30)

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _: Any) -> None:
        # The driver's own idea of when a transaction begins leaves table changes outside of it.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A writer takes its turn at once: a reader that turns into a writer half-way may have to be refused.
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def migration_config() -> Any:
    """Alembic's configuration; the connection is handed over in its attributes."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _migrate(engine: sa.Engine, place: str) -> None:
    from alembic import command
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = migration_config()
    scripts = ScriptDirectory.from_config(config)
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":  # two servers that start at once migrate one after the other
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(7316024)"))
        present = MigrationContext.configure(connection).get_current_revision()
        if present == scripts.get_current_head():
            return
        if present is None and sa.inspect(connection).get_table_names():
            raise InputError(f"{place} holds tables of something else; name another database.")
        if present is not None and present not in {script.revision for script in scripts.walk_revisions()}:
            raise InputError(f"{place} was written by a later version of this program; update the program.")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def backup(database: Database, target: Path) -> None:
    """A consistent copy while the server runs: for SQLite a database file, for PostgreSQL a dump for `pg_restore`.

    Raises:
        InputError: `target` exists.
        ScgError: it cannot be written, or the program pg_dump is missing.
    """
    if target.exists():
        raise InputError(f"{target} exists; choose another name, so that no earlier backup is lost.")
    part = target.with_name(target.name + ".part")
    try:
        if database.engine.dialect.name == "sqlite":
            with (
                closing(sqlite3.connect(str(database.engine.url.database))) as source,
                closing(sqlite3.connect(part)) as copy,
            ):
                source.backup(copy)
        else:
            _dump(database.engine.url, part)
        os.replace(part, target)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise ScgError(f"{target} could not be written ({error}).") from error


def _dump(url: sa.URL, part: Path) -> None:
    plain = url.set(drivername="postgresql", password=None).render_as_string()
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    command = ["pg_dump", "--format=custom", f"--file={part}", plain]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ScgError("pg_dump was not found; install PostgreSQL's client programs (postgresql-client).") from None
    if done.returncode:
        part.unlink(missing_ok=True)
        raise ScgError(f"pg_dump failed: {done.stderr.strip()[:500]}")
