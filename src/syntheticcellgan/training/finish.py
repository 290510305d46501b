"""From a finished run to a bundle with its card."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from syntheticcellgan import __version__
from syntheticcellgan.bundle import verify_bundle, write_bundle
from syntheticcellgan.config import to_dict
from syntheticcellgan.networks.degradation import degrade, shrink
from syntheticcellgan.networks.generator import LowResolutionGenerator
from syntheticcellgan.networks.translator import Translator
from syntheticcellgan.pixels import to_uint8
from syntheticcellgan.training import perceptual, selection
from syntheticcellgan.training.loop import load_best
from syntheticcellgan.training.randomness import torch_generator
from syntheticcellgan.training.run import Data, Run, stage_folder

SHOWN = 8


def make_bundle(run: Run, data: Data, out: Path, name: str, licence: str, fingerprints: bytes | None = None) -> Path:
    """Write the best averaged networks of a finished run as the bundle `out`/bundle.

    A bundle that is there already is verified and left alone. fingerprints: of the training images, for the copy check.

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
    progress = {
        "autoencoder": load_best(stage_folder(out, "autoencoder"), {}),
        "low-resolution": load_best(stage_folder(out, "low-resolution"), {"average": generator}),
        "translation": load_best(stage_folder(out, "translation"), {"average": translator}),
    }
    samples = Image.fromarray(_samples(run, generator, translator))
    write_bundle(
        folder, run.chain, generator, translator, make_card(run, data, progress, name, licence), samples, fingerprints
    )
    return folder


def make_card(run: Run, data: Data, progress: dict[str, dict[str, Any]], name: str, licence: str) -> dict[str, Any]:
    """What a user must know before trusting the bundle; figures of quality are added by an evaluation."""
    return {
        "name": name,
        "made": datetime.now(timezone.utc).date().isoformat(),
        "software": f"syntheticcellgan {__version__}",
        "intended_use": "Research, teaching, and the training and testing of recognition models. Never for diagnosis.",
        "data": {
            "source": Path(run.data).name,
            "licence": licence,
            "split_by": data.split.unit,
            "split_seed": data.split.seed,
            "counts": {part: data.part(part).counts for part in ("train", "validation", "test")},
        },
        "training": {
            "machine": run.hardware.name,
            "precision": run.hardware.precision,
            "settings": to_dict(run.training),
            "stages": {
                stage: {
                    "images_seen_at_best": state["images"],
                    "minutes_at_best": round(state["seconds"] / 60, 1),
                    "held_out_score": state["best_score"],
                }
                for stage, state in progress.items()
            },
            "extractors_in_losses": [perceptual.EXTRACTOR],
            "extractors_in_selection": [selection.EXTRACTOR],
        },
        "metrics": {},
        "limits": [
            "Learnt from one data set; other laboratories stain and photograph differently.",
            "Rare forms within a type are under-represented, as in the training images.",
            "Synthetic cells carry no patient's findings and prove nothing about any patient.",
        ],
    }


@torch.inference_mode()
def _samples(run: Run, generator: LowResolutionGenerator, translator: Translator) -> np.ndarray:
    """One row per type, the first noises in order."""
    chain = run.chain
    rows = []
    for t in range(len(chain.cell_types)):
        chance = torch_generator(run.training.seed, "samples", t)
        types = torch.full((SHOWN,), t)
        basic = generator(torch.randn(SHOWN, chain.generator.latent_size, generator=chance), types)
        level = torch.full((SHOWN,), chain.generation_level)
        basic = degrade(basic, level, torch.randn(basic.shape, generator=chance))
        noise = torch.randn(SHOWN, chain.translator.noise_channels, *basic.shape[2:], generator=chance)
        made = shrink(translator(basic, types, level, noise), 2)  # half size: a bundle's picture is a glance
        rows.append(np.concatenate([*to_uint8(made)], axis=1))
    result: np.ndarray = np.concatenate(rows)
    return result
