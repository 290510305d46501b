"""Jobs go on by themselves, one at a time: stopped, killed and resumed, seen by whoever finds the folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from syntheticcellgan.errors import InputError
from syntheticcellgan.files import write_json
from syntheticcellgan.jobs.records import Job, Jobs
from syntheticcellgan.jobs.training_progress import read_progress
from syntheticcellgan.jobs.work_folder import WorkFolder

TINY = {
    "generator": {"width": 16, "resolution": 32, "latent_size": 8},
    "translator": {"width": 8, "blocks": 1, "scale": 4},
    "checkpoint_minutes": 0.02,
    "autoencoder": {"kimg": 0.016, "batch": 4},
    "low_resolution": {"kimg": 0.4, "batch": 4},
    "translation": {"kimg": 0.016, "paired_kimg": 0.008, "batch": 4, "crop": 64},
    "refinement": {"kimg": 0},
}


def wait_until(holds: Callable[[], bool], jobs: Jobs, seconds: float = 400) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, [(job.name, job.state, jobs.said(job.name)) for job in jobs.all()]
        time.sleep(0.1)


def state(jobs: Jobs) -> str:
    return jobs.all()[0].state


def kill(job: Job) -> None:
    """As a power cut would; the process is found by its command."""
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if job.name in place.read_text().split("\0"):
                os.kill(int(place.parent.name), signal.SIGKILL)
        except OSError:
            continue


@pytest.fixture
def work(tmp_path) -> Iterator[WorkFolder]:
    """A work folder whose jobs end with the test."""
    made = WorkFolder(tmp_path)
    yield made
    for job in made.jobs.all():
        kill(job)


def test_a_training_is_stopped_killed_and_resumed(work, tmp_path, drawn_cells):
    settings = tmp_path / "tiny.json"
    settings.write_text(json.dumps(TINY))
    jobs = work.jobs
    options = [f"--config={settings}", "--threads=1"]
    job = jobs.start("training", "Drawn", lambda out: ["train", str(drawn_cells), f"--out={out}", *options])
    assert job.state in ("running", "starting")
    with pytest.raises(InputError, match="one at a time"):
        jobs.start("training", "Second", lambda out: [])
    with pytest.raises(InputError, match="one at a time"):
        Jobs(tmp_path).resume(job.name)
    (entry,) = work.runs()

    def images() -> int:
        return read_progress(entry.folder)[1].images if (entry.folder / "run.json").exists() else 0

    wait_until(lambda: images() > 8, jobs)
    low = read_progress(entry.folder)[1]
    assert low.name == "low-resolution"
    assert low.total == 400
    assert low.speed is not None and low.speed > 0  # noqa: PT018
    assert low.remaining == pytest.approx((400 - low.images) / low.speed)
    assert low.losses is not None and set(low.losses) >= {"critic", "generator"}  # noqa: PT018

    jobs.stop(job.name)
    wait_until(lambda: state(jobs) == "stopped", jobs)
    seen = images()
    assert 0 < seen < 400
    assert "The same command goes on from here" in jobs.said(job.name)[-1]
    with pytest.raises(InputError, match="not running"):
        jobs.stop(job.name)

    later = Jobs(tmp_path)  # a server that was started later
    later.resume(job.name)
    wait_until(lambda: images() > seen, later)
    assert state(Jobs(tmp_path)) == "running"
    if not Path("/proc").exists():
        return
    kill(job)
    wait_until(lambda: state(later) == "broken off", later)

    again = Jobs(tmp_path).resume_broken_off()
    assert again is not None
    assert again.name == job.name
    wait_until(lambda: state(jobs) not in ("starting", "running"), jobs)
    assert state(jobs) == "finished", jobs.said(job.name)
    assert work.runs()[0].bundle is not None
    assert all(stage.finished for stage in read_progress(entry.folder))
    assert read_progress(entry.folder)[2].grid is not None
    assert Jobs(tmp_path).resume_broken_off() is None
    with pytest.raises(InputError, match="is finished"):
        jobs.resume(job.name)


def test_a_failure_is_kept_with_its_sentence(work, tmp_path):
    jobs = work.jobs
    job = jobs.start("evaluation", "Nothing", lambda out: ["evaluate", f"--out={out}"])
    wait_until(lambda: state(jobs) == "failed", jobs)
    assert jobs.said(job.name)[-1].startswith("Error: --real is missing")
    assert job.command == f"scg evaluate --out={tmp_path / job.name}"


# A library that catches everything while it is imported: the first Ctrl-C is lost, or ends as some other error.
DEAF = """
import sys, time
from syntheticcellgan.jobs import worker
worker.GRACE_SECONDS = 1
def run(arguments):
    try:
        time.sleep(60)
    except BaseException:
        {then}
worker._run = run
worker.main(*sys.argv[1:])
"""


@pytest.mark.parametrize("then", ["time.sleep(60)", "return 1"])
def test_a_stop_that_a_library_swallows_is_a_stop_nevertheless(tmp_path, then):
    jobs = Jobs(tmp_path)
    write_json(jobs.records / "deaf.json", asdict(Job("deaf", "evaluation", "Deaf", (), "starting", time.time())))
    with subprocess.Popen([sys.executable, "-c", DEAF.format(then=then), str(tmp_path), "deaf"]) as process:
        wait_until(lambda: state(jobs) == "running", jobs)
        jobs.stop("deaf")
        wait_until(lambda: state(jobs) == "stopped", jobs, seconds=30)
        assert process.wait(30) == (130 if "sleep" in then else 0)
    assert not jobs.stop_file("deaf").exists()


def test_foreign_files_are_no_jobs(tmp_path):
    jobs = Jobs(tmp_path)
    assert jobs.all() == []
    jobs.records.mkdir()
    (jobs.records / "a.json").write_text('{"name": "b"}')
    (jobs.records / "c.json").write_text("[1")
    assert jobs.all() == []
    with pytest.raises(InputError, match="no such run"):
        jobs.resume("../a")
    assert jobs.resume_broken_off() is None
