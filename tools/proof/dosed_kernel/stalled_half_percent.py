"""Five in a thousand calls are stalled: that moves p99.9, and not p99."""

from kernels._jit import kernel_jit
from kernels.catalog import Variant
from proof.dosed_kernel._mean import LONG, WINDOW, allocate, mean_each, reset

ROUNDS = WINDOW
LONG_ROUNDS = LONG
STALLED_PPM = 5_000


@kernel_jit
def replay_from(state, items, out, begin, probe):
    """Write the weighted mean after each event."""
    return mean_each(state, items, out, begin, probe, ROUNDS, LONG_ROUNDS, STALLED_PPM)


VARIANT = Variant(
    "stalled_half_percent",
    "base",
    "0.5 % of the calls take ten times as many rounds",
    allocate,
    reset,
    replay_from,
    relative_tolerance=0.005,
)
