"""What the memory orders promise, seen with two real threads; and the long form of "no update is lost".

`WORKBENCH_STRESS_OPS` sets how many operations the long forms do in all (default 2,000,000, up to 10**8 and more).
"""

import os
import threading
import time

import numpy as np
import pytest

from kernels._jit import kernel_jit
from kernels.machine import atomics, locks
from kernels.machine.affinity import allowed_cores, pinned
from kernels.machine.atomics import ACQUIRE, RELAXED, RELEASE, SEQ_CST
from kernels.machine.cycles import read_cycles
from kernels.machine.hints import pause
from kernels.machine.memory import aligned
from kernels.machine.sleep import sleep_us

pytestmark = pytest.mark.concurrency

STRESS_OPS = int(float(os.environ.get("WORKBENCH_STRESS_OPS", "2e6")))
two_cores = pytest.mark.skipif(len(allowed_cores()) < 2, reason="two threads have to run at the same moment")
LINE = 8  # int64 words of a cache line


def run_both(function, *arguments):
    """Call ``function(*arguments, side)`` in two threads on two cores, for sides 0 and 1; return what they returned."""
    answers = [None, None]
    cores = allowed_cores()

    def call(side):
        with pinned(cores[side % len(cores)]):
            answers[side] = function(*arguments, side)

    threads = [threading.Thread(target=call, args=(side,)) for side in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def tries():
    """Count tries for a minute: what needs both threads at the same moment may have to wait for a core."""
    end, number = time.monotonic() + 60, 0
    while time.monotonic() < end:
        yield number
        number += 1


@kernel_jit
def wait_for(cells, index, least):
    """Wait until ``cells[index]`` is at least `least`; the core is left to others after a while."""
    spins = 0
    while atomics.load(cells, index, ACQUIRE) < least:
        spins += 1
        if spins & 1023 == 0:
            sleep_us(20)
        else:
            pause()


@kernel_jit
def pass_messages(flag, message, rounds, side):
    """Side 0 writes eight plain words and then the flag; side 1 counts the words that were not there yet."""
    wrong = 0
    for i in range(1, rounds + 1):
        if side == 0:
            for k in range(LINE):
                message[k * LINE] = i
            atomics.store(flag, 0, i, RELEASE)
            wait_for(flag, 2 * LINE, i)
        else:
            wait_for(flag, 0, i)
            for k in range(LINE):
                wrong += message[k * LINE] != i
            atomics.store(flag, 2 * LINE, i, RELEASE)
    return wrong


def test_message_passing_what_was_written_before_a_release_is_seen_after_its_acquire():
    flag, message = aligned(4 * LINE, np.int64), aligned(LINE * LINE, np.int64)
    pass_messages(flag, message, 0, 0)
    assert run_both(pass_messages, flag, message, 10_000) == [0, 0]
    assert message[0] == 10_000


@kernel_jit
def meet(ready, start, i, side):
    """Let both threads go at one moment of the time-stamp counter."""
    atomics.store(ready, side * 2 * LINE, i, RELEASE)
    wait_for(ready, (1 - side) * 2 * LINE, i)
    if side == 0:
        start[0] = read_cycles() + 1500
        atomics.store(ready, 4 * LINE, i, RELEASE)
    else:
        wait_for(ready, 4 * LINE, i)
    while read_cycles() < start[0]:
        pass


@kernel_jit
def buffer_relaxed(ready, start, cells, seen, rounds, side):
    for i in range(rounds):
        meet(ready, start, i + 1, side)
        atomics.store(cells, (side, i), 1, RELAXED)
        seen[side, i] = atomics.load(cells, (1 - side, i), RELAXED)


@kernel_jit
def buffer_acquire_release(ready, start, cells, seen, rounds, side):
    for i in range(rounds):
        meet(ready, start, i + 1, side)
        atomics.store(cells, (side, i), 1, RELEASE)
        seen[side, i] = atomics.load(cells, (1 - side, i), ACQUIRE)


@kernel_jit
def buffer_seq_cst(ready, start, cells, seen, rounds, side):
    for i in range(rounds):
        meet(ready, start, i + 1, side)
        atomics.store(cells, (side, i), 1, SEQ_CST)
        seen[side, i] = atomics.load(cells, (1 - side, i), SEQ_CST)


def both_saw_nothing(function, rounds):
    """Return in how many of `rounds` each thread read the other's cell before the other's store arrived."""
    shapes = (aligned(6 * LINE, np.int64), aligned(LINE, np.int64), aligned((2, max(rounds, 1)), np.int64))
    seen = aligned((2, max(rounds, 1)), np.int64)
    run_both(function, *shapes, seen, rounds)
    return int((seen == 0).all(axis=0).sum()) if rounds else 0


@two_cores
@pytest.mark.parametrize("function", [buffer_relaxed, buffer_acquire_release])
def test_store_buffering_is_allowed_below_seq_cst(function):
    both_saw_nothing(function, 0)
    assert any(both_saw_nothing(function, 5_000) for _ in tries())  # else the next test would prove nothing


@two_cores
def test_store_buffering_is_forbidden_with_seq_cst():
    both_saw_nothing(buffer_seq_cst, 0)
    assert both_saw_nothing(buffer_seq_cst, 20_000) == 0


@kernel_jit
def both_here(cells):
    """Wait until the other thread runs too: a thread that is done before the other begins would prove nothing."""
    atomics.add(cells, 2 * LINE, 1, RELAXED)
    wait_for(cells, 2 * LINE, 2)


@kernel_jit
def by_add(cells, lock, times, side):
    both_here(cells)
    for _ in range(times):
        atomics.add(cells, 0, 1, RELAXED)


@kernel_jit
def by_exchange(cells, lock, times, side):
    both_here(cells)
    for _ in range(times):
        seen = atomics.load(cells, 0, RELAXED)
        while True:
            seen, done = atomics.compare_exchange(cells, 0, seen, seen + 1, RELAXED)
            if done:
                break


@kernel_jit
def by_mutex(cells, lock, times, side):
    both_here(cells)
    for _ in range(times):
        locks.mutex_lock(lock)
        cells[0] += 1
        locks.mutex_unlock(lock)


@kernel_jit
def by_adaptive(cells, lock, times, side):
    both_here(cells)
    for _ in range(times):
        locks.adaptive_lock(lock)
        cells[0] += 1
        locks.mutex_unlock(lock)


@kernel_jit
def by_spin(cells, lock, times, side):
    both_here(cells)
    for _ in range(times):
        locks.spin_lock(lock)
        cells[0] += 1
        locks.spin_unlock(lock)


@kernel_jit
def by_ticket(cells, lock, times, side):
    both_here(cells)
    for _ in range(times):
        locks.ticket_lock(lock)
        cells[0] += 1
        locks.ticket_unlock(lock)


@kernel_jit
def by_nothing(cells, lock, times, side):
    both_here(cells)
    for _ in range(times):
        atomics.store(cells, 0, atomics.load(cells, 0, RELAXED) + 1, RELAXED)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("worker", "new_lock", "times"),
    [
        (by_add, locks.new_spin_lock, STRESS_OPS // 2),
        (by_exchange, locks.new_spin_lock, STRESS_OPS // 2),
        (by_mutex, locks.new_mutex, STRESS_OPS // 2),
        (by_adaptive, locks.new_mutex, STRESS_OPS // 2),
        (by_spin, locks.new_spin_lock, STRESS_OPS // 2),
        # Where both threads have to share a core, each turn of the ticket lock costs a short sleep.
        (by_ticket, locks.new_ticket_lock, STRESS_OPS // 20),
    ],
    ids=["add", "exchange", "mutex", "adaptive", "spin", "ticket"],
)
def test_no_update_is_lost(worker, new_lock, times):
    cells, lock = aligned(4 * LINE, np.int64), new_lock()
    cells[2 * LINE] = 1  # the other thread, when this one only compiles
    worker(cells, lock, 0, 0)
    cells[2 * LINE] = 0
    run_both(worker, cells, lock, times)
    assert cells[0] == 2 * times


@two_cores
def test_without_atomics_updates_are_lost():
    """So that the tests above can fail."""
    cells, lock = aligned(4 * LINE, np.int64), locks.new_spin_lock()
    cells[2 * LINE] = 1
    by_nothing(cells, lock, 0, 0)
    for _ in tries():
        cells[:] = 0
        run_both(by_nothing, cells, lock, 1_000_000)
        if cells[0] < 2_000_000:
            return
    pytest.fail("two threads lost no update in a minute: they never ran at the same moment")
