"""Open addressing without a lock: a slot is claimed by one compare-exchange, and each position has a sequence number.

Any thread may apply fills and any may read. Readers never wait for writers (they read again when one came between), and
writers of different positions never wait for each other; two writers of the same position take turns, since its three
words change together. A fill costs one locked instruction where `baseline` has two and a chain to follow. A slot that
is claimed is never given back, so a probe never meets a slot that moves: the table only grows, with one thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.machine import atomics
from kernels.machine.atomics import ACQ_REL, ACQUIRE, RELAXED
from kernels.machine.hints import unlikely
from kernels.marked import marked_point
from kernels.positions import _state
from kernels.positions._rules import (
    ACCEPTED,
    ACCOUNTS,
    CAS_RETRIES,
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
    cold,
    hot,
    key_of,
    mark_of,
    public,
    set_mark,
    spread,
    tally,
    unrealised,
)
from kernels.positions._sequence import (
    COST,
    FIELDS,
    KEY,
    QUANTITY,
    REALISED,
    begin_among_others,
    end,
    load_held,
    read_row,
    store_held,
)
from kernels.probe import count, start, stop

_ROW_BYTES = 8 * FIELDS


class LockFreeState(NamedTuple):
    """A table with at most half of its slots taken; a row of 40 bytes may lie on two cache lines."""

    rows: np.ndarray  # int64[slots, FIELDS], see `_sequence`; slots is a power of two
    control: np.ndarray  # int64[8], see `_rules`
    marks: np.ndarray  # int64[symbols]
    bad: np.ndarray  # int64[8], by `Reason`


def _new(accounts: int, symbols: int, room: int) -> LockFreeState:
    bits = max(2 * room - 1, 1).bit_length()
    common = _state.common(accounts, symbols, 1 << (bits - 1))
    common["control"][HASH_SHIFT] = 64 - bits
    return LockFreeState(rows=np.zeros((1 << bits, FIELDS), np.int64), **common)


def allocate(parameters: Mapping[str, int]) -> LockFreeState:
    """Return a table without a position."""
    return _new(parameters["accounts"], parameters["symbols"], parameters["positions"])


def reset(state: LockFreeState) -> None:
    """Forget every position and mark, keeping the room."""
    state.rows[:] = 0
    _state.reset_common(state)


@hot
def _find(state, key, probe):
    """Return the slot of `key`, and whether it is there: else the slot is the empty one that ends its probe."""
    rows, last = state.rows, np.uint64(state.rows.shape[0] - 1)
    at = spread(key) >> np.uint64(state.control[HASH_SHIFT])
    while True:
        count(probe, PROBES, 1)
        _count_lines(at, probe)
        held = atomics.load(rows, (at, KEY), RELAXED)  # RELAXED: a key never changes; its words have a sequence
        if held == key:
            return at, True
        if held == 0:
            return at, False
        at = (at + np.uint64(1)) & last


@hot
def _count_lines(at, probe):
    """Count the one or two lines of a row."""
    first = np.int64(at) * _ROW_BYTES
    count(probe, LINES_TOUCHED, 1 + ((first + _ROW_BYTES - 1) >> 6) - (first >> 6))


@cold
def _claim(state, key, at, probe, pauses):
    """Return the slot of `key`, claimed from the empty slot `at` on; -1 when there is no room."""
    rows, last = state.rows, np.uint64(state.rows.shape[0] - 1)
    # RELAXED: a number that many add to; the exchange below publishes. Added first, so that the limit holds.
    if atomics.add(state.control, LIVE, 1, RELAXED) >= state.control[LIMIT]:
        atomics.sub(state.control, LIVE, 1, RELAXED)  # RELAXED: as above
        return np.int64(-1)
    while True:
        marked_point(pauses)
        # ACQ_REL: RELEASE so that who finds the key finds a row of zeros behind it; ACQUIRE for the one who lost.
        held, done = atomics.compare_exchange(rows, (at, KEY), 0, key, ACQ_REL)
        if done:
            return np.int64(at)
        count(probe, CAS_RETRIES, 1)
        if held == key:  # another thread has claimed a slot for the same position
            atomics.sub(state.control, LIVE, 1, RELAXED)  # RELAXED: as above
            return np.int64(at)
        at = (at + np.uint64(1)) & last


@hot
def fill(state, account, symbol, side, price_ticks, size, probe, pauses):
    """Do as `apply_fill`; return ``(reason, quantity, cost, realised)``. NO_ROOM, with nothing changed, to grow."""
    bad = bad_fill(state.control, account, symbol, side, price_ticks, size)
    if unlikely(bad != ACCEPTED):
        tally(state.bad, bad, probe)
        return bad, 0, 0, 0
    count(probe, LINES_TOUCHED, 1)  # the control block's
    key = key_of(account, symbol)
    at, there = _find(state, key, probe)
    if unlikely(not there):
        claimed = _claim(state, key, at, probe, pauses)
        if claimed < 0:
            return NO_ROOM, 0, 0, 0
        at = np.uint64(claimed)
    rows = state.rows
    sequence = begin_among_others(rows, at, probe)
    marked_point(pauses)
    quantity, cost, realised = load_held(rows, at)
    reason, quantity, cost, realised = after_fill(quantity, cost, realised, side, price_ticks, size)
    store_held(rows, at, quantity, cost, realised, pauses)
    marked_point(pauses)
    end(rows, at, sequence)
    if unlikely(reason != ACCEPTED):
        tally(state.bad, reason, probe)
    return reason, quantity, cost, realised


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
    """Return ``(quantity, cost, realised, unrealised, retries)``: a position of one moment. Any thread.

    Zeros for a position that never was. The account and the symbol must be ones that the table was built for. The mark
    may be of a later moment than the position.
    """
    quantity, cost, realised, retries = read_held(state, account, symbol)
    return quantity, cost, realised, unrealised(quantity, cost, mark_of(state, symbol)), retries


@hot
def read_held(state, account, symbol):
    """Return ``(quantity, cost, realised, retries)``."""
    at, there = _find(state, key_of(account, symbol), None)
    if not there:
        return np.int64(0), np.int64(0), np.int64(0), 0
    return read_row(state.rows, at)


@public
def read_item(state, item):
    """Return ``(quantity, cost, realised, retries)`` of position number `item`: of that symbol, an account for each."""
    return read_held(state, item % state.control[ACCOUNTS], item % state.control[SYMBOLS])


@kernel_jit(_nrt=False)
def snapshot(state, rows):
    """Write every position into `rows`, int64[n, 6], and return how many there are; beyond `n` they are left out.

    A row is account, symbol, quantity, cost, realised, unrealised. Each is of one moment, two may be of different ones.
    Any thread, beside any writers.
    """
    written = 0
    for slot in range(state.rows.shape[0]):
        key = atomics.load(state.rows, (slot, KEY), ACQUIRE)  # ACQUIRE: the zeros of a new row are seen with its key
        if key == 0:
            continue
        if written < rows.shape[0]:
            quantity, cost, realised, _retries = read_row(state.rows, slot)
            symbol = (key - 1) & ((1 << SYMBOL_BITS) - 1)
            rows[written, 0], rows[written, 1] = (key - 1) >> SYMBOL_BITS, symbol
            rows[written, 2], rows[written, 3], rows[written, 4] = quantity, cost, realised
            rows[written, 5] = unrealised(quantity, cost, mark_of(state, symbol))
        written += 1
    return written


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
        empty, _there = _find(state, keys[i], None)
        at = _claim(state, keys[i], empty, None, None)
        if at < 0:
            return i
        store_held(state.rows, np.uint64(at), held[i, 0], held[i, 1], held[i, 2], None)
    return keys.shape[0]


def export_state(state: LockFreeState) -> Canonical:
    """Return the canonical form. Not while other threads write."""
    taken = state.rows[state.rows[:, KEY] != 0]
    return _state.canonical(state, taken[:, KEY], taken[:, [QUANTITY, COST, REALISED]])


def grow(state: LockFreeState) -> LockFreeState:
    """Return a table with twice the room and the same content. Not while other threads write."""
    larger = _new(int(state.control[ACCOUNTS]), int(state.control[SYMBOLS]), len(state.rows))
    return _state.moved(state, larger, export_state, _place)  # type: ignore[no-any-return]


VARIANT = Variant(
    name="lock_free",
    parent="baseline",
    idea="Open addressing: a slot is claimed by compare-exchange, each position changes under a sequence number of its "
    "own, and readers never wait.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=partial(_state.import_into, reset=reset, grow=grow, place=_place),
    grow=grow,
    read=read_item,
)
