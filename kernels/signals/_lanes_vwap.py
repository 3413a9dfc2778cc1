"""VWAP by vectors: two sums over a window, of volumes and of what was paid, moved as those of `_lanes_windowed`."""

from __future__ import annotations

import numpy as np

from kernels.machine.vector import bits, load, load_masked, multiply_add, select, splat, store_masked
from kernels.signals._lanes import Lanes, Plan, emit, inlined, offer, put
from kernels.signals._lanes_windowed import demote_window, promote_nothing
from kernels.signals._scan import CHUNK, LANES, add_up, all_finite, back_1, finite

_THIRD = 1.0 / 3.0


class Vwap(Lanes):
    """State of the mean price by volume."""


@inlined
def value_rows(bars, row, at, middle, mask):
    """Return what was paid above `middle` in a row, and the volume."""
    high, low = load_masked(bars.high, (row, at), mask), load_masked(bars.low, (row, at), mask)
    volume = load_masked(bars.volume, (row, at), mask)
    return multiply_add(high + low + load_masked(bars.close, (row, at), mask), _THIRD, -middle) * volume, volume


@inlined
def vwap_rows(state, bars, out, at, span, first, end, mask, streaming):
    """Two running sums for each lane, of volumes and of what was paid above or below a price of the span."""
    window = state.window[0]
    value, volume = load_masked(state.carry, (0, at), mask), load_masked(state.carry, (1, at), mask)
    middle = load_masked(state.carry, (2, at), mask)
    if span == first:
        middle = load_masked(bars.close, (first - 1, at), mask)
        store_masked(state.carry, (2, at), middle, mask)
        value, volume = value_rows(bars, first - 1, at, middle, mask)
        for back in range(2, window + 1):
            more, size = value_rows(bars, first - back, at, middle, mask)
            value += more
            volume += size
    for row in range(first, end):
        new, new_size = value_rows(bars, row, at, middle, mask)
        old, old_size = value_rows(bars, row - window, at, middle, mask)
        value += new - old
        volume += new_size - old_size
        put(out, (0, row, at), select(volume != 0.0, value / volume + middle, np.nan), mask, streaming)
    well = finite(value) & finite(volume)
    store_masked(state.carry, (0, at), value, mask & well)
    store_masked(state.carry, (1, at), volume, mask & well)
    return bits(well)


@inlined
def value_at(bars, row, middle):
    """Return what was paid above `middle` from `row` on, and the volumes."""
    volume = load(bars.volume, (row, 0))
    typical = load(bars.high, (row, 0)) + load(bars.low, (row, 0)) + load(bars.close, (row, 0))
    return multiply_add(typical, _THIRD, -middle) * volume, volume


@inlined
def change_at(bars, row, window, middle):
    """Return what enters from `row` on less what leaves, of values and of volumes."""
    new, new_size = value_at(bars, row, middle)
    old, old_size = value_at(bars, row - window, middle)
    return new - old, new_size - old_size


@inlined
def vwap_series(state, bars, out, first, end, streaming):
    """Two scans with a decay of 1."""
    window, row = state.window[0], first
    zero = splat(0.0, np.float64)
    while row + LANES <= end:
        stop, at, middle = min(end, row + max(CHUNK, 4 * window)), row, bars.close[row - 1, 0]
        value, volume = zero, zero
        for back in range(window):
            more, size = value_at(bars, row - LANES - back, middle)
            value += more
            volume += size
        oldest, oldest_size = change_at(bars, row - 2 * LANES, window, middle)
        now, now_size = change_at(bars, row - LANES, window, middle)
        two, four, _ = add_up(oldest, back_1(zero, oldest), zero, zero)
        two, four, _ = add_up(now, back_1(oldest, now), two, four)
        two_of, four_of, _ = add_up(oldest_size, back_1(zero, oldest_size), zero, zero)
        two_of, four_of, _ = add_up(now_size, back_1(oldest_size, now_size), two_of, four_of)
        while at + LANES <= stop:
            following, following_size = change_at(bars, at, window, middle)
            two, four, fresh = add_up(following, back_1(now, following), two, four)
            two_of, four_of, fresh_of = add_up(following_size, back_1(now_size, following_size), two_of, four_of)
            now, now_size = following, following_size
            value += fresh
            volume += fresh_of
            emit(out, (0, at, 0), select(volume != 0.0, value / volume + middle, np.nan), streaming)
            at += LANES
        if not all_finite(value) or not all_finite(volume):
            break
        row = at
    return row


offer("vwap", Vwap, Plan(vwap_rows, vwap_series, promote_nothing, demote_window))
