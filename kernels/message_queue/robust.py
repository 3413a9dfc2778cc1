"""The ring of `mpmc` that outlives its users: whoever holds a slot has his name in it.

In `mpmc` a thread takes a position by moving the tail, and nothing says who. Here it swaps the slot's own word from
"free in lap k" to "being written in lap k, by me"; the tail is moved afterwards, by the same thread or by any other
that sees the slot taken. So there is no moment in which a slot is held and does not say by whom, and when a process
died, the others give its slots back (`release_all_of`): what it was writing is lost, what it was reading counts as
read, and both are counted. It costs one more swap for each operation.

Within one process it has no use but to show what that costs: threads do not die alone. `shared` lays it into memory
that processes share.

The word of a slot is ``begin of lap << 10 | state << 8 | owner``, where the begin of a lap is the position of its first
slot: words never come back, so a swap cannot take an old one for a new one (ABA).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Canonical, State, Variant
from kernels.machine import atomics
from kernels.machine.atomics import ACQUIRE, RELAXED, RELEASE
from kernels.marked import marked_point
from kernels.message_queue import _replay
from kernels.message_queue._cells import (
    FIRST,
    NUMBER,
    cell_lines,
    copy_in,
    copy_out,
    export_cells,
    fill_cells,
    new_cells,
)
from kernels.message_queue._parts import CAS_RETRIES, LINES_TOUCHED, assemble, hot, public
from kernels.message_queue._ring import APART, check_canonical, new_control
from kernels.probe import count

HEAD, TAIL = 0, APART  # on lines of their own
LOST, ABANDONED = 2 * APART, 2 * APART + 1  # records that dead owners were writing, and were reading
FREE, WRITING, FULL, READING = range(4)  # the states of a slot
STATE_SHIFT, LAP_SHIFT = 8, 10
OWNER_MASK, STATE_MASK = 255, 3
MOST_OWNERS = OWNER_MASK


class RobustState(NamedTuple):
    """Two queues, there and back."""

    slots: np.ndarray  # int64[slots, 1 + words], see `_cells`
    control: np.ndarray
    back_slots: np.ndarray
    back_control: np.ndarray
    owner: np.ndarray  # int64[1]: the number of this process, 1 to 255; its own, not shared


def allocate(parameters: Mapping[str, int]) -> RobustState:
    """Return two empty queues."""
    state = RobustState(
        new_cells(parameters), new_control(), new_cells(parameters), new_control(), np.ones(1, np.int64)
    )
    reset(state)
    return state


def reset(state: State) -> None:
    """Empty both queues: every slot is free in lap 0."""
    for slots, control in ((state.slots, state.control), (state.back_slots, state.back_control)):
        control[:] = 0
        slots[:, NUMBER] = 0


@hot
def turned(state):
    """Return the state with the two queues exchanged."""
    return RobustState(state.back_slots, state.back_control, state.slots, state.control, state.owner)


@hot
def claim(state, index, wanted, mine, probe, pauses):
    """Take the next slot whose state is `wanted` over into the state `mine`; return its position, or -1.

    `index` is TAIL to write and HEAD to read. -1: the slot there is not as `wanted` yet, the queue is full or empty.
    """
    mask = state.slots.shape[0] - 1
    position = atomics.load(state.control, index, RELAXED)  # RELAXED: a guess that the slot's word checks
    while True:
        at = position & mask
        lap = (position - at) << LAP_SHIFT
        # ACQUIRE: what the thread before did with the slot is done; pairs with the RELEASE of its last store.
        seen = atomics.load(state.slots, (at, NUMBER), ACQUIRE)
        if seen == lap | wanted << STATE_SHIFT:
            marked_point(pauses)
            # ACQUIRE: as the load, if the word has come back to the same meanwhile, which it cannot.
            seen, taken = atomics.compare_exchange(
                state.slots, (at, NUMBER), seen, lap | mine << STATE_SHIFT | state.owner[0], ACQUIRE
            )
            marked_point(pauses)
            if taken:
                # RELAXED: a number only. Another thread may have moved it on already, having seen the slot taken.
                atomics.compare_exchange(state.control, index, position, position + 1, RELAXED)
                return position
        if (seen - lap) >> STATE_SHIFT < wanted:  # of an earlier lap, or in this one not as far yet
            count(probe, LINES_TOUCHED, 2)
            return -1
        # The slot is taken or past: its position is used up. RELAXED: as above.
        now, moved = atomics.compare_exchange(state.control, index, position, position + 1, RELAXED)
        position = position + 1 if moved else now
        count(probe, CAS_RETRIES, 1)


@hot
def enqueue(state, records, i, probe, pauses):
    """Put ``records[i]`` in; return False when the slot at the end is not free."""
    position = claim(state, TAIL, FREE, WRITING, probe, pauses)
    if position < 0:
        return False
    at = position & (state.slots.shape[0] - 1)
    marked_point(pauses)
    copy_in(state.slots, at, records, i)
    marked_point(pauses)
    # RELEASE: who sees the word sees the record.
    atomics.store(state.slots, (at, NUMBER), (position - at) << LAP_SHIFT | FULL << STATE_SHIFT, RELEASE)
    count(probe, LINES_TOUCHED, 1 + cell_lines(state.slots, at))
    return True


@hot
def dequeue(state, records, i, probe, pauses):
    """Take the oldest record out into ``records[i]``; return False when the slot at the head is not filled."""
    position = claim(state, HEAD, FULL, READING, probe, pauses)
    if position < 0:
        return False
    size = state.slots.shape[0]
    at = position & (size - 1)
    marked_point(pauses)
    copy_out(records, i, state.slots, at)
    marked_point(pauses)
    # RELEASE: the record was read before the writer of the next lap may write.
    atomics.store(state.slots, (at, NUMBER), (position - at + size) << LAP_SHIFT, RELEASE)
    count(probe, LINES_TOUCHED, 1 + cell_lines(state.slots, at))
    return True


assemble(RobustState, enqueue=enqueue, dequeue=dequeue, turned=turned)


@public
def push(state, records, i):
    """Put ``records[i]`` in, a row of int64[n, words]; return False when the queue is full. For any thread."""
    return enqueue(state, records, i, None, None)


@public
def pop(state, records, i):
    """Take the oldest record out into ``records[i]``; return False when there is none. For any thread."""
    return dequeue(state, records, i, None, None)


@kernel_jit(_nrt=False)
def replay(state, work, out, begin, probe):
    """Pass the messages of `work` (`_work.Work`) from `begin` on; return how many there are."""
    return _replay.replay(state, work, out, begin, probe, None)


@kernel_jit(_nrt=False)
def release_all_of(state, owner):
    """Give back every slot that `owner` holds, who is dead; return ``(records lost, records abandoned)``.

    Any number of threads may go on meanwhile, but nobody may be given this number before it is done.
    """
    size = state.slots.shape[0]
    lost, abandoned = 0, 0
    for at in range(size):
        seen = atomics.load(state.slots, (at, NUMBER), RELAXED)  # RELAXED: the swap checks it
        kind = seen >> STATE_SHIFT & STATE_MASK
        if (seen & OWNER_MASK == owner) & ((kind == WRITING) | (kind == READING)):
            # RELEASE: for the next writer the slot is as after a reader; nobody reads what the dead one wrote.
            free = ((seen >> LAP_SHIFT) + size) << LAP_SHIFT
            _, done = atomics.compare_exchange(state.slots, (at, NUMBER), seen, free, RELEASE)
            if done:
                lost += kind == WRITING
                abandoned += kind == READING
    atomics.add(state.control, LOST, lost, RELAXED)  # RELAXED: statistics
    atomics.add(state.control, ABANDONED, abandoned, RELAXED)
    return lost, abandoned


def export_state(state: State) -> Canonical:
    """Return the records of both queues, oldest first, int64[n, words]. While no thread is inside."""
    return export_cells(state, HEAD, TAIL)


def import_state(state: State, canonical: Canonical) -> State:
    """Replace the content of both queues. Raises ValueError, changing nothing, when it does not fit."""
    check_canonical(canonical, state.slots[:, FIRST:])
    reset(state)
    for slots, filled in fill_cells(state, canonical, TAIL):
        slots[:filled, NUMBER] = FULL << STATE_SHIFT
    return state


VARIANT = Variant(
    name="robust",
    parent="mpmc",
    idea="A slot names its holder from the first moment: others give back what a dead process held, for one swap more.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=import_state,
)
