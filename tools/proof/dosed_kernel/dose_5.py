"""5 % more rounds in every call."""

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from proof.dosed_kernel._mean import LONG, WINDOW, allocate, mean_each, reset

ROUNDS = WINDOW + WINDOW * 5 // 100
LONG_ROUNDS = LONG + LONG * 5 // 100
STALLED_PPM = 0


@kernel_jit
def replay_from(state, items, out, begin, probe):
    """Write the weighted mean after each event."""
    return mean_each(state, items, out, begin, probe, ROUNDS, LONG_ROUNDS, STALLED_PPM)


VARIANT = Variant(
    "dose_5", "base", "5 % more rounds in every call", allocate, reset, replay_from, relative_tolerance=0.005
)
