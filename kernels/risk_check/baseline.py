"""The check that a competent engineer writes first: an array of structs behind one pthread mutex."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.machine.locks import mutex_lock, mutex_unlock, new_mutex
from kernels.probe import count, start, stop
from kernels.risk_check import _plain, _state
from kernels.risk_check._plain import KILLED, LONG, NEXT_NS, NOTIONAL_OPEN, OPEN, SHORT
from kernels.risk_check._rules import (
    ACCEPTED,
    ALL_KILLED,
    CLOSED,
    FILLED,
    LINES_TOUCHED,
    NO_SIDE,
    RELEASE_BIT,
    hot,
    is_action,
    public,
    tally_alone,
)

_ROW_BYTES = 8 * _plain.FIELDS


class BaselineState(NamedTuple):
    """Accounts in rows of 88 bytes, and one lock for all of them."""

    accounts: np.ndarray  # int64[accounts, FIELDS], see `_plain`
    control: np.ndarray  # int64[8]
    refused: np.ndarray  # int64[128], see `_rules.tally_alone`
    mutex: np.ndarray  # uint8[64]: a pthread_mutex_t


def allocate(parameters: Mapping[str, int]) -> BaselineState:
    """Return accounts that have nothing open."""
    return BaselineState(
        _plain.new_accounts(parameters), _plain.new_control(parameters), _state.new_refused(), new_mutex()
    )


def reset(state: BaselineState) -> None:
    """Forget what is open and what was refused; limits and switches stay."""
    state.accounts[:, LONG : NEXT_NS + 1] = 0
    state.refused[:] = 0


@hot
def check_order(state, account, side, price_ticks, size, reference_ticks, timestamp_ns, probe, pauses):
    """Do as `check`, with a probe and, for tests, pauses at the marked points (a holder of the mutex needs none)."""
    mutex_lock(state.mutex)
    reason = _plain.check(state, account, side, price_ticks, size, reference_ticks, timestamp_ns)
    if reason != ACCEPTED:
        tally_alone(state.refused, account, reason, probe)
    mutex_unlock(state.mutex)
    _count_lines(account, probe)
    return reason


@hot
def release_order(state, account, side, price_ticks, size, filled, closed, probe, pauses):
    """Do as `release`, with a probe and pauses."""
    mutex_lock(state.mutex)
    reason = _plain.release(state, account, side, price_ticks, size, filled, closed)
    if reason != ACCEPTED:
        tally_alone(state.refused, account, reason, probe)
    mutex_unlock(state.mutex)
    _count_lines(account, probe)
    return reason


@hot
def _count_lines(account, probe):
    """Count the mutex's line, the control block's, and the one or two of the row."""
    first = np.int64(account) * _ROW_BYTES
    count(probe, LINES_TOUCHED, 3 + ((first + _ROW_BYTES - 1) >> 6) - (first >> 6))


@public
def check(state, account, side, price_ticks, size, reference_ticks, timestamp_ns):
    """Check an order (side 0 buys, 1 sells) and reserve its exposure if it passes; return a `Reason`. Any thread."""
    return check_order(state, account, side, price_ticks, size, reference_ticks, timestamp_ns, None, None)


@public
def release(state, account, side, price_ticks, size, filled, closed):
    """Give back `size` of an order that passed, at the order's price; return a `Reason`. Any thread.

    `filled`: the size became position, else it was taken back; `closed`: nothing of the order is left.
    """
    return release_order(state, account, side, price_ticks, size, filled, closed, None, None)


@public
def exposure(state, account):
    """Return ``(long, short, notional, orders)`` of an account, of one moment. Any thread."""
    mutex_lock(state.mutex)
    row = state.accounts[np.uint64(account)]
    found = (row[LONG], row[SHORT], row[NOTIONAL_OPEN], row[OPEN])
    mutex_unlock(state.mutex)
    return found


@public
def kill(state, account, on):
    """Turn the switch of an account (-1: of all) on (1) or off (0): no order passes while it is on. Any thread."""
    mutex_lock(state.mutex)
    if account < 0:
        state.control[ALL_KILLED] = on
    else:
        state.accounts[np.uint64(account), KILLED] = on
    mutex_unlock(state.mutex)


@kernel_jit(_nrt=False)
def replay(state, orders, out, begin, probe):
    """Work through the requests from `begin` on and write a `Reason` for each into `out`; return their number."""
    for i in range(begin, orders.action.shape[0]):
        at = np.uint64(i)  # unsigned: no access asks whether its index is negative
        stamp = start(probe)
        account, action = np.int64(orders.account[at]), np.int64(orders.action[at])
        price, size = np.int64(orders.price_ticks[at]), np.int64(orders.size[at])
        if action >= RELEASE_BIT and is_action(action):
            filled, closed = action & FILLED != 0, action & CLOSED != 0
            out[at] = release_order(state, account, action & 1, price, size, filled, closed, probe, None)
        else:
            side = action if is_action(action) else NO_SIDE
            reference, timestamp = np.int64(orders.reference_ticks[at]), orders.timestamp_ns[at]
            out[at] = check_order(state, account, side, price, size, reference, timestamp, probe, None)
        stop(probe, stamp)
    return orders.action.shape[0]


def export_state(state: BaselineState) -> Canonical:
    """Return the canonical form."""
    return _state.canonical(state.accounts, state.refused, state.control)


def import_state(state: BaselineState, canonical: Canonical) -> BaselineState:
    """Replace the content of `state`, limits too. Raises ValueError, changing nothing, when it does not fit."""
    state.accounts[:] = _state.check_canonical(canonical, len(state.accounts))
    _state.restore_common(state, canonical)
    return state


VARIANT = Variant(
    name="baseline",
    parent=None,
    idea="An array of structs, and one pthread mutex around each request.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=import_state,
)
