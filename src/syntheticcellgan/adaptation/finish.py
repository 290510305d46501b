"""From a finished adaptation to a bundle: the old weights untouched, the new type's beside them, and a card that says so."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from syntheticcellgan import __version__
from syntheticcellgan.adaptation.guard import Closeness, Yardstick
from syntheticcellgan.adaptation.pictures import read_squares
from syntheticcellgan.adaptation.plan import GAME, TRANSLATION, Plan
from syntheticcellgan.bundle import Bundle
from syntheticcellgan.bundle_attributes import Attributes
from syntheticcellgan.bundle_files import SUMS, read_files
from syntheticcellgan.bundle_training import training_networks
from syntheticcellgan.bundle_writing import add_attributes, mean_styles, write_bundle
from syntheticcellgan.config import to_dict
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.evaluation.copies import Fingerprints
from syntheticcellgan.evaluation.fingerprint import fingerprint, nearest, views
from syntheticcellgan.networks.attribute_network import AttributeNetwork
from syntheticcellgan.networks.generator import LowResolutionGenerator
from syntheticcellgan.networks.translator import Translator
from syntheticcellgan.pipeline import SyntheticCellGAN
from syntheticcellgan.training import perceptual, selection
from syntheticcellgan.training.finish import stage_figures
from syntheticcellgan.training.loop import load_best
from syntheticcellgan.training.start import Start

SHOWN = 8
COMPARED = 4  # cells of each known type that must come out the same
FEW, VERY_FEW = 50, 10


def make_bundle(plan: Plan, out: Path, name: str, licence: str, say: Callable[[str], None]) -> Path:
    """Write `out`/bundle from the best state of both games.

    Raises:
        ScgError: a known type's cells would change; nothing is written.
    """
    chain, base = plan.chain, plan.base
    generator, translator = LowResolutionGenerator(chain).eval(), Translator(chain).eval()
    progress = {}
    if chain.generator.mode == "typed":
        progress["low-resolution"] = load_best(out / GAME, {"average": generator})
    else:
        generator.load_state_dict(base.generator.state_dict())
    progress["translation"] = load_best(out / TRANSLATION, {"average": translator})
    means = mean_styles(generator, chain)
    known = base.style_mean.half()
    means[: len(known), : known.shape[1]] = known
    rounded = _rounded(base, plan, generator, translator, means)
    unchanged = _unchanged(SyntheticCellGAN(base), rounded)
    training = read_squares(plan.split.part(plan.few, "train"), chain.output_size)
    held_out = read_squares(plan.split.part(plan.few, "validation"), chain.output_size)
    made = rounded.generate(plan.cell_type, plan.settings.checked).images
    closeness = Yardstick.of(training, held_out).judge(made)
    say(closeness.sentence)
    card = _card(plan, progress, name, licence, closeness, unchanged)
    for limit in card["limits"][len(base.card.get("limits", [])) :]:
        say(limit)
    samples = Image.fromarray(_samples(rounded))
    fingerprints = _fingerprints(base, training, held_out)
    players = _players(plan)
    unfinished = out / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    write_bundle(unfinished, chain, generator, translator, card, samples, fingerprints, players, means)
    if base.attributes is not None:
        add_attributes(unfinished, _attributes(base.attributes, plan))
    os.replace(unfinished, out / "bundle")
    return out / "bundle"


def _rounded(
    base: Bundle, plan: Plan, generator: LowResolutionGenerator, translator: Translator, means: Tensor
) -> SyntheticCellGAN:
    """The chain as the bundle will hold it, in half precision."""
    for network in (generator, translator):
        network.load_state_dict({key: value.half().float() for key, value in network.state_dict().items()})
        network.requires_grad_(False)
    return SyntheticCellGAN(
        Bundle(base.path, base.id, plan.chain, base.card, generator, translator, means.float(), None, None)
    )


def _unchanged(before: SyntheticCellGAN, after: SyntheticCellGAN) -> int:
    """How many cells of the known types were compared, all of them the same bit for bit.

    Raises:
        ScgError: one is not.
    """
    names = before.cell_types
    for truncation in (1.0, 0.5):
        a, b = (chain.generate(names, COMPARED // 2, truncation=truncation) for chain in (before, after))
        if not np.array_equal(a.images, b.images):
            raise ScgError("A known type's cells would change; the bundle was not written. Please report this.")
    return len(names) * COMPARED


def _players(plan: Plan) -> Mapping[str, nn.Module]:
    """Encoder and critics as in the old bundle; for the critics the new type begins as the nearest one."""
    players = training_networks(plan.chain)
    start = Start(plan.base.path, plan.chain)
    new, near = (plan.chain.cell_types.index(name) for name in (plan.cell_type, plan.start))
    for prefix, network in players.items():
        network.load_state_dict(start.fitted(prefix, network.state_dict()))
        rows = network.state_dict().get("types.weight")
        if rows is not None:
            rows[new] = rows[near]
    return players


def _attributes(known: Attributes, plan: Plan) -> Attributes:
    """What the old bundle knows of its cells' features; of the new type's it knows nothing, and says so when asked."""
    weights = known.network.state_dict()
    rows = weights["types.weight"]
    weights["types.weight"] = torch.cat([rows, rows[[plan.chain.cell_types.index(plan.start)]]])
    network = AttributeNetwork(plan.chain, known.network.scores.out_features)
    network.load_state_dict(weights)
    return replace(known, network=network)


def _fingerprints(base: Bundle, training: np.ndarray, held_out: np.ndarray) -> bytes | None:
    """The old bundle's, and behind them those of the new images; None if the old bundle has none and the new are too few."""
    if base.fingerprints is None:
        try:
            return Fingerprints.of(list(training), list(held_out)).to_bytes()
        except InputError:
            return None
    old = Fingerprints.from_bytes(base.fingerprints)
    descriptors = np.concatenate([old.descriptors, fingerprint(list(training))])
    distances = (1 - nearest(views(list(held_out)), descriptors).similarity).astype(np.float32)
    real, rest = old.baseline[: old.held_out], old.baseline[old.held_out :]
    return Fingerprints(descriptors, np.concatenate([real, distances, rest]), old.held_out + len(distances)).to_bytes()


def _card(
    plan: Plan,
    progress: Mapping[str, Mapping[str, Any]],
    name: str,
    licence: str,
    closeness: Closeness,
    unchanged: int,
) -> dict[str, Any]:
    base, few = plan.base, plan.few
    parts = {part: plan.split.part(few, part) for part in ("train", "validation")}
    patients = {part: len({r.patient for r in m.records if r.patient is not None}) for part, m in parts.items()}
    data = dict(base.card.get("data", {}))
    counts = {part: dict(data.get("counts", {}).get(part, {})) for part in ("train", "validation", "test")}
    for part, manifest in parts.items():
        counts[part][plan.cell_type] = len(manifest)
    known = base.card.get("data", {}).get("licence", "not stated")
    if not base.chain.adapted:  # afterwards it names its types itself
        known = f"{', '.join(base.chain.cell_types)}: {known}"
    data |= {
        "source": f"{data.get('source', 'not stated')}; {plan.cell_type}: {few.root.name}",
        "licence": f"{known}; {plan.cell_type}: {licence}",
        "counts": counts,
    }
    limits = [*base.card.get("limits", []), *_limits(plan, closeness, patients)]
    training = dict(base.card.get("training", {}))
    training["adaptations"] = [
        *training.get("adaptations", []),
        {
            "cell_type": plan.cell_type,
            "images": {part: len(manifest) for part, manifest in parts.items()},
            "patients": patients,
            "held_out_by": plan.split.unit,
            "base": {
                "name": base.name,
                "id": base.id,
                "sha256": hashlib.sha256(read_files(base.path)[SUMS]).hexdigest(),
            },
            "began_as": plan.start,
            "distances_to_known_types": {key: round(value, 4) for key, value in plan.nearest.items()},
            "machine": plan.hardware.name,
            "settings": to_dict(plan.settings),
            "stages": stage_figures(progress),
            "copies": closeness.as_dict(),
            "known_types_unchanged": unchanged,
        },
    ]
    for key, extractor in (
        ("extractors_in_losses", perceptual.EXTRACTOR),
        ("extractors_in_selection", selection.EXTRACTOR),
    ):
        training[key] = sorted({*training.get(key, []), extractor})
    return {
        **{key: value for key, value in base.card.items() if key != "attributes"},  # come with their files
        "name": name,
        "made": datetime.now(timezone.utc).date().isoformat(),
        "software": f"syntheticcellgan {__version__}",
        "data": data,
        "training": training,
        "metrics": {},
        "limits": limits,
    }


def _limits(plan: Plan, closeness: Closeness, patients: Mapping[str, int]) -> list[str]:
    """What a user must know of the new type."""
    name, n, held = plan.cell_type, len(plan.few), closeness.held_out
    lines = [f"{name} was learnt from {n - held} images only: forms that they do not show cannot come out."]
    if plan.split.unit == "image":
        lines.append(
            f"Of {name} single images were held out, not patients: its figures say nothing about other patients."
        )
    elif patients["train"] < 5:
        lines.append(f"{name} was learnt from {patients['train']} patients; it may show what is theirs alone.")
    if held < VERY_FEW or n < FEW:
        lines.append(
            f"Only {held} images of {name} were held out: the choice of the state and the check for copies rest on few."
        )
    if closeness.too_close:
        lines.append(f"{name}: {closeness.sentence} Do not release its images before each was compared.")
    return lines


def _samples(chain: SyntheticCellGAN) -> np.ndarray:
    """One row per type, the first seeds in order, at half size."""
    rows = []
    for name in chain.cell_types:
        cells = chain.generate(name, SHOWN).images
        small = cells.reshape(SHOWN, cells.shape[1] // 2, 2, cells.shape[2] // 2, 2, 3).mean(axis=(2, 4))
        rows.append(np.concatenate([*small.round().astype(np.uint8)], axis=1))
    result: np.ndarray = np.concatenate(rows)
    return result
