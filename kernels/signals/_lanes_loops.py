"""How the vector variants go through the bars: many symbols in groups of lanes, and one series in long steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernels.machine.memory import aligned
from kernels.machine.vector import bits, first_lanes, load_masked
from kernels.probe import start, stop
from kernels.signals import _lanes_book, _lanes_extremes, _lanes_recursive, _lanes_windowed, _state
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

_FAMILIES = (_lanes_book, _lanes_extremes, _lanes_recursive, _lanes_windowed)  # each announces its indicators
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
def down(state, bars, out, begin, first_symbol, end_symbol, step, streaming, probe):
    """Take in the bars from number `begin` on of some symbols, `step` rows of all of them at a time."""
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
                group(state, bars, out, at, row, first, end, first_lanes(end_symbol - at, LANES), False)
            stop(probe, stamp)
        row = span_end
    for symbol in range(first_symbol, end_symbol):
        if state.since[symbol] != IN_RECORD:
            leave(state, bars, symbol, height)


@inlined
def along(state, bars, out, begin):
    """Take in the bars from number `begin` on of the only symbol, as far as possible many at a time."""
    height, row, ready = bars.close.shape[0], begin, begin + started_after(state)
    while row < height:
        if state.since[0] == IN_RECORD and (row < ready or not enter(state, 0, row)):
            end = min(height, max(row + LANES, min(ready, row + CHUNK)))
            one_by_one(state, bars, out, 0, row, end)
            row = end
            continue
        reached = series(state, bars, out, row, height) if height - row >= 3 * LANES else row
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
def check_symbols(state, bars):
    """Raise ValueError when the bars are of other symbols than the state."""
    if bars.close.shape[1] != state.records.shape[0]:
        raise ValueError("signals: bars must have as many columns as the state has symbols")


def one_thread_only(parameters: Mapping[str, Any]) -> str | None:
    """Return why a variant of one thread refuses more."""
    return None if parameters["threads"] == 1 else "it is one thread's: `lock_free` shares the symbols among several"
