"""The work outside, an atomic addition inside: nobody waits."""

from kernels import Variant
from kernels._jit import kernel_jit
from kernels.machine import atomics
from kernels.machine.atomics import RELAXED
from kernels.probe import count, start, stop
from planted_convoy import allocate, reset, work


@kernel_jit(_nrt=False)
def replay_from(state, sizes, out, begin, probe):
    for i in range(begin, len(sizes)):
        began = start(probe)
        atomics.add(state.total, 0, work(sizes[i]), RELAXED)
        stop(probe, began)
        count(probe, 0, 1)
    return len(sizes)


VARIANT = Variant("clean", "baseline", "works beside the lock", allocate, reset, replay_from)
