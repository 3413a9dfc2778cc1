"""The ring of `lock_free` in batches: many records by one copy of whole vectors, and one store that tells of them all.

For many short records, where an index per record costs more than the record; the copy is a straight run of memory up to
the ring's end and one from its begin. A batch is there as a whole or not at all, so its first record waits for its
last: do not batch what is urgent. Single records go as in `lock_free`.
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
from kernels.message_queue._ring import copy_run, new_control, new_slots, run_lines
from kernels.message_queue._single import refuses
from kernels.message_queue.lock_free import HEAD, INDICES, SEEN_HEAD, SEEN_TAIL, TAIL, dequeue, enqueue
from kernels.probe import count


class SimdState(NamedTuple):
    """Two queues, there and back."""

    slots: np.ndarray  # int64[slots, words]
    control: np.ndarray
    back_slots: np.ndarray
    back_control: np.ndarray


def allocate(parameters: Mapping[str, int]) -> SimdState:
    """Return two empty queues."""
    return SimdState(new_slots(parameters), new_control(), new_slots(parameters), new_control())


@hot
def turned(state):
    """Return the state with the two queues exchanged."""
    return SimdState(state.back_slots, state.back_control, state.slots, state.control)


@hot
def enqueue_some(state, records, begin, end, probe, pauses):
    """Put in ``records[begin:end]`` as far as there is room, and tell the consumer once; return how many."""
    size = state.slots.shape[0]
    tail = atomics.load(state.control, TAIL, RELAXED)  # RELAXED: only this thread writes it
    room = size - (tail - state.control[SEEN_HEAD])
    if room < end - begin:
        # ACQUIRE: the consumer has read the slots before it let them go; pairs with its RELEASE.
        state.control[SEEN_HEAD] = atomics.load(state.control, HEAD, ACQUIRE)
        count(probe, LINES_TOUCHED, 1)
        room = size - (tail - state.control[SEEN_HEAD])
    moved = min(end - begin, room)
    if moved == 0:
        return 0
    marked_point(pauses)
    place = tail & (size - 1)
    before_wrap = min(moved, size - place)
    copy_run(state.slots, place, records, begin, before_wrap)
    marked_point(pauses)
    copy_run(state.slots, 0, records, begin + before_wrap, moved - before_wrap)
    marked_point(pauses)
    atomics.store(state.control, TAIL, tail + moved, RELEASE)  # RELEASE: who sees the tail sees the records
    count(probe, LINES_TOUCHED, run_lines(records, moved) + 1)  # and its own index
    return moved


@hot
def dequeue_some(state, records, begin, end, probe, pauses):
    """Take records out into ``records[begin:end]`` as far as there are any; return how many."""
    size = state.slots.shape[0]
    head = atomics.load(state.control, HEAD, RELAXED)  # RELAXED: only this thread writes it
    there = state.control[SEEN_TAIL] - head
    if there < end - begin:
        # ACQUIRE: see the records up to there; pairs with the producer's RELEASE.
        state.control[SEEN_TAIL] = atomics.load(state.control, TAIL, ACQUIRE)
        count(probe, LINES_TOUCHED, 1)
        there = state.control[SEEN_TAIL] - head
    moved = min(end - begin, there)
    if moved == 0:
        return 0
    marked_point(pauses)
    place = head & (size - 1)
    before_wrap = min(moved, size - place)
    copy_run(records, begin, state.slots, place, before_wrap)
    marked_point(pauses)
    copy_run(records, begin + before_wrap, state.slots, 0, moved - before_wrap)
    marked_point(pauses)
    atomics.store(state.control, HEAD, head + moved, RELEASE)  # RELEASE: the records were read before they are free
    count(probe, LINES_TOUCHED, run_lines(records, moved) + 1)  # and its own index
    return moved


assemble(
    SimdState,
    enqueue=enqueue,
    dequeue=dequeue,
    enqueue_some=enqueue_some,
    dequeue_some=dequeue_some,
    turned=turned,
)


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


VARIANT = Variant(
    name="simd",
    parent="lock_free",
    idea="A batch is copied by whole vectors and told by one store, where single records need one each.",
    allocate=allocate,
    reset=INDICES.reset,
    replay_from=replay,
    export_state=INDICES.export_state,
    import_state=INDICES.import_state,
    refuses=refuses,
)
