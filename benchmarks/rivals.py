"""Our speed beside others' and beside the machine's limit → docs/results/rivals.json.

    python benchmarks/rivals.py [--quick] [--anew] [--runs 3]

Each system is measured in processes of its own, in turns, so that whatever else the machine does meets all alike: seconds
from the start of Python to the first image, images of 256×256 made a second, images a second that training is shown, peak
memory, size. Others are restated layer by layer (rival_networks.py) and get the quickest of three ways to be run. The limit
is what the same multiply-adds take as products of square matrices, in the same precision, measured before and after.
Runs that are in the file already, of this machine and these versions, are not repeated: the same command goes on where it
was stopped; --anew forgets them. benchmarks/speed_page.py makes the page from the file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from our_system import BUNDLE, COMPILED, FABRIC, OURS, STAGES, ours, stage
from rival_measures import Made, Trained, in_precision, limit, rate
from rival_systems import rival, rivals

START = float(os.environ.get("RIVALS_START", time.time()))
ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results" / "rivals.json"


def measure(name: str, precision: str, trains: str, seconds: float) -> dict[str, object]:
    """What one process of one system gives; trains: as Fabric names it, the precision in which this
    machine trains; others are trained in it alone.
    """
    import resource

    import torch

    def peak() -> float:
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)

    with in_precision("float32" if name in (OURS, COMPILED) else precision):
        works: dict[str, Callable[[], Trained]] = {}
        if name == OURS:
            made, parameters = ours(precision, "pytorch")
            works = {f"{OURS}, {part}": partial(stage, part, FABRIC[precision]) for part in STAGES}
        elif name == COMPILED:
            made, parameters = ours(precision, "openvino")
        else:
            made, training, parameters = rival(name)
            works = {name: training}
        made.make(1)
        found: dict[str, object] = {"seconds_to_the_first_image": round(time.time() - START, 2)}
        if made.times > 1:
            del found["seconds_to_the_first_image"]  # one of its steps is no image
        before = limit(precision, seconds / 4)
        speed, way = _generation(name, made, seconds)
        top = max(before, limit(precision, seconds / 4))
        found |= {"parameters": parameters, "megabytes_in_half_precision": round(2 * parameters / 1e6, 1)}
        found |= {"images_per_second": speed / made.times, "way": way, "gigaflop_per_image": made.flops / 1e9}
        found |= {"limit_gigaflops": top / 1e9, "share_of_the_limit": speed / made.times * made.flops / top}
        found["peak_memory_mib_generation"] = peak()
        if works and (name == OURS or FABRIC[precision] == trains):
            found["training"] = {part: _training(work(), precision, seconds) for part, work in works.items()}
            found["peak_memory_mib_training"] = peak()
        found["threads"] = torch.get_num_threads()
    return found


def _generation(name: str, made: Made, seconds: float) -> tuple[float, str]:
    """Images (or denoising steps of one) a second, in the quickest way."""
    import torch

    if name in (OURS, COMPILED):
        made.make(32)
        return 32 * rate(lambda: made.make(32), seconds), "micro-batches of 4, side by side"
    if made.times > 1:
        return rate(lambda: made.make(1), seconds), "one by one"
    threads, cast = torch.get_num_threads(), torch.is_autocast_enabled("cpu")

    def begin() -> None:
        torch.set_num_threads(1)

    def alone(count: int) -> object:
        with torch.autocast("cpu", torch.bfloat16, enabled=cast):
            return made.make(count)

    best = {"one by one": rate(lambda: made.make(1), seconds / 3)}
    made.make(4)
    best["batches of 4"] = 4 * rate(lambda: made.make(4), seconds / 3)
    with ThreadPoolExecutor(threads, initializer=begin) as pool:
        best["batches of 4, side by side"] = (
            4 * threads * rate(lambda: list(pool.map(alone, [4] * threads)), seconds / 3)
        )
    torch.set_num_threads(threads)
    way = max(best, key=best.__getitem__)
    return best[way], way


def _training(trained: Trained, precision: str, seconds: float) -> dict[str, float]:
    before = limit(precision, seconds / 4)
    speed = rate(trained.step, seconds)
    top = max(before, limit(precision, seconds / 4))
    return {
        "images_per_second": speed * trained.images,
        "gigaflop_per_image": trained.flops / trained.images / 1e9,
        "limit_gigaflops": top / 1e9,
        "share_of_the_limit": speed * trained.flops / top,
    }


def context() -> dict[str, object]:
    """What must be the same for runs to stand side by side."""
    import torch

    from syntheticcellgan import __version__
    from syntheticcellgan.bundle import load_bundle
    from syntheticcellgan.training.hardware import find_hardware

    return {
        "machine": f"{os.cpu_count()} CPU cores, {torch.backends.cpu.get_cpu_capability()}, {platform.system()}",
        "training_precision": find_hardware().precision,
        "torch": torch.__version__,
        "version": __version__,
        "bundle": load_bundle(BUNDLE).id,
    }


def median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each number, with the least and the greatest, over runs of one system."""
    found: dict[str, Any] = {}
    for key, value in runs[0].items():
        values = [run[key] for run in runs]
        if isinstance(value, dict):
            found[key] = median(values)
        elif isinstance(value, float):
            found[key] = {"median": statistics.median(values), "low": min(values), "high": max(values)}
        else:
            found[key] = value
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="one short run of each, to see that it works; a full run forgets it"
    )
    parser.add_argument("--anew", action="store_true", help="forget the runs in the file")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    seconds = 0.3 if given.quick else 2.0
    if given.one:
        print(json.dumps(measure(*given.one, seconds)))
        return
    import growth

    path = given.out
    here = context() | {"quick": given.quick}
    kept = json.loads(path.read_text()) if path.exists() and not given.anew else {}
    if {key: kept.get(key) for key in here} != here:
        kept = here | {"load_average_before": round(os.getloadavg()[0], 2), "seconds": 0.0, "runs": {}, "growth": {}}
    precisions = ["float32"] + ["bfloat16"] * (here["training_precision"] == "bf16-mixed")
    names = [OURS, COMPILED, *rivals()]

    def keep() -> None:
        kept["systems"] = {key: median(runs) for key, runs in kept["runs"].items()}
        part = path.with_suffix(".part")
        part.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        part.replace(path)

    for run in range(1 if given.quick else given.runs):
        for name in names:
            for precision in precisions:
                done = kept["runs"].setdefault(f"{name}, {precision}", [])
                if len(done) > run:
                    continue
                began = time.time()
                command = [
                    sys.executable,
                    __file__,
                    "--one",
                    name,
                    precision,
                    here["training_precision"],
                    *(["--quick"] if given.quick else []),
                ]
                environment = {**os.environ, "RIVALS_START": str(began)}
                answer = subprocess.run(command, capture_output=True, text=True, env=environment)
                if answer.returncode:
                    raise SystemExit(f"{name}, {precision}: {answer.stderr[-2000:]}")
                done.append(json.loads(answer.stdout.splitlines()[-1]))
                kept["seconds"] = round(kept["seconds"] + time.time() - began, 1)
                print(f"run {run + 1}, {name}, {precision}: {done[-1]['images_per_second']:.2f} images/s", flush=True)
                keep()
    for name, work in growth.KINDS.items():
        if name not in kept["growth"]:
            began = time.time()
            kept["growth"][name] = work(given.quick)
            kept["seconds"] = round(kept["seconds"] + time.time() - began, 1)
            print(f"growth with {name}: {json.dumps(kept['growth'][name])}", flush=True)
            keep()
    print(f"{path}: {kept['seconds']:.0f} s of measuring in all")


if __name__ == "__main__":
    main()
