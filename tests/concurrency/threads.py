"""What the stress tests share: threads of compiled code on chosen cores, a barrier, and how long to go on."""

import contextlib
import os
import threading

import numba
import pytest

from kernels._jit import OPTIONS
from kernels.machine import atomics
from kernels.machine.affinity import allowed_cores, pinned
from kernels.machine.sleep import sleep_us

STRESS = int(os.environ.get("WORKBENCH_STRESS_OPS", "0"))


def operations(default):
    """Return how many operations a stress test does: ``WORKBENCH_STRESS_OPS``, else `default`."""
    return STRESS or default


def compiled(function):
    """Compile a test's function anew in each process: the disk cache knows only the sources of packages."""
    return numba.njit(**OPTIONS)(function)


def core_sets():
    """Return the parameters of a test that runs on all cores and, everything together, on one."""
    return pytest.mark.parametrize("one_core", [False, True], ids=["all-cores", "one-core"])


def run_threads(jobs, one_core):
    """Run each job (a callable) in a pinned thread of its own, and wait for all. Raises the first failure."""
    cores = allowed_cores()
    failures = []

    def run(job, core):
        try:
            with pinned(core):
                job()
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=run, args=(job, cores[0 if one_core else i % len(cores)])) for i, job in enumerate(jobs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with contextlib.suppress(IndexError):
        raise failures[0]


@numba.njit(nogil=True)
def meet(arrived, threads, time):
    """Wait until all `threads` have come for the `time`-th time (from 1). `arrived` is int64[:], zeroed before."""
    atomics.add(arrived, 0, 1, "acq_rel")
    while atomics.load(arrived, 0, "acquire") < threads * time:
        sleep_us(20)
