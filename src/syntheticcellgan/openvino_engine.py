"""Both networks as graphs that OpenVINO compiles for the processor at hand (extra `openvino`).

OpenVINO's converter is not called, for it reports its use to its makers; the reader of traced networks alone does the work.
"""

from __future__ import annotations

import warnings
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino
import torch
import torch.nn.functional as F
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor, nn

from syntheticcellgan.bundle import Bundle
from syntheticcellgan.engine import InPyTorch, Precision
from syntheticcellgan.networks.degradation import degrade
from syntheticcellgan.noise import noises
from syntheticcellgan.pixels import to_uint8

TOLERANCES: dict[Precision, tuple[float, int]] = {"float32": (0.01, 2), "bfloat16": (0.5, 20)}
"""Levels out of 255 by which pixels may differ from PyTorch's float32: on average, and at most."""


class InOpenVino:
    """`engine.Networks`, checked against PyTorch on their first micro-batch."""

    def __init__(self, bundle: Bundle, precision: Precision, batch: int) -> None:
        """Takes some seconds. ValueError if what comes out differs from PyTorch's by more than the tolerance."""
        core = openvino.Core()
        if precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            precision = "float32"  # OpenVINO would take it without a word
        self.precision: Precision = precision
        self.engine: str | None = f"OpenVINO {openvino.__version__.split('-')[0]}"
        self.types = len(bundle.chain.cell_types)
        exact, kinds = InPyTorch(bundle), torch.arange(batch) % self.types
        latent, grain, texture = noises([("engine", k) for k in range(batch)], bundle.chain.noise_sizes)
        level = torch.full((batch,), bundle.chain.translator.level)
        with torch.inference_mode():
            style = bundle.styles(latent, kinds, 1.0)
            basic = exact.basic(style)
            given = degrade(basic, level, grain), self._shares(kinds), level, texture
            self._basic = _Graph(core, _Synthesis(bundle), (style,), "float32")
            self._finished = _Graph(core, bundle.translator, given, precision)
            _check(self.basic(style), basic, "float32")
            _check(self.finished(*given), exact.finished(*given), precision)

    def basic(self, style: Tensor) -> Tensor:
        return self._basic(style)

    def finished(self, degraded: Tensor, types: Tensor, level: Tensor, texture: Tensor) -> Tensor:
        return self._finished(degraded, self._shares(types), level, texture)

    def _shares(self, types: Tensor) -> Tensor:
        """One graph for types and for what lies between them."""
        return types if types.is_floating_point() else F.one_hot(types, self.types).float()


class _Synthesis(nn.Module):
    """The part of the first network that is costly, as a module."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        self.generator = bundle.generator

    def forward(self, style: Tensor) -> Tensor:
        return self.generator.synthesise(style)


class _Graph:
    """A network for inputs of the shapes of `given`; for as many callers at a time as PyTorch has threads."""

    def __init__(
        self, core: openvino.Core, network: nn.Module, given: tuple[Tensor, ...], precision: Precision
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer: shapes are fixed, and shall be
            decoder = TorchScriptPythonDecoder(network, example_input=given)
        reader = FrontEndManager().load_by_framework("pytorch")
        model = reader.convert(reader.load(decoder))
        model.reshape({place: list(one.shape) for place, one in enumerate(given)})
        callers = torch.get_num_threads()
        options: dict[str, Any] = {
            # A thread for each caller: sums come in one order, however many there are.
            "NUM_STREAMS": callers,
            "INFERENCE_NUM_THREADS": callers,
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
        }
        compiled = core.compile_model(model, "CPU", options)
        self._free: SimpleQueue[Any] = SimpleQueue()
        for _ in range(callers):
            self._free.put(compiled.create_infer_request())

    def __call__(self, *given: Tensor) -> Tensor:
        request = self._free.get()
        try:
            (made,) = request.infer([one.contiguous().numpy() for one in given]).values()
        finally:
            self._free.put(request)
        return torch.from_numpy(made)


def _check(made: Tensor, exact: Tensor, precision: Precision) -> None:
    off = np.abs(to_uint8(made).astype(np.int16) - to_uint8(exact).astype(np.int16))
    mean, most = TOLERANCES[precision]
    if off.mean() > mean or off.max() > most:
        raise ValueError(
            f"its pixels differ from PyTorch's by up to {off.max()} levels of 255, {off.mean():.3f} on average"
        )
