"""A ladder of ever other faults, made from real cells: which metric sees which → docs/results/ladder.json and ladder.md.

    python benchmarks/ladder.py --data FOLDER [--split RUN/split.json] [--attributes FOLDER/attributes.csv] [--work DIR]

No generator takes part. `count` cells of each type are held out (the test part of the split); others of the training
part play training images; a third set, also of the training part but not among those, plays synthetic images: as it is
(the floor: nothing is wrong) and spoilt in one way on each rung. Every rung goes through `evaluate`, as a user's images
would. FOLDER needs the column `subtype` (band, segmented) for the rung on which half of a type is missing.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

import syntheticcellgan
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.data.manifest import Manifest, Record, read_manifest
from syntheticcellgan.data.splits import read_split, split_manifest
from syntheticcellgan.evaluation.classifiers import SIDE, Labelled, LinearProbe
from syntheticcellgan.evaluation.context import SECTIONS, Settings
from syntheticcellgan.evaluation.features import features_of, get_extractor
from syntheticcellgan.evaluation.report.rows import ALL, Row
from syntheticcellgan.evaluation.study import evaluate
from syntheticcellgan.evaluation.utility import measure_utility
from syntheticcellgan.evaluation.utility_results import UtilitySettings

HALVED = "neutrophil"
BLUR, GAINS, QUALITY = 2.0, (0.95, 1.0, 1.05), 30

RUNGS = {
    "floor": "other real cells as they are: nothing is wrong",
    "blurred": f"Gaussian blur, σ = {BLUR:g} px of 256",
    "recoloured": "red × {:g}, green × {:g}, blue × {:g}".format(*GAINS),
    "jpeg": f"stored as JPEG of quality {QUALITY}",
    "half missing": f"{HALVED}s: segmented ones only, band cells are missing (other real segmented cells in their place)",
    "halved variety": f"{HALVED}s: every second image is dropped, and the others are there twice",
    "one image": "of each type one image, repeated",
    "copies": "exact copies of the training images",
}

METRICS = {
    "Fréchet distance": ("distribution", "frechet_distance", ""),
    "kernel distance": ("distribution", "kernel_distance", ""),
    "precision": ("distribution", "precision", ""),
    "recall": ("distribution", "recall", ""),
    "density": ("distribution", "density", ""),
    "coverage": ("distribution", "coverage", ""),
    "Vendi score": ("distribution", "vendi_score", ""),
    "near duplicates, share": ("duplicates", "near_duplicates", ""),
    "beyond the 1st percentile, share": ("copies", "beyond_first_percentile", ""),
    "copies beyond doubt, share": ("copies", "copies_beyond_doubt", ""),
    "nucleus area, Wasserstein, px": ("morphology", "nucleus_area", ""),
    "N:C ratio, Wasserstein": ("morphology", "nc_ratio", ""),
    "lobes, Wasserstein": ("morphology", "lobes", ""),
    "chromatin texture, Wasserstein": ("morphology", "chromatin_texture", ""),
    "granularity, Wasserstein": ("morphology", "granularity", ""),
    "colour of the nucleus, ΔE": ("morphology", "colour_difference_nucleus", ""),
    "colour of the background, ΔE": ("morphology", "colour_difference_background", ""),
    "attribute nucleus shape, total variation": ("attributes", "total_variation", "nucleus_shape"),
    "attribute granule colour, total variation": ("attributes", "total_variation", "granule_colour"),
    "trained on synthetic over real, balanced accuracy": ("utility", "trained_on_synthetic_over_real", ""),
    "real-or-synthetic AUC": ("probe", "auc", ""),
}
"""What the table shows: section, measure, detail. Of measures per type the row of `HALVED`, else that of all types."""


def written(image: np.ndarray, path: Path) -> None:
    Image.fromarray(image).save(path.with_suffix(".png"), compress_level=1)


def blurred(image: np.ndarray, path: Path) -> None:
    written(np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(BLUR))), path)


def recoloured(image: np.ndarray, path: Path) -> None:
    written((image * np.array(GAINS)).round().clip(0, 255).astype(np.uint8), path)


def compressed(image: np.ndarray, path: Path) -> None:
    held = io.BytesIO()
    Image.fromarray(image).save(held, "JPEG", quality=QUALITY)
    path.with_suffix(".jpg").write_bytes(held.getvalue())


SPOILT: dict[str, Callable[[np.ndarray, Path], None]] = {
    "blurred": blurred,
    "recoloured": recoloured,
    "jpeg": compressed,
}


class Sets:
    """Which record plays what, by a draw that `seed` fixes."""

    def __init__(self, train: Manifest, test: Manifest, types: list[str], count: int, seed: int = 0) -> None:
        self._root, rng = train.root, np.random.default_rng(seed)
        self.held_out, self.training, self.others = {}, {}, {}
        for name in types:
            of_test, of_train = test.of_type(name).records, train.of_type(name).records
            self.held_out[name] = [of_test[i] for i in rng.permutation(len(of_test))[:count]]
            order = [of_train[i] for i in rng.permutation(len(of_train))]
            self.training[name], self.others[name] = order[:count], order[count : 2 * count]
            if min(len(self.held_out[name]), len(self.others[name])) < count:
                raise SystemExit(f"There are fewer than {count} held-out cells of type {name}; give a smaller --count.")
            if name == HALVED:
                spare = [r for r in order[2 * count :] if r.subtype == "segmented"]
                kept = [r for r in self.others[name] if r.subtype == "segmented"]
                self.segmented = (kept + spare)[:count]
                self.band = sum(r.subtype == "band" for r in self.others[name])

    def records(self, rung: str) -> dict[str, list[Record]]:
        """What plays synthetic images on a rung, before it is spoilt."""
        if rung == "copies":
            return self.training
        if rung == "half missing":
            return self.others | {HALVED: self.segmented}
        if rung == "halved variety":
            return self.others | {HALVED: [r for r in self.others[HALVED][::2] for _ in (0, 1)]}
        if rung == "one image":
            return {name: records[:1] * len(records) for name, records in self.others.items()}
        return self.others

    def write(self, records: dict[str, list[Record]], folder: Path, spoil: str | None = None) -> Path:
        for name, chosen in records.items():
            (folder / name).mkdir(parents=True)
            repeats = len({record.file for record in chosen}) < len(chosen)
            for i, record in enumerate(chosen):
                source = self._root / record.file
                # Expert attributes are found by the file's own name.
                target = folder / name / (f"{i:03d}-{source.name}" if repeats else source.name)
                if spoil is None:
                    shutil.copyfile(source, target)
                else:
                    SPOILT[spoil](read_image(source), target)
        return folder


def utility(folders: dict[str, Path], cache: Path) -> list[Row]:
    """Trained on synthetic over trained on real, tested on held-out cells: the linear probe alone, which is quick."""
    extractor = get_extractor("vit-s-focus")
    sets = {}
    for role in ("train", "real", "synthetic"):
        manifest = read_manifest(folders[role])
        paths = [manifest.path(record) for record in manifest.records]
        images = np.stack([resize_square(read_image(path), SIDE) for path in paths])
        labels = tuple(record.cell_type for record in manifest.records)
        sets[role] = Labelled(images, features_of(paths, extractor, cache / "features"), labels)
    settings = UtilitySettings(low_data=())
    found = measure_utility(
        sets["train"], sets["real"], sets["synthetic"], classifiers=(LinearProbe(),), settings=settings
    )
    ratio = next(row.ratio for row in found.ratios if row.trained_on == "synthetic")
    return [
        Row(
            "utility",
            "trained_on_synthetic_over_real",
            by="linear probe",
            value=ratio.value,
            low=ratio.low,
            high=ratio.high,
            floor=1.0,
            n=len(sets["real"]),
            better="higher",
        )
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--split", type=Path, help="default: made anew with seed 0")
    parser.add_argument("--attributes", type=Path)
    parser.add_argument("--types", nargs="+", default=["eosinophil", "lymphocyte"], help=f"besides {HALVED}")
    parser.add_argument("--count", type=int, default=150, help="cells of each type in each set")
    parser.add_argument("--extractor", action="append", help="default: those of scg evaluate")
    parser.add_argument("--work", type=Path, help="folder for images and cache, so that an interrupted run goes on")
    parser.add_argument("--out", type=Path, default=Path("docs/results/ladder.json"))
    parser.add_argument("--render", action="store_true", help="only write ladder.md anew from ladder.json")
    arguments = parser.parse_args()
    if arguments.render:
        arguments.out.with_suffix(".md").write_text(table(json.loads(arguments.out.read_text())), encoding="utf-8")
        return
    if arguments.data is None:
        parser.error("--data is needed")
    types = [HALVED, *(name for name in arguments.types if name != HALVED)]
    manifest = read_manifest(arguments.data)
    split = read_split(arguments.split) if arguments.split else split_manifest(manifest)
    sets = Sets(split.part(manifest, "train"), split.part(manifest, "test"), types, arguments.count)
    settings = Settings(
        count=arguments.count, sections=tuple(name for name in SECTIONS if name not in ("utility", "map"))
    )

    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        images, cache = work / "images", work / "cache"
        shutil.rmtree(images, ignore_errors=True)
        folders = {
            "real": sets.write(sets.held_out, images / "held-out"),
            "train": sets.write(sets.training, images / "training"),
        }
        rungs = {}
        for rung in RUNGS:
            folder = sets.write(sets.records(rung), images / rung.replace(" ", "-"), rung if rung in SPOILT else None)
            report = evaluate(
                folders["real"],
                folder,
                train=folders["train"],
                attributes=arguments.attributes,
                extractors=arguments.extractor or (),
                settings=settings,
                cache=cache,
            )
            rows = [*report.rows, *utility(folders | {"synthetic": folder}, cache)]
            rungs[rung] = [compact(row) for row in rows if wanted(row)]
            print(rung, "done", flush=True)
    result = {
        "data": arguments.data.name,
        "types": types,
        "count": arguments.count,
        "band_among_halved": sets.band,
        "rungs": {name: {"what": RUNGS[name], "rows": rows} for name, rows in rungs.items()},
        "machine": f"{os.cpu_count()} CPU cores, {platform.machine()}",
        "version": syntheticcellgan.__version__,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    arguments.out.with_suffix(".md").write_text(table(result), encoding="utf-8")


def wanted(row: Row) -> bool:
    """Rows that the ladder is about: shares of single attribute values would be hundreds."""
    return row.measure not in ("share", "segmentation_failures")


def compact(row: Row) -> dict[str, object]:
    """Without what is empty, five digits a number."""
    kept = {key: value for key, value in asdict(row).items() if value not in (None, "")}
    return {key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in kept.items()}


def table(result: dict) -> str:
    """Metric by rung; what moved is marked."""
    rungs = list(result["rungs"])
    lines = [
        "# A ladder of faults: which metric sees what",
        "",
        f"Written by `benchmarks/ladder.py` from `ladder.json`: {result['count']} cells each of {', '.join(result['types'])} of "
        f"`{result['data']}`, against as many held-out ones. No generator took part: real cells play the synthetic ones, "
        "spoilt in one way on each rung.",
        "",
        "| rung | what plays the synthetic images |",
        "|---|---|",
        *(f"| {name} | {part['what']} |" for name, part in result["rungs"].items()),
        "",
        f"Of the {result['count']} {HALVED}s of the floor {result['band_among_halved']} are band cells. Where a metric is given "
        f"per type, the table shows {HALVED}s, which every rung touches; else all types together. **Bold**: the rung's 95 % "
        "interval lies apart from that of the floor rung; *italic*: it does not, but the ratio to the measure's own floor, as a "
        "report shows it, has an interval without 1. The interval of the floor rung is in the second column.",
        "",
    ]
    blind = []
    judges = sorted({row["by"] for row in result["rungs"]["floor"]["rows"] if row["section"] == "distribution"})
    for judge in judges:
        lines += [
            f"Features of {judge}:" if len(judges) > 1 else f"Features: {judge}.",
            "",
            "| metric | n | " + " | ".join(rungs) + " |",
            "|---|---:|" + "---|" * len(rungs),
        ]
        for metric, key in METRICS.items():
            found = {name: picked(part["rows"], key, judge) for name, part in result["rungs"].items()}
            floor = found["floor"]
            if floor is None or (key[0] != "distribution" and judge != judges[0]):
                continue
            cells, unmoved = [], []
            for name, row in found.items():
                if row is None:
                    cells.append("–")
                    continue
                if name == "floor":
                    cells.append(f"{number(row['value'])} [{number(row['low'])}, {number(row['high'])}]")
                    continue
                apart = row["low"] > floor["high"] or row["high"] < floor["low"]
                # Over a floor of about zero a ratio says nothing.
                ratio = f" ({row['value'] / floor['value']:.2g}×)" if floor["low"] > 0 else ""
                # A report shows its own ratio with interval: what a reader would see there counts as well.
                hinted = row.get("ratio_low", 1) > 1 or row.get("ratio_high", 1) < 1
                mark = "**" if apart else "*" if hinted else ""
                cells.append(f"{mark}{number(row['value'])}{mark}{ratio}")
                if not mark:
                    unmoved.append(name)
            lines.append(f"| {metric} | {floor['n']} | " + " | ".join(cells) + " |")
            by = f" ({judge})" if len(judges) > 1 and key[0] == "distribution" else ""
            blind.append(f"- {metric}{by}: {', '.join(unmoved) if unmoved else 'nothing on this ladder'}")
        lines.append("")
    lines += [
        "## Predictors of the expert attributes",
        "",
        "How well each is predicted on real cells that its training did not see, beside the share of the commonest value.",
        "",
        "| attribute | n to learn from and test on | n tested | accuracy | commonest value |",
        "|---|---:|---:|---|---:|",
    ]
    for row in result["rungs"]["floor"]["rows"]:
        if row["measure"] == "predictor_accuracy":
            shown = f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
            lines.append(f"| {row['detail']} | {row['n_real']} | {row['n']} | {shown} | {row['floor']:.2f} |")
    lines += ["", "## Blind to", "", "At this n, the metric does not tell these rungs from the floor:", "", *blind]
    return "\n".join(lines) + "\n"


def picked(rows: list[dict], key: tuple[str, str, str], judge: str) -> dict | None:
    section, measure, detail = key
    fit = [
        row
        for row in rows
        if (row["section"], row["measure"]) == (section, measure)
        and row["cell_type"] in (HALVED, ALL)
        and (not detail or row.get("detail") == detail)
        and (section != "distribution" or row["by"] == judge)
    ]
    return next((row for row in fit if row["cell_type"] == HALVED), fit[0] if fit else None)


def number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
