"""The signals by explicit vectors: a lane is a symbol, or, of one series, the lanes are bars that follow one another.

- Many symbols: an average waits for that of the bar before, but the symbols do not wait for one another. One
  instruction takes as many symbols as the target has lanes, and four registers of symbols are taken together, so that
  their chains of additions overlap. Few rows at a time: memory is then read nearly in order.
- One series: the recurrence is rewritten so that a vector of bars follows from the vector before (`_scan`).
  RSI of a long one: the lanes go down stretches of it that are far apart (`_lanes_rsi`).
- No ring is kept while bars are taken in: what leaves a window is read where it lies, in the input. The records of
  `baseline` take the first bars, the bad ones, and what is left when a call ends.

Not faster before an indicator has started, and where bad bars are frequent. A window's sums are added up afresh after
`SPAN` rows (one series: after 64 vectors, or four windows), so their error is relative to the largest value of that
many bars and a window, where `baseline` has two windows.
"""

from __future__ import annotations

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.signals import baseline
from kernels.signals._lanes_loops import allocate, one_thread_only, reset, take_all
from kernels.signals._records import take


@kernel_jit(forceinline=True, _nrt=False)
def update(state, symbol, high, low, close, volume):
    """Take in one tick of one symbol; return the first line of the indicator. As `baseline`'s: one is no vector."""
    return take(state, state.records[symbol], state.whole[symbol], state.window[0], (high, low, close, volume))[0]


@kernel_jit(_nrt=False)
def replay(state, bars, out, begin, probe):
    """Take in the bars from number `begin` on and write the indicator after each into `out`; return how many there are.

    `bars` is `kernels.signals.Bars`, `out` float64[lines, rows, symbols]. With a probe the rows are taken one at a
    time, and so are the bars of a single series: what is timed is a bar that arrives, not a bar of many.
    """
    return take_all(state, bars, out, begin, probe, None)


VARIANT = Variant(
    name="simd",
    parent="baseline",
    idea="A lane is a symbol, or bars of one series are the lanes; running numbers stay in registers, no ring is kept.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=baseline.export_state,
    import_state=baseline.import_state,
    relative_tolerance=1e-12,
    refuses=one_thread_only,
)
