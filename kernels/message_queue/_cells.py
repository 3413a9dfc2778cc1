"""Slots that say themselves whether they hold a record: one word before each record, mostly on the same cache line.

A cell is a row of `slots`, int64[slots, 1 + words]: its number, then the record, without padding between the cells. A
record of up to 56 bytes can so travel with its number on one line. With a line for the number alone, records of 64
bytes were no faster and those of 8 bytes three times slower (docs/decisions/0015-message-queue.md).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kernels.catalog import Canonical, State
from kernels.machine import vector as v
from kernels.machine.memory import aligned
from kernels.message_queue._parts import hot
from kernels.message_queue._ring import LINE_WORDS, RECORD_WORDS, check, contents

NUMBER = 0  # the word of a cell that says what it holds
FIRST = 1  # the first word of the record


def new_cells(parameters: Mapping[str, int]) -> np.ndarray:
    """Return cells whose numbers are zero."""
    check(parameters)
    return aligned((parameters["slots"], FIRST + parameters["record_bytes"] // 8), np.int64)


@hot
def copy_in(cells, to, records, i):
    """Copy ``records[i]`` into the cell `to`."""
    words = records.shape[1]
    if words == RECORD_WORDS:
        v.store(cells, (to, FIRST), v.load(records, (i, 0), RECORD_WORDS))
    elif words == 1:
        cells[to, FIRST] = records[i, 0]
    else:
        for word in range(words):
            cells[to, FIRST + word] = records[i, word]


@hot
def copy_out(records, i, cells, at):
    """Copy the record of the cell `at` to ``records[i]``."""
    words = records.shape[1]
    if words == RECORD_WORDS:
        v.store(records, (i, 0), v.load(cells, (at, FIRST), RECORD_WORDS))
    elif words == 1:
        records[i, 0] = cells[at, FIRST]
    else:
        for word in range(words):
            records[i, word] = cells[at, FIRST + word]


@hot
def cell_lines(cells, at):
    """Return how many cache lines the cell `at` lies on."""
    words = cells.shape[1]
    return (at * words + words - 1) // LINE_WORDS - at * words // LINE_WORDS + 1


def export_cells(state: State, head: int, tail: int) -> Canonical:
    """Return the records of both queues, oldest first, int64[n, words], of a state that counts at these two places."""
    return {
        name: contents(slots[:, FIRST:], int(control[head]), int(control[tail]))
        for name, slots, control in (
            ("records", state.slots, state.control),
            ("back_records", state.back_slots, state.back_control),
        )
    }


def fill_cells(state: State, canonical: Canonical, tail: int) -> list[tuple[np.ndarray, int]]:
    """Put the records of `canonical` into the cells from the first on; return those cells and how many are filled.

    `state` must have been reset, and `canonical` checked. The caller sets the numbers.
    """
    filled = []
    both = (canonical["records"], canonical["back_records"])
    for records, slots, control in zip(
        both, (state.slots, state.back_slots), (state.control, state.back_control), strict=True
    ):
        slots[: len(records), FIRST:] = records
        control[tail] = len(records)
        filled.append((slots, len(records)))
    return filled
