"""A ring for one producer and one consumer without a lock, in the fewest bytes: head and tail lie on one cache line.

The classic ring (L. Lamport, Proving the correctness of multiprocess programs, 1977): each index has one writer. The
line that holds both travels between the two cores at every message, although nobody writes what the other writes:
false sharing. See `aligned`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.machine import atomics
from kernels.machine.atomics import ACQUIRE, RELAXED, RELEASE
from kernels.marked import marked_point
from kernels.message_queue import _replay
from kernels.message_queue._parts import LINES_TOUCHED, assemble, hot, public
from kernels.message_queue._ring import Indices, copy_record, lines, new_control, new_slots
from kernels.message_queue._single import refuses
from kernels.probe import count

HEAD, TAIL = 0, 1  # beside each other
INDEX_LINES = 1  # how many lines the two indices are on


class PackedState(NamedTuple):
    """Two queues, there and back."""

    slots: np.ndarray  # int64[slots, words]
    control: np.ndarray
    back_slots: np.ndarray
    back_control: np.ndarray


def allocate(parameters: Mapping[str, int]) -> PackedState:
    """Return two empty queues."""
    return PackedState(new_slots(parameters), new_control(), new_slots(parameters), new_control())


@hot
def turned(state):
    """Return the state with the two queues exchanged."""
    return PackedState(state.back_slots, state.back_control, state.slots, state.control)


@hot
def enqueue(state, records, i, probe, pauses):
    """Put ``records[i]`` in; return False when the queue is full."""
    size = state.slots.shape[0]
    tail = atomics.load(state.control, TAIL, RELAXED)  # RELAXED: only this thread writes it
    # ACQUIRE: the consumer has read the slot before it let it go; pairs with its RELEASE.
    head = atomics.load(state.control, HEAD, ACQUIRE)
    count(probe, LINES_TOUCHED, INDEX_LINES)
    if tail - head == size:
        return False
    marked_point(pauses)
    copy_record(state.slots, tail & (size - 1), records, i)
    marked_point(pauses)
    atomics.store(state.control, TAIL, tail + 1, RELEASE)  # RELEASE: who sees the tail sees the record
    count(probe, LINES_TOUCHED, lines(records))
    return True


@hot
def dequeue(state, records, i, probe, pauses):
    """Take the oldest record out into ``records[i]``; return False when there is none."""
    size = state.slots.shape[0]
    head = atomics.load(state.control, HEAD, RELAXED)  # RELAXED: only this thread writes it
    tail = atomics.load(state.control, TAIL, ACQUIRE)  # ACQUIRE: see the record; pairs with the producer's RELEASE
    count(probe, LINES_TOUCHED, INDEX_LINES)
    if tail == head:
        return False
    marked_point(pauses)
    copy_record(records, i, state.slots, head & (size - 1))
    marked_point(pauses)
    atomics.store(state.control, HEAD, head + 1, RELEASE)  # RELEASE: the record was read before the slot is free
    count(probe, LINES_TOUCHED, lines(records))
    return True


assemble(PackedState, enqueue=enqueue, dequeue=dequeue, turned=turned)


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


INDICES = Indices(HEAD, TAIL)

VARIANT = Variant(
    name="packed",
    parent="baseline",
    idea="No lock: each index has one writer, and a release store hands a record over.",
    allocate=allocate,
    reset=INDICES.reset,
    replay_from=replay,
    export_state=INDICES.export_state,
    import_state=INDICES.import_state,
    refuses=refuses,
)
