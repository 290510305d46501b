"""Files and folders, written whole or not at all, and held by one process at a time."""

from __future__ import annotations

import errno
import json
import lzma
import os
import secrets
import shutil
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from syntheticcellgan.errors import InputError, ScgError

_DAMAGED: tuple[type[Exception], ...] = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, NotImplementedError),
    *(RuntimeError, ValueError, IndexError, OverflowError),  # a password, a name or a size that is none
)
_PACKINGS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2}
_OUR_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE}
_BUSY = {errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK}


def write_json(path: Path, values: Any) -> None:
    """Write a small file whole or not at all.

    Raises:
        ScgError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(values, indent=2) + "\n").encode())
    except OSError as error:
        raise ScgError(f"{path} cannot be written ({error.strerror}). Choose another folder with --out.") from error


def write_whole(path: Path, content: bytes) -> None:
    """The whole file or none, so that one that exists can be taken for finished; OSError if it cannot be written."""
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def is_begun(path: Path, record: dict[str, Any], other: str) -> bool:
    """Whether the folder of `path` was begun with this record, which `path` then holds; if not, the folder is free.

    Args:
        other: what the folder holds if its record differs, for the refusal.

    Raises:
        InputError: the folder is a file, holds other files, or was begun with another record.
    """
    out = path.parent
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; --out needs a folder.")
    if path.exists():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            kept = None
        if kept != record:
            raise InputError(f"{out} holds {other}; choose another --out.")
        return True
    # A start that was killed at once leaves the half-written record.
    if out.exists() and any(found.name != path.name + ".part" for found in out.iterdir()):
        raise InputError(f"{out} holds other files; choose an empty or new folder with --out.")
    return False


@contextmanager
def unpacking(name: str, mend: str) -> Iterator[None]:
    """Whatever a zip from anywhere can raise while it is read and unpacked becomes a sentence about `name`.

    Raises:
        InputError: it is damaged, locked, or holds names that no file can have; ends with `mend`.
        ScgError: the disk is full or cannot be written.
    """
    try:
        yield
    except ScgError:
        raise
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno in _OUR_DISK:
            raise ScgError(
                f"{name} cannot be unpacked ({error.strerror}). Free some space, or see who may write."
            ) from error
        raise InputError(f"{name} is no zip archive or cannot be unpacked ({error}){mend}") from error


def check_packing(entry: zipfile.ZipInfo, name: str) -> None:
    """InputError for a way of packing that may ask for as much memory as it likes (LZMA), or that nobody knows."""
    if entry.compress_type not in _PACKINGS:
        raise InputError(f"{name} is packed in an unusual way; pack it anew as an ordinary zip.")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `out` when the block ends well and vanishes when it does not.

    Raises:
        InputError: `out` is a file or holds files already.
        ScgError: it cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} holds other files; give a new or empty folder.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = out.parent / f".{out.name}-{secrets.token_hex(4)}"
        partial.mkdir()
    except OSError as error:
        raise ScgError(f"{out} cannot be made ({error.strerror}); choose another place.") from None
    try:
        yield partial
        if out.exists():
            out.rmdir()
        partial.rename(out)
    except OSError as error:
        raise ScgError(f"{out} cannot be written ({error.strerror}); make room or choose another place.") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def settle(temporary: Path, path: Path) -> None:
    """Give a finished file its name: after a power cut there is the whole file or none, never a part of it."""
    with open(temporary, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
    if os.name != "nt":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class InUse(InputError):
    """Another process holds the lock."""


class NoLocks(InputError):
    """The file system knows no locks (some network file systems)."""


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold `path` for this process; a dead one's lock is free. No clock is asked.

    Raises:
        InUse: another process holds it.
        NoLocks: nothing can be locked there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _BUSY:
                raise NoLocks(
                    f"{path.parent} lies on a file system without locks ({error.strerror}); choose a local folder."
                ) from error
            raise InUse(f"{path.parent} is in use by another process; wait for it or choose another --out.") from error
        yield


def is_held(path: Path) -> bool:
    """Whether a living process holds this lock; to find out, it is taken for a moment."""
    if not path.exists():
        return False
    try:
        with lock(path):
            return False
    except InUse:
        return True


@contextmanager
def patient_lock(path: Path, seconds: float = 5) -> Iterator[None]:
    """`lock`, tried for so long: someone may only be asking whether it is held."""
    until = time.monotonic() + seconds
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(lock(path))
                break
            except InUse:
                if time.monotonic() > until:
                    raise
            time.sleep(0.02)
        yield


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder while it is being filled; nothing is left of the lock. Without locks there, nobody is kept out.

    Raises:
        InUse: another process fills it.
    """
    path = folder / ".lock"
    with ExitStack() as held:
        with suppress(NoLocks):
            held.enter_context(lock(path))
            held.callback(path.unlink, missing_ok=True)
        yield
