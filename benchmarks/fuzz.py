"""Feed hostile inputs to everything that reads files and forms of strangers; counts go to docs/results/fuzz.json.

    python benchmarks/fuzz.py --minutes 10 [--seed N] [--only labels …]

From each number an input is made (tests/fuzz/inputs.py); a run's numbers follow from its seed. Whole readers are fed, and,
for many more inputs, the same readers at their innermost entry points (tests/fuzz/parsers.py), which hardly touch the disk.
Each must be read or refused with a sentence; while it is read, nothing may be written outside its folder, started,
unpickled or connected to, nor may it take more than 20 s or 1 GiB beyond what the process had (tests/fuzz/guard.py). Runs
add up; what is found is printed with its number, stops its target, and belongs into tests/fuzz/test_found.py. Without
--seed a run takes one that none has had.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
RESULTS = ROOT / "docs" / "results" / "fuzz.json"
WHOLE = {"labels": 0.12, "look": 0.02, "archive": 0.02, "bundle": 0.02, "forms": 0.02}
PARTS = {
    "tensors": 0.17,
    "config": 0.06,
    "card": 0.08,
    "sums": 0.04,
    "zip": 0.17,
    "shard": 0.1,
    "plan": 0.04,
    "split": 0.04,
}
SHARES = WHOLE | PARTS | {"fields": 0.1}


def feed(target: Target, begin: int, seconds: float) -> dict[str, object]:
    """One number after the other until the time is over, or until something is found."""
    taken: Counter[str] = Counter()
    slowest, until, number = 0.0, time.monotonic() + seconds, begin * 10**12
    while (began := time.monotonic()) < until:
        try:
            taken[target.feed(number)] += 1
        except KeyboardInterrupt:
            raise
        except BaseException:
            print(f"{target.name}: found with the number {number}")
            traceback.print_exc()
            taken["found"] += 1
            break
        slowest = max(slowest, time.monotonic() - began)
        number += 1
    return {"inputs": taken.total(), **taken, "slowest_seconds": round(slowest, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--only", nargs="+", choices=list(SHARES), default=list(SHARES))
    given_options = parser.parse_args()
    from tests.fuzz.guard import memory
    from tests.fuzz.targets import opened

    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"runs": []}
    begin = (
        given_options.seed if given_options.seed is not None else 1 + max((r["seed"] for r in kept["runs"]), default=0)
    )
    whole = sum(SHARES[name] for name in given_options.only)
    run = {"seed": begin, "python": platform.python_version(), "targets": {}}
    quick = "/dev/shm" if Path("/dev/shm").is_dir() else None  # in memory: hundreds of thousands of small files
    with tempfile.TemporaryDirectory(dir=quick) as folder, opened(Path(folder)) as targets, memory():
        for name in given_options.only:
            seconds = 60 * given_options.minutes * SHARES[name] / whole
            run["targets"][targets[name].name] = found = feed(targets[name], begin, seconds)
            print(targets[name].name, json.dumps(found), flush=True)
    kept["runs"].append(run)
    totals: Counter[str] = Counter()
    for one in kept["runs"]:
        for name, counts in one["targets"].items():
            totals[name] += counts["inputs"]
    result = {"inputs_in_all": totals.total(), "by_target": dict(totals), "runs": kept["runs"]}
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
