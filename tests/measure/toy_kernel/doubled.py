from kernels._jit import kernel_jit
from kernels.catalog import Variant
from toy_kernel._shared import add_sizes, allocate, grow, reset


@kernel_jit
def replay_from(state, sizes, out, begin, probe):
    return add_sizes(state, sizes, out, begin, probe, 2)


VARIANT = Variant("doubled", "baseline", "does it 2 times", allocate, reset, replay_from, grow=grow)
