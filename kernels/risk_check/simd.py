"""An account's limits are the lanes of one vector: an order is checked against all of them at once (`_lanes`).

What an order and a release are is looked up, not branched on, so nothing can be guessed wrong but whether a request is
refused, which is rare. The requests of a batch of 64 are first turned into numbers, 8 or 16 at a time; then they pass
one after the other, so that those of one account see each other exactly as in the reference; then the reasons are
written, 64 at a time (`_batch`). Single requests, and the rest that is no whole batch, go one by one through the same
lanes. For one thread: there is no lock and no atomic.

With one lane for an order instead, eleven gathers and five scatters take longer than eight orders one after the other,
and most groups of eight have two orders of one account (decision 0016).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.machine.hints import unlikely
from kernels.machine.memory import aligned
from kernels.probe import count, start, stop
from kernels.risk_check import _lanes, _plain, _state
from kernels.risk_check._batch import BATCH, pass_batch
from kernels.risk_check._lanes import (
    BIAS,
    LANES,
    LONG_LANE,
    NOTIONAL_LANE,
    ORDERS_LANE,
    SHORT_LANE,
    SWITCH_LANE,
    change_of,
    is_refused,
    notional_lane,
    pass_account,
    reason_of,
    sign_of,
    why_refused,
)
from kernels.risk_check._rules import (
    ALL_KILLED,
    BAD_ACTION,
    CLOSED,
    FILLED,
    LINES_TOUCHED,
    RELEASE_BIT,
    hot,
    public,
    tally_alone,
)

BATCHES = 7  # the word of `control` that says whether requests are taken in batches


class SimdState(NamedTuple):
    """Two lines for each account, one for requests without a known account, and what a batch is turned into."""

    used: np.ndarray  # int64[8 * (accounts + 1)] on whole cache lines
    limits: np.ndarray  # int64[8 * (accounts + 1)]
    control: np.ndarray  # int64[8]; the word BATCHES is this variant's own
    refused: np.ndarray  # int64[128], see `_rules.tally_alone`
    per_action: np.ndarray  # see `_lanes.Tables`
    lanes_of: np.ndarray
    places: np.ndarray
    changes: np.ndarray  # int64[3 * BATCH]: signed size, signed notional, time of each request
    first: np.ndarray  # int32[2 * BATCH]: the reason that needs no account; where the account's row begins
    found: np.ndarray  # uint8[BATCH]: the lanes that are not within their limit


def allocate(parameters: Mapping[str, int]) -> SimdState:
    """Return accounts that have nothing open."""
    state = SimdState(
        _lanes.new_rows(parameters["accounts"]),
        _lanes.new_rows(parameters["accounts"]),
        _plain.new_control(parameters),
        _state.new_refused(),
        *_lanes.new_tables(parameters["interval_ns"]),
        changes=aligned(3 * BATCH, np.int64),
        first=aligned(2 * BATCH, np.int32),
        found=aligned(BATCH, np.uint8),
    )
    state.control[BATCHES] = parameters["batches"]
    _lanes.write_rows(state, _plain.new_accounts(parameters))
    return state


def reset(state: SimdState) -> None:
    """Forget what is open and what was refused; limits and switches stay."""
    _lanes.reset(state)


@hot
def _request(state, action, account, price, size, reference, timestamp, probe):
    """Do one order or release, as `action` says, and count it where it is refused; return a `Reason`."""
    if unlikely(is_refused(state, action, account, price, size, reference, timestamp)):
        reason = why_refused(state, action, account, price, size, reference, timestamp)
    else:
        sign = sign_of(action)
        signed, row = (size ^ sign) - sign, np.uint64(account) << np.uint64(3)
        added = change_of(state, action, signed, price * signed, notional_lane(state))
        failed = pass_account(state, action, row, added, timestamp & ~sign)
        if not unlikely(failed != 0):
            return np.int64(0)
        reason = reason_of(action, failed)
    tally_alone(state.refused, account, reason, probe)
    return reason


@public
def check(state, account, side, price_ticks, size, reference_ticks, timestamp_ns):
    """Check an order (side 0 buys, 1 sells) and reserve its exposure if it passes; return a `Reason`. One thread."""
    if unlikely(np.uint64(side) > np.uint64(1)):
        tally_alone(state.refused, account, BAD_ACTION, None)
        return np.int64(BAD_ACTION)
    return _request(state, side, account, price_ticks, size, reference_ticks, timestamp_ns, None)


@public
def release(state, account, side, price_ticks, size, filled, closed):
    """Give back `size` of an order that passed, at the order's price; return a `Reason`. One thread.

    `filled`: the size became position, else it was taken back; `closed`: nothing of the order is left.
    """
    action = RELEASE_BIT | side | (FILLED if filled else 0) | (CLOSED if closed else 0)
    return _request(state, action, account, price_ticks, size, price_ticks, 0, None)


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
        pass_batch(state, orders, out, i, probe)
        stop(probe, stamp)
        i += BATCH
    while i < end:
        at = np.uint64(i)  # unsigned: no access asks whether its index is negative
        stamp = start(probe)
        account, action = np.int64(orders.account[at]), np.int64(orders.action[at])
        price, size = np.int64(orders.price_ticks[at]), np.int64(orders.size[at])
        reference, timestamp = np.int64(orders.reference_ticks[at]), orders.timestamp_ns[at]
        out[at] = _request(state, action, account, price, size, reference, timestamp, probe)
        count(probe, LINES_TOUCHED, 3)  # the account's two and the control block's
        stop(probe, stamp)
        i += 1
    return end


def export_state(state: SimdState) -> Canonical:
    """Return the canonical form."""
    return _state.canonical(_lanes.rows_of(state), state.refused, state.control)


def import_state(state: SimdState, canonical: Canonical) -> SimdState:
    """Replace the content of `state`, limits too. Raises ValueError, changing nothing, when it does not fit."""
    _lanes.write_rows(state, _state.check_canonical(canonical, len(state.used) // LANES - 1))
    _state.restore_common(state, canonical)
    return state


VARIANT = Variant(
    name="simd",
    parent="baseline",
    idea="An account's limits are the lanes of a vector, a request is one addition and one comparison, and what needs "
    "no account is checked 16 requests at a time. For one thread: without a lock.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=import_state,
    refuses=lambda parameters: "it is for one thread: build it with threads=1" if parameters["threads"] > 1 else None,
)
