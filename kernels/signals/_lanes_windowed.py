"""SMA, standard deviation, Bollinger by vectors: sums over a window, moved by what enters and what leaves.

What leaves is read where it lies, in the input. A moved sum gathers a rounding error with every step, so it is added up
afresh after `SPAN` rows (or a window, where that is longer), and in one series after `CHUNK` bars (or four windows).
Squares are of deviations from a close of the same span: squares of whole prices would cancel.
"""

from __future__ import annotations

import numpy as np

from kernels.machine.vector import (
    bits,
    load,
    load_masked,
    maximum,
    multiply_add,
    splat,
    square_root,
    store_masked,
)
from kernels.signals._lanes import Lanes, Plan, emit, inlined, offer, put, refill
from kernels.signals._scan import CHUNK, LANES, add_up, all_finite, back_1, finite
from kernels.signals._state import DEVIATIONS


class Sma(Lanes):
    """State of the simple average."""


class Std(Lanes):
    """State of the standard deviation."""


class Bollinger(Lanes):
    """State of the Bollinger bands."""


@inlined
def promote_nothing(state, symbol):
    """Sums are made afresh from the input."""


@inlined
def demote_window(state, bars, symbol, row):
    """The record is made anew of the last window."""
    refill(state, bars, symbol, row, state.window[0])


# ---- SMA -----------------------------------------------------------------------------------------------------------


@inlined
def sma_rows(state, bars, out, at, span, first, end, mask, streaming):
    """A running sum for each lane."""
    window = state.window[0]
    total = load_masked(state.carry, (0, at), mask)
    if span == first:
        total = load_masked(bars.close, (first - 1, at), mask)
        for back in range(2, window + 1):
            total += load_masked(bars.close, (first - back, at), mask)
    inverse = 1.0 / window
    for row in range(first, end):
        total += load_masked(bars.close, (row, at), mask) - load_masked(bars.close, (row - window, at), mask)
        put(out, (0, row, at), total * inverse, mask, streaming)
    well = finite(total)
    store_masked(state.carry, (0, at), total, mask & well)
    return bits(well)


@inlined
def sma_series(state, bars, out, first, end, streaming):
    """Scan with a decay of 1 of what enters less what leaves; the sums are of deviations from a price of the chunk."""
    close, window, row = bars.close, state.window[0], first
    inverse, zero = 1.0 / window, splat(0.0, np.float64)
    while row + LANES <= end:
        stop, at, middle = min(end, row + max(CHUNK, 4 * window)), row, close[row - 1, 0]
        total = zero
        for back in range(window):
            total += load(close, (row - LANES - back, 0)) - middle
        oldest = load(close, (row - 2 * LANES, 0)) - load(close, (row - 2 * LANES - window, 0))
        now = load(close, (row - LANES, 0)) - load(close, (row - LANES - window, 0))
        two, four, _ = add_up(oldest, back_1(zero, oldest), zero, zero)
        two, four, _ = add_up(now, back_1(oldest, now), two, four)
        while at + LANES <= stop:
            following = load(close, (at, 0)) - load(close, (at - window, 0))
            two, four, fresh = add_up(following, back_1(now, following), two, four)
            now = following
            total += fresh
            emit(out, (0, at, 0), multiply_add(total, inverse, middle), streaming)
            at += LANES
        if not all_finite(total):
            break
        row = at
    return row


offer("sma", Sma, Plan(sma_rows, sma_series, promote_nothing, demote_window))


# ---- standard deviation and Bollinger bands ------------------------------------------------------------------------


@inlined
def deviation(total, squares, inverse):
    """Return the mean and the standard deviation that belong to two sums of deviations."""
    mean = total * inverse
    return mean, square_root(maximum(squares * inverse - mean * mean, 0.0))


@inlined
def std_lines(out, index, mean, width, mask, streaming):
    """Write the standard deviation."""
    put(out, (0, index[0], index[1]), width, mask, streaming)


@inlined
def bollinger_lines(out, index, mean, width, mask, streaming):
    """Write upper band, middle and lower band."""
    put(out, (0, index[0], index[1]), multiply_add(width, DEVIATIONS, mean), mask, streaming)
    put(out, (1, index[0], index[1]), mean, mask, streaming)
    put(out, (2, index[0], index[1]), multiply_add(width, -DEVIATIONS, mean), mask, streaming)


@inlined
def moments_rows(state, bars, out, at, span, first, end, mask, streaming, write):
    """Two running sums for each lane, of the deviations from a close and of their squares."""
    window = state.window[0]
    total, squares = load_masked(state.carry, (0, at), mask), load_masked(state.carry, (1, at), mask)
    middle = load_masked(state.carry, (2, at), mask)
    if span == first:
        middle = load_masked(bars.close, (first - 1, at), mask)
        store_masked(state.carry, (2, at), middle, mask)
        total = middle - middle
        squares = total
        for back in range(2, window + 1):
            moved = load_masked(bars.close, (first - back, at), mask) - middle
            total += moved
            squares = multiply_add(moved, moved, squares)
    inverse = 1.0 / window
    for row in range(first, end):
        new = load_masked(bars.close, (row, at), mask)
        old = load_masked(bars.close, (row - window, at), mask)
        change = new - old
        total += change
        squares = multiply_add(change, (new - middle) + (old - middle), squares)
        mean, width = deviation(total, squares, inverse)
        write(out, (row, at), mean + middle, width, mask, streaming)
    well = finite(squares)
    store_masked(state.carry, (0, at), total, mask & well)
    store_masked(state.carry, (1, at), squares, mask & well)
    return bits(well)


@inlined
def std_rows(state, bars, out, at, span, first, end, mask, streaming):
    """The width alone."""
    return moments_rows(state, bars, out, at, span, first, end, mask, streaming, std_lines)


@inlined
def bollinger_rows(state, bars, out, at, span, first, end, mask, streaming):
    """All three lines."""
    return moments_rows(state, bars, out, at, span, first, end, mask, streaming, bollinger_lines)


@inlined
def std_store(out, row, mean, width, streaming):
    """Write the standard deviation."""
    emit(out, (0, row, 0), width, streaming)


@inlined
def bollinger_store(out, row, mean, width, streaming):
    """Write upper band, middle and lower band."""
    emit(out, (0, row, 0), multiply_add(width, DEVIATIONS, mean), streaming)
    emit(out, (1, row, 0), mean, streaming)
    emit(out, (2, row, 0), multiply_add(width, -DEVIATIONS, mean), streaming)


@inlined
def entering(close, row, window, middle):
    """Return what the bars from `row` on add to the sum of deviations, and to that of their squares."""
    new, old = load(close, (row, 0)), load(close, (row - window, 0))
    change = new - old
    return change, change * ((new - middle) + (old - middle))


@inlined
def moments_series(state, bars, out, first, end, streaming, write):
    """Two scans with a decay of 1."""
    close, window, row = bars.close, state.window[0], first
    inverse, zero = 1.0 / window, splat(0.0, np.float64)
    while row + LANES <= end:
        stop, at, middle = min(end, row + max(CHUNK, 4 * window)), row, close[row - 1, 0]
        total, squares = zero, zero
        for back in range(window):
            moved = load(close, (row - LANES - back, 0)) - middle
            total += moved
            squares = multiply_add(moved, moved, squares)
        oldest, oldest_square = entering(close, row - 2 * LANES, window, middle)
        now, now_square = entering(close, row - LANES, window, middle)
        two, four, _ = add_up(oldest, back_1(zero, oldest), zero, zero)
        two, four, _ = add_up(now, back_1(oldest, now), two, four)
        two_of, four_of, _ = add_up(oldest_square, back_1(zero, oldest_square), zero, zero)
        two_of, four_of, _ = add_up(now_square, back_1(oldest_square, now_square), two_of, four_of)
        while at + LANES <= stop:
            following, following_square = entering(close, at, window, middle)
            two, four, fresh = add_up(following, back_1(now, following), two, four)
            two_of, four_of, fresh_of = add_up(following_square, back_1(now_square, following_square), two_of, four_of)
            now, now_square = following, following_square
            total += fresh
            squares += fresh_of
            mean, width = deviation(total, squares, inverse)
            write(out, at, mean + middle, width, streaming)
            at += LANES
        if not all_finite(squares):
            break
        row = at
    return row


@inlined
def std_series(state, bars, out, first, end, streaming):
    """The width alone."""
    return moments_series(state, bars, out, first, end, streaming, std_store)


@inlined
def bollinger_series(state, bars, out, first, end, streaming):
    """All three lines."""
    return moments_series(state, bars, out, first, end, streaming, bollinger_store)


offer("std", Std, Plan(std_rows, std_series, promote_nothing, demote_window))
offer("bollinger", Bollinger, Plan(bollinger_rows, bollinger_series, promote_nothing, demote_window))
