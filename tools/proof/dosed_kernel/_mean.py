"""What all variants share: the state, and the loop whose number of rounds is the dose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kernels import probe as instrument
from kernels._jit import kernel_jit
from kernels.machine.hints import opaque

WINDOW = 200  # rounds of an ordinary call: about 0.5 us, fifty times the step of the clock
LONG = 3 * WINDOW  # rounds of a long call: the tail that the kernel has by nature
LONG_SHARE_PPM = 30_000  # 3 % of the calls are long: p99 and p99.9 both lie among them
STALL = 10 * WINDOW  # rounds of a call that is stalled

RECENT = 1024  # prices that are kept, a power of two
DECAY = 1 / 64


class State(NamedTuple):
    """The last prices, in a ring."""

    prices: np.ndarray  # float64[RECENT]


def allocate(parameters: Mapping[str, int]) -> State:
    """Return a ring of zeros."""
    return State(np.zeros(RECENT))


def reset(state: State) -> None:
    """Forget all prices."""
    state.prices[:] = 0


@kernel_jit
def mean_each(state, items, out, begin, probe, rounds, long_rounds, stalled_ppm):
    """Write to `out` the mean after each of `items` from `begin` on; return how many there are.

    LLVM must not know the numbers: every variant then has the same instructions, with other constants in them, and a
    dose moves no loop to another place.
    """
    rounds, long_rounds, stalled_ppm = opaque(rounds), opaque(long_rounds), opaque(stalled_ppm)
    for i in range(begin, items.shape[0]):
        began = instrument.start(probe)
        state.prices[i & (RECENT - 1)] = items[i].price
        fate_ppm = items[i].fate_ppm
        own = rounds
        if fate_ppm < LONG_SHARE_PPM:
            own = long_rounds
        elif fate_ppm >= 1_000_000 - stalled_ppm:
            own = opaque(STALL)
        mean = 0.0
        for k in range(own - 1, -1, -1):
            mean += (state.prices[(i - k) & (RECENT - 1)] - mean) * DECAY
        out[i] = mean
        instrument.stop(probe, began)
        instrument.count(probe, 0, own)
    return max(items.shape[0], begin)
