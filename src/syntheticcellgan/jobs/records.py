"""Trainings and evaluations that go on by themselves, one at a time: each is the command `scg …` in a process of its own.

jobs = Jobs(Path("work"))
job = jobs.start("training", "My cells", lambda out: ["train", "my-data", "--out", out])
jobs.stop(job.name); jobs.resume(job.name)

All that is known stands in files, so that any later process can look on, stop and resume: `jobs/NAME.json` says what was
asked for and how it ended, `jobs/NAME.log` what was said, and `jobs/NAME.lock` is held while it lives, however it dies.
What is made lies in the folder `NAME`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from syntheticcellgan.config import from_dict
from syntheticcellgan.errors import InputError, ScgError
from syntheticcellgan.files import is_held, write_json

Kind = Literal["training", "evaluation"]
State = Literal["starting", "running", "stopping", "finished", "stopped", "failed", "broken off"]

ALIVE: tuple[State, ...] = ("starting", "running", "stopping")
START_SECONDS = 20
"""Within so long a new process has taken its lock, or never will."""


@dataclass(frozen=True)
class Job:
    """arguments: of `scg`. began: when it was last started, ended: when it last stopped; seconds since 1970, or 0."""

    name: str
    kind: Kind
    title: str
    arguments: tuple[str, ...]
    state: State
    began: float
    ended: float = 0.0

    @property
    def command(self) -> str:
        """For people who would rather type."""
        import shlex

        return shlex.join(["scg", *self.arguments])


class Jobs:
    """The jobs of one work folder; safe to use from many threads and by several servers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.records = self.folder / "jobs"
        self._turn = threading.Lock()

    def all(self) -> list[Job]:
        """Newest first."""
        found = [job for path in self.records.glob("*.json") if (job := self._read(path)) is not None]
        return sorted(found, key=lambda job: (job.began, job.name), reverse=True)

    def find(self, name: str) -> Job | None:
        """The job of this name; names are compared, never made into paths."""
        return next((job for job in self.all() if job.name == name), None)

    def running(self) -> Job | None:
        """The one that is alive, if any."""
        return next((job for job in self.all() if job.state in ALIVE), None)

    def check_free(self) -> None:
        """InputError if a job is running."""
        other = self.running()
        if other is not None:
            raise InputError(f"“{other.title}” is running; one at a time. Stop it first, or wait until it is finished.")

    def new_folder(self, kind: str) -> Path:
        """A folder name that nothing has yet, such as training-20261124-121530."""
        stamp = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
        name, number = f"{kind}-{stamp}", 1
        while (self.folder / name).exists() or (self.records / f"{name}.json").exists():
            number += 1
            name = f"{kind}-{stamp}-{number}"
        return self.folder / name

    def start(self, kind: Kind, title: str, arguments: Callable[[str], Sequence[str]]) -> Job:
        """Begin a job; `arguments` are those of `scg`, given the folder for what is made.

        Raises:
            InputError: another one is running.
            ScgError: the folder cannot be written, or no process can be started.
        """
        with self._turn:
            self.check_free()
            out = self.new_folder(kind)
            return self._launch(Job(out.name, kind, title, tuple(arguments(str(out))), "starting", time.time()))

    def resume(self, name: str) -> Job:
        """Give the same command again, which goes on where it stopped; errors as `start`."""
        with self._turn:
            self.check_free()
            job = self._known(name)
            if job.state == "finished":
                raise InputError(f"“{job.title}” is finished.")
            return self._launch(replace(job, state="starting", began=time.time(), ended=0.0))

    def resume_broken_off(self) -> Job | None:
        """After a crash or a power cut: go on with the last one, if nobody has stopped it."""
        with self._turn:
            last = next(iter(self.all()), None)
            if last is None or last.state != "broken off":
                return None
            return self._launch(replace(last, state="starting", began=time.time(), ended=0.0))

    def stop(self, name: str) -> None:
        """Ask it to save and end, as Ctrl-C would; asked twice, it ends without finishing its step."""
        job = self._known(name)
        if job.state not in ALIVE:
            raise InputError(f"“{job.title}” is not running.")
        self.stop_file(job.name).touch()

    def said(self, name: str, lines: int = 12) -> list[str]:
        """The last lines of what it said."""
        try:
            with open(self.records / f"{self._known(name).name}.log", "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 200 * lines))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return []
        return [line.rstrip()[:500] for line in text.splitlines() if line.strip()][-lines:]

    def note(self, name: str, state: State) -> None:
        """Write down a new state; the job itself does."""
        job = self._known(name)
        write_json(self._place(name), asdict(replace(job, state=state, ended=0.0 if state in ALIVE else time.time())))

    def lock_file(self, name: str) -> Path:
        return self.records / f"{name}.lock"

    def stop_file(self, name: str) -> Path:
        return self.records / f"{name}.stop"

    def _place(self, name: str) -> Path:
        return self.records / f"{name}.json"

    def _known(self, name: str) -> Job:
        job = self.find(name)
        if job is None:
            raise InputError("There is no such run.")
        return job

    def _read(self, path: Path) -> Job | None:
        try:
            job = from_dict(Job, json.loads(path.read_text(encoding="utf-8")), str(path))
        except (OSError, ValueError, InputError):
            return None  # not ours
        if job.name != path.stem or job.state not in ALIVE:
            return job if job.name == path.stem else None
        to_stop = self.stop_file(job.name).exists()
        if is_held(self.lock_file(job.name)):
            return replace(job, state="stopping" if to_stop else "running")
        if job.state == "starting" and time.time() - job.began < START_SECONDS:
            return job
        return replace(job, state="stopped" if to_stop else "broken off")

    def _launch(self, job: Job) -> Job:
        self.stop_file(job.name).unlink(missing_ok=True)
        write_json(self._place(job.name), asdict(job))
        command = [sys.executable, "-m", "syntheticcellgan.jobs.worker", str(self.folder), job.name]
        # Apart from the server: neither its end nor a Ctrl-C in its terminal reaches the job.
        apart: dict[str, Any] = {"creationflags": 0x00000208} if os.name == "nt" else {"start_new_session": True}
        try:
            with open(self.records / f"{job.name}.log", "ab") as log:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, **apart
                )
        except OSError as error:
            self.note(job.name, "failed")
            raise ScgError(f"The run could not be started ({error.strerror}).") from error
        threading.Thread(target=process.wait, daemon=True).start()  # leaves no zombie
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            now = self._known(job.name)
            if now.state != "starting":
                return now
            if process.poll() is not None:
                self.note(job.name, "failed")
                return self._known(job.name)
            time.sleep(0.05)
        return self._known(job.name)
