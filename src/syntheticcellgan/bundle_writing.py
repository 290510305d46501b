"""A bundle onto disk: as a folder, whole or not at all; with another card, with attributes, or as one zip."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from syntheticcellgan.bundle import FORMAT, STYLE_MEAN, find_bundle, read_card
from syntheticcellgan.bundle_attributes import Attributes
from syntheticcellgan.bundle_files import (
    OPTIONAL,
    REQUIRED,
    SUMS,
    check_sums,
    place_of_former,
    read_files,
    sums_of,
    take_back,
    write_zip,
)
from syntheticcellgan.card import render_card
from syntheticcellgan.config import ChainConfig, to_dict
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.networks.generator import LowResolutionGenerator
from syntheticcellgan.networks.translator import Translator
from syntheticcellgan.provenance import encode_sheet


def write_bundle(
    folder: Path,
    chain: ChainConfig,
    generator: LowResolutionGenerator,
    translator: Translator,
    card: Mapping[str, Any],
    samples: Image.Image,
    fingerprints: bytes | None = None,
    training: Mapping[str, nn.Module] | None = None,
    style_mean: Tensor | None = None,
) -> None:
    """Write a bundle's folder, whole or not at all; weights in half precision.

    training: those of `bundle_training.training_networks` that a later training can begin with.
    style_mean: (types, style_size) half precision, where it is known already; else measured.

    Raises:
        InputError: `folder` exists and is not empty.
        ScgError: a weight is no number or too large for half precision, or the folder cannot be written.
    """
    mean = mean_styles(generator, chain) if style_mean is None else style_mean
    files = {
        "config.json": _json({"format": FORMAT, "chain": to_dict(chain)}),
        "generator.safetensors": save_tensors(_half(generator) | {STYLE_MEAN: mean}),
        "translator.safetensors": save_tensors(_half(translator)),
        "card.json": _json(card),
        "card.md": render_card(card).encode(),
        "samples.png": encode_sheet(samples, {"bundle": card.get("name")}, compress_level=9),
    }
    if fingerprints is not None:
        files["fingerprints.npz"] = fingerprints
    if training:
        halves = {f"{name}/{key}": half for name, network in training.items() for key, half in _half(network).items()}
        files["training.safetensors"] = save_tensors(halves)
    _write_folder(folder, files)


def rewrite_card(folder: Path, card: Mapping[str, Any], more: Mapping[str, bytes] | None = None) -> None:
    """Replace the card of a bundle's folder, for example after an evaluation; checksums follow.

    more: files to replace or add with it.

    Raises:
        InputError: the bundle is not whole, is a zip, or its folder holds other files.
        ScgError: it cannot be written.
    """
    files = read_files(folder)
    files |= {**(more or {}), "card.json": _json(card), "card.md": render_card(card).encode()}
    del files[SUMS]
    _write_folder(folder, files, replace=True)


def add_attributes(folder: Path, attributes: Attributes) -> None:
    """Put attributes into a bundle's folder, in place of earlier ones, and on its card; checksums follow.

    Raises:
        InputError, ScgError: as `rewrite_card`.
    """
    rewrite_card(folder, {**read_card(folder), "attributes": attributes.card()}, attributes.files())


def export_bundle(name_or_path: str | Path, out: Path) -> None:
    """Write a bundle as one zip.

    Raises:
        InputError: the bundle is not whole, or `out` exists.
        ScgError: `out` cannot be written.
    """
    files = read_files(find_bundle(name_or_path))
    if out.exists():
        raise InputError(f"{out} exists already; choose another name.")
    temporary = out.with_name(out.name + ".part")
    try:
        write_zip(files, temporary)
        os.replace(temporary, out)
    except OSError as error:
        raise ScgError(f"{out} could not be written ({error.strerror}). Choose another place.") from error
    finally:
        temporary.unlink(missing_ok=True)


@torch.no_grad()
def mean_styles(generator: LowResolutionGenerator, chain: ChainConfig, count: int = 4096) -> Tensor:
    """Mean style vector of each type over fixed noise: (types, style_size), half precision."""
    noise = torch.randn(count, chain.generator.latent_size, generator=torch.Generator().manual_seed(0))
    means = [generator.map(noise, torch.full((count,), t)).mean(dim=0) for t in range(len(chain.cell_types))]
    return torch.stack(means).half()


def _write_folder(folder: Path, files: dict[str, bytes], replace: bool = False) -> None:
    """The whole folder or none; `replace` puts it in the place of an earlier state of the same bundle."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; a bundle is written as a folder.")
    ours = {*REQUIRED, *OPTIONAL} if replace else set()
    if folder.exists() and {p.name for p in folder.iterdir()} - ours:
        raise InputError(f"{folder} holds other files; choose a new folder for the bundle.")
    files = files | {SUMS: sums_of(files)}
    check_sums(files, folder)
    temporary, former = folder.with_name(folder.name + ".part"), place_of_former(folder)
    take_back(folder)
    try:
        shutil.rmtree(former, ignore_errors=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name, content in files.items():
            (temporary / name).write_bytes(content)
        if folder.exists():
            os.replace(folder, former)
        os.replace(temporary, folder)
        shutil.rmtree(former, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if former.exists() and not folder.exists():
            os.replace(former, folder)
        raise ScgError(
            f"{folder} could not be written ({error.strerror}). Free some space or choose another."
        ) from error


def _half(network: nn.Module) -> dict[str, Tensor]:
    halves = {name: tensor.detach().cpu().half().contiguous() for name, tensor in network.state_dict().items()}
    for name, tensor in halves.items():
        if not torch.isfinite(tensor).all():
            raise ScgError(f"The weight {name} is no number or beyond half precision; train again from before it rose.")
    return halves


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
