"""Write the figures of README.md and its picture from the committed result files and the shipped bundle.

    python benchmarks/figures.py

Reads docs/results/pbc-256/ (scg evaluate writes it, see docs/how-to/make-pbc-256.md) and docs/results/speed.json; writes
 between the markers of README.md and
docs/images/pbc-256.png (seeds 0 to 7 in order).
"""

from __future__ import annotations

import json
from pathlib import Path

from syntheticcellgan.card import metrics_table
from syntheticcellgan.evaluation.report.card_figures import card_figures
from syntheticcellgan.evaluation.report.store import read_report

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"


def between(text: str, marker: str, content: str) -> str:
    start, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    head, rest = text.split(start, 1)
    return head + start + "\n" + content + end + rest.split(end, 1)[1]


def quality() -> str:
    """The figures of the bundle's report."""
    metrics = card_figures(read_report(RESULTS / "pbc-256"))
    return "\n".join(metrics_table(metrics)) + "\n"


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
