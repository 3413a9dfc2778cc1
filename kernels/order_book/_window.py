"""Price levels by direct index in a window of ticks, with the far prices spilled into sorted arrays.

Each row has `window_ticks` totals, and above them two levels of bits that say which are not zero: 64 words of 64 bits,
and a summary word with one bit for each word. The best level is then two "highest set bit" instructions away, whatever
the distance to it (the idea is van Emde Boas's; as bitmaps in Linux's O(1) scheduler). Nothing is searched or shifted.

A price outside the window goes to the row's spill, which is the sorted array of `_sorted`; the best of the book is the
better of the two, so the window decides about speed and never about the result. A row moves its window

- when it is empty and a price comes or the spill holds some: there is nothing to move but the levels that come in;
- when changes within half a window of the best have gone to the spill often enough to pay for it: `misses` must reach
  a sixteenth of the window and the spill together, so that no stream of events can make moving more than a constant
  factor of its cost.

The fields that this part uses: those of `_sorted` but `best`, and `row_hot` int64[4 * rows] (the key of the window's
first tick, the summary, the key of the best spilled level, the best level), `row_misses` int64[rows], `window_word`
int64[64 * rows], `window_total` int32[window_ticks * rows].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.machine.bits import leading_zeros, popcount, trailing_zeros
from kernels.machine.hints import unlikely
from kernels.messages import MAX_LEVEL_SIZE
from kernels.order_book import _apply, _sorted
from kernels.order_book._apply import (
    DONE,
    LEVEL_FULL,
    LINES_TOUCHED,
    NO_ROOM,
    RECENTRED,
    SPILLED,
    WANTED_ROW,
    WINDOW_SHIFT,
    WORDS_SCANNED,
    cold,
    entry,
    hot,
)
from kernels.order_book._lines import HALVES, count_apart
from kernels.order_book._lines import WORDS as LINE_WORDS
from kernels.order_book._sorted import add_to_level, find_level, has_room, open_gap
from kernels.probe import count

BASE, SUMMARY, SPILL_TOP, BEST = range(4)  # the columns of `row_hot`, as `row << HOT_SHIFT | column`
HOT_SHIFT = 2  # 32 bytes for a row, so 64 for the two rows of a symbol
NOTHING = -(2**40)  # below every key
WORDS = 64
GROUP = 64  # ticks of a word
MISS_SHIFT = 4  # moving the window costs about what 1/16 as many misses cost
SLACK = 2  # an event that moves an order changes two levels


def allocate(
    rows: int, levels: int, window_ticks: int, control: np.ndarray, zeros: Callable[..., np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the empty rows; `zeros(length, dtype)` makes the arrays of the fast path."""
    if window_ticks & (window_ticks - 1):
        raise ValueError(f"order_book: window_ticks must be a power of two, not {window_ticks}")
    control[WINDOW_SHIFT] = window_ticks.bit_length() - 1
    hot = zeros(rows << HOT_SHIFT, np.int64)
    hot[SPILL_TOP :: 1 << HOT_SHIFT] = NOTHING
    return {
        "row_hot": hot,
        "row_misses": np.zeros(rows, np.int64),
        "window_word": zeros(rows * WORDS, np.int64),
        "window_total": zeros(rows * window_ticks, np.int32),
        **_sorted.allocate(rows, levels, control),
    }


def reset(state: Any) -> None:
    """Empty every row. Touches only what is used, so that untouched windows stay without memory."""
    _clear_rows(state)
    state.control[WANTED_ROW] = 0


grown = _sorted.grown


@entry
def _clear_rows(state):
    for row in range(state.row_misses.shape[0]):
        clear_levels(state, row, None)


@hot
def hot_at(row):
    """Return where the hot fields of `row` begin."""
    return np.uint64(row << HOT_SHIFT)


@hot
def highest_index(state, row, summary):
    """Return the index of the highest level of a window that is not empty; of an empty one some index within it."""
    high = 63 - leading_zeros(summary | 1)
    word = state.window_word[np.uint64((row << 6) | high)]
    return (high << 6) | (63 - leading_zeros(word | 1))


@hot
def change_level(state, row, key, change, probe):
    """Add `change` to the size of the level `key`: DONE, or LEVEL_FULL or NO_ROOM with nothing changed."""
    index = key - state.row_hot[hot_at(row)]
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
    """Change the level at `index` of the window, then find the best level anew: no branch on what was found."""
    place = np.uint64((row << state.control[WINDOW_SHIFT]) + index)
    total = np.int64(state.window_total[place]) + change
    if unlikely(total > MAX_LEVEL_SIZE):
        return LEVEL_FULL
    state.window_total[place] = total
    set_bits(state, row, index, total != 0)
    count(probe, LINES_TOUCHED, 2)  # its total, its word
    refresh_best(state, row, index, probe)
    return DONE


@hot
def set_bits(state, row, index, filled):
    """Say in both levels of bits whether the level at `index` is not empty."""
    at = np.uint64((row << 6) | (index >> 6))
    word = (state.window_word[at] & ~(1 << (index & 63))) | (np.int64(filled) << (index & 63))
    state.window_word[at] = word
    upper = index >> 6
    summary = state.row_hot[hot_at(row) + np.uint64(SUMMARY)]
    summary = (summary & ~(1 << upper)) | (np.int64(word != 0) << upper)
    state.row_hot[hot_at(row) + np.uint64(SUMMARY)] = summary


@hot
def refresh_best(state, row, changed, probe):
    """Write the best level of `row`: the highest of the window, or of the spill. `changed`: for the probe, or -1."""
    hot, at = state.row_hot, hot_at(row)
    summary = hot[at + np.uint64(SUMMARY)]
    index = highest_index(state, row, summary)
    count(probe, WORDS_SCANNED, 2)
    count_apart(probe, index, changed, GROUP * LINE_WORDS, 1)  # its word
    key = hot[at] + index
    if unlikely((summary == 0) | (key < hot[at + np.uint64(SPILL_TOP)])):
        _best_of_spill(state, row, probe)
        return
    count_apart(probe, index, changed, HALVES, 1)  # its total
    total = np.int64(state.window_total[np.uint64((row << state.control[WINDOW_SHIFT]) + index)])
    hot[at + np.uint64(BEST)] = (total << 32) | _apply.level_key(key, row)


@cold
def _best_of_spill(state, row, probe):
    """Write the best level where it is not in the window. An empty window is moved to the spilled levels."""
    hot, at = state.row_hot, row << HOT_SHIFT
    length = state.level_length[row]
    count(probe, LINES_TOUCHED, 1)
    if length == 0:
        hot[at + BEST] = 0
        return
    count(probe, LINES_TOUCHED, 3)  # where the row begins, the last key, its total
    last = state.level_at[row] + length - 1
    hot[at + BEST] = (np.int64(state.level_total[last]) << 32) | _apply.level_key(np.int64(state.level_key[last]), row)
    if hot[at + SUMMARY] == 0:
        recentre(state, row, np.int64(state.level_key[last]), probe)


@cold
def settle(state, row, probe):
    """Move the window if that is due; return whether `row` can take one more spilled level."""
    count(probe, LINES_TOUCHED, 2)  # the misses, the length
    if (state.row_misses[row] + SLACK) << MISS_SHIFT > state.level_length[row] + (1 << state.control[WINDOW_SHIFT]):
        inside = 0
        for i in range(WORDS):
            inside += popcount(state.window_word[row * WORDS + i])
        if not has_room(state, row, inside + 1, None):
            return False
        best = state.row_hot[(row << HOT_SHIFT) + BEST]
        recentre(state, row, _apply.level_key(best & 0x7FFFFFFF, row), probe)
    return has_room(state, row, 1, probe)


@cold
def change_settled(state, row, key, change, probe):
    """Change a level wherever it is, where `settle` has made room."""
    hot, at = state.row_hot, row << HOT_SHIFT
    if hot[at + SUMMARY] == 0:  # then the spill is empty too
        recentre(state, row, key, probe)
    index = key - hot[at + BASE]
    if index >> state.control[WINDOW_SHIFT] == 0:
        return _change_near(state, row, index, change, probe)
    count(probe, SPILLED, 1)
    status = add_to_level(state, row, key, change, probe)
    _set_spill_top(state, row)
    refresh_best(state, row, -1, probe)
    best = _apply.level_key(hot[at + BEST] & 0x7FFFFFFF, row)
    if best - key < 1 << (state.control[WINDOW_SHIFT] - 1):  # near the best: the window should have covered it
        state.row_misses[row] += 1
    return status


@hot
def _set_spill_top(state, row):
    """Write the key of the best spilled level."""
    top = NOTHING
    if state.level_length[row] > 0:
        top = np.int64(state.level_key[state.level_at[row] + state.level_length[row] - 1])
    state.row_hot[(row << HOT_SHIFT) + SPILL_TOP] = top


@cold
def recentre(state, row, best, probe):
    """Move the window so that the key `best`, which is or becomes the best of the row, lies at three quarters of it.

    All levels of the window join the spill, which must have the room; those that the window then covers come back.
    They are the last of the spill, because no key is better than `best`.
    """
    ticks = 1 << state.control[WINDOW_SHIFT]
    _unload(state, row, probe)
    base = best - 3 * (ticks >> 2)
    state.row_hot[(row << HOT_SHIFT) + BASE] = base
    first = state.level_at[row]
    place = first + state.level_length[row] - 1
    while place >= first and state.level_key[place] >= base:
        index = np.int64(state.level_key[place]) - base
        state.window_total[(row << state.control[WINDOW_SHIFT]) + index] = state.level_total[place]
        set_bits(state, row, index, True)
        place -= 1
    state.level_length[row] = place + 1 - first
    state.row_misses[row] = 0
    _set_spill_top(state, row)
    count(probe, RECENTRED, 1)


@cold
def _unload(state, row, probe):
    """Move every level of the window into the spill, in its place between the lower and the higher ones."""
    base = state.row_hot[(row << HOT_SHIFT) + BASE]
    inside = 0
    for i in range(WORDS):
        inside += popcount(state.window_word[row * WORDS + i])
    if inside == 0:
        return
    place = find_level(state, row, base, probe)
    open_gap(state, row, place, inside, probe)
    for i in range(WORDS):
        word = state.window_word[row * WORDS + i]
        while word != 0:
            index = (i << 6) | trailing_zeros(word)
            total = (row << state.control[WINDOW_SHIFT]) + index
            state.level_key[place] = base + index
            state.level_total[place] = state.window_total[total]
            state.window_total[total] = 0
            place += 1
            word &= word - 1
        state.window_word[row * WORDS + i] = 0
    state.row_hot[(row << HOT_SHIFT) + SUMMARY] = 0


@cold
def level_size(state, row, key, probe):
    """Return the size of the level `key`, 0 when there is none."""
    index = key - state.row_hot[hot_at(row)]
    if index >> state.control[WINDOW_SHIFT] == 0:
        count(probe, LINES_TOUCHED, 1)
        return np.int64(state.window_total[np.uint64((row << state.control[WINDOW_SHIFT]) + index)])
    return _sorted.level_size(state, row, key, probe)


@cold
def clear_levels(state, row, probe):
    """Take every level of `row` out."""
    for i in range(WORDS):
        word = state.window_word[row * WORDS + i]
        while word != 0:
            index = (i << 6) | trailing_zeros(word)
            state.window_total[(row << state.control[WINDOW_SHIFT]) + index] = 0
            word &= word - 1
        if state.window_word[row * WORDS + i] != 0:
            state.window_word[row * WORDS + i] = 0
    at = row << HOT_SHIFT
    state.row_hot[at + SUMMARY] = 0
    state.row_hot[at + SPILL_TOP] = NOTHING
    state.row_hot[at + BEST] = 0
    state.row_misses[row] = 0
    state.level_length[row] = 0


@hot
def best_level(state, row, probe=None):
    """Return the best level as ``size << 32 | price``, 0 when the row is empty."""
    count(probe, LINES_TOUCHED, 1 - (row & 1))  # with the bids: the two rows of a symbol share a line
    return state.row_hot[hot_at(row) + np.uint64(BEST)]


@cold
def copy_levels(state, row, prices, sizes):
    """Write the best levels of `row`, best first, until the arrays are full; return how many were written.

    Three stretches follow each other: the spill above the window, the window, the spill below it.
    """
    base = state.row_hot[(row << HOT_SHIFT) + BASE]
    first = state.level_at[row]
    split = find_level(state, row, base, None)
    written = 0
    for place in range(first + state.level_length[row] - 1, split - 1, -1):
        written = _write_level(state, row, place, prices, sizes, written)
    for i in range(WORDS - 1, -1, -1):
        word = state.window_word[row * WORDS + i]
        while word != 0 and written < prices.shape[0]:
            bit = 63 - leading_zeros(word)
            index = (i << 6) | bit
            prices[written] = _apply.level_key(base + index, row)
            sizes[written] = state.window_total[(row << state.control[WINDOW_SHIFT]) + index]
            written += 1
            word &= ~(1 << bit)
    for place in range(split - 1, first - 1, -1):
        written = _write_level(state, row, place, prices, sizes, written)
    return written


@hot
def _write_level(state, row, place, prices, sizes, written):
    """Write the spilled level at `place`, if there is room; return how many are written now."""
    if written == prices.shape[0]:
        return written
    prices[written] = _apply.level_key(np.int64(state.level_key[place]), row)
    sizes[written] = state.level_total[place]
    return written + 1
