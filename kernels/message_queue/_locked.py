"""A ring that a lock guards: the steps between taking and giving back, the same for every kind of lock."""

from __future__ import annotations

import numpy as np

from kernels.message_queue._parts import LINES_TOUCHED, hot
from kernels.message_queue._ring import Indices, copy_record, lines
from kernels.probe import count

HEAD, TAIL = 0, 1

INDICES = Indices(HEAD, TAIL)


@hot
def put(state, records, i, probe):
    """Put ``records[i]`` in; return False when the queue is full. For the thread that has the lock."""
    head, tail = state.control[HEAD], state.control[TAIL]
    room = tail - head < state.slots.shape[0]
    if room:
        copy_record(state.slots, tail & (state.slots.shape[0] - 1), records, i)
        state.control[TAIL] = tail + 1
    count(probe, LINES_TOUCHED, 2 + (lines(records) if room else 0))  # the lock, the indices, the record
    return room


@hot
def take(state, records, i, probe):
    """Take the oldest record out into ``records[i]``; return False when there is none. With the lock, as `put`."""
    head, tail = state.control[HEAD], state.control[TAIL]
    any_there = np.bool_(tail != head)
    if any_there:
        copy_record(records, i, state.slots, head & (state.slots.shape[0] - 1))
        state.control[HEAD] = head + 1
    count(probe, LINES_TOUCHED, 2 + (lines(records) if any_there else 0))
    return any_there
