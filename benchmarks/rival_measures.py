"""How fast something is, and how near to what the machine can do: rates, operations, the limit."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Made:
    """make(n): n finished images, for use. flops: multiply-adds × 2 of one image. times: how often `make` is needed for one."""

    make: Callable[[int], object]
    flops: float
    times: int = 1


@dataclass(frozen=True)
class Trained:
    """step(): a step of both players. images: shown in it, in whole 256×256 ones. flops: of it."""

    step: Callable[[], object]
    images: float
    flops: float


def flops_of(work: Callable[[], object]) -> float:
    """Floating point operations of matrix products and convolutions, backward passes included (torch's own formulas; its
    counter of modules cannot follow a penalty's second backward pass).
    """
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    total = 0.0

    class Count(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal total
            kwargs = kwargs or {}
            formula = flop_registry.get(func._overloadpacket)
            if formula is None:  # in inference mode a whole convolution comes as one
                with self:
                    parts = func.decompose(*args, **kwargs)
                if parts is not NotImplemented:
                    return parts
            out = func(*args, **kwargs)
            total += formula(*args, **kwargs, out_val=out) if formula else 0
            return out

    with Count():
        work()
    return total


def limit(precision: str, seconds: float) -> float:
    """Operations a second of products of square matrices, all threads, the best of three sizes."""
    import torch

    kind, best = (torch.bfloat16 if precision == "bfloat16" else torch.float32), 0.0
    for side in (1024, 1536, 2048):
        a, b = (torch.randn(side, side).to(kind) for _ in range(2))
        out = a @ b
        until = time.perf_counter() + seconds / 3
        while time.perf_counter() < until:
            began = time.perf_counter()
            torch.mm(a, b, out=out)
            best = max(best, 2 * side**3 / (time.perf_counter() - began))
    return best


def rate(work: Callable[[], object], seconds: float) -> float:
    """How often `work` is done in a second, by the median of single times, two at least; it must have been done once before."""
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < 2 or time.perf_counter() < until:
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return 1 / statistics.median(times)


@contextmanager
def in_precision(precision: str) -> Iterator[None]:
    """Autocast to bfloat16, or nothing."""
    import torch

    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        yield
