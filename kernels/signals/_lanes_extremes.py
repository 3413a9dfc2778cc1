"""Minimum and maximum of a window by vectors, at a cost that does not depend on the prices.

Many symbols: the rows are cut into blocks as long as the window. The largest of a window that ends in a block is the
larger of two: the largest since the block began, and the largest of the rest of the block before, which was made for
every start, backwards, when the block began (van Herk 1992; Gil and Werman 1993). Three comparisons a bar.

One series: the largest of 2, 4, 8, ... consecutive bars, each of the last one and the last one moved, up to the largest
power of two within the window; two of those, one moved, cover the window. Blocks of bars stay in the first cache. A
window of one to four vectors needs no block: the largest of a vector's length are made at both ends of the window, and
what lies between them is what the first end gave a vector or two before.
"""

from __future__ import annotations

import numpy as np

from kernels.machine.vector import (
    absolute,
    bits,
    load,
    load_masked,
    maximum,
    multiply_add,
    shuffle_two,
    splat,
    store,
    store_masked,
)
from kernels.signals._lanes import Lanes, Plan, emit, inlined, offer, put
from kernels.signals._lanes_windowed import demote_window, promote_nothing
from kernels.signals._scan import BACK_2, BACK_4, CHUNK, LANES, all_finite, finite


class Min(Lanes):
    """State of the minimum."""


class Max(Lanes):
    """State of the maximum."""


BLOCK = 2048  # bars: 16 KB of intermediate results


def room_for(window: int, symbols: int) -> int:
    """Return how many float64 the state needs: for one block of a series, or for one block of rows."""
    return 2 * window + BLOCK + 16 if symbols == 1 else (window + 1) * (-(-symbols // 64) * 64)


@inlined
def extreme_rows(state, bars, out, at, span, first, end, mask, streaming, sign):
    """Return what `rows` does, of the largest of ``sign * close``, given back times `sign`."""
    close, room, window = bars.close, state.room, state.window[0]
    width = state.carry.shape[1]  # of a row of `room`
    largest = load_masked(state.carry, (0, at), mask)
    watched = largest * 0.0
    if span == first:
        watched = load_masked(close, (first - 1, at), mask) * 0.0
    for row in range(first, end):
        place = (row - span) % window
        if place == 0:
            largest = load_masked(close, (row - 1, at), mask) * 0.0 - np.inf
            store_masked(room, window * width + at, largest, mask)
            rest = largest
            for back in range(1, window):
                rest = maximum(rest, load_masked(close, (row - back, at), mask) * sign)
                store_masked(room, (window - back) * width + at, rest, mask)
        price = load_masked(close, (row, at), mask)
        watched = multiply_add(price, 0.0, watched)
        largest = maximum(largest, price * sign)
        rest = maximum(largest, load_masked(room, (place + 1) * width + at, mask))
        put(out, (0, row, at), rest * sign, mask, streaming)
    well = finite(watched)
    store_masked(state.carry, (0, at), largest, mask & well)
    return bits(well)


@inlined
def widen(room, length, span):
    """Turn the largest of `span` bars into that of twice as many, everywhere, from the end backwards."""
    at = length - LANES
    while at >= span:
        store(room, at, maximum(load(room, at), load(room, at - span)))
        at -= LANES


@inlined
def largest_of_lanes(close, at, two, four, sign):
    """Return the largest of two, of four and of `LANES` bars that end at `at` and after; before, they were these."""
    of_two = maximum(load(close, (at, 0)) * sign, load(close, (at - 1, 0)) * sign)
    of_four = maximum(of_two, shuffle_two(two, of_two, BACK_2)) if LANES > 2 else of_two
    return of_two, of_four, maximum(of_four, shuffle_two(four, of_four, BACK_4)) if LANES > 4 else of_four


@inlined
def extreme_in_registers(state, bars, out, first, end, streaming, sign):
    """Return what `extreme_series` does, for a window of `LANES` to ``4 * LANES`` bars."""
    close, window, row, at = bars.close, state.window[0], first, first - 3 * LANES
    reach, vectors = window - LANES, (window - 1) // LANES
    two = load(close, (at, 0)) * sign  # what is wrong in the first vector is in nothing that is read from `first` on
    four, old_two, old_four, newest, before = two, two, two, two, two
    while at < row:
        before = newest
        two, four, newest = largest_of_lanes(close, at, two, four, sign)
        old_two, old_four, _ = largest_of_lanes(close, at - reach, old_two, old_four, sign)
        at += LANES
    while row + LANES <= end:
        stop, at, watched = min(end, row + CHUNK), row, splat(0.0, np.float64)
        while at + LANES <= stop:
            watched = multiply_add(load(close, (at, 0)), 0.0, watched)
            two, four, now = largest_of_lanes(close, at, two, four, sign)
            old_two, old_four, largest = largest_of_lanes(close, at - reach, old_two, old_four, sign)
            largest = maximum(largest, now)
            if vectors > 1:
                largest = maximum(largest, newest)
            if vectors > 2:
                largest = maximum(largest, before)
            emit(out, (0, at, 0), largest * sign, streaming)
            before, newest = newest, now
            at += LANES
        if not all_finite(watched):
            break
        row = at
    return row


@inlined
def extreme_series(state, bars, out, first, end, streaming, sign):
    """Return what `series` does, of the largest of ``sign * close``, given back times `sign`."""
    close, room, window, row = bars.close, state.room, state.window[0], first
    before = (window + LANES - 1) // LANES * LANES  # bars of the block before that a window reaches back to
    block = max(BLOCK, window // LANES * LANES)
    while row + LANES <= end:
        stop, at, length = min(end, row + block), row - before, 0
        two = load(close, (at - LANES, 0)) * sign
        two = maximum(two, load(close, (at - LANES - 1, 0)) * sign)
        four, watched = two, splat(0.0, np.float64)
        while at + LANES <= stop:
            watched = multiply_add(load(close, (at, 0)), 0.0, watched)
            two, four, largest = largest_of_lanes(close, at, two, four, sign)
            store(room, length, largest)
            length += LANES
            at += LANES
        if not all_finite(watched):
            break
        span = LANES
        while span * 2 <= window:
            widen(room, length, span)
            span *= 2
        for i in range(before, length, LANES):
            emit(
                out, (0, row + i - before, 0), maximum(load(room, i), load(room, i - (window - span))) * sign, streaming
            )
        row = at
    return row


@inlined
def few_series(state, bars, out, first, end, streaming, sign):
    """Return what `extreme_series` does for a window of fewer bars than lanes."""
    close, window, row = bars.close, state.window[0], first
    while row + LANES <= end:
        price = load(close, (row, 0))
        if not all_finite(absolute(price)):
            break
        largest = price * sign
        for back in range(1, window):
            largest = maximum(largest, load(close, (row - back, 0)) * sign)
        emit(out, (0, row, 0), largest * sign, streaming)
        row += LANES
    return row


@inlined
def min_rows(state, bars, out, at, span, first, end, mask, streaming):
    """The largest of the negated closes."""
    return extreme_rows(state, bars, out, at, span, first, end, mask, streaming, -1.0)


@inlined
def max_rows(state, bars, out, at, span, first, end, mask, streaming):
    """The largest."""
    return extreme_rows(state, bars, out, at, span, first, end, mask, streaming, 1.0)


@inlined
def min_series(state, bars, out, first, end, streaming):
    """The largest of the negated closes."""
    if state.window[0] < LANES:
        return few_series(state, bars, out, first, end, streaming, -1.0)
    if state.window[0] <= 4 * LANES:
        return extreme_in_registers(state, bars, out, first, end, streaming, -1.0)
    return extreme_series(state, bars, out, first, end, streaming, -1.0)


@inlined
def max_series(state, bars, out, first, end, streaming):
    """The largest."""
    if state.window[0] < LANES:
        return few_series(state, bars, out, first, end, streaming, 1.0)
    if state.window[0] <= 4 * LANES:
        return extreme_in_registers(state, bars, out, first, end, streaming, 1.0)
    return extreme_series(state, bars, out, first, end, streaming, 1.0)


offer("min", Min, Plan(min_rows, min_series, promote_nothing, demote_window, room_for))
offer("max", Max, Plan(max_rows, max_series, promote_nothing, demote_window, room_for))
