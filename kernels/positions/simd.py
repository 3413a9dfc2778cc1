"""A Swiss table: one byte of the hash for each slot, 16 of them compared at once, and only slots that match looked at.

Slots come in groups of 16, each with 16 bytes in one row: 0 for an empty slot, else 7 bits of the hash and a bit that
says taken. A search loads the group's bytes, compares them with the wanted one, and goes to the next group only where
none is empty. So a table may be 7/8 full, where `aligned` is at most half full: a little more than half of the memory,
and hardly a second slot looked at. Not faster where the table is small and half empty: there the first slot is nearly
always the right one, and the bytes are a load more on the way to it. Shards and their writers are those of `aligned`
(the idea is of Abseil's hash tables, M. Kulukundis, CppCon 2017).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, Variant
from kernels.machine import atomics
from kernels.machine.atomics import ACQUIRE, RELAXED, RELEASE
from kernels.machine.bits import trailing_zeros
from kernels.machine.hints import unlikely
from kernels.machine.memory import aligned
from kernels.machine.vector import bits, insert, reinterpret, splat
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
GROUP = 16  # slots
FULL = 14  # of 16 slots of a shard: then it grows
TAG_BITS = 7
TAKEN = 1 << TAG_BITS


class SimdState(NamedTuple):
    """A table for each shard, with at most 7/8 of its slots taken, side by side."""

    rows: np.ndarray  # int64[SHARDS * slots, 8] on whole cache lines, see `_sequence`; slots is a power of two
    tags: np.ndarray  # int64[SHARDS * groups, 2]: the 16 bytes of a group
    live: np.ndarray  # int64[SHARDS, 8]: how many positions a shard has, each on a line of its own
    control: np.ndarray  # int64[8], see `_rules`
    marks: np.ndarray  # int64[symbols]
    bad: np.ndarray  # int64[8], by `Reason`


def _new(accounts: int, symbols: int, groups: int) -> SimdState:
    common = _state.common(accounts, symbols, groups * FULL)
    common["control"][HASH_SHIFT] = 64 - (groups - 1).bit_length()
    return SimdState(
        rows=aligned((SHARDS * groups * GROUP, WORDS), np.int64),
        tags=aligned((SHARDS * groups, 2), np.int64),
        live=aligned((SHARDS, WORDS), np.int64),
        **common,
    )


def allocate(parameters: Mapping[str, int]) -> SimdState:
    """Return tables without a position."""
    groups = 1 << (max(parameters["positions"] // SHARDS // FULL, 1)).bit_length()
    return _new(parameters["accounts"], parameters["symbols"], groups)


def reset(state: SimdState) -> None:
    """Forget every position and mark, keeping the room."""
    state.rows[:] = 0
    state.tags[:] = 0
    state.live[:] = 0
    _state.reset_common(state)


@hot
def _matching(low, high, byte):
    """Return a bit for each of the 16 bytes in two words that equals `byte`."""
    return bits(reinterpret(insert(splat(low, np.int64, 2), 1, high), np.uint8) == byte)


@hot
def _chosen(empty, spreaded):
    """Return one of the empty places of a group, spread by the hash.

    The first one each time would put the positions of all shards on the same few sets of the first-level cache.
    """
    turn = np.int64((spreaded >> np.uint64(30)) & np.uint64(GROUP - 1))
    turned = (empty >> turn) | (empty << (GROUP - turn))
    return (trailing_zeros(turned) + turn) & (GROUP - 1)


@hot
def _find(state, key, probe):
    """Return the slot of `key`, and whether it is there: else the slot is the empty one that ends its probe."""
    control, spreaded = state.control, spread(key)
    shard = np.uint64(((key - 1) >> SYMBOL_BITS) & (SHARDS - 1))
    shift = np.uint64(64) - np.uint64(control[HASH_SHIFT])
    base, last = shard << shift, (np.uint64(1) << shift) - np.uint64(1)
    tag = np.uint8(TAKEN | ((spreaded >> np.uint64(20)) & np.uint64(TAKEN - 1)))
    group = spreaded >> np.uint64(control[HASH_SHIFT])
    while True:
        count(probe, PROBES, 1)
        count(probe, LINES_TOUCHED, 1)
        at = base + group
        # ACQUIRE: a reader that finds the tag finds the key and the zeros behind it.
        low = atomics.load(state.tags, (at, 0), ACQUIRE)
        high = atomics.load(state.tags, (at, 1), ACQUIRE)
        found = _matching(low, high, tag)
        while found:
            slot = (at << np.uint64(4)) + np.uint64(trailing_zeros(found))
            count(probe, LINES_TOUCHED, 1)
            if atomics.load(state.rows, (slot, KEY), RELAXED) == key:  # RELAXED: the tag's ACQUIRE orders it
                return slot, True
            found &= found - 1
        empty = _matching(low, high, np.uint8(0))
        if empty:
            return (at << np.uint64(4)) + np.uint64(_chosen(empty, spreaded)), False
        group = (group + np.uint64(1)) & last


@cold
def _claim(state, key, at):
    """Put `key` into the empty slot `at`; return whether its shard had room. For the shard's writer."""
    shard = np.uint64(((key - 1) >> SYMBOL_BITS) & (SHARDS - 1))
    if state.live[shard, 0] >= state.control[LIMIT]:
        return False
    state.live[shard, 0] += 1
    atomics.store(state.rows, (at, KEY), key, RELEASE)  # RELEASE: `snapshot` finds the zeros behind it
    tag = np.int64(TAKEN | ((spread(key) >> np.uint64(20)) & np.uint64(TAKEN - 1)))
    group, place = at >> np.uint64(4), np.int64(at & np.uint64(GROUP - 1))
    word = state.tags[group, place >> 3] | (tag << ((place & 7) << 3))
    atomics.store(state.tags, (group, place >> 3), word, RELEASE)  # RELEASE: the key and the zeros are there before
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


def export_state(state: SimdState) -> Canonical:
    """Return the canonical form. Not while other threads write."""
    taken = state.rows[state.rows[:, KEY] != 0]
    return _state.canonical(state, taken[:, KEY], taken[:, [QUANTITY, COST, REALISED]])


def grow(state: SimdState) -> SimdState:
    """Return tables with twice the room and the same content. Not while other threads write."""
    larger = _new(int(state.control[ACCOUNTS]), int(state.control[SYMBOLS]), 2 * len(state.tags) // SHARDS)
    return _state.moved(state, larger, export_state, _place)  # type: ignore[no-any-return]


VARIANT = Variant(
    name="simd",
    parent="aligned",
    idea="A byte of the hash for each slot, 16 compared at once (Swiss table): tables 7/8 full, not half, and "
    "hardly a slot looked at in vain.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=partial(_state.import_into, reset=reset, grow=grow, place=_place),
    grow=grow,
    read=read_item,
)
