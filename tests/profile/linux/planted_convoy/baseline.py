"""One mutex, held while the work is done that needs none."""

from kernels import Variant
from kernels._jit import kernel_jit
from kernels.machine.locks import mutex_lock, mutex_unlock
from kernels.probe import count, start, stop
from planted_convoy import allocate, reset, work


@kernel_jit(_nrt=False)
def replay_from(state, sizes, out, begin, probe):
    for i in range(begin, len(sizes)):
        began = start(probe)
        mutex_lock(state.lock)  # the planted lock
        state.total[0] += work(sizes[i])
        mutex_unlock(state.lock)
        stop(probe, began)
        count(probe, 0, 1)
    return len(sizes)


VARIANT = Variant("baseline", None, "works under the lock", allocate, reset, replay_from)
