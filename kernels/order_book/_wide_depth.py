"""The depth of a book whose levels are `_wide_levels`: the best levels one by one, and sums over them by vectors."""

from __future__ import annotations

import numpy as np

from kernels.machine import vector
from kernels.machine.bits import popcount
from kernels.machine.hints import unlikely
from kernels.order_book import _apply
from kernels.order_book._apply import WINDOW_SHIFT, cold, hot
from kernels.order_book._sorted import find_level
from kernels.order_book._wide_window import (
    GROUP,
    GROUP_SHIFT,
    HOT_SHIFT,
    SUMMARY,
    filled,
    highest_bit,
    hot_at,
    window_base,
)


@cold
def copy_levels(state, row, prices, sizes):
    """Write the best levels of `row`, best first, until the arrays are full; return how many were written.

    Three stretches follow each other: the spill above the window, the window, the spill below it.
    """
    base, summary = window_base(state.row_hot, hot_at(row)), state.row_hot[(row << HOT_SHIFT) + SUMMARY]
    first = state.level_at[row]
    split = find_level(state, row, base, None)
    written = _copy_spilled(state, row, first + state.level_length[row] - 1, split, prices, sizes, 0)
    while summary != 0 and written < prices.shape[0]:
        group = highest_bit(summary) << GROUP_SHIFT
        start = (row << state.control[WINDOW_SHIFT]) + group
        word = filled(state.window_total, start)
        while word != 0 and written < prices.shape[0]:
            bit = highest_bit(word)
            prices[written] = _apply.level_key(base + group + bit, row)
            sizes[written] = state.window_total[start + bit]
            written += 1
            word &= ~(1 << bit)
        summary &= ~(1 << (group >> GROUP_SHIFT))
    return _copy_spilled(state, row, split - 1, first, prices, sizes, written)


@hot
def _copy_spilled(state, row, place, end, prices, sizes, written):
    """Write the spilled levels from `place` down to `end`, as long as there is room; return how many are written."""
    while place >= end and written < prices.shape[0]:
        prices[written] = _apply.level_key(np.int64(state.level_key[place]), row)
        sizes[written] = state.level_total[place]
        written += 1
        place -= 1
    return written


@hot
def sum_levels(state, row, n):
    """Return ``(levels, size, value)`` of the best `n` levels, as `features.sum_levels`: 64 ticks of a window at once.

    No level is copied or looked at alone, those of the spill excepted.
    """
    base, summary = window_base(state.row_hot, hot_at(row)), state.row_hot[hot_at(row) + np.uint64(SUMMARY)]
    first, spilled = state.level_at[row], state.level_length[row]
    split = first
    if unlikely(spilled > 0):
        split = find_level(state, row, base, None)
    levels, size, moment = _sum_spilled(state, first + spilled - 1, split, n, 0, 0, 0)
    while (summary != 0) & (levels < n):
        group = highest_bit(summary)
        start = (row << state.control[WINDOW_SHIFT]) + (group << GROUP_SHIFT)
        word = filled(state.window_total, start)
        for _ in range(popcount(word) - (n - levels)):
            word &= word - 1  # the lowest level is the one too many
        totals = vector.select(vector.mask_of(word, GROUP), vector.load(state.window_total, np.uint64(start), GROUP), 0)
        wide = vector.convert(totals, np.int64)
        in_group = vector.reduce_add(wide)
        size += in_group
        moment += in_group * (base + (group << GROUP_SHIFT))
        moment += vector.reduce_add(wide * vector.lane_numbers(np.int64, GROUP))
        levels += popcount(word)
        summary &= ~(1 << group)
    levels, size, moment = _sum_spilled(state, split - 1, first, n, levels, size, moment)
    return levels, size, -moment - size if row & 1 else moment  # the price of an offer is its key's complement


@hot
def _sum_spilled(state, place, end, n, levels, size, moment):
    """Add the spilled levels from `place` down to `end`, up to `n`, to the count, the size, and the size times key."""
    while place >= end and levels < n:
        total = np.int64(state.level_total[place])
        size += total
        moment += total * np.int64(state.level_key[place])
        levels += 1
        place -= 1
    return levels, size, moment
