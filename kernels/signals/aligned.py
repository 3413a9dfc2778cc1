"""The signals written past the caches: the output is never read again here, and its lines need not be fetched.

A store to a line that is not in the cache fetches it first, and drives out something that is. Three lines out of one
column of closes (MACD, Bollinger) are therefore seven transfers of memory, and four without. That takes whole cache
lines: an output that begins at one and rows of a multiple of eight symbols, or, of one series of at least 32,768 bars,
a multiple of eight bars. What does not fit is written as `simd` writes it.

Not faster for an output that fits into the caches, and slower when somebody reads it at once: it then comes from
memory.
"""

from __future__ import annotations

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.signals import baseline
from kernels.signals._lanes_loops import allocate, can_stream, one_thread_only, reset, take_all
from kernels.signals._records import take


@kernel_jit(forceinline=True, _nrt=False)
def update(state, symbol, high, low, close, volume):
    """Take in one tick of one symbol; return the first line of the indicator. As `baseline`'s: nothing is written."""
    return take(state, state.records[symbol], state.whole[symbol], state.window[0], (high, low, close, volume))[0]


@kernel_jit(_nrt=False)
def replay(state, bars, out, begin, probe):
    """Take in the bars from number `begin` on and write the indicator after each into `out`; return how many there are.

    As `simd.replay`, past the caches where the addresses allow it and no row is timed by itself.
    """
    if probe is None and can_stream(out):
        return take_all(state, bars, out, begin, probe, True)
    return take_all(state, bars, out, begin, probe, None)


VARIANT = Variant(
    name="aligned",
    parent="simd",
    idea="Whole cache lines of the output are written past the caches: none is fetched first, none drives out another.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=baseline.export_state,
    import_state=baseline.import_state,
    relative_tolerance=1e-12,
    refuses=one_thread_only,
)
