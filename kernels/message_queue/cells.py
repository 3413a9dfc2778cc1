"""A ring for one producer and one consumer whose slots tell themselves that a record is there.

The consumer waits on the line that brings the record, not on the tail: for records of up to 56 bytes a message then
moves one cache line to the other core where `lock_free` moves two, one after the other. That is what a round trip
costs. The producer still counts free slots by the head, of which it remembers what it saw, and the number of a slot has
one writer, so nothing is swapped. No help for a stream: there the index lines of `lock_free` travel for many messages
at once, and the numbers only take room.

Source: J. Giacomoni, T. Moseley, M. Vachharajani, FastForward for efficient pipeline parallelism, PPoPP 2008; a number
in the place of its empty value, so that any record may be sent.
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
from kernels.message_queue._parts import LINES_TOUCHED, assemble, hot, public
from kernels.message_queue._ring import APART, check_canonical, new_control
from kernels.message_queue._single import refuses
from kernels.probe import count

HEAD = 0
TAIL = APART  # the producer's own: nobody else reads it while records pass
SEEN_HEAD = TAIL + 1  # what the producer last saw, beside its own tail


class CellsState(NamedTuple):
    """Two queues, there and back."""

    slots: np.ndarray  # int64[slots, 1 + words], see `_cells`
    control: np.ndarray
    back_slots: np.ndarray
    back_control: np.ndarray


def allocate(parameters: Mapping[str, int]) -> CellsState:
    """Return two empty queues."""
    return CellsState(new_cells(parameters), new_control(), new_cells(parameters), new_control())


@hot
def turned(state):
    """Return the state with the two queues exchanged."""
    return CellsState(state.back_slots, state.back_control, state.slots, state.control)


@hot
def enqueue(state, records, i, probe, pauses):
    """Put ``records[i]`` in; return False when the queue is full."""
    size = state.slots.shape[0]
    tail = state.control[TAIL]
    if tail - state.control[SEEN_HEAD] == size:
        # ACQUIRE: the consumer has read the slots before it let them go; pairs with its RELEASE.
        state.control[SEEN_HEAD] = atomics.load(state.control, HEAD, ACQUIRE)
        count(probe, LINES_TOUCHED, 1)
        if tail - state.control[SEEN_HEAD] == size:
            return False
    place = tail & (size - 1)
    marked_point(pauses)
    copy_in(state.slots, place, records, i)
    marked_point(pauses)
    atomics.store(state.slots, (place, NUMBER), tail + 1, RELEASE)  # RELEASE: who sees the number sees the record
    state.control[TAIL] = tail + 1
    count(probe, LINES_TOUCHED, cell_lines(state.slots, place) + 1)  # and its own index
    return True


@hot
def dequeue(state, records, i, probe, pauses):
    """Take the oldest record out into ``records[i]``; return False when there is none."""
    size = state.slots.shape[0]
    head = atomics.load(state.control, HEAD, RELAXED)  # RELAXED: only this thread writes it
    place = head & (size - 1)
    # ACQUIRE: see the record that the number tells of; pairs with the producer's RELEASE.
    if atomics.load(state.slots, (place, NUMBER), ACQUIRE) != head + 1:
        count(probe, LINES_TOUCHED, 1)
        return False
    marked_point(pauses)
    copy_out(records, i, state.slots, place)
    marked_point(pauses)
    atomics.store(state.control, HEAD, head + 1, RELEASE)  # RELEASE: the record was read before the slot is free
    count(probe, LINES_TOUCHED, cell_lines(state.slots, place) + 1)  # and its own index
    return True


assemble(CellsState, enqueue=enqueue, dequeue=dequeue, turned=turned)


@public
def push(state, records, i):
    """Put ``records[i]`` in, a row of int64[n, words]; return False when the queue is full. For one thread."""
    return enqueue(state, records, i, None, None)


@public
def pop(state, records, i):
    """Take the oldest record out into ``records[i]``; return False when there is none. For one thread."""
    return dequeue(state, records, i, None, None)


@kernel_jit(_nrt=False)
def replay(state, work, out, begin, probe):
    """Pass the messages of `work` (`_work.Work`) from `begin` on; return how many there are."""
    return _replay.replay(state, work, out, begin, probe, None)


def reset(state: State) -> None:
    """Empty both queues: no slot tells of a record."""
    for slots, control in ((state.slots, state.control), (state.back_slots, state.back_control)):
        control[:] = 0
        slots[:, NUMBER] = 0


def export_state(state: State) -> Canonical:
    """Return the records of both queues, oldest first, int64[n, words]. While no thread is inside."""
    return export_cells(state, HEAD, TAIL)


def import_state(state: State, canonical: Canonical) -> State:
    """Replace the content of both queues. Raises ValueError, changing nothing, when it does not fit."""
    check_canonical(canonical, state.slots[:, FIRST:])
    reset(state)
    for slots, filled in fill_cells(state, canonical, TAIL):
        slots[:filled, NUMBER] = 1 + np.arange(filled)
    return state


VARIANT = Variant(
    name="cells",
    parent="lock_free",
    idea="A number beside the record says that it is there: a short message moves one cache line, not two in turn.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=import_state,
    refuses=refuses,
)
