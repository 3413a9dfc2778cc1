"""What every parser does after it has the events: prices to ticks, gaps filled from the orders, oddities counted."""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel_jit
from kernels.messages import MAX_PRICE_TICKS, Kind
from workbench.workloads.loaded import DEFAULT_TICK

_OFF_TICK_SHARE = 100  # a symbol has the finer tick when more than one in so many of its orders' prices needs it

_ADD, _REPLACE, _MODIFY, _TRADE = int(Kind.ADD), int(Kind.REPLACE), int(Kind.MODIFY), int(Kind.TRADE)
_CANCEL, _DELETE, _EXECUTE = int(Kind.CANCEL), int(Kind.DELETE), int(Kind.EXECUTE)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing, Knuth vol. 3, 6.4


def as_ticks(events: np.ndarray, prices: np.ndarray) -> tuple[list[int], tuple[int, int]]:
    """Write `prices` (int64, 1/10,000 dollars) into ``events["price_ticks"]``, in ticks of each symbol.

    A symbol's tick is 100 (one cent), and 1 where more than one in a hundred of its orders is priced between two cents
    (stocks below one dollar). The price of an order that is still off the tick, or out of range, becomes 0: a book
    then refuses it and counts it. A trade between two ticks (hidden orders meet at the midpoint) is rounded down.

    Returns the ticks by symbol, and how many orders and how many trades were off theirs.
    """
    symbol, kind = events["symbol"].astype(np.int64), events["kind"]
    symbols = int(symbol.max()) + 1 if events.size else 1
    resting = (kind == _ADD) | (kind == _REPLACE) | (kind == _MODIFY)
    off = resting & (prices % DEFAULT_TICK != 0)
    orders = np.bincount(symbol[resting], minlength=symbols)
    finer = np.bincount(symbol[off], minlength=symbols) * _OFF_TICK_SHARE > orders
    tick = np.where(finer, 1, DEFAULT_TICK)
    own = tick[symbol]
    ticks, rest = np.divmod(prices, own)
    bad = ((rest != 0) & (kind != _TRADE)) | (ticks > MAX_PRICE_TICKS) | (ticks < 0)
    events["price_ticks"] = np.where(bad, 0, ticks)
    return [int(value) for value in tick], (int(np.sum(bad & resting)), int(np.sum((rest != 0) & (kind == _TRADE))))


def off_tick_notes(counts: tuple[int, int]) -> tuple[str, ...]:
    """Return the sentences about what `as_ticks` counted."""
    orders, trades = counts
    notes = []
    if orders:
        notes.append(f"{orders:,} orders have a price off their symbol's tick or out of range: it became 0, refused")
    if trades:
        notes.append(f"{trades:,} trades lie between two ticks: their price was rounded down")
    return tuple(notes)


@kernel_jit
def slot_of(table, order_id):  # type: ignore[no-untyped-def]
    """Return the slot of `order_id` in the open-addressed `table` of ids plus one, or the free one where it belongs."""
    mask = np.uint64(table.shape[0] - 1)
    at = (order_id * _GOLDEN) >> np.uint64(20) & mask
    wanted = order_id + np.uint64(1)
    while table[at] != np.uint64(0) and table[at] != wanted:
        at = (at + np.uint64(1)) & mask
    return at


@kernel_jit
def _survey(events, table, prices, sides, symbols, counts):  # type: ignore[no-untyped-def]
    """Walk the events once: fill price and side of events that only name an order, count unknown orders and time steps.

    The table has a slot for each order that was ever added, so that it needs no removal.
    """
    before = events[0].timestamp_ns if events.shape[0] else 0
    for i in range(events.shape[0]):
        kind = events[i].kind
        if events[i].timestamp_ns < before:
            counts[1] += 1
        before = events[i].timestamp_ns
        if kind in (_CANCEL, _DELETE, _EXECUTE, _REPLACE, _MODIFY):
            at = slot_of(table, events[i].order_id)
            if table[at] == np.uint64(0) or symbols[at] != events[i].symbol:
                counts[0] += 1
            else:
                events[i].side = sides[at]
                if kind == _MODIFY:
                    prices[at] = events[i].price_ticks
                elif kind != _REPLACE and events[i].price_ticks == 0:
                    events[i].price_ticks = prices[at]
        if kind in (_ADD, _REPLACE):
            order_id = events[i].order_id if kind == _ADD else events[i].new_order_id
            at = slot_of(table, order_id)
            table[at] = order_id + np.uint64(1)
            prices[at], sides[at], symbols[at] = events[i].price_ticks, events[i].side, events[i].symbol


def survey(events: np.ndarray) -> tuple[str, ...]:
    """Fill in what the events leave to be looked up, in place, and return notes on what a person should know.

    CANCEL, DELETE and EXECUTE without a price get their order's; they, REPLACE and MODIFY get their order's side.
    """
    kinds = events["kind"]
    added = int(np.count_nonzero((kinds == _ADD) | (kinds == _REPLACE)))
    slots = 1 << max(4, (2 * added).bit_length())
    table, prices = np.zeros(slots, np.uint64), np.zeros(slots, np.int32)
    sides, symbols, counts = np.zeros(slots, np.uint8), np.zeros(slots, np.uint16), np.zeros(2, np.int64)
    _survey(events, table, prices, sides, symbols, counts)
    notes = []
    if counts[0]:
        notes.append(f"{counts[0]:,} events concern orders from before the file")
    if counts[1]:
        notes.append(f"{counts[1]:,} events are stamped earlier than the event before them")
    return tuple(notes)
