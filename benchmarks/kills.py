"""Kill −9 at random moments; writes docs/results/kills.json and kills.md.

    python benchmarks/kills.py [--kills 10] [--only KIND …] [--seed 0]

Training, generation, evaluation, bundle writing and reading sessions on the shipped sample and bundle, each first
undisturbed, then killed at moments drawn between its first file and its end, and started again with the same command,
until so many kills have hit a living process. Every next start must go on, what is there in between must be whole, and
the result must be the undisturbed one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from syntheticcellgan.bundle import find_bundle, verify_bundle
from syntheticcellgan.data.sample import sample_folder

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
BUNDLE = "pbc-256"
PATIENCE = 1800
TINY = {
    "generator": {"width": 16, "resolution": 32, "latent_size": 8},
    "translator": {"width": 8, "blocks": 1, "scale": 4},
    "checkpoint_minutes": 0.005,
    "autoencoder": {"kimg": 0.4, "batch": 4},
    "low_resolution": {"kimg": 0.8, "batch": 4},
    "translation": {"kimg": 0.2, "paired_kimg": 0.1, "batch": 4, "crop": 64},
    "refinement": {"kimg": 0.1, "batch": 4, "crop": 64, "compared": 8, "remembered": 4},
}

Outcome = dict[str, str]


@dataclass(frozen=True)
class Kind:
    """command: of one start, given the folder of the work. outcome: what is compared, by name. check: AssertionError if what
    a kill left behind is broken. prepare: done once in a new folder, before the first start.
    """

    name: str
    work: str
    equality: str
    command: Callable[[Path], list[str]]
    outcome: Callable[[Path], Outcome]
    check: Callable[[Path], None] = lambda folder: None
    prepare: Callable[[Path], None] = lambda folder: None


def scg(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "syntheticcellgan", *map(str, arguments)]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def every_file(folder: Path) -> Outcome:
    return {str(p.relative_to(folder)): digest(p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file()}


def without_header(path: Path) -> bytes:
    """The tensors of a safetensors file: the header of a checkpoint says how many seconds it took."""
    raw = path.read_bytes()
    return raw[8 + int.from_bytes(raw[:8], "little") :]


# Training


def training(folder: Path) -> list[str]:
    (folder / "tiny.json").write_text(json.dumps(TINY))
    return scg("train", sample_folder(), "--out", folder / "out", "--config", folder / "tiny.json", "--threads", "1")


def trained(folder: Path) -> Outcome:
    out = folder / "out"
    found = {str(p.relative_to(out)): digest(without_header(p)) for p in sorted(out.rglob("*.safetensors"))}
    found |= {str(p.relative_to(out)): digest(p.read_bytes()) for p in sorted(out.rglob("*.png"))}
    for name in ("run.json", "split.json", "bundle/config.json", "bundle/fingerprints.npz"):
        found[name] = digest((out / name).read_bytes())
    for log in sorted(out.glob("*/log.jsonl")):
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        kept = [{k: v for k, v in line.items() if k != "seconds"} for line in lines]
        found[str(log.relative_to(out))] = digest(json.dumps(kept).encode())
    found["left over"] = ", ".join(str(p.relative_to(out)) for p in sorted(out.rglob("*.part")))
    return found


# Generation


def generation(folder: Path) -> list[str]:
    return scg("generate", BUNDLE, "--all", "--count", "8", "--out", folder / "out")


def pictures_are_whole(folder: Path) -> None:
    for path in (folder / "out").rglob("*.png"):
        with Image.open(path) as picture:
            picture.load()


# Evaluation


def evaluation(folder: Path) -> list[str]:
    real = ("--real", sample_folder(), "--bundle", BUNDLE)
    return scg("evaluate", *real, "--quick", "--count", "12", "--without", "utility", "--out", folder / "out")


def evaluated(folder: Path) -> Outcome:
    return every_file(folder / "out" / "cache" / "cells") | {
        path.name: digest(path.read_bytes()) for path in (folder / "out").iterdir() if path.is_file()
    }


# Bundle writing: a zip once, and the card of a folder over and over, so that the kills fall into the writing

REWRITES = """
import sys
from pathlib import Path
from syntheticcellgan.bundle import read_card
from syntheticcellgan.bundle_writing import export_bundle, rewrite_card
folder, zipped, card = Path(sys.argv[1]), Path(sys.argv[2]), None
card = read_card(folder)
for number in range(8):
    rewrite_card(folder, card | {"remark": number})
    zipped.unlink(missing_ok=True)
    export_bundle(folder, zipped)
"""


def writing(folder: Path) -> list[str]:
    return [sys.executable, "-c", REWRITES, str(folder / "out" / "bundle"), str(folder / "out" / "bundle.zip")]


def copy_bundle(folder: Path) -> None:
    shutil.copytree(find_bundle(BUNDLE), folder / "out" / "bundle")


def bundles_are_whole(folder: Path) -> None:
    """A bundle's folder is whole at every moment; its zip is whole or not there."""
    verify_bundle(folder / "out" / "bundle")
    if (folder / "out" / "bundle.zip").exists():
        verify_bundle(folder / "out" / "bundle.zip")


KINDS = (
    Kind(
        "training",
        "`scg train` on the shipped sample (tiny networks, three stages, bundle)",
        "byte for byte: weights, optimizers and averages of every checkpoint, the bundle's weights, configuration, "
        "fingerprints and pictures, sample grids, split, and every line of the logs but its seconds",
        training,
        trained,
    ),
    Kind(
        "generation",
        "`scg generate pbc-256 --all --count 8`",
        "byte for byte, every file; after each kill every picture whole",
        generation,
        lambda folder: every_file(folder / "out"),
        pictures_are_whole,
    ),
    Kind(
        "evaluation",
        "`scg evaluate --bundle pbc-256 --quick --count 12` on the shipped sample, utility left out",
        "byte for byte: report.json, metrics.csv, report.html and every generated cell",
        evaluation,
        evaluated,
    ),
    Kind(
        "bundle writing",
        "8 times the card of a bundle's folder and its zip written anew",
        "byte for byte, every file; after each kill the folder verified as whole, the zip whole or absent",
        writing,
        lambda folder: every_file(folder / "out"),
        bundles_are_whole,
        copy_bundle,
    ),
)


def start(kind: Kind, folder: Path) -> subprocess.Popen[str]:
    said = open(folder / "said", "w")  # noqa: SIM115 - the process holds it
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(kind.command(folder), stdout=said, stderr=said, text=True, env=environment)


def must_end_well(kind: Kind, process: subprocess.Popen[str], folder: Path) -> None:
    code = process.wait(PATIENCE)
    assert code == 0, f"{kind.name} ended with {code}: {(folder / 'said').read_text()[-2000:]}"


def fresh(kind: Kind, place: Path, name: str) -> Path:
    folder = place / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    kind.prepare(folder)
    return folder


def names_below(folder: Path) -> set[str]:
    return {os.path.join(inside, name) for inside, _, files in os.walk(folder) for name in files}


def undisturbed(kind: Kind, place: Path) -> tuple[Outcome, float, float]:
    """What comes out, and the seconds until the first file and the end."""
    folder = fresh(kind, place, "undisturbed")
    before = names_below(folder / "out")
    began = time.monotonic()
    process, first = start(kind, folder), 0.0
    while process.poll() is None:
        if not first and names_below(folder / "out") - before:
            first = time.monotonic() - began
        time.sleep(0.005)
    must_end_well(kind, process, folder)
    return kind.outcome(folder), first, time.monotonic() - began


def kill_often(kind: Kind, place: Path, kills: int, rng: random.Random) -> dict[str, object]:
    expected, first, end = undisturbed(kind, place)
    folder, moments, runs, starts = fresh(kind, place, "killed"), [], 0, 0

    def compare() -> None:
        found = kind.outcome(folder)
        different = sorted(name for name in expected | found if expected.get(name) != found.get(name))
        assert not different, f"{kind.name}: {different} differ after kills at {moments}"

    while len(moments) < kills:
        process, starts = start(kind, folder), starts + 1
        wait = rng.uniform(first, end)
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            moments.append(round(wait, 2))
            kind.check(folder)
            continue
        must_end_well(kind, process, folder)
        compare()
        runs += 1
        folder = fresh(kind, place, "killed")
    must_end_well(kind, start(kind, folder), folder)
    kind.check(folder)
    compare()
    return {
        "kind": kind.name,
        "work": kind.work,
        "equality": kind.equality,
        "seconds_undisturbed": round(end, 1),
        "seconds_until_the_first_file": round(first, 1),
        "kills": len(moments),
        "kills_at_seconds_after_the_start": moments,
        "starts": starts + 1,
        "whole_runs_compared": runs + 1,
        "things_compared_each_time": len(expected),
        "starts_that_did_not_go_on": 0,
        "differences": 0,
    }


def to_markdown(result: dict[str, object]) -> str:
    rows = [
        f"| {r['kind']} | {r['work']} | {r['kills']} | {r['starts']} | {r['whole_runs_compared']} | {r['equality']} |"
        for r in result["kinds"]  # type: ignore[attr-defined]
    ]
    total = sum(r["kills"] for r in result["kinds"])  # type: ignore[attr-defined]
    return "\n".join(
        [
            "# Killed at random moments",
            "",
            f"{total} times `kill -9`, at moments drawn (seed {result['seed']}) between the first file and the end. Every "
            "next start went on, and every finished result was the undisturbed one. Written by `benchmarks/kills.py`.",
            "",
            "| what | work | kills | starts | results compared | what equal means |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            f"{result['machine']}.",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="KIND", help="the others stay as they are in kills.json"
    )
    given = parser.parse_args()
    from kills_reading import reading_sessions

    path = RESULTS / "kills.json"
    kept = {r["kind"]: r for r in json.loads(path.read_text())["kinds"]} if path.exists() and given.only else {}
    for name in (*(kind.name for kind in KINDS), "reading sessions"):
        if given.only and name not in given.only:
            continue
        rng = random.Random(f"{given.seed} {name}")
        with tempfile.TemporaryDirectory() as place:
            if name == "reading sessions":
                kept[name] = reading_sessions(Path(place), given.kills, rng)
            else:
                kept[name] = kill_often(next(k for k in KINDS if k.name == name), Path(place), given.kills, rng)
        print(json.dumps(kept[name]), flush=True)
        machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
        result = {"seed": given.seed, "machine": machine, "kinds": list(kept.values())}
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        (RESULTS / "kills.md").write_text(to_markdown(result), encoding="utf-8")


if __name__ == "__main__":
    main()
