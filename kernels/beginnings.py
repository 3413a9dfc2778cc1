"""How far apart two threads begin their compiled code: a program.

    python -m kernels.beginnings [--turns 301]

By turns behind a `threading.Barrier`, from Python, and as `kernels.crew.run_together` lets them begin.
"""

from __future__ import annotations

import argparse
import functools
import threading

import numpy as np

from kernels._jit import kernel_jit
from kernels.crew import run_together
from kernels.start_line import clock_ns


@kernel_jit(_nrt=False)
def stamp(places, index):
    """Write the time of now to ``places[index]``: the shortest of all replays."""
    places[index] = clock_ns()


def begin_apart_ns(barrier: bool) -> int:
    """Return how long after the first of two threads the second one began its compiled code."""
    places = np.zeros(2, np.int64)
    if not barrier:
        run_together([functools.partial(stamp, places, index) for index in range(2)])
        return int(abs(places[1] - places[0]))
    together = threading.Barrier(2)

    def begin(index: int) -> None:
        together.wait()
        stamp(places, index)

    run_together([functools.partial(begin, index) for index in range(2)])
    return int(abs(places[1] - places[0]))


def main() -> None:
    """Measure both by turns and print the table."""
    parser = argparse.ArgumentParser(description="How far apart two threads begin.")
    parser.add_argument("--turns", type=int, default=301, help="how often each is measured, by turns")
    turns = parser.parse_args().turns
    apart: dict[bool, list[int]] = {True: [], False: []}
    for turn in range(-3, turns):
        for barrier in (True, False):
            found = begin_apart_ns(barrier)
            if turn >= 0:
                apart[barrier].append(found)
    for barrier, found_ns in apart.items():
        middle, high, most = np.percentile(found_ns, (50, 90, 100))
        print(f"{'barrier' if barrier else 'start line':12s}median {middle:8.0f} ns, p90 {high:8.0f}, most {most:8.0f}")


if __name__ == "__main__":
    main()
