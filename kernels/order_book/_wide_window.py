"""The window of `_wide_levels`: which of its levels are filled, the best of them, and how the window moves.

The fields are described in `_wide_levels`.
"""

from __future__ import annotations

import numpy as np

from kernels.machine import vector
from kernels.machine.bits import leading_zeros, popcount, trailing_zeros
from kernels.order_book import _apply
from kernels.order_book._apply import LINES_TOUCHED, RECENTRED, WINDOW_SHIFT, WORDS_SCANNED, cold, hot
from kernels.order_book._lines import HALVES
from kernels.order_book._sorted import find_level, open_gap
from kernels.probe import count

PLACE, SUMMARY, NEAR, BEST = range(4)  # the columns of `row_hot`, as `row << HOT_SHIFT | column`
HOT_SHIFT = 2  # 32 bytes for a row, so 64 for the two rows of a symbol
GROUP_BITS = 8  # PLACE is the key of the window's first tick, shifted by these, and the number of the near group
NO_GROUP = 64  # the near group while the best level is in the spill above the window; NEAR is then 0
GROUP_SHIFT = 6  # 64 ticks to a group: one bit each in a word
GROUP = 1 << GROUP_SHIFT


@hot
def hot_at(row):
    """Return where the hot fields of `row` begin."""
    return np.uint64(row << HOT_SHIFT)


@hot
def window_base(row_hot, at):
    """Return the key of the first tick of the window whose hot fields begin at `at`."""
    return row_hot[at] >> GROUP_BITS


@hot
def filled(window_total, place):
    """Return which of the 64 totals from `place` on are not zero, as a word."""
    return vector.bits(vector.load(window_total, np.uint64(place), GROUP) != 0)


@hot
def highest_bit(word):
    """Return the number of the highest bit that is set; the word must not be 0."""
    return 63 - leading_zeros(word)


# ---- the best level --------------------------------------------------------------------------------------------------


@hot
def take_as_best(state, row, index):
    """Write the level at `index` of the window as the best of the row."""
    hot, at = state.row_hot, hot_at(row)
    total = np.int64(state.window_total[np.uint64((row << state.control[WINDOW_SHIFT]) + index)])
    hot[at + np.uint64(BEST)] = (total << 32) | _apply.level_key(window_base(hot, at) + index, row)


@cold
def find_highest(row_hot, window_total, row, shift, probe):
    """Return the index of the highest level in the window of `row`, and make its group the near one; -1 for none.

    The summary loses the groups that are found to be empty.
    """
    at = row << HOT_SHIFT
    summary = row_hot[at + SUMMARY]
    while summary != 0:
        group = highest_bit(summary)
        word = filled(window_total, (row << shift) + (group << GROUP_SHIFT))
        count(probe, WORDS_SCANNED, 1)
        count(probe, LINES_TOUCHED, GROUP // HALVES)
        if word != 0:
            row_hot[at + SUMMARY] = summary
            set_near(row_hot, at, group, word)
            return (group << GROUP_SHIFT) + highest_bit(word)
        summary &= ~(1 << group)
    row_hot[at + SUMMARY] = 0
    set_near(row_hot, at, 0, 0)
    return -1


@hot
def set_near(row_hot, at, group, word):
    """Make `group` the near one, with that word."""
    row_hot[at + PLACE] = (window_base(row_hot, at) << GROUP_BITS) | group
    row_hot[at + NEAR] = word


@cold
def refresh_best(state, row, probe):
    """Find the best level of `row` anew, wherever it is. An empty window is moved to the spilled levels."""
    hot, at = state.row_hot, row << HOT_SHIFT
    index = find_highest(hot, state.window_total, row, state.control[WINDOW_SHIFT], probe)
    length = state.level_length[row]
    count(probe, LINES_TOUCHED, 2 + np.int64(length != 0))  # where the row begins, its length, the last key
    last = state.level_at[row] + length - 1
    if index >= 0 and (length == 0 or state.level_key[last] < window_base(hot, at)):
        take_as_best(state, row, index)
        return
    hot[at + BEST] = 0
    if length == 0:
        return
    count(probe, LINES_TOUCHED, 1)
    key = np.int64(state.level_key[last])
    hot[at + BEST] = (np.int64(state.level_total[last]) << 32) | _apply.level_key(key, row)
    if index < 0:
        recentre(state, row, key, probe)
    else:
        set_near(hot, at, NO_GROUP, 0)


# ---- moving the window -----------------------------------------------------------------------------------------------


@hot
def levels_inside(state, row):
    """Return how many levels the window of `row` holds."""
    inside, first, summary = 0, row << state.control[WINDOW_SHIFT], state.row_hot[(row << HOT_SHIFT) + SUMMARY]
    while summary != 0:
        inside += popcount(filled(state.window_total, first + (trailing_zeros(summary) << GROUP_SHIFT)))
        summary &= summary - 1
    return inside


@cold
def recentre(state, row, best, probe):
    """Move the window so that the key `best`, which is or becomes the best of the row, lies at three quarters of it.

    All levels of the window join the spill, which must have the room; those that the window then covers come back.
    They are the last of the spill, because no key is better than `best`.
    """
    at, shift = row << HOT_SHIFT, state.control[WINDOW_SHIFT]
    _unload(state, row, probe)
    base = best - 3 * (1 << shift >> 2)
    first = state.level_at[row]
    place = first + state.level_length[row] - 1
    summary = 0
    while place >= first and state.level_key[place] >= base:
        index = np.int64(state.level_key[place]) - base
        state.window_total[(row << shift) + index] = state.level_total[place]
        summary |= 1 << (index >> GROUP_SHIFT)
        place -= 1
    group = (best - base) >> GROUP_SHIFT
    state.row_hot[at + PLACE] = base << GROUP_BITS
    state.row_hot[at + SUMMARY] = summary
    set_near(state.row_hot, at, group, filled(state.window_total, (row << shift) + (group << GROUP_SHIFT)))
    state.level_length[row] = place + 1 - first
    state.row_misses[row] = 0
    count(probe, RECENTRED, 1)


@cold
def _unload(state, row, probe):
    """Move every level of the window into the spill, in its place between the lower and the higher ones."""
    base, summary = window_base(state.row_hot, hot_at(row)), state.row_hot[(row << HOT_SHIFT) + SUMMARY]
    inside = levels_inside(state, row)
    if inside == 0:
        return
    place = find_level(state, row, base, probe)
    open_gap(state, row, place, inside, probe)
    while summary != 0:
        group = trailing_zeros(summary) << GROUP_SHIFT
        start = (row << state.control[WINDOW_SHIFT]) + group
        word = filled(state.window_total, start)
        while word != 0:
            bit = trailing_zeros(word)
            state.level_key[place] = base + group + bit
            state.level_total[place] = state.window_total[start + bit]
            place += 1
            word &= word - 1
        empty_group(state.window_total, start)
        summary &= summary - 1


@hot
def empty_group(window_total, place):
    """Write zeros to the 64 totals from `place` on."""
    vector.store(window_total, np.uint64(place), vector.splat(0, np.int32, GROUP))
