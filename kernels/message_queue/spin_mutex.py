"""The ring of `baseline` behind a spin lock: who waits stays on the core and looks again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from kernels.machine.locks import new_spin_lock, spin_lock, spin_unlock
from kernels.marked import marked_point
from kernels.message_queue import _replay
from kernels.message_queue._locked import INDICES, put, take
from kernels.message_queue._parts import assemble, hot, public
from kernels.message_queue._ring import new_control, new_slots


class SpinState(NamedTuple):
    """Two queues, there and back."""

    slots: np.ndarray  # int64[slots, words]
    control: np.ndarray  # head and tail, one beside the other: the lock's holder needs both
    lock: np.ndarray  # int64[8]: its first word is 1 while somebody has it
    back_slots: np.ndarray
    back_control: np.ndarray
    back_lock: np.ndarray


def allocate(parameters: Mapping[str, int]) -> SpinState:
    """Return two empty queues."""
    return SpinState(
        new_slots(parameters), new_control(), new_spin_lock(), new_slots(parameters), new_control(), new_spin_lock()
    )


@hot
def turned(state):
    """Return the state with the two queues exchanged."""
    return SpinState(state.back_slots, state.back_control, state.back_lock, state.slots, state.control, state.lock)


@hot
def enqueue(state, records, i, probe, pauses):
    """Put ``records[i]`` in; return False when the queue is full."""
    spin_lock(state.lock)
    marked_point(pauses)
    done = put(state, records, i, probe)
    spin_unlock(state.lock)
    return done


@hot
def dequeue(state, records, i, probe, pauses):
    """Take the oldest record out into ``records[i]``; return False when there is none."""
    spin_lock(state.lock)
    marked_point(pauses)
    done = take(state, records, i, probe)
    spin_unlock(state.lock)
    return done


assemble(SpinState, enqueue=enqueue, dequeue=dequeue, turned=turned)


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
    name="spin_mutex",
    parent="baseline",
    idea="A spin lock in the mutex's place: a thread that waits a moment does not go to sleep and need not be woken.",
    allocate=allocate,
    reset=INDICES.reset,
    replay_from=replay,
    export_state=INDICES.export_state,
    import_state=INDICES.import_state,
)
