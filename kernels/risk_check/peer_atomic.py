"""The check in C++ (`peer_atomic.cpp`), the yardstick: aligned structs, each behind a spin lock of std::atomic_flag.

The same rules, checks and answers as our variants; any thread may send requests.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kernels import cpp
from kernels.catalog import Variant
from kernels.risk_check._plain import limits_of
from kernels.risk_check._rules import REASONS
from kernels.start_line import ForeignReplay


@functools.cache
def library() -> ctypes.CDLL:
    """Return the compiled peer. Raises RuntimeError, with the compiler's words, when it does not compile."""
    loaded = cpp.library(Path(__file__).with_suffix(".cpp"))
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64
    loaded.check_new.restype, loaded.check_new.argtypes = pointer, [number] * 8
    loaded.check_free.restype, loaded.check_free.argtypes = None, [pointer]
    loaded.check_reset.restype, loaded.check_reset.argtypes = None, [pointer]
    loaded.check_refused.restype, loaded.check_refused.argtypes = None, [pointer, pointer]
    loaded.check_replay.restype, loaded.check_replay.argtypes = None, [pointer] * 8 + [size, size]
    return loaded


class PeerState:
    """Accounts in C++, freed with this object."""

    def __init__(self, parameters: Mapping[str, int]):
        self.library = library()
        limits = limits_of(parameters).values()
        self.check = self.library.check_new(
            parameters["accounts"], parameters["collar"], parameters["interval_ns"], *limits
        )

    def __del__(self) -> None:
        if getattr(self, "check", None):
            self.library.check_free(self.check)

    @property
    def refused(self) -> np.ndarray:
        """Return the counts of refusals, by `kernels.risk_check._rules.Reason`."""
        counts = np.zeros(REASONS, np.int64)
        self.library.check_refused(self.check, counts.ctypes.data)
        return counts


def allocate(parameters: Mapping[str, int]) -> PeerState:
    """Return accounts that have nothing open."""
    return PeerState(parameters)


def reset(state: PeerState) -> None:
    """Forget what is open and what was refused."""
    state.library.check_reset(state.check)


def bind(state: PeerState, orders: Any, out: np.ndarray, begin: int) -> tuple[Any, tuple[int, ...], int]:
    """Return the call that works through the requests from `begin` on, without Python's lock."""
    pointers = [column.ctypes.data for column in (*orders, out)]
    return state.library.check_replay, (state.check, *pointers, begin, len(out)), len(out)


VARIANT = Variant(
    name="peer_atomic",
    parent=None,
    idea="C++: a struct for each account on its own cache lines, behind a spin lock of std::atomic_flag.",
    allocate=allocate,
    reset=reset,
    replay_from=ForeignReplay(bind),
    peer=True,
    missing=cpp.missing,
)
