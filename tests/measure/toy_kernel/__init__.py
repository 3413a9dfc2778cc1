"""A kernel as a user writes one: adds up the sizes of events; `doubled` does the same work twice."""

import numpy as np

from kernels import Kernel, Parameter


class Reference:
    def __init__(self, **parameters):
        self.parameters = parameters

    def replay(self, sizes):
        return np.cumsum(sizes)


KERNEL = Kernel(
    name="toy",
    title="Running sum of sizes",
    card="For tests.",
    operations={"event": "one size added"},
    counters={"added": "sizes added"},
    invariants=("the sum is the sum",),
    parameters=(Parameter("rounds", 4, 1, 1000, "how often each size is added"),),
    package=__name__,
    reference=Reference,
    prepare=lambda events, parameters: np.ascontiguousarray(events["size"]).astype(np.int64),
    parameters_for=lambda events: {},
    output=lambda sizes, parameters: np.zeros(1, np.int64),
    length=len,
    count_operations=len,
)
