from kernels._jit import kernel_jit
from kernels.catalog import Variant
from toy_kernel._shared import add_sizes, allocate, grow, reset


@kernel_jit
def replay_from(state, sizes, out, begin, probe):
    return add_sizes(state, sizes, out, begin, probe, 1)


VARIANT = Variant("baseline", None, "does it 1 times", allocate, reset, replay_from, grow=grow)
