"""A batch of requests in `simd`: what needs no account 16 at a time, then each request, then all the reasons."""

from __future__ import annotations

import numpy as np

from kernels.machine.bits import popcount
from kernels.machine.hints import choose, unlikely
from kernels.machine.prefetch import prefetch_read, prefetch_write
from kernels.machine.vector import absolute, bits, convert, load, mask_of, select, splat, store
from kernels.messages import MAX_ORDER_SIZE, MAX_PRICE_TICKS
from kernels.probe import count
from kernels.risk_check._lanes import (
    CHANGED,
    LANES,
    LONG_LANE,
    NEXT_LANE,
    NOTIONAL_LANE,
    ORDERS_LANE,
    SHORT_LANE,
    SIZE_LANE,
    SWITCH_LANE,
    accounts_of,
    change_of,
    failed_lanes,
    notional_lane,
    time_lane,
    used_after,
)
from kernels.risk_check._rules import (
    ACTIONS,
    ALL_KILLED,
    BAD_ACCOUNT,
    BAD_ACTION,
    BAD_PRICE,
    BAD_SIZE,
    BAD_TIME,
    COLLAR,
    COLLAR_SHIFT,
    COLLAR_WIDTH,
    KILLED,
    LINES_TOUCHED,
    NOTIONAL,
    OPEN_ORDERS,
    OVER_RELEASE,
    POSITION,
    RATE,
    REASONS,
    REFUSED,
    RELEASE_BIT,
    SIZE,
    cold,
    hot,
)

BATCH = 64
WIDE = 16  # requests at a time where 32 bits are enough: one AVX-512 register
NONE = 0  # no reason yet
FAR = 2**15  # accounts whose lines lie so far away that asking for all of a batch beforehand pays: 4 MiB


@hot
def _first_checks(state, orders, i, at):
    """Write what the `WIDE` requests from `i` on fail before their account is looked at, and its row, from `at` on."""
    accounts, control = accounts_of(state), state.control
    price, size, account = load(orders.price_ticks, i, WIDE), load(orders.size, i, WIDE), load(orders.account, i, WIDE)
    reference, action = load(orders.reference_ticks, i, WIDE), convert(load(orders.action, i, WIDE), np.int32)
    new = action < 2
    # distance * 1024 > reference * width, in 32 bits: the distance is whole, so the product's fraction is none of it
    width = np.int32(control[COLLAR_WIDTH])
    below = ((reference & ((1 << COLLAR_SHIFT) - 1)) * width) >> COLLAR_SHIFT
    far = absolute(price - reference) > (reference >> COLLAR_SHIFT) * width + below
    failed = select(new & (far | (reference < 1)), COLLAR, splat(NONE, np.int32, WIDE))
    switched = mask_of(-1 if control[ALL_KILLED] != 0 else 0, WIDE)
    failed = select(new & switched, KILLED, failed)
    failed = select(new & mask_of(_bad_times(orders, i), WIDE), BAD_TIME, failed)
    failed = select((size < 1) | (size > MAX_ORDER_SIZE), BAD_SIZE, failed)
    failed = select((price < 1) | (price > MAX_PRICE_TICKS), BAD_PRICE, failed)
    failed = select((account < 0) | (account >= accounts), BAD_ACCOUNT, failed)
    known = new | ((action >= RELEASE_BIT) & (action < ACTIONS))
    failed = select(~known, BAD_ACTION, failed)
    store(state.first, at, failed)
    # What has failed goes to the row of no account: whatever happens to that one concerns nobody.
    store(state.first, BATCH + at, select(failed == NONE, account, accounts) << 3)


@hot
def _bad_times(orders, i):
    """Return a bit for each of the `WIDE` timestamps from `i` on that is out of range."""
    low = bits((load(orders.timestamp_ns, i, LANES) >> 62) != 0)
    return low | (bits((load(orders.timestamp_ns, i + LANES, LANES) >> 62) != 0) << LANES)


@hot
def _changes(state, orders, i, at):
    """Write what the `LANES` requests from `i` on add to size lanes, to the notional and to the time, from `at` on."""
    price = convert(load(orders.price_ticks, i, LANES), np.int64)
    size = convert(load(orders.size, i, LANES), np.int64)
    releasing = convert(load(orders.action, i, LANES), np.int64) > 1
    signed = select(releasing, 0 - size, size)
    store(state.changes, at, signed)
    store(state.changes, BATCH + at, price * signed)
    # A time of 0 leaves an account's as it is: `maximum` with what never is below 0.
    store(state.changes, 2 * BATCH + at, select(releasing, 0, load(orders.timestamp_ns, i, LANES)))


@hot
def _pass(state, action, at, time_ones, notional):
    """Let request number `at` of the batch pass its account, or not; note which lanes did not let it. No branch."""
    at, row = np.uint64(at), np.uint64(state.first[np.uint64(at + BATCH)])
    action = action & np.uint8(ACTIONS - 1)
    now = splat(state.changes[at + np.uint64(2 * BATCH)], np.int64, LANES) & time_ones
    added = change_of(state, action, state.changes[at], state.changes[at + np.uint64(BATCH)], notional)
    before = load(state.used, row, LANES)
    after = used_after(before, added, now)
    failed = failed_lanes(state, action, row, after)
    state.found[at] = failed
    taken = choose(failed == 0, CHANGED, 0)
    store(state.used, row, select(mask_of(taken, LANES), after + now, before))


@hot
def _answer(state, orders, out, i, probe):
    """Write the reasons of the batch from request `i` on, and count the refusals."""
    failed = load(state.found, 0, BATCH)
    reason = select(failed & (1 << NEXT_LANE) != 0, RATE, splat(NONE, np.uint8, BATCH))
    reason = select(failed & (1 << ORDERS_LANE) != 0, OPEN_ORDERS, reason)
    reason = select(failed & (1 << NOTIONAL_LANE) != 0, NOTIONAL, reason)
    reason = select(failed & ((1 << LONG_LANE) | (1 << SHORT_LANE)) != 0, POSITION, reason)
    reason = select(failed & (1 << SIZE_LANE) != 0, SIZE, reason)
    reason = select(failed & (1 << SWITCH_LANE) != 0, KILLED, reason)
    reason = select((failed != 0) & (load(orders.action, i, BATCH) >= RELEASE_BIT), OVER_RELEASE, reason)
    first = convert(load(state.first, 0, BATCH), np.uint8)
    reason = select(first != NONE, first, reason)
    store(out, i, reason)
    if bits(reason == COLLAR) != 0:
        reason = _killed_before_collar(state, orders, out, i)
    for each in range(1, REASONS):
        refused = popcount(bits(reason == each))
        state.refused[each] += refused
        count(probe, REFUSED + each, refused)


@cold
def _look_at_switches(state, orders, out, i):
    """Say KILLED where the collar was found out before the account's switch could be looked at."""
    for at in range(i, i + BATCH):
        if out[at] == COLLAR and state.used[(np.int64(orders.account[at]) << 3) + SWITCH_LANE] != 0:
            out[at] = KILLED


@hot
def _killed_before_collar(state, orders, out, i):
    """Return the reasons of a batch after `_look_at_switches`."""
    _look_at_switches(state, orders, out, i)
    return load(out, i, BATCH)


@hot
def _ask_for_rows(state):
    """Fetch the lines of the batch's accounts."""
    for at in range(BATCH):
        row = np.uint64(state.first[np.uint64(at + BATCH)])
        prefetch_write(state.used, row)
        prefetch_read(state.limits, row)


@hot
def pass_batch(state, orders, out, i, probe):
    """Work through the `BATCH` requests from `i` on."""
    for at in range(0, BATCH, WIDE):
        _first_checks(state, orders, i + at, at)
        _changes(state, orders, i + at, at)
        _changes(state, orders, i + at + LANES, at + LANES)
    if unlikely(accounts_of(state) > FAR):
        _ask_for_rows(state)
    time_ones, notional = time_lane(state), notional_lane(state)
    for at in range(BATCH):
        _pass(state, orders.action[np.uint64(i + at)], at, time_ones, notional)
    _answer(state, orders, out, i, probe)
    count(probe, LINES_TOUCHED, 2 * BATCH + 1)
