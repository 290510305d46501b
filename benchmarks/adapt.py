"""A rare type from few images: `scg adapt` measured on a stand-in → docs/results/adapt.json and adapt.md.

    python benchmarks/adapt.py --laboratory FOLDER --work DIR [--bundle pbc-256] [--sizes 20 50 100]

FOLDER holds cells of another laboratory with known patients and the type `promyelocyte_apl`, which the bundle has never seen.
Half of its patients give the few images and the look-alikes to train on, the others are tested on. The same command goes
on where it stopped: adaptations, features and answers are kept in DIR. Pictures of real cells stay there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import time
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import average_precision_score

import syntheticcellgan
from figures import between
from recall import where_recall_is_lost
from syntheticcellgan import SyntheticCellGAN, adapt
from syntheticcellgan.cores import cores
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.data.manifest import Manifest, Record, read_manifest
from syntheticcellgan.evaluation.classifiers import SIDE, Classifier, ConvNet, Labelled, LinearProbe
from syntheticcellgan.evaluation.copies import Fingerprints, find_copies
from syntheticcellgan.evaluation.diversity import diversity
from syntheticcellgan.evaluation.features import Extractor, ensure_independent, features_of, get_extractor
from syntheticcellgan.evaluation.fidelity import fidelity
from syntheticcellgan.evaluation.parallel import results_of
from syntheticcellgan.evaluation.statistics import Sample
from syntheticcellgan.stain.look import fit as fit_look
from syntheticcellgan.training.hardware import use_threads

TYPE = "promyelocyte_apl"
LOOK_ALIKES = {
    "promyelocyte": ("promyelocyte_aml",),
    "myelocyte": ("immature_granulocyte",),
    "blast": ("blast_aml", "blast_apl"),
    "monocyte": ("monocyte",),
    "lymphocyte": ("lymphocyte",),
}
"""What an atypical promyelocyte is taken for, and the same laboratory's names of it."""
LABELS = ("other", TYPE)
SEEDS = (0, 1, 2, 3, 4)
TRAINED_ON, TESTED_ON = 40, 40  # of each look-alike
SYNTHETIC = 200
SHOWN = 32
RESAMPLES = 300
POOL = 80  # of each look-alike, from which each seed draws its own
SYNTHETIC_OTHERS = 50  # of each look-alike that the bundle knows
ARMS = ("classic", "with synthetic", "with synthetic, look-alikes too")
EXTRACTORS = ("vit-s-focus", "vgg16-hed")
BARS = {"recall": 0.3, "gain": 0.03}


def patients_apart(manifest: Manifest) -> tuple[set[str], set[str]]:
    """Patients to learn from and to test on, dealt by their number of cells of the type, as teams are: one here, two there."""
    counts = Counter(r.patient for r in manifest.records if r.cell_type == TYPE and r.patient)
    others = sorted({r.patient for r in manifest.records if r.patient} - set(counts))
    order = sorted(counts, key=lambda patient: (-counts[patient], patient)) + others
    learnt = {patient for i, patient in enumerate(order) if i % 4 in (1, 2)}
    return learnt, set(order) - learnt


def few_images(manifest: Manifest, patients: set[str], count: int, folder: Path) -> None:
    """`count` cells of the type, from the patients in turn, copied to `folder` with a table."""
    if (folder / "labels.csv").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rng = np.random.default_rng(count)
    own = [r for r in manifest.records if r.cell_type == TYPE and r.patient in patients]
    piles: dict[str, list[Record]] = {}
    for i in rng.permutation(len(own)):
        piles.setdefault(str(own[i].patient), []).append(own[i])
    lines, names = ["file,cell_type,patient"], sorted(piles, key=lambda name: (-len(piles[name]), name))
    while len(lines) <= count and any(piles.values()):
        for name in names:
            if piles[name] and len(lines) <= count:
                record = piles[name].pop()
                shutil.copyfile(manifest.path(record), folder / Path(record.file).name)
                lines.append(f"{Path(record.file).name},{TYPE},{name}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def cells(manifest: Manifest, patients: set[str], kinds: tuple[str, ...], count: int, seed: int) -> list[Record]:
    """Up to `count` cells of these types of these patients, by chance."""
    own = [r for r in manifest.records if r.cell_type in kinds and r.patient in patients]
    return [own[i] for i in np.random.default_rng(seed).permutation(len(own))[:count]]


def look_alikes(manifest: Manifest, patients: set[str], count: int, seed: int) -> list[Record]:
    """Of each look-alike `count`, drawn by the seed from a pool that is the same for all seeds."""
    found = []
    for kinds in LOOK_ALIKES.values():
        pool = cells(manifest, patients, kinds, POOL, 0)
        found += [pool[i] for i in np.random.default_rng(seed).permutation(len(pool))[:count]]
    return found


def images_of(manifest: Manifest, records: list[Record]) -> list[np.ndarray]:
    return [resize_square(read_image(manifest.path(r)), 256) for r in records]


def labelled(images: list[np.ndarray], label: str, extractor: Extractor, cache: Path) -> Labelled:
    small = np.stack([resize_square(image, SIDE) for image in images])
    return Labelled(small, features_of(images, extractor, cache), (label,) * len(images))


def joined(*parts: Labelled) -> Labelled:
    return Labelled(
        np.concatenate([p.images for p in parts]),
        np.concatenate([p.features for p in parts]),
        tuple(label for p in parts for label in p.labels),
    )


def chances(kind: Classifier, parts: list[Labelled], tested: Labelled, seed: int) -> list[float]:
    """Probability of the type for each tested cell; classic augmentation where the classifier can use it."""
    found: list[float] = kind.fit_chances(parts, LABELS, seed, augment=True)(tested)[:, 1].tolist()
    return found


def gain(
    truth: np.ndarray, patients: np.ndarray, classic: np.ndarray, both: np.ndarray
) -> dict[str, float | list[float]]:
    """Average precision of either arm, mean over the seeds (S, N), and the difference; intervals by resampling patients."""
    rng, groups = np.random.default_rng(0), np.unique(patients)
    members = {g: np.flatnonzero(patients == g) for g in groups}

    def precision(rows: np.ndarray, chosen: np.ndarray) -> float:
        return float(np.mean([average_precision_score(truth[chosen], row[chosen]) for row in rows]))

    everything = np.arange(len(truth))
    differences = []
    while len(differences) < RESAMPLES:
        chosen = np.concatenate([members[g] for g in rng.choice(groups, len(groups))])
        if 0 < truth[chosen].sum() < len(chosen):
            differences.append(precision(both, chosen) - precision(classic, chosen))
    low, high = np.quantile(differences, [0.025, 0.975])
    a, b = precision(classic, everything), precision(both, everything)
    by_seed = [
        precision(both[s : s + 1], everything) - precision(classic[s : s + 1], everything) for s in range(len(both))
    ]
    return {
        "classic": a, "with_synthetic": b, "gain": b - a, "low": float(low), "high": float(high),
        "by_seed": [round(v, 4) for v in by_seed],
    }  # fmt: skip


def kept(path: Path, make):  # type: ignore[no-untyped-def]
    """What `make` gives, from `path` where an earlier call has kept it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        temporary.write_text(json.dumps(make()))
        os.replace(temporary, path)
    return json.loads(path.read_text())


def adaptation(bundle: str, folder: Path, out: Path) -> dict[str, float]:
    """Adapt, and what it took."""
    wall, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    adapt(bundle, folder, TYPE, out, licence="not verified", say=print)
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime + after.ru_stime - cpu.ru_utime - cpu.ru_stime
    return {"cpu_minutes": round(seconds / 60, 1), "wall_minutes": round((time.perf_counter() - wall) / 60, 1)}


def forgetting(before: SyntheticCellGAN, after: SyntheticCellGAN, each: int = 8) -> dict[str, int]:
    """Cells of the known types, by the old bundle and by the new one: how many differ in any pixel."""
    ours, theirs = (chain.generate(before.cell_types, each).images for chain in (before, after))
    return {"compared": len(ours), "different": int((ours != theirs).any(axis=(1, 2, 3)).sum())}


def quality(
    few: list[np.ndarray],
    made: list[np.ndarray],
    tested: list[np.ndarray],
    learnt: list[np.ndarray],
    cache: Path,
    trained_with: list[str],
) -> dict[str, object]:
    """Copies, and per network how much of the tested patients' cells is covered; the floor: all cells of the other patients."""
    report = find_copies(made, Fingerprints.of(few, tested)).as_dict()
    result: dict[str, object] = {"copies": {k: v for k, v in report.items() if k != "closest"}}
    for name in EXTRACTORS:
        ensure_independent(name, trained_with)
        extractor = get_extractor(name)
        x, y, other = (Sample(features_of(images, extractor, cache)) for images in (tested, made, learnt))
        found = diversity(x, y, other)
        near = fidelity(x, y, other)
        rows = [found.precision, found.recall, found.density, found.coverage, near.frechet, near.kernel]
        result[name] = {row.name: row.as_dict() for row in rows}
    return result


def sheet(images: list[np.ndarray], path: Path) -> None:
    """The first 32, four rows of eight at half size."""
    small = [resize_square(image, 128) for image in images[:SHOWN]]
    small += [np.full_like(small[0], 255)] * (-len(small) % 8)
    rows = [np.concatenate(small[i : i + 8], axis=1) for i in range(0, len(small), 8)]
    Image.fromarray(np.concatenate(rows)).save(path, optimize=True)


def measure(options: argparse.Namespace, manifest: Manifest, size: int) -> dict[str, object]:
    work = options.work / f"{size}"
    learnt, apart = patients_apart(manifest)
    few_images(manifest, learnt, size, work / "few")
    cost = kept(work / "cost.json", lambda: adaptation(options.bundle, work / "few", work / "run"))
    chain, base = SyntheticCellGAN.load(work / "run" / "bundle"), SyntheticCellGAN.load(options.bundle)
    entry = chain.bundle.card["training"]["adaptations"][-1]
    made = list(chain.generate(TYPE, SYNTHETIC).images)
    sheet(made, work / "synthetic.png")
    few_set = read_manifest(work / "few")
    few = images_of(few_set, list(few_set.records))
    sheet(few, work / "real.png")
    tested_records = cells(manifest, apart, (TYPE,), 10_000, 0)
    tested = images_of(manifest, tested_records)
    cache = options.work / "features"

    def judged() -> dict[str, object]:
        all_learnt = images_of(manifest, cells(manifest, learnt, (TYPE,), 10_000, 0))
        training = chain.bundle.card["training"]
        used = training["extractors_in_losses"] + training["extractors_in_selection"]
        return quality(few, made, tested, all_learnt, cache, used) | {
            "recall_lost": where_recall_is_lost(chain, TYPE, made, tested, all_learnt, cache)
        }

    def answers() -> dict[str, object]:
        extractor = get_extractor("vit-s-focus")
        others = look_alikes(manifest, apart, TESTED_ON, 0)
        test = joined(
            labelled(tested, TYPE, extractor, cache), labelled(images_of(manifest, others), LABELS[0], extractor, cache)
        )
        real, new = labelled(few, TYPE, extractor, cache), labelled(made, TYPE, extractor, cache)
        theirs = images_of(manifest, look_alikes(manifest, learnt, SYNTHETIC_OTHERS, 0))
        known = [name for name in LOOK_ALIKES if name in chain.cell_types]
        style = fit_look([*few, *theirs], "laboratory")
        others_made = labelled(
            list(chain.generate(known, SYNTHETIC_OTHERS, style=style).images), LABELS[0], extractor, cache
        )
        tasks = []
        for seed in SEEDS:
            records = look_alikes(manifest, learnt, TRAINED_ON, seed)
            negative = labelled(images_of(manifest, records), LABELS[0], extractor, cache)
            # A part holds either label half and half. In the second arm the synthetic cells have the same real look-alikes
            # beside them, so that whatever marks a cell as synthetic speaks for the type; in the third it does not.
            classic = joined(real, negative)
            arms = [[classic], [classic, joined(new, negative)], [classic, joined(new, others_made)]]
            for kind in (ConvNet(), LinearProbe()):
                tasks += [partial(chances, kind, arm, test, seed) for arm in arms]
        found = np.array(list(results_of(tasks, cores()))).reshape(len(SEEDS), 2, len(ARMS), len(test))
        truth = np.array([label == TYPE for label in test.labels])
        patients = np.array([str(r.patient) for r in (*tested_records, *others)])
        kinds = ("small network", "linear probe, vit-s-focus")
        return {
            "tested": {"of_the_type": len(tested), "others": len(others), "patients": len(set(patients))},
            "kinds": {
                kind: {
                    arm: gain(truth, patients, found[:, k, 0], found[:, k, a]) for a, arm in enumerate(ARMS) if a > 0
                }
                for k, kind in enumerate(kinds)
            },
        }

    return {
        "images": len(few),
        "patients": len({r.patient for r in few_set.records}),
        "cost": cost,
        "adaptation": {k: v for k, v in entry.items() if k != "settings"},
        "forgetting": forgetting(base, chain),
        "quality": kept(work / "quality.json", judged),
        "utility": kept(work / "utility.json", answers),
    }


def page(result: dict[str, object]) -> str:
    """The table and its sentences, as Markdown."""
    sizes = result["sizes"]
    assert isinstance(sizes, dict)
    tested = next(iter(sizes.values()))["utility"]["tested"]
    lines = [
        f"Measured by `benchmarks/adapt.py` on a stand-in: `{TYPE}` of another laboratory, which `{result['bundle']}` has never "
        f"seen, from cells of few patients; tested on {tested['of_the_type']} cells of the type and {tested['others']} look-alikes "
        f"of {tested['patients']} other patients. Five seeds vary the look-alikes trained on and the classifiers, not the images "
        "adapted to; intervals (95 %) are over the tested patients.",
        "",
        "| | " + " | ".join(f"{n} images" for n in sizes) + " |",
        "|---|" + "---:|" * len(sizes),
    ]

    def row(name: str, value) -> None:  # type: ignore[no-untyped-def]
        lines.append(f"| {name} | " + " | ".join(value(entry) for entry in sizes.values()) + " |")

    row("patients", lambda e: str(e["patients"]))
    row("minutes of CPU", lambda e: f"{e['cost']['cpu_minutes']:g}")
    row("began as", lambda e: e["adaptation"]["began_as"].replace("_", " "))
    row("copies beyond doubt, of 200", lambda e: str(e["quality"]["copies"]["copies"]))
    row(
        "nearer than a hundredth of real cells (expected 0.01)",
        lambda e: f"{e['quality']['copies']['beyond_first_percentile']['share']['value']:.3f}",
    )
    row(
        "known types' cells changed",
        lambda e: f"{e['forgetting']['different']} of {e['forgetting']['compared']}",
    )
    for name in next(iter(sizes.values()))["quality"]["recall_lost"]:
        row(f"recall, {EXTRACTORS[0]}, by {name}", lambda e, n=name: f"{e['quality']['recall_lost'][n]:.2f}")
    for extractor in EXTRACTORS:
        for measure_name in ("recall", "coverage", "precision"):

            def of(e, x=extractor, m=measure_name):  # type: ignore[no-untyped-def]
                c = e["quality"][x][m]
                ratio = "–" if c["ratio"] is None else f"{c['ratio']:.2f}"
                return f"{c['value']:.2f} / {c['floor']:.2f} = {ratio}"

            row(f"{measure_name}, {extractor}: synthetic / real", of)
    kinds = next(iter(sizes.values()))["utility"]["kinds"]
    for kind, arm in ((kind, arm) for kind in kinds for arm in ARMS[1:]):

        def arms(e, k=kind, a=arm):  # type: ignore[no-untyped-def]
            u = e["utility"]["kinds"][k][a]
            return (
                f"{u['classic']:.3f} → {u['with_synthetic']:.3f}: {100 * u['gain']:+.1f} points "
                f"({100 * u['low']:+.1f} to {100 * u['high']:+.1f})"
            )

        row(f"average precision, classic → {arm}, {kind}", arms)
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--laboratory", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--bundle", default="pbc-256")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 50, 100])
    parser.add_argument("--threads", type=int, help="CPU threads that an adaptation uses; all, if not said")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "results")
    options = parser.parse_args()
    use_threads(options.threads)
    manifest = read_manifest(options.laboratory)
    sizes = {str(size): measure(options, manifest, size) for size in options.sizes}
    base = SyntheticCellGAN.load(options.bundle).bundle
    result: dict[str, object] = {
        "software": f"syntheticcellgan {syntheticcellgan.__version__}, torch {torch.__version__}",
        "machine": f"{cores()} cores, {platform.system()}, {torch.backends.cpu.get_cpu_capability()}",
        "bundle": base.name,
        "bundle_id": base.id,
        "laboratory": options.laboratory.name,
        "bars": BARS,
        "sizes": sizes,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "adapt.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (options.out / "adapt.md").write_text("# A rare type from few images: figures\n\n" + page(result), encoding="utf-8")
    place = Path(__file__).parents[1] / "docs" / "how-to" / "rare-type.md"
    place.write_text(between(place.read_text(encoding="utf-8"), "adapt", page(result)), encoding="utf-8")
    shutil.copyfile(
        options.work / f"{options.sizes[len(options.sizes) // 2]}" / "synthetic.png", options.out / "adapt.png"
    )
    print(page(result))


if __name__ == "__main__":
    main()
