"""An account's limits are the lanes of one vector: an order is checked against all of them at once, without a branch.

A row of eight numbers says what an account has used, another what it may use. An order is a third: what it adds to
each. One addition and one comparison tell whether it passes, and a blend decides what is stored. The requests of a
batch of 64 are first turned into such numbers, 8 or 16 at a time; then they pass one after the other, so that those of
one account see each other exactly as in the reference; then the reasons are written, 64 at a time.

With one lane for an order instead, each limit of 8 orders would have to be gathered: ten gathers, four scatters, and a
search for orders of one account. Nothing here depends on whether an order passes, so nothing can be guessed wrong. For
one thread: there is no lock and no atomic. Single requests, and the rest that is no whole batch, go one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.machine.bits import popcount
from kernels.machine.hints import choose, unlikely
from kernels.machine.memory import aligned
from kernels.machine.vector import (
    absolute,
    bits,
    convert,
    load,
    mask_of,
    maximum,
    reinterpret,
    select,
    splat,
    store,
)
from kernels.messages import MAX_ORDER_SIZE, MAX_PRICE_TICKS
from kernels.probe import count, start, stop
from kernels.risk_check import _plain, _state
from kernels.risk_check._rules import (
    ACCEPTED,
    ACTIONS,
    ALL_KILLED,
    BAD_ACCOUNT,
    BAD_ACTION,
    BAD_PRICE,
    BAD_SIZE,
    BAD_TIME,
    CLOSED,
    COLLAR,
    COLLAR_SHIFT,
    COLLAR_WIDTH,
    FILLED,
    INTERVAL_NS,
    KILLED,
    LINES_TOUCHED,
    NO_SIDE,
    NOTIONAL,
    OPEN_ORDERS,
    OVER_RELEASE,
    POSITION,
    RATE,
    REASONS,
    REFUSED,
    RELEASE_BIT,
    SELL,
    SIZE,
    bad_request,
    before_reserving,
    cold,
    hot,
    is_action,
    public,
    tally_alone,
)

LANES = 8  # of a row: one cache line
# Lanes in the order of the reasons that they give; the last, open shares, only for releases of more than is open.
SWITCH_LANE, SIZE_LANE, LONG_LANE, SHORT_LANE, NOTIONAL_LANE, ORDERS_LANE, NEXT_LANE, SHARES_LANE = range(LANES)
CHANGED = (1 << LANES) - 1 - (1 << SWITCH_LANE) - (1 << SIZE_LANE)  # lanes that a request that passes changes
RELEASED = (1 << NOTIONAL_LANE) | (1 << ORDERS_LANE) | (1 << SHARES_LANE)  # lanes that must not fall below zero
BIAS = 2**40  # added to long and short, which may be negative: no lane ever is
BOUNDLESS = 2**62
NONE = 0  # no reason yet
BATCH = 64
BATCHES = 7  # the word of `control` that says whether requests are taken in batches
WIDE = 16  # requests at a time where 32 bits are enough: one AVX-512 register


class SimdState(NamedTuple):
    """Two lines for each account, one for requests without a known account, and what a batch is turned into."""

    used: np.ndarray  # int64[8 * (accounts + 1)] on whole cache lines
    limits: np.ndarray  # int64[8 * (accounts + 1)]
    control: np.ndarray  # int64[8]; the word BATCHES is this variant's own
    refused: np.ndarray  # int64[128], see `_rules.tally_alone`
    per_action: np.ndarray  # int64[8 * ACTIONS]: what an action adds whatever its size: orders and time
    lanes_of: np.ndarray  # uint8[2 * ACTIONS]: the lanes that take the size, those that are compared with their limit
    places: np.ndarray  # int64[8 + 1]: all bits in the lane of the time; the lane of the notional, as a bit
    changes: np.ndarray  # int64[3 * BATCH]: signed size, signed notional, time of each request
    first: np.ndarray  # int32[2 * BATCH]: the reason that needs no account; where the account's row begins
    found: np.ndarray  # uint8[BATCH]: the lanes that are not within their limit


def allocate(parameters: Mapping[str, int]) -> SimdState:
    """Return accounts that have nothing open."""
    accounts = parameters["accounts"]
    state = SimdState(
        used=aligned((accounts + 1) * LANES, np.int64),
        limits=aligned((accounts + 1) * LANES, np.int64),
        control=_plain.new_control(parameters),
        refused=_state.new_refused(),
        per_action=aligned(ACTIONS * LANES, np.int64),
        lanes_of=aligned(2 * ACTIONS, np.uint8),
        places=aligned(LANES + 1, np.int64),
        changes=aligned(3 * BATCH, np.int64),
        first=aligned(2 * BATCH, np.int32),
        found=aligned(BATCH, np.uint8),
    )
    state.control[BATCHES] = parameters["batches"]
    state.places[[NEXT_LANE, LANES]] = -1, 1 << NOTIONAL_LANE
    for action in (0, 1, *range(RELEASE_BIT, ACTIONS)):
        _describe_action(state, action, parameters["interval_ns"])
    _write_rows(state, _plain.new_accounts(parameters))
    return state


def _describe_action(state: SimdState, action: int, interval_ns: int) -> None:
    new, sells, filled = action < RELEASE_BIT, action & SELL, bool(action & FILLED)
    side = SHORT_LANE if sells ^ filled else LONG_LANE
    state.per_action[action * LANES + ORDERS_LANE] = 1 if new else -bool(action & CLOSED)
    state.per_action[action * LANES + NEXT_LANE] = interval_ns if new else 0
    state.lanes_of[action] = (1 << side) | (1 << SHARES_LANE) | (new << SIZE_LANE)
    compared = (SWITCH_LANE, SIZE_LANE, side, NOTIONAL_LANE, ORDERS_LANE, NEXT_LANE)
    state.lanes_of[ACTIONS + action] = sum(1 << lane for lane in compared) if new else RELEASED


def _write_rows(state: SimdState, rows: np.ndarray) -> None:
    """Write `rows`, int64[accounts, 11] of the canonical form."""
    long, short, notional, orders, next_ns, killed, size, position, most_notional, most_open, burst = rows.T
    used, limits = state.used.reshape(-1, LANES)[:-1], state.limits.reshape(-1, LANES)[:-1]
    zeros = np.zeros_like(long)
    used[:] = np.stack([killed, zeros, long + BIAS, short + BIAS, notional, orders, next_ns, long + short], axis=1)
    room = position + BIAS
    limits[:] = np.stack([zeros, size, room, room, most_notional, most_open, burst, zeros + BOUNDLESS], axis=1)


def _rows(state: SimdState) -> np.ndarray:
    """Return the rows of the canonical form, int64[accounts, 11]."""
    used, limits = state.used.reshape(-1, LANES)[:-1].T, state.limits.reshape(-1, LANES)[:-1].T
    columns = [used[LONG_LANE] - BIAS, used[SHORT_LANE] - BIAS]
    columns += [used[i] for i in (NOTIONAL_LANE, ORDERS_LANE, NEXT_LANE, SWITCH_LANE)]
    columns += [limits[SIZE_LANE], limits[LONG_LANE] - BIAS, limits[NOTIONAL_LANE], limits[ORDERS_LANE]]
    columns.append(limits[NEXT_LANE])
    return np.stack(columns, axis=1)


def reset(state: SimdState) -> None:
    """Forget what is open and what was refused; limits and switches stay."""
    used = state.used.reshape(-1, LANES)
    used[:, LONG_LANE:] = 0
    used[:, LONG_LANE : SHORT_LANE + 1] = BIAS
    state.refused[:] = 0


@hot
def _first_checks(state, orders, i, at):
    """Write what the `WIDE` requests from `i` on fail before their account is looked at, and its row, from `at` on."""
    accounts, control = (state.used.shape[0] >> 3) - 1, state.control
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
    action = np.uint64(action & np.uint8(ACTIONS - 1))
    now = splat(state.changes[at + np.uint64(2 * BATCH)], np.int64, LANES) & time_ones
    added = load(state.per_action, action << np.uint64(3), LANES)
    added = select(mask_of(np.int64(state.lanes_of[action]), LANES), state.changes[at], added)
    added = select(notional, state.changes[at + np.uint64(BATCH)], added)
    before = load(state.used, row, LANES)
    # From here the time counts from now, not below 0; no other lane is negative. What falls below 0 is, as an unsigned
    # number, above every limit: one comparison finds both.
    after = maximum(before - now, 0) + added
    failed = bits(reinterpret(after, np.uint64) > reinterpret(load(state.limits, row, LANES), np.uint64))
    failed &= np.int64(state.lanes_of[action + np.uint64(ACTIONS)])
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
def _batch(state, orders, out, i, probe):
    """Work through the `BATCH` requests from `i` on."""
    for at in range(0, BATCH, WIDE):
        _first_checks(state, orders, i + at, at)
        _changes(state, orders, i + at, at)
        _changes(state, orders, i + at + LANES, at + LANES)
    time_ones, notional = load(state.places, 0, LANES), mask_of(state.places[LANES], LANES)
    for at in range(BATCH):
        _pass(state, orders.action[np.uint64(i + at)], at, time_ones, notional)
    _answer(state, orders, out, i, probe)
    count(probe, LINES_TOUCHED, 2 * BATCH + 1)


@public
def check(state, account, side, price_ticks, size, reference_ticks, timestamp_ns):
    """Check an order (side 0 buys, 1 sells) and reserve its exposure if it passes; return a `Reason`. One thread."""
    reason = _check_one(state, account, side, price_ticks, size, reference_ticks, timestamp_ns)
    if unlikely(reason != ACCEPTED):
        tally_alone(state.refused, account, reason, None)
    return reason


@hot
def _check_one(state, account, side, price, size, reference, timestamp):
    """Do as `check`, without counting."""
    if unlikely(np.uint64(side) > np.uint64(1)):
        return BAD_ACTION
    bad = bad_request(account, (state.used.shape[0] >> 3) - 1, price, size)
    if unlikely(bad != ACCEPTED):
        return bad
    used, limits, row = state.used, state.limits, np.int64(account) << 3
    most = limits[row + SIZE_LANE]
    failed = before_reserving(state.control, used[row + SWITCH_LANE], most, price, size, reference, timestamp)
    if unlikely(failed != ACCEPTED):
        return failed
    lane = row + LONG_LANE + side
    worst, notional = used[lane] + size, used[row + NOTIONAL_LANE] + price * size
    orders = used[row + ORDERS_LANE] + 1
    next_ns = max(used[row + NEXT_LANE], timestamp) + state.control[INTERVAL_NS]
    if unlikely(worst > limits[lane]):
        return POSITION
    if unlikely(notional > limits[row + NOTIONAL_LANE]):
        return NOTIONAL
    if unlikely(orders > limits[row + ORDERS_LANE]):
        return OPEN_ORDERS
    if unlikely(next_ns > timestamp + limits[row + NEXT_LANE]):
        return RATE
    used[lane], used[row + NOTIONAL_LANE], used[row + ORDERS_LANE] = worst, notional, orders
    used[row + NEXT_LANE] = next_ns
    used[row + SHARES_LANE] += size
    return ACCEPTED


@public
def release(state, account, side, price_ticks, size, filled, closed):
    """Give back `size` of an order that passed, at the order's price; return a `Reason`. One thread.

    `filled`: the size became position, else it was taken back; `closed`: nothing of the order is left.
    """
    reason = _release_one(state, account, side ^ (1 if filled else 0), price_ticks, size, 1 if closed else 0)
    if unlikely(reason != ACCEPTED):
        tally_alone(state.refused, account, reason, None)
    return reason


@hot
def _release_one(state, account, side, price, size, closed):
    """Do as `release`, without counting; `side` is the one whose worst case gets better."""
    bad = bad_request(account, (state.used.shape[0] >> 3) - 1, price, size)
    if unlikely(bad != ACCEPTED):
        return bad
    used, row = state.used, np.int64(account) << 3
    shares, notional = used[row + SHARES_LANE] - size, used[row + NOTIONAL_LANE] - price * size
    orders = used[row + ORDERS_LANE] - closed
    if unlikely((shares < 0) | (notional < 0) | (orders < 0)):
        return OVER_RELEASE
    used[row + LONG_LANE + side] -= size
    used[row + SHARES_LANE], used[row + NOTIONAL_LANE], used[row + ORDERS_LANE] = shares, notional, orders
    return ACCEPTED


@public
def exposure(state, account):
    """Return ``(long, short, notional, orders)`` of an account."""
    used, row = state.used, np.int64(account) << 3
    long, short = used[row + LONG_LANE] - BIAS, used[row + SHORT_LANE] - BIAS
    return long, short, used[row + NOTIONAL_LANE], used[row + ORDERS_LANE]


@public
def kill(state, account, on):
    """Turn the switch of an account (-1: of all) on (1) or off (0): no order passes while it is on."""
    if account < 0:
        state.control[ALL_KILLED] = on
    else:
        state.used[(np.int64(account) << 3) + SWITCH_LANE] = on


@kernel_jit(_nrt=False)
def replay(state, orders, out, begin, probe):
    """Work through the requests from `begin` on and write a `Reason` for each into `out`; return their number."""
    i, end = begin, orders.action.shape[0]
    while end - i >= BATCH and state.control[BATCHES] != 0:
        stamp = start(probe)
        _batch(state, orders, out, i, probe)
        stop(probe, stamp)
        i += BATCH
    while i < end:
        stamp = start(probe)
        out[i] = _one(state, orders, i, probe)
        stop(probe, stamp)
        i += 1
    return end


@hot
def _one(state, orders, i, probe):
    """Work through one request of the rest that is no batch."""
    account, action = np.int64(orders.account[i]), np.int64(orders.action[i])
    price, size = np.int64(orders.price_ticks[i]), np.int64(orders.size[i])
    if action >= RELEASE_BIT and is_action(action):
        side = (action ^ (action >> 2)) & 1
        reason = _release_one(state, account, side, price, size, (action & CLOSED) >> 1)
    else:
        reference, timestamp = np.int64(orders.reference_ticks[i]), orders.timestamp_ns[i]
        side = action if is_action(action) else NO_SIDE
        reason = _check_one(state, account, side, price, size, reference, timestamp)
    if reason != ACCEPTED:
        tally_alone(state.refused, account, reason, probe)
    count(probe, LINES_TOUCHED, 3)
    return reason


def export_state(state: SimdState) -> Canonical:
    """Return the canonical form."""
    return _state.canonical(_rows(state), state.refused, state.control)


def import_state(state: SimdState, canonical: Canonical) -> SimdState:
    """Replace the content of `state`, limits too. Raises ValueError, changing nothing, when it does not fit."""
    _write_rows(state, _state.check_canonical(canonical, len(state.used) // LANES - 1))
    _state.restore_common(state, canonical)
    return state


VARIANT = Variant(
    name="simd",
    parent="baseline",
    idea="An account's limits are the lanes of a vector, an order is one addition and one comparison without a branch, "
    "and what needs no account is checked 16 orders at a time. For one thread: without a lock.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=import_state,
    refuses=lambda parameters: "it is for one thread: build it with threads=1" if parameters["threads"] > 1 else None,
)
