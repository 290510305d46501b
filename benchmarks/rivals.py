"""Our speed beside others' and beside the machine's limit → docs/results/rivals.json.

    python benchmarks/rivals.py [--quick] [--anew] [--runs 3]

Each system is measured in processes of its own, in turns, so that whatever else the machine does meets all alike: seconds
from the start of Python to the first image, images of 256×256 made a second, images a second that training is shown, peak
memory, size. Others are restated layer by layer (rival_networks.py) and get the quickest of three ways to be run. The limit
is what the same multiply-adds take as products of square matrices, in the same precision, measured before and after.
Runs that are in the file already, of this machine and these versions, are not repeated: the same command goes on where it
was stopped; --anew forgets them. benchmarks/speed_page.py makes the page from the file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

START = float(os.environ.get("RIVALS_START", time.time()))
ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results" / "rivals.json"
BUNDLE = "pbc-256"
OURS = "SyntheticCellGAN"
STAGES = ("autoencoder", "low-resolution", "translation")
FABRIC = {"float32": "32-true", "bfloat16": "bf16-mixed"}
STEPS = 50
"""DDIM steps that latent diffusion is usually sampled with; one is timed."""


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


# The others


def rivals() -> dict[str, Callable[[], tuple[Any, Any]]]:
    """By name: what builds (generator, critic); the critic is None where training has no second player."""
    import rival_networks as r

    return {
        "pix2pix": lambda: (r.UNet256(), r.PatchGan70()),
        "lightweight-gan": lambda: (r.LightGenerator(), r.LightCritic()),
        "StyleGAN2": lambda: (r.StyleGenerator(), r.StyleCritic()),
        "latent diffusion": lambda: (r.Denoiser(), None),
    }


def noise_for(name: str, count: int) -> tuple[Any, ...]:
    """Inputs of a generator."""
    import torch

    if name == "pix2pix":
        return (torch.rand(count, 3, 256, 256) * 2 - 1,)
    if name == "latent diffusion":
        return torch.randn(count, 3, 64, 64), torch.full((count,), 500.0)
    return (torch.randn(count, 256 if name == "lightweight-gan" else 512),)


def rival(name: str) -> tuple[Made, Callable[[], Trained], int]:
    """What makes images, what trains, and the number of parameters that use needs."""
    import torch

    from rival_networks import count_parameters
    from syntheticcellgan.networks.blocks import channels_last
    from syntheticcellgan.pixels import to_uint8

    generator, critic = rivals()[name]()
    generator = channels_last(generator).eval()
    latents = name == "latent diffusion"

    def make(count: int) -> object:
        with torch.inference_mode():
            made = generator(*noise_for(name, count))
            return made if latents else to_uint8(made)

    flops = flops_of(lambda: make(1))

    def trained() -> Trained:
        batch = 1 if latents else 2
        step = _denoising(generator, batch) if critic is None else _playing(name, generator, critic, batch)
        return Trained(step, batch, flops_of(step))

    steps = STEPS if latents else 1
    return Made(make, flops * steps, steps), trained, count_parameters(generator)


def real_images(count: int) -> Any:
    """Cells of the shipped sample, (count, 3, 256, 256), −1 … 1."""
    import numpy as np

    from syntheticcellgan.data.images import read_image
    from syntheticcellgan.data.manifest import read_manifest
    from syntheticcellgan.data.sample import sample_folder
    from syntheticcellgan.pixels import to_tensor

    manifest = read_manifest(sample_folder())
    return to_tensor(np.stack([read_image(manifest.path(record)) for record in manifest.records[:count]]))


def _playing(name: str, generator: Any, critic: Any, batch: int) -> Callable[[], object]:
    """One step of each player. Penalties, which some of them use now and then, are left out in their favour."""
    import torch
    import torch.nn.functional as F

    from syntheticcellgan.networks.blocks import channels_last

    generator.train()
    critic = channels_last(critic).train()
    adams = [torch.optim.Adam(network.parameters(), 2e-4, betas=(0.5, 0.99)) for network in (generator, critic)]
    real = real_images(batch)

    def judged(image: Any, seen: Any) -> Any:
        return critic(torch.cat([seen, image], dim=1) if name == "pix2pix" else image).float()

    def step() -> object:
        given = noise_for(name, batch)
        made = generator(*given)
        loss = F.softplus(-judged(real, given[0])).mean() + F.softplus(judged(made.detach(), given[0])).mean()
        adams[1].zero_grad()
        loss.backward()
        adams[1].step()
        loss = F.softplus(-judged(made, given[0])).mean()
        if name == "pix2pix":
            loss = loss + 100 * (made.float() - real).abs().mean()
        adams[0].zero_grad()
        loss.backward()
        adams[0].step()
        return loss

    return step


def _denoising(network: Any, batch: int) -> Callable[[], object]:
    import torch

    adam = torch.optim.Adam(network.train().parameters(), 1e-4)

    def step() -> object:
        latent, at = noise_for("latent diffusion", batch)
        loss = (network(latent, at).float() - torch.randn_like(latent)).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss

    return step


# Ours


def ours(precision: str) -> tuple[Made, int]:
    """The shipped bundle, as `scg generate --precision` runs it, and its parameters."""
    import torch

    from rival_networks import count_parameters
    from syntheticcellgan import SyntheticCellGAN
    from syntheticcellgan.pipeline import MICRO_BATCH

    chain = SyntheticCellGAN.load(BUNDLE, precision)  # type: ignore[arg-type]
    cell_type = chain.cell_types[0]
    chunk = [(cell_type, seed) for seed in range(MICRO_BATCH)]
    with torch.inference_mode():
        flops = flops_of(lambda: chain._micro_batch(chunk, 1.0)) / MICRO_BATCH
    made = Made(lambda count: chain.generate(cell_type, count), flops)
    size = count_parameters(chain.bundle.generator, chain.bundle.translator)
    return made, size


def stage(name: str, precision: str) -> Trained:
    """A stage of `scg train` on the shipped sample, in steps that hold one whole period of the lazy penalty."""
    import tempfile

    from syntheticcellgan.config import ChainConfig, TrainingConfig
    from syntheticcellgan.data.sample import sample_folder
    from syntheticcellgan.training import run as runs
    from syntheticcellgan.training.data_set import prepare_data
    from syntheticcellgan.training.hardware import find_hardware

    training, out = TrainingConfig(), Path(tempfile.mkdtemp())
    prepared = prepare_data(sample_folder(), training, out)
    run = runs.Run(
        ChainConfig(prepared.cell_types),
        training,
        replace(find_hardware(), precision=precision),
        "the shipped sample",
    )
    made, _ = runs.build_stage(name, runs.make_fabric(run.hardware), run, prepared, out, timing=True)  # type: ignore[arg-type]
    settings = getattr(training, name.replace("-", "_"))
    period = settings.penalty_interval
    done = 1  # the first step carries a penalty, and so does every `period`-th

    def plain() -> object:
        nonlocal done
        done += 1 + ((done + 1) % period == 0)
        return made.step(done)

    flops = (flops_of(lambda: made.step(period)) + (period - 1) * flops_of(plain)) / period
    whole = (settings.crop / run.chain.output_size) ** 2 if name == "translation" else 1.0

    def steps() -> object:
        """A quarter of a period, whose last step carries the penalty in one of four."""
        nonlocal done
        for _ in range(period // 4):
            done += 1
            made.step(done)
        return None

    return Trained(steps, made.batch * whole * (period // 4), flops * (period // 4))


# One process


def measure(name: str, precision: str, trains: str, seconds: float) -> dict[str, object]:
    """What one process of one system gives; trains: as Fabric names it, the precision in which this
    machine trains; others are trained in it alone.
    """
    import resource

    import torch

    def peak() -> float:
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)

    with in_precision(precision if name != OURS else "float32"):
        if name == OURS:
            made, parameters = ours(precision)
            works = {f"{OURS}, {part}": partial(stage, part, FABRIC[precision]) for part in STAGES}
        else:
            made, training, parameters = rival(name)
            works = {name: training}
        made.make(1)
        found: dict[str, object] = {"seconds_to_the_first_image": round(time.time() - START, 2)}
        if made.times > 1:
            del found["seconds_to_the_first_image"]  # one of its steps is no image
        before = limit(precision, seconds / 4)
        speed, way = _generation(name, made, seconds)
        top = max(before, limit(precision, seconds / 4))
        found |= {"parameters": parameters, "megabytes_in_half_precision": round(2 * parameters / 1e6, 1)}
        found |= {"images_per_second": speed / made.times, "way": way, "gigaflop_per_image": made.flops / 1e9}
        found |= {"limit_gigaflops": top / 1e9, "share_of_the_limit": speed / made.times * made.flops / top}
        found["peak_memory_mib_generation"] = peak()
        if name == OURS or FABRIC[precision] == trains:
            found["training"] = {part: _training(work(), precision, seconds) for part, work in works.items()}
            found["peak_memory_mib_training"] = peak()
        found["threads"] = torch.get_num_threads()
    return found


def _generation(name: str, made: Made, seconds: float) -> tuple[float, str]:
    """Images (or denoising steps of one) a second, in the quickest way."""
    import torch

    if name == OURS:
        made.make(32)
        return 32 * rate(lambda: made.make(32), seconds), "micro-batches of 4, side by side"
    if made.times > 1:
        return rate(lambda: made.make(1), seconds), "one by one"
    threads, cast = torch.get_num_threads(), torch.is_autocast_enabled("cpu")

    def begin() -> None:
        torch.set_num_threads(1)

    def alone(count: int) -> object:
        with torch.autocast("cpu", torch.bfloat16, enabled=cast):
            return made.make(count)

    best = {"one by one": rate(lambda: made.make(1), seconds / 3)}
    made.make(4)
    best["batches of 4"] = 4 * rate(lambda: made.make(4), seconds / 3)
    with ThreadPoolExecutor(threads, initializer=begin) as pool:
        best["batches of 4, side by side"] = (
            4 * threads * rate(lambda: list(pool.map(alone, [4] * threads)), seconds / 3)
        )
    torch.set_num_threads(threads)
    way = max(best, key=best.__getitem__)
    return best[way], way


def _training(trained: Trained, precision: str, seconds: float) -> dict[str, float]:
    before = limit(precision, seconds / 4)
    speed = rate(trained.step, seconds)
    top = max(before, limit(precision, seconds / 4))
    return {
        "images_per_second": speed * trained.images,
        "gigaflop_per_image": trained.flops / trained.images / 1e9,
        "limit_gigaflops": top / 1e9,
        "share_of_the_limit": speed * trained.flops / top,
    }


# All of them


def context() -> dict[str, object]:
    """What must be the same for runs to stand side by side."""
    import torch

    from syntheticcellgan import __version__
    from syntheticcellgan.bundle import load_bundle
    from syntheticcellgan.training.hardware import find_hardware

    return {
        "machine": f"{os.cpu_count()} CPU cores, {torch.backends.cpu.get_cpu_capability()}, {platform.system()}",
        "training_precision": find_hardware().precision,
        "torch": torch.__version__,
        "version": __version__,
        "bundle": load_bundle(BUNDLE).id,
    }


def median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each number, with the least and the greatest, over runs of one system."""
    found: dict[str, Any] = {}
    for key, value in runs[0].items():
        values = [run[key] for run in runs]
        if isinstance(value, dict):
            found[key] = median(values)
        elif isinstance(value, float):
            found[key] = {"median": statistics.median(values), "low": min(values), "high": max(values)}
        else:
            found[key] = value
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="one short run of each, to see that it works; a full run forgets it"
    )
    parser.add_argument("--anew", action="store_true", help="forget the runs in the file")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    seconds = 0.3 if given.quick else 2.0
    if given.one:
        print(json.dumps(measure(*given.one, seconds)))
        return
    import growth

    path = given.out
    here = context() | {"quick": given.quick}
    kept = json.loads(path.read_text()) if path.exists() and not given.anew else {}
    if {key: kept.get(key) for key in here} != here:
        kept = here | {"load_average_before": round(os.getloadavg()[0], 2), "seconds": 0.0, "runs": {}, "growth": {}}
    precisions = ["float32"] + ["bfloat16"] * (here["training_precision"] == "bf16-mixed")
    names = [OURS, *rivals()]

    def keep() -> None:
        kept["systems"] = {key: median(runs) for key, runs in kept["runs"].items()}
        part = path.with_suffix(".part")
        part.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        part.replace(path)

    for run in range(1 if given.quick else given.runs):
        for name in names:
            for precision in precisions:
                done = kept["runs"].setdefault(f"{name}, {precision}", [])
                if len(done) > run:
                    continue
                began = time.time()
                command = [
                    sys.executable,
                    __file__,
                    "--one",
                    name,
                    precision,
                    here["training_precision"],
                    *(["--quick"] if given.quick else []),
                ]
                environment = {**os.environ, "RIVALS_START": str(began)}
                answer = subprocess.run(command, capture_output=True, text=True, env=environment)
                if answer.returncode:
                    raise SystemExit(f"{name}, {precision}: {answer.stderr[-2000:]}")
                done.append(json.loads(answer.stdout.splitlines()[-1]))
                kept["seconds"] = round(kept["seconds"] + time.time() - began, 1)
                print(f"run {run + 1}, {name}, {precision}: {done[-1]['images_per_second']:.2f} images/s", flush=True)
                keep()
    for name, work in growth.KINDS.items():
        if name not in kept["growth"]:
            began = time.time()
            kept["growth"][name] = work(given.quick)
            kept["seconds"] = round(kept["seconds"] + time.time() - began, 1)
            print(f"growth with {name}: {json.dumps(kept['growth'][name])}", flush=True)
            keep()
    print(f"{path}: {kept['seconds']:.0f} s of measuring in all")


if __name__ == "__main__":
    main()
