"""Arrays at the addresses that the cache and the vector unit want: aligned to a line, or on huge pages.

Plain NumPy promises 16 bytes of alignment: a 64-byte row then straddles two cache lines, and every access to it costs
two. On 4 KB pages a table of some megabytes does not fit the first-level TLB; 2 MB pages make it a handful of entries.
Neither helps a small array that is read in order.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

CACHE_LINE_BYTES = 64  # x86-64 and nearly every aarch64; Apple's has 128
HUGE_PAGE_BYTES = 2 * 1024 * 1024
_THP_SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def _size_bytes(shape: int | Sequence[int], dtype: Any) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return the shape as a tuple, the dtype and the bytes that they need. Raises ValueError for negative lengths."""
    lengths = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(length) for length in shape)
    if any(length < 0 for length in lengths):
        raise ValueError(f"an array's lengths must not be negative, as in {lengths}")
    kind = np.dtype(dtype)
    size = kind.itemsize
    for length in lengths:
        size *= length
    return lengths, kind, size


def aligned(shape: int | Sequence[int], dtype: Any, alignment: int = CACHE_LINE_BYTES) -> np.ndarray:
    """Return a zeroed, C-contiguous array whose first byte lies at a multiple of `alignment` (a power of two, bytes).

    The rows of a table are aligned too when their length in bytes is a multiple of `alignment`. `numpy.copy` and
    arithmetic return arrays that are not aligned: write into this one with ``numpy.copyto`` or ``[...] =``.
    Raises ValueError when `alignment` is not a power of two.
    """
    if alignment < 1 or alignment & (alignment - 1):
        raise ValueError(f"alignment must be a power of two, in bytes, not {alignment}")
    lengths, kind, size = _size_bytes(shape, dtype)
    raw = np.zeros(size + alignment, np.uint8)
    start = -raw.ctypes.data % alignment
    return raw[start : start + size].view(kind).reshape(lengths)


def huge(shape: int | Sequence[int], dtype: Any) -> np.ndarray:
    """Return a zeroed, C-contiguous array on huge pages where Linux gives them, on ordinary pages otherwise.

    Asks for transparent huge pages (``madvise(MADV_HUGEPAGE)``), which needs no setting up by an administrator, and
    touches every page, so that no page fault falls into a timed part. Starts at a multiple of 2 MB and takes whole
    multiples of it; the memory goes back when the array and its views are gone. `huge_bytes` tells what was given.
    Not for small or many arrays, and not for one that is only partly used: all of it becomes resident.
    """
    lengths, kind, size = _size_bytes(shape, dtype)
    rounded = max(-(-size // HUGE_PAGE_BYTES), 1) * HUGE_PAGE_BYTES
    raw = _map(rounded)
    raw[:: mmap.PAGESIZE] = 0
    return raw[:size].view(kind).reshape(lengths)


def _map(size: int) -> np.ndarray:
    """Return `size` bytes of anonymous memory at a multiple of 2 MB, advised to be huge where that is known."""
    if not hasattr(mmap, "MAP_PRIVATE"):
        return aligned(size, np.uint8, HUGE_PAGE_BYTES)
    mapping = mmap.mmap(-1, size + HUGE_PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    raw = np.frombuffer(mapping, np.uint8)
    start = -raw.ctypes.data % HUGE_PAGE_BYTES
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a Linux built without huge pages: ordinary ones do
            mapping.madvise(mmap.MADV_HUGEPAGE)
    return raw[start : start + size]


def huge_bytes(array: np.ndarray) -> int:
    """Return how many bytes of the mapping that holds `array` lie on huge pages now; 0 where Linux does not tell."""
    address = array.ctypes.data
    inside = False
    try:
        with Path("/proc/self/smaps").open() as stream:
            for line in stream:
                first = line.split(maxsplit=1)[0]
                if "-" in first and not first.endswith(":"):
                    low, high = (int(part, 16) for part in first.split("-"))
                    inside = low <= address < high
                elif inside and first == "AnonHugePages:":
                    return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0


def huge_pages_available() -> bool:
    """Say whether Linux gives transparent huge pages to a program that asks for them."""
    try:
        return "[never]" not in _THP_SETTING.read_text()
    except OSError:
        return False
