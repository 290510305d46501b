"""Write the figures of README.md and its picture from the committed result files and the shipped bundle.

    python benchmarks/figures.py

Reads docs/results/pbc-256/ (scg evaluate writes it, see docs/how-to/make-pbc-256.md) and docs/results/speed.json; writes
between the markers of README.md and
docs/images/pbc-256.png (seeds 0 to 7 in order).
"""

from __future__ import annotations

import json
from pathlib import Path

from syntheticcellgan.evaluation.report.rows import Row
from syntheticcellgan.evaluation.report.store import read_report
from syntheticcellgan.evaluation.report.titles import number, percent, shown

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"


def between(text: str, marker: str, content: str) -> str:
    start, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    head, rest = text.split(start, 1)
    return head + start + "\n" + content + end + rest.split(end, 1)[1]


# What a reader asks, the measure that answers, by whom ("": the headline's network), and of which training.
QUESTIONS = (
    (
        "How often does a network that has seen synthetic cells only recognise real ones?",
        ("balanced_accuracy", "small network", "synthetic → held-out real"),
    ),
    (
        "The same, of a simple classifier on the features of a general network",
        ("balanced_accuracy", "linear probe", "synthetic → held-out real"),
    ),
    (
        "How far are they from real cells? (Fréchet distance; 1: as far as real cells from each other)",
        ("relative_frechet_distance", "", ""),
    ),
    ("How many look like some real cell? (precision)", ("precision", "", "")),
    ("How many real cells have a synthetic one like them? (recall)", ("recall", "", "")),
    ("Can a machine tell them from real ones? (AUC; 0.5: no, 1: always)", ("auc", "", "")),
    ("How many are copies of a training image?", ("copies_beyond_doubt", "", "")),
)
SHARES = {"balanced_accuracy", "precision", "recall", "copies_beyond_doubt"}


def quality() -> str:
    """The chief figures of the bundle's report, each with what real cells reach."""
    report = read_report(RESULTS / "pbc-256").content
    settings, judges = report["settings"], ", ".join(one["name"] for one in report["extractors"])
    lines = [
        f"Measured on held-out real cells, up to {settings['count']} of each type, against as many synthetic ones (seeds "
        f"0, 1, 2 …), by networks that training did not use ({judges}; figures of the first). 95 % intervals in brackets.",
        "",
        "| question | synthetic cells | real cells |",
        "|---|---:|---:|",
    ]
    for question, (measure, by, detail) in QUESTIONS:
        row = next(
            Row(**row)
            for row in report["headline"]
            if (row["measure"], row["cell_type"], row["detail"]) == (measure, "all", detail)
            and row["by"].startswith(by)
        )
        value, low, high, floor = shown(row)
        write = percent if measure in SHARES else number
        lines.append(f"| {question} | {write(value)} [{write(low)}, {write(high)}] | {write(floor)} |")
    more = "[all figures, for each type and by both networks](docs/results/pbc-256/metrics.csv)"
    return "\n".join([*lines, "", f"In full: {more}."]) + "\n"


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
