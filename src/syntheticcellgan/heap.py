"""Memory that was freed goes back to the system."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Return what lies free in the C library's heaps; where it cannot be asked (not glibc), nothing happens.

    Networks leave holes of many sizes in the heap of each thread that ran them: a server that made cells for hours grew by
    50 MiB and more an hour, though what it kept did not grow.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
        return found
    except (OSError, AttributeError, TypeError):  # TypeError: Windows has no such thing as the program's own library
        return None
