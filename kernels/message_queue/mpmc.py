"""A ring for any number of producers and consumers: a number in each slot tells whose turn it is.

A thread takes a position by one compare-and-swap of the tail (or head), and nobody else comes to that slot until its
number says so: the slot at position p awaits a producer while its number is p, and a consumer while it is p + 1. So
threads meet at the tail only for the swap itself, and a record is handed over by its own slot, without a look at the
other side's index.

Between taking a position and writing the number a thread may lose its core. Others that come to this very slot are then
told "full" or "empty", though records behind it are there: such an answer says that nothing could be had now, and is
not a statement about one moment (what goes in and out is in order all the same). A thread that dies there stops the
queue: see `robust`.

Source: D. Vyukov, Bounded MPMC queue, 1024cores.net, 2010.
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


class MpmcState(NamedTuple):
    """Two queues, there and back."""

    slots: np.ndarray  # int64[slots, 1 + words], see `_cells`
    control: np.ndarray
    back_slots: np.ndarray
    back_control: np.ndarray


def allocate(parameters: Mapping[str, int]) -> MpmcState:
    """Return two empty queues."""
    state = MpmcState(new_cells(parameters), new_control(), new_cells(parameters), new_control())
    reset(state)
    return state


def reset(state: State) -> None:
    """Empty both queues: every slot awaits the producer of the first lap."""
    for slots, control in ((state.slots, state.control), (state.back_slots, state.back_control)):
        control[:] = 0
        slots[:, NUMBER] = np.arange(len(slots))


@hot
def turned(state):
    """Return the state with the two queues exchanged."""
    return MpmcState(state.back_slots, state.back_control, state.slots, state.control)


@hot
def enqueue(state, records, i, probe, pauses):
    """Put ``records[i]`` in; return False when the slot at the end is not free."""
    mask = state.slots.shape[0] - 1
    position = atomics.load(state.control, TAIL, RELAXED)  # RELAXED: a guess that the swap below checks
    while True:
        # ACQUIRE: the consumer of the lap before has read the slot; pairs with its RELEASE.
        ahead = atomics.load(state.slots, (position & mask, NUMBER), ACQUIRE) - position
        if ahead == 0:
            marked_point(pauses)
            # RELAXED: the position alone is shared out here; the slot's number orders the record itself.
            seen, taken = atomics.compare_exchange(state.control, TAIL, position, position + 1, RELAXED)
            if taken:
                break
            position = seen
            count(probe, CAS_RETRIES, 1)
        elif ahead < 0:
            count(probe, LINES_TOUCHED, 2)
            return False
        else:
            position = atomics.load(state.control, TAIL, RELAXED)  # RELAXED: as above; another thread was here
            count(probe, CAS_RETRIES, 1)
    marked_point(pauses)
    copy_in(state.slots, position & mask, records, i)
    marked_point(pauses)
    # RELEASE: who sees the number sees the record.
    atomics.store(state.slots, (position & mask, NUMBER), position + 1, RELEASE)
    count(probe, LINES_TOUCHED, 1 + cell_lines(state.slots, position & mask))
    return True


@hot
def dequeue(state, records, i, probe, pauses):
    """Take the oldest record out into ``records[i]``; return False when the slot at the head is not filled."""
    mask = state.slots.shape[0] - 1
    position = atomics.load(state.control, HEAD, RELAXED)  # RELAXED: a guess that the swap below checks
    while True:
        # ACQUIRE: see the record that the producer wrote; pairs with its RELEASE.
        ahead = atomics.load(state.slots, (position & mask, NUMBER), ACQUIRE) - (position + 1)
        if ahead == 0:
            marked_point(pauses)
            # RELAXED: as in `enqueue`.
            seen, taken = atomics.compare_exchange(state.control, HEAD, position, position + 1, RELAXED)
            if taken:
                break
            position = seen
            count(probe, CAS_RETRIES, 1)
        elif ahead < 0:
            count(probe, LINES_TOUCHED, 2)
            return False
        else:
            position = atomics.load(state.control, HEAD, RELAXED)  # RELAXED: as above; another thread was here
            count(probe, CAS_RETRIES, 1)
    marked_point(pauses)
    copy_out(records, i, state.slots, position & mask)
    marked_point(pauses)
    # RELEASE: the record was read before the producer of the next lap may write.
    atomics.store(state.slots, (position & mask, NUMBER), position + mask + 1, RELEASE)
    count(probe, LINES_TOUCHED, 1 + cell_lines(state.slots, position & mask))
    return True


assemble(MpmcState, enqueue=enqueue, dequeue=dequeue, turned=turned)


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


def export_state(state: State) -> Canonical:
    """Return the records of both queues, oldest first, int64[n, words]. While no thread is inside."""
    return export_cells(state, HEAD, TAIL)


def import_state(state: State, canonical: Canonical) -> State:
    """Replace the content of both queues. Raises ValueError, changing nothing, when it does not fit."""
    check_canonical(canonical, state.slots[:, FIRST:])
    reset(state)
    for slots, filled in fill_cells(state, canonical, TAIL):
        slots[:filled, NUMBER] += 1
    return state


VARIANT = Variant(
    name="mpmc",
    parent="baseline",
    idea="Any number of producers and consumers: a number in each slot tells whose turn it is, so no lock is held.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=import_state,
)
