"""The long calls take a fifth longer: that moves p99, and not the median."""

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from proof.dosed_kernel._mean import LONG, WINDOW, allocate, mean_each, reset

ROUNDS = WINDOW
LONG_ROUNDS = LONG + LONG * 20 // 100
STALLED_PPM = 0


@kernel_jit
def replay_from(state, items, out, begin, probe):
    """Write the weighted mean after each event."""
    return mean_each(state, items, out, begin, probe, ROUNDS, LONG_ROUNDS, STALLED_PPM)


VARIANT = Variant(
    "longer_tail",
    "base",
    "the long calls take 20 % more rounds",
    allocate,
    reset,
    replay_from,
    relative_tolerance=0.005,
)
