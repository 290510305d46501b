"""Do cells show what was wanted of them? → docs/results/attributes.json and attributes.md.

    python benchmarks/attributes.py --data FOLDER --table attributes.csv --split RUN/split.json --work DIR [--bundle pbc-256]

The judge is a logistic regression per attribute on features of a network that neither the bundle nor its attribute
network knows, at 256×256, trained on real cells of the bundle's training part. For each cell type and each value that at
least 5 % of its real cells show: the share of cells made with it wanted that the judge sees so, over the share of
held-out real cells with that value that it sees so. Then sizes, fidelity, and rows of which one feature changes.

The same command goes on where it stopped: features are kept in DIR.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

import syntheticcellgan
from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.data.attribute_table import read_attributes
from syntheticcellgan.data.manifest import read_manifest
from syntheticcellgan.data.splits import read_split
from syntheticcellgan.editing import change
from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.attributes import AttributePredictors, fit_attributes
from syntheticcellgan.evaluation.features import Extractor, ensure_independent, features_of, get_extractor
from syntheticcellgan.evaluation.fidelity import frechet_distance, kernel_distance
from syntheticcellgan.evaluation.intervals import wilson
from syntheticcellgan.provenance import encode_sheet
from syntheticcellgan.segmentation import segment

TYPES = ("basophil", "eosinophil", "lymphocyte", "monocyte", "neutrophil")
SHARE = 0.05  # of a type's real cells
BAR, FIDELITY_BAR = 0.85, 1.25
LEARNT, HELD_OUT = 300, 200  # real cells of each type: the judge learns from the first, the second are held out
ROWS = 6  # cells of each type whose features change
SIZED = 10  # cells of each size and type
COMPARED = 100  # cells of each type and side in the distances
DRAWS = 20

Images = Sequence[np.ndarray]


class Work:
    """Features and measurements by name; made once."""

    def __init__(self, folder: Path, extractor: Extractor) -> None:
        self.folder, self.extractor = folder, extractor
        folder.mkdir(parents=True, exist_ok=True)

    def kept(self, name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        path = self.folder / f"{name}.npz"
        if not path.exists():
            start = time.perf_counter()
            np.savez(path.with_suffix(".part.npz"), **make())
            os.replace(path.with_suffix(".part.npz"), path)
            print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        with np.load(path) as held:
            return dict(held)

    def features(self, images: Images | Sequence[Path]) -> np.ndarray:
        return features_of(images, self.extractor, self.folder.parent)


def slugged(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)


def judged(judge: AttributePredictors, features: np.ndarray, attribute: str) -> np.ndarray:
    return judge.models[attribute].predict(features)


def agreement(work: Work, chain: SyntheticCellGAN, judge: AttributePredictors, real: Real, count: int) -> list[dict]:
    """One row for each type and value."""
    rows = []
    for name in TYPES:
        plain = work.kept(
            f"plain_{name}", lambda name=name: {"features": work.features(chain.generate(name, COMPARED).images)}
        )["features"]
        for score in judge.scores:
            for place, value in enumerate(score.values):
                share = real.share(name, score.attribute, value)
                if share < SHARE:
                    continue
                own = real.test_types == name
                shown = own & np.array([label.get(score.attribute) == value for label in real.test_labels])
                right = judged(judge, real.test_features[shown], score.attribute) == value
                row = {"cell_type": name, "attribute": score.attribute, "value": value, "share": share}
                row |= {"real": wilson(int(right.sum()), len(right)).as_dict(), "n_real": len(right)}
                row["unsteered"] = float((judged(judge, plain, score.attribute) == value).mean())
                key = slugged(f"{name}_{score.attribute}_{value}_{count}")

                def make(name=name, score=score, value=value, place=place) -> dict[str, np.ndarray]:
                    # Other seeds for each value: no cell serves two of them.
                    seed = 10_000 * (1 + place) + 100_000 * [s.attribute for s in judge.scores].index(score.attribute)
                    cells = chain.generate(name, count, seed, wanted={score.attribute: value})
                    return {"features": work.features(cells.images), "candidates": np.array(cells.candidates)}

                try:
                    made = work.kept(key, make)
                except InputError as refusal:
                    rows.append(row | {"refused": str(refusal)})
                    continue
                seen = judged(judge, made["features"], score.attribute) == value
                row |= {"synthetic": wilson(int(seen.sum()), len(seen)).as_dict(), "n": len(seen)}
                row["candidates"] = float(np.mean(made["candidates"] + 1))
                row["ratio"] = row["synthetic"]["value"] / row["real"]["value"] if row["real"]["value"] else None
                rows.append(row)
    return rows


class Real:
    """Labelled real cells: a training part for the judge and all held-out ones."""

    def __init__(self, work: Work, data: Path, table: Path, split: Path) -> None:
        manifest, labels = read_manifest(data), read_attributes(table)
        parts = read_split(split)
        chosen: dict[str, list[str]] = {"train": [], "test": []}
        rng = np.random.default_rng(0)
        types = {record.file: record.cell_type for record in manifest.records}
        for name in TYPES:
            for part, files in (("train", parts.train), ("test", parts.validation + parts.test)):
                own = [f for f in files if types.get(f) == name and f.rsplit("/", 1)[-1] in labels]
                own = [own[i] for i in rng.permutation(len(own))]
                chosen[part] += own[: LEARNT if part == "train" else HELD_OUT]
        known = {part: [labels[f.rsplit("/", 1)[-1]] for f in files] for part, files in chosen.items()}
        paths = {part: [manifest.root / f for f in files] for part, files in chosen.items()}
        self.train_labels, self.test_labels = known["train"], known["test"]
        self.test_paths = paths["test"]
        self.test_types = np.array([types[f] for f in chosen["test"]])
        train_types = [types[f] for f in parts.train if f.rsplit("/", 1)[-1] in labels]
        all_labels = [labels[f.rsplit("/", 1)[-1]] for f in parts.train if f.rsplit("/", 1)[-1] in labels]
        self._counts: dict[tuple[str, str], Counter[str]] = {}
        for name, label in zip(train_types, all_labels, strict=True):
            for attribute, value in label.items():
                self._counts.setdefault((name, attribute), Counter())[value] += 1
        self.train_features, self.test_features = (
            work.kept(f"real_{part}", lambda part=part: {"features": work.features(paths[part])})["features"]
            for part in ("train", "test")
        )

    def share(self, name: str, attribute: str, value: str) -> float:
        counts = self._counts.get((name, attribute), Counter())
        return counts[value] / max(counts.total(), 1)


def fidelity(work: Work, real: Real, rows: list[dict]) -> list[dict]:
    """Distances of steered and of unsteered cells from held-out real ones, per type, over draws of the same size."""
    result = []
    for name in TYPES:
        own = real.test_features[real.test_types == name]
        plain = work.kept(f"plain_{name}", dict)["features"]
        n = min(COMPARED, len(own))
        attributes = sorted({row["attribute"] for row in rows if row["cell_type"] == name and "refused" not in row})
        measured: dict[str, list[float]] = {key: [] for key in ("frechet", "frechet_plain", "kernel", "kernel_plain")}
        rng = np.random.default_rng(0)
        for _ in range(DRAWS):
            steered = []
            for attribute in attributes:
                mine = [
                    r for r in rows if r["cell_type"] == name and r["attribute"] == attribute and "refused" not in r
                ]
                total = sum(r["share"] for r in mine)
                for r in mine:
                    kept = work.kept(slugged(f"{name}_{attribute}_{r['value']}_{r['n']}"), dict)["features"]
                    wanted = min(len(kept), round(n * r["share"] / total / len(attributes)))
                    steered.append(kept[rng.permutation(len(kept))[:wanted]])
            mixture = np.concatenate(steered)
            side = own[rng.permutation(len(own))[:n]]
            mixture = mixture[rng.permutation(len(mixture))[:n]]
            others = plain[rng.permutation(len(plain))[: len(mixture)]]
            measured["frechet"].append(frechet_distance(side, mixture))
            measured["frechet_plain"].append(frechet_distance(side, others))
            measured["kernel"].append(kernel_distance(side, mixture))
            measured["kernel_plain"].append(kernel_distance(side, others))
        means = {key: float(np.mean(values)) for key, values in measured.items()}
        result.append(
            {
                "cell_type": name,
                "n": len(mixture),
                **means,
                "frechet_ratio": means["frechet"] / means["frechet_plain"],
                "kernel_ratio": means["kernel"] / means["kernel_plain"],
            }
        )
    return result


def sized(work: Work, chain: SyntheticCellGAN) -> list[dict]:
    """Measured sizes of cells that were asked for small, medium and large."""
    rows = []
    for size in chain.bundle.attributes.sizes:
        for name in TYPES:
            measured = {}
            for text in ("small", "medium", "large"):

                def make(size=size, name=name, text=text) -> dict[str, np.ndarray]:
                    cells = chain.generate(name, SIZED, 50_000, wanted={size.name: text})
                    return {"values": np.array([measure(image)[size.name] for image in cells.images])}

                measured[text] = work.kept(f"size_{size.name}_{name}_{text}", make)["values"]
            low, high = np.interp([1 / 3, 2 / 3], np.linspace(0, 1, 21), size.quantiles[name])
            medians = {text: float(np.nanmedian(values)) for text, values in measured.items()}
            inside = {
                "small": float(np.mean(measured["small"] <= low)),
                "medium": float(np.mean((measured["medium"] >= low) & (measured["medium"] <= high))),
                "large": float(np.mean(measured["large"] >= high)),
            }
            apart = measured["large"][:, None] > measured["small"][None]
            rows.append(
                {
                    "size": size.name,
                    "cell_type": name,
                    "n": SIZED,
                    "real_thirds": [float(low), float(high)],
                    "medians": medians,
                    "inside": inside,
                    "large_above_small": float(apart.mean()),
                }
            )
    return rows


def measure(image: np.ndarray) -> dict[str, float]:
    found = segment(image)
    cell, nucleus = float(found.cell.sum()), float(found.nucleus.sum())
    if found.failure or not cell or not nucleus:
        return {"cell_area": np.nan, "nucleus_area": np.nan, "nc_ratio": np.nan}
    return {"cell_area": cell, "nucleus_area": nucleus, "nc_ratio": nucleus / cell}


CHANGES = (
    ("monocyte", "cytoplasm_vacuole"),
    ("monocyte", "chromatin_density"),
    ("lymphocyte", "cytoplasm_texture"),
    ("neutrophil", "nucleus_shape=segmented-multilobed"),
    ("eosinophil", "nucleus_shape=unsegmented-band"),
    ("lymphocyte", "nucleus_area"),
    ("monocyte", "nc_ratio"),
    ("neutrophil", "cell_area"),
)


def changed(work: Work, chain: SyntheticCellGAN, judge: AttributePredictors) -> list[dict]:
    """Rows of which one feature changes: is it reached, and how much of the rest stays, by judge and measurement."""
    rows = []
    for name, feature in CHANGES:

        def make(name=name, feature=feature) -> dict[str, np.ndarray]:
            ways = [change(chain, name, 70_000 + k, feature, 5) for k in range(ROWS)]
            ends = [way.images[k] for way in ways for k in (0, -1)]
            sizes = [list(measure(image).values()) for image in ends]
            return {
                "features": work.features(np.stack(ends)).reshape(ROWS, 2, -1),
                "sizes": np.array(sizes).reshape(ROWS, 2, 3),
                "readings": np.stack([way.reading for way in ways]),
            }

        made = work.kept(slugged(f"change_{name}_{feature}"), make)
        own, _, value = feature.partition("=")
        first, last = made["features"][:, 0], made["features"][:, 1]
        same, chance = [], []
        for score in judge.scores:
            if score.attribute == own:
                continue
            a, b = judged(judge, first, score.attribute), judged(judge, last, score.attribute)
            same.append(float((a == b).mean()))
            # What two different cells of the type have in common by chance: each against the next one's beginning.
            chance.append(float((a == np.roll(a, 1)).mean()))
        row = {"cell_type": name, "feature": feature, "n": ROWS, "others_same": float(np.mean(same))}
        row["others_same_by_chance"] = float(np.mean(chance))
        row["reading"] = [float(made["readings"][:, 0].mean()), float(made["readings"][:, -1].mean())]
        change_of = np.nanmedian(np.abs(np.log(made["sizes"][:, 1] / made["sizes"][:, 0])), axis=0)
        row["size_change"] = dict(zip(("cell_area", "nucleus_area", "nc_ratio"), map(float, change_of), strict=True))
        if own in judge.models:
            target = value or next(s.values[-1] for s in judge.scores if s.attribute == own)
            row["judged"] = [float((judged(judge, side, own) == target).mean()) for side in (first, last)]
        else:
            place = ("cell_area", "nucleus_area", "nc_ratio").index(own)
            row["measured"] = [float(np.nanmedian(made["sizes"][:, k, place])) for k in (0, 1)]
        rows.append(row)
    return rows


def page(results: dict) -> str:
    rows = [row for row in results["agreement"] if "ratio" in row]
    refused = [row for row in results["agreement"] if "refused" in row]
    good = [row for row in rows if row["ratio"] is not None and row["ratio"] >= BAR]
    lines = [
        "# Cells with wanted features: do they show them?",
        "",
        f"Bundle {results['bundle']} ({results['bundle_id']}); written by `benchmarks/attributes.py`. The judge is a logistic "
        f"regression per attribute on features of {results['judge']}, trained on {results['judge_trained_on']} real cells of the "
        f"training part; held-out real cells: {results['held_out']}. {results['count']} cells per value, seeds in order.",
        "",
        f"**{len(good)} of {len(rows) + len(refused)}** values reach {BAR} of the judge's own accuracy on held-out real cells; "
        f"mean ratio {np.mean([min(r['ratio'], 1) for r in rows if r['ratio'] is not None]):.2f} (each at most 1).",
        "",
        "## Agreement",
        "",
        "| cell type | attribute | value | real cells that show it | judge on real [n] | unsteered | wanted | ratio | candidates |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in results["agreement"]:
        head = f"| {row['cell_type']} | {row['attribute']} | {row['value']} | {row['share']:.0%} "
        head += f"| {row['real']['value']:.2f} [{row['n_real']}] | {row['unsteered']:.2f} "
        if "refused" in row:
            lines.append(head + "| not made | – | – |")
            continue
        s = row["synthetic"]
        ratio = "–" if row["ratio"] is None else f"{row['ratio']:.2f}"
        mark = "" if row["ratio"] is None or row["ratio"] >= BAR else " (missed)"
        lines.append(
            head + f"| {s['value']:.2f} ({s['low']:.2f}–{s['high']:.2f}) | {ratio}{mark} | {row['candidates']:.1f} |"
        )
    worst = max(row["frechet_ratio"] for row in results["fidelity"])
    lines += [
        "",
        "## Fidelity",
        "",
        "Distance from held-out real cells, of steered cells with each attribute's values in real proportions, over that of as "
        f"many unsteered cells; the bar is {FIDELITY_BAR}, the worst type {worst:.2f}.",
        "",
        "| cell type | n | Fréchet, steered | unsteered | ratio | kernel, steered | unsteered | ratio |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {r['cell_type']} | {r['n']} | {r['frechet']:.3g} | {r['frechet_plain']:.3g} | {r['frechet_ratio']:.2f} "
        f"| {r['kernel']:.3g} | {r['kernel_plain']:.3g} | {r['kernel_ratio']:.2f} |"
        for r in results["fidelity"]
    ]
    lines += [
        "",
        "## Sizes",
        "",
        "Measured on the finished images by segmentation. Inside: share that lies in the third of real cells that was asked for "
        "(chance: 0.33). Apart: how often a cell asked for large is larger than one asked for small.",
        "",
        "| size | cell type | median small | medium | large | inside small | medium | large | apart |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for r in results["sizes"]:
        m, i = r["medians"], r["inside"]
        numbers = " | ".join(f"{m[t]:.3g}" if m[t] < 10 else f"{m[t]:.0f}" for t in ("small", "medium", "large"))
        lines.append(
            f"| {r['size']} | {r['cell_type']} | {numbers} | {i['small']:.2f} | {i['medium']:.2f} | {i['large']:.2f} "
            f"| {r['large_above_small']:.2f} |"
        )
    lines += [
        "",
        "## One feature changes",
        "",
        f"`scg interpolate --change`, {ROWS} seeds in order, first image against last. Shown: share judged to show it, or the "
        "median size. Others the same: share of the judge's verdicts on all other attributes that do not change, and in brackets "
        "between two cells of the type. Last columns: median change of measured sizes.",
        "",
        "| cell type | feature | shown first → last | others the same | cell area | nucleus area | ratio |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for r in results["changes"]:
        shown = r.get("judged", r.get("measured"))
        c = r["size_change"]
        lines.append(
            f"| {r['cell_type']} | {r['feature']} | {shown[0]:.3g} → {shown[1]:.3g} | {r['others_same']:.2f} "
            f"[{r['others_same_by_chance']:.2f}] | {c['cell_area']:.0%} | {c['nucleus_area']:.0%} | {c['nc_ratio']:.0%} |"
        )
    return "\n".join(lines) + "\n"


SHOWN = (
    ("monocyte", "cytoplasm_vacuole", ("no", "yes")),
    ("monocyte", "chromatin_density", ("densely", "loosely")),
    ("neutrophil", "nucleus_shape", ("unsegmented-band", "segmented-multilobed")),
    ("lymphocyte", "nc_ratio", ("small", "large")),
)
SIDE, TITLE, COLUMNS = 96, 150, 8


def pictures(chain: SyntheticCellGAN, folder: Path) -> None:
    """Seeds 0 to 7 in order of some features (wanted.png), and rows of which one feature changes (changes.png)."""
    rows = [
        (f"{name}\n{feature}\n={value}", chain.generate(name, COLUMNS, wanted={feature: value}).images)
        for name, feature, values in SHOWN
        for value in values
    ]
    sheet(rows, folder / "wanted.png")
    sheet(
        [
            (
                f"{name}\n{feature.replace('=', chr(10) + '=')}\nseed {seed}",
                change(chain, name, seed, feature, COLUMNS).images,
            )
            for name, feature in (CHANGES[0], CHANGES[3], CHANGES[5])
            for seed in (0, 1)
        ],
        folder / "changes.png",
    )


def sheet(rows: Sequence[tuple[str, np.ndarray]], path: Path) -> None:
    picture = Image.new("RGB", (TITLE + SIDE * COLUMNS, SIDE * len(rows)), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    for i, (title, images) in enumerate(rows):
        draw.multiline_text((4, (i + 0.5) * SIDE), title, fill="black", font=font, anchor="lm")
        for k, image in enumerate(images):
            picture.paste(
                Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX), (TITLE + SIDE * k, SIDE * i)
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_sheet(picture, {"bundle": "pbc-256"}, compress_level=9))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("data", "table", "split", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--bundle", default="pbc-256")
    parser.add_argument("--extractor", default="vit-s-focus")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "docs" / "results")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    chain = SyntheticCellGAN.load(given.bundle)
    training = chain.bundle.card["training"]
    ensure_independent(given.extractor, training["extractors_in_losses"] + training["extractors_in_selection"])
    work = Work(given.work / chain.bundle.id, get_extractor(given.extractor))
    real = Real(work, given.data, given.table, given.split)
    judge = fit_attributes(real.train_features, real.train_labels, held_out=0.05)
    rows = agreement(work, chain, judge, real, given.count)
    results = {
        "bundle": chain.bundle.name,
        "bundle_id": chain.bundle.id,
        "software": f"syntheticcellgan {syntheticcellgan.__version__}",
        "judge": given.extractor,
        "judge_trained_on": len(real.train_labels),
        "held_out": len(real.test_labels),
        "count": given.count,
        "agreement": rows,
        "fidelity": fidelity(work, real, rows),
        "sizes": sized(work, chain),
        "changes": changed(work, chain, judge),
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "attributes.json").write_text(
        json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (given.out / "attributes.md").write_text(page(results), encoding="utf-8")
    pictures(chain, given.out.parent / "images")
    print(page(results).split("## Agreement")[0])


if __name__ == "__main__":
    main()
