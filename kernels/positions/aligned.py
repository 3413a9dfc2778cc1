"""Shards of accounts, each with one writer, lines of its own and no locked instruction: a position is one cache line.

An account is of shard ``account % SHARDS``, and a shard has slots, and the count of its positions, on lines that no
other shard uses. One thread at a time may apply the fills of a shard: then its sequence numbers are plain stores, and
two threads with different shards share nothing that either writes. Any number of threads read, beside them.

Faster than `lock_free` by the locked instruction and by the second line of a row that lies on two. Not where fills of
one account come in different threads: that is not allowed here. Takes 64 bytes a slot, and more slots, as each shard
has room for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.machine import atomics
from kernels.machine.atomics import ACQUIRE, RELEASE
from kernels.machine.hints import unlikely
from kernels.machine.memory import aligned
from kernels.marked import marked_point
from kernels.positions import _state
from kernels.positions._fills import SHARDS
from kernels.positions._rules import (
    ACCEPTED,
    ACCOUNTS,
    HASH_SHIFT,
    LIMIT,
    LINES_TOUCHED,
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
    KEY,
    QUANTITY,
    REALISED,
    begin_alone,
    end,
    load_held,
    read_row,
    store_held,
)
from kernels.probe import count, start, stop

WORDS = 8  # of a row: a cache line


class AlignedState(NamedTuple):
    """A table for each shard, with at most half of its slots taken, side by side."""

    rows: np.ndarray  # int64[SHARDS * slots, 8] on whole cache lines, see `_sequence`; slots is a power of two
    live: np.ndarray  # int64[SHARDS, 8]: how many positions a shard has, each on a line of its own
    control: np.ndarray  # int64[8], see `_rules`
    marks: np.ndarray  # int64[symbols]
    bad: np.ndarray  # int64[8], by `Reason`


def _new(accounts: int, symbols: int, slots: int) -> AlignedState:
    common = _state.common(accounts, symbols, slots // 2)
    common["control"][HASH_SHIFT] = 64 - (slots - 1).bit_length()
    return AlignedState(
        rows=aligned((SHARDS * slots, WORDS), np.int64), live=aligned((SHARDS, WORDS), np.int64), **common
    )


def allocate(parameters: Mapping[str, int]) -> AlignedState:
    """Return tables without a position."""
    slots = 1 << max(2 * parameters["positions"] // SHARDS - 1, 1).bit_length()
    return _new(parameters["accounts"], parameters["symbols"], slots)


def reset(state: AlignedState) -> None:
    """Forget every position and mark, keeping the room."""
    state.rows[:] = 0
    state.live[:] = 0
    _state.reset_common(state)


@hot
def _find(state, key, probe):
    """Return the slot of `key`, and whether it is there: else the slot is the empty one that ends its probe."""
    rows, control = state.rows, state.control
    shard = np.uint64(((key - 1) >> SYMBOL_BITS) & (SHARDS - 1))
    bits = np.uint64(64) - np.uint64(control[HASH_SHIFT])
    base, last = shard << bits, (np.uint64(1) << bits) - np.uint64(1)
    at = spread(key) >> np.uint64(control[HASH_SHIFT])
    while True:
        count(probe, PROBES, 1)
        count(probe, LINES_TOUCHED, 1)
        # ACQUIRE: a reader that finds the key finds the zeros behind it, in the table of a shard that begins anew.
        held = atomics.load(rows, (base + at, KEY), ACQUIRE)
        if held == key:
            return base + at, True
        if held == 0:
            return base + at, False
        at = (at + np.uint64(1)) & last


@cold
def _claim(state, key, at):
    """Put `key` into the empty slot `at`; return whether its shard had room. For the shard's writer."""
    shard = np.uint64(((key - 1) >> SYMBOL_BITS) & (SHARDS - 1))
    if state.live[shard, 0] >= state.control[LIMIT]:
        return False
    state.live[shard, 0] += 1
    atomics.store(state.rows, (at, KEY), key, RELEASE)  # RELEASE: the zeros behind it are there before
    return True


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
    if unlikely(not there) and not _claim(state, key, at):
        return NO_ROOM, 0, 0, 0
    rows = state.rows
    quantity, cost, realised = load_held(rows, at)
    reason, quantity, cost, realised = after_fill(quantity, cost, realised, side, price_ticks, size)
    sequence = begin_alone(rows, at)
    marked_point(pauses)
    store_held(rows, at, quantity, cost, realised, pauses)
    marked_point(pauses)
    end(rows, at, sequence)
    if unlikely(reason != ACCEPTED):
        tally(state.bad, reason, probe)
    return reason, quantity, cost, realised


@public
def apply_fill(state, account, symbol, side, price_ticks, size):
    """Add a fill (side 0 bought, 1 sold) to the position of an account in a symbol; return a `Reason`.

    One thread at a time for the accounts of a shard (``account % SHARDS``). Returns NO_ROOM (-1), with nothing changed,
    when the position would be new and its shard is full.
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
        at, _there = _find(state, keys[i], None)
        if not _claim(state, keys[i], at):
            return i
        store_held(state.rows, at, held[i, 0], held[i, 1], held[i, 2], None)
    return keys.shape[0]


def export_state(state: AlignedState) -> Canonical:
    """Return the canonical form. Not while other threads write."""
    taken = state.rows[state.rows[:, KEY] != 0]
    return _state.canonical(state, taken[:, KEY], taken[:, [QUANTITY, COST, REALISED]])


def grow(state: AlignedState) -> AlignedState:
    """Return tables with twice the room and the same content. Not while other threads write."""
    larger = _new(int(state.control[ACCOUNTS]), int(state.control[SYMBOLS]), 2 * len(state.rows) // SHARDS)
    return _state.moved(state, larger, export_state, _place)  # type: ignore[no-any-return]


VARIANT = Variant(
    name="aligned",
    parent="lock_free",
    idea="Shards of accounts with one writer each, a position on a cache line of its own: no locked instruction, no "
    "line that two writers share.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=partial(_state.import_into, reset=reset, grow=grow, place=_place),
    grow=grow,
    read=read_item,
)
