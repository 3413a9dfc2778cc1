"""How long a message takes to another thread and back, against the bare cache line: a program.

    python -m kernels.message_queue.round_trip [--turns 21]

Two threads, each on a core of its own, by turns within one process: a single cache line that both write (the ping-pong
that tools call core-to-core latency); a line for each direction, written by one and read by the other, which is the
least that two one-way queues can do; and round trips through two queues, for records of 8, 56 and 64 bytes. Printed are
medians in ns, and the medians of the ratios to either ping-pong of the same turn with their 95 % sign intervals.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable

import numpy as np

from kernels._jit import kernel_jit
from kernels.crew import run_together
from kernels.machine import atomics
from kernels.machine.atomics import ACQUIRE, RELEASE
from kernels.machine.memory import aligned
from kernels.message_queue import KERNEL
from kernels.message_queue._pairs import median_and_interval
from kernels.message_queue._ring import APART, LINE_WORDS, SOON, wait
from kernels.message_queue._work import COUNT, MODES
from kernels.messages import EVENT

TRIPS = 65_536
SIZES = (8, 56, 64)  # bytes: the least; the most that shares a line with its number; the usual
VARIANTS = ("packed", "lock_free", "cells", "mpmc", "peer_boost_spsc")


@kernel_jit(_nrt=False)
def bounce(lines, mine, theirs, first, trips):
    """Write a count to the line `mine` and wait for it on the line `theirs`, so many times; `first` begins."""
    for trip in range(trips):
        for half in range(2):
            if (half == 0) == first:
                # RELEASE: as a queue has to; nothing else is handed over here.
                atomics.store(lines, mine, 2 * trip + half + 1, RELEASE)
            else:
                turn = 0
                while atomics.load(lines, theirs, ACQUIRE) != 2 * trip + half + 1:
                    wait(turn, SOON)
                    turn += 1


def ping_pong(there: int, back: int) -> float:
    """Return the ns of one round trip between two threads that write to these lines; the same for both: one line."""
    lines = aligned(4 * APART, np.int64, 2 * 8 * LINE_WORDS)
    calls = [
        functools.partial(bounce, lines, there, back, True, TRIPS),
        functools.partial(bounce, lines, back, there, False, TRIPS),
    ]
    return run_together(calls)[1] / TRIPS


def through_queues(name: str, size: int) -> Callable[[], float] | None:
    """Return a function that gives the ns of one round trip of a variant; None where that one cannot do it."""
    variant, mode = KERNEL.variants[name], MODES.index("round_trip")
    if variant.missing() or variant.refuses(
        KERNEL.check_parameters({"mode": mode, "threads": 2, "record_bytes": size})
    ):
        return None
    instance = variant.build(mode=mode, threads=2, record_bytes=size)
    events = np.zeros(64, EVENT)
    events["order_id"] = np.arange(64)
    work = KERNEL.prepare(events, instance.parameters)
    work.plan[COUNT] = TRIPS
    out = KERNEL.output(work, instance.parameters)

    def once() -> float:
        instance.reset()
        return variant.run(instance, work, out)[1] / TRIPS

    once()
    assert np.array_equal(out, work.records)
    return once


def main() -> None:
    """Measure by turns and print the table."""
    parser = argparse.ArgumentParser(description="Round trips of messages against the ping-pong of cache lines.")
    parser.add_argument("--turns", type=int, default=21, help="how often each is measured, by turns; at least 6")
    turns = parser.parse_args().turns
    works: dict[str, Callable[[], float]] = {
        "one line": functools.partial(ping_pong, 0, 0),
        "two lines": functools.partial(ping_pong, 0, APART),
    }
    for size in SIZES:
        for name in VARIANTS:
            once = through_queues(name, size)
            if once is not None:
                works[f"{name}, {size} bytes"] = once
    works["one line"](), works["two lines"]()
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(turns):
        for name in list(works) if turn % 2 else list(works)[::-1]:
            times[name].append(works[name]())
    for name, own in times.items():
        words = [f"{name:26s}{median_and_interval(own)[0]:8.1f} ns"]
        for floor in ("one line", "two lines"):
            ratio, low, high = median_and_interval([a / b for a, b in zip(own, times[floor], strict=True)])
            words.append(f"{ratio:.2f} ({low:.2f} to {high:.2f}) of {floor}")
        print(", ".join(words))


if __name__ == "__main__":
    main()
