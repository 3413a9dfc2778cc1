"""The ring of `mpmc` in batches: one compare-and-swap takes a run of positions, for any number of threads.

A swap waits until every store before it has reached the cache, and each of those stores first fetches its line from the
other core: a swap for each record makes them wait for one another. Here a thread first looks how many slots from the
tail on await a producer, then takes them all at once, and writes them with plain stores, whose lines come side by side.
What it saw cannot change before its swap: a slot's number moves on only by whoever took that position, and if somebody
took one meanwhile, the tail has moved and the swap fails.

Each record is handed over by its own slot as soon as it is there, so the first does not wait for the last. A thread
that loses its core in the middle of a run holds up more records than one that took a single slot. Not faster where
records come one at a time: those go as in `mpmc`.
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
from kernels.message_queue._cells import NUMBER, cell_lines, copy_in, copy_out, new_cells
from kernels.message_queue._parts import CAS_RETRIES, LINES_TOUCHED, assemble, hot, public
from kernels.message_queue._ring import new_control
from kernels.message_queue.mpmc import HEAD, TAIL, dequeue, enqueue, export_state, import_state, reset
from kernels.probe import count


class MpmcBatchState(NamedTuple):
    """Two queues, there and back."""

    slots: np.ndarray  # int64[slots, 1 + words], see `_cells`
    control: np.ndarray
    back_slots: np.ndarray
    back_control: np.ndarray


def allocate(parameters: Mapping[str, int]) -> MpmcBatchState:
    """Return two empty queues."""
    state = MpmcBatchState(new_cells(parameters), new_control(), new_cells(parameters), new_control())
    reset(state)
    return state


@hot
def turned(state):
    """Return the state with the two queues exchanged."""
    return MpmcBatchState(state.back_slots, state.back_control, state.slots, state.control)


@hot
def take_positions(state, index, turn, most, probe, pauses):
    """Take up to `most` positions at `index` (TAIL or HEAD); return ``(the first, how many)``, none: 0.

    The slot of position p is ready when its number is ``p + turn``: 0 for a producer, 1 for a consumer.
    """
    mask = state.slots.shape[0] - 1
    position = atomics.load(state.control, index, RELAXED)  # RELAXED: a guess that the swap below checks
    while True:
        n, ahead = 0, 0
        while n < most:
            # ACQUIRE: whoever had the slot before is done with it; pairs with its RELEASE.
            ahead = atomics.load(state.slots, ((position + n) & mask, NUMBER), ACQUIRE) - (position + n + turn)
            if ahead != 0:
                break
            n += 1
        if n:
            marked_point(pauses)
            # RELAXED: the positions alone are shared out here; each slot's number orders its record.
            seen, taken = atomics.compare_exchange(state.control, index, position, position + n, RELAXED)
            if taken:
                return position, n
            position = seen
        elif ahead <= 0:  # 0 where nothing was asked for
            count(probe, LINES_TOUCHED, 2)
            return position, 0
        else:
            position = atomics.load(state.control, index, RELAXED)  # RELAXED: as above; another thread was here
        count(probe, CAS_RETRIES, 1)


@hot
def enqueue_some(state, records, begin, end, probe, pauses):
    """Put in ``records[begin:end]`` as far as the slots from the tail on are free; return how many."""
    size = state.slots.shape[0]
    position, n = take_positions(state, TAIL, 0, min(end - begin, size), probe, pauses)
    for i in range(n):
        at = (position + i) & (size - 1)
        marked_point(pauses)
        copy_in(state.slots, at, records, begin + i)
        # RELEASE: who sees the number sees the record.
        atomics.store(state.slots, (at, NUMBER), position + i + 1, RELEASE)
        count(probe, LINES_TOUCHED, cell_lines(state.slots, at))
    count(probe, LINES_TOUCHED, 1)  # the tail
    return n


@hot
def dequeue_some(state, records, begin, end, probe, pauses):
    """Take records out into ``records[begin:end]`` as far as the slots from the head on are filled; return how many."""
    size = state.slots.shape[0]
    position, n = take_positions(state, HEAD, 1, min(end - begin, size), probe, pauses)
    for i in range(n):
        at = (position + i) & (size - 1)
        marked_point(pauses)
        copy_out(records, begin + i, state.slots, at)
        # RELEASE: the record was read before the producer of the next lap may write.
        atomics.store(state.slots, (at, NUMBER), position + i + size, RELEASE)
        count(probe, LINES_TOUCHED, cell_lines(state.slots, at))
    count(probe, LINES_TOUCHED, 1)  # the head
    return n


assemble(
    MpmcBatchState,
    enqueue=enqueue,
    dequeue=dequeue,
    enqueue_some=enqueue_some,
    dequeue_some=dequeue_some,
    turned=turned,
)


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
    name="mpmc_batch",
    parent="mpmc",
    idea="A batch takes its run of slots by one compare-and-swap, where `mpmc` takes each record's slot by its own.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    export_state=export_state,
    import_state=import_state,
)
