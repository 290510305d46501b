"""The process of one job: `python -m syntheticcellgan.jobs.worker FOLDER NAME`. Started by `Jobs`, stopped by a file."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from syntheticcellgan.files import patient_lock
from syntheticcellgan.jobs.records import Jobs, State

LOOK_SECONDS = 0.5
_STATES: dict[int, State] = {0: "finished", 130: "stopped"}


def main(folder: str, name: str) -> int:
    """Give the job's command, in this process, and write down how it ended; its exit code."""
    jobs = Jobs(Path(folder))
    # A shell that puts a server into the background has its children ignore Ctrl-C, by which jobs are stopped.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(os, "nice"):
        os.nice(5)  # who looks on comes first
    with patient_lock(jobs.records / "one-at-a-time.lock"), patient_lock(jobs.lock_file(name)):
        job = jobs.find(name)
        assert job is not None
        jobs.note(name, "running")
        threading.Thread(target=_watch, args=(jobs.stop_file(name),), daemon=True).start()
        code = _run(list(job.arguments))
        jobs.note(name, _STATES.get(code, "failed"))
        jobs.stop_file(name).unlink(missing_ok=True)
    return code


def _run(arguments: list[str]) -> int:
    from syntheticcellgan.cli import main as scg

    try:
        scg(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except KeyboardInterrupt:
        return 130
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def _watch(stop: Path) -> None:
    """Each touch of the stop file is a Ctrl-C."""
    last = 0.0
    while True:
        time.sleep(LOOK_SECONDS)
        try:
            touched = stop.stat().st_mtime
        except OSError:
            continue
        if touched != last:
            last = touched
            _thread.interrupt_main()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
