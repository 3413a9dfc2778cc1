"""Positions in plain Python: the oracle that every variant must equal, fill by fill. Fractions where it divides."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np

from kernels.catalog import Canonical
from kernels.messages import MAX_ORDER_SIZE, MAX_PRICE_TICKS
from kernels.positions._fills import POSITION
from kernels.positions._rules import MAX_PROFIT, MAX_QUANTITY, REASONS, Reason
from kernels.positions._state import HELD

BUY, SELL, MARK = 0, 1, 2


@dataclass
class Position:
    """What an account holds of a symbol; `cash` is what all its fills brought in, for the tests."""

    quantity: int = 0
    cost: int = 0
    realised: int = 0
    cash: int = 0


class Reference:
    """Positions by (account, symbol); takes the kernel's parameters and ignores those that concern speed."""

    def __init__(self, accounts: int = 64, symbols: int = 1, **_ignored: int):
        self.accounts, self.symbols = accounts, symbols
        self.positions: dict[tuple[int, int], Position] = {}
        self.marks = [0] * symbols
        self.bad: Counter[Reason] = Counter()

    def replay(self, fills: Any) -> np.ndarray:
        """Work through `fills` (`kernels.positions._fills.Fills`); return the position after each, as POSITION."""
        out = np.zeros(len(fills.action), POSITION)
        for i, row in enumerate(zip(*(column.tolist() for column in fills), strict=True)):
            account, symbol, price, size, action = row
            reason = self.apply(account, symbol, price, size, action)
            if reason != Reason.ACCEPTED:
                self.bad[reason] += 1
            elif action != MARK:
                position = self.positions[account, symbol]
                out[i] = position.quantity, position.cost, position.realised
        return out

    def apply(self, account: int, symbol: int, price: int, size: int, action: int) -> Reason:
        """Do one fill or mark; return why it is refused."""
        if action not in (BUY, SELL, MARK):
            return Reason.BAD_ACTION
        if action != MARK and not 0 <= account < self.accounts:
            return Reason.BAD_ACCOUNT
        if not 0 <= symbol < self.symbols:
            return Reason.BAD_SYMBOL
        if not 1 <= price <= MAX_PRICE_TICKS:
            return Reason.BAD_PRICE
        if action == MARK:
            self.marks[symbol] = price
            return Reason.ACCEPTED
        if not 1 <= size <= MAX_ORDER_SIZE:
            return Reason.BAD_SIZE
        return self._fill(self.positions.setdefault((account, symbol), Position()), price, size, action)

    def _fill(self, position: Position, price: int, size: int, action: int) -> Reason:
        signed = size if action == BUY else -size
        if abs(position.quantity + signed) > MAX_QUANTITY:
            return Reason.POSITION_FULL
        quantity, cost, realised = position.quantity, position.cost, position.realised
        against = quantity * signed < 0
        closing = min(size, abs(quantity)) if against else 0
        if closing:
            taken = floor(Fraction(cost) * closing / abs(quantity))
            gain = closing * price - taken
            realised += gain if quantity > 0 else -gain
            cost -= taken
        if abs(realised) > MAX_PROFIT:
            return Reason.PROFIT_FULL
        position.quantity, position.realised = quantity + signed, realised
        position.cost = cost + (size - closing) * price
        position.cash -= signed * price
        return Reason.ACCEPTED

    def read(self, account: int, symbol: int) -> tuple[int, int, int, int]:
        """Return ``(quantity, cost, realised, unrealised)``; zeros for a position that never was."""
        held = self.positions.get((account, symbol), Position())
        sign = -1 if held.quantity < 0 else 1
        mark = self.marks[symbol]
        return held.quantity, held.cost, held.realised, held.quantity * mark - sign * held.cost if mark else 0

    def export_state(self) -> Canonical:
        """Return the canonical form, as every variant does."""
        rows = [(*key, p.quantity, p.cost, p.realised) for key, p in sorted(self.positions.items())]
        bad = np.array([self.bad[Reason(reason)] for reason in range(REASONS)], np.int64)
        return {"positions": np.array(rows, HELD), "marks": np.array(self.marks, np.int64), "bad": bad}
