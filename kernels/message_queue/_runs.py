"""Runs of slots of a `robust` ring, for processes that read and write many records at a time in place.

A run is a number of slots that lie one behind the other in memory: it ends at the end of the ring. Each of them is
taken by a swap of its own, so that each names its owner; the index is moved once for all.
"""

from __future__ import annotations

import numpy as np

from kernels.machine import atomics
from kernels.machine.atomics import ACQUIRE, RELAXED, RELEASE
from kernels.message_queue._cells import NUMBER, copy_in
from kernels.message_queue._parts import hot, public
from kernels.message_queue._ring import LATER, wait
from kernels.message_queue.robust import (
    FREE,
    FULL,
    HEAD,
    LAP_SHIFT,
    OWNER_MASK,
    READING,
    STATE_MASK,
    STATE_SHIFT,
    TAIL,
    WRITING,
    claim,
)

NOBODY = 0  # what `holder` answers for a slot that no process holds


@hot
def _claim_run(state, index, wanted, mine, most):
    """Do as `claim` for up to `most` slots one behind the other; return ``(position of the first or -1, how many)``."""
    position = claim(state, index, wanted, mine, None, None)
    if position < 0:
        return position, 0
    size = state.slots.shape[0]
    at = position & (size - 1)
    lap = (position - at) << LAP_SHIFT
    runs = min(most, size - at)
    n = 1
    while n < runs:
        # ACQUIRE: as in `claim`.
        _, taken = atomics.compare_exchange(
            state.slots,
            (at + n, NUMBER),
            lap | wanted << STATE_SHIFT,
            lap | mine << STATE_SHIFT | state.owner[0],
            ACQUIRE,
        )
        if not taken:
            break
        n += 1
    # RELAXED: a number only; where somebody else has moved it, others go on slot by slot.
    atomics.compare_exchange(state.control, index, position + 1, position + n, RELAXED)
    return position, n


@public
def take_run(state, most):
    """Take up to `most` of the oldest records over for reading in place; return ``(first slot, how many)``, 0 if none.

    Give them back with `release_run`.
    """
    position, n = _claim_run(state, HEAD, FULL, READING, most)
    return position & (state.slots.shape[0] - 1), n


@public
def release_run(state, first, n):
    """Give the slots that `take_run` gave back to the writers."""
    size = state.slots.shape[0]
    for at in range(first, first + n):
        word = atomics.load(state.slots, (at, NUMBER), RELAXED)  # RELAXED: this thread holds it
        # RELEASE: the records were read before the writer of the next lap may write.
        atomics.store(state.slots, (at, NUMBER), ((word >> LAP_SHIFT) + size) << LAP_SHIFT, RELEASE)


@public
def put_all(state, records, begin, end):
    """Put in ``records[begin:end]`` as far as there is room; return how many."""
    size = state.slots.shape[0]
    done = begin
    while done < end:
        position, n = _claim_run(state, TAIL, FREE, WRITING, end - done)
        if n == 0:
            break
        first = position & (size - 1)
        for i in range(n):
            copy_in(state.slots, first + i, records, done + i)
            # RELEASE: who sees the word sees the record.
            word = (position - first) << LAP_SHIFT | FULL << STATE_SHIFT
            atomics.store(state.slots, (first + i, NUMBER), word, RELEASE)
        done += n
    return done - begin


@public
def holder(state, index):
    """Return who holds the slot that the next at `index` (HEAD or TAIL) has to wait for, or NOBODY."""
    at = atomics.load(state.control, index, RELAXED) & (state.slots.shape[0] - 1)  # RELAXED: an observation
    word = atomics.load(state.slots, (at, NUMBER), RELAXED)  # RELAXED: likewise
    kind = word >> STATE_SHIFT & STATE_MASK
    held = (kind == WRITING) | (kind == READING)
    return word & OWNER_MASK if held else np.int64(NOBODY)


@public
def await_turn(state, index, turns):
    """Wait until the slot at `index` has become what HEAD or TAIL waits for, at most so many turns; say whether."""
    mask = state.slots.shape[0] - 1
    wanted = FULL if index == HEAD else FREE
    for turn in range(turns):
        position = atomics.load(state.control, index, RELAXED)  # RELAXED: `claim` looks again
        at = position & mask
        word = atomics.load(state.slots, (at, NUMBER), RELAXED)  # RELAXED: likewise
        if (word - ((position - at) << LAP_SHIFT)) >> STATE_SHIFT >= wanted:
            return True
        wait(turn, LATER)
    return False
