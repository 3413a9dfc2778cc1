"""One pause under an open loop, against what queueing theory says of it: the row on coordinated omission.

Operations are due every 10 us and take far less; one of them stalls for 20 ms. Whoever is due during the stall waits
for the rest of it: the k-th after it waits for the pause less k intervals, or not at all. That gives every percentile
of the response times exactly. A closed loop would have begun none of those 2,000, and told of one slow call.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
from typing import Any

import numpy as np

from kernels._jit import kernel_jit
from kernels.machine.cycles import read_cycles
from proof.dosed_kernel import KERNEL
from proof.trial import SCHEMA
from workbench.measure.clock import measure_clock
from workbench.measure.histogram import HIGHEST_NS, Histogram
from workbench.measure.open_loop import Opened, run_open
from workbench.measure.replicate import pin
from workbench.measure.schedule import fixed

PAUSE_NS = 20_000_000
RATE_PER_S = 100_000.0
OPERATIONS = 10_000
PERCENTILE = 99.0


@kernel_jit
def _spin(state, ticks, out, begin, probe):
    """Take as many ticks of the time-stamp counter for each operation as `ticks` (int64[n]) says."""
    for i in range(begin, ticks.shape[0]):
        end = read_cycles() + ticks[i]
        while read_cycles() < end:
            pass
    return ticks.shape[0]


def inject() -> dict[str, Any]:
    """Run the open loop once, with the pause in its middle, and return what was seen and what had to be."""
    before = os.sched_getaffinity(0)
    pin()
    try:
        clock = measure_clock()
        ticks = np.zeros(OPERATIONS, np.int64)
        ticks[OPERATIONS // 2] = round(PAUSE_NS / clock.ns_per_tick)
        variant = dataclasses.replace(KERNEL.variants["base"], replay_from=_spin)
        variant.kernel = KERNEL
        due = fixed(RATE_PER_S, OPERATIONS)
        run_open(variant, variant.build(), ticks[:1], None, due[:1], clock)  # compiles
        opened = run_open(variant, variant.build(), ticks, None, due, clock)
    finally:
        os.sched_setaffinity(0, before)
    response, service = opened.histograms()
    pause_ns = int(opened.service_ns[OPERATIONS // 2])  # as it was: Linux may have added to it
    corrected, analytic = response.value_at(PERCENTILE), analytic_p99(opened, pause_ns)
    return {
        "schema": SCHEMA,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "pause_ns": pause_ns,
        "rate_per_s": RATE_PER_S,
        "operations": OPERATIONS,
        "corrected_p99_ns": corrected,
        "analytic_p99_ns": analytic,
        "uncorrected_p99_ns": service.value_at(PERCENTILE),
        "bucket_ns": bucket_ns(analytic),
    }


def analytic_p99(opened: Opened, pause_ns: int) -> int:
    """Return p99 of the response times that a queue with one server has when one operation takes `pause_ns`.

    By Lindley's recursion: an operation begins when it is due and the one before has ended. All but the pause take the
    median service time that was seen.
    """
    service = np.full(len(opened.due_ns), int(np.median(opened.service_ns)))
    service[len(service) // 2] = pause_ns
    found, free = Histogram(highest=HIGHEST_NS), 0
    for due, takes in zip(opened.due_ns.tolist(), service.tolist(), strict=True):
        free = max(due, free) + takes
        found.counts[_place(free - due)] += 1
    return found.value_at(PERCENTILE)


def bucket_ns(value_ns: int) -> int:
    """Return how wide the histogram's bucket around a value is: 2,048 values of 1 ns, then 1,024 to each doubling."""
    return 1 << max(value_ns.bit_length() - 11, 0)


def _place(value_ns: int) -> int:
    exponent = max(value_ns.bit_length() - 11, 0)
    return (exponent << 10) + (value_ns >> exponent)
