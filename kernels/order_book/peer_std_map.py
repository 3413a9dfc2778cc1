"""The textbook book in C++ (`peer_std_map.cpp`), the yardstick: compiled on demand, loaded by ctypes.

``std::map`` for the levels of a side and ``std::unordered_map`` for the orders by id, reserved for as many orders as
the parameter says; the same checks of bad events and the same output as our variants, and no mutex.
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
from kernels.messages import BAD_KINDS
from kernels.probe import Probe

SOURCE = Path(__file__).with_suffix(".cpp")


@functools.cache
def library() -> ctypes.CDLL:
    """Return the compiled peer. Raises RuntimeError, with the compiler's words, when it does not compile."""
    return _declare(cpp.library(SOURCE))


def _declare(loaded: ctypes.CDLL) -> ctypes.CDLL:
    """Tell ctypes the types of the functions."""
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    loaded.book_new.restype, loaded.book_new.argtypes = pointer, [size, size]
    loaded.book_free.restype, loaded.book_free.argtypes = None, [pointer]
    loaded.book_reset.restype, loaded.book_reset.argtypes = None, [pointer]
    loaded.book_bad.restype, loaded.book_bad.argtypes = ctypes.POINTER(ctypes.c_int64), [pointer]
    loaded.book_replay.restype, loaded.book_replay.argtypes = None, [pointer, pointer, pointer, size, size]
    return loaded


class PeerState:
    """A book in C++, freed with this object."""

    def __init__(self, symbols: int, orders: int):
        self.library = library()
        self.book = self.library.book_new(symbols, orders)

    def __del__(self) -> None:
        if getattr(self, "book", None):
            self.library.book_free(self.book)

    @property
    def bad(self) -> np.ndarray:
        """Return the counts of bad events, by `kernels.messages.Bad`."""
        return np.array(self.library.book_bad(self.book)[:BAD_KINDS], np.int64)


def allocate(parameters: Mapping[str, int]) -> PeerState:
    """Return an empty book."""
    return PeerState(parameters["symbols"], parameters["orders"])


def reset(state: PeerState) -> None:
    """Empty the book; the hash table keeps its buckets."""
    state.library.book_reset(state.book)


def replay(state: PeerState, events: Any, out: np.ndarray, begin: int, probe: Probe | None) -> int:
    """Apply ``events[begin:]``; one call for all of them, without the GIL. Returns where it ended: always the end."""
    state.library.book_replay(state.book, events.ctypes.data, out.ctypes.data, begin, len(events))
    return len(events)


VARIANT = Variant(
    name="peer_std_map",
    parent=None,
    idea="The textbook book in C++: std::map for the levels, std::unordered_map for the orders.",
    allocate=allocate,
    reset=reset,
    replay_from=replay,
    peer=True,
    missing=cpp.missing,
)
