"""Write the figures of README.md and its picture from the committed result files and the shipped bundle.

    python benchmarks/figures.py

Reads docs/results/pbc-256.json and docs/results/speed.json; writes between the markers of README.md and
docs/images/pbc-256.png (seeds 0 to 7 in order).
"""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"


def between(text: str, marker: str, content: str) -> str:
    start, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    head, rest = text.split(start, 1)
    return head + start + "\n" + content + end + rest.split(end, 1)[1]


def quality() -> str:
    results = json.loads((RESULTS / "pbc-256.json").read_text())
    lines = [results["statement"], "", "| figure | value | 95 % interval | n |", "|---|---:|---|---|"]
    for row in results["figures"]:
        interval = f"{row['low']:.3g} – {row['high']:.3g}" if "low" in row else "–"
        lines.append(f"| {row['name']} | {row['value']:.3g} | {interval} | {row['n']} |")
    return "\n".join(lines) + "\n"


def speed() -> str:
    results = json.loads((RESULTS / "speed.json").read_text())
    made = results["generation"]
    lines = [
        "",
        f"Speed ({results['machine']}): {made['images_per_second_in_memory']['median']:.0f} images of 256×256 a second, "
        f"the first file {made['seconds_to_first_image_whole_command']['median']:.1f} s after the command, "
        f"{made['peak_memory_mib_256_images']['median'] / 1024:.2f} GiB of memory.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    path = ROOT / "README.md"
    path.write_text(between(path.read_text(), "figures", quality() + speed()))
    from syntheticcellgan import SyntheticCellGAN
    from syntheticcellgan.demo import side_by_side

    picture = ROOT / "docs" / "images" / "pbc-256.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    side_by_side(SyntheticCellGAN.load("pbc-256"), 8, picture)
    print(f"{path.name} and {picture.relative_to(ROOT)} are up to date.")


if __name__ == "__main__":
    main()
