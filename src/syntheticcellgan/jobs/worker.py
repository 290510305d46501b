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

STOPPED = 130
"""Exit code after Ctrl-C."""

LOOK_SECONDS = 0.5
GRACE_SECONDS = 10
"""So long a stop may go unheard, unless somebody has taken it up to save first."""


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
        watcher = _Watcher(jobs, name)
        watcher.start()
        code = _run(list(job.arguments))
        watcher.end(code)
    return code


def _run(arguments: list[str]) -> int:
    from syntheticcellgan.cli import main as scg

    try:
        scg(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except KeyboardInterrupt:
        return STOPPED
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def _interrupt() -> None:
    """Ctrl-C for the main thread; where the system can, also one that waits."""
    main_thread = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main_thread is not None:
        signal.pthread_kill(main_thread, signal.SIGINT)
    else:
        _thread.interrupt_main()


class _Watcher(threading.Thread):
    """Hears a stop, and writes down how the job ended; one of the two threads does that, not both."""

    def __init__(self, jobs: Jobs, name: str) -> None:
        super().__init__(daemon=True)
        self.jobs, self.name_of_job = jobs, name
        self._last_word = threading.Lock()

    def run(self) -> None:
        """Each touch of the stop file is a Ctrl-C. One that a library has swallowed, as some do while they are imported, is
        followed by an end without a word, from which a job goes on as after any other."""
        stop, touched, unheard = self.jobs.stop_file(self.name_of_job), 0.0, 0.0
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                at = stop.stat().st_mtime
            except OSError:
                continue
            if at != touched:
                touched, unheard = at, 0.0
                _interrupt()
            elif signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                unheard += LOOK_SECONDS
            if unheard >= GRACE_SECONDS:
                self.end(STOPPED)
                os._exit(STOPPED)

    def end(self, code: int) -> None:
        """Note the state. After a stop every other end than the regular one is the stop's doing, whatever it looks like."""
        self._last_word.acquire()  # for ever: the process ends
        stop = self.jobs.stop_file(self.name_of_job)
        state: State = "finished" if code == 0 else "stopped" if code == STOPPED or stop.exists() else "failed"
        self.jobs.note(self.name_of_job, state)
        stop.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
