"""The instrument: what a kernel records about itself, compiled in or absent.

Every `replay` takes a `probe` as its last argument and calls the functions below. When the argument is ``None``, Numba
compiles them to nothing: the machine code is that of the same source with the probe's lines deleted
(``tests/kernels/test_probe.py`` compares the bytes). When it is a `Probe`, they stamp, record and count.

A stamp costs about 10 ns on a virtual machine, as much as a fast operation itself. So a kernel times an operation only
where that is longer than the clock's step, and else a group of operations at once; its card says which.

A kernel whose operation goes through stages, one after the other, also records each of them: `lap` takes the time since
the stamp before under a stage's number, and returns the stamp that the next stage begins with.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from kernels.machine.cycles import read_cycles
from kernels.machine.histogram import counts_length, record

HIGHEST_NS = 60 * 10**9
SCALE_BITS = 24  # fixed-point fraction of `ns_per_tick`; 60 s of ticks times the scale stays below 2**63


class Probe(NamedTuple):
    """Where an instrumented kernel writes. Arrays, so that the compiled code takes it without a conversion."""

    histogram: np.ndarray  # int64[counts_length]: latencies in ns, HDR layout
    counters: np.ndarray  # int64[n]: the kernel's counters, in the order of its card
    scale: np.ndarray  # int64[1]: ns per tick, times 2**SCALE_BITS
    stages: np.ndarray = np.zeros((0, 0), np.int64)  # int64[n, counts_length]: one histogram for each stage


def make_probe(counters: int, ns_per_tick: float, stages: int = 0) -> Probe:
    """Return an empty probe for a kernel with so many `counters` and `stages`, on a clock of `ns_per_tick`."""
    return Probe(
        histogram=np.zeros(counts_length(HIGHEST_NS), np.int64),
        counters=np.zeros(max(counters, 1), np.int64),
        scale=np.array([round(ns_per_tick * 2**SCALE_BITS)], np.int64),
        stages=np.zeros((stages, counts_length(HIGHEST_NS)), np.int64),
    )


def clear_probe(probe: Probe) -> None:
    """Forget what was recorded; the scale stays."""
    probe.histogram[:] = 0
    probe.counters[:] = 0
    probe.stages[:] = 0


def start(probe: Any) -> int:
    """Return a cycle stamp; 0 when `probe` is None. For compiled code only."""
    raise RuntimeError("kernels.probe.start runs in compiled code only")


def stop(probe: Any, began: int) -> None:
    """Record the time since the stamp `began`, in ns. For compiled code only."""
    raise RuntimeError("kernels.probe.stop runs in compiled code only")


def lap(probe: Any, stage: int, began: int) -> int:
    """Record the time since the stamp `began` under `stage`; return the stamp of now. For compiled code only.

    0 when `probe` is None. A probe without that stage records nothing.
    """
    raise RuntimeError("kernels.probe.lap runs in compiled code only")


def count(probe: Any, counter: int, amount: int) -> None:
    """Add `amount` to the counter with that index. For compiled code only."""
    raise RuntimeError("kernels.probe.count runs in compiled code only")


def _absent(probe: Any) -> bool:
    return isinstance(probe, (types.NoneType, types.Omitted))


# Numba compares the argument names *and annotations* of an overload and of what it returns: so neither has any here.


# Without a probe the body is inlined before LLVM sees it, so that not even a slot on the stack is left of the call.


@overload(start, inline="always")
def _start_absent(probe):
    return (lambda probe: 0) if _absent(probe) else None


@overload(stop, inline="always")
def _stop_absent(probe, began):
    return (lambda probe, began: None) if _absent(probe) else None


@overload(lap, inline="always")
def _lap_absent(probe, stage, began):
    return (lambda probe, stage, began: 0) if _absent(probe) else None


@overload(count, inline="always")
def _count_absent(probe, counter, amount):
    return (lambda probe, counter, amount: None) if _absent(probe) else None


@overload(start, jit_options={"nogil": True})
def _start(probe):
    return None if _absent(probe) else lambda probe: read_cycles()


@overload(stop, jit_options={"nogil": True})
def _stop(probe, began):
    if _absent(probe):
        return None

    def recording(probe, began):
        record(probe.histogram, ((read_cycles() - began) * probe.scale[0]) >> SCALE_BITS)

    return recording


@overload(lap, jit_options={"nogil": True})
def _lap(probe, stage, began):
    if _absent(probe):
        return None

    def recording(probe, stage, began):
        now = read_cycles()
        if stage < probe.stages.shape[0]:
            record(probe.stages[stage], ((now - began) * probe.scale[0]) >> SCALE_BITS)
        return now

    return recording


@overload(count, jit_options={"nogil": True})
def _count(probe, counter, amount):
    if _absent(probe):
        return None

    def counting(probe, counter, amount):
        probe.counters[counter] += amount

    return counting
