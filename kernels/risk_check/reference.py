"""The pre-trade check in plain Python: the oracle that every variant must equal, request by request.

It keeps position, open buys and open sells apart, where the variants keep worst cases.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.catalog import Canonical
from kernels.messages import MAX_ORDER_SIZE, MAX_PRICE_TICKS
from kernels.risk_check._plain import limits_of
from kernels.risk_check._rules import COLLAR_SHIFT, MAX_TIME_NS, REASONS, Reason
from kernels.risk_check._state import ACCOUNT

BUY, SELL = 0, 1


@dataclass
class Account:
    """What one account has open, and its limits."""

    size_limit: int
    position_limit: int
    notional_limit: int
    open_limit: int
    burst_ns: int
    killed: int = 0
    position: int = 0
    open_buys: int = 0
    open_sells: int = 0
    notional: int = 0
    orders: int = 0
    next_ns: int = 0

    def worst(self, side: int) -> int:
        """Return the position in the direction of `side` if every open order of that side is filled, no other."""
        return self.position + self.open_buys if side == BUY else self.open_sells - self.position


class Reference:
    """The accounts of a `risk_check`; takes the kernel's parameters."""

    def __init__(self, **parameters: int):
        limits = limits_of(parameters)
        self.accounts = [Account(**limits) for _ in range(parameters["accounts"])]
        self.collar, self.interval_ns = parameters["collar"], parameters["interval_ns"]
        self.all_killed = False
        self.refused: Counter[Reason] = Counter()

    def replay(self, orders: Any) -> np.ndarray:
        """Work through `orders` (`kernels.risk_check._orders.Orders`); return a `Reason` for each, uint8."""
        rows = zip(*(column.tolist() for column in orders), strict=True)
        names = orders._fields
        return np.array([self.apply(**dict(zip(names, row, strict=True))) for row in rows], np.uint8)

    def apply(self, **request: int) -> Reason:
        """Do one request and count it where it is refused."""
        action = request["action"]
        if action in (BUY, SELL):
            reason = self.why_not(request)
            if reason == Reason.ACCEPTED:
                self._reserve(request)
        elif 8 <= action < 16:
            reason = self._release(request)
        else:
            reason = Reason.BAD_ACTION
        if reason != Reason.ACCEPTED:
            self.refused[reason] += 1
        return reason

    def _why_bad(self, request: dict[str, int]) -> Reason:
        if not 0 <= request["account"] < len(self.accounts):
            return Reason.BAD_ACCOUNT
        if not 1 <= request["price_ticks"] <= MAX_PRICE_TICKS:
            return Reason.BAD_PRICE
        if not 1 <= request["size"] <= MAX_ORDER_SIZE:
            return Reason.BAD_SIZE
        return Reason.ACCEPTED

    def why_not(self, request: dict[str, int]) -> Reason:
        """Return the first check that a new order fails, in the order of `Reason`."""
        bad = self._why_bad(request)
        if bad != Reason.ACCEPTED:
            return bad
        now, price, size = request["timestamp_ns"], request["price_ticks"], request["size"]
        if not 0 <= now <= MAX_TIME_NS:
            return Reason.BAD_TIME
        account = self.accounts[request["account"]]
        if self.all_killed or account.killed:
            return Reason.KILLED
        if abs(price - request["reference_ticks"]) * 2**COLLAR_SHIFT > request["reference_ticks"] * self.collar:
            return Reason.COLLAR
        if size > account.size_limit:
            return Reason.SIZE
        if account.worst(request["action"]) + size > account.position_limit:
            return Reason.POSITION
        if account.notional + price * size > account.notional_limit:
            return Reason.NOTIONAL
        if account.orders + 1 > account.open_limit:
            return Reason.OPEN_ORDERS
        if max(account.next_ns, now) + self.interval_ns > now + account.burst_ns:
            return Reason.RATE
        return Reason.ACCEPTED

    def _reserve(self, request: dict[str, int]) -> None:
        account, size = self.accounts[request["account"]], request["size"]
        if request["action"] == BUY:
            account.open_buys += size
        else:
            account.open_sells += size
        account.notional += request["price_ticks"] * size
        account.orders += 1
        account.next_ns = max(account.next_ns, request["timestamp_ns"]) + self.interval_ns

    def _release(self, request: dict[str, int]) -> Reason:
        bad = self._why_bad(request)
        if bad != Reason.ACCEPTED:
            return bad
        account, size, action = self.accounts[request["account"]], request["size"], request["action"]
        closed, filled, sells = bool(action & 2), bool(action & 4), bool(action & 1)
        notional = request["price_ticks"] * size
        open_size = account.open_buys + account.open_sells
        if open_size < size or account.notional < notional or account.orders < closed:
            return Reason.OVER_RELEASE
        if sells:
            account.open_sells -= size
        else:
            account.open_buys -= size
        account.notional -= notional
        account.orders -= closed
        if filled:
            account.position += -size if sells else size
        return Reason.ACCEPTED

    def export_state(self) -> Canonical:
        """Return the canonical form, as every variant does."""
        accounts = np.zeros(len(self.accounts), ACCOUNT)
        for row, account in zip(accounts, self.accounts, strict=True):
            row["long"], row["short"] = account.worst(BUY), account.worst(SELL)
            for name in ACCOUNT.names or ():
                if name not in ("long", "short"):
                    row[name] = getattr(account, name)
        refused = np.array([self.refused[Reason(reason)] for reason in range(REASONS)], np.int64)
        return {"accounts": accounts, "refused": refused, "all_killed": np.array([self.all_killed], np.int64)}
