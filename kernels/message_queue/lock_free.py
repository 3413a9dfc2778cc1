"""The ring of `aligned` where each side remembers what it last saw of the other's index.

A producer that saw 500 free slots need not ask again for 500 messages, and the other way round: as long as the queue is
neither full nor empty nobody reads a line that the other core writes, save that of the record. No help where the queue
is empty at every message (a round trip): the consumer then looks at the tail itself, as it has to.

The idea: P. P. C. Lee, T. Bu, G. Chandranmenon, A lock-free, cache-efficient multi-core synchronization mechanism for
line-rate network traffic monitoring (MCRingBuffer), IPDPS 2010; as in E. Rigtorp's SPSCQueue.
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
from kernels.message_queue._ring import APART, Indices, copy_record, lines, new_control, new_slots
from kernels.message_queue._single import refuses
from kernels.probe import count

HEAD, TAIL = 0, APART  # on lines of their own
SEEN_TAIL = 2 * APART  # what the consumer last saw, on a line that nobody else uses
SEEN_HEAD = 3 * APART  # what the producer last saw, likewise


class LockFreeState(NamedTuple):
    """Two queues, there and back."""

    slots: np.ndarray  # int64[slots, words]
    control: np.ndarray
    back_slots: np.ndarray
    back_control: np.ndarray


def allocate(parameters: Mapping[str, int]) -> LockFreeState:
    """Return two empty queues."""
    return LockFreeState(new_slots(parameters), new_control(), new_slots(parameters), new_control())


@hot
def turned(state):
    """Return the state with the two queues exchanged."""
    return LockFreeState(state.back_slots, state.back_control, state.slots, state.control)


@hot
def enqueue(state, records, i, probe, pauses):
    """Put ``records[i]`` in; return False when the queue is full."""
    size = state.slots.shape[0]
    tail = atomics.load(state.control, TAIL, RELAXED)  # RELAXED: only this thread writes it
    if tail - state.control[SEEN_HEAD] == size:
        # ACQUIRE: the consumer has read the slots before it let them go; pairs with its RELEASE.
        state.control[SEEN_HEAD] = atomics.load(state.control, HEAD, ACQUIRE)
        count(probe, LINES_TOUCHED, 1)
        if tail - state.control[SEEN_HEAD] == size:
            return False
    marked_point(pauses)
    copy_record(state.slots, tail & (size - 1), records, i)
    marked_point(pauses)
    atomics.store(state.control, TAIL, tail + 1, RELEASE)  # RELEASE: who sees the tail sees the record
    count(probe, LINES_TOUCHED, lines(records) + 1)  # and its own index
    return True


@hot
def dequeue(state, records, i, probe, pauses):
    """Take the oldest record out into ``records[i]``; return False when there is none."""
    size = state.slots.shape[0]
    head = atomics.load(state.control, HEAD, RELAXED)  # RELAXED: only this thread writes it
    if head == state.control[SEEN_TAIL]:
        # ACQUIRE: see the records up to there; pairs with the producer's RELEASE.
        state.control[SEEN_TAIL] = atomics.load(state.control, TAIL, ACQUIRE)
        count(probe, LINES_TOUCHED, 1)
        if head == state.control[SEEN_TAIL]:
            return False
    marked_point(pauses)
    copy_record(records, i, state.slots, head & (size - 1))
    marked_point(pauses)
    atomics.store(state.control, HEAD, head + 1, RELEASE)  # RELEASE: the record was read before the slot is free
    count(probe, LINES_TOUCHED, lines(records) + 1)  # and its own index
    return True


assemble(LockFreeState, enqueue=enqueue, dequeue=dequeue, turned=turned)


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
    name="lock_free",
    parent="aligned",
    idea="Each side remembers what it last saw of the other's index, and asks again only when that is used up.",
    allocate=allocate,
    reset=INDICES.reset,
    replay_from=replay,
    export_state=INDICES.export_state,
    import_state=INDICES.import_state,
    refuses=refuses,
)
