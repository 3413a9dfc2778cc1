"""The signals by several threads: each takes some symbols by one atomic counter and goes down all their rows.

Symbols do not know of one another, so nothing is locked: a thread owns the symbols that it took, their records and
their columns of the output, whole cache lines of eight. Every `SPAN` rows it publishes how far its symbols have come,
by a release store; a reader that acquires that number may read so many bars of them, complete and final.

Not faster than `simd` with one thread, nor for a single series: its bars follow from one another.
"""

from __future__ import annotations

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.machine import atomics
from kernels.signals import baseline
from kernels.signals._bars import NEXT, THREADS
from kernels.signals._lanes import WIDE
from kernels.signals._lanes_loops import TOGETHER, allocate, check_symbols, down, reset, rows_together
from kernels.signals._records import take


@kernel_jit(forceinline=True, _nrt=False)
def update(state, symbol, high, low, close, volume):
    """Take in one tick of one symbol; return the first line of the indicator. One thread for each symbol at a time."""
    return take(state, state.records[symbol], state.whole[symbol], state.window[0], (high, low, close, volume))[0]


@kernel_jit(_nrt=False)
def bars_published(state, symbol):
    """Return how many bars of `symbol` have been written since the state was reset, from any thread at any time.

    With `before` of them before a replay began, its ``out[:, : bars_published(state, symbol) - before, symbol]`` is
    complete and final.
    """
    return atomics.load(state.published, symbol - symbol % TOGETHER, atomics.ACQUIRE)


@kernel_jit(_nrt=False)
def replay(state, bars, out, begin, probe):
    """Take in the bars from number `begin` on of the symbols that this thread gets; return how many bars there are.

    `bars` is `kernels.signals.Bars`, whose `work` all threads share, `out` float64[lines, rows, symbols].
    """
    check_symbols(state, bars)
    symbols, threads = bars.close.shape[1], bars.work[THREADS]
    share, step, first = TOGETHER, 1, 0
    if threads == 1:
        share = symbols
    elif probe is None and symbols >= WIDE * threads:
        share = WIDE
    if probe is None:
        step = rows_together(share)
    if threads > 1:  # relaxed: the counter hands out numbers and tells nothing of other memory
        first = atomics.add(bars.work, NEXT, share, atomics.RELAXED)
    while first < symbols:
        down(state, bars, out, begin, first, min(first + share, symbols), step, None, True, probe)
        first = atomics.add(bars.work, NEXT, share, atomics.RELAXED) if threads > 1 else symbols
    return bars.close.shape[0]


VARIANT = Variant(
    name="lock_free",
    parent="simd",
    idea="Threads take symbols by one atomic counter and publish how far they are by a release store: no lock.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=baseline.export_state,
    import_state=baseline.import_state,
    relative_tolerance=1e-12,
)
