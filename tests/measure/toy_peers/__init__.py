"""A kernel with peers, one of which is not there, stages, and an input that threads share."""

import numpy as np

from kernels import Kernel, Parameter


class Reference:
    def __init__(self, **parameters):
        self.parameters = parameters

    def replay(self, sizes):
        return np.cumsum(sizes)


def divide(sizes, out, parameters):
    """Return an equal part of `sizes` for each thread; all write to the one place of `out`."""
    return [(part, out) for part in np.array_split(sizes, parameters["threads"])]


KERNEL = Kernel(
    name="toy_peers",
    title="Sum of sizes, by several threads",
    card="For tests.",
    operations={"event": "one size added"},
    counters={"added": "sizes added"},
    stages={"read": "the size is read", "add": "it is added"},
    invariants=("the sum is the sum",),
    parameters=(
        Parameter("threads", 1, 1, 64, "how many threads share the work"),
        Parameter("way", 0, 0, 1, "how it is added", choices=("plain", "twice")),
        Parameter("room", 2**40, 0, 2**40, "how many sizes a thread may add"),
    ),
    package=__name__,
    reference=Reference,
    prepare=lambda events, parameters: np.ascontiguousarray(events["size"]).astype(np.int64),
    parameters_for=lambda events: {},
    output=lambda sizes, parameters: np.zeros(1, np.int64),
    length=len,
    count_operations=len,
    divide=divide,
)
