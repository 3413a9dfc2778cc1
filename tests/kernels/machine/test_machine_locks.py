"""Locks: mutual exclusion between two threads, handing over of what was written, codes."""

import threading

import numpy as np
import pytest
from machine_code import assembly
from numba import types, uint8
from numba.core.errors import TypingError

from kernels._jit import kernel_jit
from kernels.machine import locks
from kernels.machine.memory import aligned

EBUSY = 16


@kernel_jit
def under_mutex(lock, shared, times):
    for _ in range(times):
        locks.mutex_lock(lock)
        shared[0] += 1
        shared[8] -= 1  # two words that only fit together under the lock
        locks.mutex_unlock(lock)


@kernel_jit
def under_adaptive(lock, shared, times):
    for _ in range(times):
        locks.adaptive_lock(lock)
        shared[0] += 1
        shared[8] -= 1
        locks.mutex_unlock(lock)


@kernel_jit
def under_spin(lock, shared, times):
    for _ in range(times):
        locks.spin_lock(lock)
        shared[0] += 1
        shared[8] -= 1
        locks.spin_unlock(lock)


@kernel_jit
def under_ticket(lock, shared, times):
    for _ in range(times):
        locks.ticket_lock(lock)
        shared[0] += 1
        shared[8] -= 1
        locks.ticket_unlock(lock)


KINDS = [
    (under_mutex, locks.new_mutex, 300_000),
    (under_adaptive, locks.new_mutex, 300_000),
    (under_spin, locks.new_spin_lock, 300_000),
    (under_ticket, locks.new_ticket_lock, 50_000),  # a ticket's holder that is preempted holds up everyone
]


@pytest.mark.parametrize(("worker", "new", "times"), KINDS, ids=["mutex", "adaptive", "spin", "ticket"])
def test_two_threads_lose_no_update(worker, new, times):
    lock, shared = new(), aligned(16, np.int64)
    worker(lock, shared, 0)  # compiled before the threads start
    threads = [threading.Thread(target=worker, args=(lock, shared, times)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared[0] == 2 * times
    assert shared[8] == -2 * times


@kernel_jit
def take_twice(lock):
    first = locks.mutex_trylock(lock)
    second = locks.mutex_trylock(lock)
    return first, second, locks.mutex_unlock(lock), locks.mutex_destroy(lock)


@pytest.mark.parametrize("shared", [False, True])
def test_codes_of_the_mutex(shared):
    lock = locks.new_mutex(shared=shared)
    assert lock.ctypes.data % 64 == 0
    assert take_twice(lock) == (0, EBUSY, 0, 0)


def test_a_process_shared_mutex_says_so_in_its_memory():
    ours, everyones = locks.new_mutex(), locks.new_mutex(shared=True)
    assert not ours.any()
    assert everyones.any()  # glibc and musl keep the flag in the mutex


@kernel_jit
def try_spin(lock):
    first = locks.spin_trylock(lock)
    second = locks.spin_trylock(lock)
    locks.spin_unlock(lock)
    return first, second, locks.spin_trylock(lock)


def test_spin_trylock():
    assert try_spin(locks.new_spin_lock()) == (True, False, True)


def test_the_mutex_is_an_external_symbol():
    def holds(lock):
        return locks.mutex_lock(lock)

    assert "pthread_mutex_lock" in assembly(holds, types.Array(uint8, 1, "C"))


def test_a_strided_array_is_refused():
    def holds(lock):
        return locks.mutex_lock(lock)

    with pytest.raises(TypingError, match="takes the C-contiguous array that holds the mutex"):
        assembly(holds, types.Array(uint8, 1, "A"))
