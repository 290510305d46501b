"""Begin with what a bundle has learnt instead of with chance: to train it further, or to transfer it to other types.

A bundle carries, beside its two networks, those that only training needs, so that a game goes on between two players of
equal strength. Types are matched by name; a type that the bundle does not know begins as the mean of those it knows.
Where latents are to be of another kind (`generator.*` changed), the translator alone begins with the bundle's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from syntheticcellgan.bundle import load_bundle
from syntheticcellgan.bundle_training import read_training
from syntheticcellgan.config import ChainConfig, GeneratorConfig
from syntheticcellgan.errors import InputError
from syntheticcellgan.files import write_json

Weights = dict[str, Tensor]
RECORD = "start.json"

# Where each module of a stage finds its weights.
_SOURCES: Mapping[str, Mapping[str, str]] = {
    "autoencoder": {"autoencoder": "autoencoder", "average": "autoencoder", "critic": "copy_critic"},
    "low-resolution": {"generator": "generator", "average": "generator", "critic": "critic"},
    "translation": {"translator": "translator", "average": "translator", "critic": "patch_critic"},
}


class Start:
    """The networks of a bundle, fitted to the types of a new run."""

    def __init__(self, name_or_path: str | Path, chain: ChainConfig) -> None:
        """InputError if the bundle cannot be read, or its translator is of another shape than that of `chain`."""
        bundle = load_bundle(name_or_path)
        ours, theirs = chain.generator, bundle.chain.generator
        translator_config = replace(bundle.chain.translator, level=chain.translator.level)
        if (theirs.resolution, translator_config) != (ours.resolution, chain.translator):
            raise InputError(
                f"--start-from {name_or_path}: the bundle's translator has other settings than this run. "
                "Leave --resolution, --size and translator.* out; the bundle's are taken."
            )
        self.known, self.wanted = bundle.chain.cell_types, chain.cell_types
        self.chain, self.adapted = chain, bundle.chain.adapted
        generator = bundle.generator.state_dict()
        decoder = {key: value for key, value in generator.items() if key.startswith("decoder.")}
        self.networks: dict[str, Weights] = {
            "generator": {key: value for key, value in generator.items() if key not in decoder},
            "translator": bundle.translator.state_dict(),
            "autoencoder": decoder,  # all that a bundle without training networks has of it
        } | read_training(bundle.training, bundle.chain, bundle.path)
        if theirs.mode != ours.mode:  # one that knew the types is no start for a blind one, nor the other way round
            self._drop("generator", "critic")
        if not same_latents(theirs, ours):
            self._drop("generator", "critic", "autoencoder", "copy_critic")

    def _drop(self, *networks: str) -> None:
        for network in networks:
            self.networks.pop(network, None)

    def fill(self, stage: str, modules: Mapping[str, nn.Module]) -> None:
        """Give the modules of a stage the bundle's weights; what the bundle lacks, and the decoder of a generator, which
        is the run's own autoencoder's, stay as they are.
        """
        for name, source in _SOURCES[stage].items():
            modules[name].load_state_dict(self.fitted(source, modules[name].state_dict()))

    def fitted(self, source: str, fresh: Weights) -> Weights:
        """`fresh` weights of a network of the run, and in their place those that the bundle's `source` has."""
        kept = self.networks.get(source, {})
        shared = {
            key: self._by_type(value) if key == "types.weight" else value
            for key, value in kept.items()
            if "adapter." not in key
        }
        return fresh | shared | self._of_adapted(kept, fresh)

    def _of_adapted(self, kept: Weights, fresh: Weights) -> Weights:
        """What single types add to shared weights (`networks/adapter.py`), for those types that the run lets add it."""
        filled = {key: value.clone() for key, value in fresh.items() if "adapter." in key and key in kept}
        for key, value in filled.items():
            for place, cell_type in enumerate(self.chain.adapted):
                if cell_type in self.adapted:
                    value[place] = kept[key][self.adapted.index(cell_type)]
        return filled

    def _by_type(self, rows: Tensor) -> Tensor:
        """Embedding rows: (types of the bundle, dim) → (types of the run, dim)."""
        mean = rows.mean(dim=0)
        return torch.stack([rows[self.known.index(t)] if t in self.known else mean for t in self.wanted])


def same_latents(theirs: GeneratorConfig, ours: GeneratorConfig) -> bool:
    """Whether generator, critic and encoder of one are of the shapes of the other's; mode and spread may differ."""
    return replace(theirs, mode=ours.mode, spread=ours.spread) == ours


def keep_record(name_or_path: str, out: Path) -> None:
    """Write into the run folder, once, what the card shall say of the bundle that the run begins with."""
    path = out / RECORD
    if name_or_path and not path.exists():
        bundle = load_bundle(name_or_path)
        training = bundle.card.get("training", {})
        kept = {key: training[key] for key in ("machine", "stages", "start") if key in training}
        write_json(path, {"name": bundle.name, "id": bundle.id} | kept)


def read_record(out: Path) -> dict[str, Any] | None:
    """That record; None for a run that began with chance."""
    path = out / RECORD
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
