"""What one sample costs the thread that is sampled: the figure behind the estimate of a profile that measured none.

Short stretches of one computation with and without signals, in turn, in CPU time; so what it takes to interrupt a core
from another one is in it, which on a virtual machine is most. Code that fills the caches pays more: the handler's way
through Linux has to be fetched again each time. So it is an estimate, and called one where it is shown.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import functools
import threading
import time

from kernels._jit import kernel_jit
from workbench.profile import handler, ring, senders
from workbench.stats.median import median

PERIOD_NS = (
    250_000  # at 4,000/s, twenty signals hit a stretch; much faster, and Linux' own code would stay in the cache
)
STRETCH_NS = 5_000_000
PAIRS = 10  # 0.1 s in all, once in a process


@kernel_jit
def _divide(rounds: int) -> float:
    total = 1.0
    for _ in range(rounds):
        total = 1.0 / (total + 1.0)
    return total


def compile_now() -> None:
    """Compile what `sample_cost_ns` runs: to be called by a thread that may wait for Numba's compiler."""
    _divide(1)


@functools.cache
def sample_cost_ns(signo: int) -> float:
    """Return what one signal costs the calling thread, measured once in a process; the handler must be installed.

    The calling thread must be the only one that is sampled meanwhile.
    """
    rounds = int(100_000 * STRETCH_NS / _spent_ns(100_000))
    arms = senders.best(signo, PERIOD_NS, cpu_time=False)
    costs_ns = []
    arms.begin()
    try:
        arms.arm(threading.get_native_id())
        for _ in range(PAIRS):
            began = int(ring.CONTROL[handler.SLOT])
            with_signals_ns = _spent_ns(rounds)
            signals = int(ring.CONTROL[handler.SLOT]) - began
            arms.pause()
            without_ns = _spent_ns(rounds)
            arms.resume()
            if signals:
                costs_ns.append((with_signals_ns - without_ns) / signals)
    finally:
        arms.end()
    return max(0.0, median(costs_ns)) if costs_ns else float("nan")


def _spent_ns(rounds: int) -> int:
    began = time.thread_time_ns()
    _divide(rounds)
    return time.thread_time_ns() - began
