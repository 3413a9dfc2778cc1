"""The indicators of one record that look at a window of closes: SMA, standard deviation, Bollinger, minimum, maximum.

A running sum alone drifts by a rounding error a bar. The fresh sums add up what came since the ring began anew, and
take the place of the running ones when they hold the whole ring: no sum is older than two windows, and no bar costs
more than another.
"""

from __future__ import annotations

import math

import numpy as np

from kernels.machine.hints import choose
from kernels.signals._records import COUNT, Records, forget, good, inlined, next_place, offer
from kernels.signals._state import DEVIATIONS

PLACE = 1  # where the ring's next bar goes
SUM, FRESH = 2, 3
SMA_RING = 4
# Of the deviations from a close that is at most two windows old: squares of whole prices would cancel.
SHIFT, TOTAL, SQUARES, FRESH_SHIFT, FRESH_TOTAL, FRESH_SQUARES = 2, 3, 4, 5, 6, 7
STD_RING = 8
EXTREME, EXTREME_PLACE = 2, 3
EXTREME_RING = 4


class Sma(Records):
    """Records of the simple average."""


class Std(Records):
    """Records of the standard deviation."""


class Bollinger(Records):
    """Records of the Bollinger bands."""


class Min(Records):
    """Records of the minimum."""


class Max(Records):
    """Records of the maximum."""


@inlined
def take_sma(state, record, whole, window, bar):
    """Take in a bar; return the mean of the last `window` closes.

    Chosen without branches: single ticks of many symbols come at any place of their rings, which nobody can guess. Once
    the ring is full, a good bar passes one branch and no division by the window.
    """
    close = bar[2]
    if record[COUNT] >= window and good(close):
        place = np.uint64(whole[PLACE])  # without a sign: an index that may be negative is looked at first
        at, full = place + np.uint64(SMA_RING), whole[PLACE] == window - 1
        fresh = close + choose(place > np.uint64(0), record[FRESH], 0.0)
        total = choose(full, fresh, record[SUM] + (close - record[at]))
        record[COUNT] += 1.0
        record[FRESH], record[SUM], record[at] = fresh, total, close
        whole[PLACE] = choose(full, 0, whole[PLACE] + 1)
        return (total * state.weight[0],)
    if not good(close):
        forget(record, SMA_RING)
        return (np.nan,)
    record[COUNT] += 1.0
    place = whole[PLACE]
    record[FRESH] = close + (record[FRESH] if place > 0 else 0.0)
    record[SUM] = record[FRESH] if place == window - 1 else record[SUM] + close
    record[SMA_RING + place] = close
    whole[PLACE] = next_place(place, window)
    return (record[SUM] * state.weight[0] if record[COUNT] >= window else np.nan,)


@inlined
def moments(record, whole, window, close):
    """Take in a close; return mean and standard deviation of the last `window`, NaN until they are there."""
    if not good(close):
        forget(record, STD_RING)
        return np.nan, np.nan
    record[COUNT] += 1.0
    place = whole[PLACE]
    if record[COUNT] == 1.0:
        record[SHIFT] = close
    if place == 0:
        record[FRESH_SHIFT], record[FRESH_TOTAL], record[FRESH_SQUARES] = close, 0.0, 0.0
    fresh, moved = close - record[FRESH_SHIFT], close - record[SHIFT]
    record[FRESH_TOTAL] += fresh
    record[FRESH_SQUARES] += fresh * fresh
    if place == window - 1:
        record[SHIFT], record[TOTAL] = record[FRESH_SHIFT], record[FRESH_TOTAL]
        record[SQUARES] = record[FRESH_SQUARES]
    elif record[COUNT] > window:
        gone = record[STD_RING + place] - record[SHIFT]
        record[TOTAL] += moved - gone
        record[SQUARES] += (moved - gone) * (moved + gone)
    else:
        record[TOTAL] += moved
        record[SQUARES] += moved * moved
    record[STD_RING + place] = close
    whole[PLACE] = next_place(place, window)
    if record[COUNT] < window:
        return np.nan, np.nan
    inverse = 1.0 / window  # of the loop around: divided once
    mean = record[TOTAL] * inverse
    variance = record[SQUARES] * inverse - mean * mean
    return record[SHIFT] + mean, math.sqrt(max(variance, 0.0))


@inlined
def take_std(state, record, whole, window, bar):
    """Take in a bar; return the standard deviation of the last `window` closes."""
    return (moments(record, whole, window, bar[2])[1],)


@inlined
def take_bollinger(state, record, whole, window, bar):
    """Take in a bar; return the upper band, the middle and the lower band."""
    mean, deviation = moments(record, whole, window, bar[2])
    return mean + DEVIATIONS * deviation, mean, mean - DEVIATIONS * deviation


@inlined
def extreme(record, whole, window, close, sign):
    """Take in a close; return ``sign`` times the largest of ``sign`` times the last `window` closes.

    The window is searched only when its extreme leaves it, as TA-Lib does.
    """
    if not good(close):
        forget(record, EXTREME_RING)
        return np.nan
    record[COUNT] += 1.0
    place, value = whole[PLACE], sign * close
    record[EXTREME_RING + place] = close
    if record[COUNT] == 1.0 or value >= record[EXTREME]:
        record[EXTREME], whole[EXTREME_PLACE] = value, place
    elif whole[EXTREME_PLACE] == place:
        best, at = value, place
        for i in range(window):
            other = sign * record[EXTREME_RING + i]
            if other > best:
                best, at = other, i
        record[EXTREME], whole[EXTREME_PLACE] = best, at
    whole[PLACE] = next_place(place, window)
    return sign * record[EXTREME] if record[COUNT] >= window else np.nan


@inlined
def take_min(state, record, whole, window, bar):
    """Take in a bar; return the smallest of the last `window` closes."""
    return (extreme(record, whole, window, bar[2], -1.0),)


@inlined
def take_max(state, record, whole, window, bar):
    """Take in a bar; return the largest of the last `window` closes."""
    return (extreme(record, whole, window, bar[2], 1.0),)


def _valid(records: np.ndarray, window: int) -> np.ndarray:
    """Return bool[symbols, window]: which places of a ring that stands at 0 hold a bar."""
    return np.arange(window) >= window - records[:, COUNT][:, np.newaxis]


def rebuild_sums(records: np.ndarray, window: int) -> None:
    """Add up the rings."""
    records[:, SUM] = records[:, SMA_RING:].sum(axis=1)


def rebuild_moments(records: np.ndarray, window: int) -> None:
    """Add up the deviations from the newest close."""
    ring = records[:, STD_RING:]
    records[:, SHIFT] = ring[:, -1]
    moved = np.where(_valid(records, window), ring - ring[:, -1:], 0.0)
    records[:, TOTAL], records[:, SQUARES] = moved.sum(axis=1), (moved * moved).sum(axis=1)


def _rebuild_extremes(records: np.ndarray, window: int, sign: float) -> None:
    ring = np.where(_valid(records, window), sign * records[:, EXTREME_RING:], -np.inf)
    newest = window - 1 - np.argmax(ring[:, ::-1], axis=1)
    there = records[:, COUNT] > 0
    records[:, EXTREME] = np.where(there, np.take_along_axis(ring, newest[:, np.newaxis], axis=1)[:, 0], 0.0)
    records.view(np.int64)[:, EXTREME_PLACE] = newest


def rebuild_minima(records: np.ndarray, window: int) -> None:
    """Find the smallest close of each ring."""
    _rebuild_extremes(records, window, -1.0)


def rebuild_maxima(records: np.ndarray, window: int) -> None:
    """Find the largest close of each ring."""
    _rebuild_extremes(records, window, 1.0)


offer("sma", Sma, take_sma, SMA_RING - 1, rebuild_sums)
offer("std", Std, take_std, STD_RING - 1, rebuild_moments)
offer("bollinger", Bollinger, take_bollinger, STD_RING - 1, rebuild_moments)
offer("min", Min, take_min, EXTREME_RING - 1, rebuild_minima)
offer("max", Max, take_max, EXTREME_RING - 1, rebuild_maxima)
