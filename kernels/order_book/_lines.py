"""What the counter `lines_touched` counts: cache lines of the book's own state that a message reads or writes.

Those of orders, levels, rows and published words; not the event that is read and the output that is written, which all
variants share, nor the few words of `control`, the mutex and the epochs, which stay in the nearest cache. The code
counts where it knows from the numbers of the elements which lines they lie on, as if every array began on a line:

- A message that changes one level near the best counts each line once.
- Each search of the table, each search of a sorted array and each walk along a list counts its lines anew, and so does
  each step of a rare message (REPLACE, MODIFY, a price outside the window, an event that the straight loop leaves).
- A CLEAR's walk through the table is not counted, nor is growing, nor what a move of the window reads and writes in the
  window; nor a line fetched ahead, which is counted with the message that it is for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from kernels.order_book._apply import LINES_TOUCHED, hot

LINE_BYTES = 64
HALVES, WORDS, ENTRIES = LINE_BYTES // 4, LINE_BYTES // 8, LINE_BYTES // 16  # elements of 4, 8 and 16 bytes in a line


@hot
def apart(a, b, per_line):
    """Return 0 if elements `a` and `b` of an array share a cache line, which has `per_line` of them, and else 1."""
    return np.int64((np.uint64(a) ^ np.uint64(b)) >= np.uint64(per_line))


@hot
def lines_after(first, last, per_line):
    """Return how many lines the elements from `first` to `last` lie on beside the line of the first one."""
    return np.int64(last) // per_line - np.int64(first) // per_line


# Without a probe these leave nothing, as `kernels.probe.count`. A call of `apart` in the arguments of `count`, though
# it has no effect then, would change in which order LLVM lays out the loops around it.


def count_apart(probe: Any, a: Any, b: Any, per_line: Any, lines: Any) -> None:
    """Count `lines` if the elements `a` and `b` lie on different lines. For compiled code only."""
    raise RuntimeError("count_apart runs in compiled code only")


def count_begun(probe: Any, place: Any, per_line: Any) -> None:
    """Count a line if the element at `place` is the first one on it. For compiled code only."""
    raise RuntimeError("count_begun runs in compiled code only")


def _absent(probe: Any) -> bool:
    return isinstance(probe, (types.NoneType, types.Omitted))


@overload(count_apart, inline="always")
def _count_apart_absent(probe, a, b, per_line, lines):
    return (lambda probe, a, b, per_line, lines: None) if _absent(probe) else None


@overload(count_begun, inline="always")
def _count_begun_absent(probe, place, per_line):
    return (lambda probe, place, per_line: None) if _absent(probe) else None


@overload(count_apart, jit_options={"nogil": True})
def _count_apart(probe, a, b, per_line, lines):
    if _absent(probe):
        return None

    def counting(probe, a, b, per_line, lines):
        probe.counters[LINES_TOUCHED] += lines * apart(a, b, per_line)

    return counting


@overload(count_begun, jit_options={"nogil": True})
def _count_begun(probe, place, per_line):
    if _absent(probe):
        return None

    def counting(probe, place, per_line):
        probe.counters[LINES_TOUCHED] += np.int64(np.int64(place) & (per_line - 1) == 0)

    return counting
