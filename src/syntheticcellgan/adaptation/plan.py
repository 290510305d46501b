"""What an adaptation is going to do: everything that can be refused is refused here, before minutes are spent."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from syntheticcellgan.adaptation.few import hold_out, read_few
from syntheticcellgan.adaptation.pictures import read_squares
from syntheticcellgan.bundle import Bundle, load_bundle
from syntheticcellgan.config import Adaptation, ChainConfig, check_chain, to_dict
from syntheticcellgan.data.manifest import Manifest
from syntheticcellgan.data.splits import Split
from syntheticcellgan.errors import InputError
from syntheticcellgan.files import write_json
from syntheticcellgan.kernel_distance import kernel_distance
from syntheticcellgan.pipeline import SyntheticCellGAN
from syntheticcellgan.pixels import to_tensor
from syntheticcellgan.training.hardware import Hardware, find_hardware
from syntheticcellgan.training.selection import SelectionFeatures

RECORD = "adapt.json"
GAME, TRANSLATION = "low_resolution", "translation"
"""Folders of the two stages."""
LOOKED_AT = 12  # the bundle's cells of each type that the new images are compared with


@dataclass(frozen=True)
class Plan:
    """All that decides the outcome, and what is known of it so far."""

    base: Bundle
    few: Manifest
    split: Split
    cell_type: str
    settings: Adaptation
    hardware: Hardware
    chain: ChainConfig
    nearest: dict[str, float]  # kernel distance of the images from each known type's cells, nearest first

    @property
    def start(self) -> str:
        """The known type with whose parameters the new one begins."""
        return next(iter(self.nearest))


def make_plan(bundle: str | Path, data: str | Path, cell_type: str, out: Path, settings: Adaptation) -> Plan:
    """Check everything that can be refused, choose what is held out and which known type to begin with, and keep that in
    the run folder; an existing folder must have been begun with the same.
    """
    base = load_bundle(bundle)
    few = read_few(data, cell_type, settings.minimum_images)
    name = few.records[0].cell_type
    if name in base.chain.cell_types:
        raise InputError(
            f"{bundle} knows {name} already. To train it further with more images, use scg train --start-from; for a "
            "form of its own, choose another name."
        )
    if base.training is None:
        raise InputError(
            f"{bundle} carries no training.safetensors (encoder and critics), so nothing can be learnt from it. Use the "
            "bundle as `scg train` wrote it, or a shipped one."
        )
    chain = replace(base.chain, cell_types=(*base.chain.cell_types, name), adapted=(*base.chain.adapted, name))
    if not base.chain.adapted:
        chain = replace(chain, adapter_rank=ChainConfig.adapter_rank)
    split = hold_out(few, settings)
    path, record = out / RECORD, _record(base, few, name, settings)
    if path.exists():
        kept = _read(path)
        difference = next((key for key in record if kept.get(key) != json.loads(json.dumps(record[key]))), None)
        if difference:
            raise InputError(
                f"{out} was begun with another {difference.replace('_', ' ')}. Leave the arguments as they were to go on, "
                "or choose another --out folder."
            )
        return Plan(base, few, split, name, settings, Hardware(**kept["hardware"]), check_chain(chain), kept["nearest"])
    if out.exists() and (not out.is_dir() or any(p.name != "adapt.lock" for p in out.iterdir())):
        raise InputError(f"{out} holds other files; choose an empty or new folder with --out.")
    hardware, nearest = find_hardware(), nearest_types(base, split.part(few, "train"))
    write_json(path, record | {"hardware": to_dict(hardware), "nearest": nearest})
    return Plan(base, few, split, name, settings, hardware, check_chain(chain), nearest)


def nearest_types(base: Bundle, images: Manifest) -> dict[str, float]:
    """Kernel distance of the images from each known type's own cells, nearest first, by the network that chooses
    checkpoints. Another laboratory's look adds much the same to all of them.
    """
    network, chain = SelectionFeatures(), SyntheticCellGAN(base)

    def features(pictures: np.ndarray) -> np.ndarray:
        parts = [network(to_tensor(pictures[i : i + 16])).double().numpy() for i in range(0, len(pictures), 16)]
        whole: np.ndarray = np.concatenate(parts)
        return whole

    ours = features(read_squares(images, base.chain.output_size))
    distances = {
        name: kernel_distance(ours, features(chain.generate(name, LOOKED_AT).images)) for name in base.chain.cell_types
    }
    return dict(sorted(distances.items(), key=lambda item: item[1]))


def _record(base: Bundle, few: Manifest, cell_type: str, settings: Adaptation) -> dict[str, Any]:
    digests = sorted(hashlib.sha256(few.path(record).read_bytes()).hexdigest() for record in few.records)
    return {
        "bundle": base.id,
        "cell_type": cell_type,
        "set_of_images": hashlib.sha256("".join(digests).encode()).hexdigest(),
        "settings": to_dict(settings),
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); choose another --out folder.") from None
