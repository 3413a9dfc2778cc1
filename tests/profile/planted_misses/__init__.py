"""A user's kernel that reads prices; `baseline` takes one from each cache line, `dense` has them side by side."""

from typing import NamedTuple

import numpy as np

from kernels import Kernel

LINES = 4096  # 256 KB: more than the simulated first-level cache, less than the last level
APART = 8  # numbers on a cache line


class State(NamedTuple):
    prices: np.ndarray  # float64[LINES * APART]
    stride: np.ndarray  # int64[1]: how far apart those that are read lie


def allocate(stride):
    def make(parameters):
        return State(np.ones(LINES * APART), np.array([stride]))

    return make


def reset(state):
    state.prices[:] = 1.0


class Reference:
    def __init__(self, **parameters):
        self.parameters = parameters

    def replay(self, sizes):
        return np.array([float(LINES * len(sizes))])


KERNEL = Kernel(
    name="planted_misses",
    title="Sum over prices with planted cache misses",
    card="For tests.",
    operations={"event": "all prices summed once"},
    counters={"read": "prices read"},
    invariants=("the sum is the sum",),
    parameters=(),
    package=__name__,
    reference=Reference,
    prepare=lambda events, parameters: np.ascontiguousarray(events["size"][:10]).astype(np.int64),
    parameters_for=lambda events: {},
    output=lambda sizes, parameters: np.zeros(1),
    length=len,
    count_operations=len,
)
