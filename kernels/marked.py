"""Marked points: where a stress test may hold a thread up. Compiled to nothing where `pauses` is None.

An interleaving that a machine shows once a month is one in which a thread stops at the wrong place for long. The
lock-free parts of the kernels name such places; a test hands over a `pauses` array, and a thread that comes by
waits there for a random time, every now and then by giving up its core.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from kernels._jit import kernel_jit
from kernels.machine.hints import pause, yield_core

RANDOM, ONE_IN, LONGEST, PASSED, BROKEN = range(5)  # what a `pauses` array holds
PAUSES_LENGTH = 8


def new_pauses(seed: int, one_in: int, longest: int) -> np.ndarray:
    """Return a thread's own `pauses`: at one in `one_in` marked points (a power of two) wait up to `longest` pauses."""
    pauses = np.zeros(PAUSES_LENGTH, np.int64)
    pauses[RANDOM], pauses[ONE_IN], pauses[LONGEST] = 2 * seed + 1, one_in, longest
    return pauses


@kernel_jit(forceinline=True, _nrt=False)
def next_random(words, at):
    """Step the xorshift64 generator whose state (not 0) is ``words[at]`` and return it (Marsaglia 2003)."""
    value = np.uint64(words[at])
    value ^= value << np.uint64(13)
    value ^= value >> np.uint64(7)
    value ^= value << np.uint64(17)
    words[at] = np.int64(value)
    return value


@kernel_jit(forceinline=False, _nrt=False)
def hold_up(pauses):
    """Wait for a random time, or not at all."""
    pauses[PASSED] += 1
    drawn = next_random(pauses, RANDOM) >> np.uint64(8)
    if drawn & np.uint64(pauses[ONE_IN] - 1):
        return
    drawn >>= np.uint64(16)
    for _ in range(drawn % np.uint64(pauses[LONGEST])):
        pause()
    if drawn & np.uint64(0x700) == 0:
        yield_core()


def marked_point(pauses: Any) -> None:
    """Wait here if a test wants it. For compiled code only."""
    raise RuntimeError("marked_point runs in compiled code only")


def expect(pauses: Any, holds: Any) -> None:
    """Count a broken promise where a test listens. For compiled code only."""
    raise RuntimeError("expect runs in compiled code only")


def _absent(pauses: Any) -> bool:
    return isinstance(pauses, (types.NoneType, types.Omitted))


# Without `pauses` the body is inlined before LLVM sees it, so that nothing is left of the call (as in `kernels.probe`).


@overload(marked_point, inline="always")
def _marked_point_absent(pauses):
    return (lambda pauses: None) if _absent(pauses) else None


@overload(expect, inline="always")
def _expect_absent(pauses, holds):
    return (lambda pauses, holds: None) if _absent(pauses) else None


@overload(marked_point, jit_options={"nogil": True})
def _marked_point(pauses):
    if _absent(pauses):
        return None
    return lambda pauses: hold_up(pauses)  # noqa: PLW0108  # Numba wants a function here, not a dispatcher


@overload(expect, jit_options={"nogil": True})
def _expect(pauses, holds):
    if _absent(pauses):
        return None

    def counting(pauses, holds):
        if not holds:
            pauses[BROKEN] += 1

    return counting
