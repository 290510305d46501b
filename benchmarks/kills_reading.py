"""The part of kills.py that kills a server while readers answer: every answer that it confirmed must be there."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlencode

import sqlalchemy as sa

from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.sample import sample_folder
from syntheticcellgan.review.database import open_database
from syntheticcellgan.review.judgements import read_judgements
from syntheticcellgan.review.sessions import Settings, create_session, invite_reader
from syntheticcellgan.review.tables import AnswerRow, Item

READERS, PAUSE = 3, 0.02


def prepare(place: Path) -> tuple[str, list[tuple[str, list[str]]]]:
    """A session of the sample, half of it standing in for synthetic cells; its id, each reader's token and items."""
    database = open_database(place)
    manifest = read_manifest(sample_folder())
    halves = [manifest.select(range(start, len(manifest), 2)) for start in (0, 1)]
    made = create_session(database, "Kills", halves[0], halves[1], Settings(6, 6, repeated=12), seed=0)
    readers = []
    for number in range(READERS):
        invitation = invite_reader(database, made, f"Reader {number}")
        with database.reading() as rows:
            mine = sa.select(Item.id).where(Item.reader_id == invitation.reader_id).order_by(Item.position)
            readers.append((invitation.token, list(rows.scalars(mine))))
    database.close()
    return made, readers


def answers(token: str, items: list[str]) -> list[tuple[int, dict[str, str]]]:
    """What a reader says, the same in every run: each cell, and every fifth changed later."""
    rng = random.Random(len(items))
    said = []
    for position, item in enumerate(items, 1):
        for again in (False, True) if position % 5 == 0 else (False,):
            fields = {
                "item": item,
                "key": f"{token[:8]}-{position}-{again}",
                "verdict": rng.choice(["real", "synthetic"]),
                "confidence": str(rng.randint(1, 4)),
                "remark": f"cell {position}" if again else "",
                "scripted": "1",
            }
            said.append((position, fields))
    return said


class Room:
    """A server that can be killed and started on the same port."""

    def __init__(self, database: Path, port: int) -> None:
        self.database, self.port = database, port

    def start(self) -> None:
        command = [sys.executable, "-m", "syntheticcellgan", "serve", "--port", str(self.port)]
        command += ["--database", str(self.database), "--folder", str(self.database.parent)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        while not re.search("token=", line := self.process.stdout.readline()):
            assert line, "the server did not start"

    def send(self, token: str, position: int, fields: dict[str, str]) -> bool:
        """Whether the answer was confirmed."""
        address = f"http://127.0.0.1:{self.port}/read/{token}/cell/1/{position}"
        try:
            with urllib.request.urlopen(address, urlencode(fields).encode(), timeout=30) as answer:
                return bool(answer.status == 204)
        except urllib.error.HTTPError:
            raise
        except OSError:
            return False


def read(room: Room, token: str, items: list[str], confirmed: set[str], ended: threading.Event) -> None:
    for position, fields in answers(token, items):
        while not room.send(token, position, fields):
            if ended.is_set():
                return
            time.sleep(0.05)
        confirmed.add(fields["key"])
        time.sleep(PAUSE)


def whole_session(place: Path, base: Path, readers, moments: list[float]) -> tuple[int, int, float]:
    """All answers, the server killed at these moments of its life; confirmed answers, lost ones, seconds."""
    database = place / "room.sqlite"
    shutil.copyfile(base, database)
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    room, confirmed, ended = Room(database, port), set(), threading.Event()
    room.start()
    began = time.monotonic()
    threads = [threading.Thread(target=read, args=(room, *reader, confirmed, ended)) for reader in readers]
    for thread in threads:
        thread.start()
    try:
        for moment in moments:
            time.sleep(moment)
            assert any(thread.is_alive() for thread in threads), "all answered before the last kill"
            room.process.kill()
            room.process.wait()
            room.start()
        for thread in threads:
            thread.join(600)
            assert not thread.is_alive(), "a reader hangs"
    finally:
        ended.set()
        room.process.kill()
        room.process.wait()
    seconds = time.monotonic() - began
    opened = open_database(database)
    with opened.reading() as rows:
        kept = set(rows.scalars(sa.select(AnswerRow.key)))
    opened.close()
    return len(confirmed), len(confirmed - kept), seconds


def judged(place: Path, session: str) -> list[dict[str, object]]:
    database = open_database(place / "room.sqlite")
    found = [asdict(j) for j in read_judgements(database, session)]
    database.close()
    return [{k: v for k, v in j.items() if k not in ("seconds", "answered_at")} for j in found]


def reading_sessions(place: Path, kills: int, rng: random.Random) -> dict[str, object]:
    base = place / "base.sqlite"
    session, readers = prepare(base)
    for name in ("undisturbed", "killed"):
        (place / name).mkdir()
    sent, lost, seconds = whole_session(place / "undisturbed", base, readers, [])
    expected = judged(place / "undisturbed", session)
    moments = [rng.uniform(0.02, 0.7 * seconds / kills) for _ in range(kills)]
    confirmed, lost, _ = whole_session(place / "killed", base, readers, moments)
    assert confirmed == sent, (confirmed, sent)
    assert lost == 0, f"{lost} confirmed answers are lost"
    found = judged(place / "killed", session)
    assert found == expected, [pair for pair in zip(found, expected, strict=False) if pair[0] != pair[1]][:3]
    return {
        "kind": "reading sessions",
        "work": f"{READERS} readers answer {len(readers[0][1])} cells each through `scg serve`, every fifth twice (SQLite)",
        "equality": "every confirmed answer is there once; all judgements equal but for their times",
        "seconds_undisturbed": round(seconds, 1),
        "kills": kills,
        "kills_at_seconds_after_the_start": [round(moment, 2) for moment in moments],
        "starts": kills + 1,
        "whole_runs_compared": 1,
        "things_compared_each_time": len(expected),
        "answers_confirmed": confirmed,
        "confirmed_but_lost": lost,
        "starts_that_did_not_go_on": 0,
        "differences": 0,
    }
