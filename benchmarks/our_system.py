"""Ours: the shipped bundle at work, and the stages of a training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rival_measures import Made, Trained, flops_of

BUNDLE = "pbc-256"
OURS = "SyntheticCellGAN"
COMPILED = f"{OURS} with OpenVINO"
STAGES = ("autoencoder", "low-resolution", "translation")
FABRIC = {"float32": "32-true", "bfloat16": "bf16-mixed"}


def ours(precision: str, engine: str) -> tuple[Made, int]:
    """The shipped bundle, as `scg generate --precision --engine` runs it, and its parameters."""
    import torch

    from rival_networks import count_parameters
    from syntheticcellgan import SyntheticCellGAN
    from syntheticcellgan.pipeline import MICRO_BATCH

    chain = SyntheticCellGAN.load(BUNDLE, precision, engine)  # type: ignore[arg-type]
    if (chain.networks.engine is None) != (engine == "pytorch") or chain.networks.precision != precision:
        raise SystemExit(
            f"{engine} in {precision} cannot be used here, and something else must not stand under its name."
        )
    cell_type = chain.cell_types[0]
    chunk = [(cell_type, seed) for seed in range(MICRO_BATCH)]
    with torch.inference_mode():
        flops = flops_of(lambda: SyntheticCellGAN(chain.bundle)._micro_batch(chunk, 1.0)) / MICRO_BATCH
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
