"""The database: migrations, backup, what is refused; the same on a real PostgreSQL server where there is one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from glob import glob
from pathlib import Path

import pytest
import sqlalchemy as sa

from syntheticcellgan.errors import InputError
from syntheticcellgan.review import reading
from syntheticcellgan.review.checklist import Answer
from syntheticcellgan.review.database import backup, open_database
from syntheticcellgan.review.judgements import read_judgements
from syntheticcellgan.review.overview import list_readers, list_sessions
from syntheticcellgan.review.sessions import Settings, create_session, invite_reader
from syntheticcellgan.review.tables import Base


def differences(database) -> list:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with database.engine.connect() as connection:
        return compare_metadata(MigrationContext.configure(connection), Base.metadata)


def test_the_migrations_make_the_tables_that_the_code_expects(database):
    assert differences(database) == []


def test_opening_again_changes_nothing(database, session_id):
    again = open_database(database.place)
    assert [s.id for s in list_sessions(again)] == [session_id]
    again.close()


def test_what_is_no_reading_room_is_left_alone(tmp_path):
    text = tmp_path / "thesis.txt"
    text.write_text("years of work " * 100)
    with pytest.raises(InputError, match="no database of a reading room"):
        open_database(text)
    assert text.read_text().startswith("years of work")
    foreign = tmp_path / "other.sqlite"
    with sa.create_engine(f"sqlite:///{foreign}").begin() as connection:
        connection.execute(sa.text("CREATE TABLE mine (x)"))
    with pytest.raises(InputError, match="something else"):
        open_database(foreign)
    for wrong in ("mysql://root@localhost/x", "http://", str(tmp_path), str(tmp_path / "no" / "room.sqlite")):
        with pytest.raises(InputError):
            open_database(wrong)


def test_a_later_version_is_not_touched(database):
    with database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(InputError, match="later version"):
        open_database(database.place)


def test_backup_while_in_use(database, session_id, tmp_path):
    target = tmp_path / "copy.sqlite"
    with database.writing() as rows:
        rows.execute(sa.text("UPDATE reading_session SET title = 'half-way'"))
        backup(database, target)
    copy = open_database(target)
    assert [s.title for s in list_sessions(copy)] == ["Drawn cells"]
    assert list_readers(copy, session_id) == []
    copy.close()
    with pytest.raises(InputError, match="exists"):
        backup(database, target)


def answer_in_parallel(database, session_id, readers=6) -> None:
    """Each reader answers every cell in a thread of his own; none is lost."""
    tokens = [invite_reader(database, session_id).token for _ in range(readers)]
    errors: list[BaseException] = []

    def read(token: str) -> None:
        try:
            reader = reading.sign_in(database, token)
            for position in range(22):
                cell = reading.show_item(database, reader, 1, position)
                reading.save_answer(database, reader, cell.id, Answer("synthetic", 2, "platelet", remark="=1+1"), "k")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(read_judgements(database, session_id)) == 22 * readers


def test_parallel_readers_lose_nothing(database, session_id):
    answer_in_parallel(database, session_id)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The URL of a server of our own, in a temporary folder, gone afterwards."""
    pytest.importorskip("psycopg", reason="the extra `postgresql` is not installed")
    found = sorted(glob("/usr/lib/postgresql/*/bin/initdb")) or [p for p in [shutil.which("initdb")] if p]
    if not found:
        pytest.skip("Debian's package postgresql is not installed")
    programs = Path(found[-1]).parent
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    account = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        account = {"user": "postgres", "group": "postgres"}
        shutil.chown(folder, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(*command: str) -> None:
        subprocess.run([programs / command[0], *command[1:]], check=True, capture_output=True, cwd=folder, **account)

    data = str(folder / "data")
    run("initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


def test_a_reading_room_on_postgresql(postgresql, cells, tmp_path):
    database = open_database(postgresql)
    try:
        assert differences(database) == []
        made = create_session(database, "pg", cells.real, cells.synthetic, Settings(3, 3, repeated=4), seed=1)
        answer_in_parallel(database, made)
        for statement in ("UPDATE answer SET remark = ''", "DELETE FROM answer", "TRUNCATE answer"):
            with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.writing() as rows:
                rows.execute(sa.text(statement))
        backup(database, tmp_path / "room.dump")
        assert (tmp_path / "room.dump").read_bytes()[:5] == b"PGDMP"
        assert open_database(postgresql).place.startswith("postgresql")
    finally:
        database.close()
