"""The pipeline in plain Python, made of the references of its parts: the oracle of every choice of variants.

The parts that hold no opinion are left out: an order that is encoded, queued and decoded is the order, and a pool is a
set of free slots.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from kernels.catalog import Canonical
from kernels.messages import ORDER, Action, OrderType, Side, TimeInForce
from kernels.order_book.reference import Reference as Book
from kernels.risk_check._rules import Reason
from kernels.risk_check.reference import Reference as Risk
from kernels.signals._state import NAMES
from kernels.signals.reference import Reference as Signal
from kernels.tick_to_order._build import part_parameters
from kernels.tick_to_order._names import INDICATORS

RELEASED, CLOSED, FILLED = 8, 2, 4  # the bits of a request to the risk check, see `kernels.risk_check._rules`
WORD = 2**64 - 1
UNIT = 1 << 16


def checksum(orders: np.ndarray) -> int:
    """Return the checksum of ORDER `orders`, as the pipeline keeps it of all that it has sent (int64)."""
    table = orders.view(np.uint64).reshape(-1, ORDER.itemsize // 8)[:, :7].copy()
    table[:, 6] &= np.uint64(0xFFFF)  # the rest of that word is padding, which NumPy does not copy with a record
    found = 0
    for words in table.tolist():
        for word in words:
            mixed = (found ^ word) * 0x9E3779B97F4A7C15 & WORD
            found = mixed ^ (mixed >> 29)
    return found - 2**64 if found >> 63 else found


class Reference:
    """A pipeline built with the kernel's parameters; those that concern speed only are ignored.

    `tally` counts what became of the messages, by the names in `_layout.TALLY_NAMES`; `orders` are all that were sent;
    `positions` holds shares by account and symbol.
    """

    def __init__(self, **parameters: int):
        self.parameters = parameters
        self.book = Book(symbols=parameters["symbols"])
        self.signal = Signal(
            symbols=parameters["symbols"],
            window=parameters["window"],
            indicator=NAMES.index(INDICATORS[parameters["indicator"]]),
        )
        self.risk = Risk(**part_parameters("risk", parameters))
        self.free = parameters["pool_slots"]
        self.touch: dict[int, tuple[int, int, int, int]] = {}
        self.stance: dict[int, int] = {}
        self.open: dict[int, tuple[dict[str, int], int]] = {}  # by symbol: the order, and how much of it was there
        self.positions: Counter[tuple[int, int]] = Counter()
        self.tally: Counter[str] = Counter()
        self.orders: list[dict[str, int]] = []

    def replay(self, events: np.ndarray) -> np.ndarray:
        """Apply EVENT `events`; return the orders that they make, ORDER, as many rows as events: the rest is zero."""
        before = len(self.orders)
        for i in range(len(events)):
            self.apply(dict(zip(events.dtype.names or (), events[i].tolist(), strict=True)))
        out = np.zeros(len(events), ORDER)
        for row, order in zip(out, self.orders[before:], strict=False):
            for name, value in order.items():
                row[name] = value
        return out

    def apply(self, event: dict[str, Any]) -> None:
        """Take one message in."""
        self.tally["messages"] += 1
        self.book.apply(event)
        symbol = event["symbol"]
        if symbol >= self.parameters["symbols"]:
            return
        if symbol in self.open:
            self._answer(symbol)
        touch = self.book.best(symbol)
        if touch == self.touch.get(symbol, (0, 0, 0, 0)):
            return
        self.touch[symbol] = touch
        bid, _, ask, _ = touch
        if not 0 < bid < ask:
            return
        self.tally["ticks"] += 1
        price = float(bid + ask)
        value = self.signal.apply(symbol, (price,))[0]
        stance = self._stance(bid + ask, value)
        if stance not in (0, self.stance.get(symbol, 0)):
            self.stance[symbol] = stance
            self.tally["crossings"] += 1
            self._order(event, touch, Side.BID if stance > 0 else Side.ASK)

    def _stance(self, twice_mid: int, value: float) -> int:
        if not abs(value) < 2.0**46:
            return 0
        gap, edge = twice_mid * UNIT - math.floor(value * UNIT + 0.5), self.parameters["edge"] * UNIT // 16
        return (gap > edge) - (gap < -edge)

    def _order(self, event: dict[str, Any], touch: tuple[int, int, int, int], side: int) -> None:
        """Make the order of a crossing, or count why there is none. A buy has the side BID, as it would rest there."""
        symbol, size = event["symbol"], self.parameters["lot"]
        price, shown = touch[2:] if side == Side.BID else touch[:2]
        if self.book.halted[symbol]:
            self.tally["halted"] += 1
            return
        order = {
            "timestamp_ns": event["timestamp_ns"],
            "market_ns": event["timestamp_ns"],
            "order_id": self.tally["messages"],
            "price_ticks": price,
            "size": size,
            "account": symbol % self.parameters["accounts"],
            "symbol": symbol,
            "side": int(side),
            "order_type": int(OrderType.LIMIT),
            "time_in_force": int(TimeInForce.IMMEDIATE),
            "action": int(Action.NEW),
        }
        if self._request(order, order["side"], size, (touch[0] + touch[2]) >> 1) != Reason.ACCEPTED:
            self.tally["refused"] += 1
            return
        if not self.free:
            self.tally["no_slot"] += 1
            self._request(order, RELEASED | CLOSED | order["side"], size)
            return
        self.free -= 1
        self.orders.append(order)
        self.tally["sent"] += 1
        self.open[symbol] = order, min(size, shown)

    def _answer(self, symbol: int) -> None:
        order, filled = self.open.pop(symbol)
        gone = order["size"] - filled
        if filled:
            self._request(order, RELEASED | FILLED | order["side"] | (0 if gone else CLOSED), filled)
            self.positions[order["account"], symbol] += filled if order["side"] == Side.BID else -filled
        if gone:
            self._request(order, RELEASED | CLOSED | order["side"], gone)
        self.free += 1
        self.tally["answered"] += 1
        self.tally["filled"] += filled

    def _request(self, order: dict[str, int], action: int, size: int, reference_ticks: int = 0) -> Reason:
        return self.risk.apply(
            timestamp_ns=order["timestamp_ns"],
            price_ticks=order["price_ticks"],
            reference_ticks=reference_ticks,
            size=size,
            account=order["account"],
            action=action,
        )

    def export_state(self) -> Canonical:
        """Return the canonical forms of book, signal and risk check, as every variant has them among its own."""
        parts: dict[str, Any] = {"book": self.book, "signal": self.signal, "risk": self.risk}
        return {f"{part}.{name}": array for part, made in parts.items() for name, array in made.export_state().items()}
