"""The canonical form of the accounts, which every variant writes and reads, and two numbers packed into a word."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.catalog import Canonical
from kernels.risk_check._rules import (
    ALL_KILLED,
    MAX_TIME_NS,
    REASONS,
    STRIPE_SHIFT,
    STRIPES,
    hot,
    refused_by_reason,
)

ACCOUNT = np.dtype(
    [
        ("long", "<i8"),  # shares: position + open buys
        ("short", "<i8"),  # shares: open sells - position
        ("notional", "<i8"),  # ticks * shares of the open orders
        ("orders", "<i8"),  # how many are open
        ("next_ns", "<i8"),  # see `kernels.risk_check._rules`
        ("killed", "<i8"),  # 0 or 1
        ("size_limit", "<i8"),
        ("position_limit", "<i8"),
        ("notional_limit", "<i8"),
        ("open_limit", "<i8"),
        ("burst_ns", "<i8"),
    ]
)
"""One account of the canonical form, 88 bytes: the words of a plain row, in its order."""

MOST_POSITION = 2**30  # shares; two worst cases lie side by side in 64 bits
MOST_NOTIONAL = 2**43 - 1  # ticks times shares
MOST_OPEN = 2**20 - 1  # orders
MOST_BURST_NS = 2**61

OPEN_BITS = 20
OPEN_MASK = MOST_OPEN


@hot
def packed_sides(long, short):
    """Return two signed 32-bit numbers as one word, so made that adding words adds the numbers."""
    return (long << 32) + short


@hot
def unpacked_sides(word):
    """Return ``(long, short)`` of a word that `packed_sides` made or that was added to."""
    short = np.int64(np.int32(word & 0xFFFFFFFF))
    return (word - short) >> 32, short


def new_refused() -> np.ndarray:
    """Return the counts of refusals, all zero: ``STRIPES`` rows of 16 words."""
    from kernels.machine.memory import aligned

    return aligned(STRIPES << STRIPE_SHIFT, np.int64)


def canonical(accounts: np.ndarray, refused: np.ndarray, control: np.ndarray) -> Canonical:
    """Return the canonical form of `accounts`, int64[accounts, 11] in the order of `ACCOUNT`."""
    rows = np.ascontiguousarray(accounts, np.int64).view(ACCOUNT)[:, 0].copy()
    return {"accounts": rows, "refused": refused_by_reason(refused), "all_killed": control[:1].copy()}


def check_canonical(given: Canonical, accounts: int) -> np.ndarray:
    """Return the rows of `given` as int64[accounts, 11]. Raises ValueError for what is no state of so many accounts."""
    for name in ("accounts", "refused", "all_killed"):
        if name not in given:
            raise ValueError(f"risk_check: a canonical state has accounts, refused and all_killed, and no {name!r}")
    rows, refused = given["accounts"], given["refused"]
    if rows.dtype != ACCOUNT or rows.shape != (accounts,) or refused.shape != (REASONS,):
        raise ValueError(
            f"risk_check: canonical 'accounts' must be {accounts} rows of _state.ACCOUNT and 'refused' {REASONS} counts"
        )
    if given["all_killed"].shape != (1,) or np.any(refused < 0):
        raise ValueError("risk_check: canonical 'all_killed' must be one number and 'refused' must not be negative")
    limits = (("position_limit", MOST_POSITION), ("notional_limit", MOST_NOTIONAL), ("open_limit", MOST_OPEN))
    for name, most in (*limits, ("size_limit", MOST_POSITION), ("burst_ns", MOST_BURST_NS)):
        if np.any((rows[name] < 0) | (rows[name] > most)):
            raise ValueError(f"risk_check: {name} of an account must lie in 0 .. {most}")
    fits = (rows["long"] + rows["short"] >= 0) & (abs(rows["long"]) <= MOST_POSITION) & (rows["killed"] | 1 == 1)
    fits &= (abs(rows["short"]) <= MOST_POSITION) & (rows["notional"] >= 0) & (rows["notional"] <= MOST_NOTIONAL)
    fits &= (rows["orders"] >= 0) & (rows["orders"] <= MOST_OPEN)
    fits &= (rows["next_ns"] >= 0) & (rows["next_ns"] <= MAX_TIME_NS + MOST_BURST_NS)
    within = (rows["long"] <= rows["position_limit"]) & (rows["short"] <= rows["position_limit"])
    within &= (rows["notional"] <= rows["notional_limit"]) & (rows["orders"] <= rows["open_limit"])
    if not np.all(within):
        raise ValueError("risk_check: an account has more open than its limits allow: kill it until it has less")
    if not np.all(fits):
        raise ValueError("risk_check: an account of the canonical state has an exposure that no orders lead to")
    return np.ascontiguousarray(rows).view(np.int64).reshape(accounts, -1)


def restore_common(state: Any, given: Canonical) -> None:
    """Put back the counts of refusals and the switch of all accounts."""
    state.refused[:] = 0
    state.refused[:REASONS] = given["refused"]
    state.control[ALL_KILLED] = given["all_killed"][0]
