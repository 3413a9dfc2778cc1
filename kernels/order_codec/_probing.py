"""What an instrumented codec counts."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import overload

from kernels.probe import count

# Counters, in the order of the card.
REFUSED, LINES_TOUCHED, WAITS = range(3)
LINE_BYTES = 64


def sum_refusals(bad: Any, probe: Any) -> Any:
    """Return how many messages were refused so far; 0 when `probe` is None. For compiled code only."""
    raise RuntimeError("sum_refusals runs in compiled code only")


def count_refusals(bad: Any, before: Any, probe: Any) -> Any:
    """Count what was refused since `before` was taken. For compiled code only."""
    raise RuntimeError("count_refusals runs in compiled code only")


def _absent(probe: Any) -> bool:
    return isinstance(probe, (types.NoneType, types.Omitted))


@overload(sum_refusals, inline="always")
def _sum_absent(bad, probe):
    return (lambda bad, probe: 0) if _absent(probe) else None


@overload(count_refusals, inline="always")
def _count_absent(bad, before, probe):
    return (lambda bad, before, probe: None) if _absent(probe) else None


@overload(sum_refusals, jit_options={"nogil": True})
def _sum(bad, probe):
    return None if _absent(probe) else lambda bad, probe: bad.sum()


@overload(count_refusals, jit_options={"nogil": True})
def _count(bad, before, probe):
    if _absent(probe):
        return None
    return lambda bad, before, probe: count(probe, REFUSED, bad.sum() - before)
