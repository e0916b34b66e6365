"""How memory is handed out on the CPU: fewer page faults for large tensors.

The operating system zeroes each page of a fresh tensor when it is first written. For the pair
tensors of a network, made anew by every operation, that can cost as much as half of the arithmetic.
docs/genie.md has the measurement.
"""

import ctypes
import os
from typing import Any

HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""Environment variable that torch reads when it is imported."""

_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def prefer_huge_pages() -> None:
    """Ask for pages of 2 MiB for large tensors; takes effect if called before torch is imported.

    For forward passes. A training step that returns freed memory zeroes whole pages again and again
    (a third more CPU time at 256 residues), and one that keeps it saves nothing but holds more, so
    that training does not ask for it. The setting is torch's own and is left alone where the user
    has made it. Systems without huge pages ignore it.
    """
    os.environ.setdefault(HUGE_PAGES, "1")


def keep_freed_memory() -> bool:
    """Let this process use freed memory again instead of returning it to the operating system.

    For work that goes on for long: sampling and training. What the process holds stays at its
    largest batch; `held_bytes` counts what of it is free. Blocks that exist already are not
    affected.

    Returns:
        Whether the C library took the settings; False where it is not glibc.
    """
    mallopt = _in_c_library("mallopt")
    if mallopt is None:
        return False
    taken = [mallopt(_M_MMAP_MAX, 0), mallopt(_M_TRIM_THRESHOLD, -1)]
    return taken == [1, 1]


def held_bytes() -> int:
    """Bytes that were freed but not returned to the operating system, 0 where nobody can say.

    They may lie in pieces, so that not every tensor of that size fits.
    """
    mallinfo = _in_c_library("mallinfo2")
    if mallinfo is None:
        return 0
    mallinfo.restype = _HeapCounts
    return int(mallinfo().free)


class _HeapCounts(ctypes.Structure):
    """`struct mallinfo2` of glibc; `free` is its `fordblks`."""

    _fields_ = (
        ("before", ctypes.c_size_t * 8),
        ("free", ctypes.c_size_t),
        ("after", ctypes.c_size_t),
    )


def _in_c_library(name: str) -> Any | None:
    """A function of the C library; None where it has no such function."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # musl, macOS; Windows has no CDLL(None)
        return None
