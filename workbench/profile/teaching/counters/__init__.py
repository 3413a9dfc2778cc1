"""False sharing at its plainest: each thread adds to a counter of its own, and nobody reads another's.

`shared_line` keeps all counters side by side, as anybody would write it; `own_lines` keeps each on a line of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels._jit import kernel_jit
from kernels.catalog import Kernel, Parameter
from kernels.machine import atomics
from kernels.machine.atomics import RELAXED
from kernels.machine.memory import aligned
from kernels.probe import count, start, stop

BATCH = 64  # additions between two looks at the clock: one alone is shorter than the clock's step
MOST = 8  # threads: as many counters of 8 bytes as a line holds
APART = 16  # int64 words: two lines, because processors fetch lines in pairs


class Work(NamedTuple):
    """The input of one thread, or of the whole run."""

    sizes: np.ndarray  # int64[n]
    slot: np.ndarray  # int64[1]: which counter is this thread's


class State(NamedTuple):
    """The counters of all threads."""

    counts: np.ndarray  # int64[MOST * APART]


def allocate(parameters: Mapping[str, int]) -> State:
    """Return counters at zero, from the beginning of a line on."""
    return State(aligned(MOST * APART, np.int64))


def reset(state: State) -> None:
    """Set all counters to zero."""
    state.counts[:] = 0


@kernel_jit(forceinline=True, _nrt=False)
def add_all(state, work, out, begin, probe, apart):
    """Add each size from `begin` on to this thread's counter, which is at its slot times `apart`."""
    place = work.slot[0] * apart
    at, size = begin, len(work.sizes)
    while at < size:
        began = start(probe)
        for i in range(at, min(at + BATCH, size)):
            atomics.add(state.counts, place, work.sizes[i], RELAXED)  # RELAXED: a counter; it orders nothing
        stop(probe, began)
        count(probe, 0, min(at + BATCH, size) - at)
        at += BATCH
    out[0] = atomics.load(state.counts, place, RELAXED)  # RELAXED: written by this thread alone
    return size


def _prepare(events: np.ndarray, parameters: Mapping[str, int]) -> Work:
    return Work(np.ascontiguousarray(events["size"]).astype(np.int64), np.zeros(1, np.int64))


def _divide(work: Work, out: np.ndarray, parameters: Mapping[str, int]) -> list[tuple[Work, np.ndarray]]:
    """Return an equal part of the sizes for each thread, with a counter and a line of the output of its own."""
    threads = parameters["threads"]
    if threads == 1:
        return [(work, out)]
    parts = np.array_split(work.sizes, threads)
    return [
        (Work(np.ascontiguousarray(part), np.full(1, i, np.int64)), out[i * APART :]) for i, part in enumerate(parts)
    ]


class Reference:
    """The same in plain Python, for one thread."""

    def __init__(self, **parameters: int):
        self._parameters = parameters

    def replay(self, work: Work) -> Any:
        """Return the output: the total in its first word."""
        out = np.zeros(MOST * APART, np.int64)
        out[0] = sum(int(size) for size in work.sizes)
        return out


KERNEL = Kernel(
    name="teaching_counters",
    title="Counters of several threads, on one cache line or on one each",
    card=__doc__ or "",
    operations={"add": "one size added to the counter of the thread"},
    counters={"added": "sizes added"},
    invariants=("The counters of all threads add up to the sum of all sizes.",),
    parameters=(Parameter("threads", 1, 1, MOST, "how many threads count at the same time"),),
    package=__name__,
    reference=Reference,
    prepare=_prepare,
    parameters_for=lambda events: {},
    output=lambda work, parameters: aligned(MOST * APART, np.int64),
    length=lambda work: len(work.sizes),
    count_operations=lambda work: len(work.sizes),
    operations_per_sample=lambda parameters: BATCH,
    divide=_divide,
)
