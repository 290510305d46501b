"""A bundle: the two networks of a chain, their configuration and their card, as one checked artefact. Written by
`bundle_writing.py`.

Loading needs no flag and executes nothing: JSON and safetensors only, checksums first, and each tensor's name, shape and
kind compared with the configuration before a network is allocated (`bundle_tensors.py`).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from syntheticcellgan.bundle_attributes import RECORD, WEIGHTS, Attributes, read_attributes
from syntheticcellgan.bundle_files import LARGEST, id_of, read_files, take_back
from syntheticcellgan.bundle_tensors import Unfilled, read_tensors
from syntheticcellgan.bundle_training import read_training
from syntheticcellgan.card import render_card
from syntheticcellgan.cell_types import nearest, slug
from syntheticcellgan.config import ChainConfig, check_chain, from_dict
from syntheticcellgan.cores import one_thread
from syntheticcellgan.errors import InputError
from syntheticcellgan.networks.blocks import channels_last
from syntheticcellgan.networks.generator import LowResolutionGenerator, from_mean
from syntheticcellgan.networks.translator import Translator

FORMAT = 1
STYLE_MEAN = "style_mean"
N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle; networks in evaluation mode, float32. style_mean: (types, style_size), for truncation."""

    path: Path
    id: str  # which bundle made an image: `bundle_files.id_of`
    chain: ChainConfig
    card: dict[str, Any]
    generator: LowResolutionGenerator
    translator: Translator
    style_mean: Tensor
    fingerprints: bytes | None
    training: bytes | None  # `training.safetensors`, see bundle_training.py
    attributes: Attributes | None = None

    @property
    def name(self) -> str:
        """Name on the card."""
        return str(self.card.get("name", self.path.stem))

    def styles(self, noise: Tensor, types: Tensor, truncation: float) -> Tensor:
        """noise (N, latent_size), types (N,) int64 → style vectors (N, style_size), drawn towards the type's mean where
        `truncation` is below 1 (Karras et al. 2019, appendix B), after they were spread as the configuration says.
        """
        style, mean = self.generator.map(noise, types), self.style_mean[types]
        return from_mean(style, mean, truncation * self.chain.generator.spread)


def shipped_bundles() -> dict[str, Path]:
    """The bundles inside the package, by name."""
    folder = Path(__file__).parent / "bundles"
    return {p.name: p for p in sorted(folder.iterdir()) if p.is_dir()} if folder.is_dir() else {}


def find_bundle(name_or_path: str | Path) -> Path:
    """The path of a bundle; a bare name is looked up among the shipped ones if no such file exists.

    Raises:
        InputError: neither a path nor a shipped name; proposes the nearest.
    """
    path = Path(name_or_path)
    shipped = shipped_bundles()
    try:
        take_back(path)
        if path.exists():
            return path
    except (OSError, ValueError) as error:  # no permission to look, or nothing that a path can be
        raise InputError(f"{str(name_or_path)[:100]} cannot be looked up as a bundle ({error}).") from error
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    near = nearest(str(name_or_path), shipped)
    hint = f" Did you mean “{near}”?" if near else ""
    raise InputError(f"{name_or_path} is neither a file nor a shipped bundle ({', '.join(shipped) or 'none'}).{hint}")


def load_bundle(name_or_path: str | Path) -> Bundle:
    """Load and check a bundle.

    Raises:
        InputError: one sentence for whatever is wrong with it.
    """
    path = find_bundle(name_or_path)
    files = read_files(path)
    with one_thread():
        return _loaded(files, path)


def _loaded(files: Mapping[str, bytes], path: Path) -> Bundle:
    chain = _read_config(files["config.json"], path)
    card = _read_card(files["card.json"], path)
    with torch.device("meta"), Unfilled():
        generator, translator = LowResolutionGenerator(chain), Translator(chain)
    extra = {STYLE_MEAN: (len(chain.cell_types), generator.style_size)}
    name = "generator.safetensors"
    tensors = read_tensors(files[name], _shapes(generator) | extra, path, name)
    style_mean = tensors.pop(STYLE_MEAN)
    name = "translator.safetensors"
    others = read_tensors(files[name], _shapes(translator), path, name)
    return Bundle(
        path,
        id_of(files),
        chain,
        card,
        _filled(generator, tensors),
        _filled(translator, others),
        style_mean,
        files.get("fingerprints.npz"),
        files.get("training.safetensors"),
        _attributes(files, chain, path),
    )


def _attributes(files: Mapping[str, bytes], chain: ChainConfig, path: Path) -> Attributes | None:
    there = [name for name in (RECORD, WEIGHTS) if name in files]
    if len(there) == 1:
        raise InputError(f"{path} holds {there[0]} without its other half. Copy the bundle anew.")
    return read_attributes(files[RECORD], files[WEIGHTS], chain, path) if there else None


def verify_bundle(name_or_path: str | Path) -> Bundle:
    """As `load_bundle`, and the files that generation does not need are looked into as well.

    Raises:
        InputError: one sentence for whatever is wrong with it.
    """
    bundle = load_bundle(name_or_path)
    files = read_files(bundle.path)
    try:
        if "samples.png" in files:
            with Image.open(io.BytesIO(files["samples.png"]), formats=["PNG"]) as picture:
                picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{bundle.path}: samples.png is no image ({error}). Copy the bundle anew.") from error
    if bundle.fingerprints is not None:
        _check_fingerprints(bundle.fingerprints, bundle.path)
    read_training(bundle.training, bundle.chain, bundle.path)
    return bundle


def read_card(name_or_path: str | Path) -> dict[str, Any]:
    """The card alone, checksums included.

    Raises:
        InputError: as `load_bundle`.
    """
    path = find_bundle(name_or_path)
    return _read_card(read_files(path)["card.json"], path)


def _shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _read_json(content: bytes, path: Path, name: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {name} is no JSON ({error}).") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: {name} should hold a table.")
    return value


def _read_config(content: bytes, path: Path) -> ChainConfig:
    values = _read_json(content, path, "config.json")
    unknown = sorted(set(values) - {"format", "chain"})
    if unknown:
        raise InputError(f"{path}: config.json has the unknown setting “{unknown[0]}”; this version cannot read it.")
    if values.get("format") != FORMAT:
        raise InputError(f"{path}: format {values.get('format')!r} is not {FORMAT}; use the version that wrote it.")
    source = f"{path}: config.json"
    try:
        chain = check_chain(from_dict(ChainConfig, values.get("chain"), source), source)
    except OverflowError as error:
        raise InputError(f"{source} holds a number that is too large ({error}).") from error
    for name in chain.cell_types:
        if not name or slug(name) != name:  # names become folders and files: no separator, no dots
            raise InputError(f"{source}: “{name}” is no name of a cell type; letters, digits and _ are.")
    return chain


def _read_card(content: bytes, path: Path) -> dict[str, Any]:
    card = _read_json(content, path, "card.json")
    try:
        render_card(card)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: card.json is not laid out as a card ({type(error).__name__}: {error}).") from error
    return card


def _check_fingerprints(content: bytes, path: Path) -> None:
    """Plain arrays only: an .npz can hide pickles, and unpack to more than it weighs."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > LARGEST:
            raise InputError(f"{path}: fingerprints.npz unpacks to {size:,} bytes; no bundle needs that.")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            for name in arrays.files:
                arrays[name]
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and numpy each have their own kinds for a damaged file
        raise InputError(f"{path}: fingerprints.npz is not made of plain arrays ({error}).") from error


def _filled(network: N, tensors: dict[str, Tensor]) -> N:
    network.load_state_dict(tensors, assign=True)
    return channels_last(network).eval().requires_grad_(False)
