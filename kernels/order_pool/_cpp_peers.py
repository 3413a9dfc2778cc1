"""What the peers in C++ (`peer_pool.cpp`) share: one call for all steps, without the GIL."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any

import numpy as np

from kernels import cpp
from kernels.order_pool._churn import Churn

SOURCE = Path(__file__).with_name("peer_pool.cpp")


@functools.cache
def function(name: str) -> ctypes._NamedFuncPointer:
    """Return the function that does all steps: ``(pool, gives, takes, held, out, begin, length)``."""
    found = getattr(cpp.library(SOURCE), name)
    found.restype, found.argtypes = None, [ctypes.c_void_p] * 5 + [ctypes.c_size_t] * 2
    return found


def bind(name: str, pool: int | None, churn: Churn, out: np.ndarray, begin: int) -> tuple[Any, tuple[int, ...], int]:
    """Return the call of `name` for the steps from `begin` on: `kernels.start_line.ForeignReplay` makes it.

    The addresses of the orders' memory take the place of their slots' numbers.
    """
    if begin == 0:
        churn.held[:] = 0  # no address, where a pool of ours says -1
    columns = (churn.gives, churn.takes, churn.held, out)
    length = len(churn.gives)
    return function(name), (pool or 0, *(column.ctypes.data for column in columns), begin, length), length
