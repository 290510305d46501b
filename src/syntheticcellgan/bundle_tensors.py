"""The tensors of a bundle: names, kinds and shapes are compared with the configuration before anything is allocated."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load as load_tensors
from torch import Tensor
from torch.overrides import TorchFunctionMode

from syntheticcellgan.errors import InputError

BYTES = {"F16": 2, "F32": 4}
LARGEST_HEADER = 2**24
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


class Unfilled(TorchFunctionMode):
    """Leaves new weights without values: on the meta device they have none, and torch would load its whole compiler,
    seconds of work, to draw them.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in ("normal_", "uniform_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def read_tensors(content: bytes, expected: Mapping[str, tuple[int, ...]], path: Path, name: str) -> dict[str, Tensor]:
    """The tensors of the safetensors file `content` in float32, if they are the `expected` names and shapes.

    path, name: the bundle and the file in it, for messages.

    Raises:
        InputError: a pickle, a damaged file, a missing or foreign tensor, another shape or kind, NaN or infinity.
    """
    header = _header(content, path, name)
    for key in sorted(set(expected) | set(header)):
        if key not in header:
            raise InputError(f"{path}: {name} lacks the tensor {key}. Copy the bundle anew.")
        if key not in expected:
            raise InputError(f"{path}: {name} holds the tensor {key}, which its config.json has no place for.")
        shape, kind, size = header[key]
        if shape != expected[key]:
            raise InputError(f"{path}: {name}: {key} has the shape {shape}; config.json asks for {expected[key]}.")
        if kind not in BYTES:
            raise InputError(f"{path}: {name}: {key} is of kind {kind}; F16 or F32 is expected.")
        if size != math.prod(shape) * BYTES[kind]:
            raise InputError(f"{path}: {name}: {key} has not as many bytes as its shape says. Copy the bundle anew.")
    try:
        tensors = {key: tensor.float() for key, tensor in load_tensors(content).items()}
    except Exception as error:  # the library raises several kinds for one thing: a damaged file
        raise InputError(f"{path}: {name} is damaged ({error}). Copy the bundle anew.") from error
    for key, tensor in tensors.items():
        if not np.isfinite(tensor.numpy()).all():
            raise InputError(f"{path}: {name}: {key} holds values that are no numbers; the training went wrong.")
    return tensors


def _header(content: bytes, path: Path, name: str) -> dict[str, tuple[tuple[int, ...], str, int]]:
    """Shape, kind and bytes of each tensor, from the file's header alone."""
    # A header begins with a brace; its length before it may by chance begin like a pickle.
    if content[8:9] != b"{":
        if content.startswith(_PICKLES):
            raise InputError(
                f"{path}: {name} is a pickle in disguise and was not opened; a bundle holds safetensors only."
            )
        raise InputError(f"{path}: {name} is no safetensors file. Copy the bundle anew.")
    length = int.from_bytes(content[:8], "little")
    if length > min(len(content) - 8, LARGEST_HEADER):
        raise InputError(f"{path}: {name} is no whole safetensors file. Copy the bundle anew.")
    try:
        header = json.loads(content[8 : 8 + length])
        return {key: _entry(value) for key, value in header.items() if key != "__metadata__"}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"{path}: {name} has a damaged header ({error}). Copy the bundle anew.") from error


def _entry(value: Mapping[str, object]) -> tuple[tuple[int, ...], str, int]:
    shape, offsets = value["shape"], value["data_offsets"]
    if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2:
        raise ValueError("no shape or no offsets")
    if not all(type(number) is int and number >= 0 for number in (*shape, *offsets)):
        raise ValueError("a shape or offset is no whole number")
    return tuple(shape), str(value["dtype"]), offsets[1] - offsets[0]
