"""The textbook book in C++ (`peer_std_map.cpp`), the yardstick: compiled on demand, loaded by ctypes.

``std::map`` for the levels of a side and ``std::unordered_map`` for the orders by id, reserved for as many orders as
the parameter says; the same checks of bad events and the same output as our variants, and no mutex.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kernels._jit import cache_root
from kernels.catalog import Variant
from kernels.messages import BAD_KINDS
from kernels.probe import Probe

SOURCE = Path(__file__).with_suffix(".cpp")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC")


def missing() -> str | None:
    """Return why the peer cannot run here, or None."""
    return None if shutil.which("g++") else "it is C++ and there is no g++: install it (apt install g++)"


@functools.cache
def library() -> ctypes.CDLL:
    """Return the compiled peer, out of the cache folder where it is there already.

    The file's name holds the source, the flags, the compiler's version and the processor's features that
    ``-march=native`` stands for. Raises RuntimeError, with the compiler's words, when it does not compile.
    """
    compiler = shutil.which("g++") or "g++"
    target = subprocess.run([compiler, "-march=native", "-Q", "--help=target"], capture_output=True, check=True).stdout
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True).stdout
    digest = hashlib.sha256(SOURCE.read_bytes() + " ".join(FLAGS).encode() + version + target).hexdigest()
    built = cache_root() / f"peer_std_map-{digest[:20]}.so"
    if not built.is_file():
        _compile(compiler, built)
    return _declare(ctypes.CDLL(str(built)))


def _compile(compiler: str, built: Path) -> None:
    """Compile into a scratch file that takes its place when it is whole: two processes may do so at once."""
    built.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=built.parent) as folder:
        scratch = Path(folder) / built.name
        done = subprocess.run(
            [compiler, *FLAGS, str(SOURCE), "-o", str(scratch)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{SOURCE.name} does not compile with {compiler}: {done.stderr.strip()}")
        os.replace(scratch, built)


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
    missing=missing,
)
