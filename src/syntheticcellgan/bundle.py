"""A bundle: the two networks of a chain, their configuration and their card, as one checked artefact.

Loading needs no flag and executes nothing: JSON and safetensors only, checksums first, and each tensor's name, shape and
kind compared with the configuration before a network is allocated.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from syntheticcellgan.bundle_files import SUMS, check_sums, read_files, sums_of, write_zip
from syntheticcellgan.card import render_card
from syntheticcellgan.cell_types import nearest
from syntheticcellgan.config import ChainConfig, check_chain, from_dict, to_dict
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.networks.blocks import channels_last
from syntheticcellgan.networks.generator import LowResolutionGenerator
from syntheticcellgan.networks.translator import Translator

FORMAT = 1
STYLE_MEAN = "style_mean"
N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle; networks in evaluation mode, float32. style_mean: (types, condition), for truncation."""

    path: Path
    id: str  # first 16 hexadecimal digits of the SHA-256 of SHA256SUMS: which bundle made an image
    chain: ChainConfig
    card: dict[str, Any]
    generator: LowResolutionGenerator
    translator: Translator
    style_mean: Tensor
    fingerprints: bytes | None

    @property
    def name(self) -> str:
        """Name on the card."""
        return str(self.card.get("name", self.path.stem))


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
    if path.exists():
        return path
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
    chain = _read_config(files["config.json"], path)
    card = _read_json(files["card.json"], path, "card.json")
    condition = chain.generator.width // 2
    extra = {STYLE_MEAN: (len(chain.cell_types), condition)}
    with torch.device("meta"):
        generator, translator = LowResolutionGenerator(chain), Translator(chain)
    tensors = _read_tensors(files["generator.safetensors"], generator, extra, path, "generator.safetensors")
    style_mean = tensors.pop(STYLE_MEAN)
    others = _read_tensors(files["translator.safetensors"], translator, {}, path, "translator.safetensors")
    return Bundle(
        path,
        hashlib.sha256(files[SUMS]).hexdigest()[:16],
        chain,
        card,
        _filled(generator, tensors),
        _filled(translator, others),
        style_mean,
        files.get("fingerprints.npz"),
    )


def verify_bundle(name_or_path: str | Path) -> Bundle:
    """As `load_bundle`: what loads is whole, unaltered and complete."""
    return load_bundle(name_or_path)


def read_card(name_or_path: str | Path) -> dict[str, Any]:
    """The card alone, checksums included.

    Raises:
        InputError: as `load_bundle`.
    """
    path = find_bundle(name_or_path)
    return _read_json(read_files(path)["card.json"], path, "card.json")


def write_bundle(
    folder: Path,
    chain: ChainConfig,
    generator: LowResolutionGenerator,
    translator: Translator,
    card: Mapping[str, Any],
    samples: Image.Image,
    fingerprints: bytes | None = None,
) -> None:
    """Write a bundle's folder, whole or not at all; weights in half precision.

    Raises:
        InputError: `folder` exists and is not empty.
        ScgError: it cannot be written.
    """
    picture = io.BytesIO()
    samples.save(picture, "PNG", optimize=True)
    files = {
        "config.json": _json({"format": FORMAT, "chain": to_dict(chain)}),
        "generator.safetensors": save_tensors(_half(generator) | {STYLE_MEAN: mean_styles(generator, chain)}),
        "translator.safetensors": save_tensors(_half(translator)),
        "card.json": _json(card),
        "card.md": render_card(card).encode(),
        "samples.png": picture.getvalue(),
    }
    if fingerprints is not None:
        files["fingerprints.npz"] = fingerprints
    _write_folder(folder, files)


def rewrite_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Replace the card of a bundle's folder, for example after an evaluation; checksums follow.

    Raises:
        InputError: the bundle is not whole.
        ScgError: it cannot be written.
    """
    files = read_files(folder)
    files |= {"card.json": _json(card), "card.md": render_card(card).encode()}
    del files[SUMS]
    _write_folder(folder, files, replace=True)


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
        temporary.unlink(missing_ok=True)
        raise ScgError(f"{out} could not be written ({error.strerror}).") from error


@torch.no_grad()
def mean_styles(generator: LowResolutionGenerator, chain: ChainConfig, count: int = 4096) -> Tensor:
    """Mean style vector of each type over fixed noise: (types, condition), half precision."""
    noise = torch.randn(count, chain.generator.latent_size, generator=torch.Generator().manual_seed(0))
    means = [generator.map(noise, torch.full((count,), t)).mean(dim=0) for t in range(len(chain.cell_types))]
    return torch.stack(means).half()


def _write_folder(folder: Path, files: dict[str, bytes], replace: bool = False) -> None:
    if folder.exists() and not replace and any(folder.iterdir()):
        raise InputError(f"{folder} holds other files; choose a new folder for the bundle.")
    files = files | {SUMS: sums_of(files)}
    check_sums(files, folder)
    temporary = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name, content in files.items():
            (temporary / name).write_bytes(content)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise ScgError(
            f"{folder} could not be written ({error.strerror}). Free some space or choose another."
        ) from error


def _half(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().half().contiguous() for name, tensor in network.state_dict().items()}


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


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
    return check_chain(from_dict(ChainConfig, values.get("chain"), source), source)


def _read_tensors(
    content: bytes, network: nn.Module, extra: Mapping[str, tuple[int, ...]], path: Path, name: str
) -> dict[str, Tensor]:
    """Tensors in float32 after names, kinds and shapes in the header were found right."""
    header = _header(content, path, name)
    expected = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} | dict(extra)
    for key in sorted(set(expected) | set(header)):
        if key not in header:
            raise InputError(f"{path}: {name} lacks the tensor {key}. Copy the bundle anew.")
        if key not in expected:
            raise InputError(f"{path}: {name} holds the tensor {key}, which its config.json has no place for.")
        shape, kind = header[key]
        if shape != expected[key]:
            raise InputError(f"{path}: {name}: {key} has the shape {shape}; config.json asks for {expected[key]}.")
        if kind not in ("F16", "F32"):
            raise InputError(f"{path}: {name}: {key} is of kind {kind}; F16 or F32 is expected.")
    try:
        tensors = {key: tensor.float() for key, tensor in load_tensors(content).items()}
    except Exception as error:  # the library raises several kinds for one thing: a damaged file
        raise InputError(f"{path}: {name} is damaged ({error}). Copy the bundle anew.") from error
    for key, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise InputError(f"{path}: {name}: {key} holds values that are no numbers; the training went wrong.")
    return tensors


def _header(content: bytes, path: Path, name: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and kind of each tensor, from the file's header alone."""
    if content[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05") or content[:4] == b"PK\x03\x04":
        raise InputError(f"{path}: {name} is a pickle in disguise and was not opened; a bundle holds safetensors only.")
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(len(content) - 8, 2**24):
        raise InputError(f"{path}: {name} is no safetensors file. Copy the bundle anew.")
    header = _read_json(content[8 : 8 + length], path, name)
    result = {}
    for key, entry in header.items():
        if key == "__metadata__":
            continue
        try:
            shape, kind = tuple(int(n) for n in entry["shape"]), str(entry["dtype"])
            start, end = entry["data_offsets"]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: {name} has a damaged header at {key}. Copy the bundle anew.") from error
        if end - start != math.prod(shape) * {"F16": 2, "F32": 4}.get(kind, 0) and kind in ("F16", "F32"):
            raise InputError(f"{path}: {name}: {key} has not as many bytes as its shape says. Copy the bundle anew.")
        result[key] = shape, kind
    return result


def _filled(network: N, tensors: dict[str, Tensor]) -> N:
    network.load_state_dict(tensors, assign=True)
    return channels_last(network).eval().requires_grad_(False)
