"""Locks: codes, tries, misuse. That they exclude each other is seen in `test_machine_litmus`."""

import pytest
from machine_code import assembly
from numba import types, uint8
from numba.core.errors import TypingError

from kernels._jit import kernel_jit
from kernels.machine import locks

EBUSY = 16


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
