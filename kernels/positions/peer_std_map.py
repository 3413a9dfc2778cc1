"""Positions in C++ (`peer_std_map.cpp`), the yardstick: 16 shards of ``std::unordered_map``, each behind a mutex.

The same rules, checks of bad fills and output as our variants; any thread may apply fills.
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
from kernels.positions._rules import REASONS
from kernels.start_line import ForeignReplay


@functools.cache
def library() -> ctypes.CDLL:
    """Return the compiled peer. Raises RuntimeError, with the compiler's words, when it does not compile."""
    loaded = cpp.library(Path(__file__).with_suffix(".cpp"))
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64
    loaded.positions_new.restype, loaded.positions_new.argtypes = pointer, [number, number, size]
    loaded.positions_free.restype, loaded.positions_free.argtypes = None, [pointer]
    loaded.positions_reset.restype, loaded.positions_reset.argtypes = None, [pointer]
    loaded.positions_bad.restype, loaded.positions_bad.argtypes = None, [pointer, pointer]
    loaded.positions_replay.restype, loaded.positions_replay.argtypes = None, [pointer] * 7 + [size, size]
    return loaded


class PeerState:
    """Positions in C++, freed with this object."""

    def __init__(self, accounts: int, symbols: int, room: int):
        self.library = library()
        self.positions = self.library.positions_new(accounts, symbols, room)

    def __del__(self) -> None:
        if getattr(self, "positions", None):
            self.library.positions_free(self.positions)

    @property
    def bad(self) -> np.ndarray:
        """Return the counts of refusals, by `kernels.positions._rules.Reason`."""
        counts = np.zeros(REASONS, np.int64)
        self.library.positions_bad(self.positions, counts.ctypes.data)
        return counts


def allocate(parameters: Mapping[str, int]) -> PeerState:
    """Return a table without a position."""
    return PeerState(parameters["accounts"], parameters["symbols"], parameters["positions"])


def reset(state: PeerState) -> None:
    """Forget every position and mark; the maps keep their buckets."""
    state.library.positions_reset(state.positions)


def bind(state: PeerState, fills: Any, out: np.ndarray, begin: int) -> tuple[Any, tuple[int, ...], int]:
    """Return the call that applies the fills and marks from `begin` on."""
    columns = (fills.account, fills.symbol, fills.price_ticks, fills.size, fills.action, out)
    pointers = [column.ctypes.data for column in columns]
    return state.library.positions_replay, (state.positions, *pointers, begin, len(out)), len(out)


VARIANT = Variant(
    name="peer_std_map",
    parent=None,
    idea="C++: 16 shards of std::unordered_map, each behind a std::mutex.",
    allocate=allocate,
    reset=reset,
    replay_from=ForeignReplay(bind),
    peer=True,
    missing=cpp.missing,
)
