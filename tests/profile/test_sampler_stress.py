"""Ten minutes of everything that could break a sampler: WORKBENCH_LONG=1; a second or two of the same without.

It is a program too, so that another profiler can run it: ``scalene run --cpu-only -o stress.json FILE``.
"""

import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numba
import numpy as np
import pytest

from workbench.profile.attribute import profile_of
from workbench.profile.sampler import is_sampling, sampling

SECONDS = 600 if os.environ.get("WORKBENCH_LONG") else 3
VALUES = np.linspace(1.0, 2.0, 1000)


@numba.njit(nogil=True)
def work(values, rounds):
    total = 0.0
    for _ in range(rounds):
        for i in range(values.shape[0]):
            total += np.sqrt(values[i])
    if total < 0:
        raise ValueError("never")
    return total


@numba.njit(parallel=True)
def spread(values):
    total = 0.0
    for i in numba.prange(values.shape[0]):
        total += np.sqrt(values[i])
    return total


def threads() -> None:
    started = [threading.Thread(target=work, args=(VALUES, 50)) for _ in range(4)]
    for each in started:
        each.start()
    for each in started:
        each.join()


def nested() -> None:
    with sampling(500), sampling(2000, "cpu"):
        work(VALUES, 50)


def fork() -> None:
    child = os.fork()
    if child == 0:
        work(VALUES, 20)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def spawn() -> None:
    subprocess.run([sys.executable, "-S", "-c", "pass"], check=True)


def fail() -> None:
    with pytest.raises(ZeroDivisionError), sampling():
        work(VALUES, 10)
        1 / 0  # noqa: B018


def interrupt() -> None:
    timer = threading.Timer(random.random() * 0.02, signal.raise_signal, (signal.SIGINT,))
    try:
        timer.start()
        with sampling(1000):
            for _ in range(10**6):
                work(VALUES, 1)
    except KeyboardInterrupt:
        pass
    finally:
        timer.cancel()


def compile_one() -> None:
    numba.njit(lambda values: values[0] + 1)(VALUES)


def collect() -> None:
    gc.collect()


def read() -> None:
    with sampling(5000) as samples:
        work(VALUES, 100)
        spread(VALUES)
    profile_of(samples, "stress")


@pytest.mark.timeout(SECONDS + 300)
def test_nothing_crashes_and_nothing_stays_behind():
    work(VALUES, 1)
    spread(VALUES)
    ways = [threads, nested, fork, spawn, fail, interrupt, compile_one, collect, read, lambda: spread(VALUES)]
    random.seed(3)
    end = time.monotonic() + SECONDS
    rounds = 0
    while time.monotonic() < end:
        with sampling(2000):
            for way in random.sample(ways, 5):
                way()
        rounds += 1
    print(f"{rounds} rounds of stress in {SECONDS} s, nothing crashed")
    assert rounds > 0
    assert not is_sampling()
    assert not [each for each in threading.enumerate() if each.name == "workbench sampler"]
    time.sleep(0.05)  # a signal still on its way would end the process


if __name__ == "__main__":
    test_nothing_crashes_and_nothing_stays_behind()
