"""The clock and what it is worth: its rate, what one reading costs, and the smallest advance that it shows.

The time-stamp counter is used where it ticks evenly in every state of the CPU (``constant_tsc`` and ``nonstop_tsc``; on
aarch64 by architecture). Elsewhere whole runs are timed by ``clock_gettime`` and single operations are not timed.
"""

from __future__ import annotations

import itertools
import platform
import time
from collections import Counter
from collections.abc import Callable

import numpy as np

from kernels._jit import kernel_jit
from kernels.machine.cycles import read_cycles
from workbench import record
from workbench.measure.machine import cpu_flags

CALIBRATION_S = 0.03  # two readings of 50 ns uncertainty, this far apart, give the rate to 4 parts in a million
STAMPS = 4096
_BRACKETS = 9  # tries for a reading that no interrupt has stretched
_REGULAR = 1000  # an advance seen once in so many readings belongs to the clock, a rarer one is a disturbance


@kernel_jit
def _stamp() -> int:
    """Return the time-stamp counter."""
    return read_cycles()  # type: ignore[call-arg]


@kernel_jit
def _stamp_all(out):  # type: ignore[no-untyped-def]
    """Fill `out` (int64[:]) with time stamps, one right after the other."""
    for i in range(out.shape[0]):
        out[i] = read_cycles()  # type: ignore[call-arg]


def is_invariant() -> bool:
    """Return whether the time-stamp counter ticks evenly, whatever the CPU does."""
    return platform.machine() == "aarch64" or {"constant_tsc", "nonstop_tsc"} <= cpu_flags()


def measure_clock() -> record.Clock:
    """Calibrate the clock and measure its cost and step. Takes about 40 ms, after its functions are compiled."""
    if not is_invariant():
        cost, step = cost_and_step([time.perf_counter_ns() for _ in range(STAMPS)])
        return record.Clock(source="clock_gettime", ns_per_tick=1.0, cost_ns=cost, step_ns=step, invariant=False)
    _stamp()
    first_ns, first_ticks = _bracket(_stamp)
    time.sleep(CALIBRATION_S)
    last_ns, last_ticks = _bracket(_stamp)
    ns_per_tick = (last_ns - first_ns) / (last_ticks - first_ticks)
    stamps = np.zeros(STAMPS, np.int64)
    for _ in range(3):  # the first pass brings code and array into the caches
        _stamp_all(stamps)
    cost, step = cost_and_step(stamps.tolist())
    return record.Clock(
        source="tsc",
        ns_per_tick=ns_per_tick,
        cost_ns=cost * ns_per_tick,
        step_ns=step * ns_per_tick,
        invariant=True,
    )


def _bracket(stamp: Callable[[], int]) -> tuple[float, int]:
    """Read both clocks at one moment: the try whose two monotonic readings lie closest together."""
    tries = []
    for _ in range(_BRACKETS):
        before = time.monotonic_ns()
        ticks = stamp()
        after = time.monotonic_ns()
        tries.append((after - before, (before + after) / 2, ticks))
    _, moment_ns, ticks = min(tries)
    return moment_ns, ticks


def cost_and_step(stamps: list[int]) -> tuple[float, float]:
    """Return what a reading costs and the clock's step, both in the unit of the stamps, which were taken back to back.

    The cost is the mean advance over a tenth of the stamps, for the least disturbed tenth: an interrupt would spoil the
    mean over all. The step is the smallest gap between the advances that are seen regularly, and zero. Gaps of one unit
    are not steps: a virtual machine scales a counter that advances by 26 and rounds, which shows as 25 and 1 at times.
    """
    length = max(len(stamps) // 10, 2)
    parts = [stamps[i : i + length] for i in range(0, len(stamps) - length + 1, length)]
    cost = min((part[-1] - part[0]) / (len(part) - 1) for part in parts)
    advances = Counter(after - before for before, after in itertools.pairwise(stamps))
    regular = sorted({0} | {advance for advance, times in advances.items() if times * _REGULAR >= len(stamps)})
    gaps = [after - before for before, after in itertools.pairwise(regular) if after - before > 1]
    return cost, float(min(gaps, default=1))
