"""Imbalance, microprice and order-flow imbalance by vectors: each looks at one bar, or at it and the one before.

The bars of one series lie behind one another, so a vector of consecutive bars is taken as one of consecutive symbols.
"""

from __future__ import annotations

import numpy as np

from kernels.machine.vector import bits, first_lanes, load_masked, multiply_add, select
from kernels.signals._lanes import Lanes, Plan, inlined, offer, put, refill
from kernels.signals._scan import LANES, finite


class Imbalance(Lanes):
    """State of the imbalance of the best sizes: none."""


class Microprice(Lanes):
    """State of the microprice: none."""


class Flow(Lanes):
    """State of the order-flow imbalance."""


@inlined
def quotes(bars, row, at, mask):
    """Return bid, its size, ask, its size."""
    return (
        load_masked(bars.bid_price, (row, at), mask),
        load_masked(bars.bid_size, (row, at), mask),
        load_masked(bars.ask_price, (row, at), mask),
        load_masked(bars.ask_size, (row, at), mask),
    )


@inlined
def imbalance_at(bars, row, at, mask):
    """Return the share by which the bid's size exceeds the ask's; NaN for a bad bar."""
    bid, ask = load_masked(bars.bid_size, (row, at), mask), load_masked(bars.ask_size, (row, at), mask)
    both = bid + ask
    return select(finite(both), select(both == 0.0, 0.0, (bid - ask) / both), np.nan)


@inlined
def microprice_at(bars, row, at, mask):
    """Return the mean of the best prices, each weighted by the size of the other side; NaN for a bad bar."""
    bid, bid_size, ask, ask_size = quotes(bars, row, at, mask)
    both = bid_size + ask_size
    there = finite(bid + ask + both) & (both != 0.0)
    return select(there, multiply_add(bid, ask_size, ask * bid_size) / both, np.nan)


@inlined
def flow_at(bars, row, at, mask):
    """Return what the bid gained since the row before, less what the ask gained; NaN where one of the bars is bad."""
    bid, bid_size, ask, ask_size = quotes(bars, row, at, mask)
    last_bid, last_bid_size, last_ask, last_ask_size = quotes(bars, row - 1, at, mask)
    demand = select(bid >= last_bid, bid_size, 0.0) - select(bid <= last_bid, last_bid_size, 0.0)
    supply = select(ask <= last_ask, ask_size, 0.0) - select(ask >= last_ask, last_ask_size, 0.0)
    now, before = bid + ask + bid_size + ask_size, last_bid + last_ask + last_bid_size + last_ask_size
    return select(finite(now) & finite(before), demand - supply, np.nan)


@inlined
def imbalance_rows(state, bars, out, at, span, first, end, mask, streaming):
    """Row by row."""
    for row in range(first, end):
        put(out, (0, row, at), imbalance_at(bars, row, at, mask), mask, streaming)
    return -1


@inlined
def imbalance_series(state, bars, out, first, end, streaming):
    """`LANES` bars a step."""
    mask = first_lanes(LANES, LANES)
    for row in range(first, end - LANES + 1, LANES):
        put(out, (0, row, 0), imbalance_at(bars, row, 0, mask), mask, streaming)
    return first + (end - first) // LANES * LANES


@inlined
def microprice_rows(state, bars, out, at, span, first, end, mask, streaming):
    """Row by row."""
    for row in range(first, end):
        put(out, (0, row, at), microprice_at(bars, row, at, mask), mask, streaming)
    return -1


@inlined
def microprice_series(state, bars, out, first, end, streaming):
    """`LANES` bars a step."""
    mask = first_lanes(LANES, LANES)
    for row in range(first, end - LANES + 1, LANES):
        put(out, (0, row, 0), microprice_at(bars, row, 0, mask), mask, streaming)
    return first + (end - first) // LANES * LANES


@inlined
def flow_rows(state, bars, out, at, span, first, end, mask, streaming):
    """Row by row; a bad bar goes to the record, which counts the good ones."""
    watched = load_masked(bars.bid_price, (first - 1, at), mask) * 0.0
    for row in range(first, end):
        flow = flow_at(bars, row, at, mask)
        watched = multiply_add(flow, 0.0, watched)
        put(out, (0, row, at), flow, mask, streaming)
    return bits(finite(watched))


@inlined
def flow_series(state, bars, out, first, end, streaming):
    """`LANES` bars a step, until a bad one."""
    mask, row = first_lanes(LANES, LANES), first
    while row + LANES <= end:
        flow = flow_at(bars, row, 0, mask)
        if bits(finite(flow)) != (1 << LANES) - 1:
            break
        put(out, (0, row, 0), flow, mask, streaming)
        row += LANES
    return row


@inlined
def promote_nothing(state, symbol):
    """What there was before lies in the input."""


@inlined
def demote_nothing(state, bars, symbol, row):
    """There is no record."""


@inlined
def demote_flow(state, bars, symbol, row):
    """The bar before is the record."""
    refill(state, bars, symbol, row, 1)


offer("imbalance", Imbalance, Plan(imbalance_rows, imbalance_series, promote_nothing, demote_nothing))
offer("microprice", Microprice, Plan(microprice_rows, microprice_series, promote_nothing, demote_nothing))
offer("flow", Flow, Plan(flow_rows, flow_series, promote_nothing, demote_flow))
