"""Functions as a user's module holds them, for tests that name, import, call and compare them."""

import numba
import numpy as np


@numba.njit
def total(values, factor=2):
    added = 0.0
    for i in range(values.shape[0]):
        added += values[i] * factor
    return added


@numba.njit
def first(values):
    return values[0]


@numba.njit
def plus_one(values):
    return values + 1.0


@numba.njit
def grow(values):
    for i in range(values.shape[0]):
        values[i] += 1.0


@numba.njit
def fails_on_zero(values):
    if values[0] == 0.0:
        raise IndexError("zero")
    return values[0]


def in_python(values, factor=2):
    return float(sum(values.tolist()) * factor)


def compiles_each_time(values):
    return numba.njit(lambda x: x.sum())(values)


def some_values():
    """Return an array that begins at no cache line."""
    memory = np.zeros(72)
    begin = 1 if memory.ctypes.data % 64 == 0 else 0
    memory[begin : begin + 64] = np.arange(1.0, 65.0)
    return memory[begin : begin + 64]


class Holder:
    @staticmethod
    def method(values):
        return values.sum()
