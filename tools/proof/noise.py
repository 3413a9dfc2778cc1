"""A machine that is deliberately loaded: ``python -m proof.noise KIND CORE``, until it is killed.

`memory` copies arrays larger than any cache, without a pause; `bursts` counts for a random while, then sleeps for one.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from workbench.parent import end_with_parent

COPIED_BYTES = 64 << 20
BUSY_S, IDLE_S = (0.02, 0.3), (0.1, 1.0)


@contextlib.contextmanager
def loaded_machine() -> Iterator[None]:
    """Load memory and every core but the last all the time, and the last, which is measured on, at times."""
    cores = sorted(os.sched_getaffinity(0))
    jobs = [("memory", core) for core in cores[:-1] or cores] + [("bursts", cores[-1])]
    tools = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tools), str(tools.parent)])}
    running = [
        subprocess.Popen([sys.executable, "-m", "proof.noise", kind, str(core)], env=environment) for kind, core in jobs
    ]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def _memory() -> None:
    first, second = np.zeros(COPIED_BYTES, np.uint8), np.ones(COPIED_BYTES, np.uint8)
    while True:
        first[:] = second
        second[:] = first


def _bursts() -> None:
    draw = random.Random(os.getpid())
    while True:
        end = time.monotonic() + draw.uniform(*BUSY_S)
        while time.monotonic() < end:
            pass
        time.sleep(draw.uniform(*IDLE_S))


if __name__ == "__main__":
    end_with_parent()
    os.sched_setaffinity(0, {int(sys.argv[2])})
    {"memory": _memory, "bursts": _bursts}[sys.argv[1]]()
