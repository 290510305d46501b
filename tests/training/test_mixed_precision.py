"""Every stage learns in bfloat16 too, where a machine is fast at it, and its penalties are those of float32."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from syntheticcellgan.config import (
    AutoencoderTraining,
    ChainConfig,
    GeneratorConfig,
    LowResolutionTraining,
    Mode,
    ObjectiveName,
    RefinementTraining,
    TrainingConfig,
    TranslationTraining,
    TranslatorConfig,
)
from syntheticcellgan.training.data_set import prepare_data
from syntheticcellgan.training.hardware import Hardware
from syntheticcellgan.training.run import build_stage, make_fabric
from syntheticcellgan.training.run_folder import STAGES, Run


def settings(objective: ObjectiveName) -> TrainingConfig:
    return TrainingConfig(
        autoencoder=AutoencoderTraining(kimg=0.1, batch=4),
        low_resolution=LowResolutionTraining(objective, kimg=0.1, batch=4, label_fade_kimg=0.0),
        translation=TranslationTraining(objective, kimg=0.1, paired_kimg=0.004, batch=4, crop=64),
        refinement=RefinementTraining(kimg=0.1, batch=4, crop=64),
    )


@pytest.mark.parametrize(("objective", "mode"), [("relativistic", "typed"), ("wgan-gp", "basic")])
def test_the_first_steps_are_those_of_float32(
    objective: ObjectiveName, mode: Mode, drawn_cells: Path, tmp_path: Path
) -> None:
    training = settings(objective)
    data = prepare_data(drawn_cells, training, tmp_path)
    chain = ChainConfig(
        tuple(data.manifest.counts),
        GeneratorConfig(resolution=32, width=16, latent_size=8, mode=mode),
        TranslatorConfig(width=8, blocks=1),
    )
    run = Run(chain, training, Hardware("cpu", "32-true", "test"), str(drawn_cells))
    for name in STAGES:
        losses = {}
        for precision in ("32-true", "bf16-mixed"):
            hardware = replace(run.hardware, precision=precision)
            stage, _ = build_stage(
                name, make_fabric(hardware), replace(run, hardware=hardware), data, tmp_path, timing=True
            )
            steps = [stage.step(index) for index in range(2)]  # of both phases, where there are two
            assert all(math.isfinite(loss) for step in steps for loss in step.values())
            losses[precision] = steps[0]
        assert losses["bf16-mixed"] == pytest.approx(losses["32-true"], rel=0.15, abs=0.01)
        assert ("penalty" in losses["32-true"]) == (name != "refinement")  # which is no game
