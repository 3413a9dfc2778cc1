"""The canonical form of a book, which every variant writes and reads, and what growing has in common."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from kernels.catalog import Canonical, State
from kernels.messages import BAD_KINDS, BEST, EVENT, MAX_LEVEL_SIZE, MAX_ORDER_SIZE, MAX_PRICE_TICKS, Kind
from kernels.order_book._apply import CONTROL_LENGTH, LIVE, SYMBOLS, WANTED_ROW

ORDER = np.dtype([("order_id", "<u8"), ("price_ticks", "<i4"), ("size", "<i4"), ("symbol", "<u2"), ("side", "u1")])
"""One resting order of the canonical form, 19 bytes."""


def new_control(symbols: int) -> np.ndarray:
    """Return the control block of an empty book."""
    control = np.zeros(CONTROL_LENGTH, np.int64)
    control[SYMBOLS] = symbols
    return control


def grow(state: State, orders: ModuleType, levels: ModuleType) -> State:
    """Return the state with more room for what ran out: the levels of one row, or the table of orders."""
    if state.control[WANTED_ROW]:
        return levels.grown(state)
    return orders.grown(state)


def reset(state: State, orders: ModuleType, levels: ModuleType) -> None:
    """Empty the book, keeping its room."""
    orders.reset(state)
    levels.reset(state)
    state.bad[:] = 0
    state.halted[:] = 0


def export_state(state: State, orders: ModuleType) -> Canonical:
    """Return the book's orders sorted by id, its counts of bad events and its halted symbols."""
    order_id, size, price, row = orders.extract(state)
    listed = np.empty(len(order_id), ORDER)
    listed["order_id"], listed["price_ticks"], listed["size"] = order_id, price, size
    listed["symbol"], listed["side"] = row >> 1, row & 1
    listed.sort(order="order_id")
    return {"orders": listed, "bad": state.bad.copy(), "halted": state.halted.copy()}


def check(canonical: Canonical, symbols: int) -> np.ndarray:
    """Return the orders of `canonical` as ADD events. Raises ValueError for what no book of `symbols` can hold."""
    for name in ("orders", "bad", "halted"):
        if name not in canonical:
            raise ValueError(
                f"order_book: a canonical state has 'orders', 'bad' and 'halted', and {name!r} is not there"
            )
    orders, halted = canonical["orders"], canonical["halted"]
    if orders.dtype != ORDER or orders.ndim != 1 or canonical["bad"].shape != (BAD_KINDS,):
        raise ValueError(f"order_book: canonical 'orders' must have the dtype {ORDER} and 'bad' {BAD_KINDS} counts")
    if halted.shape != (symbols,) or (len(orders) and int(orders["symbol"].max()) >= symbols):
        raise ValueError(f"order_book: the canonical state is of {len(halted)} symbols, this book has {symbols}")
    price, size = orders["price_ticks"], orders["size"]
    fits = (price >= 1) & (price <= MAX_PRICE_TICKS) & (size >= 1) & (size <= MAX_ORDER_SIZE) & (orders["side"] <= 1)
    if not np.all(fits & (orders["order_id"] != 0)):
        raise ValueError("order_book: an order of the canonical state has id 0, or a price, size or side out of range")
    if len(np.unique(orders["order_id"])) != len(orders):
        raise ValueError("order_book: two orders of the canonical state have the same id")
    place = orders["symbol"].astype(np.int64) << 32 | orders["side"].astype(np.int64) << 31 | price
    totals = np.bincount(np.unique(place, return_inverse=True)[1], size) if len(orders) else np.zeros(1)
    if totals.max() > MAX_LEVEL_SIZE:
        raise ValueError(f"order_book: a level of the canonical state sums to more than {MAX_LEVEL_SIZE}")
    events = np.zeros(len(orders), EVENT)
    for name in ORDER.names or ():
        events[name] = orders[name]
    events["kind"] = Kind.ADD
    return events


def import_state(state: State, canonical: Canonical, replay: Any, orders: ModuleType, levels: ModuleType) -> State:
    """Return `state` with the content of `canonical`, grown where it had to be. Raises ValueError, changing nothing."""
    events = check(canonical, int(state.control[SYMBOLS]))
    reset(state, orders, levels)
    out = np.zeros(len(events), BEST)
    events.flags.writeable = False  # as `prepare` hands them over: the same compiled code
    position = 0
    while (position := replay(state, events, out, position, None)) < len(events):
        state = grow(state, orders, levels)
    assert state.control[LIVE] == len(events)
    state.bad[:] = canonical["bad"]
    state.halted[:] = canonical["halted"]
    return state
