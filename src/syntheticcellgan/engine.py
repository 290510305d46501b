"""What computes a bundle's two networks: PyTorch, or another engine that is quicker and gives nearly the same."""

from __future__ import annotations

import logging
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from syntheticcellgan.bundle import Bundle
from syntheticcellgan.errors import InputError

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

Engine = Literal["pytorch", "openvino"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

log = logging.getLogger("syntheticcellgan")


class Networks(Protocol):
    """Both networks, for micro-batches of one size.

    precision: in which the translator, nearly all of the work, multiplies. engine: name and version, or nothing of PyTorch;
    together with the precision it decides the last bits of an image.
    """

    precision: Precision
    engine: str | None

    def basic(self, style: Tensor) -> Tensor:
        """Style vectors (N, style_size) → basic images (N, 3, R, R), about −1 … 1."""

    def finished(self, degraded: Tensor, types: Tensor, level: Tensor, texture: Tensor) -> Tensor:
        """As `Translator.forward`: (N, 3, S, S), about −1 … 1. types: (N,) int64, or shares of each type (N, K)."""


class InPyTorch:
    """The networks as they were trained."""

    engine: str | None = None

    def __init__(self, bundle: Bundle, precision: Precision = "float32") -> None:
        self.bundle, self.precision = bundle, precision

    def basic(self, style: Tensor) -> Tensor:
        return self.bundle.generator.synthesise(style)

    def finished(self, degraded: Tensor, types: Tensor, level: Tensor, texture: Tensor) -> Tensor:
        # Only the translator: rounding in the first network would change forms, here it stays below the grain.
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bfloat16"):
            made: Tensor = self.bundle.translator(degraded, types, level, texture)
        return made


def networks_of(bundle: Bundle, precision: Precision, engine: Engine, batch: int) -> Networks:
    """The networks of a bundle for micro-batches of `batch` images; in PyTorch, with a warning in the log, where the engine
    that is wanted is not installed or does not give what PyTorch gives.

    Raises:
        InputError: no such precision or engine.
    """
    for name, value, known in (("precision", precision, PRECISIONS), ("engine", engine, ENGINES)):
        if value not in known:
            raise InputError(f"{name} is “{value}”; it can be {' or '.join(known)}.")
    exact = InPyTorch(bundle, precision)
    if engine == "pytorch":
        return exact
    try:
        from syntheticcellgan.openvino_engine import InOpenVino

        return InOpenVino(bundle, precision, batch)
    except ImportError:
        why = "it is not installed: pip install 'syntheticcellgan[openvino]'"
    except Exception as error:  # of a compiler that has many kinds; the images can be made nevertheless
        why = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    log.warning("OpenVINO is not used (%s). PyTorch makes the images.", why.rstrip("."))
    return exact
