"""Write the tables of docs/explanation/robustness.md and of docs/explanation/privacy.md from the committed results.

    python benchmarks/robustness_page.py

Reads kills.json, fuzz.json, soak.json and membership.json in docs/results.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from figures import between

ROUNDS_UNTIL_FULL = 70
ROOT = Path(__file__).resolve().parents[1]


def read(name: str) -> dict[str, Any]:
    """A result."""
    found: dict[str, Any] = json.loads((ROOT / "docs" / "results" / f"{name}.json").read_text())
    return found


def kills() -> str:
    """How often what was killed."""
    kinds = read("kills")["kinds"]
    total = sum(kind["kills"] for kind in kinds)
    parts = ", ".join(f"{kind['kind']} {kind['kills']} times" for kind in kinds)
    lost = sum(kind["differences"] + kind["starts_that_did_not_go_on"] for kind in kinds)
    return (
        f"`kill -9` at {total} random moments: {parts}. Starts that did not go on, or results that were not the undisturbed "
        f"ones: {lost}.\n"
    )


def fuzz() -> str:
    """How many inputs each reader was fed."""
    result = read("fuzz")
    found = Counter(dict.fromkeys(result["by_target"], 0))
    slowest: dict[str, float] = {}
    refused: Counter[str] = Counter()
    for run in result["runs"]:
        for name, counts in run["targets"].items():
            found[name] += counts.get("found", 0)
            refused[name] += counts.get("refused", 0)
            slowest[name] = max(slowest.get(name, 0.0), counts["slowest_seconds"])
    lines = [
        f"{result['inputs_in_all']:,} inputs in {len(result['runs'])} runs.",
        "",
        "| reader | inputs | refused | slowest | ended a run with a fault, since mended |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, count in sorted(result["by_target"].items(), key=lambda pair: -pair[1]):
        lines.append(f"| {name} | {count:,} | {refused[name] / count:.0%} | {slowest[name]:.2f} s | {found[name]} |")
    return "\n".join(lines) + "\n"


def soak() -> str:
    """Memory and handles over hours."""
    if not (ROOT / "docs" / "results" / "soak.json").exists():
        return "Not measured yet.\n"
    found = read("soak")
    grown, memory, handles = found["memory_mib_an_hour"], found["memory_mib"], found["handles"]
    done = ", ".join(f"{name} {count:,}" for name, count in found["done"].items())
    short = found["rounds"] < 2 * ROUNDS_UNTIL_FULL
    note = (
        " **Too short to tell**: the studio's store of 512 cells (some 100 MB) was filling for most of it."
        if short
        else ""
    )
    return (
        f"{found['minutes']:.0f} minutes in one process ({found['machine']}; load {found['load_average']}), rounds: {done}. After "
        f"the first {found['settled_after_minutes']:g} minutes memory lay between {memory['least']:.0f} and "
        f"{memory['greatest']:.0f} MiB; its slope is {grown['value']:+.1f} MiB an hour (95 % interval {grown['low']:+.1f} to "
        f"{grown['high']:+.1f}). Open handles: {handles['first']} at first, {handles['last']} at last, "
        f"{handles['greatest']} at most.{note} `benchmarks/soak.py` takes two hours.\n"
    )


def membership() -> str:
    """How well members are told from non-members."""
    found = read("membership")
    lines = [
        f"{found['members']:,} training images of `{found['bundle']}` against {found['non_members']:,} held-out ones of the same "
        "types; AUC 0.5 is a guess. Synthetic cells of each type: "
        + ", ".join(f"{count:,} ({space})" for space, count in found["synthetic_per_type"].items())
        + ". 95 % intervals in brackets.",
        "",
        "| attack | needs | AUC | members found at 1 % false alarms | at 0.1 % |",
        "|---|---|---:|---:|---:|",
    ]
    for name, one in found["attacks"].items():
        auc = one["auc"]
        shares = [one[f"members_found_at_{rate}_false_alarms"] for rate in ("0.01", "0.001")]
        told = [f"{s['value']:.1%} [{s['low']:.1%}, {s['high']:.1%}]" for s in shares]
        lines.append(
            f"| {name} | {one['needs']} | {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}] | {' | '.join(told)} |"
        )
    better = [name for name, one in found["attacks"].items() if one["auc"]["low"] > 0.5]
    told = ", ".join(better) if better else "none"
    lines += ["", f"Attacks whose whole interval lies above a guess: {told}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    for page, markers in (("robustness", (kills, fuzz, soak)), ("privacy", (membership,))):
        path = ROOT / "docs" / "explanation" / f"{page}.md"
        text = path.read_text()
        for content in markers:
            text = between(text, content.__name__, content())
        path.write_text(text)
        print(f"{path.relative_to(ROOT)} is up to date.")


if __name__ == "__main__":
    main()
