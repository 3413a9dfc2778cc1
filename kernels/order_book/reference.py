"""The order book in plain Python: the oracle that every variant must equal, event by event. Slow and obvious."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.catalog import Canonical
from kernels.messages import (
    BAD_KINDS,
    BEST,
    MAX_LEVEL_SIZE,
    MAX_ORDER_SIZE,
    MAX_PRICE_TICKS,
    Bad,
    Kind,
    Side,
)
from kernels.order_book._state import ORDER

NEEDS_PRICE = (Kind.ADD, Kind.REPLACE, Kind.MODIFY)
NEEDS_SIZE = (Kind.ADD, Kind.CANCEL, Kind.EXECUTE, Kind.REPLACE, Kind.MODIFY)
NEEDS_ORDER = (Kind.CANCEL, Kind.DELETE, Kind.EXECUTE, Kind.REPLACE, Kind.MODIFY)


@dataclass
class Order:
    """A resting order."""

    symbol: int
    side: int
    price: int
    size: int


class Reference:
    """A book of `symbols` symbols; the other parameters concern speed only and are ignored.

    `orders` holds every resting order by id, whatever its symbol; `levels` the sum of sizes by (symbol, side), then by
    price; `bad` how many events were refused, by `kernels.messages.Bad`.
    """

    def __init__(self, symbols: int = 1, **_ignored: int):
        self.symbols = symbols
        self.orders: dict[int, Order] = {}
        self.levels: dict[tuple[int, int], Counter[int]] = {
            (symbol, side): Counter() for symbol in range(symbols) for side in Side
        }
        self.halted = [False] * symbols
        self.bad: Counter[Bad] = Counter()

    def replay(self, events: np.ndarray) -> np.ndarray:
        """Apply EVENT `events`; return the best bid and offer of each event's symbol after it, as a BEST array."""
        out = np.zeros(len(events), BEST)
        for i in range(len(events)):
            event = dict(zip(events.dtype.names or (), events[i].tolist(), strict=True))
            self.apply(event)
            if event["symbol"] < self.symbols:
                out[i] = self.best(event["symbol"])
        return out

    def apply(self, event: dict[str, Any]) -> None:
        """Apply one event, or count why it is refused."""
        bad = self.why_refused(event)
        if bad is not None:
            self.bad[bad] += 1
            return
        kind, symbol, order_id = event["kind"], event["symbol"], event["order_id"]
        if kind == Kind.ADD:
            self._insert(order_id, Order(symbol, event["side"], event["price_ticks"], event["size"]))
        elif kind in (Kind.CANCEL, Kind.EXECUTE):
            self._reduce(order_id, event["size"])
        elif kind == Kind.DELETE:
            self._reduce(order_id, self.orders[order_id].size)
        elif kind in (Kind.REPLACE, Kind.MODIFY):
            side = self.orders[order_id].side
            self._reduce(order_id, self.orders[order_id].size)
            new_id = event["new_order_id"] if kind == Kind.REPLACE else order_id
            self._insert(new_id, Order(symbol, side, event["price_ticks"], event["size"]))
        elif kind in (Kind.HALT, Kind.RESUME):
            self.halted[symbol] = kind == Kind.HALT
        elif kind == Kind.CLEAR:
            for known in [known for known, order in self.orders.items() if order.symbol == symbol]:
                self._reduce(known, self.orders[known].size)

    def why_refused(self, event: dict[str, Any]) -> Bad | None:
        """Return the first check that `event` fails, in the order of `Bad`."""
        kind, symbol, size = event["kind"], event["symbol"], event["size"]
        if kind not in list(Kind):
            return Bad.KIND
        if symbol >= self.symbols:
            return Bad.SYMBOL
        if kind == Kind.ADD and event["side"] not in list(Side):
            return Bad.SIDE
        if kind in NEEDS_PRICE and not 1 <= event["price_ticks"] <= MAX_PRICE_TICKS:
            return Bad.PRICE
        if kind in NEEDS_SIZE and not 1 <= size <= MAX_ORDER_SIZE:
            return Bad.SIZE
        order = self.orders.get(event["order_id"])
        if kind in NEEDS_ORDER and (order is None or order.symbol != symbol):
            return Bad.UNKNOWN_ID
        if kind in (Kind.ADD, Kind.REPLACE):
            new_id = event["order_id"] if kind == Kind.ADD else event["new_order_id"]
            if new_id == 0 or new_id in self.orders:
                return Bad.DUPLICATE_ID
        if kind in (Kind.CANCEL, Kind.EXECUTE) and order is not None and size > order.size:
            return Bad.OVER_SIZE
        if kind in NEEDS_PRICE and self._level_after(event, order) > MAX_LEVEL_SIZE:
            return Bad.LEVEL_FULL
        return None

    def _level_after(self, event: dict[str, Any], order: Order | None) -> int:
        """Return what the level that `event` adds to would sum to; `order`, if it is moved, leaves it first."""
        adding = event["kind"] == Kind.ADD
        side = event["side"] if adding or order is None else order.side
        total = self.levels[event["symbol"], side][event["price_ticks"]] + event["size"]
        if not adding and order is not None and order.price == event["price_ticks"]:
            total -= order.size
        return int(total)

    def _insert(self, order_id: int, order: Order) -> None:
        self.orders[order_id] = order
        self.levels[order.symbol, order.side][order.price] += order.size

    def _reduce(self, order_id: int, size: int) -> None:
        order = self.orders[order_id]
        levels = self.levels[order.symbol, order.side]
        order.size -= size
        levels[order.price] -= size
        if levels[order.price] == 0:
            del levels[order.price]
        if order.size == 0:
            del self.orders[order_id]

    def best(self, symbol: int) -> tuple[int, int, int, int]:
        """Return ``(bid_ticks, bid_size, ask_ticks, ask_size)``; 0 and 0 for an empty side."""
        bids, asks = self.levels[symbol, Side.BID], self.levels[symbol, Side.ASK]
        bid, ask = max(bids, default=0), min(asks, default=0)
        return bid, bids[bid] if bid else 0, ask, asks[ask] if ask else 0

    def depth(self, symbol: int, side: int, n: int) -> list[tuple[int, int]]:
        """Return the best `n` levels of one side as (price, size), best first."""
        levels = self.levels[symbol, side]
        return [(price, levels[price]) for price in sorted(levels, reverse=side == Side.BID)[:n]]

    def export_state(self) -> Canonical:
        """Return the canonical form, as every variant does."""
        orders = np.array(
            [
                (known, order.price, order.size, order.symbol, order.side)
                for known, order in sorted(self.orders.items())
            ],
            dtype=ORDER,
        )
        bad = np.array([self.bad[Bad(kind)] for kind in range(BAD_KINDS)], np.int64)
        return {"orders": orders, "bad": bad, "halted": np.array(self.halted, np.uint8)}
