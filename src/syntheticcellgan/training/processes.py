"""Several processes on one run (GPUs, or groups of CPU cores): each takes its share of a batch, gradients are averaged.

No module is wrapped: a game calls its critic several times before one step, rests one player and differentiates twice,
all of which a wrapper must be told about. Averaging just before an optimizer's step needs to know none of it.
"""

from __future__ import annotations

import atexit
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import nn

from syntheticcellgan.config import AutoencoderTraining, LowResolutionTraining, RefinementTraining, TranslationTraining
from syntheticcellgan.errors import InputError

T = TypeVar("T", AutoencoderTraining, LowResolutionTraining, TranslationTraining, RefinementTraining)


class AveragedGradients(DDPStrategy):
    """The same weights in each process, kept equal by equal steps along the mean of their gradients."""

    def setup_module(self, module: nn.Module) -> nn.Module:  # type: ignore[override]
        return module

    def optimizer_step(self, optimizer: Any, **kwargs: Any) -> Any:
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if gradients:
            mean = self.all_reduce(torch.cat([gradient.flatten() for gradient in gradients]), reduce_op="mean")
            for gradient, part in zip(gradients, mean.split([g.numel() for g in gradients]), strict=True):
                gradient.copy_(part.view_as(gradient))
        return super().optimizer_step(optimizer, **kwargs)


def leave_together(fabric: Fabric) -> None:
    """At the end all processes part in order: threads of a group that is still open abort the interpreter on its way out."""

    def part() -> None:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()

    if fabric.world_size > 1:
        atexit.register(part)


def share(training: T, processes: int) -> T:
    """What one of `processes` has to do: a part of each batch, and so of all numbers of images.

    Raises:
        InputError: the batch cannot be divided so that each process has two images or more.
    """
    if processes == 1:
        return training
    if training.batch % processes or training.batch < 2 * processes:
        raise InputError(
            f"A batch of {training.batch} cannot be divided among {processes} processes with two images or more each; "
            "choose another --devices or --nodes, or another batch with --set."
        )
    parts: dict[str, Any] = {
        name: value / processes for name, value in vars(training).items() if name.endswith("kimg") and name != "kimg"
    }
    kimg = (math.ceil(training.kimg * 1000 / processes) + 1e-6) / 1000  # whole images, none lost
    return replace(training, batch=training.batch // processes, kimg=kimg, **parts)


def averaged(fabric: Fabric, values: Mapping[str, float]) -> dict[str, float]:
    """The mean of each value over the processes; not a number where it is none in one of them."""
    if fabric.world_size == 1:
        return dict(values)
    numbers = torch.tensor(list(values.values()), device=fabric.device)
    mean = fabric.all_reduce(numbers, reduce_op="mean")
    assert isinstance(mean, torch.Tensor)
    return dict(zip(values, mean.tolist(), strict=True))
