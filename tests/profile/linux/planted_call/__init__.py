"""A user's kernel that adds sizes up; `baseline` also makes a system call for each, `clean` does not."""

from typing import NamedTuple

import numpy as np

from kernels import Kernel


class State(NamedTuple):
    total: np.ndarray  # int64[2]


def allocate(parameters):
    return State(np.zeros(2, np.int64))


def reset(state):
    state.total[:] = 0


class Reference:
    def __init__(self, **parameters):
        self.parameters = parameters

    def replay(self, sizes):
        return np.array([sizes.sum()])


KERNEL = Kernel(
    name="planted_call",
    title="Running sum with a planted system call",
    card="For tests.",
    operations={"event": "one size added"},
    counters={"added": "sizes added"},
    invariants=("the sum is the sum",),
    parameters=(),
    package=__name__,
    reference=Reference,
    prepare=lambda events, parameters: np.ascontiguousarray(events["size"]).astype(np.int64),
    parameters_for=lambda events: {},
    output=lambda sizes, parameters: np.zeros(1, np.int64),
    length=len,
    count_operations=len,
)
