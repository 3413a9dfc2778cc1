"""The system's allocator, from C++ (`peer_pool.cpp`): glibc's has a cache of freed blocks for each thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernels import cpp
from kernels.catalog import Variant
from kernels.order_pool._churn import Churn
from kernels.order_pool._cpp_peers import bind
from kernels.start_line import ForeignReplay


def allocate(parameters: Mapping[str, int]) -> None:
    """Return nothing: the system's allocator has its own state."""


def reset(state: None) -> None:
    """Do nothing: a whole replay frees all that it takes."""


def calls(state: None, churn: Churn, out: np.ndarray, begin: int) -> tuple[Any, tuple[int, ...], int]:
    """Return the call that does the steps from `begin` on and writes to `out` what each did."""
    return bind("churn_malloc", None, churn, out, begin)


VARIANT = Variant(
    name="peer_malloc",
    parent=None,
    idea="malloc and free of the system's library, 64 bytes an order.",
    allocate=allocate,
    reset=reset,
    replay_from=ForeignReplay(calls),
    peer=True,
    missing=cpp.missing,
)
