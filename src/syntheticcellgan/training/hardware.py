"""What this machine is good for: device, precision and threads, found by looking and not by asking the user."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from syntheticcellgan.cores import cores


@dataclass(frozen=True)
class Hardware:
    """accelerator and precision as Lightning Fabric names them; `name` is for cards and logs."""

    accelerator: str
    precision: str
    name: str


def find_hardware() -> Hardware:
    """The best device here. bfloat16 on a CPU only where it is truly faster: without AVX-512 it is eight times slower."""
    if torch.cuda.is_available():
        return Hardware("cuda", "bf16-mixed", torch.cuda.get_device_name())
    threads = torch.get_num_threads()
    precision = "bf16-mixed" if _fast_bfloat16() else "32-true"
    return Hardware(
        "cpu", precision, f"{threads} CPU thread{'s' * (threads != 1)} ({torch.backends.cpu.get_cpu_capability()})"
    )


def use_threads(count: int | None, processes: int = 1) -> None:
    """Set the number of CPU threads; None shares those that this process may use among `processes`."""
    torch.set_num_threads(count or max(cores() // processes, 1))


def _fast_bfloat16() -> bool:
    image, weight = torch.randn(4, 64, 32, 32), torch.randn(64, 64, 3, 3)

    def seconds(dtype: torch.dtype) -> float:
        x, w = (t.to(dtype).contiguous(memory_format=torch.channels_last) for t in (image, weight))
        best = float("inf")
        for _ in range(4):
            start = time.perf_counter()
            torch.conv2d(x, w, padding=1)
            best = min(best, time.perf_counter() - start)
        return best

    return seconds(torch.bfloat16) < 0.8 * seconds(torch.float32)
