"""Quality for equal time of one CPU core, from chance, on the same images → docs/results/quality_per_hour.json.

    python benchmarks/quality_per_hour.py --data FOLDER --work SCRATCH [--minutes 8] [--count 50]   # until it says “done”

Every network learns for the same minutes of CPU time on one thread, in bfloat16 where this machine trains in it, from the
training part of the project's own split, and is used with the average of its weights. Our whole chain shares its minutes
among its stages as `scg train --hours` does. All are judged against the test part by a network that none learnt from, as one
set of all types alike, for the others know no types. A call trains one network; what it made lies in the scratch folder.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rivals import OURS, STAGES, in_precision, rivals
from syntheticcellgan.config import ChainConfig, TrainingConfig, lengthened
from syntheticcellgan.data.images import read_image, resize_square
from syntheticcellgan.evaluation.cell_sets import choose
from syntheticcellgan.evaluation.diversity import diversity
from syntheticcellgan.evaluation.features import ensure_independent, features_of, get_extractor
from syntheticcellgan.evaluation.fidelity import fidelity
from syntheticcellgan.evaluation.statistics import Sample
from syntheticcellgan.networks.blocks import channels_last
from syntheticcellgan.networks.degradation import degrade, shrink
from syntheticcellgan.networks.generator import LowResolutionGenerator
from syntheticcellgan.networks.translator import Translator
from syntheticcellgan.pixels import to_tensor, to_uint8
from syntheticcellgan.training import perceptual, selection
from syntheticcellgan.training import run as runs
from syntheticcellgan.training.checkpoint import save_checkpoint
from syntheticcellgan.training.data_set import FolderData, prepare_data
from syntheticcellgan.training.ema import Ema
from syntheticcellgan.training.feed import Feed
from syntheticcellgan.training.hardware import find_hardware
from syntheticcellgan.training.loop import load_best
from syntheticcellgan.training.objectives import Relativistic
from syntheticcellgan.training.randomness import torch_generator

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "docs" / "results" / "quality_per_hour.json"
EXTRACTOR = "vit-s-focus"
FINISHED = f"{OURS}, translator alone"
SIDE, BATCH, HALF_LIFE, R1_INTERVAL = 256, 4, 2000.0, 16
NOISE = {"lightweight-gan": 256, "StyleGAN2": 512}
# Rates and momenta of the papers; StyleGAN2's layers are not rescaled here, so that its rate is lower.
ADAM = {"pix2pix": (2e-4, (0.5, 0.999)), "lightweight-gan": (2e-4, (0.5, 0.9)), "StyleGAN2": (1e-4, (0.0, 0.99))}

Images = np.ndarray
"""(N, 256, 256, 3) uint8."""


@dataclass(frozen=True)
class Task:
    """The same for all networks. seconds: of CPU time. count: images of each type that are judged."""

    data: FolderData
    work: Path
    seconds: float
    count: int

    def real(self, part: str, seed: int = 0) -> Images:
        """Real cells of a part, `count` of each type."""
        chosen = choose(self.data.split.part(self.data.manifest, part), self.count, seed)
        return np.stack([resize_square(read_image(chosen.path(r)), SIDE) for r in chosen.records])

    @cached_property
    def small(self) -> Tensor:
        """Basic images, (N, 3, 64, 64), of real training cells: what those that cannot begin with noise are given."""
        return shrink(to_tensor(self.real("train", seed=1)), 4)


def spend(seconds: float, build: Callable[[], Callable[[int, float], object]]) -> int:
    """Steps until so much CPU time is over, what `build` needs included; each is told its number and the share that is gone."""
    began, done = time.process_time(), 0
    step = build()
    while (gone := (time.process_time() - began) / seconds) < 1:
        step(done, gone)
        done += 1
    return done


# Ours


def shared_out(run: runs.Run, data: FolderData, seconds: float) -> tuple[TrainingConfig, dict[str, float]]:
    """The training whose length fits, and the share of each stage, by the CPU time of a few steps."""
    fabric, speeds = runs.make_fabric(run.hardware), {}
    with tempfile.TemporaryDirectory() as folder:
        for name in STAGES:
            stage, _ = runs.build_stage(name, fabric, run, data.few(12), Path(folder), timing=True)  # type: ignore[arg-type]
            stage.step(0)
            began = time.process_time()
            for index in range(1, 5):
                stage.step(index)
            speeds[name] = 4 * stage.batch / (time.process_time() - began)
    needs = {name: runs.images_in_all(run.training, name) / speed for name, speed in speeds.items()}  # type: ignore[arg-type]
    whole = sum(needs.values())
    factor = seconds / (1.2 * whole)  # a fifth for penalties, grids and scores, as `runs.estimate`
    return lengthened(run.training, factor), {name: need / whole for name, need in needs.items()}


def ours(task: Task) -> tuple[dict[str, Images], dict[str, Any]]:
    """From noise to cell; and, beside it, what its translator makes of real cells made small."""
    data, out = task.data, task.work / "chain"
    run = runs.Run(ChainConfig(data.cell_types), TrainingConfig(), find_hardware(), data.name)
    training, shares = shared_out(run, data, task.seconds)
    run, shown = replace(run, training=training), {}
    fabric = runs.make_fabric(run.hardware)
    for name in STAGES:
        stage: Any = None

        def build(name: str = name) -> Callable[[int, float], object]:
            nonlocal stage
            stage, _ = runs.build_stage(name, fabric, run, data, out)  # type: ignore[arg-type]

            def step(index: int, gone: float) -> None:
                stage.set_learning_rate(gone)
                stage.step(index)

            return step

        shown[name] = stage_images = spend(shares[name] * task.seconds, build) * stage.batch
        folder = runs.stage_folder(out, name)  # type: ignore[arg-type]
        folder.mkdir(parents=True, exist_ok=True)
        # Said to be at its end, whatever was guessed, so that the next stage goes on from it.
        progress = {"images": max(stage_images, stage.total_images), "best_score": 0.0, "seconds": 0.0}
        for kept in ("last", "best"):
            save_checkpoint(folder / f"{kept}.safetensors", stage.modules, {}, progress)
    generator, translator = LowResolutionGenerator(run.chain).eval(), Translator(run.chain).eval()
    load_best(runs.stage_folder(out, "low-resolution"), {"average": generator})
    load_best(runs.stage_folder(out, "translation"), {"average": translator})
    types = torch.arange(len(data.cell_types)).repeat_interleave(task.count)
    chance = torch_generator(0, "quality", 0)
    made: dict[str, list[Images]] = {OURS: [], FINISHED: []}
    with torch.inference_mode():
        for some in torch.arange(len(types)).split(8):
            level = torch.full((len(some),), run.chain.translator.level)
            latent = torch.randn(len(some), run.chain.generator.latent_size, generator=chance)
            basics = {OURS: generator(latent, types[some])}
            if len(task.small) == len(types):
                basics[FINISHED] = task.small[some]
            for name, basic in basics.items():
                basic = degrade(basic, level, torch.randn(basic.shape, generator=chance))
                noise = torch.randn(len(some), run.chain.translator.noise_channels, *basic.shape[2:], generator=chance)
                made[name].append(to_uint8(translator(basic, types[some], level, noise)))
    facts = {"images_shown": shown, "share_of_the_time": shares}
    return {name: np.concatenate(parts) for name, parts in made.items() if parts}, facts


# The others


def rival(name: str, task: Task) -> tuple[dict[str, Images], dict[str, Any]]:
    """One of the others, with its usual losses, in batches of 4: with larger ones they would hardly make a step."""
    paired, data = name == "pix2pix", task.data
    precision = "bfloat16" if find_hardware().precision == "bf16-mixed" else "float32"
    torch.manual_seed(0)
    generator, critic = (channels_last(network).train() for network in rivals()[name]())
    ema, r1 = Ema(generator, HALF_LIFE), Relativistic(0.0002 * SIDE**2 / BATCH)
    rate, betas = ADAM[name]
    adams = [torch.optim.Adam(network.parameters(), rate, betas=betas) for network in (generator, critic)]

    def seen(image: Tensor, given: Tensor) -> Tensor:
        judged: Tensor = critic(torch.cat([given, image], dim=1) if paired else image)
        return judged.float()

    def losses(real: Tensor, made: Tensor) -> Tensor:
        """Of the critic: hinge for lightweight-gan, else non-saturating."""
        if name == "lightweight-gan":
            return F.relu(1 - real).mean() + F.relu(1 + made).mean()
        return F.softplus(-real).mean() + F.softplus(made).mean()

    def build() -> Callable[[int, float], object]:
        feed = Feed(data.part("train"), data.cell_types, SIDE, 0, None)

        def step(index: int, gone: float) -> None:
            real, _ = feed.batch("rival", index, BATCH)
            given = enlarged(shrink(real, 4)) if paired else torch.randn(BATCH, NOISE[name])
            with in_precision(precision):
                made = generator(given)
                loss = losses(seen(real, given), seen(made.detach(), given))
            if name == "StyleGAN2" and index % R1_INTERVAL == 0:
                images = real.detach().requires_grad_()
                (slope,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
                loss = loss + R1_INTERVAL * r1.gamma / 2 * slope.square().sum(dim=(1, 2, 3)).mean()
            adams[1].zero_grad()
            loss.backward()
            adams[1].step()
            with in_precision(precision):
                value = seen(made, given)
                loss = -value.mean() if name == "lightweight-gan" else F.softplus(-value).mean()
                if paired:
                    loss = loss + 100 * (made.float() - real).abs().mean()
            adams[0].zero_grad()
            loss.backward()
            adams[0].step()
            ema.update(generator, BATCH, (index + 1) * BATCH)

        return step

    steps = spend(task.seconds, build)
    for average, current in zip(ema.module.buffers(), generator.buffers(), strict=True):
        average.copy_(current)
    network = ema.module.train(paired)  # pix2pix normalises by the images at hand in use, too
    count = task.count * len(data.cell_types)
    given = enlarged(task.small) if paired else torch.randn(count, NOISE[name])
    with torch.inference_mode():
        made = np.concatenate([to_uint8(network(some)) for some in given.split(8)])
    return {name: made}, {"images_shown": {"": steps * BATCH}}


def enlarged(small: Tensor) -> Tensor:
    return F.interpolate(small, size=SIDE, mode="bilinear", align_corners=False)


SYSTEMS: dict[str, Callable[[Task], tuple[dict[str, Images], dict[str, Any]]]] = {
    OURS: ours,
    **{name: (lambda task, name=name: rival(name, task)) for name in ADAM},  # type: ignore[misc]
}


# All of them


def judged(task: Task) -> dict[str, Any]:
    """Every set of images against held-out cells, and real training cells likewise."""
    for used in (perceptual.EXTRACTOR, selection.EXTRACTOR):
        ensure_independent(EXTRACTOR, [used])
    extractor, cache = get_extractor(EXTRACTOR), task.work / "features"
    real, other = (Sample(features_of(list(task.real(part)), extractor, cache)) for part in ("test", "train"))
    found: dict[str, Any] = {}
    for path in sorted(task.work.glob("*.npz")):
        with np.load(path) as kept:
            facts = json.loads(str(kept["facts"]))
            for name in (key for key in kept if key != "facts"):
                made = Sample(features_of(list(kept[name]), extractor, cache))
                distance, cover = fidelity(real, made, other).frechet, diversity(real, made, other).coverage
                found[name] = (facts if name in SYSTEMS else {}) | {
                    "given": "real training cells made small" if name in (FINISHED, "pix2pix") else "noise",
                    "frechet_of_the_floor": [distance.ratio, distance.ratio_low, distance.ratio_high],
                    "coverage": [cover.value, cover.low, cover.high],
                    "coverage_of_real": cover.floor,
                    "images": distance.n,
                }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="labelled real cells of 256×256")
    parser.add_argument("--work", type=Path, required=True, help="scratch folder")
    parser.add_argument("--minutes", type=float, default=8.0, help="of CPU time, for each network")
    parser.add_argument("--count", type=int, default=50, help="images of each type that are judged")
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    work = arguments.work / f"{arguments.minutes:g}"
    work.mkdir(parents=True, exist_ok=True)
    data = prepare_data(arguments.data, TrainingConfig(), work)
    if not isinstance(data, FolderData):
        parser.error("--data: give a folder of images, not of shards")
    data.keep(work)
    task = Task(data, work, 60 * arguments.minutes, arguments.count)
    for number, (name, train) in enumerate(SYSTEMS.items()):
        path = work / f"{number}.npz"
        if not path.exists():
            began = time.time()
            images, facts = train(task)
            part = path.with_suffix(".part")
            with open(part, "wb") as file:
                np.savez(file, facts=json.dumps(facts), **images)
            part.replace(path)
            print(f"{name}: {json.dumps(facts)}, {(time.time() - began) / 60:.0f} minutes by the clock; call again")
            return
    result = {
        "machine": f"one of {os.cpu_count()} CPU cores, {torch.backends.cpu.get_cpu_capability()}, {platform.system()}",
        "torch": torch.__version__,
        "data": data.name,
        "training_images": sum(data.counts("train").values()),
        "minutes": arguments.minutes,
        "precision": find_hardware().precision,
        "extractor": EXTRACTOR,
        "systems": judged(task),
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print("done")


if __name__ == "__main__":
    main()
