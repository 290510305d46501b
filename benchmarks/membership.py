"""Can one tell from a bundle whether an image was among its training images? → docs/results/membership.json

    python benchmarks/membership.py --data FOLDER [--bundle pbc-256] [--synthetic 1000] [--targets 200] [--work FOLDER]

FOLDER is the data set that the bundle learnt from. Members are images of the training part, non-members of the test part,
equally many of each type; the parts are those of `scg data split` with the bundle's seed. The bundle's fingerprints, which
were made from the training images themselves, have the last word: whom they gainsay (an earlier version may have split a
little differently) is left out and counted. Attacks, each a score that is higher for supposed
members, without any knowledge of who is one:

- **Nearest synthetic cell** (from the bundle's images alone): minus the distance to the nearest of `--synthetic` cells of the
  same type, in several feature spaces; and the same less the distance to the nearest real cell of the validation part,
  which an attacker with cells of the same laboratory could subtract, for cells are unusual in different degrees.
- **The critics** (from training.safetensors, which a bundle need not be published with): their values of the image.
- **The autoencoder** (from the same file): how well it copies the image.

Scores are standardised within each type. AUC with a 95 % bootstrap interval over images; share of members found at 1 % and
0.1 % false alarms (Carlini et al. 2022, Membership inference attacks from first principles), with exact intervals.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import beta, rankdata
from torch import Tensor

from syntheticcellgan import SyntheticCellGAN
from syntheticcellgan.bundle_training import read_training, training_networks
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.data.manifest import Manifest, read_manifest
from syntheticcellgan.data.splits import read_split, split_manifest, write_split
from syntheticcellgan.evaluation.copies import Fingerprints
from syntheticcellgan.evaluation.features import features_of, get_extractor
from syntheticcellgan.evaluation.fingerprint import fingerprint, nearest
from syntheticcellgan.networks.degradation import shrink
from syntheticcellgan.pixels import to_tensor

ROOT = Path(__file__).resolve().parents[1]
SAME = 0.995
"""Similarity of fingerprints from which an image counts as one of the fingerprinted ones: its own has 1 up to rounding."""
CHEAP = ("fingerprints", "pixels")


def parts(data: Path, bundle: SyntheticCellGAN, work: Path) -> tuple[Manifest, Any]:
    """The data set, and its split as the bundle's training made it."""
    manifest = read_manifest(data)
    path = work / "split.json"
    if not path.exists():
        settings = bundle.bundle.card["training"]["settings"]
        fractions = {"validation": settings["validation_fraction"], "test": settings["test_fraction"]}
        write_split(split_manifest(manifest, **fractions, seed=settings["seed"]), path)
    return manifest, read_split(path)


def some(manifest: Manifest, cell_type: str, count: int, rng: np.random.Generator) -> list[Path]:
    """`count` images of a type, drawn without replacement."""
    paths = [manifest.path(record) for record in manifest.records if record.cell_type == cell_type]
    return [paths[i] for i in rng.permutation(len(paths))[:count]]


def nearest_by_type(queries: np.ndarray, among: np.ndarray, theirs: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """(N,) distance of each query to the nearest of its own type."""
    found = np.empty(len(queries))
    for kind in np.unique(kinds):
        mine, others = np.flatnonzero(kinds == kind), among[theirs == kind]
        if queries.shape[1] == fingerprint(np.zeros((1, 8, 8, 3), np.uint8)).shape[1]:
            found[mine] = 1 - nearest(queries[mine], others).similarity
        else:
            found[mine] = (
                torch.cdist(torch.from_numpy(queries[mine]), torch.from_numpy(others)).min(dim=1).values.numpy()
            )
    return found


def pixels(images: Any) -> np.ndarray:
    """(N, 768): 16×16 pixels of each image in the turn and flip in which its corners rise, so that symmetries drop out."""
    rows = []
    for image in images:
        array = image if isinstance(image, np.ndarray) else read_image(image)
        small = resize_square(array, 16).astype(np.float32)
        turns = [np.rot90(flip, k) for flip in (small, small[:, ::-1]) for k in range(4)]
        rows.append(max(turns, key=lambda t: (float(t[:8].sum()), float(t[:, :8].sum()))).reshape(-1))
    return np.stack(rows)


@torch.inference_mode()
def critics(chain: SyntheticCellGAN, paths: list[Path], kinds: np.ndarray) -> dict[str, np.ndarray]:
    """Scores that need the networks of training.safetensors."""
    networks = training_networks(chain.chain)
    for name, weights in read_training(chain.bundle.training, chain.chain, chain.bundle.path).items():
        networks[name].load_state_dict(weights)
        networks[name].eval()
    found: dict[str, list[float]] = {}

    def note(name: str, values: Tensor) -> None:
        found.setdefault(name, []).extend(values.flatten().tolist())

    for start in range(0, len(paths), 16):
        rows = slice(start, start + 16)
        images = to_tensor(np.stack([resize_square(read_image(path), chain.chain.output_size) for path in paths[rows]]))
        types = torch.tensor([chain.cell_types.index(kind) for kind in kinds[rows]])
        basic = shrink(images, chain.chain.translator.scale)
        autoencoder: Any = networks["autoencoder"]
        latent = autoencoder.encoder(basic)
        note("critic of the low-resolution game", networks["critic"](latent, types))
        note("patch critic of the translator", networks["patch_critic"](images, types)[0].mean(dim=(1, 2)))
        note("patch critic of the autoencoder", networks["copy_critic"](basic, types)[0].mean(dim=(1, 2)))
        note("copy by the autoencoder", -(autoencoder.decoder(latent) - basic).abs().mean(dim=(1, 2, 3)))
    return {name: np.array(values) for name, values in found.items()}


def standardised(scores: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Zero mean and unit spread within each type, members and non-members alike."""
    out = np.empty(len(scores))
    for kind in np.unique(kinds):
        rows = kinds == kind
        out[rows] = (scores[rows] - scores[rows].mean()) / (scores[rows].std() + 1e-12)
    return out


def auc(scores: np.ndarray, member: np.ndarray) -> float:
    """Probability that a member scores higher than a non-member; ties count half."""
    ranks, ones = rankdata(scores), int(member.sum())
    return float((ranks[member].sum() - ones * (ones + 1) / 2) / (ones * (len(scores) - ones)))


def share(count: int, n: int) -> dict[str, float]:
    """count / n with the exact 95 % interval (Clopper & Pearson 1934)."""
    low = float(beta.ppf(0.025, count, n - count + 1)) if count else 0.0
    high = float(beta.ppf(0.975, count + 1, n - count)) if count < n else 1.0
    return {"value": count / n, "low": low, "high": high}


def judged(scores: np.ndarray, member: np.ndarray, rng: np.random.Generator, replicates: int = 1000) -> dict[str, Any]:
    """AUC and shares of members found."""
    drawn = []
    for _ in range(replicates):
        rows = np.concatenate(
            [rng.choice(np.flatnonzero(member == one), int((member == one).sum())) for one in (True, False)]
        )
        drawn.append(auc(scores[rows], member[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    result: dict[str, Any] = {"auc": {"value": auc(scores, member), "low": float(low), "high": float(high)}}
    outside = np.sort(scores[~member])[::-1]
    for rate in (0.01, 0.001):
        threshold = outside[math.floor(rate * len(outside))]  # so many non-members lie above it, and no more
        found = int((scores[member] > threshold).sum())
        result[f"members_found_at_{rate:g}_false_alarms"] = share(found, int(member.sum()))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", default="pbc-256")
    parser.add_argument("--synthetic", type=int, default=1000, help="cells of each type")
    parser.add_argument("--deep", type=int, default=300, help="of them, how many networks look at")
    parser.add_argument("--targets", type=int, default=200, help="members, and non-members, of each type at most")
    parser.add_argument("--extractor", action="append", help="default: efficientnet-lite0")
    parser.add_argument("--work", type=Path, required=True, help="what is kept between runs: split, features")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "membership.json")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    chain, rng, began = SyntheticCellGAN.load(given.bundle), np.random.default_rng(0), time.time()
    manifest, split = parts(given.data, chain, given.work)
    train, test, validation = (split.part(manifest, name) for name in ("train", "test", "validation"))

    paths: list[Path] = []
    kinds: list[str] = []
    members: list[bool] = []
    for kind in chain.cell_types:
        count = min(given.targets, test.counts[kind], train.counts[kind])
        for part, is_member in ((train, True), (test, False)):
            paths += some(part, kind, count, rng)
            kinds += [kind] * count
            members += [is_member] * count
    member, kind_of = np.array(members), np.array(kinds)
    reference = [validation.path(record) for record in validation.records]
    reference_kinds = np.array([record.cell_type for record in validation.records])

    def kept(name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        path = given.work / f"{name}-{given.synthetic}-{given.targets}.npy"
        if not path.exists():
            with open(path.with_suffix(".part"), "wb") as file:
                np.save(file, make())
            path.with_suffix(".part").replace(path)
        found: np.ndarray = np.load(path)
        print(f"{name}: {found.shape}, {time.time() - began:.0f} s", flush=True)
        return found

    targets = kept("targets-fingerprints", lambda: fingerprint(paths))
    assert chain.bundle.fingerprints is not None
    known = Fingerprints.from_bytes(chain.bundle.fingerprints).descriptors
    similarity = nearest(targets, known).similarity
    agreed = np.where(member, similarity >= SAME, similarity < SAME)
    if agreed.mean() < 0.98:
        raise SystemExit(
            f"The fingerprints gainsay {int((~agreed).sum())} of {len(agreed)}: this is not the bundle's split."
        )

    spaces: dict[str, Callable[[Any], np.ndarray]] = {"fingerprints": fingerprint, "pixels": pixels}
    for name in given.extractor or ["efficientnet-lite0"]:
        spaces[name] = partial(features_of, extractor=get_extractor(name))
    counts = {name: given.synthetic if name in CHEAP else min(given.synthetic, given.deep) for name in spaces}

    def made(name: str) -> tuple[np.ndarray, np.ndarray]:
        """Synthetic cells in a space, and their types."""
        found = [np.load(given.work / f"synthetic-{kind}-{name}-{counts[name]}.npy") for kind in chain.cell_types]
        return np.concatenate(found), np.repeat(chain.cell_types, counts[name])

    for kind in chain.cell_types:
        files = {name: given.work / f"synthetic-{kind}-{name}-{counts[name]}.npy" for name in spaces}
        if all(path.exists() for path in files.values()):
            continue
        found: dict[str, list[np.ndarray]] = {name: [] for name in spaces}
        for first in range(0, given.synthetic, 50):
            seeds = range(first, min(first + 50, given.synthetic))
            images = np.stack([cell.image for cell in chain.stream((kind, seed) for seed in seeds)])
            for name, space in spaces.items():
                if first < counts[name]:
                    found[name].append(space(images[: counts[name] - first]))
        for name, path in files.items():
            np.save(path, np.concatenate(found[name]))
        print(f"{kind}: {given.synthetic} cells, {time.time() - began:.0f} s", flush=True)
    attacks: dict[str, dict[str, Any]] = {}

    def note(name: str, needs: str, scores: np.ndarray) -> None:
        attacks[name] = {"needs": needs} | judged(standardised(scores[agreed], kind_of[agreed]), member[agreed], rng)
        print(name, json.dumps(attacks[name]), flush=True)

    for name, score in critics(chain, paths, kind_of).items():
        note(name, "training.safetensors", score)
    for name, space in spaces.items():
        mine = kept(f"targets-{name}", lambda space=space: space(paths))  # type: ignore[misc]
        others = kept(f"reference-{name}", lambda space=space: space(reference))  # type: ignore[misc]
        near = nearest_by_type(mine, *made(name), kind_of)
        real = nearest_by_type(mine, others, reference_kinds, kind_of)
        note(f"nearest synthetic cell, {name}", "synthetic images", -near)
        note(
            f"nearest synthetic cell less nearest real one, {name}",
            "synthetic images and real ones of others",
            real - near,
        )
    result = {
        "bundle": chain.bundle.name,
        "bundle_id": chain.bundle.id,
        "data": given.data.name,
        "members": int(member[agreed].sum()),
        "non_members": int((~member[agreed]).sum()),
        "gainsaid_by_fingerprints": int((~agreed).sum()),
        "synthetic_per_type": counts,
        "attacks": attacks,
        "machine": f"{os.cpu_count()} CPU cores",
    }
    given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
