"""Ten functions (and more) with one fault each, and the arguments that show it."""

from __future__ import annotations

import numba
import numpy as np
from numba import njit, prange

GOOD = {"nogil": True, "error_model": "numpy", "boundscheck": False}
TABLE = np.linspace(1.0, 2.0, 64)
SCALE = 2
RNG = np.random.default_rng(7)


@njit(**GOOD)
def allocation(x):
    total = 0.0
    for i in range(x.shape[0]):
        work = np.zeros(8)  # fault
        work[i & 7] = x[i]
        total += work[0] * work[1]
    return total


@njit(**GOOD)
def reference_counts(rows):
    total = 0
    for k in range(len(rows)):
        for i in range(1000):
            total += rows[k][i]  # fault
    return total


@njit(nogil=True, error_model="numpy", boundscheck=True)
def bounds_check(x, index, out):
    for i in range(out.shape[0]):
        out[i] = x[index[i]] * 2.0  # fault


@njit(**GOOD)
def wraparound(values, shift, out):
    for i in range(out.shape[0] - 8):
        out[i] = values[i + shift]  # fault


@njit(nogil=True, boundscheck=False)
def division_check(x, y, out):
    for i in range(out.shape[0]):
        out[i] = x[i] / y[i]  # fault


@njit(**GOOD)
def float_mixing(x, out):
    for i in range(x.shape[0]):
        out[i] = (x[i] * 0.5 + 1.0) * (x[i] * 0.25 - 3.0)  # fault


@njit(**GOOD)
def layout(x, out):
    for i in range(x.shape[0]):
        out[i] = x[i] * 2.0 + 1.0  # fault


@njit(**GOOD)
def float_order(x):
    total = 0.0
    for i in range(x.shape[0]):
        total += x[i]  # fault
    return total


@njit(error_model="numpy", boundscheck=False)
def nogil(x, turns):  # fault
    state = x[0]
    for _ in range(turns):
        state ^= state << np.uint64(13)
        state ^= state >> np.uint64(7)
        state ^= state << np.uint64(17)
    return state


@numba.jit(forceobj=True, looplift=False)
def object_mode(x):  # fault
    total = 0
    for i in range(len(x)):
        total += x[i]
    return total


@njit(**GOOD)
def frozen_globals(x, out):
    for i in range(x.shape[0]):
        out[i] = x[i] + TABLE[i & 63]  # fault


@njit(**GOOD)
def recompiles(x, window):  # fault
    return x[window]


@njit(parallel=True, nogil=True, error_model="numpy", boundscheck=False)
def parallel(x, out):
    for i in prange(x.shape[0]):  # fault
        out[i] = x[i] * 2.0


def vector(n: int) -> np.ndarray:
    return RNG.random(n) + 0.5


def arguments(name: str) -> tuple:
    n = 8192
    match name:
        case "allocation":
            return (vector(2000),)
        case "reference_counts":
            return (numba.typed.List([RNG.integers(0, 9, 1000) for _ in range(8)]),)
        case "bounds_check":
            return vector(n), RNG.integers(0, n, n).astype(np.uint64), np.zeros(n)
        case "division_check":
            return vector(n), vector(n), np.zeros(n)
        case "wraparound":
            return vector(n), 5, np.zeros(n)
        case "float_mixing":
            return vector(n).astype(np.float32), np.zeros(n, np.float32)
        case "layout":
            return vector(2 * n)[::2], np.zeros(n)
        case "float_order" | "object_mode":
            return (vector(n),)
        case "nogil":
            return np.array([88172645463325252], np.uint64), 500_000
        case "frozen_globals" | "parallel":
            return vector(512), np.zeros(512)
        case "recompiles":
            return vector(64), 3
    raise KeyError(name)


ALL = {
    function.py_func.__name__: function
    for function in (
        allocation,
        reference_counts,
        bounds_check,
        wraparound,
        division_check,
        float_mixing,
        layout,
        float_order,
        nogil,
        object_mode,
        frozen_globals,
        recompiles,
        parallel,
    )
}
