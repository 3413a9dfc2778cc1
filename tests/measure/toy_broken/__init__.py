"""A kernel whose variants go wrong, each in its own way. None is compiled, so that each fails where it is meant to."""

import numpy as np

from kernels import Kernel

KERNEL = Kernel(
    name="broken",
    title="What goes wrong",
    card="For tests.",
    operations={"event": "nothing"},
    counters={},
    invariants=(),
    parameters=(),
    package=__name__,
    reference=object,
    prepare=lambda events, parameters: events["size"].astype(np.int64),
    parameters_for=lambda events: {},
    output=lambda sizes, parameters: np.zeros(1, np.int64),
    length=len,
    count_operations=len,
)
