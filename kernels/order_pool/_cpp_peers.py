"""What the peers in C++ (`peer_pool.cpp`) share: one call for all steps, without the GIL."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

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


def run(name: str, pool: int | None, churn: Churn, out: np.ndarray, begin: int) -> int:
    """Do the steps from `begin` on. The addresses of the orders' memory take the place of their slots' numbers."""
    if begin == 0:
        churn.held[:] = 0  # no address, where a pool of ours says -1
    gives, takes = churn.gives.ctypes.data, churn.takes.ctypes.data
    function(name)(pool, gives, takes, churn.held.ctypes.data, out.ctypes.data, begin, len(churn.gives))
    return len(churn.gives)
