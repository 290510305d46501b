"""Hours of use in one process: does memory grow, does a handle stay open? → docs/results/soak.json

    python benchmarks/soak.py [--minutes 120] [--bundle pbc-256] [--settle 30]

A loop, until the time is over: pages of the studio (cells, a cell at native scale, a walk, a download) and of the reading
room are asked for as a browser would; cells are generated and written to a folder; the two headline sections of an
evaluation run on the shipped sample every 25th round; whatever was written is thrown away. After each round resident
memory, open files, threads and Python objects are noted. What grows without end shows as a slope: Theil and Sen's, over all
rounds after the first `--settle` minutes, with a 95 % interval (Sen 1968), in MiB an hour. The studio keeps up to 512 cells,
some 100 MB, and a round asks for about 8 new ones: before some 70 rounds are over, memory must grow.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import os
import platform
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scipy.stats import theilslopes

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results" / "soak.json"
EVALUATED_EVERY = 25
HOST = "127.0.0.1:8642"


def memory_mib() -> float:
    """Resident memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def handles() -> int:
    """Open files, sockets and pipes of this process."""
    return len(os.listdir("/proc/self/fd"))


class Use:
    """What a user does, over one bundle and a work folder."""

    def __init__(self, place: Path, bundle: str) -> None:
        from fastapi.testclient import TestClient

        from syntheticcellgan import SyntheticCellGAN
        from syntheticcellgan.data.manifest import read_manifest
        from syntheticcellgan.data.sample import sample_folder
        from syntheticcellgan.review.database import open_database
        from syntheticcellgan.review.sessions import Settings, create_session, invite_reader
        from syntheticcellgan.review.sources import Source
        from syntheticcellgan.web.app import create_app
        from syntheticcellgan.web.safety import Keys

        self.place, self.bundle = place, bundle
        self.chain = SyntheticCellGAN.load(bundle)
        self.database = open_database(place / "room.sqlite")
        sample = sample_folder()
        keys = Keys()
        sources = [Source("Sample", "real", sample)]
        app = create_app(self.database, sources, {HOST}, keys, bundles=[bundle], folder=place)
        self.client = TestClient(app, base_url=f"http://{HOST}", raise_server_exceptions=True)
        self.client.get(f"/enter?token={keys.token}")
        manifest = read_manifest(sample)
        halves = [manifest.select(range(start, len(manifest), 2)) for start in (0, 1)]
        session = create_session(self.database, "Soak", halves[0], halves[1], Settings(2, 2), seed=0)
        self.reader = invite_reader(self.database, session).token

    def get(self, path: str) -> None:
        answer = self.client.get(path)
        if answer.status_code != 200:
            raise SystemExit(f"{path} answered {answer.status_code}: {answer.text[:300]}")

    def studio(self, rng: random.Random) -> None:
        kind, other = rng.sample(self.chain.cell_types, 2)
        seed = rng.randrange(10**6)
        self.get(f"/studio?cell_type={kind}&count=8&seed={seed}")
        for step in range(8):
            self.get(f"/studio/picture/0/{kind}/{seed + step}.png")
        self.get(f"/studio/cell/0/{kind}/{seed}")
        self.get(f"/studio/walk?cell_type={kind}&seed={seed}&to_type={other}&to_seed=1")
        for step in (0, 5, 9):
            self.get(f"/studio/walk/0/{kind}/{seed}/{other}/1/{step}.png")

    def reading(self, rng: random.Random) -> None:
        self.get("/sessions")
        self.get(f"/read/{self.reader}/cell/1/{rng.randint(1, 8)}")

    def generation(self, rng: random.Random) -> None:
        from syntheticcellgan.writer import Request, write_cells

        out = self.place / "cells"
        write_cells(self.chain, [Request(rng.choice(self.chain.cell_types), 16, rng.randrange(10**6))], out)
        shutil.rmtree(out)

    def evaluation(self, rng: random.Random) -> None:
        from syntheticcellgan.cli import main
        from syntheticcellgan.data.sample import sample_folder

        out = self.place / "report"
        command = ["evaluate", "--real", str(sample_folder()), "--bundle", self.bundle, "--quick", "--count", "12"]
        for left_out in ("utility", "distribution"):
            command += ["--without", left_out]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            code = main([*command, "--out", str(out)])
        if code:
            raise SystemExit(f"scg {' '.join(command)} ended with {code}")
        shutil.rmtree(out)

    def close(self) -> None:
        self.client.close()
        self.database.close()


def slope(minutes: list[float], values: list[float]) -> dict[str, float]:
    """Growth an hour, and its 95 % interval."""
    found = theilslopes(values, [m / 60 for m in minutes], 0.95)
    return {"value": float(found[0]), "low": float(found[2]), "high": float(found[3])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--settle", type=float, default=30, help="minutes at the start that do not count")
    parser.add_argument("--bundle", default="pbc-256")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    rng, began, rows = random.Random(0), time.monotonic(), list[dict[str, Any]]()
    done: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        use = Use(Path(folder), given.bundle)
        turns: list[Callable[[random.Random], None]] = [use.studio, use.reading, use.generation]
        while (time.monotonic() - began) / 60 < given.minutes:
            for turn in [*turns, *([use.evaluation] if len(rows) % EVALUATED_EVERY == 0 else [])]:
                turn(rng)
                done[turn.__name__] = done.get(turn.__name__, 0) + 1
            gc.collect()
            rows.append(
                {
                    "minute": round((time.monotonic() - began) / 60, 3),
                    "memory_mib": round(memory_mib(), 2),
                    "handles": handles(),
                    "threads": threading.active_count(),
                    "objects": len(gc.get_objects()),
                }
            )
            write(given, rows, done)
            if len(rows) % 10 == 1:
                print(json.dumps(rows[-1]), flush=True)
        use.close()


def write(given: argparse.Namespace, rows: list[dict[str, Any]], done: dict[str, int]) -> None:
    """What has been seen so far, so that a run that is cut short has said something."""
    counted = [row for row in rows if row["minute"] >= given.settle]
    result: dict[str, Any] = {"minutes": rows[-1]["minute"], "rounds": len(rows), "done": done, "bundle": given.bundle}
    result["machine"] = f"{os.cpu_count()} CPU cores, {platform.system()}"
    result["load_average"] = round(os.getloadavg()[0], 1)
    if len(counted) >= 10:
        minutes = [row["minute"] for row in counted]
        result["settled_after_minutes"] = given.settle
        result["memory_mib_an_hour"] = slope(minutes, [row["memory_mib"] for row in counted])
        result["objects_an_hour"] = slope(minutes, [float(row["objects"]) for row in counted])
        for name in ("memory_mib", "handles", "threads"):
            values = [row[name] for row in counted]
            result[name] = {"first": values[0], "last": values[-1], "least": min(values), "greatest": max(values)}
    result["rows"] = rows
    part = given.out.with_suffix(".part")
    part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    part.replace(given.out)


if __name__ == "__main__":
    main()
