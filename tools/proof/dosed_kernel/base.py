"""The kernel as it is, without a dose."""

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from proof.dosed_kernel._mean import LONG, WINDOW, allocate, mean_each, reset

ROUNDS = WINDOW
LONG_ROUNDS = LONG
STALLED_PPM = 0


@kernel_jit
def replay_from(state, items, out, begin, probe):
    """Write the weighted mean after each event."""
    return mean_each(state, items, out, begin, probe, ROUNDS, LONG_ROUNDS, STALLED_PPM)


VARIANT = Variant("base", None, "as many rounds as the window has", allocate, reset, replay_from)
