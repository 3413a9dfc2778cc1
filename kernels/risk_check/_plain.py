"""An account as a row of whole numbers, and the checks on it for one thread at a time: what `baseline` guards.

Also what `prepare` follows the market with, to know which orders would pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kernels.machine.hints import unlikely
from kernels.risk_check._rules import (
    ACCEPTED,
    BAD_ACTION,
    COLLAR_WIDTH,
    CONTROL_LENGTH,
    INTERVAL_NS,
    NOTIONAL,
    OPEN_ORDERS,
    OVER_RELEASE,
    POSITION,
    RATE,
    bad_request,
    before_reserving,
    hot,
)

# The words of a row, int64 each: 88 bytes, so most rows lie on two cache lines.
LONG, SHORT, NOTIONAL_OPEN, OPEN, NEXT_NS, KILLED = range(6)
SIZE_LIMIT, POSITION_LIMIT, NOTIONAL_LIMIT, OPEN_LIMIT, BURST_NS = range(6, 11)
FIELDS = 11


class PlainState(NamedTuple):
    """Accounts in rows, and what concerns all of them."""

    accounts: np.ndarray  # int64[accounts, FIELDS]
    control: np.ndarray  # int64[CONTROL_LENGTH]


def new_control(parameters: Mapping[str, int]) -> np.ndarray:
    """Return what concerns all accounts."""
    control = np.zeros(CONTROL_LENGTH, np.int64)
    control[COLLAR_WIDTH] = parameters["collar"]
    control[INTERVAL_NS] = parameters["interval_ns"]
    return control


def limits_of(parameters: Mapping[str, int]) -> dict[str, int]:
    """Return the limits that every account begins with, by the names of the canonical form."""
    return {
        "size_limit": parameters["order_size"],
        "position_limit": parameters["position"],
        "notional_limit": parameters["notional"],
        "open_limit": parameters["open_orders"],
        "burst_ns": parameters["burst"] * parameters["interval_ns"],
    }


def new_accounts(parameters: Mapping[str, int]) -> np.ndarray:
    """Return accounts that have nothing open."""
    accounts = np.zeros((parameters["accounts"], FIELDS), np.int64)
    accounts[:, SIZE_LIMIT:] = list(limits_of(parameters).values())
    return accounts


def allocate(parameters: Mapping[str, int]) -> PlainState:
    """Return accounts that have nothing open, without a lock."""
    return PlainState(new_accounts(parameters), new_control(parameters))


@hot
def check(state, account, side, price, size, reference, timestamp):
    """Check an order and reserve what it may come to; return a `Reason`."""
    if unlikely(np.uint64(side) > np.uint64(1)):
        return BAD_ACTION
    bad = bad_request(account, state.accounts.shape[0], price, size)
    if unlikely(bad != ACCEPTED):
        return bad
    row = state.accounts[np.uint64(account)]
    failed = before_reserving(state.control, row[KILLED], row[SIZE_LIMIT], price, size, reference, timestamp)
    if unlikely(failed != ACCEPTED):
        return failed
    worst, notional, orders = row[LONG + side] + size, row[NOTIONAL_OPEN] + price * size, row[OPEN] + 1
    next_ns = max(row[NEXT_NS], timestamp) + state.control[INTERVAL_NS]
    if unlikely(worst > row[POSITION_LIMIT]):
        return POSITION
    if unlikely(notional > row[NOTIONAL_LIMIT]):
        return NOTIONAL
    if unlikely(orders > row[OPEN_LIMIT]):
        return OPEN_ORDERS
    if unlikely(next_ns > timestamp + row[BURST_NS]):
        return RATE
    row[LONG + side], row[NOTIONAL_OPEN], row[OPEN], row[NEXT_NS] = worst, notional, orders, next_ns
    return ACCEPTED


@hot
def release(state, account, side, price, size, filled, closed):
    """Give back what an order had reserved; return a `Reason`."""
    bad = bad_request(account, state.accounts.shape[0], price, size)
    if unlikely(bad != ACCEPTED):
        return bad
    row = state.accounts[np.uint64(account)]
    notional, orders = row[NOTIONAL_OPEN] - price * size, row[OPEN] - (1 if closed else 0)
    if unlikely((row[LONG] + row[SHORT] < size) | (notional < 0) | (orders < 0)):
        return OVER_RELEASE
    row[LONG + (side ^ (1 if filled else 0))] -= size
    row[NOTIONAL_OPEN], row[OPEN] = notional, orders
    return ACCEPTED
