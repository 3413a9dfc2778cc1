"""The same without the system call."""

from kernels import Variant
from kernels._jit import kernel_jit
from planted_call import allocate, reset


@kernel_jit
def replay_from(state, sizes, out, begin, probe):
    for i in range(begin, len(sizes)):
        state.total[0] += sizes[i] ^ state.total[1]
        state.total[1] = state.total[0] & 7
    out[0] = state.total[0]
    return len(sizes)


VARIANT = Variant("clean", "baseline", "asks nobody", allocate, reset, replay_from)
