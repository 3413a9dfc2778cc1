"""The signals that a competent engineer writes first: one record for each symbol, running sums, plain loops."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.machine.locks import mutex_lock, mutex_unlock, new_mutex
from kernels.probe import start, stop
from kernels.signals import _records_book, _records_recursive, _records_windowed, _state
from kernels.signals._bars import NEXT, THREADS
from kernels.signals._records import COUNT, Records, columns, plan_of, plans, take

_FAMILIES = (_records_book, _records_recursive, _records_windowed)  # each announces its indicators in `plans`
_TAKEN = 8  # symbols that a thread takes at a time: one cache line of each row of the output


def allocate(parameters: Mapping[str, int]) -> Records:
    """Return the state before the first bar; its class says which indicator it is of."""
    window = parameters["window"]
    kind, plan = plans[_state.NAMES[parameters["indicator"]]]
    width = plan.rings_at + window * len(plan.indicator.rings)
    records = np.zeros((parameters["symbols"], width))
    return kind(
        records=records,
        whole=records.view(np.int64),
        window=np.array([window], np.int64),
        weight=np.array([1.0 / window]),
        lock=new_mutex(),
    )


def reset(state: Records) -> None:
    """Forget every bar."""
    state.records[:] = 0


@kernel_jit(forceinline=True, _nrt=False)
def update(state, symbol, high, low, close, volume):
    """Take in one tick of one symbol; return the first line of the indicator, NaN until it has started.

    For an indicator of the book the four numbers are the best bid's price and size and the best ask's. For compiled
    code; from Python a call costs more than the work. It may be mixed with `replay`.
    """
    return take(state, state.records[symbol], state.whole[symbol], state.window[0], (high, low, close, volume))[0]


@kernel_jit(inner=True, _nrt=False)
def replay_symbols(state, bars, out, begin, first, end, probe):
    """Take in the bars from number `begin` on of the symbols ``first .. end - 1``, row by row."""
    a, b, c, d = columns(bars, state)
    window = state.window[0]
    for row in range(begin, a.shape[0]):
        stamp = start(probe)
        for symbol in range(first, end):
            bar = a[row, symbol], b[row, symbol], c[row, symbol], d[row, symbol]
            lines = take(state, state.records[symbol], state.whole[symbol], window, bar)
            for line in range(len(lines)):
                out[line, row, symbol] = lines[line]
        stop(probe, stamp)


@kernel_jit(_nrt=False)
def replay(state, bars, out, begin, probe):
    """Take in the bars from number `begin` on and write the indicator after each into `out`; return how many there are.

    `bars` is `kernels.signals.Bars`, `out` float64[lines, rows, symbols]. Several threads take symbols under a mutex.
    """
    symbols = state.records.shape[0]
    if bars.close.shape[1] != symbols:
        raise ValueError("signals: bars must have as many columns as the state has symbols")
    if bars.work[THREADS] == 1:
        replay_symbols(state, bars, out, begin, 0, symbols, probe)
        return bars.close.shape[0]
    while True:
        mutex_lock(state.lock)
        first = bars.work[NEXT]
        bars.work[NEXT] = first + _TAKEN
        mutex_unlock(state.lock)
        if first >= symbols:
            return bars.close.shape[0]
        replay_symbols(state, bars, out, begin, first, min(first + _TAKEN, symbols), probe)


def export_state(state: Records) -> Canonical:
    """Return the canonical form (`_state`)."""
    plan, window = plan_of(state), int(state.window[0])
    canonical = {name: state.records[:, i].copy() for i, name in enumerate(plan.indicator.fields)}
    for i, name in enumerate(plan.indicator.rings):
        at = plan.rings_at + i * window
        ring, place = state.records[:, at : at + window].T, state.whole[:, COUNT + 1]
        canonical[name] = _state.oldest_first(ring, place, canonical["count"])
    return canonical


def import_state(state: Records, canonical: Canonical) -> Records:
    """Replace the content of `state` by `canonical`. Raises ValueError, changing nothing, when it does not fit."""
    plan, window = plan_of(state), int(state.window[0])
    _state.check(canonical, plan.indicator, len(state.records), window)
    reset(state)
    for i, name in enumerate(plan.indicator.fields):
        state.records[:, i] = canonical[name]
    for i, name in enumerate(plan.indicator.rings):
        at = plan.rings_at + i * window
        state.records[:, at : at + window] = canonical[name].T
    if plan.rebuild is not None:
        plan.rebuild(state.records, window)
    return state


VARIANT = Variant(
    name="baseline",
    parent=None,
    idea="One record for each symbol, symbol by symbol, a running sum and a branch for each case.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=import_state,
    relative_tolerance=1e-12,
)
