"""The lanes of `simd` under the lock of `aligned`: for any thread, and no guess between orders and releases.

The lock has a cache line of its own. On the line of the account it would be in the way: a vector that is loaded right
after one of its words was exchanged waits until that word has left the core's store buffer. It is taken by an exchange,
which needs no load before it, and opened by a plain store. A request is whole for all threads; a thread that loses its
core inside holds up that account until it is back, and the others nap. An account's three lines, where accounts are too
many for the caches, are three misses instead of the one of `aligned`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.machine import atomics
from kernels.machine.atomics import ACQUIRE, RELAXED, RELEASE
from kernels.machine.hints import pause, unlikely
from kernels.machine.sleep import sleep_us
from kernels.machine.vector import load, mask_of, select, splat, store
from kernels.marked import marked_point
from kernels.probe import count, start, stop
from kernels.risk_check import _lanes, _plain, _state
from kernels.risk_check._lanes import (
    BIAS,
    CHANGED,
    LANES,
    LONG_LANE,
    NOTIONAL_LANE,
    ORDERS_LANE,
    SHORT_LANE,
    SWITCH_LANE,
    change_of,
    failed_lanes,
    is_refused,
    notional_lane,
    reason_of,
    sign_of,
    time_lane,
    used_after,
    why_refused,
)
from kernels.risk_check._rules import (
    ACCEPTED,
    ALL_KILLED,
    BAD_ACTION,
    CLOSED,
    FILLED,
    LINES_TOUCHED,
    RELEASE_BIT,
    SPINS,
    cold,
    hot,
    public,
    tally,
)

PATIENCE = 256  # pauses before a waiting thread naps: the holder may have lost its core, perhaps to this very thread
NAP_US = 20


class CombinedState(NamedTuple):
    """Three lines for each account: what it has used, what it may use, and its lock."""

    used: np.ndarray  # int64[8 * (accounts + 1)] on whole cache lines, see `_lanes`
    limits: np.ndarray  # int64[8 * (accounts + 1)]
    control: np.ndarray  # int64[8]
    refused: np.ndarray  # int64[128], see `_rules.tally`
    per_action: np.ndarray  # see `_lanes.Tables`
    lanes_of: np.ndarray
    places: np.ndarray
    locks: np.ndarray  # int64[8 * (accounts + 1)]: the first word of a line is 1 while a thread is in the account


def allocate(parameters: Mapping[str, int]) -> CombinedState:
    """Return accounts that have nothing open."""
    state = CombinedState(
        _lanes.new_rows(parameters["accounts"]),
        _lanes.new_rows(parameters["accounts"]),
        _plain.new_control(parameters),
        _state.new_refused(),
        *_lanes.new_tables(parameters["interval_ns"]),
        locks=_lanes.new_rows(parameters["accounts"]),
    )
    _lanes.write_rows(state, _plain.new_accounts(parameters))
    return state


def reset(state: CombinedState) -> None:
    """Forget what is open and what was refused; limits and switches stay."""
    _lanes.reset(state)


@hot
def _lock(locks, row, probe):
    """Take the account in `row`."""
    # ACQUIRE: what the last holder wrote is seen. Nothing needs to be published by taking a lock.
    if unlikely(atomics.exchange(locks, row, 1, ACQUIRE) != 0):
        _wait_and_lock(locks, row, probe)


@cold
def _wait_and_lock(locks, row, probe):
    """Do as `_lock` where another thread was in the account."""
    turn = 0
    while True:
        # RELAXED: reading keeps the line shared; the exchange counts, and acquires as above
        if atomics.load(locks, row, RELAXED) == 0 and atomics.exchange(locks, row, 1, ACQUIRE) == 0:
            return
        if turn < PATIENCE:
            pause()
        else:
            sleep_us(NAP_US)
        turn += 1
        count(probe, SPINS, 1)


@hot
def _unlock(locks, row):
    """Give the account back."""
    atomics.store(locks, row, 0, RELEASE)  # RELEASE: what was written is there before the lock is open


@hot
def _pass_account(state, action, row, added, timestamp, probe, pauses):
    """Let a request pass the account in `row`, or not; return the lanes that do not let it. A release is at time 0."""
    now = splat(timestamp, np.int64, LANES) & time_lane(state)  # 0 leaves the account's time as it is
    _lock(state.locks, row, probe)
    before = load(state.used, row, LANES)
    marked_point(pauses)
    after = used_after(before, added, now)
    failed = failed_lanes(state, action, row, after)
    if unlikely(failed != 0):
        _unlock(state.locks, row)
        return failed
    store(state.used, row, select(mask_of(CHANGED, LANES), after + now, before))
    marked_point(pauses)
    _unlock(state.locks, row)
    return np.int64(0)


@hot
def _request(state, action, account, price, size, reference, timestamp, probe, pauses):
    """Do one order or release, as `action` says, and count it where it is refused; return a `Reason`."""
    count(probe, LINES_TOUCHED, 4)  # the account's three and the control block's
    if unlikely(is_refused(state, action, account, price, size, reference, timestamp)):
        reason = why_refused(state, action, account, price, size, reference, timestamp)
    else:
        sign = sign_of(action)
        signed, row = (size ^ sign) - sign, np.uint64(account) << np.uint64(3)
        added = change_of(state, action, signed, price * signed, notional_lane(state))
        failed = _pass_account(state, action, row, added, timestamp & ~sign, probe, pauses)
        if not unlikely(failed != 0):
            return np.int64(ACCEPTED)
        reason = reason_of(action, failed)
    tally(state.refused, account, reason, probe)
    return reason


@hot
def check_order(state, account, side, price_ticks, size, reference_ticks, timestamp_ns, probe, pauses):
    """Do as `check`, with a probe and, for tests, pauses at the marked points."""
    if unlikely(np.uint64(side) > np.uint64(1)):
        tally(state.refused, account, BAD_ACTION, probe)
        return np.int64(BAD_ACTION)
    return _request(state, side, account, price_ticks, size, reference_ticks, timestamp_ns, probe, pauses)


@hot
def release_order(state, account, side, price_ticks, size, filled, closed, probe, pauses):
    """Do as `release`, with a probe and pauses."""
    action = RELEASE_BIT | side | (FILLED if filled else 0) | (CLOSED if closed else 0)
    return _request(state, action, account, price_ticks, size, price_ticks, 0, probe, pauses)


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
    used, row = state.used, np.uint64(account) << np.uint64(3)
    _lock(state.locks, row, None)
    found = load(used, row, LANES)
    _unlock(state.locks, row)
    return found[LONG_LANE] - BIAS, found[SHORT_LANE] - BIAS, found[NOTIONAL_LANE], found[ORDERS_LANE]


@public
def kill(state, account, on):
    """Turn the switch of an account (-1: of all) on (1) or off (0): no order passes while it is on. Any thread."""
    if account < 0:
        atomics.store(state.control, ALL_KILLED, on, RELEASE)  # RELEASE: after whatever the caller did before
    else:
        row = np.uint64(account) << np.uint64(3)
        _lock(state.locks, row, None)
        atomics.store(state.used, row + np.uint64(SWITCH_LANE), on, RELAXED)  # RELAXED: the lock orders it
        _unlock(state.locks, row)


@kernel_jit(_nrt=False)
def replay(state, orders, out, begin, probe):
    """Work through the requests from `begin` on and write a `Reason` for each into `out`; return their number."""
    for i in range(begin, orders.action.shape[0]):
        at = np.uint64(i)  # unsigned: no access asks whether its index is negative
        stamp = start(probe)
        account, action = np.int64(orders.account[at]), np.int64(orders.action[at])
        price, size = np.int64(orders.price_ticks[at]), np.int64(orders.size[at])
        reference, timestamp = np.int64(orders.reference_ticks[at]), orders.timestamp_ns[at]
        out[at] = _request(state, action, account, price, size, reference, timestamp, probe, None)
        stop(probe, stamp)
    return orders.action.shape[0]


def export_state(state: CombinedState) -> Canonical:
    """Return the canonical form. Not while other threads work on it."""
    return _state.canonical(_lanes.rows_of(state), state.refused, state.control)


def import_state(state: CombinedState, canonical: Canonical) -> CombinedState:
    """Replace the content of `state`, limits too. Raises ValueError, changing nothing, when it does not fit."""
    _lanes.write_rows(state, _state.check_canonical(canonical, len(state.used) // LANES - 1))
    _state.restore_common(state, canonical)
    return state


VARIANT = Variant(
    name="combined",
    parent="aligned",
    idea="The lanes of `simd` under a lock for each account, on a line of its own: orders and releases are one path "
    "without a branch, for any thread.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=import_state,
)
