"""How quickly answers are kept while many read at once; writes docs/results/readers.json.

    python benchmarks/readers.py --readers 200 --seconds 60

A real server in a process of its own, on a new database; each reader answers after a pause of 4 to 8 seconds (--pause 6), which is
faster than anyone judges a cell. Afterwards every answer that the server confirmed is looked for in the database.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import sqlalchemy as sa

from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.sample import sample_folder
from syntheticcellgan.review.database import open_database
from syntheticcellgan.review.sessions import Settings, create_session, invite_reader
from syntheticcellgan.review.tables import AnswerRow, Item, Reader

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "readers.json"


def prepare(place: Path, readers: int) -> list[tuple[str, list[str]]]:
    """A session of the sample, half of it standing in for synthetic cells; each reader's token and items."""
    database = open_database(place)
    manifest = read_manifest(sample_folder())
    halves = [manifest.select(range(start, len(manifest), 2)) for start in (0, 1)]
    made = create_session(database, "Load", halves[0], halves[1], Settings(4, 4), seed=0)
    prepared = []
    for _ in range(readers):
        invitation = invite_reader(database, made)
        with database.reading() as rows:
            mine = sa.select(Item.id).where(Item.reader_id == invitation.reader_id).order_by(Item.position)
            prepared.append((invitation.token, list(rows.scalars(mine))))
    database.close()
    return prepared


class Connection:
    """A bare keep-alive connection: a full client costs more processor time than the server that it measures."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def send(self, method: str, path: str, body: str = "") -> int:
        """The status, after the whole answer was read."""
        if not hasattr(self, "reader"):
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Length: {len(body)}\r\n"
        head += "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        self.writer.write((head + body).encode())
        answer = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = re.search(r"content-length: (\d+)", answer)
        await self.reader.readexactly(int(length[1]) if length else 0)
        return int(answer.split()[1])


async def read(
    port: int, token: str, items: list[str], until: float, pause: float, times: list[float], kept: set[str]
) -> None:
    """One reader: looks at the cell's page and picture, answers, pauses."""
    rng = random.Random(token)
    server = Connection(port)
    await asyncio.sleep(rng.uniform(0, pause))
    number = 0
    while time.monotonic() < until:
        position = number % len(items)
        await server.send("GET", f"/read/{token}/cell/1/{position + 1}")
        await server.send("GET", f"/read/{token}/picture/{items[position]}")
        key = f"{token[:8]}-{number}"
        fields = {"item": items[position], "key": key, "verdict": "real", "confidence": "2", "scripted": "1"}
        start = time.monotonic()
        status = await server.send("POST", f"/read/{token}/cell/1/{position + 1}", urlencode(fields))
        times.append(time.monotonic() - start)
        if status == 204:
            kept.add(key)
        number += 1
        await asyncio.sleep(rng.uniform(pause * 2 / 3, pause * 4 / 3))


async def run(
    port: int, prepared: list[tuple[str, list[str]]], seconds: float, pause: float
) -> tuple[list[float], set[str]]:
    times: list[float] = []
    kept: set[str] = set()
    until = time.monotonic() + seconds
    await asyncio.gather(*(read(port, token, items, until, pause, times, kept) for token, items in prepared))
    return times, kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--pause", type=float, default=6, help="mean seconds between answer and next cell")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "room.sqlite"
        prepared = prepare(place, given.readers)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", "syntheticcellgan", "serve", "--port", str(port), "--database", str(place)]
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        try:
            assert server.stdout is not None
            while not re.search("token=", server.stdout.readline()):
                pass
            time.sleep(10)  # the networks of the studio are loaded meanwhile
            times, kept = asyncio.run(run(port, prepared, given.seconds, given.pause))
        finally:
            server.kill()
            server.wait()
        database = open_database(place)
        with database.reading() as rows:
            found = set(rows.scalars(sa.select(AnswerRow.key)))
            readers = rows.scalar(sa.select(sa.func.count()).select_from(Reader))
        database.close()
    milliseconds = np.array(times) * 1000
    result = {
        "readers": readers,
        "seconds": given.seconds,
        "pace": f"each reader loads a cell's page and picture, answers, pauses {given.pause:g} s ± a third",
        "answers_sent": len(times),
        "answers_confirmed": len(kept),
        "confirmed_but_lost": len(kept - found),
        "milliseconds_median": round(float(np.median(milliseconds)), 1),
        "milliseconds_95th_percentile": round(float(np.percentile(milliseconds, 95)), 1),
        "milliseconds_largest": round(float(milliseconds.max()), 1),
        "machine": f"{os.cpu_count()} cores, {platform.system()}, client and server on the same, SQLite with full sync",
        "load_average_at_end": round(os.getloadavg()[0], 1),
    }
    given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
