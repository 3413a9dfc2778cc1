"""Price levels in sorted arrays, found by binary search: the whole book of `baseline`, the far prices of the ladder.

Every row has a stretch of one pool, in ascending order of key, so that the best level is the last and most changes
happen near the end, where little has to be shifted. A row that is full moves to the pool's unused end with twice the
room (`grown`), and the pool itself grows when that is used up: growing costs in proportion to what is stored.

The fields that this part uses: `control`, `level_key` and `level_total` int32[pool], `level_at`, `level_length` and
`level_room` int64[rows], and `best` int64[rows].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.messages import MAX_LEVEL_SIZE
from kernels.order_book import _apply
from kernels.order_book._apply import (
    DONE,
    LEVEL_FULL,
    LEVELS_MOVED,
    LINES_TOUCHED,
    NO_ROOM,
    POOL_END,
    WANTED_LEVELS,
    WANTED_ROW,
    cold,
    entry,
    hot,
)
from kernels.order_book._lines import HALVES, apart, lines_after
from kernels.probe import count


def allocate(rows: int, levels: int, control: np.ndarray) -> dict[str, np.ndarray]:
    """Return the empty rows, with room for `levels` levels each."""
    control[POOL_END] = rows * levels
    return {
        "level_key": np.zeros(rows * levels, np.int32),
        "level_total": np.zeros(rows * levels, np.int32),
        "level_at": np.arange(rows, dtype=np.int64) * levels,
        "level_length": np.zeros(rows, np.int64),
        "level_room": np.full(rows, levels, np.int64),
    }


def reset(state: Any) -> None:
    """Empty every row."""
    state.level_length[:] = 0
    state.best[:] = 0
    state.control[WANTED_ROW] = 0


def grown(state: Any) -> Any:
    """Return the state with room for the levels that `control` says are wanted."""
    control = state.control
    row = int(control[WANTED_ROW]) - 1
    control[WANTED_ROW] = 0
    room = max(2 * int(state.level_room[row]), int(control[WANTED_LEVELS]))
    if int(control[POOL_END]) + room > len(state.level_key):
        state = _larger_pool(state, 2 * (int(state.level_room.sum()) + room))
    start, length, end = int(state.level_at[row]), int(state.level_length[row]), int(control[POOL_END])
    for pool in (state.level_key, state.level_total):
        pool[end : end + length] = pool[start : start + length]
    state.level_at[row], state.level_room[row] = end, room
    control[POOL_END] = end + room
    return state


def _larger_pool(state: Any, size: int) -> Any:
    """Return the state with its rows one after the other in a pool of `size` levels."""
    larger = state._replace(level_key=np.zeros(size, np.int32), level_total=np.zeros(size, np.int32))
    starts = np.cumsum(state.level_room) - state.level_room
    _move_rows(state.level_key, larger.level_key, state.level_at, starts, state.level_length)
    _move_rows(state.level_total, larger.level_total, state.level_at, starts, state.level_length)
    larger.level_at[:] = starts
    larger.control[POOL_END] = int(state.level_room.sum())
    return larger


@entry
def _move_rows(source, target, old_at, new_at, length):
    """Copy each row from its old place in `source` to its new one in `target`."""
    for row in range(old_at.shape[0]):
        for i in range(length[row]):
            target[new_at[row] + i] = source[old_at[row] + i]


@hot
def find_level(state, row, key, probe):
    """Return the first place in the pool, within `row`, whose key is not below `key`."""
    low = state.level_at[row]
    high = low + state.level_length[row]
    count(probe, LINES_TOUCHED, 2)  # where the row begins, and its length
    middle = np.int64(-1)
    while low < high:
        count(probe, LINES_TOUCHED, apart((low + high) >> 1, middle, HALVES))
        middle = (low + high) >> 1
        if state.level_key[middle] < key:
            low = middle + 1
        else:
            high = middle
    count(probe, LINES_TOUCHED, apart(low, middle, HALVES))
    return low


@hot
def open_gap(state, row, place, levels, probe):
    """Shift what stands from `place` on by `levels` places; the row must have the room."""
    end = state.level_at[row] + state.level_length[row]
    for i in range(end - 1, place - 1, -1):
        state.level_key[i + levels] = state.level_key[i]
        state.level_total[i + levels] = state.level_total[i]
    count(probe, LEVELS_MOVED, end - place)
    count(probe, LINES_TOUCHED, 2 * lines_after(place, end - 1 + levels, HALVES))  # keys and totals
    state.level_length[row] += levels


@hot
def take_out(state, row, place, probe):
    """Remove the level at `place` and shift what stands behind it."""
    end = state.level_at[row] + state.level_length[row] - 1
    for i in range(place, end):
        state.level_key[i] = state.level_key[i + 1]
        state.level_total[i] = state.level_total[i + 1]
    count(probe, LEVELS_MOVED, end - place)
    count(probe, LINES_TOUCHED, 2 * lines_after(place, end, HALVES))
    state.level_length[row] -= 1


@hot
def has_room(state, row, levels, probe):
    """Return whether `row` can take that many more levels; if not, leave word for `grown`."""
    count(probe, LINES_TOUCHED, 1)  # its room; whoever asks looks at its length anyway
    if state.level_length[row] + levels <= state.level_room[row]:
        return True
    state.control[WANTED_ROW] = row + 1
    state.control[WANTED_LEVELS] = state.level_length[row] + levels
    return False


@hot
def add_to_level(state, row, key, change, probe):
    """Add `change` to the level `key`, which comes and goes as it has to. Answers as `change_level`."""
    place = find_level(state, row, key, probe)
    count(probe, LINES_TOUCHED, 1)  # its total; the line of its key was reached by the search
    if place < state.level_at[row] + state.level_length[row] and state.level_key[place] == key:
        total = np.int64(state.level_total[place]) + change
        if total > MAX_LEVEL_SIZE:
            return LEVEL_FULL
        if total == 0:
            take_out(state, row, place, probe)
        else:
            state.level_total[place] = total
            count(probe, LINES_TOUCHED, 2 * apart(state.level_at[row] + state.level_length[row] - 1, place, HALVES))
        return DONE
    if not has_room(state, row, 1, probe):
        return NO_ROOM
    open_gap(state, row, place, 1, probe)
    state.level_key[place] = key
    state.level_total[place] = change
    return DONE


@hot
def change_level(state, row, key, change, probe):
    """Add `change` to the size of the level `key`: DONE, or LEVEL_FULL or NO_ROOM with nothing changed."""
    status = add_to_level(state, row, key, change, probe)
    best = 0
    length = state.level_length[row]
    if length > 0:
        last = state.level_at[row] + length - 1
        price = _apply.level_key(np.int64(state.level_key[last]), row)
        best = (np.int64(state.level_total[last]) << 32) | price
    state.best[row] = best
    return status


change_settled = change_level


@cold
def settle(state, row, probe):
    """Return whether `row` can take one more level. Nothing is ever postponed here."""
    return has_room(state, row, 1, probe)


@cold
def level_size(state, row, key, probe):
    """Return the size of the level `key`, 0 when there is none."""
    place = find_level(state, row, key, probe)
    count(probe, LINES_TOUCHED, 1)
    if place < state.level_at[row] + state.level_length[row] and state.level_key[place] == key:
        return np.int64(state.level_total[place])
    return 0


@cold
def clear_levels(state, row, probe):
    """Take every level of `row` out."""
    state.level_length[row] = 0
    state.best[row] = 0


@hot
def best_level(state, row, probe=None):
    """Return the best level as ``size << 32 | price``, 0 when the row is empty."""
    count(probe, LINES_TOUCHED, 1 - (row & 1))  # with the bids: the two rows of a symbol share a line
    return state.best[row]


@cold
def copy_levels(state, row, prices, sizes):
    """Write the best levels of `row`, best first, until the arrays are full; return how many were written."""
    length = min(state.level_length[row], prices.shape[0])
    last = state.level_at[row] + state.level_length[row] - 1
    for i in range(length):
        prices[i] = _apply.level_key(np.int64(state.level_key[last - i]), row)
        sizes[i] = state.level_total[last - i]
    return length
