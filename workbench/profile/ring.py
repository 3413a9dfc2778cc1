"""The ring that the signal handler writes to, and the block of words through which the two talk."""

from __future__ import annotations

import numpy as np

from workbench.codemap.addresses import CodeMap
from workbench.profile import handler

RING_ENTRIES = 1 << 16  # 2 MB: more than six seconds of one thread at 10,000/s between two visits of the keeper
CONTROL = np.zeros(handler.CONTROL_WORDS, np.int64)
_RING = np.zeros((RING_ENTRIES, handler.ENTRY_WORDS), np.int64)  # Linux gives the pages when they are written
_kept: list[np.ndarray] = []  # a handler may still be reading an older table of ranges: none is ever freed


def prepare() -> None:
    """Tell the handler where the ring lies."""
    if not CONTROL[handler.RING]:
        CONTROL[handler.MASK] = RING_ENTRIES - 1
        CONTROL[handler.RING] = _RING.ctypes.data


def take(begin: int) -> tuple[np.ndarray, int]:
    """Return the entries from slot `begin` on that are complete, and how many of the oldest were overwritten."""
    end = int(CONTROL[handler.SLOT])
    lost = max(0, end - begin - RING_ENTRIES)
    slots = np.arange(begin + lost, end)
    if not len(slots):
        return np.zeros((0, handler.ENTRY_WORDS), np.int64), lost
    taken = _RING[slots & (RING_ENTRIES - 1)]
    again = _RING[slots & (RING_ENTRIES - 1), handler.SEQUENCE]
    whole = (taken[:, handler.SEQUENCE] == slots + 1) & (again == slots + 1)
    if whole.all():
        return taken, lost
    first = int(np.argmin(whole))  # a handler is just writing this one: it and what follows comes next time
    return taken[:first], lost


def publish_ranges(found: CodeMap) -> None:
    """Tell the handler where compiled code lies."""
    ranges = _merged(found)
    table = np.concatenate((np.array([len(ranges)], np.int64), ranges.ravel()))  # one word, one write: never half of it
    _kept.append(table)
    CONTROL[handler.RANGES] = table.ctypes.data


def _merged(found: CodeMap) -> np.ndarray:
    """Return the ranges of all compiled functions as sorted pairs, neighbours joined."""
    joined: list[list[int]] = []
    for each in found.functions:
        if joined and each.begin - joined[-1][1] < 4096:
            joined[-1][1] = max(joined[-1][1], each.end)
        else:
            joined.append([each.begin, each.end])
    return np.array(joined, np.int64).reshape(-1, 2)
