"""While an input is read: no file is written outside a folder, no program started, no pickle opened, no connection made, and
neither time nor memory runs away.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS = 20
"""That one input may take, on a busy machine."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PLACED = {"os.mkdir": (0,), "os.rename": (0, 1), "os.symlink": (1,), "os.link": (1,)}
_NEVER = {
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "pickle.find_class",
    "socket.connect",
}


class Escaped(BaseException):
    """What must never happen; no `except Exception` swallows it."""


_inside: str | None = None
_escapes: list[str] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _inside is None:
        return
    said = ""
    if event in _NEVER:
        said = f"{event} {arguments!r:.200}"
    elif event == "open":
        path, mode, flags = arguments
        writes = (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & _WRITING)
        if writes and not isinstance(path, int) and not _within(path):
            said = f"{path!r} is opened for writing"
    elif event in _PLACED:
        said = next((f"{event} {arguments[k]!r}" for k in _PLACED[event] if not _within(arguments[k])), "")
    elif event in ("os.remove", "os.rmdir") and arguments[1] == -1 and not _within(arguments[0]):
        said = f"{event} {arguments[0]!r}"  # relative to an open folder, it is that folder's
    if said:
        _escapes.append(said)
        raise Escaped(said)


def _within(path: object) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return True  # a file that is open already
    # Not realpath: what a name means is decided by the reader's own checks, and links are never made.
    full = os.path.abspath(os.fsdecode(path))
    return full == os.devnull or full.startswith(f"{_inside}{os.sep}")


@contextmanager
def watched(folder: Path, seconds: float = SECONDS) -> Iterator[None]:
    """Nothing in the block leaves `folder` (which is also the temporary folder) or lasts longer than `seconds`."""
    global _inside
    _install()
    alone = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGALRM")

    def late(*_: object) -> None:
        raise Escaped(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, late) if alone else None
    if alone:
        signal.setitimer(signal.ITIMER_REAL, seconds)
    _inside = str(folder)
    _escapes.clear()
    began = time.monotonic()
    try:
        yield
    finally:
        _inside = None
        if alone:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    if _escapes:
        raise Escaped("; ".join(_escapes))
    if time.monotonic() - began > seconds:
        raise Escaped(f"longer than {seconds} s")


_installed = False


def _install() -> None:
    global _installed
    if not _installed:
        _installed = True
        sys.dont_write_bytecode = True  # what is imported on the way is no escape
        sys.addaudithook(_hook)


@contextmanager
def memory(more: int = 2**30) -> Iterator[None]:
    """At most `more` bytes beyond what the process has now; beyond it, MemoryError."""
    import resource

    status = Path("/proc/self/status")
    if not status.exists():
        yield
        return
    used = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmData")) * 1024
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (used + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
