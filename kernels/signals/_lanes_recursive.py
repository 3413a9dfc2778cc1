"""EMA and ATR by vectors: a lane is a symbol, or several lanes are consecutive bars of one (`_scan`)."""

from __future__ import annotations

import numpy as np

from kernels.machine.stack import stack_zeros
from kernels.machine.vector import (
    absolute,
    bits,
    load,
    load_masked,
    maximum,
    multiply_add,
    splat,
    store_masked,
)
from kernels.signals import _records_recursive as scalar
from kernels.signals._lanes import Lanes, Plan, emit, inlined, offer, put
from kernels.signals._scan import CHUNK, LANES, all_finite, back_1, finite, powers, weigh


class Ema(Lanes):
    """State of the exponential average."""


class Atr(Lanes):
    """State of the average true range."""


# ---- EMA -----------------------------------------------------------------------------------------------------------


@inlined
def ema_rows(state, bars, out, at, span, first, end, mask, streaming):
    """``ema * (1 - alpha) + alpha * close``: one multiply-add waits for the row before."""
    alpha = 2.0 / (state.window[0] + 1)
    average = load_masked(state.carry, (0, at), mask)
    for row in range(first, end):
        price = load_masked(bars.close, (row, at), mask)
        average = multiply_add(average, 1.0 - alpha, price * alpha)
        put(out, (0, row, at), average, mask, streaming)
    well = finite(average)
    store_masked(state.carry, (0, at), average, mask & well)
    return bits(well)


@inlined
def ema_series(state, bars, out, first, end, streaming):
    """Scan with the decay ``1 - alpha``."""
    close, alpha = bars.close, 2.0 / (state.window[0] + 1)
    by, ends, zero = powers(1.0 - alpha), stack_zeros(LANES, np.float64), splat(0.0, np.float64)
    running, row = state.carry[0, 0], first
    for lane in range(LANES):
        running += alpha * (close[row + lane, 0] - running)
        out[0, row + lane, 0] = running
        ends[lane] = running
    if not np.isfinite(running):
        return first
    average, row = load(ends, 0), row + LANES
    two, four, _ = weigh(load(close, (row - 2 * LANES, 0)), load(close, (row - 2 * LANES - 1, 0)), zero, zero, by)
    two, four, _ = weigh(load(close, (row - LANES, 0)), load(close, (row - LANES - 1, 0)), two, four, by)
    while row + LANES <= end:
        before, stop, at = average, min(end, row + CHUNK), row
        while at + LANES <= stop:
            two, four, fresh = weigh(load(close, (at, 0)), load(close, (at - 1, 0)), two, four, by)
            average = multiply_add(average, by[3], fresh * alpha)
            emit(out, (0, at, 0), average, streaming)
            at += LANES
        if not all_finite(average):
            average = before
            break
        row = at
    state.carry[0, 0] = average[LANES - 1]
    return row


@inlined
def ema_promote(state, symbol):
    """The average."""
    state.carry[0, symbol] = state.records[symbol, scalar.EMA]


@inlined
def ema_demote(state, bars, symbol, row):
    """The average."""
    state.records[symbol, scalar.EMA] = state.carry[0, symbol]


offer("ema", Ema, Plan(ema_rows, ema_series, ema_promote, ema_demote))


# ---- ATR -----------------------------------------------------------------------------------------------------------


@inlined
def true_range(high, low, last):
    """Return the true range, as TA-Lib has it; NaN or infinite when one of the three is."""
    return maximum(maximum(absolute(high - last), absolute(low - last)), high - low) + (last - last)


@inlined
def atr_rows(state, bars, out, at, span, first, end, mask, streaming):
    """Wilder's average of the true range."""
    weight = 1.0 / state.window[0]
    average, last = load_masked(state.carry, (0, at), mask), load_masked(bars.close, (first - 1, at), mask)
    for row in range(first, end):
        high, low = load_masked(bars.high, (row, at), mask), load_masked(bars.low, (row, at), mask)
        close = load_masked(bars.close, (row, at), mask)
        whole = true_range(high, low, last) + (close - close)  # NaN for a bad close too
        average = multiply_add(average, 1.0 - weight, whole * weight)
        last = close
        put(out, (0, row, at), average, mask, streaming)
    well = finite(average)
    store_masked(state.carry, (0, at), average, mask & well)
    return bits(well)


@inlined
def ranges(bars, row):
    """Return the true ranges from `row` on."""
    return true_range(load(bars.high, (row, 0)), load(bars.low, (row, 0)), load(bars.close, (row - 1, 0)))


@inlined
def atr_series(state, bars, out, first, end, streaming):
    """Scan of the true ranges."""
    window = state.window[0]
    weight = 1.0 / window
    by, ends, zero = powers(1.0 - weight), stack_zeros(LANES, np.float64), splat(0.0, np.float64)
    running, row, bad = state.carry[0, 0], first, 0.0
    for lane in range(LANES):
        high, low, last = bars.high[row + lane, 0], bars.low[row + lane, 0], bars.close[row + lane - 1, 0]
        bad += (high - high) + (low - low) + (last - last)
        running += weight * (max(high - low, abs(high - last), abs(low - last)) - running)
        out[0, row + lane, 0] = running
        ends[lane] = running
    if bad != 0.0 or not np.isfinite(bars.close[row + LANES - 1, 0]):
        return first
    average, row = load(ends, 0), row + LANES
    oldest, now = ranges(bars, row - 2 * LANES), ranges(bars, row - LANES)
    two, four, _ = weigh(oldest, back_1(zero, oldest), zero, zero, by)
    two, four, _ = weigh(now, back_1(oldest, now), two, four, by)
    while row + LANES <= end:
        before, stop, at = average, min(end, row + CHUNK), row
        while at + LANES <= stop:
            following = ranges(bars, at)
            two, four, fresh = weigh(following, back_1(now, following), two, four, by)
            now = following
            average = multiply_add(average, by[3], fresh * weight)
            emit(out, (0, at, 0), average, streaming)
            at += LANES
        if not all_finite(average) or not np.isfinite(bars.close[at - 1, 0]):
            average = before
            break
        row = at
    state.carry[0, 0] = average[LANES - 1]
    return row


@inlined
def atr_promote(state, symbol):
    """The average."""
    state.carry[0, symbol] = state.records[symbol, scalar.RANGE]


@inlined
def atr_demote(state, bars, symbol, row):
    """The average and the last close."""
    state.records[symbol, scalar.LAST] = bars.close[row - 1, symbol]
    state.records[symbol, scalar.RANGE] = state.carry[0, symbol]


offer("atr", Atr, Plan(atr_rows, atr_series, atr_promote, atr_demote))
