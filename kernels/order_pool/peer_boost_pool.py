"""``boost::pool`` in C++ (`peer_pool.cpp`): a free list that runs through the free memory itself. For one thread."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np

from kernels import cpp
from kernels.catalog import Variant
from kernels.order_pool._churn import Churn
from kernels.order_pool._cpp_peers import SOURCE, bind
from kernels.start_line import ForeignReplay


def missing() -> str | None:
    """Return why the peer cannot run here, or None."""
    return cpp.missing("boost/pool/pool.hpp", "libboost-dev")


class BoostState:
    """A pool in C++, freed with this object."""

    def __init__(self, slots: int):
        self.library = cpp.library(SOURCE)
        self.library.boost_new.restype, self.library.boost_new.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        self.library.boost_free.restype, self.library.boost_free.argtypes = None, [ctypes.c_void_p]
        self.pool = self.library.boost_new(slots)

    def __del__(self) -> None:
        if getattr(self, "pool", None):
            self.library.boost_free(self.pool)


def allocate(parameters: Mapping[str, int]) -> BoostState:
    """Return a pool whose first block has as many slots as the parameter says."""
    return BoostState(parameters["slots"])


def reset(state: BoostState) -> None:
    """Do nothing: a whole replay gives back all that it takes, and the pool keeps its block."""


def calls(state: BoostState, churn: Churn, out: np.ndarray, begin: int) -> tuple[Any, tuple[int, ...], int]:
    """Return the call that does the steps from `begin` on and writes to `out` what each did."""
    return bind("churn_boost", state.pool, churn, out, begin)


VARIANT = Variant(
    name="peer_boost_pool",
    parent=None,
    idea="boost::pool: a free list that runs through the free memory itself, without a lock and without checks.",
    allocate=allocate,
    reset=reset,
    replay_from=ForeignReplay(calls),
    peer=True,
    missing=missing,
    refuses=lambda parameters: "boost::pool is for one thread" if parameters["threads"] > 1 else None,
)
