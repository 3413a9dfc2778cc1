"""The indicators of one record that read volumes or the book: VWAP, imbalance, microprice, order-flow imbalance."""

from __future__ import annotations

import numpy as np

from kernels.machine.hints import choose
from kernels.signals._records import COUNT, Records, forget, good, inlined, next_place, offer

PLACE = 1  # where the rings' next bar goes
VALUE, VOLUME, FRESH_VALUE, FRESH_VOLUME = 2, 3, 4, 5
RINGS = 6
BID, BID_SIZE, ASK, ASK_SIZE = 1, 2, 3, 4


class Vwap(Records):
    """Records of the mean price by volume."""


class Imbalance(Records):
    """Records of the imbalance of the best sizes: none, it looks at one bar only."""


class Microprice(Records):
    """Records of the microprice: none, it looks at one bar only."""


class Flow(Records):
    """Records of the order-flow imbalance."""


@inlined
def take_vwap(state, record, whole, window, bar):
    """Take in a bar; return the mean typical price of the last `window`, by volume. Sums as those of the SMA."""
    high, low, close, volume = bar
    if not good(high + low + close + volume):
        forget(record, RINGS)
        return (np.nan,)
    record[COUNT] += 1.0
    value, place = (high + low + close) / 3.0 * volume, whole[PLACE]
    if place == 0:
        record[FRESH_VALUE], record[FRESH_VOLUME] = 0.0, 0.0
    record[FRESH_VALUE] += value
    record[FRESH_VOLUME] += volume
    if place == window - 1:
        record[VALUE], record[VOLUME] = record[FRESH_VALUE], record[FRESH_VOLUME]
    elif record[COUNT] > window:
        record[VALUE] += value - record[RINGS + place]
        record[VOLUME] += volume - record[RINGS + window + place]
    else:
        record[VALUE] += value
        record[VOLUME] += volume
    record[RINGS + place], record[RINGS + window + place] = value, volume
    whole[PLACE] = next_place(place, window)
    there = record[COUNT] >= window and record[VOLUME] != 0.0
    return (record[VALUE] / record[VOLUME] if there else np.nan,)


def rebuild_vwap(records: np.ndarray, window: int) -> None:
    """Add up the rings."""
    records[:, VALUE] = records[:, RINGS : RINGS + window].sum(axis=1)
    records[:, VOLUME] = records[:, RINGS + window :].sum(axis=1)


@inlined
def take_imbalance(state, record, whole, window, bar):
    """Take in a bar; return by how much the bid's size exceeds the ask's, as a share of both."""
    bid_size, ask_size = bar[1], bar[3]
    if not good(bid_size + ask_size):
        return (np.nan,)
    both = bid_size + ask_size
    return ((bid_size - ask_size) / both if both != 0.0 else 0.0,)


@inlined
def take_microprice(state, record, whole, window, bar):
    """Take in a bar; return the mean of bid and ask, each weighted by the size of the other."""
    bid, bid_size, ask, ask_size = bar
    if not good(bid + ask + bid_size + ask_size):
        return (np.nan,)
    both = bid_size + ask_size
    return ((bid * ask_size + ask * bid_size) / both if both != 0.0 else np.nan,)


@inlined
def take_flow(state, record, whole, window, bar):
    """Take in a bar; return what the bid has gained since the one before, less what the ask has gained.

    Chosen without branches: nobody can guess whether a price has moved.
    """
    bid, bid_size, ask, ask_size = bar
    if not good(bid + ask + bid_size + ask_size):
        forget(record, ASK_SIZE + 1)
        return (np.nan,)
    demand = choose(bid >= record[BID], bid_size, 0.0) - choose(bid <= record[BID], record[BID_SIZE], 0.0)
    supply = choose(ask <= record[ASK], ask_size, 0.0) - choose(ask >= record[ASK], record[ASK_SIZE], 0.0)
    flow = demand - supply if record[COUNT] > 0.0 else np.nan
    record[COUNT] += 1.0
    record[BID], record[BID_SIZE], record[ASK], record[ASK_SIZE] = bid, bid_size, ask, ask_size
    return (flow,)


offer("vwap", Vwap, take_vwap, RINGS - 1, rebuild_vwap)
offer("imbalance", Imbalance, take_imbalance)
offer("microprice", Microprice, take_microprice)
offer("flow", Flow, take_flow)
