"""MACD by vectors: three exponential averages in one pass, the third of what the other two give."""

from __future__ import annotations

import numpy as np

from kernels.machine.stack import stack_zeros
from kernels.machine.vector import bits, load, load_masked, multiply_add, splat, store_masked
from kernels.signals import _records_recursive as scalar
from kernels.signals._lanes import Lanes, Plan, emit, inlined, offer, put
from kernels.signals._scan import CHUNK, LANES, all_finite, back_1, finite, powers, weigh
from kernels.signals._state import FAST, SIGNAL, SLOW

_TWICE = 2 * LANES
_FAST, _SLOW, _SIGNAL = 2.0 / (FAST + 1), 2.0 / (SLOW + 1), 2.0 / (SIGNAL + 1)


class Macd(Lanes):
    """State of MACD."""


@inlined
def macd_rows(state, bars, out, at, span, first, end, mask, streaming):
    """Three exponential averages in one pass."""
    fast, slow = load_masked(state.carry, (0, at), mask), load_masked(state.carry, (1, at), mask)
    signal = load_masked(state.carry, (2, at), mask)
    for row in range(first, end):
        price = load_masked(bars.close, (row, at), mask)
        fast = multiply_add(fast, 1.0 - _FAST, price * _FAST)
        slow = multiply_add(slow, 1.0 - _SLOW, price * _SLOW)
        macd = fast - slow
        signal = multiply_add(signal, 1.0 - _SIGNAL, macd * _SIGNAL)
        put(out, (0, row, at), macd, mask, streaming)
        put(out, (1, row, at), signal, mask, streaming)
        put(out, (2, row, at), macd - signal, mask, streaming)
    well = finite(signal)
    store_masked(state.carry, (0, at), fast, mask & well)
    store_masked(state.carry, (1, at), slow, mask & well)
    store_masked(state.carry, (2, at), signal, mask & well)
    return bits(well)


@inlined
def macd_series(state, bars, out, first, end, streaming):
    """Three scans in one pass; the fast and the slow one share their loads."""
    close = bars.close
    by_fast, by_slow, by_signal = powers(1.0 - _FAST), powers(1.0 - _SLOW), powers(1.0 - _SIGNAL)
    ends, zero = stack_zeros((3, _TWICE), np.float64), splat(0.0, np.float64)
    fast, slow, signal, row = state.carry[0, 0], state.carry[1, 0], state.carry[2, 0], first
    for lane in range(2 * LANES):
        fast += _FAST * (close[row + lane, 0] - fast)
        slow += _SLOW * (close[row + lane, 0] - slow)
        signal += _SIGNAL * (fast - slow - signal)
        ends[0, lane], ends[1, lane], ends[2, lane] = fast, slow, signal
        out[0, row + lane, 0], out[1, row + lane, 0], out[2, row + lane, 0] = fast - slow, signal, fast - slow - signal
    if not np.isfinite(signal):
        return first
    fasts, slows, signals = load(ends, (0, LANES)), load(ends, (1, LANES)), load(ends, (2, LANES))
    macd, oldest = fasts - slows, load(ends, (0, 0)) - load(ends, (1, 0))
    two, four, _ = weigh(oldest, back_1(zero, oldest), zero, zero, by_signal)
    two, four, _ = weigh(macd, back_1(oldest, macd), two, four, by_signal)
    row += 2 * LANES
    back, closer = load(close, (row - 2 * LANES, 0)), load(close, (row - LANES, 0))
    two_fast, four_fast, _ = weigh(back, load(close, (row - 2 * LANES - 1, 0)), zero, zero, by_fast)
    two_fast, four_fast, _ = weigh(closer, load(close, (row - LANES - 1, 0)), two_fast, four_fast, by_fast)
    two_slow, four_slow, _ = weigh(back, load(close, (row - 2 * LANES - 1, 0)), zero, zero, by_slow)
    two_slow, four_slow, _ = weigh(closer, load(close, (row - LANES - 1, 0)), two_slow, four_slow, by_slow)
    while row + LANES <= end:
        fasts_before, slows_before, signals_before, stop = fasts, slows, signals, min(end, row + CHUNK)
        at = row
        while at + LANES <= stop:
            price, earlier = load(close, (at, 0)), load(close, (at - 1, 0))
            two_fast, four_fast, fresh_fast = weigh(price, earlier, two_fast, four_fast, by_fast)
            two_slow, four_slow, fresh_slow = weigh(price, earlier, two_slow, four_slow, by_slow)
            fasts = multiply_add(fasts, by_fast[3], fresh_fast * _FAST)
            slows = multiply_add(slows, by_slow[3], fresh_slow * _SLOW)
            following = fasts - slows
            two, four, fresh = weigh(following, back_1(macd, following), two, four, by_signal)
            macd = following
            signals = multiply_add(signals, by_signal[3], fresh * _SIGNAL)
            emit(out, (0, at, 0), macd, streaming)
            emit(out, (1, at, 0), signals, streaming)
            emit(out, (2, at, 0), macd - signals, streaming)
            at += LANES
        if not all_finite(signals):
            fasts, slows, signals = fasts_before, slows_before, signals_before
            break
        row = at
    state.carry[0, 0], state.carry[1, 0], state.carry[2, 0] = fasts[LANES - 1], slows[LANES - 1], signals[LANES - 1]
    return row


@inlined
def macd_promote(state, symbol):
    """All three averages."""
    for i in range(3):
        state.carry[i, symbol] = state.records[symbol, scalar.FAST_AT + i]


@inlined
def macd_demote(state, bars, symbol, row):
    """All three averages."""
    for i in range(3):
        state.records[symbol, scalar.FAST_AT + i] = state.carry[i, symbol]


offer("macd", Macd, Plan(macd_rows, macd_series, macd_promote, macd_demote))
