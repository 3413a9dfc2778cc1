"""The ring of `baseline` behind a mutex that is tried for some microseconds before the thread sleeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.machine.locks import adaptive_lock, mutex_unlock, new_mutex
from kernels.marked import marked_point
from kernels.message_queue import _replay
from kernels.message_queue._locked import INDICES, put, take
from kernels.message_queue._parts import assemble, hot, public
from kernels.message_queue._ring import new_control, new_slots


class AdaptiveState(NamedTuple):
    """Two queues, there and back."""

    slots: np.ndarray  # int64[slots, words]
    control: np.ndarray  # head and tail, one beside the other: the lock's holder needs both
    lock: np.ndarray  # uint8[64]: a pthread_mutex_t
    back_slots: np.ndarray
    back_control: np.ndarray
    back_lock: np.ndarray


def allocate(parameters: Mapping[str, int]) -> AdaptiveState:
    """Return two empty queues."""
    return AdaptiveState(
        new_slots(parameters), new_control(), new_mutex(), new_slots(parameters), new_control(), new_mutex()
    )


@hot
def turned(state):
    """Return the state with the two queues exchanged."""
    return AdaptiveState(state.back_slots, state.back_control, state.back_lock, state.slots, state.control, state.lock)


@hot
def enqueue(state, records, i, probe, pauses):
    """Put ``records[i]`` in; return False when the queue is full."""
    adaptive_lock(state.lock)
    marked_point(pauses)
    done = put(state, records, i, probe)
    mutex_unlock(state.lock)
    return done


@hot
def dequeue(state, records, i, probe, pauses):
    """Take the oldest record out into ``records[i]``; return False when there is none."""
    adaptive_lock(state.lock)
    marked_point(pauses)
    done = take(state, records, i, probe)
    mutex_unlock(state.lock)
    return done


assemble(AdaptiveState, enqueue=enqueue, dequeue=dequeue, turned=turned)


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


VARIANT = Variant(
    name="adaptive_mutex",
    parent="baseline",
    idea="The mutex is tried for some microseconds before the thread sleeps: a holder is mostly done by then.",
    allocate=allocate,
    reset=INDICES.reset,
    replay_from=replay,
    export_state=INDICES.export_state,
    import_state=INDICES.import_state,
)
