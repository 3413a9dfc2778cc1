"""The system's allocator, from C++ (`peer_pool.cpp`): glibc's has a cache of freed blocks for each thread."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kernels import cpp
from kernels.catalog import Variant
from kernels.order_pool._churn import Churn
from kernels.order_pool._cpp_peers import run
from kernels.probe import Probe


def allocate(parameters: Mapping[str, int]) -> None:
    """Return nothing: the system's allocator has its own state."""


def reset(state: None) -> None:
    """Do nothing: a whole replay frees all that it takes."""


def replay(state: None, churn: Churn, out: np.ndarray, begin: int, probe: Probe | None) -> int:
    """Do the steps from `begin` on, write to `out` what each did, and return their number."""
    return run("churn_malloc", None, churn, out, begin)


VARIANT = Variant(
    name="peer_malloc",
    parent=None,
    idea="malloc and free of the system's library, 64 bytes an order.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    peer=True,
    missing=cpp.missing,
)
