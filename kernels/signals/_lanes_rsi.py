"""RSI by vectors: a lane is a symbol, or the lanes are bars of one series, beside one another or far apart.

Far apart (`rsi_far`): eight lanes go down eight stretches of the series at once, so that each lane has the plain
recurrence of `rsi_rows`: two multiply-adds a bar, where look-ahead has six and as many shuffles. In exchange squares of
eight by eight bars are turned over when they are read and when they are written. A lane cannot know the averages with
which its stretch begins. It guesses: it starts from nothing `_FORGOTTEN` windows before. Behind the stretches each
guess is compared with what the lane before came to, and if one of them is wrong (prices that had not moved for so
long), the bars are taken again by look-ahead. So what is given back never depends on the guess.
"""

from __future__ import annotations

import numpy as np

from kernels.machine.stack import stack_zeros
from kernels.machine.vector import (
    absolute,
    bits,
    insert,
    load,
    load_masked,
    maximum,
    multiply_add,
    pattern,
    select,
    shuffle_two,
    splat,
    store_masked,
)
from kernels.signals import _records_recursive as scalar
from kernels.signals._lanes import Lanes, Plan, apart, emit, inlined, offer, put
from kernels.signals._scan import CHUNK, LANES, all_finite, back_1, finite, powers, weigh

_FORGOTTEN = 40  # windows: exp(-40) is below the rounding of an average
_AGREES = 1e-13  # relative: a guess that is nearer is taken for right


class Rsi(Lanes):
    """State of the relative strength index."""


@inlined
def strength(gain, loss):
    """Return ``100 * gain / (gain + loss)``, 0 where there was neither."""
    both = gain + loss
    return select(both > 0.0, (gain * 100.0) / both, 0.0)


@inlined
def rsi_rows(state, bars, out, at, span, first, end, mask, streaming):
    """Two of Wilder's averages; their common weight cancels in the ratio, but is kept for the record."""
    weight = 1.0 / state.window[0]
    gain, loss = load_masked(state.carry, (0, at), mask), load_masked(state.carry, (1, at), mask)
    last = load_masked(bars.close, (first - 1, at), mask)
    for row in range(first, end):
        close = load_masked(bars.close, (row, at), mask)
        change = close - last
        rise = maximum(change, 0.0)
        gain = multiply_add(gain, 1.0 - weight, rise * weight)
        loss = multiply_add(loss, 1.0 - weight, (rise - change) * weight)
        last = close
        put(out, (0, row, at), strength(gain, loss), mask, streaming)
    well = finite(loss)
    store_masked(state.carry, (0, at), gain, mask & well)
    store_masked(state.carry, (1, at), loss, mask & well)
    return bits(well)


@inlined
def rises(close, row):
    """Return by how much the closes from `row` on have risen and fallen, each at least 0."""
    change = load(close, (row, 0)) - load(close, (row - 1, 0))
    rise = maximum(change, 0.0)
    return rise, rise - change


@inlined
def look_ahead(state, bars, out, first, end, streaming):
    """Two scans, of the averages times the window: the weight cancels in the ratio."""
    close, window = bars.close, state.window[0]
    decay = 1.0 - 1.0 / window
    by, ends, zero = powers(decay), stack_zeros((2, LANES), np.float64), splat(0.0, np.float64)
    gain, loss, row, bad = state.carry[0, 0] * window, state.carry[1, 0] * window, first, 0.0
    for lane in range(LANES):
        change = close[row + lane, 0] - close[row + lane - 1, 0]
        bad += change - change
        gain = gain * decay + (change if change > 0.0 else 0.0)
        loss = loss * decay + (-change if change < 0.0 else 0.0)
        ends[0, lane], ends[1, lane] = gain, loss
        out[0, row + lane, 0] = 100.0 * gain / (gain + loss) if gain + loss > 0.0 else 0.0
    if bad != 0.0:
        return first
    gains, losses, row = load(ends, (0, 0)), load(ends, (1, 0)), row + LANES
    oldest_up, oldest_down = rises(close, row - 2 * LANES)
    up, down = rises(close, row - LANES)
    two, four, _ = weigh(oldest_up, back_1(zero, oldest_up), zero, zero, by)
    two, four, _ = weigh(up, back_1(oldest_up, up), two, four, by)
    two_down, four_down, _ = weigh(oldest_down, back_1(zero, oldest_down), zero, zero, by)
    two_down, four_down, _ = weigh(down, back_1(oldest_down, down), two_down, four_down, by)
    while row + LANES <= end:
        gains_before, losses_before, stop, at = gains, losses, min(end, row + CHUNK), row
        while at + LANES <= stop:
            next_up, next_down = rises(close, at)
            two, four, fresh = weigh(next_up, back_1(up, next_up), two, four, by)
            two_down, four_down, fresh_down = weigh(next_down, back_1(down, next_down), two_down, four_down, by)
            up, down = next_up, next_down
            gains = multiply_add(gains, by[3], fresh)
            losses = multiply_add(losses, by[3], fresh_down)
            emit(out, (0, at, 0), strength(gains, losses), streaming)
            at += LANES
        if not all_finite(losses):
            gains, losses = gains_before, losses_before
            break
        row = at
    state.carry[0, 0], state.carry[1, 0] = gains[LANES - 1] / window, losses[LANES - 1] / window
    return row


# ---- one series, eight stretches of it side by side -----------------------------------------------------------------

_EVEN, _ODD = pattern(0, 8, 2, 10, 4, 12, 6, 14), pattern(1, 9, 3, 11, 5, 13, 7, 15)
_PAIRS, _PAIRS_ON = pattern(0, 1, 8, 9, 4, 5, 12, 13), pattern(2, 3, 10, 11, 6, 7, 14, 15)
_FOURS, _FOURS_ON = pattern(0, 1, 2, 3, 8, 9, 10, 11), pattern(4, 5, 6, 7, 12, 13, 14, 15)


@inlined
def turned(a, b, c, d, e, f, g, h):
    """Return eight vectors, the first of the first lanes of those given, and so on."""
    a, b, c, d = shuffle_two(a, b, _EVEN), shuffle_two(a, b, _ODD), shuffle_two(c, d, _EVEN), shuffle_two(c, d, _ODD)
    e, f, g, h = shuffle_two(e, f, _EVEN), shuffle_two(e, f, _ODD), shuffle_two(g, h, _EVEN), shuffle_two(g, h, _ODD)
    a, b, c, d = (
        shuffle_two(a, c, _PAIRS),
        shuffle_two(b, d, _PAIRS),
        shuffle_two(a, c, _PAIRS_ON),
        shuffle_two(b, d, _PAIRS_ON),
    )
    e, f, g, h = (
        shuffle_two(e, g, _PAIRS),
        shuffle_two(f, h, _PAIRS),
        shuffle_two(e, g, _PAIRS_ON),
        shuffle_two(f, h, _PAIRS_ON),
    )
    return (
        shuffle_two(a, e, _FOURS),
        shuffle_two(b, f, _FOURS),
        shuffle_two(c, g, _FOURS),
        shuffle_two(d, h, _FOURS),
        shuffle_two(a, e, _FOURS_ON),
        shuffle_two(b, f, _FOURS_ON),
        shuffle_two(c, g, _FOURS_ON),
        shuffle_two(d, h, _FOURS_ON),
    )


@inlined
def eight_bars(close, row, length):
    """Return the closes from `row` on as eight vectors, a bar each; lane i is `length` bars further than lane i - 1."""
    return turned(
        load(close, (row, 0)),
        load(close, (row + length, 0)),
        load(close, (row + 2 * length, 0)),
        load(close, (row + 3 * length, 0)),
        load(close, (row + 4 * length, 0)),
        load(close, (row + 5 * length, 0)),
        load(close, (row + 6 * length, 0)),
        load(close, (row + 7 * length, 0)),
    )


@inlined
def write_eight(out, row, length, values, streaming):
    """Write what belongs to the bars that `eight_bars` returned."""
    by_lane = turned(*values)
    emit(out, (0, row, 0), by_lane[0], streaming)
    emit(out, (0, row + length, 0), by_lane[1], streaming)
    emit(out, (0, row + 2 * length, 0), by_lane[2], streaming)
    emit(out, (0, row + 3 * length, 0), by_lane[3], streaming)
    emit(out, (0, row + 4 * length, 0), by_lane[4], streaming)
    emit(out, (0, row + 5 * length, 0), by_lane[5], streaming)
    emit(out, (0, row + 6 * length, 0), by_lane[6], streaming)
    emit(out, (0, row + 7 * length, 0), by_lane[7], streaming)


@inlined
def next_bar(close, last, gain, loss, decay):
    """Return the averages, times the window, after one bar of each lane."""
    change = close - last
    rise = maximum(change, 0.0)
    return multiply_add(gain, decay, rise), multiply_add(loss, decay, rise - change)


@inlined
def next_eight(bars, last, gain, loss, decay):
    """Return both averages after eight bars of each lane, and the index after each."""
    a, b, c, d, e, f, g, h = bars
    gain, loss = next_bar(a, last, gain, loss, decay)
    first = strength(gain, loss)
    gain, loss = next_bar(b, a, gain, loss, decay)
    second = strength(gain, loss)
    gain, loss = next_bar(c, b, gain, loss, decay)
    third = strength(gain, loss)
    gain, loss = next_bar(d, c, gain, loss, decay)
    fourth = strength(gain, loss)
    gain, loss = next_bar(e, d, gain, loss, decay)
    fifth = strength(gain, loss)
    gain, loss = next_bar(f, e, gain, loss, decay)
    sixth = strength(gain, loss)
    gain, loss = next_bar(g, f, gain, loss, decay)
    seventh = strength(gain, loss)
    gain, loss = next_bar(h, g, gain, loss, decay)
    return gain, loss, (first, second, third, fourth, fifth, sixth, seventh, strength(gain, loss))


@inlined
def guessed_well(guess, reached):
    """Return whether what each lane but the first began with is what the lane before came to."""
    before = back_1(guess, reached)
    return bits(absolute(before - guess) <= before * _AGREES) | 1 == 255


@apart
def rsi_far(state, bars, out, row, warm, length, streaming):
    """Take in ``8 * length`` bars from `row` on, after `warm` bars for the guesses; return whether all was well."""
    close, window = bars.close, state.window[0]
    decay, zero = splat(1.0 - 1.0 / window, np.float64), splat(0.0, np.float64)
    gain, loss, last = zero, zero, eight_bars(close, row - warm - LANES, length)[7]
    for at in range(row - warm, row, LANES):
        eight = eight_bars(close, at, length)
        gain, loss, _ = next_eight(eight, last, gain, loss, decay)
        last = eight[7]
    gain, loss = insert(gain, 0, state.carry[0, 0] * window), insert(loss, 0, state.carry[1, 0] * window)
    gain_before, loss_before, at = gain, loss, row
    while at < row + length:
        stop = min(at + CHUNK, row + length)
        while at < stop:
            eight = eight_bars(close, at, length)
            gain, loss, values = next_eight(eight, last, gain, loss, decay)
            last = eight[7]
            write_eight(out, at, length, values, streaming)
            at += LANES
        if not all_finite(loss):
            return False
    if not guessed_well(gain_before, gain) or not guessed_well(loss_before, loss):
        return False
    state.carry[0, 0], state.carry[1, 0] = gain[LANES - 1] / window, loss[LANES - 1] / window
    return True


@apart
def rsi_near(state, bars, out, first, end, streaming):
    """Do what `look_ahead` does, compiled once for all that call it."""
    return look_ahead(state, bars, out, first, end, streaming)


@inlined
def rsi_series(state, bars, out, first, end, streaming):
    """Take long series by lanes that are far apart, the rest by look-ahead."""
    warm = (_FORGOTTEN * state.window[0] + 31) // 32 * 32
    length = 16 * warm + 72  # no multiple of a page: eight loads of one place of a page drive one another out
    row = first
    if end - first >= 8 * length + warm + 2 * LANES:
        if row < warm + LANES:
            stop = row + warm + LANES
            row = rsi_near(state, bars, out, row, stop, streaming)
            if row < stop:
                return row
        while end - row >= 8 * length:
            stop = row + 8 * length
            if rsi_far(state, bars, out, row, warm, length, streaming):
                row = stop
            else:
                row = rsi_near(state, bars, out, row, stop, streaming)
                if row < stop:
                    return row
    return rsi_near(state, bars, out, row, end, streaming) if end - row >= 3 * LANES else row


@inlined
def rsi_promote(state, symbol):
    """Both averages."""
    state.carry[0, symbol] = state.records[symbol, scalar.GAIN]
    state.carry[1, symbol] = state.records[symbol, scalar.LOSS]


@inlined
def rsi_demote(state, bars, symbol, row):
    """Both averages and the last close."""
    record = state.records[symbol]
    record[scalar.LAST] = bars.close[row - 1, symbol]
    record[scalar.GAIN], record[scalar.LOSS] = state.carry[0, symbol], state.carry[1, symbol]


# Squares of eight by eight take eight lanes.
offer("rsi", Rsi, Plan(rsi_rows, rsi_series if LANES == 8 else look_ahead, rsi_promote, rsi_demote))
