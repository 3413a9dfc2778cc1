"""Ten functions with nothing to find, each near what another fault looks like, and their arguments."""

from __future__ import annotations

import numpy as np
from numba import njit

GOOD = {"nogil": True, "error_model": "numpy", "boundscheck": False}
WINDOW = 16  # a constant, assigned once
RNG = np.random.default_rng(11)


@njit(**GOOD)
def copy_scaled(x, out):
    for i in range(x.shape[0]):
        out[i] = x[i] * 2.0


@njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def sum_reassociated(x):
    total = 0.0
    for i in range(x.shape[0]):
        total += x[i]
    return total


@njit(nogil=True, error_model="numpy", fastmath={"contract"})
def recurrence(x, out):  # the recurrence itself is the limit: no flag breaks it
    value = x[0]
    for i in range(x.shape[0]):
        value = value * 0.5 + x[i]
        value = max(value, -value * 0.25)
        out[i] = value


@njit(**GOOD)
def gather(x, index, out):  # unsigned indices
    for i in range(out.shape[0]):
        out[i] = x[index[i]]


@njit(nogil=True)
def divided_by_constant(x, out):  # Python's error model, but no divisor can be zero
    for i in range(x.shape[0]):
        out[i] = x[i] / 8.0


@njit(**GOOD)
def single_precision(x, out):
    half = np.float32(0.5)
    for i in range(x.shape[0]):
        out[i] = x[i] * half


@njit(**GOOD)
def allocates_once(x):
    work = np.empty(x.shape[0])
    for i in range(x.shape[0]):
        work[i] = x[i] + WINDOW
    return work


@njit(**GOOD)
def histogram(x, counts):
    for i in range(x.shape[0]):
        counts[x[i] & np.uint64(63)] += 1


@njit
def short_call(a, b):  # holds the lock, for too short a time to matter
    return a * b + 1.0


@njit(**GOOD)
def search(levels, price):
    low, high = 0, levels.shape[0]
    while low < high:
        middle = (low + high) >> 1
        if levels[np.uint64(middle)] < price:
            low = middle + 1
        else:
            high = middle
    return low


def arguments(name: str) -> tuple:
    n = 8192
    x = RNG.random(n)
    match name:
        case "copy_scaled" | "recurrence" | "divided_by_constant":
            return x, np.zeros(n)
        case "sum_reassociated" | "allocates_once":
            return (x,)
        case "gather":
            return x, RNG.integers(0, n, n).astype(np.uint64), np.zeros(n)
        case "single_precision":
            return x.astype(np.float32), np.zeros(n, np.float32)
        case "histogram":
            return RNG.integers(0, 64, n).astype(np.uint64), np.zeros(64, np.int64)
        case "short_call":
            return 1.5, 2.5
        case "search":
            return np.sort(x), 0.25
    raise KeyError(name)


ALL = {
    function.py_func.__name__: function
    for function in (
        copy_scaled,
        sum_reassociated,
        recurrence,
        gather,
        divided_by_constant,
        single_precision,
        allocates_once,
        histogram,
        short_call,
        search,
    )
}
