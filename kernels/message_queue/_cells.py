"""Slots that say themselves whether they hold a record: a number beside each record, on the same or the next line.

A cell is a row of `slots`, int64[slots, cell words], and begins with its number; the record follows in the same cache
line where it fits, and else on lines of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kernels.machine import vector as v
from kernels.machine.memory import aligned
from kernels.message_queue._parts import hot
from kernels.message_queue._ring import LINE_WORDS, RECORD_WORDS, check

NUMBER = 0  # the word of a cell that says what it holds
_SHORT = LINE_WORDS - 1  # words of the longest record that shares its number's line


def first_word(words: int) -> int:
    """Return at which word of a cell a record of so many words begins."""
    return 1 if words <= _SHORT else LINE_WORDS


def new_cells(parameters: Mapping[str, int]) -> np.ndarray:
    """Return cells of whole cache lines; their numbers are zero."""
    check(parameters)
    words = parameters["record_bytes"] // 8
    cell = -(-(first_word(words) + words) // LINE_WORDS) * LINE_WORDS
    return aligned((parameters["slots"], cell), np.int64)


@hot
def copy_in(cells, to, records, i):
    """Copy ``records[i]`` into the cell `to`."""
    words = records.shape[1]
    if words == RECORD_WORDS:
        v.store(cells, (to, LINE_WORDS), v.load(records, (i, 0), RECORD_WORDS))
    else:
        begin = 1 if words <= _SHORT else LINE_WORDS
        for word in range(words):
            cells[to, begin + word] = records[i, word]


@hot
def copy_out(records, i, cells, at):
    """Copy the record of the cell `at` to ``records[i]``."""
    words = records.shape[1]
    if words == RECORD_WORDS:
        v.store(records, (i, 0), v.load(cells, (at, LINE_WORDS), RECORD_WORDS))
    else:
        begin = 1 if words <= _SHORT else LINE_WORDS
        for word in range(words):
            records[i, word] = cells[at, begin + word]


@hot
def cell_lines(cells):
    """Return how many cache lines a cell has."""
    return cells.shape[1] // LINE_WORDS
