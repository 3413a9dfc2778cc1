"""An account as two vectors, and a request as a third: what `simd` and `combined` share.

A row of eight numbers says what an account has used, another what it may use. A request is a third: what it adds to
each. One addition and one comparison tell whether it passes, and what it adds is looked up by its action, so that
orders and releases, buys and sells take the same instructions: nobody can guess which comes next. Time is made to count
from now, not below 0; no other number is negative. What falls below 0 is, as an unsigned number, above every limit:
one comparison finds both.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernels.machine import atomics
from kernels.machine.atomics import RELAXED
from kernels.machine.hints import opaque, unlikely
from kernels.machine.memory import aligned
from kernels.machine.vector import bits, load, mask_of, maximum, reinterpret, select, splat, store
from kernels.messages import MAX_ORDER_SIZE, MAX_PRICE_TICKS
from kernels.risk_check._rules import (
    ACCEPTED,
    ACTIONS,
    ALL_KILLED,
    BAD_ACTION,
    CLOSED,
    COLLAR_SHIFT,
    COLLAR_WIDTH,
    FILLED,
    KILLED,
    NOTIONAL,
    OPEN_ORDERS,
    OVER_RELEASE,
    POSITION,
    RATE,
    RELEASE_BIT,
    SELL,
    SIZE,
    bad_request,
    before_reserving,
    cold,
    hot,
    is_action,
)

LANES = 8  # of a row: one cache line
# Lanes in the order of the reasons that they give; the last, open shares, only for releases of more than is open.
SWITCH_LANE, SIZE_LANE, LONG_LANE, SHORT_LANE, NOTIONAL_LANE, ORDERS_LANE, NEXT_LANE, SHARES_LANE = range(LANES)
CHANGED = (1 << LANES) - 1 - (1 << SWITCH_LANE) - (1 << SIZE_LANE)  # lanes that a request that passes changes
RELEASED = (1 << NOTIONAL_LANE) | (1 << ORDERS_LANE) | (1 << SHARES_LANE)  # lanes that must not fall below zero
BIAS = 2**40  # added to long and short, which may be negative: no lane ever is
BOUNDLESS = 2**62
RELEASE_SHIFT = RELEASE_BIT.bit_length() - 1


class Tables(NamedTuple):
    """What an action adds and where; constant."""

    per_action: np.ndarray  # int64[8 * ACTIONS]: what an action adds whatever its size: orders and time
    lanes_of: np.ndarray  # uint8[2 * ACTIONS]: the lanes that take the size, those that are compared with their limit
    places: np.ndarray  # int64[8 + 1]: all bits in the lane of the time; the lane of the notional, as a bit


def new_rows(accounts: int) -> np.ndarray:
    """Return int64[8 * (accounts + 1)] on whole cache lines, zero: a row for each account and one for none."""
    return aligned((accounts + 1) * LANES, np.int64)


def new_tables(interval_ns: int) -> Tables:
    """Return what each action adds and compares."""
    tables = Tables(aligned(ACTIONS * LANES, np.int64), aligned(2 * ACTIONS, np.uint8), aligned(LANES + 1, np.int64))
    tables.places[[NEXT_LANE, LANES]] = -1, 1 << NOTIONAL_LANE
    for action in (0, 1, *range(RELEASE_BIT, ACTIONS)):
        new, sells, filled = action < RELEASE_BIT, action & SELL, bool(action & FILLED)
        side = SHORT_LANE if sells ^ filled else LONG_LANE
        tables.per_action[action * LANES + ORDERS_LANE] = 1 if new else -bool(action & CLOSED)
        tables.per_action[action * LANES + NEXT_LANE] = interval_ns if new else 0
        tables.lanes_of[action] = (1 << side) | (1 << SHARES_LANE) | (new << SIZE_LANE)
        compared = (SWITCH_LANE, SIZE_LANE, side, NOTIONAL_LANE, ORDERS_LANE, NEXT_LANE)
        tables.lanes_of[ACTIONS + action] = sum(1 << lane for lane in compared) if new else RELEASED
    return tables


def write_rows(state: Any, rows: np.ndarray) -> None:
    """Write `rows`, int64[accounts, 11] of the canonical form."""
    long, short, notional, orders, next_ns, killed, size, position, most_notional, most_open, burst = rows.T
    used, limits = state.used.reshape(-1, LANES)[:-1], state.limits.reshape(-1, LANES)[:-1]
    zeros = np.zeros_like(long)
    used[:] = np.stack([killed, zeros, long + BIAS, short + BIAS, notional, orders, next_ns, long + short], axis=1)
    room = position + BIAS
    limits[:] = np.stack([zeros, size, room, room, most_notional, most_open, burst, zeros + BOUNDLESS], axis=1)


def rows_of(state: Any) -> np.ndarray:
    """Return the rows of the canonical form, int64[accounts, 11]."""
    used, limits = state.used.reshape(-1, LANES)[:-1].T, state.limits.reshape(-1, LANES)[:-1].T
    columns = [used[LONG_LANE] - BIAS, used[SHORT_LANE] - BIAS]
    columns += [used[i] for i in (NOTIONAL_LANE, ORDERS_LANE, NEXT_LANE, SWITCH_LANE)]
    columns += [limits[SIZE_LANE], limits[LONG_LANE] - BIAS, limits[NOTIONAL_LANE], limits[ORDERS_LANE]]
    columns.append(limits[NEXT_LANE])
    return np.stack(columns, axis=1)


def reset(state: Any) -> None:
    """Forget what is open and what was refused; limits and switches stay."""
    used = state.used.reshape(-1, LANES)
    used[:, LONG_LANE:] = 0
    used[:, LONG_LANE : SHORT_LANE + 1] = BIAS
    state.refused[:] = 0


@hot
def accounts_of(state):
    """Return how many accounts there are."""
    return (state.used.shape[0] >> 3) - 1


@hot
def sign_of(action):
    """Return -1 for a release and 0 for an order; LLVM cannot make a branch of it."""
    return -opaque(np.int64(action) >> RELEASE_SHIFT)


@hot
def is_refused(state, action, account, price, size, reference, timestamp):
    """Return whether a request fails something that needs no account: `why_refused` says what, `change_of` is next.

    What only concerns orders becomes a number that is negative where it fails, and one comparison is made for all.
    """
    bad = np.uint64(account) >= np.uint64(accounts_of(state))  # a negative number is a large one
    bad |= np.uint64(price - 1) >= np.uint64(MAX_PRICE_TICKS)
    bad |= np.uint64(size - 1) >= np.uint64(MAX_ORDER_SIZE)
    inside = reference * state.control[COLLAR_WIDTH] - (abs(price - reference) << COLLAR_SHIFT)
    # RELAXED: the switch orders no other memory; an order that begins after the store is visible is refused.
    killed = -atomics.load(state.control, ALL_KILLED, RELAXED)
    failed = (inside | timestamp | (timestamp << 1) | killed) & ~sign_of(action)
    return bad | (failed < 0) | (not is_action(action))


@cold
def why_refused(state, action, account, price, size, reference, timestamp):
    """Return the reason that `is_refused` found: the switch, where that was turned off since."""
    if not is_action(action):
        return BAD_ACTION
    bad = bad_request(account, accounts_of(state), price, size)
    if bad != ACCEPTED:
        return bad
    # RELAXED: as above. The size is checked with the account: here it is within any limit.
    killed = atomics.load(state.used, np.uint64((account << 3) + SWITCH_LANE), RELAXED)
    reason = before_reserving(state.control, killed, MAX_ORDER_SIZE, price, size, reference, timestamp)
    return KILLED if reason == ACCEPTED else reason


@hot
def time_lane(state):
    """Return the vector that has all bits in the lane of the time."""
    return load(state.places, 0, LANES)


@hot
def notional_lane(state):
    """Return the mask of the lane of the notional."""
    return mask_of(state.places[LANES], LANES)


@hot
def change_of(state, action, size, notional, lane):
    """Return the vector that a request adds; size and notional of a release are negative. `lane`: `notional_lane`."""
    code = np.uint64(action)
    added = load(state.per_action, code << np.uint64(3), LANES)
    added = select(mask_of(np.int64(state.lanes_of[code]), LANES), size, added)
    return select(lane, notional, added)


@hot
def used_after(before, added, now):
    """Return what an account will have used, its time counted from now."""
    return maximum(before - now, 0) + added


@hot
def failed_lanes(state, action, row, after):
    """Return, as bits, the lanes that are above their limit and concern the action."""
    failed = bits(reinterpret(after, np.uint64) > reinterpret(load(state.limits, row, LANES), np.uint64))
    return failed & np.int64(state.lanes_of[np.uint64(action) + np.uint64(ACTIONS)])


@hot
def pass_account(state, action, row, added, timestamp):
    """Let a request pass the account in `row`, or not; return the lanes that do not let it. A release is at time 0."""
    now = splat(timestamp, np.int64, LANES) & time_lane(state)  # 0 leaves the account's time as it is
    before = load(state.used, row, LANES)
    after = used_after(before, added, now)
    failed = failed_lanes(state, action, row, after)
    if unlikely(failed != 0):
        return failed
    store(state.used, row, select(mask_of(CHANGED, LANES), after + now, before))
    return np.int64(0)


@cold
def reason_of(action, failed):
    """Return the `Reason` of the first of the lanes `failed`, of which there is one."""
    reason = RATE
    if failed & (1 << ORDERS_LANE):
        reason = OPEN_ORDERS
    if failed & (1 << NOTIONAL_LANE):
        reason = NOTIONAL
    if failed & ((1 << LONG_LANE) | (1 << SHORT_LANE)):
        reason = POSITION
    if failed & (1 << SIZE_LANE):
        reason = SIZE
    if failed & (1 << SWITCH_LANE):
        reason = KILLED
    return OVER_RELEASE if action >= RELEASE_BIT else reason
