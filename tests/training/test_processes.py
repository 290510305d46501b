"""Two processes learn what one does, and share the work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from syntheticcellgan.config import LowResolutionTraining
from syntheticcellgan.errors import InputError
from syntheticcellgan.training.processes import share

GAME = """
import json, sys, torch
from syntheticcellgan.training.hardware import Hardware
from syntheticcellgan.training.objectives import get_objective
from syntheticcellgan.training.processes import averaged
from syntheticcellgan.training.run import make_fabric

torch.set_num_threads(1)
fabric = make_fabric(Hardware("cpu", "32-true", "test"), int(sys.argv[1]))
torch.manual_seed(0)
player, critic = torch.nn.Linear(4, 12), torch.nn.Sequential(torch.nn.Linear(12, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
player, player_step = fabric.setup(player, torch.optim.Adam(player.parameters(), 1e-2))
critic, critic_step = fabric.setup(critic, torch.optim.Adam(critic.parameters(), 1e-2))
objective = get_objective("relativistic", 1.0)
judge = lambda images: critic(images.flatten(1)).squeeze(1)
said = []
for step in range(6):
    mine = slice(fabric.global_rank, None, fabric.world_size)
    noise, real = (torch.randn(8, *shape)[mine] for shape in ((4,), (3, 2, 2)))
    made = player(noise).view(-1, 3, 2, 2)
    critic.requires_grad_(True)
    loss = objective.critic_loss(judge(real), judge(made.detach())) + objective.penalty(judge, real, made.detach(), None)
    critic_step.zero_grad(); fabric.backward(loss); critic_step.step()
    critic.requires_grad_(False)
    other = objective.generator_loss(judge(real).detach(), judge(made))
    player_step.zero_grad(); fabric.backward(other); player_step.step()
    said.append(averaged(fabric, {"critic": loss.item(), "generator": other.item()}))
if fabric.is_global_zero:
    print(json.dumps(said))
"""


def test_two_processes_play_the_game_that_one_plays(tmp_path: Path) -> None:
    script = tmp_path / "game.py"
    script.write_text(GAME)
    one, two = (
        json.loads(subprocess.run([sys.executable, script, n], check=True, capture_output=True, text=True).stdout)
        for n in ("1", "2")
    )
    assert len(one) == 6
    for a, b in zip(one, two, strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def test_a_run_of_two_processes_counts_the_images_of_both(tmp_path: Path, drawn_cells) -> None:
    settings = {
        "generator": {"width": 16, "resolution": 32, "latent_size": 8},
        "translator": {"width": 8, "blocks": 1},
        "autoencoder": {"kimg": 0.024, "batch": 4},
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "syntheticcellgan", "train", drawn_cells, "--out", tmp_path / "run"]
    command += ["--config", tmp_path / "settings.json", "--stage", "autoencoder", "--devices", "2"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("48 images") == 1, "only the first process speaks"
    lines = [json.loads(line) for line in (tmp_path / "run" / "autoencoder" / "log.jsonl").read_text().splitlines()]
    assert [line["images"] for line in lines if "seconds" in line] == list(range(4, 25, 4))


def test_a_batch_is_shared_with_all_that_is_counted_in_images() -> None:
    half = share(LowResolutionTraining(kimg=0.401, batch=32, label_fade_kimg=3, ema_kimg=5), 2)
    assert (half.batch, half.label_fade_kimg, half.ema_kimg) == (16, 1.5, 2.5)
    assert 2 * int(half.kimg * 1000) == 402


@pytest.mark.parametrize(("batch", "processes"), [(32, 3), (4, 4)])
def test_a_batch_that_cannot_be_shared_is_refused(batch: int, processes: int) -> None:
    with pytest.raises(InputError, match=f"batch of {batch} cannot be divided among {processes}"):
        share(LowResolutionTraining(batch=batch), processes)
