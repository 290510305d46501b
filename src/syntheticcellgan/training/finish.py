"""From a finished run to a bundle with its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import nn

from syntheticcellgan import __version__
from syntheticcellgan.bundle import verify_bundle
from syntheticcellgan.bundle_training import training_networks
from syntheticcellgan.bundle_writing import mean_styles, write_bundle
from syntheticcellgan.config import ChainConfig, to_dict
from syntheticcellgan.data.splits import PARTS
from syntheticcellgan.errors import InputError
from syntheticcellgan.networks.degradation import degrade, shrink
from syntheticcellgan.networks.generator import LowResolutionGenerator, from_mean
from syntheticcellgan.networks.translator import Translator
from syntheticcellgan.pixels import to_uint8
from syntheticcellgan.stain.look import fit
from syntheticcellgan.training import perceptual, selection
from syntheticcellgan.training.data_set import Data
from syntheticcellgan.training.loop import load_best
from syntheticcellgan.training.randomness import torch_generator
from syntheticcellgan.training.run_folder import Run, StageName, chain_of_bundle, stage_folder, stages_of
from syntheticcellgan.training.start import read_record

SHOWN = 8
S = TypeVar("S", bound=str)


def make_bundle(
    run: Run,
    data: Data,
    out: Path,
    name: str,
    licence: str,
    fingerprints: bytes | None = None,
    attribution: Sequence[str] = (),
) -> Path:
    """Write the best averaged networks of a finished run as the bundle `out`/bundle.

    A bundle that is there already is verified and left alone. fingerprints: of the training images, for the copy check.
    attribution: whom the card credits for the training images, a sentence each.

    Returns:
        The bundle's folder.

    Raises:
        InputError: a stage has not been trained, or the folder holds other files.
    """
    folder = out / "bundle"
    if (folder / "SHA256SUMS").exists():
        verify_bundle(folder)
        return folder
    generator, translator = LowResolutionGenerator(run.chain).eval(), Translator(run.chain).eval()
    players = training_networks(run.chain)
    modules: dict[StageName, dict[str, nn.Module]] = {
        "autoencoder": {"average": players["autoencoder"], "critic": players["copy_critic"]},
        "low-resolution": {"average": generator, "critic": players["critic"]},
        "translation": {"average": translator, "critic": players["patch_critic"]},
        "refinement": {"average": translator},
    }
    modules = {name: modules[name] for name in stages_of(run.training)}  # in order: what learnt last is kept
    progress = {name: load_best(stage_folder(out, name), networks) for name, networks in modules.items()}
    chain = chain_of_bundle(run)
    samples = Image.fromarray(_samples(chain, run.training.seed, generator, translator))
    card = make_card(run, data, progress, name, licence, read_record(out), attribution)
    write_bundle(folder, chain, generator, translator, card, samples, fingerprints, players)
    return folder


def make_card(
    run: Run,
    data: Data,
    progress: Mapping[StageName, dict[str, Any]],
    name: str,
    licence: str,
    start: Mapping[str, Any] | None = None,
    attribution: Sequence[str] = (),
) -> dict[str, Any]:
    """What a user must know before trusting the bundle; figures of quality are added by an evaluation.

    start: `start.read_record` of a run that began with another bundle.
    """
    return {
        "name": name,
        "made": datetime.now(timezone.utc).date().isoformat(),
        "software": f"syntheticcellgan {__version__}",
        "intended_use": "Research, teaching, and the training and testing of recognition models. Never for diagnosis.",
        "data": {
            "source": data.name,
            "licence": licence,
            "attribution": list(attribution),
            "split_by": data.unit,
            "split_seed": data.seed,
            "counts": {part: dict(data.counts(part)) for part in PARTS},
            "look": _look(data),
        },
        "training": {
            "machine": run.hardware.name,
            "precision": run.hardware.precision,
            "settings": to_dict(run.training),
            "stages": stage_figures(progress),
            "start": start,
            "extractors_in_losses": [perceptual.EXTRACTOR],
            "extractors_in_selection": [selection.EXTRACTOR],
        },
        "metrics": {},
        "limits": [
            "Learnt from one data set; other laboratories stain and photograph differently.",
            "Rare forms within a type are under-represented, as in the training images.",
            "Synthetic cells carry no patient's findings and prove nothing about any patient.",
            *data.limits,
        ],
    }


def _look(data: Data) -> dict[str, Any]:
    """How the laboratory stains and photographs, of its training images; {} where too few of them show a whole cell."""
    try:
        return fit(data.part("train"), data.name).summary()
    except InputError:
        return {}


def stage_figures(progress: Mapping[S, Mapping[str, Any]]) -> dict[S, dict[str, Any]]:
    """What the card says of each stage's best state."""
    return {
        stage: {
            "images_seen_at_best": state["images"],
            "minutes_at_best": round(state["seconds"] / 60, 1),
            "held_out_score": state["best_score"],
        }
        for stage, state in progress.items()
    }


@torch.inference_mode()
def _samples(chain: ChainConfig, seed: int, generator: LowResolutionGenerator, translator: Translator) -> np.ndarray:
    """One row per type, the first noises in order."""
    rows, means = [], mean_styles(generator, chain).float()
    for t in range(len(chain.cell_types)):
        chance = torch_generator(seed, "samples", t)
        types = torch.full((SHOWN,), t)
        noise = torch.randn(SHOWN, chain.generator.latent_size, generator=chance)
        basic = generator.synthesise(from_mean(generator.map(noise, types), means[types], chain.generator.spread))
        level = torch.full((SHOWN,), chain.translator.level)
        basic = degrade(basic, level, torch.randn(basic.shape, generator=chance))
        noise = torch.randn(SHOWN, chain.translator.noise_channels, *basic.shape[2:], generator=chance)
        made = shrink(translator(basic, types, level, noise), 2)  # half size: a bundle's picture is a glance
        rows.append(np.concatenate([*to_uint8(made)], axis=1))
    result: np.ndarray = np.concatenate(rows)
    return result
