"""A user's kernel: each size is worked on for a while and added to a total that all threads share.

`baseline` holds one mutex while it works; `clean` works first, each thread for itself, and adds atomically.
"""

from typing import NamedTuple

import numpy as np

from kernels import Kernel, Parameter
from kernels._jit import kernel_jit
from kernels.machine.locks import new_mutex
from kernels.machine.memory import aligned

ROUNDS = 1_000  # of work for each size: some microseconds


class State(NamedTuple):
    total: np.ndarray  # int64[8]
    lock: np.ndarray  # uint8[64]


def allocate(parameters):
    return State(aligned(8, np.int64), new_mutex())


def reset(state):
    state.total[:] = 0


@kernel_jit(_nrt=False)
def work(value):
    for _ in range(ROUNDS):
        value ^= (value << 13) & 0xFFFFFFFFFFFF  # Marsaglia's xorshift: no closed form that LLVM could find
        value ^= value >> 7
        value ^= (value << 17) & 0xFFFFFFFFFFFF
    return value


class Reference:
    def __init__(self, **parameters):
        self.parameters = parameters

    def replay(self, sizes):
        return np.zeros(8, np.int64)


def divide(sizes, out, parameters):
    if parameters["threads"] == 1:
        return [(sizes, out)]
    parts = np.array_split(sizes, parameters["threads"])
    return [(np.ascontiguousarray(part), np.zeros(8, np.int64)) for part in parts]


KERNEL = Kernel(
    name="planted_convoy",
    title="A total under a lock that is held too long",
    card="For tests.",
    operations={"event": "one size worked on and added"},
    counters={"added": "sizes added"},
    invariants=("the total is the total",),
    parameters=(Parameter("threads", 1, 1, 8, "how many threads work at the same time"),),
    package=__name__,
    reference=Reference,
    prepare=lambda events, parameters: np.ascontiguousarray(events["size"][:16384] + 1).astype(np.int64),
    parameters_for=lambda events: {},
    output=lambda sizes, parameters: np.zeros(8, np.int64),
    length=len,
    count_operations=len,
    divide=divide,
)
