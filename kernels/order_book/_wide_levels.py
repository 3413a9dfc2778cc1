"""Price levels by direct index in a window of ticks, as in `_window`, with a bitmap of the 64 ticks around the best.

Which of 64 neighbouring totals are not zero is one compare of 64 lanes, that LLVM makes 4, 8 or 16 instructions of, and
its answer is a word. So the words of a window's bitmap need not be kept: a row has the one of the group of 64 ticks
that holds its best level, and each message keeps that one up to date, in the line that it touches anyway. The others
are computed when the best level moves to another group, which few messages make it do.

Which groups hold a level at all is said by one word more, the summary. A bit is set with every change of its group and
taken back only by a search that finds the group empty, so that no message has to ask whether its group is empty now.
Each taking back is paid for by a setting: a message costs a constant number of compares in the mean, however far apart
the levels are.

A wide load from a line that was written in part a moment ago waits until the store has left the store buffer, which is
why the totals are not simply compared at every message.

The spill, and when the window moves, are as in `_window`. The fields that this part uses: those of `_sorted` but
`best`, and `row_hot` int64[4 * rows] (the key of the window's first tick with the number of the near group, the
summary, the word of the near group, the best level), `row_misses` int64[rows], `window_total`
int32[window_ticks * rows] on whole cache lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.machine.bits import trailing_zeros
from kernels.machine.hints import unlikely
from kernels.machine.memory import aligned
from kernels.messages import MAX_LEVEL_SIZE
from kernels.order_book import _apply, _sorted, _wide_depth
from kernels.order_book._apply import (
    DONE,
    LEVEL_FULL,
    LINES_TOUCHED,
    NO_ROOM,
    SPILLED,
    WANTED_ROW,
    WINDOW_SHIFT,
    cold,
    entry,
    hot,
)
from kernels.order_book._lines import HALVES, count_apart
from kernels.order_book._sorted import add_to_level, has_room
from kernels.order_book._wide_window import (
    BEST,
    GROUP,
    GROUP_BITS,
    GROUP_SHIFT,
    HOT_SHIFT,
    NEAR,
    NO_GROUP,
    SUMMARY,
    empty_group,
    find_highest,
    highest_bit,
    hot_at,
    levels_inside,
    recentre,
    refresh_best,
    set_near,
    take_as_best,
    window_base,
)
from kernels.probe import count

MISS_SHIFT = 4  # as in `_window`
SLACK = 2  # an event that moves an order changes two levels


def allocate(
    rows: int, levels: int, window_ticks: int, control: np.ndarray, zeros: Callable[..., np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the empty rows; `zeros(length, dtype)` makes the array of their hot fields."""
    if window_ticks & (window_ticks - 1):
        raise ValueError(f"order_book: window_ticks must be a power of two, not {window_ticks}")
    control[WINDOW_SHIFT] = window_ticks.bit_length() - 1
    return {
        "row_hot": zeros(rows << HOT_SHIFT, np.int64),
        "row_misses": np.zeros(rows, np.int64),
        "window_total": aligned(rows * window_ticks, np.int32),
        **_sorted.allocate(rows, levels, control),
    }


def reset(state: Any) -> None:
    """Empty every row. Touches only the groups that are used, so that untouched windows stay without memory."""
    _clear_rows(state)
    state.control[WANTED_ROW] = 0


grown = _sorted.grown
copy_levels = _wide_depth.copy_levels
sum_levels = _wide_depth.sum_levels


@entry
def _clear_rows(state):
    for row in range(state.row_misses.shape[0]):
        clear_levels(state, row, None)


@hot
def change_level(state, row, key, change, probe):
    """Add `change` to the size of the level `key`: DONE, or LEVEL_FULL or NO_ROOM with nothing changed."""
    index = key - window_base(state.row_hot, hot_at(row))
    if unlikely(index >> state.control[WINDOW_SHIFT] != 0):
        return _change_far(state, row, key, change, probe)
    return _change_near(state, row, index, change, probe)


@cold
def _change_far(state, row, key, change, probe):
    """Do what `change_level` does for a key that is outside the window."""
    if not settle(state, row, probe):
        return NO_ROOM
    return change_settled(state, row, key, change, probe)


@hot
def _change_near(state, row, index, change, probe):
    """Change the level at `index` of the window, then find the best one anew: no branch while its group is the same."""
    hot, at, shift = state.row_hot, hot_at(row), state.control[WINDOW_SHIFT]
    place = np.uint64((row << shift) + index)
    total = np.int64(state.window_total[place]) + change
    if unlikely(total > MAX_LEVEL_SIZE):
        return LEVEL_FULL
    state.window_total[place] = total
    count(probe, LINES_TOUCHED, 1)
    group, near, bit = index >> GROUP_SHIFT, hot[at] & ((1 << GROUP_BITS) - 1), index & (GROUP - 1)
    hot[at + np.uint64(SUMMARY)] |= 1 << group
    word = hot[at + np.uint64(NEAR)] & ~(np.int64(group == near) << bit)
    word |= np.int64((group == near) & (total != 0)) << bit
    if unlikely((group > near) | (word == 0)):
        _best_elsewhere(state, row, near, probe)
        return DONE
    hot[at + np.uint64(NEAR)] = word
    best = (near << GROUP_SHIFT) + highest_bit(word)
    count_apart(probe, best, index, HALVES, 1)
    take_as_best(state, row, best)
    return DONE


@hot
def _best_elsewhere(state, row, near, probe):
    """Find the best level of `row` where it has left its group of 64 ticks, or was never in the window."""
    index = np.int64(-1)
    if near != NO_GROUP:
        index = find_highest(state.row_hot, state.window_total, row, state.control[WINDOW_SHIFT], probe)
    if unlikely(index < 0):
        refresh_best(state, row, probe)
    else:
        take_as_best(state, row, index)


@cold
def settle(state, row, probe):
    """Move the window if that is due; return whether `row` can take one more spilled level."""
    count(probe, LINES_TOUCHED, 2)  # the misses, the length
    best = state.row_hot[(row << HOT_SHIFT) + BEST]
    due = (state.row_misses[row] + SLACK) << MISS_SHIFT > state.level_length[row] + (1 << state.control[WINDOW_SHIFT])
    if due and best != 0:
        if not has_room(state, row, levels_inside(state, row) + 1, None):
            return False
        recentre(state, row, _apply.level_key(best & 0x7FFFFFFF, row), probe)
    return has_room(state, row, 1, probe)


@cold
def change_settled(state, row, key, change, probe):
    """Change a level wherever it is, where `settle` has made room."""
    hot, at = state.row_hot, row << HOT_SHIFT
    if hot[at + BEST] == 0:
        recentre(state, row, key, probe)
    index = key - window_base(hot, at)
    if index >> state.control[WINDOW_SHIFT] == 0:
        return _change_near(state, row, index, change, probe)
    count(probe, SPILLED, 1)
    status = add_to_level(state, row, key, change, probe)
    refresh_best(state, row, probe)
    best = _apply.level_key(hot[at + BEST] & 0x7FFFFFFF, row)
    if best - key < 1 << (state.control[WINDOW_SHIFT] - 1):  # near the best: the window should have covered it
        state.row_misses[row] += 1
    return status


@cold
def clear_levels(state, row, probe):
    """Take every level of `row` out."""
    at = row << HOT_SHIFT
    summary = state.row_hot[at + SUMMARY]
    while summary != 0:
        group = trailing_zeros(summary) << GROUP_SHIFT
        empty_group(state.window_total, (row << state.control[WINDOW_SHIFT]) + group)
        summary &= summary - 1
    state.row_hot[at + SUMMARY] = 0
    set_near(state.row_hot, at, 0, 0)
    state.row_hot[at + BEST] = 0
    state.row_misses[row] = 0
    state.level_length[row] = 0


@cold
def level_size(state, row, key, probe):
    """Return the size of the level `key`, 0 when there is none."""
    index = key - window_base(state.row_hot, hot_at(row))
    if index >> state.control[WINDOW_SHIFT] == 0:
        count(probe, LINES_TOUCHED, 1)
        return np.int64(state.window_total[np.uint64((row << state.control[WINDOW_SHIFT]) + index)])
    return _sorted.level_size(state, row, key, probe)


@hot
def best_level(state, row, probe=None):
    """Return the best level as ``size << 32 | price``, 0 when the row is empty."""
    count(probe, LINES_TOUCHED, 1 - (row & 1))  # with the bids: the two rows of a symbol share a line
    return state.row_hot[hot_at(row) + np.uint64(BEST)]


@cold
def find_best(state, row, probe):
    """Find the best level of `row` where its near group does not hold it any more."""
    _best_elsewhere(state, row, state.row_hot[hot_at(row)] & ((1 << GROUP_BITS) - 1), probe)
