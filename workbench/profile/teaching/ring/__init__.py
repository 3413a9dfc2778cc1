"""A queue from one thread to another with its two indices on one cache line, or on one each.

Only the consumer writes the head, only the producer the tail, and each remembers what it last saw of the other's: they
share nothing but the line. The ring holds all messages of a run, so that each side can also work alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Kernel, Parameter
from kernels.machine import atomics
from kernels.machine.atomics import ACQUIRE, RELEASE
from kernels.machine.hints import pause
from kernels.machine.memory import aligned
from kernels.machine.sleep import sleep_us
from kernels.probe import count, start, stop

SLOTS = 1 << 15  # int64 each: 256 KiB, in the second-level cache; as many messages a run has at most
APART = 16  # int64 words: two lines, because processors fetch lines in pairs
BATCH = 64  # messages between two looks at the clock
ALONE, PRODUCER, CONSUMER = range(3)
_PATIENCE = 4096  # pauses before a side sleeps, some 100 us: on one core the other needs it
WAITS = 0


class Work(NamedTuple):
    """The input of one thread, or of the whole run."""

    messages: np.ndarray  # int64[n]
    role: np.ndarray  # int64[1]


class State(NamedTuple):
    """The ring."""

    slots: np.ndarray  # int64[SLOTS]
    control: np.ndarray  # int64: the head at word 0, the tail at word 1 or at word APART


def allocate(parameters: Mapping[str, int]) -> State:
    """Return an empty ring."""
    return State(aligned(SLOTS, np.int64), aligned(2 * APART, np.int64))


def reset(state: State) -> None:
    """Empty the ring."""
    state.control[:] = 0


@kernel_jit(forceinline=True, _nrt=False)
def put(state, tail_at, tail, message):
    """Put one message at `tail`; there is room for all messages of a run. Returns the next tail."""
    state.slots[tail & (SLOTS - 1)] = message
    atomics.store(state.control, tail_at, tail + 1, RELEASE)  # RELEASE: who sees the tail sees the message
    return tail + 1


@kernel_jit(forceinline=True, _nrt=False)
def wait_for(state, tail_at, head, probe):
    """Wait until there is a message at `head`; return the tail."""
    tail = atomics.load(state.control, tail_at, ACQUIRE)  # ACQUIRE: see the messages up to there
    turns = 0
    while tail == head:
        count(probe, WAITS, 1)
        turns += 1
        if turns > _PATIENCE:
            sleep_us(50)
        else:
            pause()
        tail = atomics.load(state.control, tail_at, ACQUIRE)  # ACQUIRE: as above
    return tail


@kernel_jit(forceinline=True, _nrt=False)
def pass_all(state, work, out, begin, probe, tail_at):
    """Put in, take out, or both in turns, as the role says; `tail_at` is the word of the tail."""
    role, size = work.role[0], len(work.messages)
    head, tail, seen, at = 0, 0, 0, begin
    while at < size:
        began = start(probe)
        end = min(at + BATCH, size)
        if role != CONSUMER:
            for i in range(at, end):
                tail = put(state, tail_at, tail, work.messages[i])
        if role != PRODUCER:
            for i in range(at, end):
                if head == seen:
                    seen = wait_for(state, tail_at, head, probe)
                out[i] = state.slots[head & (SLOTS - 1)]
                head += 1
                atomics.store(state.control, 0, head, RELEASE)  # RELEASE: the message was read before its slot is free
        stop(probe, began)
        at = end
    return size


def _prepare(events: np.ndarray, parameters: Mapping[str, int]) -> Work:
    messages = np.ascontiguousarray(events["size"][:SLOTS]).astype(np.int64)
    return Work(messages, np.full(1, ALONE, np.int64))


def _divide(work: Work, out: np.ndarray, parameters: Mapping[str, int]) -> list[tuple[Work, np.ndarray]]:
    """Return the producer's and the consumer's work; with one thread both are its own."""
    if parameters["threads"] == 1:
        return [(work, out)]
    roles = (PRODUCER, CONSUMER)
    return [(Work(work.messages, np.full(1, role, np.int64)), out) for role in roles]


class Reference:
    """A queue gives back what it was given."""

    def __init__(self, **parameters: int):
        self._parameters = parameters

    def replay(self, work: Work) -> Any:
        """Return the messages in their order."""
        return work.messages.copy()


KERNEL = Kernel(
    name="teaching_ring",
    title="A queue with both indices on one cache line, or on one each",
    card=__doc__ or "",
    operations={"pass": "one message put in and taken out"},
    counters={"waits": "times that the consumer found the ring empty and waited a moment"},
    invariants=("What comes out is what went in, in its order.",),
    parameters=(Parameter("threads", 1, 1, 2, "one for both sides, or one for each"),),
    package=__name__,
    reference=Reference,
    prepare=_prepare,
    parameters_for=lambda events: {},
    output=lambda work, parameters: aligned(len(work.messages), np.int64),
    length=lambda work: len(work.messages),
    count_operations=lambda work: len(work.messages),
    operations_per_sample=lambda parameters: BATCH,
    divide=_divide,
)
