"""How the vector variants go through the bars: many symbols in groups of lanes, and one series in long steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernels.machine import atomics
from kernels.machine.memory import aligned
from kernels.machine.vector import bits, first_lanes, load_masked, stream_fence
from kernels.probe import start, stop
from kernels.signals import (
    _lanes_book,
    _lanes_extremes,
    _lanes_macd,
    _lanes_recursive,
    _lanes_rsi,
    _lanes_vwap,
    _lanes_windowed,
    _state,
)
from kernels.signals._lanes import (
    CARRIED,
    IN_RECORD,
    LANES,
    SPAN,
    WIDE,
    Lanes,
    _plans,
    apart,
    class_of,
    enter,
    inlined,
    leave,
    one_by_one,
    rows,
    series,
    started_after,
)
from kernels.signals._records import plans
from kernels.signals._scan import CHUNK

# Each announces its indicators.
_FAMILIES = (
    _lanes_book,
    _lanes_extremes,
    _lanes_macd,
    _lanes_recursive,
    _lanes_rsi,
    _lanes_vwap,
    _lanes_windowed,
)
CACHE_LINE = 64  # bytes
TOGETHER = 8  # symbols that are published together: a cache line of each row
STREAMED = 1 << 15  # bars of one series: its output is then larger than what the first two caches hold
_PADDED_TO = 64  # symbols: the widest group


def allocate(parameters: Mapping[str, int]) -> Lanes:
    """Return the state before the first bar; its class says which indicator it is of."""
    name, symbols, window = _state.NAMES[parameters["indicator"]], parameters["symbols"], parameters["window"]
    plan, kind = plans[name][1], class_of(name)
    padded = -(-symbols // _PADDED_TO) * _PADDED_TO
    since = aligned(padded, np.int64)
    since[:] = IN_RECORD
    records = np.zeros((symbols, plan.rings_at + window * len(plan.indicator.rings)))
    return kind(
        records=records,
        whole=records.view(np.int64),
        window=np.array([window], np.int64),
        weight=np.array([1.0 / window]),
        carry=aligned((CARRIED, padded), np.float64),
        since=since,
        room=aligned(_plans[kind].room(window, symbols), np.float64),
        published=aligned(padded, np.int64),
    )


def reset(state: Lanes) -> None:
    """Forget every bar."""
    state.records[:] = 0
    state.published[:] = 0


@apart
def mend(state, bars, out, at, first, end, troubled):
    """Take the rows ``first .. end - 1`` of the symbols whose bits are set from `at` on into their records."""
    symbol = at
    while troubled:
        if troubled & 1:
            if state.since[symbol] != IN_RECORD:
                leave(state, bars, symbol, first)
            one_by_one(state, bars, out, symbol, first, end)
        troubled >>= 1
        symbol += 1


@inlined
def group(state, bars, out, at, span, first, end, mask, streaming):
    """Take in the rows ``first .. end - 1`` of the symbols of one vector; what it cannot take goes to the records."""
    everyone = bits(mask)
    waiting = bits(load_masked(state.since, at, mask) < 0)
    healthy = 0
    if waiting != everyone:
        healthy = rows(state, bars, out, at, span, first, end, mask, streaming)
    troubled = (waiting | ~healthy) & everyone
    if troubled:
        mend(state, bars, out, at, first, end, troubled)


@inlined
def publish(state, first_symbol, end_symbol, more):
    """Tell readers that these symbols have got so many more bars."""
    for symbol in range(first_symbol, end_symbol, TOGETHER):
        done = state.published[symbol] + more  # only the thread that took the symbols writes it
        atomics.store(state.published, symbol, done, atomics.RELEASE)  # what was written before is seen with it


@inlined
def down(state, bars, out, begin, first_symbol, end_symbol, step, streaming, publishing, probe):
    """Take in the bars from number `begin` on of some symbols, `step` rows of all of them at a time.

    With `streaming` whole groups are written past the caches: their addresses must be multiples of a cache line. With
    `publishing` the rows of each span are announced when they are written. Both are None or True.
    """
    height, row, ready = bars.close.shape[0], begin, begin + started_after(state)
    wide_end = end_symbol - (end_symbol - first_symbol) % WIDE
    while row < height:
        span_end = min(height, row + max(SPAN, state.window[0]) if row >= ready else min(ready, row + SPAN))
        if row >= ready:
            for symbol in range(first_symbol, end_symbol):
                if state.since[symbol] == IN_RECORD:
                    enter(state, symbol, row)
        for first in range(row, span_end, step):
            end = min(first + step, span_end)
            stamp = start(probe)
            for at in range(first_symbol, wide_end, WIDE):
                group(state, bars, out, at, row, first, end, first_lanes(WIDE, WIDE), streaming)
            for at in range(wide_end, end_symbol, LANES):
                group(state, bars, out, at, row, first, end, first_lanes(end_symbol - at, LANES), None)
            stop(probe, stamp)
        if publishing is not None:
            publish(state, first_symbol, end_symbol, span_end - row)
        row = span_end
    for symbol in range(first_symbol, end_symbol):
        if state.since[symbol] != IN_RECORD:
            leave(state, bars, symbol, height)


@inlined
def along(state, bars, out, begin, streams):
    """Take in the bars from number `begin` on of the only symbol, as far as possible many at a time.

    With `streams` a long output is written past the caches, from a bar on whose address allows it.
    """
    height, row, ready = bars.close.shape[0], begin, begin + started_after(state)
    if streams is not None:
        ready += -((out.ctypes.data >> 3) + ready) & 7
    while row < height:
        if state.since[0] == IN_RECORD and (row < ready or not enter(state, 0, row)):
            end = min(height, max(row + LANES, min(ready, row + CHUNK)))
            one_by_one(state, bars, out, 0, row, end)
            row = end
            continue
        reached = series(state, bars, out, row, height, streams) if height - row >= 3 * LANES else row
        if reached == row:
            leave(state, bars, 0, row)
            reached = min(height, row + CHUNK)
            one_by_one(state, bars, out, 0, row, reached)
        row = reached
    if state.since[0] != IN_RECORD:
        leave(state, bars, 0, height)


@inlined
def bar_by_bar(state, bars, out, begin, probe):
    """Take in the bars of the only symbol as they would arrive, and time each."""
    for row in range(begin, bars.close.shape[0]):
        stamp = start(probe)
        one_by_one(state, bars, out, 0, row, row + 1)
        stop(probe, stamp)


@inlined
def rows_together(symbols):
    """Return how many rows of so many symbols are taken before the next group: memory is read in order then."""
    return max(2, 128 // symbols)


@inlined
def can_stream(out):
    """Return whether each row of each line begins at a cache line; of one long series, whether the lines lie alike."""
    if out.shape[2] == 1:
        return out.shape[1] * 8 % CACHE_LINE == 0 and out.shape[1] >= STREAMED
    return (out.ctypes.data | out.shape[2] * 8) & (CACHE_LINE - 1) == 0


@inlined
def check_symbols(state, bars):
    """Raise ValueError when the bars are of other symbols than the state."""
    if bars.close.shape[1] != state.records.shape[0]:
        raise ValueError("signals: bars must have as many columns as the state has symbols")


@inlined
def take_all(state, bars, out, begin, probe, streams):
    """Do what `replay` of the variants of one thread does."""
    check_symbols(state, bars)
    symbols = bars.close.shape[1]
    if probe is None:
        if symbols == 1:
            along(state, bars, out, begin, streams)
        else:
            down(state, bars, out, begin, 0, symbols, rows_together(symbols), streams, None, probe)
        if streams is not None:
            stream_fence()
    elif symbols == 1:
        bar_by_bar(state, bars, out, begin, probe)
    else:
        down(state, bars, out, begin, 0, symbols, 1, None, None, probe)
    return bars.close.shape[0]


def one_thread_only(parameters: Mapping[str, Any]) -> str | None:
    """Return why a variant of one thread refuses more."""
    return None if parameters["threads"] == 1 else "it is one thread's: `lock_free` shares the symbols among several"
