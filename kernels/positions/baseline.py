"""The table that a competent engineer writes first: one chained hash map of positions behind one pthread mutex."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.machine.hints import unlikely
from kernels.machine.locks import mutex_lock, mutex_unlock, new_mutex
from kernels.positions import _state
from kernels.positions._rules import (
    ACCEPTED,
    ACCOUNTS,
    HASH_SHIFT,
    LIMIT,
    LINES_TOUCHED,
    LIVE,
    MARK,
    NO_ROOM,
    PROBES,
    SYMBOL_BITS,
    SYMBOLS,
    after_fill,
    bad_fill,
    hot,
    key_of,
    mark_of,
    public,
    set_mark,
    spread,
    tally,
    unrealised,
)
from kernels.probe import count, start, stop

KEY, QUANTITY, COST, REALISED, NEXT = range(5)  # the words of a node; NEXT is a node's number plus 1
FIELDS = 5


class BaselineState(NamedTuple):
    """Buckets that lead to chains of nodes, as `std::unordered_map` has them, and one lock for all."""

    heads: np.ndarray  # int64[buckets], a power of two: the first node's number plus 1, or 0
    nodes: np.ndarray  # int64[positions, FIELDS]
    control: np.ndarray  # int64[8], see `_rules`
    marks: np.ndarray  # int64[symbols]
    bad: np.ndarray  # int64[8], by `Reason`
    mutex: np.ndarray  # uint8[64]: a pthread_mutex_t


def _new(accounts: int, symbols: int, room: int) -> BaselineState:
    bits = max(room - 1, 1).bit_length()
    common = _state.common(accounts, symbols, room)
    common["control"][HASH_SHIFT] = 64 - bits
    return BaselineState(
        heads=np.zeros(1 << bits, np.int64), nodes=np.zeros((room, FIELDS), np.int64), mutex=new_mutex(), **common
    )


def allocate(parameters: Mapping[str, int]) -> BaselineState:
    """Return a table without a position."""
    return _new(parameters["accounts"], parameters["symbols"], parameters["positions"])


def reset(state: BaselineState) -> None:
    """Forget every position and mark, keeping the room."""
    state.heads[:] = 0
    _state.reset_common(state)


@hot
def _find(state, key, probe):
    """Return the node of `key`, or -1."""
    node = state.heads[spread(key) >> np.uint64(state.control[HASH_SHIFT])] - 1
    while node >= 0:
        count(probe, PROBES, 1)
        count(probe, LINES_TOUCHED, 1)
        if state.nodes[np.uint64(node), KEY] == key:
            return node
        node = state.nodes[np.uint64(node), NEXT] - 1
    return node


@hot
def _insert(state, key):
    """Return a node for `key`, which has none yet; -1 when there is no room."""
    node = state.control[LIVE]
    if unlikely(node >= state.control[LIMIT]):
        return np.int64(-1)
    state.control[LIVE] = node + 1
    bucket, row = spread(key) >> np.uint64(state.control[HASH_SHIFT]), state.nodes[np.uint64(node)]
    row[KEY], row[QUANTITY], row[COST], row[REALISED], row[NEXT] = key, 0, 0, 0, state.heads[bucket]
    state.heads[bucket] = node + 1
    return node


@hot
def _fill_locked(state, key, side, price, size, probe):
    """Do a good fill, under the mutex."""
    node = _find(state, key, probe)
    if unlikely(node < 0):
        node = _insert(state, key)
        if unlikely(node < 0):
            return NO_ROOM, 0, 0, 0
    row = state.nodes[np.uint64(node)]
    reason, quantity, cost, realised = after_fill(row[QUANTITY], row[COST], row[REALISED], side, price, size)
    row[QUANTITY], row[COST], row[REALISED] = quantity, cost, realised
    return reason, quantity, cost, realised


@hot
def fill(state, account, symbol, side, price_ticks, size, probe, pauses):
    """Do as `apply_fill`; return ``(reason, quantity, cost, realised)``. NO_ROOM, with nothing changed, to grow."""
    bad = bad_fill(state.control, account, symbol, side, price_ticks, size)
    if unlikely(bad != ACCEPTED):
        tally(state.bad, bad, probe)
        return bad, 0, 0, 0
    count(probe, LINES_TOUCHED, 3)  # the mutex's, the control block's, the bucket's
    mutex_lock(state.mutex)
    found = _fill_locked(state, key_of(account, symbol), side, price_ticks, size, probe)
    mutex_unlock(state.mutex)
    if unlikely(found[0] > ACCEPTED):
        tally(state.bad, found[0], probe)
    return found


@public
def apply_fill(state, account, symbol, side, price_ticks, size):
    """Add a fill (side 0 bought, 1 sold) to the position of an account in a symbol; return a `Reason`. Any thread.

    Returns NO_ROOM (-1), with nothing changed, when the position would be new and the table is full.
    """
    return fill(state, account, symbol, side, price_ticks, size, None, None)[0]


@public
def mark(state, symbol, price_ticks):
    """Set the price at which the positions in a symbol are valued; return a `Reason`. Any thread."""
    return set_mark(state, symbol, price_ticks, None)


@public
def read(state, account, symbol):
    """Return ``(quantity, cost, realised, unrealised, retries)`` of a position, of one moment. Any thread.

    Zeros for a position that never was. The account and the symbol must be ones that the table was built for.
    """
    quantity, cost, realised, retries = read_held(state, account, symbol)
    return quantity, cost, realised, unrealised(quantity, cost, mark_of(state, symbol)), retries


@hot
def read_held(state, account, symbol):
    """Return ``(quantity, cost, realised, retries)``."""
    mutex_lock(state.mutex)
    node = _find(state, key_of(account, symbol), None)
    quantity, cost, realised = np.int64(0), np.int64(0), np.int64(0)
    if node >= 0:
        row = state.nodes[np.uint64(node)]
        quantity, cost, realised = row[QUANTITY], row[COST], row[REALISED]
    mutex_unlock(state.mutex)
    return quantity, cost, realised, 0


@public
def read_item(state, item):
    """Return ``(quantity, cost, realised, retries)`` of position number `item`: of that symbol, an account for each."""
    return read_held(state, item % state.control[ACCOUNTS], item % state.control[SYMBOLS])


@kernel_jit(_nrt=False)
def snapshot(state, rows):
    """Write every position into `rows`, int64[n, 6], and return how many there are; beyond `n` they are left out.

    A row is account, symbol, quantity, cost, realised, unrealised. All are of one moment. Any thread.
    """
    mutex_lock(state.mutex)
    for node in range(min(state.control[LIVE], rows.shape[0])):
        key = state.nodes[node, KEY] - 1
        rows[node, 0], rows[node, 1] = key >> SYMBOL_BITS, key & ((1 << SYMBOL_BITS) - 1)
        for place in range(3):
            rows[node, 2 + place] = state.nodes[node, QUANTITY + place]
        rows[node, 5] = unrealised(rows[node, 2], rows[node, 3], mark_of(state, rows[node, 1]))
    live = state.control[LIVE]
    mutex_unlock(state.mutex)
    return live


@kernel_jit(_nrt=False)
def replay(state, fills, out, begin, probe):
    """Apply the fills and marks from `begin` on, write the position after each into `out`; return where room ended."""
    for i in range(begin, fills.action.shape[0]):
        at = np.uint64(i)  # unsigned: no access asks whether its index is negative
        stamp = start(probe)
        symbol, price, action = np.int64(fills.symbol[at]), np.int64(fills.price_ticks[at]), np.int64(fills.action[at])
        reason, quantity, cost, realised = ACCEPTED, np.int64(0), np.int64(0), np.int64(0)
        if action == MARK:
            set_mark(state, symbol, price, probe)
        else:
            account, size = np.int64(fills.account[at]), np.int64(fills.size[at])
            reason, quantity, cost, realised = fill(state, account, symbol, action, price, size, probe, None)
            if unlikely(reason != ACCEPTED):
                if reason == NO_ROOM:
                    return i
                quantity, cost, realised = 0, 0, 0
        out[at].quantity, out[at].cost, out[at].realised = quantity, cost, realised
        stop(probe, stamp)
    return fills.action.shape[0]


@kernel_jit(_nrt=False)
def _place(state, keys, held, begin):
    """Put in positions that are not there yet, from `begin` on; return where the room ended."""
    for i in range(begin, keys.shape[0]):
        node = _insert(state, keys[i])
        if node < 0:
            return i
        for place in range(3):
            state.nodes[node, QUANTITY + place] = held[i, place]
    return keys.shape[0]


def export_state(state: BaselineState) -> Canonical:
    """Return the canonical form."""
    nodes = state.nodes[: state.control[LIVE]]
    return _state.canonical(state, nodes[:, KEY], nodes[:, QUANTITY : REALISED + 1])


def grow(state: BaselineState) -> BaselineState:
    """Return a table with twice the room and the same content. Not while other threads write."""
    larger = _new(int(state.control[ACCOUNTS]), int(state.control[SYMBOLS]), 2 * len(state.nodes))
    return _state.moved(state, larger, export_state, _place)  # type: ignore[no-any-return]


VARIANT = Variant(
    name="baseline",
    parent=None,
    idea="A chained hash map and one pthread mutex around each fill.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=partial(_state.import_into, reset=reset, grow=grow, place=_place),
    grow=grow,
    read=read_item,
)
