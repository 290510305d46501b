"""Where the images of an evaluation come from: folders, a split, or a bundle that makes them itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from syntheticcellgan.cell_types import slug
from syntheticcellgan.data.manifest import Manifest, read_manifest
from syntheticcellgan.data.splits import read_split
from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.copies import Fingerprints

if TYPE_CHECKING:
    from syntheticcellgan.pipeline import SyntheticCellGAN


@dataclass(frozen=True)
class Sources:
    """The data sets, not yet opened. real: held out. train: all training images. chain: the bundle that makes the
    synthetic images; then `synthetic` is None until they are made.
    """

    real: Manifest
    synthetic: Manifest | None
    train: Manifest | None
    laboratories: dict[str, Manifest]
    chain: SyntheticCellGAN | None = None
    name: str = ""
    fingerprints: Fingerprints | None = None
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def trained_with(self) -> list[str]:
        """Networks that the bundle's card says training used."""
        training = self.card.get("training", {})
        return [*training.get("extractors_in_losses", []), *training.get("extractors_in_selection", [])]


def open_sources(
    real: Path,
    synthetic: Path | None,
    bundle: str | None,
    train: Path | None,
    split: Path | None,
    laboratories: Mapping[str, Path],
) -> Sources:
    """Read what each folder holds. InputError for folders that cannot be compared with each other."""
    if (synthetic is None) == (bundle is None):
        raise InputError("Say what to evaluate: a folder of synthetic images or a bundle (one of the two).")
    if train is not None and split is not None:
        raise InputError("A split names the training images already; leave --train out, or --split.")
    held_out = read_manifest(real)
    training = None if train is None else read_manifest(train)
    if training is not None and _same(held_out, training):
        raise InputError(
            f"{real} is given as real and as training images; images that were trained on cannot judge. Divide them "
            "with `scg data split` and give --split."
        )
    if split is not None:
        parts = read_split(split)
        held_out, training = parts.part(held_out, "test"), parts.part(held_out, "train")
        if not len(held_out):
            raise InputError(f"{split} has no test part in {real}; make a split with one.")
        training = training if len(training) else None
    sets = {name: read_manifest(folder) for name, folder in laboratories.items()}
    if synthetic is not None:
        made = read_manifest(synthetic)
        for other, what in ((held_out, "real"), (training, "training")):
            if other is not None and _same(made, other):
                raise InputError(f"{synthetic} is given as synthetic and as {what} images; give two folders.")
        return Sources(held_out, made, training, sets, name=synthetic.resolve().name)
    from syntheticcellgan.pipeline import SyntheticCellGAN

    assert bundle is not None
    chain = SyntheticCellGAN.load(bundle)
    content = chain.bundle.fingerprints
    prints = None if content is None else Fingerprints.from_bytes(content, f"{bundle}: fingerprints.npz")
    return Sources(held_out, None, training, sets, chain, chain.bundle.name, prints, chain.bundle.card)


def _same(a: Manifest, b: Manifest) -> bool:
    return a.root.resolve() == b.root.resolve()


def shared_types(sources: Sources) -> tuple[str, ...]:
    """Types that both sides have. InputError if there is none."""
    if sources.chain is not None:
        theirs, whose = sources.chain.cell_types, f"the bundle {sources.name}"
    else:
        assert sources.synthetic is not None
        theirs, whose = sources.synthetic.cell_types, str(sources.synthetic.root)
    shared = tuple(name for name in sources.real.cell_types if name in theirs)
    if not shared:
        raise InputError(
            f"{sources.real.root} ({', '.join(sources.real.cell_types)}) and {whose} ({', '.join(theirs)}) have no cell "
            "type in common; name the types alike."
        )
    return shared


def generated(
    chain: SyntheticCellGAN, types: tuple[str, ...], count: int, cache: Path, progress: Callable[[int, int], None]
) -> Manifest:
    """Cells of the seeds 0 … count − 1 of each type, written into the cache; an interrupted run completes them."""
    from syntheticcellgan.writer import Request, write_cells

    asked = hashlib.sha256("\n".join(types).encode()).hexdigest()[:8]
    folder = cache / "cells" / f"{slug(chain.bundle.name)}-{chain.bundle.id}-{count}-{asked}"
    write_cells(chain, [Request(name, count) for name in types], folder, progress=progress)
    return read_manifest(folder, table="metadata.csv")
