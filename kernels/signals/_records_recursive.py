"""The indicators of one record that are moved by each bar and keep no window: EMA, MACD, RSI, ATR.

Until such an average starts, its field holds the sum of what came; then it is divided, once.
"""

from __future__ import annotations

import numpy as np

from kernels.machine.hints import choose
from kernels.signals._records import COUNT, Records, forget, good, inlined, offer
from kernels.signals._state import FAST, SIGNAL, SLOW

EMA = 1
LAST, GAIN, LOSS = 1, 2, 3
RANGE = 2  # ATR's average, behind its LAST
FAST_AT, SLOW_AT, SIGNAL_AT = 1, 2, 3


class Ema(Records):
    """Records of the exponential average."""


class Macd(Records):
    """Records of MACD."""


class Rsi(Records):
    """Records of the relative strength index."""


class Atr(Records):
    """Records of the average true range."""


@inlined
def smoothed(record, field, value, seen, window, weight):
    """Take `value`, the `seen`-th, into an average that starts with the mean of `window`; return it, NaN before."""
    if seen > window:
        record[field] += weight * (value - record[field])
    elif seen < window:
        record[field] += value
        return np.nan
    else:
        record[field] = (record[field] + value) / window
    return record[field]


@inlined
def take_ema(state, record, whole, window, bar):
    """Take in a bar; return the exponential average of its closes."""
    close = bar[2]
    if not good(close):
        forget(record, EMA + 1)
        return (np.nan,)
    record[COUNT] += 1.0
    return (smoothed(record, EMA, close, record[COUNT], window, 2.0 / (window + 1)),)


@inlined
def take_macd(state, record, whole, window, bar):
    """Take in a bar; return macd, signal and histogram. The two averages start on the same bar, as in TA-Lib."""
    close = bar[2]
    if not good(close):
        forget(record, SIGNAL_AT + 1)
        return np.nan, np.nan, np.nan
    record[COUNT] += 1.0
    seen, fast = record[COUNT], 0.0
    if seen > SLOW - FAST:
        fast = smoothed(record, FAST_AT, close, seen - (SLOW - FAST), FAST, 2.0 / (FAST + 1))
    slow = smoothed(record, SLOW_AT, close, seen, SLOW, 2.0 / (SLOW + 1))
    if seen < SLOW:
        return np.nan, np.nan, np.nan
    macd = fast - slow
    signal = smoothed(record, SIGNAL_AT, macd, seen - (SLOW - 1), SIGNAL, 2.0 / (SIGNAL + 1))
    return (macd if seen >= SLOW + SIGNAL - 1 else np.nan), signal, macd - signal


@inlined
def take_rsi(state, record, whole, window, bar):
    """Take in a bar; return the relative strength index of its closes.

    Once it has started, a good bar passes one branch and no division by the window.
    """
    close = bar[2]
    if record[COUNT] > window and good(close):
        weight, change = state.weight[0], close - record[LAST]
        rise = choose(change > 0.0, change, 0.0)
        gain = record[GAIN] + weight * (rise - record[GAIN])
        loss = record[LOSS] + weight * ((rise - change) - record[LOSS])
        record[COUNT] += 1.0
        record[LAST], record[GAIN], record[LOSS] = close, gain, loss
        both = gain + loss
        return (choose(both != 0.0, 100.0 * gain / both, 0.0),)
    if not good(close):
        forget(record, LOSS + 1)
        return (np.nan,)
    record[COUNT] += 1.0
    change, changes = close - record[LAST], record[COUNT] - 1.0
    record[LAST] = close
    if changes < 1.0:
        return (np.nan,)
    weight = 1.0 / window
    gain = smoothed(record, GAIN, change if change > 0.0 else 0.0, changes, window, weight)
    loss = smoothed(record, LOSS, -change if change < 0.0 else 0.0, changes, window, weight)
    both = gain + loss
    return (100.0 * gain / both if both != 0.0 else 0.0,)


@inlined
def take_atr(state, record, whole, window, bar):
    """Take in a bar; return the average true range."""
    high, low, close = bar[0], bar[1], bar[2]
    if not good(high + low + close):
        forget(record, RANGE + 1)
        return (np.nan,)
    record[COUNT] += 1.0
    last, ranges = record[LAST], record[COUNT] - 1.0
    record[LAST] = close
    if ranges < 1.0:
        return (np.nan,)
    true_range = max(high - low, abs(high - last), abs(low - last))
    return (smoothed(record, RANGE, true_range, ranges, window, 1.0 / window),)


offer("ema", Ema, take_ema)
offer("macd", Macd, take_macd)
offer("rsi", Rsi, take_rsi)
offer("atr", Atr, take_atr)
