"""Shards from two processes that are killed at random, against an undisturbed run → docs/results/shards.json.

    python benchmarks/shards.py --folder SCRATCH [--count 100000] [--minutes 8]     # again until it says “done”
    python benchmarks/shards.py --write                                            # the table in the docs

1. One process makes `count` images of 128×128 with a small untrained chain (what matters is the writing), undisturbed.
2. Two processes make the same; one of them, by turns, is killed with SIGKILL at random times and started again.
3. Every shard of the second must have the bytes of the first, and `scg data check` must find every image.
4. The shipped bundle makes 500 images of 256×256 in each format, for the size and pace of real ones.

With --minutes the work stops in between and the next call goes on; what stays in the scratch folder is all that it needs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from figures import ROOT, between

RESULT = ROOT / "docs" / "results" / "shards.json"
PAGE = ROOT / "docs" / "how-to" / "generate-many.md"
TYPES = ("eosinophil", "lymphocyte", "monocyte", "neutrophil")
PER_SHARD = 1000
OUT_OF_TIME = 3


def bundle(folder: Path) -> Path:
    """A small chain of 128×128 images, the smallest that a bundle makes, with random weights."""
    from PIL import Image

    from syntheticcellgan.bundle_writing import write_bundle
    from syntheticcellgan.config import ChainConfig, GeneratorConfig, TranslatorConfig
    from syntheticcellgan.networks.generator import LowResolutionGenerator
    from syntheticcellgan.networks.translator import Translator

    path = folder / "small"
    if not path.exists():
        generator = GeneratorConfig(resolution=32, width=16, latent_size=8)
        chain = ChainConfig(TYPES, generator, TranslatorConfig(scale=4, width=8, blocks=1))
        networks = LowResolutionGenerator(chain), Translator(chain)
        write_bundle(path, chain, *networks, {"name": "small"}, Image.new("RGB", (8, 8)))
    return path


def start(arguments: list[str]) -> subprocess.Popen[bytes]:
    """`scg …` as a process of its own with one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "syntheticcellgan", *arguments]
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A job in the background ignores Ctrl-C, and so would what it starts; but that is how a part is ended.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def generation(path: Path, out: Path, count: int) -> list[str]:
    each = [str(count // len(TYPES)), "--threads", "1", "--shards", "--per-shard", str(PER_SHARD)]
    return ["generate", str(path), "--all", "--out", str(out), "--count", *each]


def sums(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("*.tar"))}


class State(dict[str, Any]):
    """What is known so far; kept in the scratch folder after each step."""

    def __init__(self, folder: Path, minutes: float) -> None:
        self.path = folder / "state.json"
        self.end = time.monotonic() + 60 * minutes
        super().__init__(json.loads(self.path.read_text()) if self.path.exists() else {})

    def keep(self, **values: Any) -> None:
        self.update(values)
        self.path.write_text(json.dumps(self, indent=1))

    def out_of_time(self) -> bool:
        return time.monotonic() > self.end

    def pause(self) -> None:
        print("not done yet; call again")
        raise SystemExit(OUT_OF_TIME)


def measured(arguments: list[str], state: State, name: str) -> None:
    """Run to the end, in pieces if need be; seconds and peak memory are kept under `name`."""
    began, process = time.perf_counter(), start(arguments)
    stopped = False
    while True:
        done, status, usage = os.wait4(process.pid, os.WNOHANG)
        if done:
            break
        if state.out_of_time() and not stopped:
            process.send_signal(signal.SIGINT)
            stopped = True
        time.sleep(0.05)
    before = state.get(name, {"seconds": 0.0, "cpu_seconds": 0.0, "peak_memory_mib": 0.0})
    state.keep(
        **{
            name: {
                "seconds": before["seconds"] + time.perf_counter() - began,
                "cpu_seconds": before["cpu_seconds"] + usage.ru_utime + usage.ru_stime,
                "peak_memory_mib": max(before["peak_memory_mib"], usage.ru_maxrss / 1024),
                "finished": status == 0,
            }
        }
    )
    if stopped and status:
        state.pause()
    if status:
        raise SystemExit(f"scg {' '.join(arguments)} failed")


def disturbed(arguments: list[str], out: Path, shards: int, state: State) -> None:
    """Two processes, by turns one of them killed at random times, until all shards are there."""
    chance = random.Random(state.get("kills", 0))
    pair = [start(arguments), start(arguments)]
    victim, began = 0, time.perf_counter()
    # On a busy machine too, some live long enough to finish a shard.
    longest = max(12.0, 3 * state["undisturbed"]["seconds"] / shards)
    while len(list(out.glob("*.tar"))) < shards:
        pause = time.perf_counter() + chance.uniform(2, longest)
        while time.perf_counter() < pause and any(process.poll() is None for process in pair):
            time.sleep(0.05)
        if pair[victim].poll() is None:
            pair[victim].kill()
            pair[victim].wait()
            state.keep(kills=state.get("kills", 0) + 1)
        parts = len(list(out.glob(".*.part")))
        state.keep(parts_seen_after_kills=max(parts, state.get("parts_seen_after_kills", 0)))
        if state.out_of_time():
            for process in pair:
                process.kill()
                process.wait()
            state.keep(disturbed_seconds=state.get("disturbed_seconds", 0) + time.perf_counter() - began)
            state.pause()
        pair[victim] = start(arguments)
        victim = 1 - victim
    for process in pair:
        process.wait()
    state.keep(disturbed_seconds=state.get("disturbed_seconds", 0) + time.perf_counter() - began)


def real(folder: Path, state: State) -> None:
    """Pace and size of the shipped bundle's images in shards, all threads."""
    for image_format in ("png", "jpeg"):
        if f"pbc_256_{image_format}" in state:
            continue
        out = folder / f"real-{image_format}"
        shutil.rmtree(out, ignore_errors=True)
        began = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "syntheticcellgan",
            "generate",
            "pbc-256",
            "--all",
            "--count",
            "50",
            "--shards",
        ]
        command += ["--format", image_format, "--out", str(out)]
        before = os.times()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        size = sum(p.stat().st_size for p in out.glob("*.tar"))
        seconds = time.perf_counter() - began
        found = {"images": 500, "bytes_per_image": size / 500, "cpu_seconds": cpu, "seconds": seconds}
        state.keep(**{f"pbc_256_{image_format}": found})
        shutil.rmtree(out)


def run(folder: Path, count: int, minutes: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    state = State(folder, minutes)
    state.keep(
        images=count,
        shards=count // PER_SHARD,
        load_average_before=state.get("load_average_before", os.getloadavg()[0]),
    )
    path, whole, out = bundle(folder), folder / "whole", folder / "out"
    if not state.get("few", {}).get("finished"):
        measured(generation(path, folder / "few", PER_SHARD), state, "few")
    if not state.get("undisturbed", {}).get("finished"):
        measured(generation(path, whole, count), state, "undisturbed")
    shards = count // PER_SHARD
    if len(sums(out)) < shards:
        disturbed(generation(path, out, count), out, shards, state)
    subprocess.run([sys.executable, "-m", "syntheticcellgan", *generation(path, out, count)], check=True)
    ours, theirs = sums(out), sums(whole)
    state.keep(identical=sum(ours.get(name) == digest for name, digest in theirs.items()), compared=len(theirs))
    state.keep(bytes=sum(p.stat().st_size for p in out.glob("*.tar")))
    state.keep(left_over=[p.name for p in out.iterdir() if p.name != "generation.json" and p.suffix != ".tar"])
    state.pop("check", None)
    measured(["data", "check", str(out)], state, "check")
    real(folder, state)
    kept = dict(state)
    RESULT.write_text(
        json.dumps({"machine": machine(), "per_shard": PER_SHARD, **kept}, indent=2) + "\n",
        encoding="utf-8",
    )
    write()
    print("done")


def machine() -> str:
    import torch

    return f"{os.cpu_count()} CPU cores, {torch.backends.cpu.get_cpu_capability()}, {platform.system()}"


def write() -> None:
    """The figures between the markers of the docs page."""
    if not RESULT.exists():
        keep_on_page(
            [*cost(None), "What shards add to that `benchmarks/shards.py` measures; it has not been run yet.", ""]
        )
        return
    r = json.loads(RESULT.read_text(encoding="utf-8"))
    whole, few, check = r["undisturbed"], r["few"], r["check"]
    busy = r["load_average_before"] > 0.5
    beside = f" beside other work (load {r['load_average_before']:.1f} at the start)" if busy else ""
    lines = [
        f"Measured on {r['machine']}{beside}, `benchmarks/shards.py`; seconds are processor time of one core:",
        "",
        "| what | figure |",
        "|---|---:|",
        f"| images of 128×128 in shards of {r['per_shard']:,} | {r['images']:,} |",
        f"| one process undisturbed, one thread | {whole['cpu_seconds']:.0f} s |",
        f"| the same by two processes, by turns one killed with SIGKILL at random times | {r['kills']} times |",
        f"| half-written files that a kill left, at most | {r['parts_seen_after_kills']} |",
        f"| shards identical to the undisturbed run's, byte for byte | {r['identical']} of {r['compared']} |",
        f"| files left over at the end | {len(r['left_over'])} |",
        f"| peak memory for {r['per_shard']:,} images | {few['peak_memory_mib']:.0f} MiB |",
        f"| peak memory for {r['images']:,} images | {whole['peak_memory_mib']:.0f} MiB |",
        f"| `scg data check` of all of it | {check['cpu_seconds']:.0f} s, {check['peak_memory_mib']:.0f} MiB |",
        "",
    ]
    keep_on_page(lines + cost(r))


def keep_on_page(lines: list[str]) -> None:
    PAGE.write_text(between(PAGE.read_text(encoding="utf-8"), "shards", "\n".join(lines)), encoding="utf-8")


def cost(r: dict[str, Any] | None) -> list[str]:
    """What 10⁹ images cost: from the pace that benchmarks/speed.py measured, and from sizes measured here."""
    speed = json.loads((ROOT / "docs" / "results" / "speed.json").read_text(encoding="utf-8"))
    pace = speed["generation"]["images_per_second_written_as_png_whole_command"]["median"]
    cores = int(speed["machine"].split()[0])
    hours = cores / pace * 1e9 / 3600
    lines = [
        f"`pbc-256` writes {pace:.1f} PNG files of 256×256 a second on {speed['machine']} (docs/results/speed.json). So 10⁹ "
        f"take {hours:,.0f} core hours: {hours / 24 / 1000:,.1f} days on 1,000 such cores, and at 0.04 a core hour, in any "
        f"currency, {hours * 0.04:,.0f}.",
        "",
    ]
    if r is None:
        return lines
    sizes = {name: r[f"pbc_256_{name}"]["bytes_per_image"] for name in ("png", "jpeg")}
    check_hours = r["check"]["cpu_seconds"] / r["bytes"] * sizes["png"] * 1e9 / 3600
    kept = [
        f"{name.upper()} {size / 1024:.0f} KiB an image, so {size * 1e9 / 1e12:,.0f} TB in 100,000 shards of "
        f"{size * 1e4 / 1e9:.1f} GB, and at 0.02 a gigabyte and month {size * 0.02:,.0f} a month"
        for name, size in sizes.items()
    ]
    lines += [
        f"They need: {'; '.join(kept)}. To check every byte of the PNG once takes {check_hours:,.0f} core hours. The prices are "
        "examples: put yours in.",
        "",
    ]
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=1e6)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.write:
        write()
    elif arguments.folder is None or arguments.count % (PER_SHARD * len(TYPES)):
        parser.error(f"give --folder, and a --count that {PER_SHARD * len(TYPES)} divides")
    else:
        run(arguments.folder, arguments.count, arguments.minutes)
