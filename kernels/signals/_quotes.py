"""The best bid and offer of every symbol at the end of each bar: a small book that looks at the whole stream first.

Since all events are there before the first is applied, ids and prices become dense numbers by sorting, and the book is
arrays without a search. It serves to make bars, and is no order book: see `kernels.order_book` for one.
"""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel_jit
from kernels.messages import MAX_ORDER_SIZE, MAX_PRICE_TICKS, Kind

_ADD, _CANCEL, _DELETE, _EXECUTE = int(Kind.ADD), int(Kind.CANCEL), int(Kind.DELETE), int(Kind.EXECUTE)
_REPLACE, _MODIFY, _CLEAR = int(Kind.REPLACE), int(Kind.MODIFY), int(Kind.CLEAR)


def quotes_after(events: np.ndarray, stops: np.ndarray, symbols: int) -> tuple[np.ndarray, ...]:
    """Return bid price, bid size, ask price and ask size, float64[stops, symbols] each, after the events ``stops``.

    `stops` are places in `events` (EVENT), rising. Prices in ticks; an empty side has the price NaN and the size 0.
    An event that an order book would refuse is left out.
    """
    events = events[: stops[-1] + 1] if len(stops) else events[:0]
    kind, symbol, price = events["kind"], events["symbol"].astype(np.int64), events["price_ticks"].astype(np.int64)
    priced = ((kind == _ADD) | (kind == _REPLACE) | (kind == _MODIFY)) & (price > 0) & (price <= MAX_PRICE_TICKS)
    keys, place = np.unique(symbol[priced] << 32 | price[priced], return_inverse=True)
    level = np.full(len(events), -1)
    level[priced] = place
    ids, dense = np.unique(np.concatenate([events["order_id"], events["new_order_id"]]), return_inverse=True)
    edges = np.searchsorted(keys, np.arange(symbols + 1) << 32)
    bids, asks = edges[:-1] - 1, edges[1:].copy()  # where the search of the best begins: outside, so nothing is there
    quotes = np.full((4, len(stops), symbols), np.nan)
    if len(stops):
        orders = np.zeros((len(ids), 3), np.int64)
        orders[ids == 0, 0] = -1  # id 0 means "none", and is never free
        _apply(
            np.ascontiguousarray(kind),
            symbol,
            events["side"].astype(np.int64),
            events["size"].astype(np.int64),
            dense.astype(np.int64).reshape(2, -1),
            level,
            np.asarray(stops, np.int64),
            keys & 0xFFFFFFFF,
            edges.astype(np.int64),
            orders,
            np.zeros((2, len(keys) + 1), np.int64),
            np.stack([bids, asks]).astype(np.int64),
            quotes,
        )
    return tuple(quotes)


@kernel_jit(_nrt=False)
def _apply(kind, symbol, side, size, ids, level, stops, prices, edges, orders, sizes, best, quotes):
    """Apply the events up to the last stop, and write the quotes of all symbols at each.

    `orders` is int64[ids, 3]: the size that rests (-1 for the id 0), twice the level plus the side, the symbol; `sizes`
    int64[2, levels]; `best` int64[2, symbols], a level that none is better than. Levels rise with symbol and price.
    """
    stop = 0
    for i in range(stops[-1] + 1):
        what, of = kind[i], symbol[i]
        order, new = orders[ids[0, i]], orders[ids[1, i]]
        mine = order[0] > 0 and order[2] == of
        fits = level[i] >= 0 and 0 < size[i] <= MAX_ORDER_SIZE
        if what == _ADD:
            if order[0] == 0 and fits and side[i] <= 1:
                order[1] = side[i]
                _rest(order, level[i], size[i], of, sizes, best)
        elif what in (_CANCEL, _EXECUTE):
            if mine and 0 < size[i] <= order[0]:
                _take(order, size[i], sizes)
        elif what == _DELETE:
            if mine:
                _take(order, order[0], sizes)
        elif what == _REPLACE:
            if mine and fits and new[0] == 0:
                _take(order, order[0], sizes)
                new[1] = order[1] & 1
                _rest(new, level[i], size[i], of, sizes, best)
        elif what == _MODIFY:
            if mine and fits:
                _take(order, order[0], sizes)
                _rest(order, level[i], size[i], of, sizes, best)
        elif what == _CLEAR:
            for other in orders:
                if other[0] > 0 and other[2] == of:
                    _take(other, other[0], sizes)
        if i == stops[stop]:
            _write(prices, edges, sizes, best, quotes, stop)
            stop += 1


@kernel_jit(inner=True, _nrt=False)
def _rest(order, level, size, symbol, sizes, best):
    """Let an order, which knows its side, rest on a level."""
    side = order[1] & 1
    order[0], order[1], order[2] = size, 2 * level + side, symbol
    sizes[side, level] += size
    best[side, symbol] = min(best[1, symbol], level) if side else max(best[0, symbol], level)


@kernel_jit(inner=True, _nrt=False)
def _take(order, size, sizes):
    """Take `size` out of an order that rests."""
    order[0] -= size
    sizes[order[1] & 1, order[1] >> 1] -= size


@kernel_jit(inner=True, _nrt=False)
def _write(prices, edges, sizes, best, quotes, row):
    """Write a row of quotes; move each `best` over the levels that have become empty."""
    for symbol in range(best.shape[1]):
        bid, ask = best[0, symbol], best[1, symbol]
        while bid >= edges[symbol] and sizes[0, bid] == 0:
            bid -= 1
        while ask < edges[symbol + 1] and sizes[1, ask] == 0:
            ask += 1
        best[0, symbol], best[1, symbol] = bid, ask
        there = bid >= edges[symbol]
        quotes[0, row, symbol] = prices[bid] if there else np.nan
        quotes[1, row, symbol] = sizes[0, bid] if there else 0.0
        there = ask < edges[symbol + 1]
        quotes[2, row, symbol] = prices[ask] if there else np.nan
        quotes[3, row, symbol] = sizes[1, ask] if there else 0.0
