"""A bundle as one ONNX graph: noise and type in, finished cell out. `onnx_runner.py` goes with it and needs no PyTorch.

    latent (4, L), types (4,) int64, truncation (), grain (4, 3, R, R), texture (4, C, R, R)  →  images, basic

Noise is an input, so whoever draws it as the pipeline does gets the same cell from the same seed; and the batch is the
pipeline's, because the order in which sums are added depends on it.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from syntheticcellgan import onnx_runner
from syntheticcellgan.bundle import Bundle
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.networks.degradation import degrade
from syntheticcellgan.networks.generator import from_mean
from syntheticcellgan.pipeline import MICRO_BATCH, SyntheticCellGAN

OPSET = 18
TOLERANCE = 2
"""Levels out of 255 by which a pixel may differ from PyTorch's; the mean over all pixels by a hundredth of a level."""
MEAN_TOLERANCE = 0.01


class _Chain(nn.Module):
    """Both networks with what the pipeline does between them."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        self.generator, self.translator = bundle.generator, bundle.translator
        self.register_buffer("style_mean", bundle.style_mean)
        self.register_buffer("level", torch.full((MICRO_BATCH,), bundle.chain.translator.level))
        self.spread = bundle.chain.generator.spread
        self.style_mean: Tensor
        self.level: Tensor

    def forward(
        self, latent: Tensor, types: Tensor, truncation: Tensor, grain: Tensor, texture: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Images (N, 3, S, S) and basic images (N, 3, R, R), about −1 … 1."""
        style = from_mean(self.generator.map(latent, types), self.style_mean[types], truncation * self.spread)
        basic = self.generator.synthesise(style)
        return self.translator(degrade(basic, self.level, grain), types, self.level, texture), basic


def export_onnx(bundle: Bundle, out: Path) -> float:
    """Write `out` (an .onnx file) and onnx_runner.py beside it, after the graph has made what PyTorch makes.

    Returns:
        The mean difference from PyTorch over the pixels of one cell of each type, in levels out of 255.

    Raises:
        InputError: `out` exists, or the extra `onnx` is not installed.
        ScgError: the graph's cells differ by more than the tolerance, or it cannot be written.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError("The export needs more packages: pip install 'syntheticcellgan[onnx]'.") from error
    if out.suffix != ".onnx":
        raise InputError(f"{out}: give a file that ends in .onnx.")
    runner = out.with_name("onnx_runner.py")
    if out.exists():
        raise InputError(f"{out} exists already; choose another name.")
    model = _graph(bundle)
    for key, value in {
        "bundle": bundle.name,
        "bundle_id": bundle.id,
        "cell_types": json.dumps(bundle.chain.cell_types),
        "note": "Synthetic images, made by a trained model: never for diagnosis.",
    }.items():
        model.metadata_props.add(key=key, value=value)
    temporary = out.with_name(f".{out.stem}.part.onnx")
    try:
        onnx.save_model(model, str(temporary))
        difference = _compare(bundle, temporary)
        if not runner.exists():
            shutil.copyfile(onnx_runner.__file__, runner)
        os.replace(temporary, out)
    except OSError as error:
        raise ScgError(f"{out} could not be written ({error.strerror}). Choose another place.") from error
    finally:
        temporary.unlink(missing_ok=True)
    return difference


def _graph(bundle: Bundle):  # type: ignore[no-untyped-def]  # onnx.ModelProto, of an optional package
    latent, grain, texture = (torch.zeros(MICRO_BATCH, *size) for size in bundle.chain.noise_sizes)
    inputs = latent, torch.zeros(MICRO_BATCH, dtype=torch.int64), torch.tensor(1.0), grain, texture
    names = ["latent", "types", "truncation", "grain", "texture"]
    quiet = io.StringIO()  # the exporter talks on both streams
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Chain(bundle).eval(),
            inputs,
            input_names=names,
            output_names=["images", "basic"],
            opset_version=OPSET,
            dynamo=True,
        )
    assert program is not None
    return program.model_proto


def _compare(bundle: Bundle, path: Path) -> float:
    """Mean difference in levels; ScgError if a pixel or the mean differs by more than the tolerance."""
    chain, graph = SyntheticCellGAN(bundle), onnx_runner.Generator(path)
    differences = []
    for name in bundle.chain.cell_types:
        ours, theirs = chain.generate(name).images, graph.generate(name)
        differences.append(np.abs(ours.astype(np.int16) - theirs.astype(np.int16)))
    worst, mean = max(int(d.max()) for d in differences), float(np.mean(differences))
    if worst > TOLERANCE or mean > MEAN_TOLERANCE:
        raise ScgError(
            f"The graph's cells differ from PyTorch's by up to {worst} levels ({mean:.4f} on average), more than the "
            f"{TOLERANCE} ({MEAN_TOLERANCE}) allowed; another version of onnxruntime or torch may help."
        )
    return mean
