"""The check without a lock: each limit is reserved by compare-exchange, and given back when a later one refuses.

A word is compared with its limit before it is exchanged, so no word is ever above its limit, whatever the threads do.
Three locked instructions for an order that passes (sides, notional and orders, rate) are dearer than one mutex that
nobody else wants; where threads meet, none of them ever waits for another. While an order that will fail at a later
limit still holds an earlier one, another may be refused that would have passed a moment later: never the other way
round.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.machine import atomics
from kernels.machine.atomics import ACQ_REL, ACQUIRE, RELAXED, RELEASE
from kernels.machine.hints import unlikely
from kernels.marked import marked_point
from kernels.probe import count, start, stop
from kernels.risk_check import _packed, _plain, _state
from kernels.risk_check._packed import BURST_NS, KILLED_BIT, LIMITS, NEXT_NS, OPEN, SIDES, SIZES, SWITCH, room, step_of
from kernels.risk_check._rules import (
    ACCEPTED,
    ALL_KILLED,
    BAD_ACTION,
    CAS_RETRIES,
    CLOSED,
    FILLED,
    INTERVAL_NS,
    LINES_TOUCHED,
    NO_SIDE,
    NOTIONAL,
    OPEN_ORDERS,
    OVER_RELEASE,
    POSITION,
    RATE,
    RELEASE_BIT,
    ROLLBACKS,
    bad_request,
    before_reserving,
    hot,
    is_action,
    public,
    tally,
)
from kernels.risk_check._state import OPEN_BITS, OPEN_MASK, unpacked_sides

_ROW_BYTES = 8 * _packed.FIELDS


class LockFreeState(NamedTuple):
    """Accounts in rows of 56 bytes: the words of two accounts share most lines."""

    accounts: np.ndarray  # int64[accounts, FIELDS], see `_packed`
    control: np.ndarray  # int64[8]
    refused: np.ndarray  # int64[128], see `_rules.tally`


def allocate(parameters: Mapping[str, int]) -> LockFreeState:
    """Return accounts that have nothing open."""
    words = np.zeros((parameters["accounts"], _packed.FIELDS), np.int64)
    _packed.pack(_plain.new_accounts(parameters), words)
    return LockFreeState(words, _plain.new_control(parameters), _state.new_refused())


def reset(state: LockFreeState) -> None:
    """Forget what is open and what was refused; limits and switches stay."""
    state.accounts[:, SIDES : NEXT_NS + 1] = 0
    state.refused[:] = 0


# All compare-exchanges are ACQ_REL: whoever sees a reservation sees what was given back before it, in every word. The
# loads before them are RELAXED: what they saw is confirmed by the exchange, or read again.


@hot
def _reserve_side(words, at, side, size, limit, probe, pauses):
    """Add `size` to the worst case of `side`, if that stays within `limit`; return whether it does."""
    seen = atomics.load(words, (at, SIDES), RELAXED)
    while room(seen, side, limit) >= size:
        marked_point(pauses)
        seen, done = atomics.compare_exchange(words, (at, SIDES), seen, seen + step_of(side, size), ACQ_REL)
        if done:
            return True
        count(probe, CAS_RETRIES, 1)
    return False


@hot
def _reserve_open(words, at, notional, limits, probe, pauses):
    """Add an order worth `notional`, if both limits hold; return ACCEPTED or which does not."""
    seen = atomics.load(words, (at, OPEN), RELAXED)
    while True:
        if unlikely((seen >> OPEN_BITS) + notional > limits >> OPEN_BITS):
            return NOTIONAL
        if unlikely((seen & OPEN_MASK) + 1 > limits & OPEN_MASK):
            return OPEN_ORDERS
        marked_point(pauses)
        seen, done = atomics.compare_exchange(words, (at, OPEN), seen, seen + (notional << OPEN_BITS) + 1, ACQ_REL)
        if done:
            return ACCEPTED
        count(probe, CAS_RETRIES, 1)


@hot
def _reserve_message(words, at, timestamp, interval, burst, probe, pauses):
    """Move the account's rate on by one message, if its burst allows it; return whether it does."""
    seen = atomics.load(words, (at, NEXT_NS), RELAXED)
    while True:
        wanted = max(seen, timestamp) + interval
        if unlikely(wanted > timestamp + burst):
            return False
        marked_point(pauses)
        seen, done = atomics.compare_exchange(words, (at, NEXT_NS), seen, wanted, ACQ_REL)
        if done:
            return True
        count(probe, CAS_RETRIES, 1)


@hot
def _reserve(state, at, side, size, notional, timestamp, probe, pauses):
    """Reserve all that an order needs, or nothing; return the first limit that does not let it."""
    words = state.accounts
    if unlikely(not _reserve_side(words, at, side, size, words[at, SIZES] & 0xFFFFFFFF, probe, pauses)):
        return POSITION
    marked_point(pauses)
    failed = _reserve_open(words, at, notional, words[at, LIMITS], probe, pauses)
    if failed == ACCEPTED:
        marked_point(pauses)
        if _reserve_message(words, at, timestamp, state.control[INTERVAL_NS], words[at, BURST_NS], probe, pauses):
            return ACCEPTED
        # ACQ_REL: as above. What is added is taken off again, whatever others did to the word meanwhile.
        atomics.sub(words, (at, OPEN), (notional << OPEN_BITS) + 1, ACQ_REL)
        marked_point(pauses)
        failed = RATE
    atomics.sub(words, (at, SIDES), step_of(side, size), ACQ_REL)  # ACQ_REL: as above
    count(probe, ROLLBACKS, 1)
    return failed


@hot
def check_order(state, account, side, price_ticks, size, reference_ticks, timestamp_ns, probe, pauses):
    """Do as `check`, with a probe and, for tests, pauses at the marked points."""
    reason = BAD_ACTION
    if np.uint64(side) <= np.uint64(1):
        reason = bad_request(account, state.accounts.shape[0], price_ticks, size)
        if reason == ACCEPTED:
            at, words = np.uint64(account), state.accounts
            killed = atomics.load(words, (at, SWITCH), RELAXED)  # RELAXED: as for the switch of all
            most = words[at, SIZES] >> 32
            reason = before_reserving(state.control, killed, most, price_ticks, size, reference_ticks, timestamp_ns)
            if reason == ACCEPTED:
                reason = _reserve(state, at, side, size, price_ticks * size, timestamp_ns, probe, pauses)
    if unlikely(reason != ACCEPTED):
        tally(state.refused, account, reason, probe)
    _count_lines(account, probe)
    return reason


@hot
def release_order(state, account, side, price_ticks, size, filled, closed, probe, pauses):
    """Do as `release`, with a probe and pauses."""
    reason = bad_request(account, state.accounts.shape[0], price_ticks, size)
    if reason == ACCEPTED:
        reason = _give_back(
            state.accounts,
            np.uint64(account),
            side ^ (1 if filled else 0),
            size,
            price_ticks * size,
            1 if closed else 0,
            probe,
            pauses,
        )
    if unlikely(reason != ACCEPTED):
        tally(state.refused, account, reason, probe)
    _count_lines(account, probe)
    return reason


@hot
def _give_back(words, at, side, size, notional, orders, probe, pauses):
    """Take off what an order had reserved, or nothing where the account has less open than that.

    Both words are looked at before the first is changed. Only where two threads release more than there is, at the same
    moment, can the second word be found short after the first was changed: what was taken off then stays off, since
    another order may have used the room, and a limit is never passed.
    """
    long, short = unpacked_sides(atomics.load(words, (at, SIDES), RELAXED))
    seen = atomics.load(words, (at, OPEN), RELAXED)
    change = (notional << OPEN_BITS) + orders
    while (long + short >= size) & (seen >> OPEN_BITS >= notional) & (seen & OPEN_MASK >= orders):
        marked_point(pauses)
        seen, done = atomics.compare_exchange(words, (at, OPEN), seen, seen - change, ACQ_REL)
        if done:
            return _give_back_side(words, at, side, size, probe, pauses)
        count(probe, CAS_RETRIES, 1)
    return OVER_RELEASE


@hot
def _give_back_side(words, at, side, size, probe, pauses):
    """Take `size` off the worst case of `side`, if so much is open."""
    seen = atomics.load(words, (at, SIDES), RELAXED)
    long, short = unpacked_sides(seen)
    while long + short >= size:
        marked_point(pauses)
        seen, done = atomics.compare_exchange(words, (at, SIDES), seen, seen - step_of(side, size), ACQ_REL)
        if done:
            return ACCEPTED
        count(probe, CAS_RETRIES, 1)
        long, short = unpacked_sides(seen)
    return OVER_RELEASE


@hot
def _count_lines(account, probe):
    """Count the control block's line, and the one or two of the row."""
    first = np.int64(account) * _ROW_BYTES
    count(probe, LINES_TOUCHED, 2 + ((first + _ROW_BYTES - 1) >> 6) - (first >> 6))


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
    """Return ``(long, short, notional, orders)`` of an account. Any thread: each half is of one moment, not both."""
    at = np.uint64(account)
    # ACQUIRE: what is seen is at least as new as whatever told the caller to look.
    open_orders = atomics.load(state.accounts, (at, OPEN), ACQUIRE)
    long, short = unpacked_sides(atomics.load(state.accounts, (at, SIDES), ACQUIRE))
    return long, short, open_orders >> OPEN_BITS, open_orders & OPEN_MASK


@public
def kill(state, account, on):
    """Turn the switch of an account (-1: of all) on (1) or off (0): no order passes while it is on. Any thread."""
    # RELEASE: an order that is refused because of it is refused after whatever the caller did before.
    if account < 0:
        atomics.store(state.control, ALL_KILLED, on, RELEASE)
    else:
        atomics.store(state.accounts, (np.uint64(account), SWITCH), on * KILLED_BIT, RELEASE)


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


def export_state(state: LockFreeState) -> Canonical:
    """Return the canonical form. Not while other threads work on it."""
    return _state.canonical(_packed.unpacked(state.accounts), state.refused, state.control)


def import_state(state: LockFreeState, canonical: Canonical) -> LockFreeState:
    """Replace the content of `state`, limits too. Raises ValueError, changing nothing, when it does not fit."""
    _packed.pack(_state.check_canonical(canonical, len(state.accounts)), state.accounts)
    _state.restore_common(state, canonical)
    return state


VARIANT = Variant(
    name="lock_free",
    parent="baseline",
    idea="Each limit is reserved by compare-exchange on a word of its account and given back when a later one refuses: "
    "no thread waits for another, and no word is ever above its limit.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=import_state,
)
