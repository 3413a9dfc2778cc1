"""The C++ peers: compiled on demand from `peer_queues.cpp`, loaded by ctypes, driven by the roles of `_work`."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kernels import cpp
from kernels.message_queue._work import BATCH, CONSUMER, COUNT, ROLE
from kernels.start_line import ForeignReplay

SOURCE = Path(__file__).with_name("peer_queues.cpp")


@functools.cache
def library(*flags: str) -> ctypes.CDLL:
    """Return the compiled peers. Raises RuntimeError where they do not compile."""
    loaded = cpp.library(SOURCE, (*cpp.FLAGS, *flags))
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    loaded.queue_new.restype, loaded.queue_new.argtypes = pointer, [ctypes.c_size_t, number]
    loaded.queue_free.restype, loaded.queue_free.argtypes = None, [pointer]
    loaded.queue_clear.restype, loaded.queue_clear.argtypes = None, [pointer]
    loaded.queue_run.restype = None
    loaded.queue_run.argtypes = [pointer, number, pointer, pointer, number, number, number]
    return loaded


class PeerState:
    """Two queues in C++, there and back, freed with this object."""

    def __init__(self, slots: int, words: int, *flags: str):
        self.library = library(*flags)
        self.queue = self.library.queue_new(slots, words)

    def __del__(self) -> None:
        if getattr(self, "queue", None):
            self.library.queue_free(self.queue)


def reset(state: PeerState) -> None:
    """Empty both queues."""
    state.library.queue_clear(state.queue)


def bind(state: PeerState, work: Any, out: np.ndarray, begin: int) -> tuple[Any, tuple[int, ...], int]:
    """Return the call that passes all messages of `work`, or none of them when `begin` is the end."""
    total, role = int(work.plan[COUNT]), int(work.plan[ROLE])
    n = len(out) if role == CONSUMER else len(work.records)
    places = (work.records.ctypes.data, out.ctypes.data)
    todo = total if begin < total else 0
    return state.library.queue_run, (state.queue, role, *places, n, todo, int(work.plan[BATCH])), total


replay = ForeignReplay(bind)


def refuses_size(parameters: Mapping[str, int]) -> str | None:
    """Return why the peers cannot take records of this size, or None."""
    size = parameters["record_bytes"]
    return None if size in (8, 64) else f"it is compiled for records of 8 or 64 bytes, not {size}"
