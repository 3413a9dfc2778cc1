"""The control's only variant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels import probe as instrument
from kernels._jit import kernel_jit
from kernels.catalog import Variant
from workbench.gate.control import INCREMENT, LARGE_BITS, MULTIPLIER, ROUNDS, SMALL_BITS, sequence

_MULTIPLIER, _INCREMENT = np.uint64(MULTIPLIER), np.uint64(INCREMENT)
_SMALL_SHIFT, _LARGE_SHIFT = np.uint64(64 - SMALL_BITS), np.uint64(64 - LARGE_BITS)


class State(NamedTuple):
    """The two tables, which nobody writes to."""

    small: np.ndarray  # uint64[2**SMALL_BITS]
    large: np.ndarray  # uint64[2**LARGE_BITS]


def allocate(parameters: Mapping[str, int]) -> State:
    """Return the tables, filled."""
    return State(sequence(2**SMALL_BITS, 1), sequence(2**LARGE_BITS, 2))


def reset(state: State) -> None:
    """Leave all as it is: a replay changes nothing."""


@kernel_jit
def replay_from(state: Any, keys: Any, out: Any, begin: Any, probe: Any) -> Any:
    """Digest every key from index `begin` on into `out`; return the number of keys."""
    for i in range(begin, len(keys)):
        began = instrument.start(probe)
        value = keys[i]
        for _ in range(ROUNDS):
            value = value * _MULTIPLIER + _INCREMENT
            value ^= state.small[value >> _SMALL_SHIFT]
            value = value * _MULTIPLIER + _INCREMENT
            value ^= state.large[value >> _LARGE_SHIFT]
        out[i] = value
        instrument.stop(probe, began)
        instrument.count(probe, 0, 1)
    return max(begin, len(keys))


VARIANT = Variant("baseline", None, "is the same on every side of a gate", allocate, reset, replay_from)
