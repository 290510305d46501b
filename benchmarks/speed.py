"""Speed and memory of generation and training on this machine → docs/results/speed.json.

    python benchmarks/speed.py [--bundle pbc-256] [--data FOLDER]

Generation is timed in processes of their own, as a user would meet it; training by real steps on real images, in one
process and in two, and by
one short run of all stages, from reading the folder to the bundle, for its peak memory. Other processes are left
alone: the load average before the start is written down, and the machine counts as idle below a quarter of a core.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNS = 3


def timed_command(arguments: list[str]) -> tuple[float, int]:
    """Seconds and peak memory (bytes) of `python -m syntheticcellgan …` as a whole process."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "syntheticcellgan", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"scg {' '.join(arguments)} failed")
    return time.perf_counter() - start, usage.ru_maxrss * 1024


FEW_STEPS = ["--kimg", "1.28", "--translator-kimg", "0.48", "--set", "translation.paired_kimg=0.24"]
FEW_STEPS += ["--set", "autoencoder.kimg=0.48", "--set", "refinement.kimg=0.16"]


def whole_run(data: Path) -> dict[str, float]:
    """Minutes and peak memory of `scg train` with all that a run does, but few steps."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, peak = timed_command(["train", str(data), "--out", f"{folder}/run", *FEW_STEPS])
        return {"minutes": round(seconds / 60, 1), "peak_memory_gib": round(peak / 2**30, 2)}


def two_processes(data: Path) -> dict[str, object]:
    """Images per second of each stage with `scg train --devices 2`, from the seconds that each step says in its log."""
    from syntheticcellgan.training.run_folder import STAGES, read_run, stage_folder

    speeds: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        for name in STAGES:
            timed_command(["train", str(data), "--out", str(out), "--stage", name, "--devices", "2", *FEW_STEPS])
            lines = (stage_folder(out, name) / "log.jsonl").read_text().splitlines()
            steps = [step for step in map(json.loads, lines) if "seconds" in step]
            took = [step["seconds"] for step in steps[2:]]  # the first ones allocate
            images = steps[-1]["images"] - steps[1]["images"]
            speeds[name] = images / sum(took)
        run = read_run(out)
        pixels = (run.training.translation.crop / run.chain.output_size) ** 2
        speeds["translation_in_whole_256_images"] = speeds["translation"] * pixels
    return speeds


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "runs": len(values)}


def generation(bundle: str) -> dict[str, object]:
    from syntheticcellgan import SyntheticCellGAN

    chain = SyntheticCellGAN.load(bundle)
    cell_type = chain.cell_types[0]
    chain.generate(cell_type, 16)
    speeds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        chain.generate(cell_type, 128)
        speeds.append(128 / (time.perf_counter() - start))
    first, written, memory = [], [], []
    for run in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            common = ["generate", bundle, "--cell-type", cell_type, "--seed", str(run)]
            seconds, _ = timed_command([*common, "--count", "1", "--out", f"{folder}/one"])
            first.append(seconds)
            seconds, peak = timed_command([*common, "--count", "256", "--out", f"{folder}/many"])
            written.append(256 / seconds)
            memory.append(peak / 2**20)
    return {
        "images_per_second_in_memory": spread(speeds),
        "images_per_second_written_as_png_whole_command": spread(written),
        "seconds_to_first_image_whole_command": spread(first),
        "peak_memory_mib_256_images": spread(memory),
    }


def training(data: Path) -> dict[str, object]:
    from syntheticcellgan.config import ChainConfig, TrainingConfig
    from syntheticcellgan.training import run as runs
    from syntheticcellgan.training.data_set import prepare_data
    from syntheticcellgan.training.hardware import find_hardware

    training = TrainingConfig()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        prepared = prepare_data(data, training, out)
        run = runs.Run(ChainConfig(prepared.cell_types), training, find_hardware(), str(data))
        fabric = runs.make_fabric(run.hardware)
        result: dict[str, object] = {"images": sum(prepared.counts().values()), "precision": run.hardware.precision}
        for name in runs.stages_of(training):
            stage, _ = runs.build_stage(name, fabric, run, prepared, out, timing=True)
            stage.step(0)
            # Whole periods of the lazy penalty, so that its cost is counted as often as in a run.
            steps = 32 if name != "low-resolution" else 48
            speeds = []
            for _ in range(RUNS):
                start = time.perf_counter()
                for index in range(1, steps + 1):
                    stage.step(index)
                speeds.append(steps * stage.batch / (time.perf_counter() - start))
            result[name] = spread(speeds)
            if name == "translation":
                pixels = (training.translation.crop / run.chain.output_size) ** 2
                result["translation_in_whole_256_images"] = spread([speed * pixels for speed in speeds])
        result["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="pbc-256")
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    path = ROOT / "docs" / "results" / "speed.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    import torch

    load = os.getloadavg()[0]
    results["load_average_before"], results["idle"] = round(load, 2), load < 0.25
    if load >= 0.25:
        print(f"The machine is not idle (load average {load:.2f}); these figures will be too low.", file=sys.stderr)
    results["machine"] = f"{os.cpu_count()} CPU cores, {torch.backends.cpu.get_cpu_capability()}, {platform.system()}"
    results["torch"] = torch.__version__
    results["generation"] = generation(arguments.bundle)
    if arguments.data:
        results["training"] = training(arguments.data) | {
            "two_processes": two_processes(arguments.data),
            "whole_run": whole_run(arguments.data),
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
