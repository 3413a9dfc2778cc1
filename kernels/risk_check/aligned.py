"""An account is one cache line: its words, its limits and its lock, so that a request takes one line once.

The three compare-exchanges of `lock_free` become one, which locks the account; the rest are plain loads and stores of
the same line, and the lock is opened by a plain store. A request is whole for all threads: no order is ever refused
because another one was about to fail. Threads wait only for one that is at the same account, some nanoseconds; one
that loses its core inside holds up that account until it is back, and the others nap. The lines of later requests are
fetched ahead, for writing, which hides the way from another core.
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
from kernels.machine.memory import aligned
from kernels.machine.prefetch import prefetch_write
from kernels.machine.sleep import sleep_us
from kernels.marked import marked_point
from kernels.probe import count, start, stop
from kernels.risk_check import _packed, _plain, _state
from kernels.risk_check._packed import (
    BURST_NS,
    KILLED_BIT,
    LIMITS,
    LOCKED_BIT,
    NEXT_NS,
    OPEN,
    SIDES,
    SIZES,
    SWITCH,
    room,
    step_of,
)
from kernels.risk_check._rules import (
    ACCEPTED,
    ALL_KILLED,
    BAD_ACTION,
    CLOSED,
    CONTROL_LENGTH,
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
    SPINS,
    bad_request,
    before_reserving,
    cold,
    hot,
    is_action,
    public,
    tally,
)
from kernels.risk_check._state import OPEN_BITS, OPEN_MASK, unpacked_sides

WORDS = 8  # of a line
AHEAD = 8  # requests: far enough for a line to come from the other core
PATIENCE = 256  # pauses before a waiting thread naps: the holder may have lost its core, perhaps to this very thread
NAP_US = 20


class AlignedState(NamedTuple):
    """One line for each account."""

    accounts: np.ndarray  # int64[accounts, 8] on whole cache lines, see `_packed`
    control: np.ndarray  # int64[8]
    refused: np.ndarray  # int64[128], see `_rules.tally`


def allocate(parameters: Mapping[str, int]) -> AlignedState:
    """Return accounts that have nothing open."""
    words = aligned((parameters["accounts"], WORDS), np.int64)
    _packed.pack(_plain.new_accounts(parameters), words)
    control = aligned(CONTROL_LENGTH, np.int64)
    control[:] = _plain.new_control(parameters)
    return AlignedState(words, control, _state.new_refused())


def reset(state: AlignedState) -> None:
    """Forget what is open and what was refused; limits and switches stay."""
    state.accounts[:, SIDES : NEXT_NS + 1] = 0
    state.refused[:] = 0


@hot
def _lock(words, at, probe):
    """Take the account; return its switch word as it was, without the lock."""
    free = atomics.load(words, (at, SWITCH), RELAXED) & ~LOCKED_BIT  # RELAXED: the exchange confirms it
    # ACQUIRE: what the last holder wrote is seen. Nothing needs to be published by taking a lock.
    seen, done = atomics.compare_exchange(words, (at, SWITCH), free, free | LOCKED_BIT, ACQUIRE)
    if unlikely(not done):
        seen = _wait_and_lock(words, at, probe)
    return seen


@cold
def _wait_and_lock(words, at, probe):
    """Do as `_lock` where another thread was in the account."""
    turn = 0
    while True:
        free = atomics.load(words, (at, SWITCH), RELAXED)  # RELAXED: reading keeps the line shared; the exchange counts
        if free & LOCKED_BIT == 0:
            seen, done = atomics.compare_exchange(words, (at, SWITCH), free, free | LOCKED_BIT, ACQUIRE)  # as above
            if done:
                return seen
        if turn < PATIENCE:
            pause()
        else:
            sleep_us(NAP_US)
        turn += 1
        count(probe, SPINS, 1)


@hot
def _unlock(words, at, switch):
    """Give the account back, with the switch as `_lock` returned it."""
    atomics.store(words, (at, SWITCH), switch, RELEASE)  # RELEASE: what was written is there before the lock is open


@hot
def _reserve(words, at, side, size, notional, timestamp, interval):
    """Reserve all that an order needs, or nothing; return the first limit that does not let it. Under the lock."""
    sides, opened, limits = words[at, SIDES], words[at, OPEN], words[at, LIMITS]
    next_ns = max(words[at, NEXT_NS], timestamp) + interval
    if unlikely(room(sides, side, words[at, SIZES] & 0xFFFFFFFF) < size):
        return POSITION
    if unlikely((opened >> OPEN_BITS) + notional > limits >> OPEN_BITS):
        return NOTIONAL
    if unlikely((opened & OPEN_MASK) + 1 > limits & OPEN_MASK):
        return OPEN_ORDERS
    if unlikely(next_ns > timestamp + words[at, BURST_NS]):
        return RATE
    words[at, SIDES], words[at, OPEN] = sides + step_of(side, size), opened + (notional << OPEN_BITS) + 1
    words[at, NEXT_NS] = next_ns
    return ACCEPTED


@hot
def check_order(state, account, side, price_ticks, size, reference_ticks, timestamp_ns, probe, pauses):
    """Do as `check`, with a probe and, for tests, pauses at the marked points."""
    reason = BAD_ACTION
    if np.uint64(side) <= np.uint64(1):
        reason = bad_request(account, state.accounts.shape[0], price_ticks, size)
        if reason == ACCEPTED:
            at, words, control = np.uint64(account), state.accounts, state.control
            killed = _lock(words, at, probe)
            most = words[at, SIZES] >> 32
            reason = before_reserving(control, killed, most, price_ticks, size, reference_ticks, timestamp_ns)
            marked_point(pauses)
            if reason == ACCEPTED:
                notional, interval = price_ticks * size, control[INTERVAL_NS]
                reason = _reserve(words, at, side, size, notional, timestamp_ns, interval)
            marked_point(pauses)
            _unlock(words, at, killed)
    if unlikely(reason != ACCEPTED):
        tally(state.refused, account, reason, probe)
    count(probe, LINES_TOUCHED, 2)  # the account's and the control block's
    return reason


@hot
def release_order(state, account, side, price_ticks, size, filled, closed, probe, pauses):
    """Do as `release`, with a probe and pauses."""
    reason = bad_request(account, state.accounts.shape[0], price_ticks, size)
    if reason == ACCEPTED:
        at, words = np.uint64(account), state.accounts
        notional, orders = price_ticks * size, 1 if closed else 0
        killed = _lock(words, at, probe)
        sides, opened = words[at, SIDES], words[at, OPEN]
        marked_point(pauses)
        long, short = unpacked_sides(sides)
        if unlikely((long + short < size) | (opened >> OPEN_BITS < notional) | (opened & OPEN_MASK < orders)):
            reason = OVER_RELEASE
        else:
            words[at, SIDES] = sides - step_of(side ^ (1 if filled else 0), size)
            words[at, OPEN] = opened - (notional << OPEN_BITS) - orders
        _unlock(words, at, killed)
    if unlikely(reason != ACCEPTED):
        tally(state.refused, account, reason, probe)
    count(probe, LINES_TOUCHED, 2)
    return reason


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
    at, words = np.uint64(account), state.accounts
    killed = _lock(words, at, None)
    sides, opened = words[at, SIDES], words[at, OPEN]
    _unlock(words, at, killed)
    long, short = unpacked_sides(sides)
    return long, short, opened >> OPEN_BITS, opened & OPEN_MASK


@public
def kill(state, account, on):
    """Turn the switch of an account (-1: of all) on (1) or off (0): no order passes while it is on. Any thread."""
    if account < 0:
        atomics.store(state.control, ALL_KILLED, on, RELEASE)  # RELEASE: after whatever the caller did before
    else:
        at = np.uint64(account)
        _lock(state.accounts, at, None)
        _unlock(state.accounts, at, on * KILLED_BIT)


@hot
def _prefetch(state, orders, i):
    """Ask for the line of request `i`, to write it."""
    account = np.uint64(orders.account[i if i < orders.account.shape[0] else orders.account.shape[0] - 1])
    prefetch_write(state.accounts, (account, SWITCH))  # an address that is no account's is no fault either


@kernel_jit(_nrt=False)
def replay(state, orders, out, begin, probe):
    """Work through the requests from `begin` on and write a `Reason` for each into `out`; return their number."""
    for i in range(begin, orders.action.shape[0]):
        at = np.uint64(i)  # unsigned: no access asks whether its index is negative
        stamp = start(probe)
        _prefetch(state, orders, i + AHEAD)
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


def export_state(state: AlignedState) -> Canonical:
    """Return the canonical form. Not while other threads work on it."""
    return _state.canonical(_packed.unpacked(state.accounts), state.refused, state.control)


def import_state(state: AlignedState, canonical: Canonical) -> AlignedState:
    """Replace the content of `state`, limits too. Raises ValueError, changing nothing, when it does not fit."""
    _packed.pack(_state.check_canonical(canonical, len(state.accounts)), state.accounts)
    _state.restore_common(state, canonical)
    return state


VARIANT = Variant(
    name="aligned",
    parent="lock_free",
    idea="One account is one cache line with its limits and its lock on it: one locked instruction instead of three, "
    "and accounts of different threads never share a line.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=import_state,
)
